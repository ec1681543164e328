/* SPDX-License-Identifier: Apache-2.0 */
/* The tables of a store: families, series, groups. They are appended under the store's lock and published by one
 * release store each. */
#include "base/metric.h"
#include "record/lane.h"
#include "record/hold.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static uint64_t realtime_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* Makes sure that the table has memory for `bytes` more. */
static enum kvtel_status reserve(struct kvtel_store *store, enum kvtel_table table, size_t bytes)
{
    const struct kvtel_layout_table *place = &store->header->tables[table];
    struct kvtel_extent *extent = &store->tables[table];
    if (bytes > place->size - extent->used)
        return KVTEL_E_LIMIT;
    uint64_t goal = kvtel_memory_goal(extent, extent->used + bytes, place->size);
    if (goal > extent->reserved &&
        (!kvtel_store_reach(store) ||
         !kvtel_memory_extend(store->fd, store->header, 0, place->at + extent->reserved, place->at + goal)))
        return KVTEL_E_NOMEM;
    extent->reserved = goal;
    return KVTEL_OK;
}

/* Takes bytes that reserve() has given memory to. */
static void *take(struct kvtel_store *store, enum kvtel_table table, size_t bytes)
{
    void *place = (char *)kvtel_store_table(store, table) + store->tables[table].used;
    store->tables[table].used += bytes;
    return place;
}

/* Gives memory to more slots and words in every lane. */
static enum kvtel_status reserve_lanes(struct kvtel_store *store, uint64_t slots, uint64_t words)
{
    struct kvtel_layout_header *header = store->header;
    uint64_t slots_end = store->slots.used + slots * KVTEL_SLOT_WORDS * sizeof(kvtel_word);
    uint64_t bulk_end = store->bulk.used + words * sizeof(kvtel_word);
    uint64_t bulk_size = header->lane_stride - header->slots_size;
    if (slots_end > header->slots_size || bulk_end > bulk_size)
        return KVTEL_E_LIMIT;
    uint64_t slots_goal = kvtel_memory_goal(&store->slots, slots_end, header->slots_size);
    uint64_t bulk_goal = kvtel_memory_goal(&store->bulk, bulk_end, bulk_size);
    uint64_t lane_count = atomic_load_explicit(&header->lane_count, memory_order_relaxed);
    bool grows = slots_goal > store->slots.reserved || bulk_goal > store->bulk.reserved;
    if (grows && lane_count > 0 && !kvtel_store_reach(store))
        return KVTEL_E_NOMEM;
    for (uint64_t i = 0; grows && i < lane_count; i++) {
        if (!kvtel_lane_extend(store, i, store->lanes[i]->words,
                               (struct kvtel_extent){ store->slots.reserved, slots_goal },
                               (struct kvtel_extent){ store->bulk.reserved, bulk_goal }))
            return KVTEL_E_NOMEM;
    }
    store->slots.reserved = slots_goal;
    store->bulk.reserved = bulk_goal;
    return KVTEL_OK;
}

/* Takes slots that follow one another and returns the first. */
static uint32_t take_slots(struct kvtel_store *store, uint32_t count)
{
    uint64_t slot = store->slots.used / (KVTEL_SLOT_WORDS * sizeof(kvtel_word));
    store->slots.used += count * KVTEL_SLOT_WORDS * sizeof(kvtel_word);
    return (uint32_t)slot;
}

static uint32_t series_slots(const struct kvtel_bins *bins)
{
    return bins ? kvtel_slots_of(bins->explicit_count) : 1;
}

/* Takes words of every lane and returns the index of the first. Whole cache lines are taken, so that bins and blocks
 * do not share one. */
static uint64_t take_words(struct kvtel_store *store, uint64_t words)
{
    uint64_t word = (store->header->slots_size + store->bulk.used) / sizeof(kvtel_word);
    store->bulk.used += words * sizeof(kvtel_word);
    return word;
}

static uint64_t whole_lines(uint64_t words)
{
    return (words + 7) / 8 * 8;
}

/* Size of the texts, which are stored one after the other, each followed by a NUL. */
static size_t texts_size(const char *const *texts, size_t count)
{
    size_t size = 0;
    for (size_t i = 0; i < count; i++)
        size += strlen(texts[i]) + 1;
    return size;
}

static uint32_t texts_hash(uint32_t seed, const char *const *texts, size_t count)
{
    uint64_t hash = seed;
    for (size_t i = 0; i < count; i++)
        hash = kvtel_store_hash_text(hash, texts[i]);
    return kvtel_index_hash(hash);
}

