/* SPDX-License-Identifier: Apache-2.0 */
/* Adding the copied words of a group to the series that it feeds. */
#include "collect/attempt.h"
#include "collect/cell_sums.h"

/* Adds the cells to the bins of the series. Returns the number of values. */
static uint64_t add_cells(const struct kvtel_attempt *try, uint32_t i, const uint64_t *cells,
                          struct kvtel_collected *series, bool *memory)
{
    const uint64_t *slots = kvtel_feed_slots(try, i);
    const struct kvtel_bins *layout = series->layout;
    const uint64_t first = slots[KVTEL_SLOT_FIRST], end = slots[KVTEL_SLOT_END];
    *memory = first >= end || kvtel_collected_widen(series, try->arena, layout->bin_of[first], layout->bin_of[end]);
    if (first >= end || !*memory)
        return 0;
    uint64_t *bins = series->bins, added = 0;
    for (uint32_t k = 0; k < layout->run_count && layout->runs[k].cell < end; k++) {
        const uint64_t next = k + 1 < layout->run_count ? layout->runs[k + 1].cell : KVTEL_CELLS;
        const uint64_t from = layout->runs[k].cell > first ? layout->runs[k].cell : first, to = next < end ? next : end;
        if (from < to)
            added += kvtel_cells_add(bins + (layout->bin_of[from] - series->first), cells + (from - first), to - from);
    }
    for (uint32_t k = 0; k < layout->split_count; k++) {
        const struct kvtel_split *split = &layout->splits[k];
        const uint64_t count = kvtel_cell_count(slots, cells, split->cell);
        if (count == 0)
            continue;
        /* what is above the bound moves on to the next bin */
        const uint64_t above = count - kvtel_below_split(slots, layout, split);
        uint64_t *bin = bins + (split->bin - series->first);
        bin[0] -= above;
        bin[1] += above;
    }
    return added;
}

/* Adds the pending rows to the bins and the count, and their sums to *integers and the sum. During a fold, the first
 * `in_cells` values of the block are already in the cells. */
static enum kvtel_status add_pending(const struct kvtel_attempt *try, uint32_t i, uint64_t in_cells,
                                     struct kvtel_collected *series, uint64_t *integers)
{
    uint64_t count = 0;
    uint32_t found[KVTEL_BLOCK_ROWS], lowest = UINT32_MAX, highest = 0;
    const uint64_t *column = try->rows + try->feeds[i].column;
    const uint64_t pending = kvtel_feed_pending(try, i);
    for (uint64_t row = 0; row < pending; row++, column += try->group->columns) {
        if (!kvtel_word_is_present(*column))
            continue;
        const double value = kvtel_word_value(*column, kvtel_feed_is_ns(try, i));
        const uint32_t bin = kvtel_bins_find(series->layout, kvtel_double_bits(value));
        if (*column < KVTEL_INTEGER_LIMIT)
            *integers += *column;
        else
            series->sum += value;
        lowest = bin < lowest ? bin : lowest;
        highest = bin > highest ? bin : highest;
        found[count++] = bin;
    }
    if (in_cells > count)
        return KVTEL_E_FORMAT;
    if (count > 0 && !kvtel_collected_widen(series, try->arena, lowest, highest + 1))
        return KVTEL_E_NOMEM;
    series->count += count;
    for (uint64_t k = in_cells; k < count; k++)
        series->bins[found[k] - series->first]++;
    return KVTEL_OK;
}

/* Adds the folded values and the pending rows. */
static enum kvtel_status add_histogram(const struct kvtel_attempt *try, uint32_t i, const uint64_t *cells)
{
    const uint64_t *slots = kvtel_feed_slots(try, i);
    struct kvtel_collected *series = &try->series[try->feeds[i].series];
    const uint64_t which = slots[KVTEL_SLOT_SEQ] / 2 & 1;
    uint64_t integers = slots[KVTEL_SLOT_TOTAL + which];
    bool memory;
    const uint64_t in_cells = add_cells(try, i, cells, series, &memory) - slots[KVTEL_SLOT_COUNT + which];
    if (!memory)
        return KVTEL_E_NOMEM;
    series->sum += kvtel_bits_double(slots[KVTEL_SLOT_SUM + which]);
    series->count += slots[KVTEL_SLOT_COUNT + which];
    enum kvtel_status status = add_pending(try, i, in_cells, series, &integers);
    series->sum += kvtel_collected_integers(integers, kvtel_feed_is_ns(try, i));
    return status;
}

