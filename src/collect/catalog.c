/* SPDX-License-Identifier: Apache-2.0 */
/* A snapshot that follows its sources. */
#include "collect/catalog.h"
#include "histogram/cell_sums.h"
#include "collect/snapshot_state.h"

#include <stdlib.h>
#include <string.h>

/* Memory of bins that were replaced by wider ones is given back by building the snapshot anew, once it is as much as
 * this and as all that the series use. */
enum { WASTE_WORDS = 1 << 19, SLACK_BINS = 8 };

uint64_t kvtel_snapshot_structure(const struct kvtel_snapshot *snapshot)
{
    return snapshot->catalog.structure;
}

uint64_t kvtel_snapshot_state(const struct kvtel_snapshot *snapshot)
{
    return snapshot->catalog.state;
}

void kvtel_snapshot_borrow(struct kvtel_snapshot *snapshot)
{
    snapshot->catalog.borrows = true;
}

/* Makes room for `count` elements. False: no memory, and nothing is changed. */
static bool reserve(void **elements, size_t *room, size_t count, size_t size)
{
    if (count <= *room)
        return true;
    size_t more = count + count / 4;
    void *larger = more <= SIZE_MAX / size ? realloc(*elements, more * size) : NULL;
    if (!larger)
        return false;
    *elements = larger;
    *room = more;
    return true;
}

static bool reserve_sources(struct kvtel_catalog *catalog, size_t count)
{
    void *sources = catalog->sources;
    bool good = reserve(&sources, &catalog->source_room, count, sizeof(*catalog->sources));
    catalog->sources = sources;
    return good;
}

static bool reserve_places(struct kvtel_catalog *catalog, size_t count)
{
    void *places = catalog->places, *feeders = catalog->feeders;
    bool good = reserve(&places, &catalog->place_room, count, sizeof(*catalog->places));
    good = reserve(&feeders, &catalog->feeder_room, count, sizeof(*catalog->feeders)) && good;
    catalog->places = places;
    catalog->feeders = feeders;
    return good;
}

static bool reserve_starts(struct kvtel_catalog *catalog, size_t count)
{
    void *starts = catalog->starts;
    bool good = reserve(&starts, &catalog->start_room, count, sizeof(*catalog->starts));
    catalog->starts = starts;
    return good;
}

/* -- Summing up -- */

static const struct kvtel_collected *number_of(const struct kvtel_followed *sources, const struct kvtel_feeder *feeder)
{
    return &sources[feeder->source].source->series[feeder->series].value;
}

/* Makes room for the bins first .. end - 1 in a shown series, and empties all its bins. False: no memory. */
static bool empty_bins(struct kvtel_snapshot *snapshot, struct kvtel_snapshot_series *shown, uint32_t most,
                       uint32_t first, uint32_t end)
{
    if (first < shown->first_bin || end > shown->first_bin + shown->bin_count) {
        uint32_t from = first > SLACK_BINS ? first - SLACK_BINS : 0;
        uint32_t to = most - end > SLACK_BINS ? end + SLACK_BINS : most;
        uint64_t *bins = kvtel_arena_alloc(&snapshot->arena, (to - from) * sizeof(*bins));
        if (!bins)
            return false;
        snapshot->catalog.wasted += shown->bin_count;
        snapshot->catalog.used += to - from;
        shown->bins = bins;
        shown->first_bin = from;
        shown->bin_count = to - from;
    }
    if (shown->bin_count > 0)
        memset((uint64_t *)(uintptr_t)shown->bins, 0, shown->bin_count * sizeof(*shown->bins));
    return true;
}

/* Makes room for the sums of the explicit buckets. False: no memory. */
static bool empty_buckets(struct kvtel_snapshot *snapshot, struct kvtel_snapshot_series *shown,
                          const struct kvtel_bins *layout)
{
    const size_t size = (layout->explicit_count + (size_t)1) * sizeof(*shown->buckets);
    if (!shown->buckets)
        shown->buckets = kvtel_arena_alloc(&snapshot->arena, size);
    if (shown->buckets)
        memset((uint64_t *)(uintptr_t)shown->buckets, 0, size);
    return shown->buckets != NULL;
}

