/* SPDX-License-Identifier: Apache-2.0 */
/* The numbers of a store, brought up to date by reading what moved. */
#include "collect/source.h"
#include "collect/open.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

/* The slots of a store are remembered if they are at most this part of the words that may be read of it. */
enum { SEEN_SHARE = 16 };

void kvtel_source_free(struct kvtel_source *source)
{
    for (uint32_t i = 0; i < source->series_room; i++)
        kvtel_source_series_free(&source->series[i]);
    free(source->series);
    free(source->wanted);
    free(source->slots.words);
    free(source->seen.heads);
    free(source->seen.sums);
    free(source->lines.words);
    *source = (struct kvtel_source){ 0 };
}

void kvtel_source_forget(struct kvtel_source *source)
{
    source->known = false;
    source->lines_seen = UINT32_MAX;
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

static bool is_same(const struct kvtel_collected *left, const struct kvtel_collected *right)
{
    return left->count == right->count && left->stamp == right->stamp &&
           memcmp(&left->value, &right->value, sizeof(double)) == 0 &&
           memcmp(&left->sum, &right->sum, sizeof(double)) == 0 && left->first == right->first &&
           left->bin_count == right->bin_count &&
           (left->bin_count == 0 || memcmp(left->bins, right->bins, left->bin_count * sizeof(*left->bins)) == 0);
}

/* Makes room for the numbers of the series that were read. False: no memory, and nothing has changed. */
static bool reserve_taken(struct kvtel_source *source, struct kvtel_collected *series, uint32_t count,
                          const uint8_t *read)
{
    for (uint32_t i = 0; i < count; i++) /* before bins, so that their memory is close together: they are read often */
        if ((!read || read[i]) && !kvtel_source_series_reserve_buckets(&source->series[i], series[i].layout))
            return false;
    for (uint32_t i = 0; i < count; i++) {
        if (read && !read[i])
            continue;
        trim(&series[i]);
        if (!kvtel_source_series_reserve(&source->series[i], &series[i]))
            return false;
    }
    return true;
}

/* Takes over the exemplars that were read. One that could not be read this time stays as it was. Returns whether there
 * is another one. */
static bool take_exemplars(struct kvtel_collected *value, const struct kvtel_collected *more)
{
    return more->exemplars && kvtel_exemplars_replace(value->exemplars, more->exemplars, value->exemplar_count);
}

/* Replaces the numbers of the series that were read. There must be room for them. Returns whether any changed. */
static bool take(struct kvtel_source *source, const struct kvtel_collected *series, uint32_t count, const uint8_t *read)
{
    static _Atomic uint64_t ids;
    bool changed = !source->valid || count != source->series_count;
    for (uint32_t i = 0; i < count; i++) {
        struct kvtel_source_series *old = &source->series[i];
        if (read && !read[i])
            continue;
        const bool newer = take_exemplars(&old->value, &series[i]);
        if (!newer && source->valid && i < source->series_count && is_same(&old->value, &series[i]))
            continue;
        kvtel_source_series_set(old, &series[i]);
        old->changed = source->state + 1;
        changed = true;
    }
    source->series_count = count;
    source->valid = true;
    if (source->id == 0)
        source->id = 1 + atomic_fetch_add_explicit(&ids, 1, memory_order_relaxed);
    return changed;
}

/* Memory ran out while room was made: bins may have moved, so who points to them looks at all series again. */
static enum kvtel_status leave(struct kvtel_source *source)
{
    source->state++;
    for (uint32_t i = 0; i < source->series_count; i++)
        source->series[i].changed = source->state;
    return KVTEL_E_NOMEM;
}

enum kvtel_status kvtel_source_set(struct kvtel_source *source, const struct kvtel_collected *series, uint32_t count)
{
    struct kvtel_collected *copy = malloc((count + (size_t)1) * sizeof(*copy));
    bool taken = copy && reserve_series(source, count);
    if (taken && count > 0)
        memcpy(copy, series, count * sizeof(*copy));
    if (taken && !reserve_taken(source, copy, count, NULL)) {
        (void)leave(source);
        taken = false;
    }
    if (taken)
        source->state += take(source, copy, count, NULL);
    free(copy);
    source->whole |= taken;
    source->known = false;
    return taken ? KVTEL_OK : KVTEL_E_NOMEM;
}

void kvtel_source_lend(const struct kvtel_source *source, struct kvtel_collected *series, uint32_t count)
{
    for (uint32_t i = 0; i < count && i < source->series_count; i++) {
        const struct kvtel_collected *from = &source->series[i].value;
        const struct kvtel_bins *layout = series[i].layout;
        if (from->bin_count > 0 && !layout)
            continue; /* the snapshot leaves its family out */
        series[i] = *from;
        series[i].layout = layout;
        series[i].borrowed = from->bin_count > 0;
    }
}

/* A copy of the counts of parts. NULL: there are none, or no memory, without which there are none. */
static const struct kvtel_parts *copy_parts(const struct kvtel_parts *parts, struct kvtel_arena *arena)
{
    struct kvtel_parts *copy = parts ? kvtel_arena_alloc(arena, kvtel_parts_size(parts->count)) : NULL;
    if (copy) {
        memcpy(copy, parts, kvtel_parts_size(parts->count));
        copy->room = parts->count;
    }
    return copy;
}

bool kvtel_source_give(const struct kvtel_source *source, struct kvtel_arena *arena, struct kvtel_collected *series,
                       uint32_t count)
{
    kvtel_source_lend(source, series, count);
    for (uint32_t i = 0; i < count && i < source->series_count; i++) {
        if (!series[i].borrowed)
            continue;
        const size_t size = series[i].bin_count * sizeof(*series[i].bins);
        uint64_t *bins = kvtel_arena_alloc(arena, size);
        if (!bins)
            return false;
        memcpy(bins, series[i].bins, size);
        series[i].bins = bins;
        series[i].buckets = NULL;
        series[i].parts = copy_parts(series[i].parts, arena);
        series[i].borrowed = false;
    }
    return true;
}

/* -- What moved -- */

static size_t slot_words(const struct kvtel_view *view)
{
    return (size_t)view->slot_count * KVTEL_SLOT_WORDS;
}

/* Whether the slots of all lanes are few enough to be remembered. */
static bool can_remember(const struct kvtel_view *view)
{
    const size_t words = slot_words(view) * view->lane_count;
    return words > 0 && (view->most_words == 0 || words <= view->most_words / SEEN_SHARE);
}

/* Makes room for what is remembered of all lanes; of those from `lanes` on, all is 0. */
static bool reserve_lanes(struct kvtel_source *source, const struct kvtel_view *view, uint32_t lanes)
{
    const size_t words = slot_words(view), groups = view->group_count, series = view->series_count;
    void *heads = source->seen.heads, *sums = source->seen.sums;
    bool good = kvtel_slots_reserve(&source->slots, words * view->lane_count);
    good =
        good && kvtel_worker_reserve(&heads, &source->seen.head_room, groups * view->lane_count + 1, sizeof(uint64_t));
    source->seen.heads = heads;
    good = good && kvtel_worker_reserve(&sums, &source->seen.sum_room, series * view->lane_count + 1,
                                        sizeof(struct kvtel_lane_sum));
    source->seen.sums = sums;
    if (!good)
        return false;
    const size_t more = view->lane_count - lanes;
    memset(source->slots.words + lanes * words, 0, more * words * sizeof(uint64_t));
    memset(source->seen.heads + lanes * groups, 0, more * groups * sizeof(uint64_t));
    memset(source->seen.sums + lanes * series, 0, more * series * sizeof(struct kvtel_lane_sum));
    return true;
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

static bool is_known(const struct kvtel_source *source, const struct kvtel_view *view)
{
    return source->known && source->valid && source->whole && source->series_count == view->series_count &&
           source->group_count == view->group_count && source->ended == view->ended &&
           source->lane_count <= view->lane_count && source->lines_seen == source->lane_count;
}

static void remember_lines(struct kvtel_source *source, const struct kvtel_view *view, const uint64_t *lines)
{
    const size_t words = (size_t)view->lane_count * KVTEL_LINE_WORDS;
    source->lines_seen = kvtel_slots_reserve(&source->lines, words) ? view->lane_count : UINT32_MAX;
    if (source->lines_seen == view->lane_count && words > 0)
        memcpy(source->lines.words, lines, words * sizeof(*lines));
}

/* Marks the series of a lane that got an amount or a reading of their own. What a fold stores was in rows before. */
static void mark_lane(const struct kvtel_view *view, const uint64_t *is, const uint64_t *was, uint8_t *wanted)
{
    for (uint32_t i = 0; i < view->series_count; i++) {
        const uint32_t type = view->families[view->series[i].family].type;
        const size_t slot = (size_t)view->series[i].slot * KVTEL_SLOT_WORDS;
        if (type == KVTEL_COUNTER)
            wanted[i] |= is[slot + KVTEL_SLOT_DIRECT] != was[slot + KVTEL_SLOT_DIRECT];
        else if (type == KVTEL_GAUGE)
            wanted[i] |= memcmp(is + slot, was + slot, KVTEL_SLOT_WORDS * sizeof(*is)) != 0;
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

/* Whether exemplars may have come with the rows of a group. Then all of it is read. */
static bool has_exemplars(const struct kvtel_view *view, const struct kvtel_layout_group *group)
{
    bool any = false;
    for (uint32_t k = 0; k < group->feed_count; k++)
        any |= view->series[view->feeds[group->feeds_at + k].series].exemplars_at != 0;
    return any;
}

/* Notes the rows that a lane's groups have more than the last time, or marks the group where they are too many. */
static bool note_rows(struct kvtel_source *source, const struct kvtel_view *view, struct kvtel_worker *worker,
                      uint32_t lane)
{
    const uint64_t *slots = source->slots.words + lane * slot_words(view);
    const uint64_t *heads = source->seen.heads + (size_t)lane * view->group_count;
    for (uint32_t i = 0; i < view->group_count; i++) {
        const uint64_t head = slots[(size_t)view->groups[i].slot * KVTEL_SLOT_WORDS + KVTEL_SLOT_HEAD];
        if (head == heads[i])
            continue;
        if (heads[i] > head || head - heads[i] > KVTEL_NEW_ROWS_MOST || has_exemplars(view, &view->groups[i]))
            source->wanted[view->feeds[view->groups[i].feeds_at].series] = 1;
        else if (!kvtel_new_rows_note(
                     &worker->rows, view,
                     &(struct kvtel_new_part){ .lane = lane, .group = i, .from = heads[i], .to = head }))
            return false;
    }
    return true;
}

/* Whether a group got so many rows that it is read as a whole. Then a copy of its slots saves an attempt. */
static bool has_many_rows(const struct kvtel_view *view, const uint64_t *line, const uint64_t *heads)
{
    bool many = false;
    for (uint32_t i = 0; i < view->group_count && i < KVTEL_LINE_GROUPS; i++)
        many |= line[KVTEL_LINE_HEADS + i] - heads[i] > KVTEL_NEW_ROWS_MOST;
    return many;
}

/* Looks for what moved in a lane, and brings the copies of its slots up to date. */
static enum kvtel_status look_at_lane(struct kvtel_source *source, const struct kvtel_view *view,
                                      struct kvtel_worker *worker, uint32_t lane)
{
    const uint64_t *line = worker->scratch.lines.words + (size_t)lane * KVTEL_LINE_WORDS;
    const uint64_t *before = source->lines.words + (size_t)lane * KVTEL_LINE_WORDS;
    const bool is_new = lane >= source->lane_count;
    uint64_t *slots = source->slots.words + lane * slot_words(view);
    if (!is_new && memcmp(line, before, KVTEL_LINE_WORDS * sizeof(*line)) == 0)
        return KVTEL_OK;
    if (is_new || line[KVTEL_LINE_CHANGES] != before[KVTEL_LINE_CHANGES] ||
        has_many_rows(view, line, source->seen.heads + (size_t)lane * view->group_count)) {
        bool empty;
        enum kvtel_status status = kvtel_collect_slots(view, &worker->scratch, lane, worker->slots.words, &empty);
        if (status != KVTEL_OK)
            return status;
        if (!empty) {
            mark_lane(view, worker->slots.words, slots, source->wanted);
            memcpy(slots, worker->slots.words, slot_words(view) * sizeof(*slots));
        }
    }
    for (uint32_t i = 0; i < view->group_count && i < KVTEL_LINE_GROUPS; i++)
        slots[(size_t)view->groups[i].slot * KVTEL_SLOT_WORDS + KVTEL_SLOT_HEAD] = line[KVTEL_LINE_HEADS + i];
    return note_rows(source, view, worker, lane) ? KVTEL_OK : KVTEL_E_NOMEM;
}

/* Marks what is to be read as a whole, and copies the new rows of the rest. */
static enum kvtel_status find_moved(struct kvtel_source *source, const struct kvtel_view *view,
                                    struct kvtel_worker *worker)
{
    if (!kvtel_slots_reserve(&worker->slots, slot_words(view)) || !reserve_lanes(source, view, source->lane_count))
        return KVTEL_E_NOMEM;
    enum kvtel_status status = KVTEL_OK;
    memset(source->wanted, 0, view->series_count);
    for (uint32_t lane = 0; lane < view->lane_count && status == KVTEL_OK; lane++)
        status = look_at_lane(source, view, worker, lane);
    if (status == KVTEL_OK)
        status = kvtel_new_rows_read(&worker->rows, view, &worker->scratch, &source->seen, source->wanted);
    mark_groups(view, source->wanted);
    return status;
}

/* Copies the slots of all lanes, to read all of the store. */
static enum kvtel_status read_slots(struct kvtel_source *source, const struct kvtel_view *view,
                                    struct kvtel_worker *worker)
{
    if (!reserve_lanes(source, view, 0))
        return KVTEL_E_NOMEM;
    enum kvtel_status status = KVTEL_OK;
    for (uint32_t lane = 0; lane < view->lane_count && status == KVTEL_OK; lane++) {
        bool empty;
        status =
            kvtel_collect_slots(view, &worker->scratch, lane, source->slots.words + lane * slot_words(view), &empty);
    }
    return status;
}

/* -- Reading -- */

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

/* Keeps sums from falling by their last digits, which depend on the order of additions, or by what a file that somebody
 * else wrote may say within its bins: a reader of the page would take a lower sum for a restart from 0. Counts were
 * compared before. */
static void hold_sums(const struct kvtel_source *source, const struct kvtel_view *view, struct kvtel_collected *now,
                      const uint8_t *read)
{
    for (uint32_t i = 0; source->valid && i < source->series_count && i < view->series_count; i++) {
        const struct kvtel_collected *last = &source->series[i].value;
        if ((read && !read[i]) || kvtel_layout_is_removed(&view->series[i]))
            continue;
        now[i].sum = now[i].sum < last->sum ? last->sum : now[i].sum;
        if (view->families[view->series[i].family].type == KVTEL_COUNTER && now[i].value < last->value)
            now[i].value = last->value;
    }
}

/* Reads all of the store, or what moved, into the worker. *read returns which series were read as a whole; NULL: all.
 */
static enum kvtel_status read_numbers(struct kvtel_source *source, const struct kvtel_view *view,
                                      struct kvtel_worker *worker, bool all, const uint8_t **read)
{
    struct kvtel_collect_part part = { 0 };
    enum kvtel_status status = KVTEL_OK;
    bool any = true;
    *read = NULL;
    if (!all) {
        status = find_moved(source, view, worker);
        part.series = *read = source->wanted;
        any = status == KVTEL_OK && memchr(source->wanted, 1, view->series_count) != NULL;
    } else if (can_remember(view)) {
        status = read_slots(source, view, worker);
    }
    if (status == KVTEL_OK && (!all || can_remember(view))) {
        part.slots = source->slots.words;
        part.seen = &source->seen;
    }
    if (status == KVTEL_OK &&
        (!kvtel_worker_find_layouts(worker, view) || (any && !kvtel_worker_prepare(worker, view))))
        status = KVTEL_E_NOMEM;
    if (status != KVTEL_OK || !any)
        return status;
    status = kvtel_collect(view, &worker->arena, &worker->scratch, &part, worker->collected);
    if (status != KVTEL_OK && status != KVTEL_E_MISMATCH)
        return status;
    enum kvtel_status lost = kvtel_open_add_lost(view, part.series, worker->collected);
    return lost == KVTEL_OK ? status : lost;
}

/* Takes the numbers that were read over, all or none. KVTEL_OK, KVTEL_E_NOMEM. */
static enum kvtel_status take_over(struct kvtel_source *source, const struct kvtel_view *view,
                                   struct kvtel_worker *worker, const uint8_t *read)
{
    if (!reserve_taken(source, worker->collected, view->series_count, read) ||
        !kvtel_new_rows_reserve(&worker->rows, view, worker->of_families, read, source->series))
        return leave(source);
    bool changed = take(source, worker->collected, view->series_count, read);
    changed |= kvtel_new_rows_add(&worker->rows, view, worker->of_families, read, source->state + 1, &source->seen,
                                  source->series);
    source->state += changed;
    return KVTEL_OK;
}

enum kvtel_status kvtel_source_refresh(struct kvtel_source *source, const struct kvtel_view *view,
                                       struct kvtel_worker *worker)
{
    const uint8_t *read = NULL;
    source->fell = false;
    if (!reserve_series(source, view->series_count > 0 ? view->series_count : 1))
        return KVTEL_E_NOMEM;
    enum kvtel_status status = KVTEL_OK;
    for (int again = 0;; again++) {
        kvtel_worker_begin(worker);
        if ((status = kvtel_collect_lines(view, &worker->scratch)) != KVTEL_OK)
            return status;
        if (is_at_rest(source, view, worker->scratch.lines.words)) {
            kvtel_source_keep_parts(source, view, worker, false);
            return KVTEL_OK;
        }
        const bool all = again > 0 || !is_known(source, view) || !can_remember(view);
        source->known = false; /* until the numbers were taken */
        status = read_numbers(source, view, worker, all, &read);
        if (status != KVTEL_OK && status != KVTEL_E_MISMATCH)
            return status;
        if (!falls(source, view, worker->collected, read))
            break;
        source->fell = again > 0;
        if (source->fell)
            return KVTEL_E_FORMAT;
    }
    hold_sums(source, view, worker->collected, read);
    const bool remembered = can_remember(view);
    if (take_over(source, view, worker, read) != KVTEL_OK)
        return KVTEL_E_NOMEM;
    remember_lines(source, view, worker->scratch.lines.words);
    source->known = remembered && source->lines_seen == view->lane_count;
    source->lane_count = view->lane_count;
    source->group_count = view->group_count;
    source->ended = view->ended;
    source->whole = status == KVTEL_OK;
    kvtel_source_keep_parts(source, view, worker, true);
    return status;
}
