/* SPDX-License-Identifier: Apache-2.0 */
/* Copying the words of a group in one lane as of one moment. */
#include "collect/attempt.h"

enum { SPAN = 64 }; /* slots closer to each other than this are copied by one read */

static uint32_t feed_words(const struct kvtel_attempt *try, uint32_t i)
{
    return try->slots_at[2 + i] - try->slots_at[1 + i];
}

/* Reads words of a lane while the view's limit allows. Words that are read again because the writer went on are
 * counted apart. When their limit is reached, the writer is treated as too fast. */
static enum kvtel_status read_words(const struct kvtel_attempt *try, uint64_t word, size_t count, uint64_t *copy)
{
    const struct kvtel_view *view = try->view;
    uint64_t *spent = try->again_and_again ? &try->scratch->read_again : &try->scratch->read;
    *spent += count;
    if (!try->again_and_again && view->most_words > 0 && *spent > view->most_words)
        return KVTEL_E_LIMIT;
    return view->read(view->context, try->lane, word, count, copy);
}

void kvtel_attempt_place(struct kvtel_attempt *try)
{
    uint32_t at = KVTEL_SLOT_WORDS;
    try->slots_at[0] = 0;
    for (uint32_t i = 0; i < try->feed_count; i++) {
        try->slots_at[1 + i] = at;
        at += kvtel_feed_slot_words(try->view, &try->feeds[i]);
    }
    try->slots_at[1 + try->feed_count] = at;
}

enum kvtel_status kvtel_attempt_head(const struct kvtel_attempt *try, uint64_t *copies)
{
    const struct kvtel_view *view = try->view;
    const size_t group = (size_t)(try->group - view->groups);
    if (group >= KVTEL_LINE_GROUPS)
        return KVTEL_OK;
    uint64_t line[KVTEL_LINE_WORDS] = { 0 };
    enum kvtel_status status = view->read_lines(view->context, try->lane, 1, line);
    copies[KVTEL_SLOT_HEAD] = line[KVTEL_LINE_HEADS + group];
    return status;
}

enum kvtel_status kvtel_attempt_slots(const struct kvtel_attempt *try, uint64_t *copies)
{
    uint64_t span[SPAN * KVTEL_SLOT_WORDS], lowest = UINT64_MAX, end = 0;
    for (uint32_t i = 0; i <= try->feed_count; i++) {
        const uint64_t word = (uint64_t)kvtel_attempt_first(try, i) * KVTEL_SLOT_WORDS;
        lowest = word < lowest ? word : lowest;
        end = word + kvtel_attempt_words(try, i) > end ? word + kvtel_attempt_words(try, i) : end;
    }
    const bool near = end - lowest <= sizeof(span) / sizeof(span[0]);
    enum kvtel_status status = KVTEL_OK;
    if (near)
        status = read_words(try, lowest, end - lowest, span);
    for (uint32_t i = 0; i <= try->feed_count && status == KVTEL_OK; i++) {
        const uint64_t word = (uint64_t)kvtel_attempt_first(try, i) * KVTEL_SLOT_WORDS;
        uint64_t *copy = copies + try->slots_at[i];
        if (near)
            memcpy(copy, span + (word - lowest), kvtel_attempt_words(try, i) * sizeof(*copy));
        else
            status = read_words(try, word, kvtel_attempt_words(try, i), copy);
    }
    return status;
}

enum kvtel_status kvtel_attempt_cells(const struct kvtel_attempt *try, uint32_t i, uint64_t *cells)
{
    const uint64_t *slot = kvtel_feed_slots(try, i);
    const struct kvtel_layout_series *series = &try->view->series[try->feeds[i].series];
    uint64_t first = slot[KVTEL_SLOT_FIRST], end = slot[KVTEL_SLOT_END];
    uint64_t size = end > first ? end - first : 0;
    enum kvtel_status status = KVTEL_OK;
    if (size > 0)
        status = read_words(try, series->cells_at + first, size, cells);
    if (size > 0 && status == KVTEL_OK && slot[KVTEL_SLOT_SEQ] & 1) {
        status = read_words(try, series->cells_at + first, size, try->again);
        if (status == KVTEL_OK && memcmp(cells, try->again, size * sizeof(*cells)) != 0)
            status = KVTEL_E_BUSY;
    }
    return status;
}

/* Whether the words of a feed that belong to folds are the same in both copies. */
static bool same_slots(const struct kvtel_attempt *try, uint32_t i)
{
    const uint64_t *before = kvtel_feed_slots(try, i), *after = try->after + try->slots_at[1 + i];
    if (try->feeds[i].kind == KVTEL_COLUMN_OBSERVE)
        return memcmp(before, after, feed_words(try, i) * sizeof(*before)) == 0;
    return memcmp(before, after, (KVTEL_SLOT_VALUE + 2) * sizeof(*before)) == 0 &&
           memcmp(before + KVTEL_SLOT_INTEGERS, after + KVTEL_SLOT_INTEGERS, 2 * sizeof(*before)) == 0;
}

enum kvtel_status kvtel_attempt_copy(struct kvtel_attempt *try)
{
    uint64_t most = 0;
    bool possible = true;
    for (uint32_t i = 0; i < try->feed_count; i++) {
        const struct kvtel_bins *layout = try->series[try->feeds[i].series].layout;
        uint64_t pending = kvtel_feed_pending(try, i);
        most = pending > most ? pending : most;
        possible = possible && pending <= KVTEL_BLOCK_ROWS;
        /* a fold begins when its block is full: a head that says otherwise was read before the slots */
        possible = possible && (pending == KVTEL_BLOCK_ROWS || !(kvtel_feed_slots(try, i)[KVTEL_SLOT_SEQ] & 1));
        if (try->feeds[i].kind == KVTEL_COLUMN_OBSERVE)
            possible = possible && layout && kvtel_feed_slots(try, i)[KVTEL_SLOT_END] <= KVTEL_CELLS;
    }
    enum kvtel_status status = KVTEL_OK;
    if (possible && most > 0)
        status = read_words(try, try->group->block_at, most * try->group->columns, try->rows);
    uint64_t *cells = try->cells;
    bool moved = false;
    for (uint32_t i = 0; possible && i < try->feed_count && (status == KVTEL_OK); i++) {
        if (try->feeds[i].kind != KVTEL_COLUMN_OBSERVE)
            continue;
        status = kvtel_attempt_cells(try, i, cells);
        if (status == KVTEL_E_BUSY) {
            moved = true;
            status = KVTEL_OK;
        }
        cells += KVTEL_CELLS;
    }
    if (status == KVTEL_OK)
        status = kvtel_attempt_slots(try, try->after);
    if (status != KVTEL_OK)
        return status;
    for (uint32_t i = 0; i < try->feed_count; i++)
        moved = moved || !same_slots(try, i);
    if ((moved || !possible) && (status = kvtel_attempt_head(try, try->after)) != KVTEL_OK)
        return status;
    if (!possible && !moved)
        return kvtel_group_slot(try)[KVTEL_SLOT_HEAD] == try->after[KVTEL_SLOT_HEAD] ? KVTEL_E_FORMAT : KVTEL_E_BUSY;
    return moved ? KVTEL_E_BUSY : KVTEL_OK;
}
