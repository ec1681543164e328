/* SPDX-License-Identifier: Apache-2.0 */
/* Snapshots: the families and label sets of many stores, each once. */
#include "collect/snapshot_state.h"
#include "collect/sample_names.h"
#include "base/utf8.h"

#include <stdlib.h>

/* Limit of cached layouts. Only stores made to differ have that many different bounds; above the limit the cache is
 * emptied. */
enum { LAYOUTS_KEPT = 256 };

struct kvtel_snapshot *kvtel_snapshot_create(void)
{
    return calloc(1, sizeof(struct kvtel_snapshot));
}

void kvtel_snapshot_destroy(struct kvtel_snapshot *snapshot)
{
    if (!snapshot)
        return;
    for (size_t i = 0; i < snapshot->family_capacity; i++)
        free(snapshot->families[i].series);
    free(snapshot->families);
    free(snapshot->places);
    free(snapshot->family_index.entries);
    free(snapshot->series_index.entries);
    kvtel_bins_free(snapshot->layouts);
    kvtel_arena_free(&snapshot->arena);
    kvtel_workers_free(&snapshot->workers);
    kvtel_kept_free(&snapshot->kept);
    free(snapshot->catalog.sources);
    free(snapshot->catalog.places);
    free(snapshot->catalog.starts);
    free(snapshot->catalog.feeders);
    free(snapshot);
}

void kvtel_snapshot_ask_parts(const struct kvtel_snapshot *snapshot)
{
    kvtel_workers_ask_parts((struct kvtel_workers *)(uintptr_t)&snapshot->workers); /* an atomic word of each */
}

struct kvtel_workers *kvtel_snapshot_workers(struct kvtel_snapshot *snapshot)
{
    return &snapshot->workers;
}

struct kvtel_arena *kvtel_snapshot_arena(struct kvtel_snapshot *snapshot)
{
    return &snapshot->arena;
}

void kvtel_snapshot_reset(struct kvtel_snapshot *snapshot)
{
    snapshot->catalog.valid = false;
    snapshot->catalog.structure++;
    snapshot->family_count = snapshot->shown_families = 0;
    snapshot->place_count = snapshot->shown_places = 0;
    kvtel_index_clear(&snapshot->family_index);
    kvtel_index_clear(&snapshot->series_index);
    kvtel_arena_reset(&snapshot->arena);
    kvtel_kept_turn(snapshot);
    if (snapshot->layout_count > LAYOUTS_KEPT) {
        kvtel_bins_free(snapshot->layouts);
        snapshot->layouts = NULL;
        snapshot->layout_count = 0;
    }
}

void kvtel_snapshot_trim(struct kvtel_snapshot *snapshot)
{
    kvtel_snapshot_reset(snapshot);
    kvtel_arena_free(&snapshot->arena);
    kvtel_kept_free(&snapshot->kept);
}

/* Makes room for one more element. New elements are zeroed. False: no memory, and nothing is changed. */
static bool grow(void **elements, size_t *capacity, size_t count, size_t size)
{
    if (count < *capacity)
        return true;
    size_t larger = *capacity ? *capacity * 2 : 16;
    void *moved = larger > SIZE_MAX / size ? NULL : realloc(*elements, larger * size);
    if (!moved)
        return false;
    memset((char *)moved + *capacity * size, 0, (larger - *capacity) * size);
    *elements = moved;
    *capacity = larger;
    return true;
}

static char *copy_text(struct kvtel_snapshot *snapshot, const char *text, size_t size)
{
    char *copy = kvtel_arena_alloc(&snapshot->arena, size);
    if (copy)
        memcpy(copy, text, size);
    return copy;
}

/* Returns pointers to `count` texts that follow each other. */
static const char **split(struct kvtel_snapshot *snapshot, const char *text, size_t count)
{
    const char **texts = kvtel_arena_alloc(&snapshot->arena, (count ? count : 1) * sizeof(*texts));
    for (size_t i = 0; texts && i < count; i++, text += strlen(text) + 1)
        texts[i] = text;
    return texts;
}

