/* SPDX-License-Identifier: Apache-2.0 */
/* Adding up the lanes of a store. record/lane.h describes how they are written. */
#include "collect/group.h"
#include "collect/plausible.h"
#include "record/lane.h"

#include <stdlib.h>
#include <time.h>

enum { GAUGE_TRIES = 200 }; /* tries to copy a gauge as of one moment */

typedef uint64_t slot_copy[KVTEL_SLOT_WORDS];

/* Takes the gauge's value if it was set later than the value taken so far. A copy is consistent if a second copy is
 * equal. */
static enum kvtel_status collect_gauge(const struct kvtel_view *view, uint32_t lane, uint32_t slot,
                                       const uint64_t *copy, uint64_t now, struct kvtel_collected *series)
{
    slot_copy before, after;
    memcpy(before, copy, sizeof(before));
    for (unsigned tries = 0; tries < GAUGE_TRIES; tries++) {
        enum kvtel_status status =
            view->read(view->context, lane, (uint64_t)slot * KVTEL_SLOT_WORDS, KVTEL_SLOT_WORDS, after);
        if (status != KVTEL_OK)
            return status;
        if (memcmp(before, after, sizeof(before)) == 0)
            break;
        memcpy(before, after, sizeof(before));
    }
    uint64_t which = before[KVTEL_SLOT_SEQ] & 1, stamp = before[KVTEL_SLOT_STAMP + which];
    stamp = stamp < now ? stamp : now; /* a stamp in the future is set to now, or its value would win for ever */
    if (stamp > series->stamp) {
        series->stamp = stamp;
        series->value = kvtel_bits_double(before[KVTEL_SLOT_VALUE + which]);
    }
    return KVTEL_OK;
}