/* Leaves the memory of a place's parts to the next building. */
static void drop_parts(struct kvtel_snapshot *snapshot, struct kvtel_snapshot_series *shown)
{
    snapshot->catalog.wasted += shown->parts ? shown->parts->room : 0;
    shown->parts = NULL;
}

/* Sums the parts of a place that adds up several numbers. Without memory it has no counts of its parts. */
static void sum_parts(struct kvtel_snapshot *snapshot, struct kvtel_snapshot_series *shown,
                      const struct kvtel_bins *layout)
{
    struct kvtel_parts *parts = (struct kvtel_parts *)(uintptr_t)shown->parts;
    const uint32_t needed = kvtel_parts_needed(layout, shown->first_bin, shown->bin_count);
    if (!parts || parts->room < needed) {
        drop_parts(snapshot, shown);
        snapshot->catalog.used += needed;
        parts = kvtel_arena_alloc(&snapshot->arena, kvtel_parts_size(needed));
        if (!parts)
            return;
        parts->room = needed;
    }
    kvtel_parts_sum(parts, layout, shown->bins, shown->first_bin, shown->bin_count);
    shown->parts = parts;
}

/* Shows the only number of a place. KVTEL_OK, KVTEL_E_LIMIT. */
static enum kvtel_status show_only(struct kvtel_snapshot_series *shown, const struct kvtel_collected *only,
                                   enum kvtel_metric_type type)
{
    if (!kvtel_snapshot_fits(&(struct kvtel_snapshot_series){ 0 }, only, type))
        return KVTEL_E_LIMIT;
    shown->value = type == KVTEL_HISTOGRAM || (type == KVTEL_GAUGE && only->stamp == 0) ? 0 : only->value;
    shown->stamp = type == KVTEL_GAUGE ? only->stamp : 0;
    shown->count = only->count;
    shown->sum = only->sum;
    shown->bins = only->bins;
    shown->first_bin = only->first;
    shown->bin_count = only->bin_count;
    shown->buckets = only->buckets;
    shown->parts = only->parts;
    shown->exemplars = only->exemplars;
    shown->exemplar_count = only->exemplar_count;
    return KVTEL_OK;
}

/* Adds a number to a place whose bins include those of the number. */
static void add_to(struct kvtel_snapshot_series *shown, const struct kvtel_collected *more,
                   const struct kvtel_bins *layout, enum kvtel_metric_type type)
{
    uint64_t *buckets = (uint64_t *)(uintptr_t)shown->buckets;
    const struct kvtel_parts *parts = shown->parts;
    kvtel_snapshot_merge(shown, more, type);
    shown->buckets = buckets;
    shown->parts = parts;
    if (buckets && more->buckets)
        kvtel_cells_add(buckets, more->buckets, layout->explicit_count + (uint64_t)1);
    else if (buckets && more->bin_count > 0)
        kvtel_buckets_add(layout, more->bins, more->first, more->bin_count, buckets);
}

/* Sums up a place anew. KVTEL_OK, KVTEL_E_NOMEM, KVTEL_E_LIMIT. */
static enum kvtel_status sum(struct kvtel_snapshot *snapshot, uint32_t place, const struct kvtel_followed *sources)
{
    const struct kvtel_catalog *catalog = &snapshot->catalog;
    const struct kvtel_feeder *from = catalog->feeders + catalog->starts[place],
                              *end = catalog->feeders + catalog->starts[place + 1];
    struct kvtel_snapshot_series *shown = kvtel_snapshot_series_at(snapshot, place);
    const struct kvtel_snapshot_entry *family = &snapshot->families[snapshot->places[place].family];
    enum kvtel_metric_type type = family->shown.type;
    uint32_t lowest = UINT32_MAX, highest = 0;
    shown->changed = catalog->state + 1;
    if (catalog->borrows && end - from == 1)
        return show_only(shown, number_of(sources, from), type);
    for (const struct kvtel_feeder *feeder = from; feeder < end; feeder++) {
        const struct kvtel_collected *more = number_of(sources, feeder);
        if (more->bin_count == 0)
            continue;
        lowest = more->first < lowest ? more->first : lowest;
        highest = more->first + more->bin_count > highest ? more->first + more->bin_count : highest;
    }
    if (lowest < highest && !empty_bins(snapshot, shown, family->layout->bound_count + 1, lowest, highest))
        return KVTEL_E_NOMEM;
    if (catalog->borrows && type == KVTEL_HISTOGRAM && !empty_buckets(snapshot, shown, family->layout))
        return KVTEL_E_NOMEM;
    if (shown->exemplars)
        memset(shown->exemplars, 0, shown->exemplar_count * sizeof(*shown->exemplars));
    shown->value = shown->sum = 0;
    shown->count = shown->stamp = 0;
    bool parts = false;
    for (const struct kvtel_feeder *feeder = from; feeder < end; feeder++) {
        const struct kvtel_collected *more = number_of(sources, feeder);
        if (!kvtel_snapshot_fits(shown, more, type))
            return KVTEL_E_LIMIT;
        if (!kvtel_snapshot_reserve_exemplars(snapshot, shown, more))
            return KVTEL_E_NOMEM;
        add_to(shown, more, family->layout, type);
        kvtel_snapshot_merge_exemplars(shown, more);
        parts |= more->parts != NULL;
    }
    if (catalog->borrows && parts)
        sum_parts(snapshot, shown, family->layout);
    else
        drop_parts(snapshot, shown);
    return KVTEL_OK;
}