static bool texts_equal(const char *stored, const char *const *texts, size_t count)
{
    for (size_t i = 0; i < count; i++, stored += strlen(stored) + 1) {
        if (strcmp(stored, texts[i]) != 0)
            return false;
    }
    return true;
}

static uint64_t put_texts(struct kvtel_store *store, const char *const *texts, size_t count)
{
    uint64_t at = store->tables[KVTEL_STRINGS].used;
    for (size_t i = 0; i < count; i++) {
        size_t size = strlen(texts[i]) + 1;
        memcpy(take(store, KVTEL_STRINGS, size), texts[i], size);
    }
    return at;
}

static enum kvtel_status check_spec(const struct kvtel_family_spec *spec, size_t *bound_count)
{
    *bound_count = spec->type == KVTEL_HISTOGRAM && spec->buckets ? spec->buckets->count : 0;
    if (!kvtel_is_name(spec->name, true) || (unsigned)spec->type > KVTEL_HISTOGRAM ||
        (unsigned)spec->unit > KVTEL_UNIT_RATIO)
        return KVTEL_E_ARGUMENT;
    if ((spec->label_count > 0 && !spec->labelnames) || (*bound_count > 0 && !spec->buckets->bounds))
        return KVTEL_E_ARGUMENT;
    for (size_t i = 0; i < spec->label_count; i++) {
        if (!kvtel_is_name(spec->labelnames[i], false) ||
            (spec->type == KVTEL_HISTOGRAM && strcmp(spec->labelnames[i], "le") == 0))
            return KVTEL_E_ARGUMENT;
        for (size_t k = 0; k < i; k++) {
            if (strcmp(spec->labelnames[k], spec->labelnames[i]) == 0)
                return KVTEL_E_ARGUMENT;
        }
    }
    for (size_t i = 0; i < *bound_count; i++) {
        if (!kvtel_is_bound(spec->buckets->bounds[i], i > 0 ? spec->buckets->bounds[i - 1] : -1))
            return KVTEL_E_ARGUMENT;
    }
    return spec->label_count > KVTEL_LAYOUT_LABELS || *bound_count > KVTEL_LAYOUT_BOUNDS ? KVTEL_E_LIMIT : KVTEL_OK;
}

/* Counts label sets that were refused, whichever resource was short. */
static void count_series_dropped(struct kvtel_store *store, uint64_t count)
{
    atomic_fetch_add_explicit(&store->header->series_dropped, count, memory_order_relaxed);
}

static bool same_family(const struct kvtel_store *store, const struct kvtel_layout_family *family,
                        const struct kvtel_family_spec *spec, size_t bound_count)
{
    const char *help = (const char *)kvtel_store_table(store, KVTEL_STRINGS) + family->text_at + strlen(spec->name) + 1;
    const double *bounds = (const double *)kvtel_store_table(store, KVTEL_BOUNDS) + family->bounds_at;
    return family->type == (uint32_t)spec->type && family->label_count == spec->label_count &&
           family->bound_count == bound_count &&
           (spec->type != KVTEL_HISTOGRAM || family->unit == (uint32_t)spec->unit) &&
           texts_equal(help + strlen(help) + 1, spec->labelnames, spec->label_count) &&
           (bound_count == 0 || memcmp(bounds, spec->buckets->bounds, bound_count * sizeof(double)) == 0);
}

/* The index holds families as ids above all series. */
static const uint32_t family_bit = 1u << 31;

/* KVTEL_INDEX_NONE: not found. */
static uint32_t find_family(const struct kvtel_store *store, const char *name, uint32_t hash)
{
    const struct kvtel_layout_family *families = kvtel_store_table(store, KVTEL_FAMILIES);
    const char *strings = kvtel_store_table(store, KVTEL_STRINGS);
    size_t probe = 0;
    for (uint32_t id; (id = kvtel_index_next(&store->index, hash, &probe)) != KVTEL_INDEX_NONE;) {
        if (id & family_bit && strcmp(strings + families[id & ~family_bit].text_at, name) == 0)
            return id & ~family_bit;
    }
    return KVTEL_INDEX_NONE;
}

