/* SPDX-License-Identifier: Apache-2.0 */
/* Adding the copied words of a group to the series that it feeds. */
#include "collect/attempt.h"
#include "histogram/cell_sums.h"

/* Adds the cells first .. end - 1 to bins of the series that include theirs; or, where the series had no bins, sets all
 * of its bins, whose memory is fresh. */
static void add_runs(struct kvtel_collected *series, const uint64_t *cells, uint64_t first, uint64_t end, bool fresh)
{
    const struct kvtel_bins *layout = series->layout;
    uint64_t *bins = series->bins, *unset = bins;
    for (uint32_t k = 0; k < layout->run_count && layout->runs[k].cell < end; k++) {
        const uint64_t next = k + 1 < layout->run_count ? layout->runs[k + 1].cell : KVTEL_CELLS;
        const uint64_t from = layout->runs[k].cell > first ? layout->runs[k].cell : first, to = next < end ? next : end;
        if (from >= to)
            continue;
        uint64_t *into = bins + (layout->bin_of[from] - series->first);
        if (!fresh) {
            kvtel_cells_add(into, cells + (from - first), to - from);
            continue;
        }
        while (unset < into)
            *unset++ = 0;
        kvtel_cells_copy(into, cells + (from - first), to - from);
        unset = into + (to - from);
    }
    if (fresh)
        memset(unset, 0, (size_t)(bins + series->bin_count - unset) * sizeof(*unset));
}

/* Adds the cells to the bins of the series. False: no memory, and nothing is added. */
static bool add_cells(const struct kvtel_attempt *try, uint32_t i, const uint64_t *cells,
                      struct kvtel_collected *series)
{
    const uint64_t *slots = kvtel_feed_slots(try, i);
    const struct kvtel_bins *layout = series->layout;
    const uint64_t first = slots[KVTEL_SLOT_FIRST], end = slots[KVTEL_SLOT_END];
    const bool fresh = series->bin_count == 0;
    if (first >= end)
        return true;
    if (!(fresh ? kvtel_collected_begin : kvtel_collected_widen)(series, try->arena, layout->bin_of[first],
                                                                 layout->bin_of[end]))
        return false;
    add_runs(series, cells, first, end, fresh);
    for (uint32_t k = 0; k < layout->split_count; k++) {
        const struct kvtel_split *split = &layout->splits[k];
        const uint64_t count = kvtel_cell_count(slots, cells, split->cell);
        if (count == 0)
            continue;
        /* what is above the bound moves on to the next bin */
        const uint64_t above = count - kvtel_below_split(slots, layout, split);
        uint64_t *bin = series->bins + (split->bin - series->first);
        bin[0] -= above;
        bin[1] += above;
    }
    return true;
}

/* Adds the pending rows to the bins, the count and the sums. During a fold, the first values of the block are already
 * in the cells. */
static enum kvtel_status add_pending(const struct kvtel_attempt *try, uint32_t i, struct kvtel_collected *series,
                                     struct kvtel_lane_sum *sums)
{
    const struct kvtel_bins *layout = series->layout;
    const uint64_t *column = try->rows + try->feeds[i].column;
    const uint64_t pending = kvtel_feed_pending(try, i), columns = try->group->columns, in_cells = try->in_cells[i];
    const bool ns = kvtel_feed_is_ns(try, i);
    uint64_t count = 0, total = 0, *bins = series->bins;
    const uint32_t first = series->first, bin_count = series->bin_count;
    /* bins that the series does not have yet */
    uint32_t outside[KVTEL_BLOCK_ROWS], outside_count = 0, lowest = UINT32_MAX, highest = 0;
    double sum = sums->doubles;
    for (uint64_t row = 0; row < pending; row++, column += columns) {
        const uint64_t word = *column;
        if (!kvtel_word_is_present(word))
            continue;
        const double value = kvtel_word_value(word, ns);
        if (word < KVTEL_INTEGER_LIMIT)
            total += word;
        else
            sum += value;
        if (count++ < in_cells)
            continue;
        const uint32_t bin = kvtel_bins_find(layout, kvtel_double_bits(value));
        if (bin - first < bin_count) { /* a lower one is below 0, which is large */
            bins[bin - first]++;
            continue;
        }
        lowest = bin < lowest ? bin : lowest;
        highest = bin > highest ? bin : highest;
        outside[outside_count++] = bin;
    }
    if (outside_count > 0 && !kvtel_collected_widen(series, try->arena, lowest, highest + 1))
        return KVTEL_E_NOMEM;
    sums->doubles = sum;
    sums->integers += total;
    series->count += count;
    for (uint32_t k = 0; k < outside_count; k++)
        series->bins[outside[k] - series->first]++;
    return KVTEL_OK;
}

