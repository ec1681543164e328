/* SPDX-License-Identifier: Apache-2.0 */
/* Snapshots: what stores hold, merged by family and label set. */
#include "store/snapshot.h"
#include "store/store.h"

#include <math.h>
#include <stdlib.h>

/* Bounds differ from store to store only where stores are made to differ: past this many the cache starts anew. */
enum { LAYOUTS_KEPT = 256 };

struct family {
    struct kvtel_snapshot_family shown; /* its series_count is what an add has completed */
    const struct kvtel_bins *layout;
    struct kvtel_snapshot_series *series;
    size_t series_count, series_capacity;
    uint32_t hash;
};

/* Where a label set stands, for the index. */
struct place {
    uint32_t family, position;
    uint32_t hash;
    uint32_t text_size;
    uint64_t add; /* the last that had it: a store has each label set once */
};

struct kvtel_snapshot {
    struct family *families; /* those past family_capacity's used part keep their series' memory */
    size_t family_count, shown_families, family_capacity;
    struct place *places;
    size_t place_count, shown_places, place_capacity;
    struct kvtel_index family_index, series_index;
    struct kvtel_bins *layouts;
    size_t layout_count;
    uint64_t adds;
    struct kvtel_arena arena;
    struct kvtel_worker workers[KVTEL_WORKERS];
};

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
    for (size_t i = 0; i < KVTEL_WORKERS; i++) {
        kvtel_arena_free(&snapshot->workers[i].arena);
        free(snapshot->workers[i].scratch.words);
    }
    free(snapshot);
}

struct kvtel_worker *kvtel_snapshot_worker(struct kvtel_snapshot *snapshot, size_t i)
{
    return &snapshot->workers[i];
}

void kvtel_snapshot_reset(struct kvtel_snapshot *snapshot)
{
    snapshot->family_count = snapshot->shown_families = 0;
    snapshot->place_count = snapshot->shown_places = 0;
    kvtel_index_clear(&snapshot->family_index);
    kvtel_index_clear(&snapshot->series_index);
    kvtel_arena_reset(&snapshot->arena);
    for (size_t i = 0; i < KVTEL_WORKERS; i++)
        kvtel_arena_reset(&snapshot->workers[i].arena);
    if (snapshot->layout_count > LAYOUTS_KEPT) {
        kvtel_bins_free(snapshot->layouts);
        snapshot->layouts = NULL;
        snapshot->layout_count = 0;
    }
}

/* Room for one more element. `fresh` elements are zeroed. False without memory: nothing changed. */
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

/* Pointers to `count` texts that stand one after the other. */
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
        kvtel_bins_get(&snapshot->layouts, family->bound_count > 0 ? view->bounds + family->bounds_at : NULL, family->bound_count,
                       family->exponential_first, family->exponential_count);
    snapshot->layout_count += snapshot->layouts != first;
    return layout;
}

static bool same_family(const struct family *family, const struct kvtel_layout_family *other, const struct kvtel_bins *layout,
                        const char *labelnames)
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