/* -- Building anew -- */

/* Adds the series of a source, with their numbers or without, and notes their places, or that they have none. KVTEL_OK,
 * KVTEL_E_NOMEM. */
static enum kvtel_status add(struct kvtel_snapshot *snapshot, struct kvtel_followed *followed, bool numbers,
                             uint32_t *places)
{
    struct kvtel_addition addition = { .view = &followed->view };
    uint32_t count = followed->view.series_count;
    enum kvtel_status status = kvtel_snapshot_begin(snapshot, &addition);
    if (status == KVTEL_OK && numbers &&
        !kvtel_source_give(followed->source, kvtel_snapshot_arena(snapshot), addition.collected, count))
        status = KVTEL_E_NOMEM;
    status = kvtel_snapshot_finish(snapshot, &addition, status);
    bool added = status == KVTEL_OK || status == KVTEL_E_MISMATCH;
    for (uint32_t i = 0; i < count; i++)
        places[i] = added ? addition.places[i] : KVTEL_INDEX_NONE;
    followed->status = status;
    return status == KVTEL_E_NOMEM ? status : KVTEL_OK;
}

/* Lists, for each place, the series that feed it, in the order of the sources. */
static bool list_feeders(struct kvtel_snapshot *snapshot)
{
    struct kvtel_catalog *catalog = &snapshot->catalog;
    size_t places = snapshot->place_count;
    if (!reserve_starts(catalog, places + 2))
        return false;
    uint32_t *starts = catalog->starts + 1; /* starts[p] becomes the end of p's list while the lists are filled */
    memset(catalog->starts, 0, (places + 2) * sizeof(*starts));
    for (size_t i = 0; i < catalog->series_count; i++)
        if (catalog->places[i] != KVTEL_INDEX_NONE)
            starts[catalog->places[i] + 1]++;
    for (size_t p = 0; p < places; p++)
        starts[p + 1] += starts[p];
    for (size_t s = 0; s < catalog->source_count; s++) {
        const struct kvtel_catalog_source *source = &catalog->sources[s];
        for (uint32_t i = 0; i < source->series_count; i++) {
            uint32_t place = catalog->places[source->first + i];
            if (place != KVTEL_INDEX_NONE)
                catalog->feeders[starts[place]++] = (struct kvtel_feeder){ (uint32_t)s, i };
        }
    }
    return true;
}

/* Finds the places of all series. `numbers`: adds the numbers, too, source by source, and leaves out a source whose
 * amounts do not fit. KVTEL_OK, KVTEL_E_NOMEM. */
