/* SPDX-License-Identifier: Apache-2.0 */
/* Snapshots: the values of many stores, merged. */
#include "histogram/cell_sums.h"
#include "collect/snapshot_state.h"

#include <time.h>

bool kvtel_snapshot_fits(const struct kvtel_snapshot_series *shown, const struct kvtel_collected *more,
                         enum kvtel_metric_type type)
{
    return (type == KVTEL_GAUGE || shown->value + more->value <= KVTEL_TOTAL_MAX) &&
           shown->sum + more->sum <= KVTEL_TOTAL_MAX && more->count <= KVTEL_COUNT_MAX &&
           shown->count <= KVTEL_COUNT_MAX - more->count;
}

/* Makes room for the new bins in a shown series. Its values stay the same. */
static bool widen_shown(struct kvtel_snapshot *snapshot, struct kvtel_snapshot_series *shown,
                        const struct kvtel_collected *more)
{
    if (shown->bin_count == 0 || more->bin_count == 0)
        return true;
    struct kvtel_collected wide = { .layout = more->layout, .first = shown->first_bin, .bin_count = shown->bin_count };
    wide.bins = (uint64_t *)(uintptr_t)shown->bins;
    wide.borrowed = shown->borrowed;
    if (!kvtel_collected_widen(&wide, &snapshot->arena, more->first, more->first + more->bin_count))
        return false;
    shown->bins = wide.bins;
    shown->first_bin = wide.first;
    shown->bin_count = wide.bin_count;
    shown->borrowed = wide.borrowed;
    return true;
}

void kvtel_snapshot_merge(struct kvtel_snapshot_series *shown, const struct kvtel_collected *collected,
                          enum kvtel_metric_type type)
{
    if (type == KVTEL_COUNTER) {
        shown->value += collected->value;
    } else if (type == KVTEL_GAUGE && collected->stamp > shown->stamp) {
        shown->value = collected->value;
        shown->stamp = collected->stamp;
    }
    shown->count += collected->count;
    shown->sum += collected->sum;
    if (collected->bin_count == 0)
        return;
    if (shown->bin_count == 0) {
        shown->bins = collected->bins;
        shown->buckets = collected->buckets;
        shown->parts = collected->parts;
        shown->first_bin = collected->first;
        shown->bin_count = collected->bin_count;
        shown->borrowed = collected->borrowed;
        return;
    }
    shown->buckets = NULL;
    shown->parts = NULL;
    uint64_t *bins = (uint64_t *)(uintptr_t)shown->bins + (collected->first - shown->first_bin);
    kvtel_cells_add(bins, collected->bins, collected->bin_count);
}

bool kvtel_snapshot_reserve_exemplars(struct kvtel_snapshot *snapshot, struct kvtel_snapshot_series *shown,
                                      const struct kvtel_collected *more)
{
    if (!more->exemplars || shown->exemplars)
        return true;
    const size_t size = more->exemplar_count * sizeof(*shown->exemplars);
    shown->exemplars = kvtel_arena_alloc(&snapshot->arena, size);
    if (!shown->exemplars)
        return false;
    memset(shown->exemplars, 0, size);
    shown->exemplar_count = more->exemplar_count;
    return true;
}

void kvtel_snapshot_merge_exemplars(struct kvtel_snapshot_series *shown, const struct kvtel_collected *more)
{
    if (more->exemplars)
        kvtel_exemplars_merge(shown->exemplars, more->exemplars, shown->exemplar_count);
}

/* Updates the pointers that callers get: memory may have moved. */
static void show(struct kvtel_snapshot *snapshot)
{
    snapshot->shown_families = snapshot->family_count;
    snapshot->shown_places = snapshot->place_count;
    for (size_t i = 0; i < snapshot->family_count; i++) {
        snapshot->families[i].shown.series = snapshot->families[i].series;
        snapshot->families[i].shown.series_count = snapshot->families[i].series_count;
    }
}

/* Drops everything begun and prepared since the last commit. */
static void take_back(struct kvtel_snapshot *snapshot)
{
    snapshot->family_count = snapshot->shown_families;
    snapshot->place_count = snapshot->shown_places;
    kvtel_index_clear(&snapshot->family_index);
    kvtel_index_clear(&snapshot->series_index);
    for (size_t i = 0; i < snapshot->family_count; i++) {
        snapshot->families[i].series_count = snapshot->families[i].shown.series_count;
        kvtel_index_put(&snapshot->family_index, snapshot->families[i].hash, (uint32_t)i);
    }
    for (size_t i = 0; i < snapshot->place_count; i++) {
        snapshot->places[i].pending = NULL;
        kvtel_index_put(&snapshot->series_index, snapshot->places[i].hash, (uint32_t)i);
    }
    show(snapshot);
}