static enum kvtel_status append_family(struct kvtel_store *store, const struct kvtel_family_spec *spec,
                                       size_t bound_count, uint32_t hash, uint32_t *family)
{
    const char *texts[2 + KVTEL_LAYOUT_LABELS] = { spec->name, spec->help ? spec->help : "" };
    for (size_t i = 0; i < spec->label_count; i++)
        texts[2 + i] = spec->labelnames[i];
    size_t text_count = 2 + spec->label_count, size = texts_size(texts, text_count);
    struct kvtel_layout_family record = { .type = (uint32_t)spec->type,
                                          .unit = (uint32_t)spec->unit,
                                          .text_size = (uint32_t)size };
    record.label_count = (uint32_t)spec->label_count;
    record.bound_count = (uint32_t)bound_count;
    record.bounds_at = (uint32_t)(store->tables[KVTEL_BOUNDS].used / sizeof(double));
    if (spec->type == KVTEL_HISTOGRAM)
        kvtel_bins_range(spec->unit, &record.exponential_first, &record.exponential_count);

    enum kvtel_status status;
    if (size > UINT32_MAX)
        return KVTEL_E_LIMIT;
    if ((status = reserve(store, KVTEL_STRINGS, size)) != KVTEL_OK ||
        (status = reserve(store, KVTEL_BOUNDS, bound_count * sizeof(double))) != KVTEL_OK ||
        (status = reserve(store, KVTEL_FAMILIES, sizeof(record))) != KVTEL_OK)
        return status;
    const struct kvtel_bins *bins = NULL;
    if (!kvtel_index_reserve(&store->index) ||
        (spec->type == KVTEL_HISTOGRAM &&
         !(bins = kvtel_bins_get(&store->bins, bound_count ? spec->buckets->bounds : NULL, (uint32_t)bound_count,
                                 record.exponential_first, record.exponential_count))))
        return KVTEL_E_NOMEM;

    uint32_t id = (uint32_t)atomic_load_explicit(&store->header->family_count, memory_order_relaxed);
    record.text_at = put_texts(store, texts, text_count);
    if (bound_count > 0)
        memcpy(take(store, KVTEL_BOUNDS, bound_count * sizeof(double)), spec->buckets->bounds,
               bound_count * sizeof(double));
    memcpy(take(store, KVTEL_FAMILIES, sizeof(record)), &record, sizeof(record));
    store->families[id] = (struct kvtel_family_local){ .bins = bins };
    kvtel_index_put(&store->index, hash, id | family_bit);
    /* pairs with the acquire loads of kvtel_store_view() and of the reader of a file */
    atomic_store_explicit(&store->header->family_count, id + 1, memory_order_release);
    *family = id;
    return KVTEL_OK;
}

enum kvtel_status kvtel_store_family(struct kvtel_store *store, const struct kvtel_family_spec *spec, uint32_t *family)
{
    size_t bound_count;
    enum kvtel_status status = kvtel_store_is_own(store) ? check_spec(spec, &bound_count) : KVTEL_E_BUSY;
    if (status != KVTEL_OK)
        return status;
    uint32_t hash = texts_hash(family_bit, &spec->name, 1);
    struct kvtel_hold hold;
    if (!kvtel_store_hold(store, &hold))
        return KVTEL_E_BUSY;
    uint32_t id = find_family(store, spec->name, hash);
    if (id == KVTEL_INDEX_NONE) {
        if ((status = append_family(store, spec, bound_count, hash, family)) != KVTEL_OK)
            /* at least one label set is lost; further ones are not requested, so they are not counted */
            count_series_dropped(store, 1);
    } else if (same_family(store, (struct kvtel_layout_family *)kvtel_store_table(store, KVTEL_FAMILIES) + id, spec,
                           bound_count)) {
        *family = id;
    } else {
        status = KVTEL_E_MISMATCH;
    }
    kvtel_store_release(store, &hold);
    kvtel_store_check_file(store);
    return status;
}

static uint32_t find_series(const struct kvtel_store *store, uint32_t family, const char *const *values, size_t count,
                            uint32_t hash)
{
    const struct kvtel_layout_series *series = kvtel_store_table(store, KVTEL_SERIES);
    const char *strings = kvtel_store_table(store, KVTEL_STRINGS);
    size_t probe = 0;
    for (uint32_t id; (id = kvtel_index_next(&store->index, hash, &probe)) != KVTEL_INDEX_NONE;) {
        if (!(id & family_bit) && series[id].family == family &&
            texts_equal(strings + series[id].text_at, values, count))
            return id;
    }
    return KVTEL_INDEX_NONE;
}

/* The room that those of the requested series need that do not exist yet. The store is held. */
struct need {
    uint64_t series, histograms, slots, words, strings;
};

