/* SPDX-License-Identifier: Apache-2.0 */
/* The numbers of a store, brought up to date by reading what moved. */
#include "collect/source.h"
#include "collect/open.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

/* Limit of a worker's cached layouts. Only stores made to differ have that many different bounds; above the limit the
 * cache is emptied. */
enum { LAYOUTS_KEPT = 256 };
/* The slots of a store are remembered if they are at most this part of the words that may be read of it. */
enum { SEEN_SHARE = 16 };

void kvtel_workers_free(struct kvtel_workers *workers)
{
    for (size_t i = 0; i < KVTEL_WORKERS; i++) {
        struct kvtel_worker *worker = &workers->each[i];
        kvtel_arena_free(&worker->arena);
        kvtel_scratch_free(&worker->scratch);
        free(worker->slots.words);
        kvtel_bins_free(worker->layouts);
        free(worker->collected);
        *worker = (struct kvtel_worker){ 0 };
    }
}

void kvtel_source_free(struct kvtel_source *source)
{
    for (uint32_t i = 0; i < source->series_room; i++) {
        free(source->series[i].value.bins);
        free(source->series[i].value.exemplars);
    }
    free(source->series);
    free(source->wanted);
    free(source->seen.words);
    free(source->lines.words);
    *source = (struct kvtel_source){ 0 };
}

/* Makes room for `count` series. New ones are 0. */
static bool reserve_series(struct kvtel_source *source, uint32_t count)
{
    if (count <= source->series_room)
        return true;
    uint32_t room = count > source->series_room + source->series_room / 4 ? count : count + count / 4;
    struct kvtel_source_series *series = realloc(source->series, room * sizeof(*series));
    if (!series)
        return false;
    source->series = series;
    uint8_t *wanted = realloc(source->wanted, room);
    if (!wanted)
        return false;
    source->wanted = wanted;
    memset(series + source->series_room, 0, (room - source->series_room) * sizeof(*series));
    source->series_room = room;
    return true;
}

/* -- Taking numbers -- */

/* Leaves out bins of 0 on both sides. */
static void trim(struct kvtel_collected *value)
{
    while (value->bin_count > 0 && value->bins[value->bin_count - 1] == 0)
        value->bin_count--;
    while (value->bin_count > 0 && value->bins[0] == 0) {
        value->bins++;
        value->first++;
        value->bin_count--;
    }
}

static bool reserve_bins(struct kvtel_source_series *series, uint32_t count)
{
    if (count <= series->bins_room)
        return true;
    uint32_t room = count + count / 8;
    uint64_t *bins = realloc(series->value.bins, room * sizeof(*bins));
    if (!bins)
        return false;
    series->value.bins = bins;
    series->bins_room = room;
    return true;
}

/* Makes room for exemplars, where there are any. */
static bool reserve_exemplars(struct kvtel_source_series *series, const struct kvtel_collected *more)
{
    struct kvtel_collected *value = &series->value;
    if (!more->exemplars || value->exemplars)
        return true;
    value->exemplars = calloc(more->exemplar_count, sizeof(*value->exemplars));
    value->exemplar_count = value->exemplars ? more->exemplar_count : 0;
    return value->exemplars != NULL;
}

/* Takes over the exemplars that were read. One that could not be read this time stays as it was. Returns whether there
 * is another one. */
static bool take_exemplars(struct kvtel_collected *value, const struct kvtel_collected *more)
{
    return more->exemplars && kvtel_exemplars_replace(value->exemplars, more->exemplars, value->exemplar_count);
}

static bool is_same(const struct kvtel_collected *left, const struct kvtel_collected *right)
{
    return left->count == right->count && left->stamp == right->stamp &&
           memcmp(&left->value, &right->value, sizeof(double)) == 0 &&
           memcmp(&left->sum, &right->sum, sizeof(double)) == 0 && left->first == right->first &&
           left->bin_count == right->bin_count &&
           (left->bin_count == 0 || memcmp(left->bins, right->bins, left->bin_count * sizeof(*left->bins)) == 0);
}

