/* SPDX-License-Identifier: Apache-2.0 */
/* The series of a store. */
#include "base/metric.h"
#include "record/hold.h"
#include "record/lane.h"
#include "record/tables.h"

#include <string.h>
#include <time.h>

static uint64_t realtime_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static uint32_t series_slots(const struct kvtel_bins *bins)
{
    return bins ? kvtel_slots_of(bins->explicit_count) : 1;
}

static uint64_t whole_lines(uint64_t words)
{
    return (words + 7) / 8 * 8;
}

static uint32_t find_series(const struct kvtel_store *store, uint32_t family, const char *const *values, size_t count,
                            uint32_t hash)
{
    const struct kvtel_layout_series *series = kvtel_store_table(store, KVTEL_SERIES);
    const char *strings = kvtel_store_table(store, KVTEL_STRINGS);
    size_t probe = 0;
    for (uint32_t id; (id = kvtel_index_next(&store->index, hash, &probe)) != KVTEL_INDEX_NONE;) {
        if (!(id & KVTEL_FAMILY_BIT) && series[id].family == family &&
            kvtel_texts_equal(strings + series[id].text_at, values, count))
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
        uint32_t hash = kvtel_texts_hash(request->family, request->values, request->count);
        if (find_series(store, request->family, request->values, request->count, hash) != KVTEL_INDEX_NONE)
            continue;
        fits &= local->wanted++ < store->header->max_series - local->series_count; /* never more than the most */
        need.series++;
        need.strings += kvtel_texts_size(request->values, request->count);
        need.slots += series_slots(local->bins) + (local->bins != NULL); /* one for the histogram's own group */
        need.histograms += local->bins != NULL;
        need.words += local->bins ? whole_lines(KVTEL_CELLS) + KVTEL_BLOCK_ROWS : 0;
    }
    fits &= has_room(store, &need);
    for (size_t i = 0; i < count; i++)
        store->families[requests[i].family].wanted = 0;
    kvtel_store_release(store, &hold);
    if (!fits)
        kvtel_store_count_series_dropped(store, need.series);
    return fits ? KVTEL_OK : KVTEL_E_LIMIT;
}

static enum kvtel_status append_series(struct kvtel_store *store, const struct kvtel_series_request *request,
                                       uint32_t hash, uint32_t *series)
{
    const uint32_t family = request->family;
    struct kvtel_family_local *local = &store->families[family];
    if (local->series_count >= store->header->max_series)
        return KVTEL_E_LIMIT;
    size_t size = kvtel_texts_size(request->values, request->count);
    uint64_t cells = local->bins ? whole_lines(KVTEL_CELLS) : 0;
    const uint32_t buckets = local->bins && request->exemplars ? local->bins->explicit_count + 1 : 0;
    const uint64_t exemplars = kvtel_exemplar_place(buckets, buckets);
    uint32_t slots = series_slots(local->bins);
    uint32_t id = (uint32_t)atomic_load_explicit(&store->header->series_count, memory_order_relaxed);
    uint64_t locals_goal =
        kvtel_memory_goal(&store->locals, (id + 1) * sizeof(struct kvtel_series_local), kvtel_store_locals_size(store));
    enum kvtel_status status;
    if (size > UINT32_MAX)
        return KVTEL_E_LIMIT;
    if ((status = kvtel_table_reserve(store, KVTEL_STRINGS, size)) != KVTEL_OK ||
        (status = kvtel_table_reserve(store, KVTEL_SERIES, sizeof(struct kvtel_layout_series))) != KVTEL_OK ||
        (status = kvtel_lanes_reserve(store, slots, cells + exemplars)) != KVTEL_OK)
        return status;
    if (!kvtel_index_reserve(&store->index) ||
        !kvtel_memory_extend(-1, store->series, 0, store->locals.reserved, locals_goal))
        return KVTEL_E_NOMEM;
    store->locals.reserved = locals_goal;

    struct kvtel_layout_series record = { .family = family,
                                          .text_size = (uint32_t)size,
                                          .slot = kvtel_lanes_take_slots(store, slots) };
    record.cells_at = kvtel_lanes_take_words(store, cells);
    record.exemplars_at = exemplars > 0 ? kvtel_lanes_take_words(store, exemplars) : 0;
    record.started_realtime_ns = realtime_ns();
    record.text_at = kvtel_texts_put(store, request->values, request->count);
    memcpy(kvtel_table_take(store, KVTEL_SERIES, sizeof(record)), &record, sizeof(record));
    const struct kvtel_layout_family *families = kvtel_store_table(store, KVTEL_FAMILIES);
    store->series[id] =
        (struct kvtel_series_local){ .bins = local->bins, .cells_at = record.cells_at, .slot = record.slot };
    store->series[id].exemplars_at = record.exemplars_at;
    store->series[id].type = (uint16_t)families[family].type;
    store->series[id].unit = (uint8_t)families[family].unit;
    local->series_count++;
    kvtel_index_put(&store->index, hash, id);
    atomic_store_explicit(&store->header->series_count, id + 1, memory_order_release); /* pairs as family_count does */
    *series = id;
    return KVTEL_OK;
}