enum kvtel_status kvtel_snapshot_begin(struct kvtel_snapshot *snapshot, struct kvtel_addition *addition)
{
    size_t count = (size_t)addition->view->series_count + 1;
    snapshot->catalog.valid = false;
    snapshot->catalog.structure++;
    addition->places = kvtel_arena_alloc(&snapshot->arena, count * sizeof(*addition->places));
    addition->collected = kvtel_arena_alloc(&snapshot->arena, count * sizeof(*addition->collected));
    addition->mismatch = false;
    return addition->places && addition->collected ? kvtel_snapshot_map(snapshot, addition) : KVTEL_E_NOMEM;
}

/* Prepares the sums of old and collected values and does all that can fail: KVTEL_E_NOMEM, KVTEL_E_LIMIT. Nothing is
 * shown before the commit. */
static enum kvtel_status prepare(struct kvtel_snapshot *snapshot, const struct kvtel_addition *addition)
{
    for (uint32_t i = 0; i < addition->view->series_count; i++) {
        if (addition->places[i] == KVTEL_INDEX_NONE)
            continue;
        struct kvtel_snapshot_place *place = &snapshot->places[addition->places[i]];
        struct kvtel_snapshot_series *shown = kvtel_snapshot_series_at(snapshot, addition->places[i]);
        enum kvtel_metric_type type = snapshot->families[place->family].shown.type;
        if (!kvtel_snapshot_reserve_exemplars(snapshot, shown, &addition->collected[i]))
            return KVTEL_E_NOMEM;
        if (!place->pending)
            place->pending = &addition->collected[i];
        else if (!kvtel_collected_add(place->pending, &snapshot->arena, &addition->collected[i], type))
            return KVTEL_E_NOMEM;
        if (!kvtel_snapshot_fits(shown, place->pending, type))
            return KVTEL_E_LIMIT;
        if (!widen_shown(snapshot, shown, place->pending))
            return KVTEL_E_NOMEM;
    }
    return KVTEL_OK;
}

static uint64_t realtime_ns(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_REALTIME, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* The counts of a label set are complete from the time on at which its oldest series was made. One whose time is not
 * known, or is still to come, leaves it unknown. */
static void merge_start(struct kvtel_snapshot_series *shown, uint64_t started, uint64_t now)
{
    started = started <= now ? started : 0;
    shown->started = started < shown->started ? started : shown->started;
}

/* Shows the prepared values. Cannot fail: KVTEL_OK, KVTEL_E_MISMATCH. */
static enum kvtel_status commit(struct kvtel_snapshot *snapshot, const struct kvtel_addition *addition)
{
    const uint64_t now = realtime_ns();
    for (uint32_t i = 0; i < addition->view->series_count; i++) {
        if (addition->places[i] == KVTEL_INDEX_NONE)
            continue;
        struct kvtel_snapshot_place *place = &snapshot->places[addition->places[i]];
        struct kvtel_snapshot_series *shown = kvtel_snapshot_series_at(snapshot, addition->places[i]);
        merge_start(shown, addition->view->series[i].started_realtime_ns, now);
        kvtel_snapshot_merge_exemplars(shown, &addition->collected[i]);
        if (!place->pending)
            continue;
        kvtel_snapshot_merge(shown, place->pending, snapshot->families[place->family].shown.type);
        place->pending = NULL;
    }
    show(snapshot);
    return addition->mismatch ? KVTEL_E_MISMATCH : KVTEL_OK;
}

enum kvtel_status kvtel_snapshot_finish(struct kvtel_snapshot *snapshot, struct kvtel_addition *addition,
                                        enum kvtel_status status)
{
    if (status == KVTEL_E_MISMATCH) {
        addition->mismatch = true;
        status = KVTEL_OK;
    }
    if (status == KVTEL_OK)
        status = prepare(snapshot, addition);
    if (status == KVTEL_OK)
        return commit(snapshot, addition);
    take_back(snapshot);
    return status;
}

enum kvtel_status kvtel_snapshot_add_view(struct kvtel_snapshot *snapshot, const struct kvtel_view *view)
{
    struct kvtel_addition addition = { .view = view };
    struct kvtel_scratch *scratch = &snapshot->workers.each[0].scratch;
    enum kvtel_status status = kvtel_snapshot_begin(snapshot, &addition);
    kvtel_collect_begin(scratch);
    if (status == KVTEL_OK)
        status = kvtel_collect(view, &snapshot->arena, scratch, &(struct kvtel_collect_part){ 0 }, addition.collected);
    return kvtel_snapshot_finish(snapshot, &addition, status);
}

enum kvtel_status kvtel_snapshot_add_source(struct kvtel_snapshot *snapshot, const struct kvtel_view *view,
                                            const struct kvtel_source *source)
{
    struct kvtel_addition addition = { .view = view };
    enum kvtel_status status = kvtel_snapshot_begin(snapshot, &addition);
    if (status == KVTEL_OK && !kvtel_source_give(source, &snapshot->arena, addition.collected, view->series_count))
        status = KVTEL_E_NOMEM;
    return kvtel_snapshot_finish(snapshot, &addition, status);
}