static bool has_room(const struct kvtel_store *store, const struct need *need)
{
    const struct kvtel_layout_header *header = store->header;
    const uint64_t bytes[KVTEL_TABLES] = {
        [KVTEL_SERIES] = need->series * sizeof(struct kvtel_layout_series),
        [KVTEL_GROUPS] = need->histograms * sizeof(struct kvtel_layout_group),
        [KVTEL_FEEDS] = need->histograms * sizeof(struct kvtel_layout_feed),
        [KVTEL_STRINGS] = need->strings,
    };
    for (size_t i = 0; i < KVTEL_TABLES; i++)
        if (bytes[i] > header->tables[i].size - store->tables[i].used)
            return false;
    return store->slots.used + need->slots * KVTEL_SLOT_WORDS * sizeof(kvtel_word) <= header->slots_size &&
           store->bulk.used + need->words * sizeof(kvtel_word) <= header->lane_stride - header->slots_size;
}

enum kvtel_status kvtel_store_room(struct kvtel_store *store, const struct kvtel_series_request *requests, size_t count)
{
    struct need need = { 0 };
    struct kvtel_hold hold;
    bool fits = true;
    if (!kvtel_store_is_own(store) || !kvtel_store_hold(store, &hold))
        return KVTEL_E_BUSY;
    for (size_t i = 0; i < count; i++) {
        const struct kvtel_series_request *request = &requests[i];
        struct kvtel_family_local *local = &store->families[request->family];
        uint32_t hash = texts_hash(request->family, request->values, request->count);
        if (find_series(store, request->family, request->values, request->count, hash) != KVTEL_INDEX_NONE)
            continue;
        fits &= local->wanted++ < store->header->max_series - local->series_count; /* never more than the most */
        need.series++;
        need.strings += texts_size(request->values, request->count);
        need.slots += series_slots(local->bins) + (local->bins != NULL); /* one for the histogram's own group */
        need.histograms += local->bins != NULL;
        need.words += local->bins ? whole_lines(KVTEL_CELLS) + KVTEL_BLOCK_ROWS : 0;
    }
    fits &= has_room(store, &need);
    for (size_t i = 0; i < count; i++)
        store->families[requests[i].family].wanted = 0;
    kvtel_store_release(store, &hold);
    if (!fits)
        count_series_dropped(store, need.series);
    return fits ? KVTEL_OK : KVTEL_E_LIMIT;
}

static enum kvtel_status append_series(struct kvtel_store *store, uint32_t family, const char *const *values,
                                       size_t count, uint32_t hash, uint32_t *series)
{
    struct kvtel_family_local *local = &store->families[family];
    if (local->series_count >= store->header->max_series)
        return KVTEL_E_LIMIT;
    size_t size = texts_size(values, count);
    uint64_t cells = local->bins ? whole_lines(KVTEL_CELLS) : 0;
    uint32_t slots = series_slots(local->bins);
    uint32_t id = (uint32_t)atomic_load_explicit(&store->header->series_count, memory_order_relaxed);
    uint64_t locals_goal =
        kvtel_memory_goal(&store->locals, (id + 1) * sizeof(struct kvtel_series_local), kvtel_store_locals_size(store));
    enum kvtel_status status;
    if (size > UINT32_MAX)
        return KVTEL_E_LIMIT;
    if ((status = reserve(store, KVTEL_STRINGS, size)) != KVTEL_OK ||
        (status = reserve(store, KVTEL_SERIES, sizeof(struct kvtel_layout_series))) != KVTEL_OK ||
        (status = reserve_lanes(store, slots, cells)) != KVTEL_OK)
        return status;
    if (!kvtel_index_reserve(&store->index) ||
        !kvtel_memory_extend(-1, store->series, 0, store->locals.reserved, locals_goal))
        return KVTEL_E_NOMEM;
    store->locals.reserved = locals_goal;

    struct kvtel_layout_series record = { .family = family,
                                          .text_size = (uint32_t)size,
                                          .slot = take_slots(store, slots) };
    record.cells_at = take_words(store, cells);
    record.started_realtime_ns = realtime_ns();
    record.text_at = put_texts(store, values, count);
    memcpy(take(store, KVTEL_SERIES, sizeof(record)), &record, sizeof(record));
    const struct kvtel_layout_family *families = kvtel_store_table(store, KVTEL_FAMILIES);
    store->series[id] =
        (struct kvtel_series_local){ .bins = local->bins, .cells_at = record.cells_at, .slot = record.slot };
    store->series[id].type = (uint16_t)families[family].type;
    store->series[id].unit = (uint16_t)families[family].unit;
    local->series_count++;
    kvtel_index_put(&store->index, hash, id);
    atomic_store_explicit(&store->header->series_count, id + 1, memory_order_release); /* pairs as family_count does */
    *series = id;
    return KVTEL_OK;
}