static enum kvtel_status append_family(struct kvtel_snapshot *snapshot, const struct kvtel_layout_family *record, const char *text,
                                       const struct kvtel_bins *layout, uint32_t hash)
{
    void *families = snapshot->families;
    if (!grow(&families, &snapshot->family_capacity, snapshot->family_count, sizeof(struct family)))
        return KVTEL_E_NOMEM;
    snapshot->families = families;
    const char *name = copy_text(snapshot, text, record->text_size);
    const char **texts = name ? split(snapshot, name, 2 + record->label_count) : NULL;
    if (!texts || !kvtel_index_reserve(&snapshot->family_index))
        return KVTEL_E_NOMEM;
    struct family *family = &snapshot->families[snapshot->family_count];
    family->shown = (struct kvtel_snapshot_family){ .name = name, .type = (enum kvtel_metric_type)record->type, .help = texts[1] };
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

/* KVTEL_E_MISMATCH: the name stands for something else here. */
static enum kvtel_status map_family(struct kvtel_snapshot *snapshot, const struct kvtel_view *view,
                                    const struct kvtel_layout_family *record, uint32_t *mapped)
{
    const char *name = view->strings + record->text_at;
    size_t size = strlen(name) + 1, probe = 0;
    const struct kvtel_bins *layout = NULL;
    if (record->type == KVTEL_HISTOGRAM && !(layout = layout_of(snapshot, view, record)))
        return KVTEL_E_NOMEM;
    uint32_t hash = kvtel_index_hash(kvtel_hash(0, name, size));
    for (uint32_t id; (id = kvtel_index_next(&snapshot->family_index, hash, &probe)) != KVTEL_INDEX_NONE;) {
        if (strcmp(snapshot->families[id].shown.name, name) == 0) {
            *mapped = id;
            return same_family(&snapshot->families[id], record, layout, name + size + strlen(name + size) + 1) ? KVTEL_OK
                                                                                                               : KVTEL_E_MISMATCH;
        }
    }
    *mapped = (uint32_t)snapshot->family_count;
    return append_family(snapshot, record, name, layout, hash);
}

static enum kvtel_status append_series(struct kvtel_snapshot *snapshot, uint32_t family_id, const char *text, uint32_t size,
                                       uint32_t hash)
{
    struct family *family = &snapshot->families[family_id];
    void *series = family->series, *places = snapshot->places;
    bool grown = grow(&series, &family->series_capacity, family->series_count, sizeof(struct kvtel_snapshot_series));
    family->series = series;
    grown = grown && grow(&places, &snapshot->place_capacity, snapshot->place_count, sizeof(struct place));
    snapshot->places = places;
    if (!grown || !kvtel_index_reserve(&snapshot->series_index))
        return KVTEL_E_NOMEM;
    const char *copy = copy_text(snapshot, text, size);
    const char **values = copy ? split(snapshot, copy, family->shown.label_count) : NULL;
    if (!values)
        return KVTEL_E_NOMEM;
    family->series[family->series_count] = (struct kvtel_snapshot_series){ .values = values };
    snapshot->places[snapshot->place_count] = (struct place){ family_id, (uint32_t)family->series_count++, hash, size, 0 };
    kvtel_index_put(&snapshot->series_index, hash, (uint32_t)snapshot->place_count++);
    return KVTEL_OK;
}

static struct kvtel_snapshot_series *series_at(const struct kvtel_snapshot *snapshot, uint32_t place)
{
    return &snapshot->families[snapshot->places[place].family].series[snapshot->places[place].position];
}

static enum kvtel_status map_series(struct kvtel_snapshot *snapshot, uint32_t family, const char *text, uint32_t size,
                                    uint32_t *mapped)
{
    uint32_t hash = kvtel_index_hash(kvtel_hash(family, text, size));
    size_t probe = 0;
    for (uint32_t id; (id = kvtel_index_next(&snapshot->series_index, hash, &probe)) != KVTEL_INDEX_NONE;) {
        const struct place *place = &snapshot->places[id];
        if (place->family == family && place->text_size == size &&
            (size == 0 || memcmp(series_at(snapshot, id)->values[0], text, size) == 0)) {
            *mapped = id;
            return KVTEL_OK;
        }
    }
    *mapped = (uint32_t)snapshot->place_count;
    return append_series(snapshot, family, text, size, hash);
}

/* Finds or makes the places of all series; those of families that do not match get KVTEL_INDEX_NONE and no layout. */
static enum kvtel_status map_all(struct kvtel_snapshot *snapshot, struct kvtel_addition *addition)
{
    const struct kvtel_view *view = addition->view;
    uint32_t *places = addition->places;
    struct kvtel_collected *collected = addition->collected;
    uint32_t *families = kvtel_arena_alloc(&snapshot->arena, (view->family_count + 1) * sizeof(*families));
    if (!families)
        return KVTEL_E_NOMEM;
    for (uint32_t i = 0; i < view->family_count; i++) {
        enum kvtel_status status = map_family(snapshot, view, &view->families[i], &families[i]);
        if (status == KVTEL_E_MISMATCH) {
            families[i] = KVTEL_INDEX_NONE;
            addition->mismatch = true;
        } else if (status != KVTEL_OK) {
            return status;
        }
    }
    for (uint32_t i = 0; i < view->series_count; i++) {
        const struct kvtel_layout_series *series = &view->series[i];
        uint32_t family = families[series->family];
        collected[i] = (struct kvtel_collected){ .layout = NULL };
        places[i] = KVTEL_INDEX_NONE;
        if (family == KVTEL_INDEX_NONE)
            continue;
        enum kvtel_status status = map_series(snapshot, family, view->strings + series->text_at, series->text_size, &places[i]);
        if (status != KVTEL_OK)
            return status;
        if (snapshot->places[places[i]].add == snapshot->adds)
            return KVTEL_E_FORMAT;
        snapshot->places[places[i]].add = snapshot->adds;
        collected[i].layout = snapshot->families[family].layout;
    }
    return KVTEL_OK;
}

/* Makes room in what is shown for the bins to come. What it says stays the same. */
static enum kvtel_status widen_shown(struct kvtel_snapshot *snapshot, const struct kvtel_addition *addition)
{
    const uint32_t *places = addition->places;
    const struct kvtel_collected *collected = addition->collected;
    for (uint32_t i = 0; i < addition->view->series_count; i++) {
        if (places[i] == KVTEL_INDEX_NONE || collected[i].bin_count == 0)
            continue;
        struct kvtel_snapshot_series *shown = series_at(snapshot, places[i]);
        if (shown->bin_count == 0)
            continue;
        struct kvtel_collected wide = { .layout = collected[i].layout, .first = shown->first_bin, .bin_count = shown->bin_count };
        wide.bins = (uint64_t *)(uintptr_t)shown->bins;
        if (!kvtel_collected_widen(&wide, &snapshot->arena, collected[i].first, collected[i].first + collected[i].bin_count))
            return KVTEL_E_NOMEM;
        shown->bins = wide.bins;
        shown->first_bin = wide.first;
        shown->bin_count = wide.bin_count;
    }
    return KVTEL_OK;
}

static void merge(struct kvtel_snapshot_series *shown, const struct kvtel_collected *collected, enum kvtel_metric_type type)
{
    if (type == KVTEL_COUNTER) {
        shown->value += collected->value;
    } else if (type == KVTEL_GAUGE && collected->stamp > shown->stamp) {
        shown->value = collected->value;
        shown->stamp = collected->stamp;
    }
    shown->count += collected->count;
    shown->sum += collected->sum;
    if (shown->bin_count == 0) {
        shown->bins = collected->bins;
        shown->first_bin = collected->first;
        shown->bin_count = collected->bin_count;
        return;
    }
    uint64_t *bins = (uint64_t *)(uintptr_t)shown->bins + (collected->first - shown->first_bin);
    for (uint32_t i = 0; i < collected->bin_count; i++)
        bins[i] += collected->bins[i];
}

/* The pointers that callers get may have moved. */
static void show(struct kvtel_snapshot *snapshot)
{
    snapshot->shown_families = snapshot->family_count;
    snapshot->shown_places = snapshot->place_count;
    for (size_t i = 0; i < snapshot->family_count; i++) {
        snapshot->families[i].shown.series = snapshot->families[i].series;
        snapshot->families[i].shown.series_count = snapshot->families[i].series_count;
    }
}

void kvtel_snapshot_take_back(struct kvtel_snapshot *snapshot)
{
    snapshot->family_count = snapshot->shown_families;
    snapshot->place_count = snapshot->shown_places;
    kvtel_index_clear(&snapshot->family_index);
    kvtel_index_clear(&snapshot->series_index);
    for (size_t i = 0; i < snapshot->family_count; i++) {
        snapshot->families[i].series_count = snapshot->families[i].shown.series_count;
        kvtel_index_put(&snapshot->family_index, snapshot->families[i].hash, (uint32_t)i);
    }
    for (size_t i = 0; i < snapshot->place_count; i++)
        kvtel_index_put(&snapshot->series_index, snapshot->places[i].hash, (uint32_t)i);
    show(snapshot);
}

enum kvtel_status kvtel_snapshot_begin(struct kvtel_snapshot *snapshot, struct kvtel_addition *addition)
{
    size_t count = (size_t)addition->view->series_count + 1;
    addition->places = kvtel_arena_alloc(&snapshot->arena, count * sizeof(*addition->places));
    addition->collected = kvtel_arena_alloc(&snapshot->arena, count * sizeof(*addition->collected));
    addition->mismatch = false;
    snapshot->adds++;
    return addition->places && addition->collected ? map_all(snapshot, addition) : KVTEL_E_NOMEM;
}

enum kvtel_status kvtel_snapshot_finish(struct kvtel_snapshot *snapshot, const struct kvtel_addition *addition)
{
    const uint32_t *places = addition->places;
    enum kvtel_status status = widen_shown(snapshot, addition);
    if (status != KVTEL_OK)
        return status;
    for (uint32_t i = 0; i < addition->view->series_count; i++) {
        if (places[i] == KVTEL_INDEX_NONE)
            continue;
        enum kvtel_metric_type type = snapshot->families[snapshot->places[places[i]].family].shown.type;
        merge(series_at(snapshot, places[i]), &addition->collected[i], type);
    }
    show(snapshot);
    return addition->mismatch ? KVTEL_E_MISMATCH : KVTEL_OK;
}

enum kvtel_status kvtel_snapshot_add_view(struct kvtel_snapshot *snapshot, const struct kvtel_view *view)
{
    struct kvtel_addition addition = { .view = view };
    struct kvtel_worker *worker = kvtel_snapshot_worker(snapshot, 0);
    enum kvtel_status status = kvtel_snapshot_begin(snapshot, &addition);
    if (status == KVTEL_OK)
        status = kvtel_collect(view, &worker->arena, &worker->scratch, addition.collected);
    enum kvtel_status collected = status;
    if (status == KVTEL_OK || status == KVTEL_E_MISMATCH)
        status = kvtel_snapshot_finish(snapshot, &addition);
    if (status == KVTEL_OK)
        status = collected;
    if (status != KVTEL_OK && status != KVTEL_E_MISMATCH)
        kvtel_snapshot_take_back(snapshot);
    return status;
}

enum kvtel_status kvtel_snapshot_add(struct kvtel_snapshot *snapshot, const struct kvtel_store *store)
{
    struct kvtel_view view = kvtel_store_view(store);
    return kvtel_snapshot_add_view(snapshot, &view);
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
    uint32_t hash = kvtel_index_hash(kvtel_hash(0, name, strlen(name) + 1));
    size_t probe = 0;
    for (uint32_t id; (id = kvtel_index_next(&snapshot->family_index, hash, &probe)) != KVTEL_INDEX_NONE;) {
        if (strcmp(snapshot->families[id].shown.name, name) == 0)
            return &snapshot->families[id].shown;
    }
    return NULL;
}

double kvtel_snapshot_quantile(const struct kvtel_snapshot_family *family, const struct kvtel_snapshot_series *series, double q)
{
    if (series->count == 0 || !(q >= 0 && q <= 1))
        return NAN;
    double rank = q * (double)series->count;
    uint64_t below = 0;
    uint32_t i = 0;
    while (i + 1 < series->bin_count && ((double)(below + series->bins[i]) < rank || below + series->bins[i] == 0))
        below += series->bins[i++];
    uint32_t bin = series->first_bin + i;
    if (bin == family->bound_count)
        return bin > 0 ? family->bounds[bin - 1] : NAN;
    double high = family->bounds[bin], low = bin > 0 ? family->bounds[bin - 1] : 0;
    if ((family->unit == KVTEL_UNIT_COUNT || family->unit == KVTEL_UNIT_BYTES) && high < 0x1p53) {
        double whole = (double)(int64_t)high;
        if (whole > low && whole - 1 <= low)
            return whole; /* the only whole number in the bin */
    }
    /* as far from either end, relative to it */
    return low > 0 ? 2 * low * high / (low + high) : high;
}