static const struct kvtel_bins *layout_of(struct kvtel_snapshot *snapshot, const struct kvtel_view *view,
                                          const struct kvtel_layout_family *family)
{
    struct kvtel_bins *first = snapshot->layouts;
    const struct kvtel_bins *layout =
        kvtel_bins_get(&snapshot->layouts, family->bound_count > 0 ? view->bounds + family->bounds_at : NULL,
                       family->bound_count, family->exponential_first, family->exponential_count);
    snapshot->layout_count += snapshot->layouts != first;
    return layout;
}

static bool same_family(const struct kvtel_snapshot_entry *family, const struct kvtel_layout_family *other,
                        const struct kvtel_bins *layout, const char *labelnames)
{
    if (family->shown.type != (enum kvtel_metric_type)other->type || family->shown.label_count != other->label_count ||
        family->layout != layout)
        return false;
    for (size_t i = 0; i < other->label_count; i++, labelnames += strlen(labelnames) + 1) {
        if (strcmp(family->shown.labelnames[i], labelnames) != 0)
            return false;
    }
    return true;
}

static enum kvtel_status append_family(struct kvtel_snapshot *snapshot, const struct kvtel_layout_family *record,
                                       const char *text, const struct kvtel_bins *layout, uint32_t hash)
{
    void *families = snapshot->families;
    if (!grow(&families, &snapshot->family_capacity, snapshot->family_count, sizeof(struct kvtel_snapshot_entry)))
        return KVTEL_E_NOMEM;
    snapshot->families = families;
    const char *name = copy_text(snapshot, text, record->text_size);
    const char **texts = name ? split(snapshot, name, 2 + record->label_count) : NULL;
    if (!texts || !kvtel_index_reserve(&snapshot->family_index))
        return KVTEL_E_NOMEM;
    struct kvtel_snapshot_entry *family = &snapshot->families[snapshot->family_count];
    family->shown =
        (struct kvtel_snapshot_family){ .name = name, .type = (enum kvtel_metric_type)record->type, .help = texts[1] };
    family->shown.labelnames = texts + 2;
    family->shown.label_count = record->label_count;
    family->shown.unit = (enum kvtel_unit)record->unit;
    family->shown.schema = KVTEL_LAYOUT_SCHEMA;
    if (layout) {
        family->shown.bounds = layout->bounds;
        family->shown.bound_count = layout->bound_count;
        family->shown.explicit_bins = layout->explicit_bins;
        family->shown.explicit_count = layout->explicit_count;
        family->shown.exponential_bins = layout->exponential_bins;
        family->shown.exponential_count = layout->exponential_count;
        family->shown.exponential_first = layout->exponential_first;
    }
    family->layout = layout;
    family->series_count = 0;
    family->hash = hash;
    kvtel_index_put(&snapshot->family_index, hash, (uint32_t)snapshot->family_count++);
    return KVTEL_OK;
}

static uint32_t name_hash(const char *name, size_t size)
{
    return kvtel_index_hash(kvtel_hash(0, name, size));
}

/* Finds the family whose name is the first `size` characters of `name`; else KVTEL_INDEX_NONE. */
static uint32_t find_family(const struct kvtel_snapshot *snapshot, const char *name, size_t size)
{
    uint32_t hash = name_hash(name, size), id;
    for (size_t probe = 0; (id = kvtel_index_next(&snapshot->family_index, hash, &probe)) != KVTEL_INDEX_NONE;) {
        const char *other = snapshot->families[id].shown.name;
        if (strncmp(other, name, size) == 0 && other[size] == '\0')
            break;
    }
    return id;
}

/* The family of the record's name; KVTEL_INDEX_NONE: there is none. KVTEL_E_MISMATCH: the name, or one that its samples
 * have, stands for something else here. */