enum kvtel_status kvtel_store_bare_series(struct kvtel_store *store, uint32_t family, const char *const *values,
                                          size_t count, uint32_t *series)
{
    if (!kvtel_store_is_own(store))
        return KVTEL_E_BUSY;
    if (family >= atomic_load_explicit(&store->header->family_count, memory_order_acquire))
        return KVTEL_E_ARGUMENT;
    const struct kvtel_layout_family *families = kvtel_store_table(store, KVTEL_FAMILIES);
    if (count != families[family].label_count || (count > 0 && !values))
        return KVTEL_E_ARGUMENT;
    for (size_t i = 0; i < count; i++) {
        if (!values[i] || strnlen(values[i], KVTEL_TEXT_LIMIT + 1) > KVTEL_TEXT_LIMIT)
            return KVTEL_E_ARGUMENT;
    }
    enum kvtel_status status = KVTEL_OK;
    uint32_t hash = texts_hash(family, values, count);
    struct kvtel_hold hold;
    if (!kvtel_store_hold(store, &hold))
        return KVTEL_E_BUSY;
    uint32_t id = find_series(store, family, values, count, hash);
    if (id == KVTEL_INDEX_NONE)
        status = append_series(store, family, values, count, hash, series);
    else
        *series = id;
    kvtel_store_release(store, &hold);
    kvtel_store_check_file(store);
    if (status != KVTEL_OK)
        count_series_dropped(store, 1);
    return status;
}

enum kvtel_status kvtel_store_own_row_group(struct kvtel_store *store, uint32_t series)
{
    const struct kvtel_row_group *group;
    const struct kvtel_row_group_feed feed = { .series = series, .kind = KVTEL_COLUMN_OBSERVE };
    if (!store->series[series].bins)
        return KVTEL_OK;
    enum kvtel_status status =
        kvtel_store_row_group(store, &feed, 1, (struct kvtel_row_group_columns){ .count = 1, .doubles = 1 }, &group);
    return status == KVTEL_E_BUSY ? KVTEL_OK : status;
}

enum kvtel_status kvtel_store_series(struct kvtel_store *store, uint32_t family, const char *const *values,
                                     size_t count, uint32_t *series)
{
    uint32_t id;
    enum kvtel_status status = kvtel_store_bare_series(store, family, values, count, &id);
    if (status != KVTEL_OK)
        return status;
    status = kvtel_store_own_row_group(store, id);
    if (status == KVTEL_OK)
        *series = id;
    else
        count_series_dropped(store, 1);
    return status;
}

static bool same_feeds(const struct kvtel_row_group *group, const struct kvtel_row_group_feed *feeds, size_t count,
                       struct kvtel_row_group_columns columns)
{
    if (group->feed_count != count || group->columns != columns.count || group->ns != columns.ns)
        return false;
    for (size_t i = 0; i < count; i++) {
        const struct kvtel_local_feed *feed = &group->feeds[i];
        if (feed->series != feeds[i].series || feed->column != feeds[i].column || feed->kind != (uint16_t)feeds[i].kind)
            return false;
    }
    return true;
}

static enum kvtel_status append_group(struct kvtel_store *store, struct kvtel_row_group *group)
{
    size_t feeds_size = group->feed_count * sizeof(struct kvtel_layout_feed);
    enum kvtel_status status;
    if ((status = reserve(store, KVTEL_FEEDS, feeds_size)) != KVTEL_OK ||
        (status = reserve(store, KVTEL_GROUPS, sizeof(struct kvtel_layout_group))) != KVTEL_OK ||
        (status = reserve_lanes(store, 1, (uint64_t)group->columns * KVTEL_BLOCK_ROWS)) != KVTEL_OK)
        return status;
    struct kvtel_layout_group record = { .columns = group->columns, .feed_count = group->feed_count, .ns = group->ns };
    uint64_t id = atomic_load_explicit(&store->header->group_count, memory_order_relaxed);
    group->line = id < KVTEL_LINE_GROUPS ? KVTEL_LINE_HEADS + (uint32_t)id : 0;
    record.slot = group->slot = take_slots(store, 1);
    record.block_at = group->block_at = take_words(store, (uint64_t)group->columns * KVTEL_BLOCK_ROWS);
    record.feeds_at = (uint32_t)(store->tables[KVTEL_FEEDS].used / sizeof(struct kvtel_layout_feed));
    struct kvtel_layout_feed *feeds = take(store, KVTEL_FEEDS, feeds_size);
    for (uint32_t i = 0; i < group->feed_count; i++)
        feeds[i] = (struct kvtel_layout_feed){ group->feeds[i].series, group->feeds[i].column, group->feeds[i].kind };
    memcpy(take(store, KVTEL_GROUPS, sizeof(record)), &record, sizeof(record));
    atomic_store_explicit(&store->header->group_count, id + 1, memory_order_release); /* pairs as family_count does */
    group->next = store->groups;
    store->groups = group;
    for (uint32_t i = 0; i < group->feed_count; i++) /* pairs with the acquire load of a lane's owner */
        atomic_store_explicit(&store->series[group->feeds[i].series].group, group, memory_order_release);
    return KVTEL_OK;
}