static uint64_t now_ns(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static bool is_wanted(const struct kvtel_collect_part *part, uint32_t series)
{
    return !part->series || part->series[series];
}

static enum kvtel_status collect_direct(const struct kvtel_view *view, uint32_t lane, const uint64_t *slots,
                                        const struct kvtel_collect_part *part, struct kvtel_collected *series,
                                        bool *left_out)
{
    struct kvtel_lane_sum *sums = part->seen ? part->seen->sums + (size_t)lane * view->series_count : NULL;
    uint64_t now = view->earlier_boot ? UINT64_MAX : 0;
    for (uint32_t i = 0; i < view->series_count; i++) {
        const struct kvtel_layout_series *record = &view->series[i];
        if (!is_wanted(part, i))
            continue;
        const uint64_t *slot = slots + (size_t)record->slot * KVTEL_SLOT_WORDS;
        uint32_t type = view->families[record->family].type;
        enum kvtel_status status = KVTEL_OK;
        if (type == KVTEL_COUNTER && kvtel_is_total(kvtel_bits_double(slot[KVTEL_SLOT_DIRECT]))) {
            series[i].value += kvtel_bits_double(slot[KVTEL_SLOT_DIRECT]);
            if (sums)
                sums[i].direct = kvtel_bits_double(slot[KVTEL_SLOT_DIRECT]);
        } else if (type == KVTEL_COUNTER) {
            *left_out = true;
        } else if (type == KVTEL_GAUGE && slot[KVTEL_SLOT_SEQ] > 0) {
            now = now > 0 ? now : now_ns();
            status = collect_gauge(view, lane, record->slot, slot, now, &series[i]);
        }
        if (status != KVTEL_OK)
            return status;
    }
    return KVTEL_OK;
}

/* The limit of words counts SLOTS_SHARE words of slots as one, because slots are read in one piece and most belong
 * to idle series. Below SMALL words of slots, looking for empty lanes does not pay. */
enum { SLOTS_SHARE = 8, SMALL = 1 << 17 };

void kvtel_collect_begin(struct kvtel_scratch *scratch)
{
    scratch->read = scratch->read_again = 0;
}

bool kvtel_slots_reserve(struct kvtel_slots *slots, size_t words)
{
    if (words <= slots->room)
        return true;
    uint64_t *larger = words <= SIZE_MAX / sizeof(*larger) ? realloc(slots->words, words * sizeof(*larger)) : NULL;
    if (!larger)
        return false;
    slots->words = larger;
    slots->room = words;
    return true;
}

void kvtel_scratch_free(struct kvtel_scratch *scratch)
{
    free(scratch->words);
    free(scratch->slots.words);
    free(scratch->lines.words);
    *scratch = (struct kvtel_scratch){ 0 };
}

enum kvtel_status kvtel_collect_lines(const struct kvtel_view *view, struct kvtel_scratch *scratch)
{
    if (!kvtel_slots_reserve(&scratch->lines, (size_t)view->lane_count * KVTEL_LINE_WORDS))
        return KVTEL_E_NOMEM;
    return view->lane_count > 0 ? view->read_lines(view->context, 0, view->lane_count, scratch->lines.words) : KVTEL_OK;
}

enum kvtel_status kvtel_collect_slots(const struct kvtel_view *view, struct kvtel_scratch *scratch, uint32_t lane,
                                      uint64_t *slots, bool *empty)
{
    size_t words = (size_t)view->slot_count * KVTEL_SLOT_WORDS;
    *empty = view->is_empty && words * view->lane_count > SMALL && view->is_empty(view->context, lane);
    if (*empty)
        return KVTEL_OK;
    scratch->read += words / SLOTS_SHARE;
    if (view->most_words > 0 && scratch->read > view->most_words)
        return KVTEL_E_LIMIT;
    enum kvtel_status status = view->read(view->context, lane, 0, words, slots);
    const uint64_t *heads = scratch->lines.words + (size_t)lane * KVTEL_LINE_WORDS + KVTEL_LINE_HEADS;
    for (uint32_t i = 0; status == KVTEL_OK && i < view->group_count && i < KVTEL_LINE_GROUPS; i++)
        slots[(size_t)view->groups[i].slot * KVTEL_SLOT_WORDS + KVTEL_SLOT_HEAD] = heads[i];
    return status;
}

static enum kvtel_status collect_lane(const struct kvtel_view *view, uint32_t lane, const uint64_t *slots,
                                      struct kvtel_arena *arena, struct kvtel_scratch *scratch,
                                      const struct kvtel_collect_part *part, struct kvtel_collected *series,
                                      bool *left_out)
{
    enum kvtel_status status = collect_direct(view, lane, slots, part, series, left_out);
    uint64_t *heads = part->seen ? part->seen->heads + (size_t)lane * view->group_count : NULL;
    struct kvtel_lane_sum *sums = part->seen ? part->seen->sums + (size_t)lane * view->series_count : NULL;
    for (uint32_t i = 0; i < view->group_count && status == KVTEL_OK; i++) {
        const struct kvtel_layout_group *group = &view->groups[i];
        if (is_wanted(part, view->feeds[group->feeds_at].series))
            status = kvtel_collect_group(view, group, lane, slots, arena, scratch, series, heads, sums);
        if (status == KVTEL_E_FORMAT) { /* only this group's values in this lane are lost */
            *left_out = true;
            status = KVTEL_OK;
        }
    }
    for (uint32_t i = 0; i < view->series_count && status == KVTEL_OK; i++)
        if (view->series[i].exemplars_at != 0 && is_wanted(part, i))
            status = kvtel_collect_exemplars(view, i, lane, arena, scratch, &series[i]);
    return status;
}

enum kvtel_status kvtel_collect(const struct kvtel_view *view, struct kvtel_arena *arena, struct kvtel_scratch *scratch,
                                const struct kvtel_collect_part *part, struct kvtel_collected *series)
{
    size_t words = (size_t)view->slot_count * KVTEL_SLOT_WORDS;
    if (words == 0)
        return KVTEL_OK;
    if (!kvtel_collect_reserve(view, series, scratch) || (!part->slots && !kvtel_slots_reserve(&scratch->slots, words)))
        return KVTEL_E_NOMEM;
    enum kvtel_status status = part->slots ? KVTEL_OK : kvtel_collect_lines(view, scratch);
    bool left_out = false;
    for (uint32_t lane = 0; lane < view->lane_count && status == KVTEL_OK; lane++) {
        const uint64_t *slots = part->slots ? part->slots + lane * words : scratch->slots.words;
        bool empty = false;
        if (!part->slots)
            status = kvtel_collect_slots(view, scratch, lane, scratch->slots.words, &empty);
        if (status == KVTEL_OK && !empty)
            status = collect_lane(view, lane, slots, arena, scratch, part, series, &left_out);
    }
    for (uint32_t i = 0; view->earlier_boot && i < view->series_count; i++)
        series[i].stamp = series[i].stamp > 0; /* older than every value set since the machine booted */
    return status == KVTEL_OK && left_out ? KVTEL_E_MISMATCH : status;
}