/* Whether a family can have a series of these values. */
static enum kvtel_status check_values(const struct kvtel_store *store, uint32_t family, const char *const *values,
                                      size_t count)
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
    return KVTEL_OK;
}

enum kvtel_status kvtel_store_find_series(struct kvtel_store *store, uint32_t family, const char *const *values,
                                          size_t count, uint32_t *series)
{
    struct kvtel_hold hold;
    const enum kvtel_status status = check_values(store, family, values, count);
    if (status != KVTEL_OK)
        return status;
    if (!kvtel_store_hold(store, &hold))
        return KVTEL_E_BUSY;
    const uint32_t id = find_series(store, family, values, count, kvtel_texts_hash(family, values, count));
    kvtel_store_release(store, &hold);
    if (id == KVTEL_INDEX_NONE)
        return KVTEL_E_UNKNOWN;
    *series = id;
    return KVTEL_OK;
}

enum kvtel_status kvtel_store_bare_series(struct kvtel_store *store, const struct kvtel_series_request *request,
                                          uint32_t *series)
{
    const uint32_t family = request->family;
    const char *const *values = request->values;
    const size_t count = request->count;
    enum kvtel_status status = check_values(store, family, values, count);
    if (status != KVTEL_OK)
        return status;
    uint32_t hash = kvtel_texts_hash(family, values, count);
    struct kvtel_hold hold;
    if (!kvtel_store_hold(store, &hold))
        return KVTEL_E_BUSY;
    uint32_t id = find_series(store, family, values, count, hash);
    if (id == KVTEL_INDEX_NONE)
        status = append_series(store, request, hash, series);
    else
        *series = id;
    kvtel_store_release(store, &hold);
    kvtel_store_check_file(store);
    if (status != KVTEL_OK)
        kvtel_store_count_series_dropped(store, 1);
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

static enum kvtel_status make_series(struct kvtel_store *store, const struct kvtel_series_request *request,
                                     uint32_t *series)
{
    uint32_t id;
    enum kvtel_status status = kvtel_store_bare_series(store, request, &id);
    if (status != KVTEL_OK)
        return status;
    status = kvtel_store_own_row_group(store, id);
    if (status == KVTEL_OK)
        *series = id;
    else
        kvtel_store_count_series_dropped(store, 1);
    return status;
}

enum kvtel_status kvtel_store_series(struct kvtel_store *store, uint32_t family, const char *const *values,
                                     size_t count, uint32_t *series)
{
    const struct kvtel_series_request request = { .family = family, .values = values, .count = count };
    return make_series(store, &request, series);
}

enum kvtel_status kvtel_store_series_exemplars(struct kvtel_store *store, uint32_t family, const char *const *values,
                                               size_t count, uint32_t *series)
{
    const struct kvtel_series_request request = {
        .family = family, .values = values, .count = count, .exemplars = true
    };
    return make_series(store, &request, series);
}