/* Whether the feeds are valid. Each series may occur once only, because its slot counts the folds of the group. */
static bool are_feeds(const struct kvtel_row_group_feed *feeds, size_t count, uint32_t columns)
{
    for (size_t i = 0; i < count; i++) {
        for (size_t j = 0; j < i; j++) {
            if (feeds[i].series == feeds[j].series)
                return false;
        }
        if (feeds[i].column >= columns)
            return false;
    }
    return columns <= KVTEL_LAYOUT_COLUMNS && count <= KVTEL_LAYOUT_COLUMNS;
}

/* Whether each of the first four columns feeds one histogram. Then a faster fold takes them together. */
static void choose_fold(struct kvtel_row_group *group)
{
    const struct kvtel_bins *bins[KVTEL_QUAD] = { NULL };
    uint32_t found = 0;
    group->finder = kvtel_finder_choose();
    if (group->columns < KVTEL_QUAD)
        return;
    for (uint32_t i = 0; i < group->feed_count; i++) {
        const struct kvtel_local_feed *feed = &group->feeds[i];
        if (feed->kind != KVTEL_COLUMN_OBSERVE || feed->column >= KVTEL_QUAD)
            continue;
        found += bins[feed->column] ? KVTEL_QUAD : 1; /* a column with two histograms does not count */
        bins[feed->column] = feed->bins;
        group->quad_feeds[feed->column] = (uint8_t)i;
    }
    if (found != KVTEL_QUAD)
        return;
    kvtel_quad_make(&group->quad, group->columns, bins, group->ns);
    group->is_quad = true;
}

enum kvtel_status kvtel_store_row_group(struct kvtel_store *store, const struct kvtel_row_group_feed *feeds,
                                        size_t count, struct kvtel_row_group_columns columns,
                                        const struct kvtel_row_group **made)
{
    if (!are_feeds(feeds, count, columns.count))
        return KVTEL_E_ARGUMENT;
    struct kvtel_row_group *group = malloc(sizeof(*group) + count * sizeof(struct kvtel_local_feed));
    if (!group)
        return KVTEL_E_NOMEM;
    *group = (struct kvtel_row_group){
        .columns = columns.count, .ns = columns.ns, .doubles = columns.doubles, .feed_count = (uint32_t)count
    };
    enum kvtel_status status = KVTEL_OK;
    struct kvtel_hold hold;
    if (!kvtel_store_hold(store, &hold)) {
        free(group);
        return KVTEL_E_NOMEM;
    }
    for (size_t i = 0; i < count; i++) {
        const struct kvtel_series_local *series = &store->series[feeds[i].series];
        struct kvtel_row_group *other = atomic_load_explicit(&series->group, memory_order_relaxed);
        if (other) {
            status = same_feeds(other, feeds, count, columns) ? KVTEL_OK : KVTEL_E_BUSY;
            if (status == KVTEL_OK)
                *made = other;
            kvtel_store_release(store, &hold);
            free(group);
            return status;
        }
        group->feeds[i] =
            (struct kvtel_local_feed){ .bins = series->bins, .cells_at = series->cells_at, .series = feeds[i].series };
        group->feeds[i].slot = series->slot;
        group->feeds[i].column = feeds[i].column;
        group->feeds[i].kind = (uint16_t)feeds[i].kind;
    }
    choose_fold(group);
    status = append_group(store, group);
    kvtel_store_release(store, &hold);
    if (status == KVTEL_OK)
        *made = group;
    else
        free(group);
    return status;
}