static void note_sums(const struct kvtel_attempt *try, uint32_t i, const struct kvtel_lane_sum *sums)
{
    struct kvtel_lane_sum *into = try->sums ? &try->sums[try->feeds[i].series] : NULL;
    if (!into)
        return;
    into->doubles = sums->doubles;
    into->integers = sums->integers;
}

/* Adds the folded values and the pending rows. */
static enum kvtel_status add_histogram(const struct kvtel_attempt *try, uint32_t i, const uint64_t *cells)
{
    const uint64_t *slots = kvtel_feed_slots(try, i);
    struct kvtel_collected *series = &try->series[try->feeds[i].series];
    const uint64_t which = slots[KVTEL_SLOT_SEQ] / 2 & 1;
    struct kvtel_lane_sum sums = { .doubles = kvtel_bits_double(slots[KVTEL_SLOT_SUM + which]),
                                   .integers = slots[KVTEL_SLOT_TOTAL + which] };
    if (!add_cells(try, i, cells, series))
        return KVTEL_E_NOMEM;
    series->count += slots[KVTEL_SLOT_COUNT + which];
    enum kvtel_status status = add_pending(try, i, series, &sums);
    series->sum = kvtel_collected_sum(series->sum, &sums, kvtel_feed_is_ns(try, i));
    note_sums(try, i, &sums);
    return status;
}

static void add_counter(const struct kvtel_attempt *try, uint32_t i)
{
    const uint64_t *slots = kvtel_feed_slots(try, i), which = slots[KVTEL_SLOT_SEQ] / 2 & 1;
    double *total = &try->series[try->feeds[i].series].value;
    struct kvtel_lane_sum sums = { .doubles = kvtel_bits_double(slots[KVTEL_SLOT_VALUE + which]),
                                   .integers = slots[KVTEL_SLOT_INTEGERS + which] };
    for (uint64_t row = 0; row < kvtel_feed_pending(try, i); row++) {
        const uint64_t word = try->rows[row * try->group->columns + try->feeds[i].column];
        if (!kvtel_word_is_present(word))
            continue;
        if (try->feeds[i].kind == KVTEL_COLUMN_ONE)
            sums.doubles += 1;
        else if (word < KVTEL_INTEGER_LIMIT)
            sums.integers += word;
        else
            sums.doubles += kvtel_bits_double(word);
    }
    *total = kvtel_collected_sum(*total, &sums, kvtel_feed_is_ns(try, i));
    note_sums(try, i, &sums);
}

enum kvtel_status kvtel_attempt_add(struct kvtel_attempt *try)
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
    uint64_t added = 0;
    if (!kvtel_feed_are_sums(try, 0) || (histogram && slots[KVTEL_SLOT_END] > KVTEL_CELLS))
        return KVTEL_E_FORMAT;
    if (!histogram) {
        series->value += kvtel_feed_folded(try, 0);
        return KVTEL_OK;
    }
    enum kvtel_status status = kvtel_attempt_cells(try, 0, try->cells);
    if (status != KVTEL_OK && status != KVTEL_E_BUSY)
        return status;
    if (!kvtel_feed_are_used(try, 0, try->cells))
        return KVTEL_E_FORMAT;
    for (uint64_t i = slots[KVTEL_SLOT_FIRST]; i < slots[KVTEL_SLOT_END]; i++) {
        /* so that the sum of all lanes stays below 2^64 */
        if (try->cells[i - slots[KVTEL_SLOT_FIRST]] > KVTEL_LANE_COUNT_MAX >> 13)
            return KVTEL_E_FORMAT;
        added += try->cells[i - slots[KVTEL_SLOT_FIRST]];
    }
    limit_splits(try, 0, try->cells);
    series->count += added;
    series->sum += kvtel_feed_folded(try, 0);
    return add_cells(try, 0, try->cells, series) ? KVTEL_OK : KVTEL_E_NOMEM;
}