static enum kvtel_status match_family(struct kvtel_snapshot *snapshot, const struct kvtel_layout_family *record,
                                      const char *name, const struct kvtel_bins *layout, uint32_t *found)
{
    size_t size = strlen(name);
    const char *labelnames = name + size + 1 + strlen(name + size + 1) + 1; /* behind the help text */
    *found = find_family(snapshot, name, size);
    if (*found == KVTEL_INDEX_NONE)
        return kvtel_sample_names_check(snapshot, kvtel_snapshot_find, name, (enum kvtel_metric_type)record->type,
                                        &snapshot->arena);
    return same_family(&snapshot->families[*found], record, layout, labelnames) ? KVTEL_OK : KVTEL_E_MISMATCH;
}

/* A family of a view: its layout, and where the snapshot has it; KVTEL_INDEX_NONE: the snapshot leaves it out. */
struct mapped {
    const struct kvtel_bins *layout;
    uint32_t family;
};

/* KVTEL_E_MISMATCH as match_family(). */
static enum kvtel_status map_family(struct kvtel_snapshot *snapshot, const struct kvtel_view *view,
                                    const struct kvtel_layout_family *record, struct mapped *mapped)
{
    const char *name = view->strings + record->text_at;
    *mapped = (struct mapped){ .family = KVTEL_INDEX_NONE };
    if (record->type == KVTEL_HISTOGRAM && !(mapped->layout = layout_of(snapshot, view, record)))
        return KVTEL_E_NOMEM;
    uint32_t found;
    enum kvtel_status status = match_family(snapshot, record, name, mapped->layout, &found);
    if (status != KVTEL_OK)
        return status;
    mapped->family = found != KVTEL_INDEX_NONE ? found : (uint32_t)snapshot->family_count;
    return found != KVTEL_INDEX_NONE
               ? KVTEL_OK
               : append_family(snapshot, record, name, mapped->layout, name_hash(name, strlen(name)));
}

enum kvtel_status kvtel_snapshot_takes(struct kvtel_snapshot *snapshot, const struct kvtel_view *view)
{
    for (uint32_t i = 0; i < view->family_count; i++) {
        const struct kvtel_layout_family *record = &view->families[i];
        const char *name = view->strings + record->text_at;
        const struct kvtel_bins *layout = NULL;
        enum kvtel_status status;
        if (record->type == KVTEL_HISTOGRAM && !(layout = layout_of(snapshot, view, record)))
            return KVTEL_E_NOMEM;
        if ((status = match_family(snapshot, record, name, layout, &(uint32_t){ 0 })) != KVTEL_OK)
            return status;
    }
    return KVTEL_OK;
}

static enum kvtel_status append_series(struct kvtel_snapshot *snapshot, uint32_t family_id, const char *text,
                                       uint32_t size, uint32_t hash)
{
    struct kvtel_snapshot_entry *family = &snapshot->families[family_id];
    void *series = family->series, *places = snapshot->places;
    bool grown = grow(&series, &family->series_capacity, family->series_count, sizeof(struct kvtel_snapshot_series));
    family->series = series;
    grown =
        grown && grow(&places, &snapshot->place_capacity, snapshot->place_count, sizeof(struct kvtel_snapshot_place));
    snapshot->places = places;
    if (!grown || !kvtel_index_reserve(&snapshot->series_index))
        return KVTEL_E_NOMEM;
    const char *copy = copy_text(snapshot, text, size);
    const char **values = copy ? split(snapshot, copy, family->shown.label_count) : NULL;
    if (!values)
        return KVTEL_E_NOMEM;
    family->series[family->series_count] = (struct kvtel_snapshot_series){ .values = values, .started = UINT64_MAX };
    snapshot->places[snapshot->place_count] =
        (struct kvtel_snapshot_place){ family_id, (uint32_t)family->series_count++, hash, size, NULL };
    kvtel_index_put(&snapshot->series_index, hash, (uint32_t)snapshot->place_count++);
    return KVTEL_OK;
}