/* Replaces the numbers of the series that were read; all of them or, without memory, none. */
static bool take(struct kvtel_source *source, struct kvtel_collected *series, uint32_t count, const uint8_t *read)
{
    static _Atomic uint64_t ids;
    for (uint32_t i = 0; i < count; i++) {
        if (read && !read[i])
            continue;
        trim(&series[i]);
        if (!reserve_bins(&source->series[i], series[i].bin_count) ||
            !reserve_exemplars(&source->series[i], &series[i]))
            return false;
    }
    bool changed = !source->valid || count != source->series_count;
    for (uint32_t i = 0; i < count; i++) {
        struct kvtel_source_series *old = &source->series[i];
        if (read && !read[i])
            continue;
        const bool newer = take_exemplars(&old->value, &series[i]);
        if (!newer && source->valid && i < source->series_count && is_same(&old->value, &series[i]))
            continue;
        uint64_t *bins = old->value.bins;
        struct kvtel_snapshot_exemplar *exemplars = old->value.exemplars;
        const uint32_t exemplar_count = old->value.exemplar_count;
        old->value = series[i];
        old->value.layout = NULL;
        old->value.bins = bins;
        old->value.exemplars = exemplars;
        old->value.exemplar_count = exemplar_count;
        if (series[i].bin_count > 0)
            memcpy(bins, series[i].bins, series[i].bin_count * sizeof(*bins));
        old->changed = source->state + 1;
        changed = true;
    }
    source->state += changed;
    source->series_count = count;
    source->valid = true;
    if (source->id == 0)
        source->id = 1 + atomic_fetch_add_explicit(&ids, 1, memory_order_relaxed);
    return true;
}

enum kvtel_status kvtel_source_set(struct kvtel_source *source, const struct kvtel_collected *series, uint32_t count)
{
    struct kvtel_collected *copy = malloc((count + (size_t)1) * sizeof(*copy));
    bool taken = copy && reserve_series(source, count);
    if (taken && count > 0)
        memcpy(copy, series, count * sizeof(*copy));
    taken = taken && take(source, copy, count, NULL);
    free(copy);
    source->whole |= taken;
    return taken ? KVTEL_OK : KVTEL_E_NOMEM;
}

bool kvtel_source_give(const struct kvtel_source *source, struct kvtel_arena *arena, struct kvtel_collected *series,
                       uint32_t count)
{
    for (uint32_t i = 0; i < count && i < source->series_count; i++) {
        const struct kvtel_collected *from = &source->series[i].value;
        struct kvtel_collected *to = &series[i];
        const struct kvtel_bins *layout = to->layout;
        if (from->bin_count > 0 && !layout)
            continue; /* the snapshot leaves its family out */
        *to = *from;
        to->layout = layout;
        to->bins = NULL;
        if (from->bin_count == 0)
            continue;
        to->bins = kvtel_arena_alloc(arena, from->bin_count * sizeof(*to->bins));
        if (!to->bins)
            return false;
        memcpy(to->bins, from->bins, from->bin_count * sizeof(*to->bins));
    }
    return true;
}

/* -- What moved -- */

/* Whether the slots of all lanes are few enough to be remembered. */
static bool can_remember(const struct kvtel_view *view, size_t words)
{
    return words > 0 && (view->most_words == 0 || words <= view->most_words / SEEN_SHARE);
}

/* Copies the slots of all lanes. */
static enum kvtel_status read_slots(const struct kvtel_view *view, struct kvtel_worker *worker)
{
    size_t words = (size_t)view->slot_count * KVTEL_SLOT_WORDS;
    for (uint32_t lane = 0; lane < view->lane_count; lane++) {
        uint64_t *slots = worker->slots.words + lane * words;
        bool empty;
        enum kvtel_status status = kvtel_collect_slots(view, &worker->scratch, lane, slots, &empty);
        if (status != KVTEL_OK)
            return status;
        if (empty)
            memset(slots, 0, words * sizeof(*slots));
    }
    return KVTEL_OK;
}

/* Whether no lane was written since the last time. Lines were read before the numbers, so what was written meanwhile
 * moved them. */
static bool is_at_rest(const struct kvtel_source *source, const struct kvtel_view *view, const uint64_t *lines)
{
    return source->valid && source->whole && source->series_count == view->series_count &&
           source->group_count == view->group_count && source->ended == view->ended &&
           source->lines_seen == view->lane_count &&
           (view->lane_count == 0 ||
            memcmp(lines, source->lines.words, (size_t)view->lane_count * KVTEL_LINE_WORDS * sizeof(*lines)) == 0);
}

static void remember_lines(struct kvtel_source *source, const struct kvtel_view *view, const uint64_t *lines)
{
    const size_t words = (size_t)view->lane_count * KVTEL_LINE_WORDS;
    source->lines_seen = words > 0 && kvtel_slots_reserve(&source->lines, words) ? view->lane_count : 0;
    if (source->lines_seen > 0)
        memcpy(source->lines.words, lines, words * sizeof(*lines));
}