static void add_counter(const struct kvtel_attempt *try, uint32_t i)
{
    const uint64_t *slots = kvtel_feed_slots(try, i), which = slots[KVTEL_SLOT_SEQ] / 2 & 1;
    double *total = &try->series[try->feeds[i].series].value;
    uint64_t integers = slots[KVTEL_SLOT_INTEGERS + which];
    *total += kvtel_bits_double(slots[KVTEL_SLOT_VALUE + which]);
    for (uint64_t row = 0; row < kvtel_feed_pending(try, i); row++) {
        const uint64_t word = try->rows[row * try->group->columns + try->feeds[i].column];
        if (!kvtel_word_is_present(word))
            continue;
        if (try->feeds[i].kind == KVTEL_COLUMN_ONE)
            *total += 1;
        else if (word < KVTEL_INTEGER_LIMIT)
            integers += word;
        else
            *total += kvtel_bits_double(word);
    }
    *total += kvtel_collected_integers(integers, kvtel_feed_is_ns(try, i));
}

enum kvtel_status kvtel_attempt_add(const struct kvtel_attempt *try)
{
    const uint64_t *cells = try->cells;
    enum kvtel_status status = KVTEL_OK;
    if (!kvtel_attempt_are_rows(try))
        return KVTEL_E_FORMAT;
    for (uint32_t i = 0; i < try->feed_count; i++) {
        const bool histogram = try->feeds[i].kind == KVTEL_COLUMN_OBSERVE;
        if (!(histogram ? kvtel_feed_is_possible(try, i, cells) : kvtel_feed_are_sums(try, i)))
            return KVTEL_E_FORMAT;
        cells += histogram ? KVTEL_CELLS : 0;
    }
    cells = try->cells;
    for (uint32_t i = 0; i < try->feed_count && status == KVTEL_OK; i++) {
        if (try->feeds[i].kind != KVTEL_COLUMN_OBSERVE) {
            add_counter(try, i);
            continue;
        }
        status = add_histogram(try, i, cells);
        cells += KVTEL_CELLS;
    }
    return status;
}

/* The words of slots that a fast writer changes need not belong together: counts at or below bounds may come after the
 * range of cells. Where they are above their cell, the range did not contain the cell, and no earlier reading did. */
static void limit_splits(const struct kvtel_attempt *try, uint32_t i, const uint64_t *cells)
{
    const struct kvtel_bins *layout = try->series[try->feeds[i].series].layout;
    uint64_t *slots = try->before + try->slots_at[1 + i], lower = 0;
    uint64_t *below = slots + KVTEL_SLOT_BELOW + (slots[KVTEL_SLOT_SEQ] / 2 & 1) * layout->explicit_count;
    for (uint32_t k = 0; k < layout->split_count; k++) {
        const struct kvtel_split *split = &layout->splits[k];
        const uint64_t count = kvtel_cell_count(slots, cells, split->cell);
        lower = k > 0 && split[-1].cell == split->cell ? lower : 0;
        uint64_t *place = &below[split->bound];
        *place = *place > lower ? *place : lower;
        *place = *place < count ? *place : count;
        lower = *place;
    }
}

enum kvtel_status kvtel_attempt_add_moving(struct kvtel_attempt *try)
{
    const uint64_t *slots = kvtel_feed_slots(try, 0);
    struct kvtel_collected *series = &try->series[try->feeds[0].series];
    const bool histogram = try->feeds[0].kind == KVTEL_COLUMN_OBSERVE;
    bool memory;
    if (!kvtel_feed_are_sums(try, 0) || (histogram && slots[KVTEL_SLOT_END] > KVTEL_CELLS))
        return KVTEL_E_FORMAT;
    if (!histogram) {
        series->value += kvtel_feed_folded(try, 0);
        return KVTEL_OK;
    }
    enum kvtel_status status = kvtel_attempt_cells(try, 0, try->cells);
    if (status != KVTEL_OK && status != KVTEL_E_BUSY)
        return status;
    for (uint64_t i = slots[KVTEL_SLOT_FIRST]; i < slots[KVTEL_SLOT_END]; i++) {
        /* so that the sum of all lanes stays below 2^64 */
        if (try->cells[i - slots[KVTEL_SLOT_FIRST]] > KVTEL_LANE_COUNT_MAX >> 13)
            return KVTEL_E_FORMAT;
    }
    limit_splits(try, 0, try->cells);
    series->count += add_cells(try, 0, try->cells, series, &memory);
    series->sum += kvtel_feed_folded(try, 0);
    return memory ? KVTEL_OK : KVTEL_E_NOMEM;
}