/* Copies a text, with U+FFFD in place of bytes that are not UTF-8. NULL: no memory. */
static const char *make_valid(struct kvtel_snapshot *snapshot, const char *text, size_t *size)
{
    char *copy = *size < UINT32_MAX / 3 ? kvtel_arena_alloc(&snapshot->arena, 3 * *size) : NULL;
    if (copy)
        *size = kvtel_utf8_repair(text, *size, copy);
    return copy;
}

/* Finds or makes the place of a label set. Label values are made valid UTF-8 first: values that the exposition would
 * show as equal are one series. */
static enum kvtel_status map_series(struct kvtel_snapshot *snapshot, uint32_t family, const char *text, uint32_t size,
                                    uint32_t *mapped)
{
    size_t valid_size = size;
    if (!kvtel_utf8_is_valid(text, size)) {
        if (!(text = make_valid(snapshot, text, &valid_size)))
            return KVTEL_E_NOMEM;
        size = (uint32_t)valid_size;
    }
    uint32_t hash = kvtel_index_hash(kvtel_hash(family, text, size));
    size_t probe = 0;
    for (uint32_t id; (id = kvtel_index_next(&snapshot->series_index, hash, &probe)) != KVTEL_INDEX_NONE;) {
        const struct kvtel_snapshot_place *place = &snapshot->places[id];
        if (place->family == family && place->text_size == size &&
            (size == 0 || memcmp(kvtel_snapshot_series_at(snapshot, id)->values[0], text, size) == 0)) {
            *mapped = id;
            return KVTEL_OK;
        }
    }
    *mapped = (uint32_t)snapshot->place_count;
    return append_series(snapshot, family, text, size, hash);
}

enum kvtel_status kvtel_snapshot_map(struct kvtel_snapshot *snapshot, struct kvtel_addition *addition)
{
    const struct kvtel_view *view = addition->view;
    uint32_t *places = addition->places;
    struct kvtel_collected *collected = addition->collected;
    struct mapped *families = kvtel_arena_alloc(&snapshot->arena, (view->family_count + 1) * sizeof(*families));
    if (!families)
        return KVTEL_E_NOMEM;
    for (uint32_t i = 0; i < view->family_count; i++) {
        enum kvtel_status status = map_family(snapshot, view, &view->families[i], &families[i]);
        if (status == KVTEL_E_MISMATCH)
            addition->mismatch = true;
        else if (status != KVTEL_OK)
            return status;
    }
    for (uint32_t i = 0; i < view->series_count; i++) {
        const struct kvtel_layout_series *series = &view->series[i];
        uint32_t family = families[series->family].family;
        collected[i] = (struct kvtel_collected){ .layout = families[series->family].layout };
        places[i] = KVTEL_INDEX_NONE;
        if (family == KVTEL_INDEX_NONE || kvtel_layout_is_removed(series))
            continue;
        enum kvtel_status status =
            map_series(snapshot, family, view->strings + series->text_at, series->text_size, &places[i]);
        if (status != KVTEL_OK)
            return status;
    }
    return KVTEL_OK;
}

size_t kvtel_snapshot_family_count(const struct kvtel_snapshot *snapshot)
{
    return snapshot->shown_families;
}

const struct kvtel_snapshot_family *kvtel_snapshot_family(const struct kvtel_snapshot *snapshot, size_t i)
{
    return i < snapshot->shown_families ? &snapshot->families[i].shown : NULL;
}

const struct kvtel_snapshot_family *kvtel_snapshot_find(const struct kvtel_snapshot *snapshot, const char *name)
{
    uint32_t id = find_family(snapshot, name, strlen(name));
    return id != KVTEL_INDEX_NONE ? &snapshot->families[id].shown : NULL;
}