static enum kvtel_status build_places(struct kvtel_snapshot *snapshot, struct kvtel_followed *sources, size_t count,
                                      bool numbers)
{
    struct kvtel_catalog *catalog = &snapshot->catalog;
    size_t series = 0;
    kvtel_snapshot_reset(snapshot);
    for (size_t s = 0; s < count; s++)
        series += sources[s].view.series_count;
    if (!reserve_sources(catalog, count + 1) || !reserve_places(catalog, series + 1) || series >= UINT32_MAX)
        return KVTEL_E_NOMEM;
    bool whole = true;
    catalog->source_count = count;
    catalog->series_count = 0;
    for (size_t s = 0; s < count; s++) {
        catalog->sources[s] = (struct kvtel_catalog_source){
            .id = sources[s].source->id,
            .state = sources[s].source->state,
            .removed_count = sources[s].view.removed_count,
            .family_count = sources[s].view.family_count,
            .series_count = sources[s].view.series_count,
            .first = catalog->series_count,
        };
        if (add(snapshot, &sources[s], numbers, catalog->places + catalog->series_count) != KVTEL_OK)
            return KVTEL_E_NOMEM;
        catalog->sources[s].status = sources[s].status;
        catalog->series_count += sources[s].view.series_count;
        whole = whole && sources[s].status != KVTEL_E_LIMIT;
    }
    catalog->wasted = 0;
    catalog->used = 0;
    catalog->valid = whole; /* a source that was left out may fit the next time */
    return list_feeders(snapshot) ? KVTEL_OK : KVTEL_E_NOMEM;
}

/* Sums up all places. KVTEL_OK, KVTEL_E_NOMEM, KVTEL_E_LIMIT. */
static enum kvtel_status sum_all(struct kvtel_snapshot *snapshot, const struct kvtel_followed *sources)
{
    enum kvtel_status status = KVTEL_OK;
    for (uint32_t p = 0; p < snapshot->place_count && status == KVTEL_OK; p++)
        status = sum(snapshot, p, sources);
    return status;
}

static enum kvtel_status build(struct kvtel_snapshot *snapshot, struct kvtel_followed *sources, size_t count)
{
    struct kvtel_catalog *catalog = &snapshot->catalog;
    enum kvtel_status status = build_places(snapshot, sources, count, false);
    if (status == KVTEL_OK)
        status = sum_all(snapshot, sources);
    if (status == KVTEL_E_LIMIT)
        status = build_places(snapshot, sources, count, true);
    if (status != KVTEL_OK) {
        kvtel_snapshot_reset(snapshot);
        return status;
    }
    catalog->state++;
    catalog->structure++;
    for (uint32_t p = 0; p < snapshot->place_count; p++)
        kvtel_snapshot_series_at(snapshot, p)->changed = catalog->state;
    return KVTEL_OK;
}

/* -- Refreshing -- */

static bool is_known(const struct kvtel_catalog *catalog, const struct kvtel_followed *sources, size_t count)
{
    if (!catalog->valid || catalog->source_count != count)
        return false;
    for (size_t s = 0; s < count; s++) {
        const struct kvtel_catalog_source *known = &catalog->sources[s];
        if (known->id != sources[s].source->id || known->series_count != sources[s].view.series_count ||
            known->family_count != sources[s].view.family_count ||
            known->removed_count != sources[s].view.removed_count)
            return false;
    }
    return true;
}

static enum kvtel_status refresh(struct kvtel_snapshot *snapshot, const struct kvtel_followed *sources)
{
    struct kvtel_catalog *catalog = &snapshot->catalog;
    bool changed = false;
    for (size_t s = 0; s < catalog->source_count; s++) {
        const struct kvtel_source *source = sources[s].source;
        struct kvtel_catalog_source *known = &catalog->sources[s];
        for (uint32_t i = 0; i < known->series_count && source->state != known->state; i++) {
            uint32_t place = catalog->places[known->first + i];
            if (place == KVTEL_INDEX_NONE || source->series[i].changed <= known->state ||
                kvtel_snapshot_series_at(snapshot, place)->changed == catalog->state + 1)
                continue;
            enum kvtel_status status = sum(snapshot, place, sources);
            if (status != KVTEL_OK)
                return status;
            changed = true;
        }
        known->state = source->state;
    }
    catalog->state += changed;
    return KVTEL_OK;
}

enum kvtel_status kvtel_snapshot_follow(struct kvtel_snapshot *snapshot, struct kvtel_followed *sources, size_t count)
{
    struct kvtel_catalog *catalog = &snapshot->catalog;
    if (!is_known(catalog, sources, count) || (catalog->wasted > WASTE_WORDS && catalog->wasted > catalog->used / 2))
        return build(snapshot, sources, count);
    for (size_t s = 0; s < count; s++)
        sources[s].status = catalog->sources[s].status;
    return refresh(snapshot, sources) == KVTEL_OK ? KVTEL_OK : build(snapshot, sources, count);
}
