/* SPDX-License-Identifier: Apache-2.0 */
/* Whether a correct writer can have produced the words that were copied. */
#include "collect/attempt.h"
#include "histogram/cell_sums.h"

bool kvtel_feed_are_sums(const struct kvtel_attempt *try, uint32_t i)
{
    const bool histogram = try->feeds[i].kind == KVTEL_COLUMN_OBSERVE;
    const uint64_t *slots = kvtel_feed_slots(try, i), which = slots[KVTEL_SLOT_SEQ] / 2 & 1;
    return kvtel_is_total(kvtel_bits_double(slots[KVTEL_SLOT_SUM + which])) &&
           slots[(histogram ? KVTEL_SLOT_TOTAL : KVTEL_SLOT_INTEGERS) + which] <= KVTEL_INTEGERS_MAX;
}

bool kvtel_feed_are_used(const struct kvtel_attempt *try, uint32_t i, const uint64_t *cells)
{
    const uint64_t *slots = kvtel_feed_slots(try, i);
    const uint64_t first = slots[KVTEL_SLOT_FIRST], end = slots[KVTEL_SLOT_END];
    if (first >= end)
        return true;
    /* cell 0 is below the octaves, so the last cell of each is a multiple */
    if ((first > 0 && first % KVTEL_CELLS_OCTAVE == 0) || (end > 1 && (end - 1) % KVTEL_CELLS_OCTAVE == 0))
        return false;
    for (uint64_t cell = (first / KVTEL_CELLS_OCTAVE + 1) * KVTEL_CELLS_OCTAVE; cell < end; cell += KVTEL_CELLS_OCTAVE)
        if (cells[cell - first] != 0)
            return false;
    return true;
}

/* Whether the splits of each cell ascend and hold no more than the cell. */
static bool are_splits(const struct kvtel_attempt *try, uint32_t i, const uint64_t *cells)
{
    const uint64_t *slots = kvtel_feed_slots(try, i);
    const struct kvtel_bins *layout = try->series[try->feeds[i].series].layout;
    uint64_t lower = 0;
    for (uint32_t k = 0; k < layout->split_count; k++) {
        const struct kvtel_split *split = &layout->splits[k];
        const uint64_t below = kvtel_below_split(slots, layout, split);
        lower = k > 0 && split[-1].cell == split->cell ? lower : 0;
        if (below < lower || below > kvtel_cell_count(slots, cells, split->cell))
            return false;
        lower = below;
    }
    return true;
}

/* Whether a correct writer can have produced these sums and counts and these cells. *in_cells: number of values in
 * the cells. */
static bool are_cells(const struct kvtel_attempt *try, uint32_t i, const uint64_t *cells, uint64_t *in_cells)
{
    const uint64_t *slots = kvtel_feed_slots(try, i);
    const struct kvtel_bins *layout = try->series[try->feeds[i].series].layout;
    uint64_t which = slots[KVTEL_SLOT_SEQ] / 2 & 1, first = slots[KVTEL_SLOT_FIRST], end = slots[KVTEL_SLOT_END];
    uint64_t bits, from = 0, to = 0;
    *in_cells = kvtel_cells_sum(cells, end > first ? end - first : 0, &bits);
    if (first < end) {
        from = layout->bin_of[first];
        to = layout->bin_of[end];
    }
    return bits <= KVTEL_LANE_COUNT_MAX && *in_cells <= KVTEL_LANE_COUNT_MAX && kvtel_feed_are_sums(try, i) &&
           (slots[KVTEL_SLOT_TOTAL + which] == KVTEL_INTEGERS_MAX ||
            kvtel_is_sum_of(kvtel_feed_folded(try, i), slots[KVTEL_SLOT_COUNT + which], layout, from, to));
}

bool kvtel_attempt_are_rows(const struct kvtel_attempt *try)
{
    uint64_t most = 0;
    for (uint32_t i = 0; i < try->feed_count; i++)
        most = kvtel_feed_pending(try, i) > most ? kvtel_feed_pending(try, i) : most;
    const uint64_t *const end = try->rows + most * try->group->columns;
    for (const uint64_t *word = try->rows; word < end; word++) {
        if (!kvtel_word_is_present(*word) && *word != KVTEL_NO_VALUE)
            return false;
    }
    return true;
}

/* Counts a value that is in its cell already, but not yet in the splits of the cell. */
static void take_below(const struct kvtel_attempt *try, uint32_t i, uint64_t word)
{
    const struct kvtel_bins *layout = try->series[try->feeds[i].series].layout;
    uint64_t *slots = try->before + try->slots_at[1 + i];
    uint64_t *below = slots + KVTEL_SLOT_BELOW + (slots[KVTEL_SLOT_SEQ] / 2 & 1) * layout->explicit_count;
    const uint32_t cell = kvtel_cell_of_word(layout, word, kvtel_feed_is_ns(try, i));
    for (uint32_t k = 0; k < layout->split_count && layout->splits[k].cell <= cell; k++) {
        if (layout->splits[k].cell == cell && kvtel_split_takes(&layout->splits[k], word, kvtel_feed_is_ns(try, i)))
            below[layout->splits[k].bound]++;
    }
}

bool kvtel_feed_is_possible(struct kvtel_attempt *try, uint32_t i, const uint64_t *cells)
{
    const uint64_t *slots = kvtel_feed_slots(try, i);
    uint64_t in_cells, present = 0;
    if (!kvtel_feed_are_used(try, i, cells) || !are_cells(try, i, cells, &in_cells))
        return false;
    in_cells -= slots[KVTEL_SLOT_COUNT + (slots[KVTEL_SLOT_SEQ] / 2 & 1)];
    if (in_cells > 0 && !(slots[KVTEL_SLOT_SEQ] & 1))
        return false;
    const uint64_t *column = try->rows + try->feeds[i].column;
    for (uint64_t row = 0; row < kvtel_feed_pending(try, i) && present < in_cells;
         row++, column += try->group->columns) {
        if (!kvtel_word_is_present(*column))
            continue;
        take_below(try, i, *column);
        present++;
    }
    try->in_cells[i] = in_cells;
    return present == in_cells && are_splits(try, i, cells);
}
