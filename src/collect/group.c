/* SPDX-License-Identifier: Apache-2.0 */
/* Reading a group of rows in one lane: attempts until one succeeds. */
#include "collect/group.h"
#include "collect/attempt.h"

#include <stdlib.h>

_Static_assert(KVTEL_SLOT_VALUE == KVTEL_SLOT_SUM, "a total stands in the same place");

enum {
    GROUP_TRIES = 32, /* tries to copy all columns of a group as of one moment */
    FEED_TRIES = 200, /* tries to copy one column */
};

static bool scratch_reserve(struct kvtel_scratch *scratch, size_t words)
{
    if (words <= scratch->capacity)
        return true;
    uint64_t *larger = realloc(scratch->words, words * sizeof(*larger));
    if (!larger)
        return false;
    scratch->words = larger;
    scratch->capacity = words;
    return true;
}

static enum kvtel_status read_and_add(struct kvtel_attempt *try, unsigned tries)
{
    enum kvtel_status status = kvtel_attempt_copy(try);
    try->again_and_again = true;
    while (status == KVTEL_E_BUSY && --tries > 0 &&
           (try->view->most_words == 0 || try->scratch->read_again < try->view->most_words)) {
        memcpy(try->before, try->after, try->slots_at[1 + try->feed_count] * sizeof(*try->before));
        status = kvtel_attempt_copy(try);
    }
    return status == KVTEL_OK ? kvtel_attempt_add(try) : status;
}

/* Reads all columns of the group as of one row, and returns its head. If the writer is too fast for that, each column
 * is read by itself, and there is no common head. */
static enum kvtel_status collect_group(struct kvtel_attempt *try, const uint64_t *slots, uint64_t *head)
{
    kvtel_attempt_place(try);
    for (uint32_t i = 0; i <= try->feed_count; i++)
        memcpy(try->before + try->slots_at[i], slots + (size_t)kvtel_attempt_first(try, i) * KVTEL_SLOT_WORDS,
               kvtel_attempt_words(try, i) * sizeof(*slots));
    enum kvtel_status status = read_and_add(try, GROUP_TRIES);
    *head = status == KVTEL_OK ? kvtel_group_slot(try)[KVTEL_SLOT_HEAD] : KVTEL_HEAD_UNKNOWN;
    if (status != KVTEL_E_BUSY)
        return status;
    const struct kvtel_layout_feed *feeds = try->feeds;
    uint32_t count = try->feed_count;
    try->feed_count = 1;
    for (uint32_t i = 0; i < count; i++) {
        try->feeds = &feeds[i];
        kvtel_attempt_place(try);
        status = kvtel_attempt_slots(try, try->before);
        if (status == KVTEL_OK)
            status = kvtel_attempt_head(try, try->before);
        if (status == KVTEL_OK)
            status = read_and_add(try, FEED_TRIES);
        if (status == KVTEL_E_BUSY)
            status = kvtel_attempt_add_moving(try);
        if (status != KVTEL_OK)
            return status;
    }
    return KVTEL_OK;
}

/* Where the parts of an attempt stand in scratch memory: rows, the cells of all its histograms, a second copy of one
 * histogram's cells, and two copies of the slots. */
struct parts {
    size_t cells, again, before, after, end; /* words; 0 for all: a histogram does not have a layout */
};

static struct parts group_parts(const struct kvtel_view *view, const struct kvtel_layout_group *group,
                                const struct kvtel_collected *series)
{
    size_t histograms = 0, slots = KVTEL_SLOT_WORDS;
    for (uint32_t i = 0; i < group->feed_count; i++) {
        const struct kvtel_layout_feed *feed = &view->feeds[group->feeds_at + i];
        slots += kvtel_feed_slot_words(view, feed);
        histograms += feed->kind == KVTEL_COLUMN_OBSERVE;
        if (feed->kind == KVTEL_COLUMN_OBSERVE && !series[feed->series].layout)
            return (struct parts){ 0 };
    }
    struct parts parts = { .cells = (size_t)KVTEL_BLOCK_ROWS * group->columns };
    parts.again = parts.cells + histograms * KVTEL_CELLS;
    parts.before = parts.again + (histograms > 0 ? KVTEL_CELLS : 0);
    parts.after = parts.before + slots;
    parts.end = parts.after + slots;
    return parts;
}

bool kvtel_collect_reserve(const struct kvtel_view *view, const struct kvtel_collected *series,
                           struct kvtel_scratch *scratch)
{
    size_t most = 0;
    for (uint32_t i = 0; i < view->group_count; i++) {
        size_t words = group_parts(view, &view->groups[i], series).end;
        most = words > most ? words : most;
    }
    return scratch_reserve(scratch, most);
}

enum kvtel_status kvtel_collect_group(const struct kvtel_view *view, const struct kvtel_layout_group *group,
                                      uint32_t lane, const uint64_t *slots, struct kvtel_arena *arena,
                                      struct kvtel_scratch *scratch, struct kvtel_collected *series, uint64_t *heads,
                                      struct kvtel_lane_sum *sums)
{
    const struct parts parts = group_parts(view, group, series);
    uint64_t unasked, *head = heads ? &heads[group - view->groups] : &unasked;
    *head = parts.end == 0 ? KVTEL_HEAD_UNKNOWN : 0;
    for (uint32_t i = 0; sums && i < group->feed_count; i++) {
        struct kvtel_lane_sum *sum = &sums[view->feeds[group->feeds_at + i].series];
        sum->doubles = 0;
        sum->integers = 0;
    }
    if (slots[(size_t)group->slot * KVTEL_SLOT_WORDS + KVTEL_SLOT_HEAD] == 0 || parts.end == 0)
        return KVTEL_OK; /* no row was ever written, or the layout is missing */
    struct kvtel_attempt try = {
        .view = view, .group = group, .feeds = &view->feeds[group->feeds_at], .feed_count = group->feed_count
    };
    try.lane = lane;
    try.series = series;
    try.arena = arena;
    try.scratch = scratch;
    try.rows = scratch->words;
    try.cells = try.rows + parts.cells;
    try.again = try.rows + parts.again;
    try.before = try.rows + parts.before;
    try.after = try.rows + parts.after;
    try.sums = sums;
    return collect_group(&try, slots, head);
}