/* Marks the series of a lane whose slots differ. `was`: NULL: the lane is new, and its slots were 0. */
static void mark_lane(const struct kvtel_view *view, const uint64_t *is, const uint64_t *was, uint8_t *wanted)
{
    static const uint64_t zero[KVTEL_SLOT_WORDS];
    for (uint32_t i = 0; i < view->series_count; i++) {
        size_t slot = (size_t)view->series[i].slot * KVTEL_SLOT_WORDS;
        wanted[i] |= memcmp(is + slot, was ? was + slot : zero, sizeof(zero)) != 0;
    }
    for (uint32_t i = 0; i < view->group_count; i++) {
        const struct kvtel_layout_group *group = &view->groups[i];
        size_t slot = (size_t)group->slot * KVTEL_SLOT_WORDS;
        wanted[view->feeds[group->feeds_at].series] |= memcmp(is + slot, was ? was + slot : zero, sizeof(zero)) != 0;
    }
}

/* The columns of a group are read together. */
static void mark_groups(const struct kvtel_view *view, uint8_t *wanted)
{
    for (uint32_t i = 0; i < view->group_count; i++) {
        const struct kvtel_layout_feed *feeds = &view->feeds[view->groups[i].feeds_at];
        uint8_t any = 0;
        for (uint32_t k = 0; k < view->groups[i].feed_count; k++)
            any |= wanted[feeds[k].series];
        for (uint32_t k = 0; k < view->groups[i].feed_count; k++)
            wanted[feeds[k].series] = any;
    }
}

/* Marks the series to read. A row that was written moves its group's slot, and an amount or a reading that was given to
 * a series alone moves the series' own; a fold goes with a row. So where all slots are as they were seen, the numbers
 * are as they were read. Returns whether there is anything to read. */
static bool find_moved(const struct kvtel_source *source, const struct kvtel_view *view, const uint64_t *slots,
                       uint8_t *wanted)
{
    size_t words = (size_t)view->slot_count * KVTEL_SLOT_WORDS;
    bool known = source->seen.words && source->valid && source->whole && source->seen_slots == view->slot_count &&
                 source->series_count == view->series_count && source->group_count == view->group_count &&
                 source->ended == view->ended;
    memset(wanted, !known, view->series_count);
    if (!known)
        return true;
    bool moved = false;
    for (uint32_t lane = 0; lane < view->lane_count; lane++) {
        const uint64_t *is = slots + lane * words, *was = source->seen.words + lane * words;
        if (lane < source->seen_lanes && memcmp(is, was, words * sizeof(*is)) == 0)
            continue;
        mark_lane(view, is, lane < source->seen_lanes ? was : NULL, wanted);
        moved = true;
    }
    mark_groups(view, wanted);
    return moved;
}

static void remember(struct kvtel_source *source, const struct kvtel_view *view, const uint64_t *slots, size_t words)
{
    if (!slots || !kvtel_slots_reserve(&source->seen, words)) {
        free(source->seen.words);
        source->seen = (struct kvtel_slots){ 0 };
        return;
    }
    memcpy(source->seen.words, slots, words * sizeof(*slots));
    source->seen_lanes = view->lane_count;
    source->seen_slots = view->slot_count;
}

/* -- Reading -- */

/* Empties the collected numbers, and gives histograms their layouts. */
static bool prepare(struct kvtel_worker *worker, const struct kvtel_view *view, const uint8_t *wanted)
{
    if (view->series_count > worker->collected_room) {
        struct kvtel_collected *larger = realloc(worker->collected, view->series_count * sizeof(*larger));
        if (!larger)
            return false;
        worker->collected = larger;
        worker->collected_room = view->series_count;
    }
    const struct kvtel_bins *layout = NULL;
    for (uint32_t i = 0, last = UINT32_MAX; i < view->series_count; i++) {
        const struct kvtel_layout_family *family = &view->families[view->series[i].family];
        worker->collected[i] = (struct kvtel_collected){ 0 };
        if (family->type != KVTEL_HISTOGRAM || (wanted && !wanted[i]))
            continue;
        if (view->series[i].family != last) {
            const struct kvtel_bins *first = worker->layouts;
            layout = kvtel_bins_get(&worker->layouts, family->bound_count > 0 ? view->bounds + family->bounds_at : NULL,
                                    family->bound_count, family->exponential_first, family->exponential_count);
            worker->layout_count += worker->layouts != first;
            last = view->series[i].family;
        }
        if (!layout)
            return false;
        worker->collected[i].layout = layout;
    }
    return true;
}

static void begin(struct kvtel_worker *worker)
{
    kvtel_arena_reset(&worker->arena);
    kvtel_collect_begin(&worker->scratch);
    if (worker->layout_count > LAYOUTS_KEPT) {
        kvtel_bins_free(worker->layouts);
        worker->layouts = NULL;
        worker->layout_count = 0;
    }
}

/* Whether numbers that only grow are lower than the last time, which no writer brings about. A counter's value is a sum
 * of doubles, whose last digits depend on the order of additions. */
static bool falls(const struct kvtel_source *source, const struct kvtel_view *view, const struct kvtel_collected *now,
                  const uint8_t *read)
{
    static const double ROUNDING = 1e-9;
    for (uint32_t i = 0; source->valid && i < source->series_count && i < view->series_count; i++) {
        const struct kvtel_collected *last = &source->series[i].value;
        if ((read && !read[i]) || kvtel_layout_is_removed(&view->series[i]))
            continue;
        if (now[i].count < last->count || (view->families[view->series[i].family].type == KVTEL_COUNTER &&
                                           now[i].value < last->value * (1 - ROUNDING)))
            return true;
    }
    return false;
}

/* Reads what moved into the worker. `part` returns what was read; *moved: whether anything was. */
static enum kvtel_status read_moved(struct kvtel_source *source, const struct kvtel_view *view,
                                    struct kvtel_worker *worker, struct kvtel_collect_part *part, bool *moved)
{
    size_t words = (size_t)view->lane_count * view->slot_count * KVTEL_SLOT_WORDS;
    enum kvtel_status status = KVTEL_OK;
    *part = (struct kvtel_collect_part){ NULL, NULL };
    *moved = true;
    begin(worker);
    if ((status = kvtel_collect_lines(view, &worker->scratch)) != KVTEL_OK)
        return status;
    *moved = !is_at_rest(source, view, worker->scratch.lines.words);
    if (!*moved)
        return KVTEL_OK;
    if (can_remember(view, words)) {
        if (!kvtel_slots_reserve(&worker->slots, words))
            return KVTEL_E_NOMEM;
        if ((status = read_slots(view, worker)) != KVTEL_OK)
            return status;
        *moved = find_moved(source, view, worker->slots.words, source->wanted);
        if (!*moved) {
            remember_lines(source, view, worker->scratch.lines.words);
            return KVTEL_OK;
        }
        *part = (struct kvtel_collect_part){ source->wanted, worker->slots.words };
    }
    if (!prepare(worker, view, part->series))
        return KVTEL_E_NOMEM;
    status = kvtel_collect(view, &worker->arena, &worker->scratch, part, worker->collected);
    if (status != KVTEL_OK && status != KVTEL_E_MISMATCH)
        return status;
    enum kvtel_status lost = kvtel_open_add_lost(view, part->series, worker->collected);
    return lost == KVTEL_OK ? status : lost;
}

enum kvtel_status kvtel_source_refresh(struct kvtel_source *source, const struct kvtel_view *view,
                                       struct kvtel_worker *worker)
{
    struct kvtel_collect_part part;
    bool moved;
    source->fell = false;
    if (!reserve_series(source, view->series_count > 0 ? view->series_count : 1))
        return KVTEL_E_NOMEM;
    enum kvtel_status status = read_moved(source, view, worker, &part, &moved);
    for (int again = 0;; again++) {
        if (!moved || (status != KVTEL_OK && status != KVTEL_E_MISMATCH))
            return status;
        if (!falls(source, view, worker->collected, part.series))
            break;
        source->fell = again > 0;
        if (source->fell)
            return KVTEL_E_FORMAT;
        status = read_moved(source, view, worker, &part, &moved);
    }
    if (!take(source, worker->collected, view->series_count, part.series))
        return KVTEL_E_NOMEM;
    remember(source, view, part.slots, (size_t)view->lane_count * view->slot_count * KVTEL_SLOT_WORDS);
    remember_lines(source, view, worker->scratch.lines.words);
    source->group_count = view->group_count;
    source->ended = view->ended;
    source->whole = status == KVTEL_OK;
    return status;
}
