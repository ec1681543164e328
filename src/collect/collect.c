/* SPDX-License-Identifier: Apache-2.0 */
/* Reading a group of rows in one lane. record/lane.h describes how it is written. */
#include "collect/cell_sums.h"
#include "collect/group.h"
#include "record/lane.h"
#include "collect/plausible.h"

#include <stdlib.h>

enum {
    GROUP_TRIES = 32, /* tries to copy all columns of a group as of one moment */
    FEED_TRIES = 200, /* tries to copy one column */
    SPAN = 64,        /* slots closer to each other than this are copied by one read */
};
_Static_assert(KVTEL_SLOT_VALUE == KVTEL_SLOT_SUM, "a total stands in the same place");

typedef uint64_t slot_copy[KVTEL_SLOT_WORDS];

/* An attempt to read some feeds of a group in one lane. */
struct attempt {
    const struct kvtel_view *view;
    const struct kvtel_layout_group *group;
    const struct kvtel_layout_feed *feeds;
    uint32_t feed_count, lane;
    struct kvtel_collected *series;
    struct kvtel_arena *arena;
    struct kvtel_scratch *scratch; /* counts the words read */
    bool again_and_again;          /* this is a retry */
    /* Slots before and after rows and cells were copied: first the group's, then those of each feed. */
    uint64_t *before, *after;
    uint32_t
        slots_at[2 + KVTEL_LAYOUT_COLUMNS]; /* words of the copies where the slots of each begin; then their size */
    /* Rows; the cells of all feeds, one after the other; a second copy of one feed's cells. */
    uint64_t *rows, *cells, *again;
};

/* The copy of the group's slot. */
static const uint64_t *group_slot(const struct attempt *try)
{
    return try->before;
}
/* The copy of the slots of feed `i`. */
static const uint64_t *feed_slots(const struct attempt *try, uint32_t i)
{
    return try->before + try->slots_at[1 + i];
}
static uint32_t feed_words(const struct attempt *try, uint32_t i)
{
    return try->slots_at[2 + i] - try->slots_at[1 + i];
}
static bool is_ns(const struct attempt *try, uint32_t i)
{
    return try->group->ns >> try->feeds[i].column & 1;
}

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

/* Reads words of a lane while the view's limit allows. Words that are read again because the writer went on are
 * counted apart. When their limit is reached, the writer is treated as too fast. */
static enum kvtel_status read_words(const struct attempt *try, uint64_t word, size_t count, uint64_t *copy)
{
    const struct kvtel_view *view = try->view;
    uint64_t *spent = try->again_and_again ? &try->scratch->read_again : &try->scratch->read;
    *spent += count;
    if (!try->again_and_again && view->most_words > 0 && *spent > view->most_words)
        return KVTEL_E_LIMIT;
    return view->read(view->context, try->lane, word, count, copy);
}

/* The first slot of the group (0) or of a feed (from 1 on). */
static uint32_t first_slot(const struct attempt *try, uint32_t i)
{
    return i == 0 ? try->group->slot : try->view->series[try->feeds[i - 1].series].slot;
}

/* Number of words of a feed's slots. */
static uint32_t slot_words(const struct kvtel_view *view, const struct kvtel_layout_feed *feed)
{
    const struct kvtel_layout_family *family = &view->families[view->series[feed->series].family];
    return KVTEL_SLOT_WORDS * (feed->kind == KVTEL_COLUMN_OBSERVE ? kvtel_slots_of(family->bound_count) : 1);
}

static void place_slots(struct attempt *try)
{
    uint32_t at = KVTEL_SLOT_WORDS;
    try->slots_at[0] = 0;
    for (uint32_t i = 0; i < try->feed_count; i++) {
        try->slots_at[1 + i] = at;
        at += slot_words(try->view, &try->feeds[i]);
    }
    try->slots_at[1 + try->feed_count] = at;
}

static uint32_t words_at(const struct attempt *try, uint32_t i)
{
    return try->slots_at[1 + i] - try->slots_at[i];
}

/* Reads the group's head, where it is in the lane's line, into the copy of its slot. */
static enum kvtel_status read_head(const struct attempt *try, uint64_t *copies)
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

/* Copies the slots of the group and its feeds, in one read if they are close to each other. */
static enum kvtel_status read_slots(const struct attempt *try, uint64_t *copies)
{
    uint64_t span[SPAN * KVTEL_SLOT_WORDS], lowest = UINT64_MAX, end = 0;
    for (uint32_t i = 0; i <= try->feed_count; i++) {
        const uint64_t word = (uint64_t)first_slot(try, i) * KVTEL_SLOT_WORDS;
        lowest = word < lowest ? word : lowest;
        end = word + words_at(try, i) > end ? word + words_at(try, i) : end;
    }
    const bool near = end - lowest <= sizeof(span) / sizeof(span[0]);
    enum kvtel_status status = KVTEL_OK;
    if (near)
        status = read_words(try, lowest, end - lowest, span);
    for (uint32_t i = 0; i <= try->feed_count && status == KVTEL_OK; i++) {
        const uint64_t word = (uint64_t)first_slot(try, i) * KVTEL_SLOT_WORDS;
        uint64_t *copy = copies + try->slots_at[i];
        if (near)
            memcpy(copy, span + (word - lowest), words_at(try, i) * sizeof(*copy));
        else
            status = read_words(try, word, words_at(try, i), copy);
    }
    return status;
}

static uint64_t pending_rows(const struct attempt *try, uint32_t i)
{
    return group_slot(try)[KVTEL_SLOT_HEAD] - feed_slots(try, i)[KVTEL_SLOT_SEQ] / 2 * KVTEL_BLOCK_ROWS;
}

/* Copies the bins of a histogram that its slot marks as used. During a fold they are copied twice: bins only grow,
 * so two equal copies show the state at one moment. */
static enum kvtel_status read_cells(const struct attempt *try, uint32_t i, uint64_t *cells)
{
    const uint64_t *slot = feed_slots(try, i);
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
static bool same_slots(const struct attempt *try, uint32_t i)
{
    const uint64_t *before = feed_slots(try, i), *after = try->after + try->slots_at[1 + i];
    if (try->feeds[i].kind == KVTEL_COLUMN_OBSERVE)
        return memcmp(before, after, feed_words(try, i) * sizeof(*before)) == 0;
    return memcmp(before, after, (KVTEL_SLOT_VALUE + 2) * sizeof(*before)) == 0 &&
           memcmp(before + KVTEL_SLOT_INTEGERS, after + KVTEL_SLOT_INTEGERS, 2 * sizeof(*before)) == 0;
}

/* Copies the rows and bins that belong to the slots in `before`. KVTEL_E_BUSY: the writer went on in the meantime,
 * and the next attempt starts from `after`. KVTEL_E_FORMAT: the writer did not go on, and the slots contradict each
 * other. */
static enum kvtel_status read_once(struct attempt *try)
{
    uint64_t most = 0;
    bool possible = true;
    for (uint32_t i = 0; i < try->feed_count; i++) {
        const struct kvtel_bins *layout = try->series[try->feeds[i].series].layout;
        uint64_t pending = pending_rows(try, i);
        most = pending > most ? pending : most;
        possible = possible && pending <= KVTEL_BLOCK_ROWS;
        /* a fold begins when its block is full: a head that says otherwise was read before the slots */
        possible = possible && (pending == KVTEL_BLOCK_ROWS || !(feed_slots(try, i)[KVTEL_SLOT_SEQ] & 1));
        if (try->feeds[i].kind == KVTEL_COLUMN_OBSERVE)
            possible = possible && layout && feed_slots(try, i)[KVTEL_SLOT_END] <= KVTEL_CELLS;
    }
    enum kvtel_status status = KVTEL_OK;
    if (possible && most > 0)
        status = read_words(try, try->group->block_at, most * try->group->columns, try->rows);
    uint64_t *cells = try->cells;
    bool moved = false;
    for (uint32_t i = 0; possible && i < try->feed_count && (status == KVTEL_OK); i++) {
        if (try->feeds[i].kind != KVTEL_COLUMN_OBSERVE)
            continue;
        status = read_cells(try, i, cells);
        if (status == KVTEL_E_BUSY) {
            moved = true;
            status = KVTEL_OK;
        }
        cells += KVTEL_CELLS;
    }
    if (status == KVTEL_OK)
        status = read_slots(try, try->after);
    if (status != KVTEL_OK)
        return status;
    for (uint32_t i = 0; i < try->feed_count; i++)
        moved = moved || !same_slots(try, i);
    if ((moved || !possible) && (status = read_head(try, try->after)) != KVTEL_OK)
        return status;
    if (!possible && !moved)
        return group_slot(try)[KVTEL_SLOT_HEAD] == try->after[KVTEL_SLOT_HEAD] ? KVTEL_E_FORMAT : KVTEL_E_BUSY;
    return moved ? KVTEL_E_BUSY : KVTEL_OK;
}

/* The folded sum of a feed in the unit in which it is shown. */
static double folded_total(const struct attempt *try, uint32_t i)
{
    const bool histogram = try->feeds[i].kind == KVTEL_COLUMN_OBSERVE;
    const uint64_t *slots = feed_slots(try, i), which = slots[KVTEL_SLOT_SEQ] / 2 & 1;
    const uint64_t integers = slots[(histogram ? KVTEL_SLOT_TOTAL : KVTEL_SLOT_INTEGERS) + which];
    return kvtel_bits_double(slots[KVTEL_SLOT_SUM + which]) + kvtel_collected_integers(integers, is_ns(try, i));
}

/* Whether a correct writer can have produced the folded sums of a feed. */
static bool are_sums(const struct attempt *try, uint32_t i)
{
    const bool histogram = try->feeds[i].kind == KVTEL_COLUMN_OBSERVE;
    const uint64_t *slots = feed_slots(try, i), which = slots[KVTEL_SLOT_SEQ] / 2 & 1;
    return kvtel_is_total(kvtel_bits_double(slots[KVTEL_SLOT_SUM + which])) &&
           slots[(histogram ? KVTEL_SLOT_TOTAL : KVTEL_SLOT_INTEGERS) + which] <= KVTEL_INTEGERS_MAX;
}

/* How many values a cell of the copy holds. */
static uint64_t cell_count(const uint64_t *slots, const uint64_t *cells, uint32_t cell)
{
    const uint64_t first = slots[KVTEL_SLOT_FIRST], end = slots[KVTEL_SLOT_END];
    return cell >= first && cell < end ? cells[cell - first] : 0;
}

/* Values of the split's cell at or below its bound. */
static uint64_t below_split(const uint64_t *slots, const struct kvtel_bins *layout, const struct kvtel_split *split)
{
    const uint64_t which = slots[KVTEL_SLOT_SEQ] / 2 & 1;
    return slots[KVTEL_SLOT_BELOW + which * layout->explicit_count + split->bound];
}

/* Whether the splits of each cell ascend and hold no more than the cell. */
static bool are_splits(const struct attempt *try, uint32_t i, const uint64_t *cells)
{
    const uint64_t *slots = feed_slots(try, i);
    const struct kvtel_bins *layout = try->series[try->feeds[i].series].layout;
    uint64_t lower = 0;
    for (uint32_t k = 0; k < layout->split_count; k++) {
        const struct kvtel_split *split = &layout->splits[k];
        const uint64_t below = below_split(slots, layout, split);
        lower = k > 0 && split[-1].cell == split->cell ? lower : 0;
        if (below < lower || below > cell_count(slots, cells, split->cell))
            return false;
        lower = below;
    }
    return true;
}

/* Whether a correct writer can have produced these sums and counts and these cells. *in_cells: number of values in
 * the cells. */
static bool are_cells(const struct attempt *try, uint32_t i, const uint64_t *cells, uint64_t *in_cells)
{
    const uint64_t *slots = feed_slots(try, i);
    const struct kvtel_bins *layout = try->series[try->feeds[i].series].layout;
    uint64_t which = slots[KVTEL_SLOT_SEQ] / 2 & 1, first = slots[KVTEL_SLOT_FIRST], end = slots[KVTEL_SLOT_END];
    uint64_t bits, from = 0, to = 0;
    *in_cells = kvtel_cells_sum(cells, end > first ? end - first : 0, &bits);
    if (first < end) {
        from = layout->bin_of[first];
        to = layout->bin_of[end];
    }
    return bits <= KVTEL_LANE_COUNT_MAX && *in_cells <= KVTEL_LANE_COUNT_MAX && are_sums(try, i) &&
           (slots[KVTEL_SLOT_TOTAL + which] == KVTEL_INTEGERS_MAX ||
            kvtel_is_sum_of(folded_total(try, i), slots[KVTEL_SLOT_COUNT + which], layout, from, to));
}

static bool is_present(uint64_t word)
{
    return word < KVTEL_INTEGER_LIMIT || kvtel_is_amount(kvtel_bits_double(word));
}

/* Whether each word of the rows that are not folded into every feed is an amount or absent. */
static bool are_rows(const struct attempt *try)
{
    uint64_t most = 0;
    for (uint32_t i = 0; i < try->feed_count; i++)
        most = pending_rows(try, i) > most ? pending_rows(try, i) : most;
    for (uint64_t k = 0; k < most * try->group->columns; k++) {
        if (try->rows[k] != KVTEL_NO_VALUE && !is_present(try->rows[k]))
            return false;
    }
    return true;
}

/* Counts a value that is in its cell already, but not yet in the splits of the cell. */
static void take_below(const struct attempt *try, uint32_t i, uint64_t word)
{
    const struct kvtel_bins *layout = try->series[try->feeds[i].series].layout;
    uint64_t *slots = try->before + try->slots_at[1 + i];
    uint64_t *below = slots + KVTEL_SLOT_BELOW + (slots[KVTEL_SLOT_SEQ] / 2 & 1) * layout->explicit_count;
    const uint32_t cell = kvtel_cell_of_word(layout, word, is_ns(try, i));
    for (uint32_t k = 0; k < layout->split_count && layout->splits[k].cell <= cell; k++) {
        if (layout->splits[k].cell == cell && kvtel_split_takes(&layout->splits[k], word, is_ns(try, i)))
            below[layout->splits[k].bound]++;
    }
}

/* Whether a histogram's cells hold as many values as its slots and its block allow. `cells`: start of its copy. */
static bool is_possible(const struct attempt *try, uint32_t i, const uint64_t *cells)
{
    const uint64_t *slots = feed_slots(try, i);
    uint64_t in_cells, present = 0;
    if (!are_cells(try, i, cells, &in_cells))
        return false;
    in_cells -= slots[KVTEL_SLOT_COUNT + (slots[KVTEL_SLOT_SEQ] / 2 & 1)];
    if (in_cells > 0 && !(slots[KVTEL_SLOT_SEQ] & 1))
        return false;
    const uint64_t *column = try->rows + try->feeds[i].column;
    for (uint64_t row = 0; row < pending_rows(try, i) && present < in_cells; row++, column += try->group->columns) {
        if (!is_present(*column))
            continue;
        take_below(try, i, *column);
        present++;
    }
    return present == in_cells && are_splits(try, i, cells);
}

/* Adds the cells to the bins of the series. Returns the number of values. */
static uint64_t add_cells(const struct attempt *try, uint32_t i, const uint64_t *cells, struct kvtel_collected *series,
                          bool *memory)
{
    const uint64_t *slots = feed_slots(try, i);
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
        const uint64_t count = cell_count(slots, cells, split->cell);
        if (count == 0)
            continue;
        /* what is above the bound moves on to the next bin */
        const uint64_t above = count - below_split(slots, layout, split);
        uint64_t *bin = bins + (split->bin - series->first);
        bin[0] -= above;
        bin[1] += above;
    }
    return added;
}

/* Adds the pending rows to the bins and the count, and their sums to *integers and the sum. During a fold, the first
 * `in_cells` values of the block are already in the cells. */
static enum kvtel_status add_pending(const struct attempt *try, uint32_t i, uint64_t in_cells,
                                     struct kvtel_collected *series, uint64_t *integers)
{
    uint64_t count = 0;
    uint32_t found[KVTEL_BLOCK_ROWS], lowest = UINT32_MAX, highest = 0;
    const uint64_t *column = try->rows + try->feeds[i].column;
    const uint64_t pending = pending_rows(try, i);
    for (uint64_t row = 0; row < pending; row++, column += try->group->columns) {
        if (!is_present(*column))
            continue;
        const double value = kvtel_word_value(*column, is_ns(try, i));
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
static enum kvtel_status add_histogram(const struct attempt *try, uint32_t i, const uint64_t *cells)
{
    const uint64_t *slots = feed_slots(try, i);
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
    series->sum += kvtel_collected_integers(integers, is_ns(try, i));
    return status;
}

static void add_counter(const struct attempt *try, uint32_t i)
{
    const uint64_t *slots = feed_slots(try, i), which = slots[KVTEL_SLOT_SEQ] / 2 & 1;
    double *total = &try->series[try->feeds[i].series].value;
    uint64_t integers = slots[KVTEL_SLOT_INTEGERS + which];
    *total += kvtel_bits_double(slots[KVTEL_SLOT_VALUE + which]);
    for (uint64_t row = 0; row < pending_rows(try, i); row++) {
        const uint64_t word = try->rows[row * try->group->columns + try->feeds[i].column];
        if (!is_present(word))
            continue;
        if (try->feeds[i].kind == KVTEL_COLUMN_ONE)
            *total += 1;
        else if (word < KVTEL_INTEGER_LIMIT)
            integers += word;
        else
            *total += kvtel_bits_double(word);
    }
    *total += kvtel_collected_integers(integers, is_ns(try, i));
}

/* Adds all feeds, or none. */
static enum kvtel_status add_all(const struct attempt *try)
{
    const uint64_t *cells = try->cells;
    enum kvtel_status status = KVTEL_OK;
    if (!are_rows(try))
        return KVTEL_E_FORMAT;
    for (uint32_t i = 0; i < try->feed_count; i++) {
        const bool histogram = try->feeds[i].kind == KVTEL_COLUMN_OBSERVE;
        if (!(histogram ? is_possible(try, i, cells) : are_sums(try, i)))
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

static enum kvtel_status read_and_add(struct attempt *try, unsigned tries)
{
    enum kvtel_status status = read_once(try);
    try->again_and_again = true;
    while (status == KVTEL_E_BUSY && --tries > 0 &&
           (try->view->most_words == 0 || try->scratch->read_again < try->view->most_words)) {
        memcpy(try->before, try->after, try->slots_at[1 + try->feed_count] * sizeof(*try->before));
        status = read_once(try);
    }
    return status == KVTEL_OK ? add_all(try) : status;
}

/* The words of slots that a fast writer changes need not belong together: counts at or below bounds may come after the
 * range of cells. Where they are above their cell, the range did not contain the cell, and no earlier reading did. */
static void limit_splits(const struct attempt *try, uint32_t i, const uint64_t *cells)
{
    const struct kvtel_bins *layout = try->series[try->feeds[i].series].layout;
    uint64_t *slots = try->before + try->slots_at[1 + i], lower = 0;
    uint64_t *below = slots + KVTEL_SLOT_BELOW + (slots[KVTEL_SLOT_SEQ] / 2 & 1) * layout->explicit_count;
    for (uint32_t k = 0; k < layout->split_count; k++) {
        const struct kvtel_split *split = &layout->splits[k];
        const uint64_t count = cell_count(slots, cells, split->cell);
        lower = k > 0 && split[-1].cell == split->cell ? lower : 0;
        uint64_t *place = &below[split->bound];
        *place = *place > lower ? *place : lower;
        *place = *place < count ? *place : count;
        lower = *place;
    }
}

/* Adds one feed of a writer that folds faster than a column can be copied. The retries took longer than a fold, so
 * every row that an earlier snapshot counted is in the bins by now; taking the bins alone cannot make a counter go
 * backwards. The sum may lack rows that were written during this call. */
static enum kvtel_status add_moving(struct attempt *try)
{
    const uint64_t *slots = feed_slots(try, 0);
    struct kvtel_collected *series = &try->series[try->feeds[0].series];
    const bool histogram = try->feeds[0].kind == KVTEL_COLUMN_OBSERVE;
    bool memory;
    if (!are_sums(try, 0) || (histogram && slots[KVTEL_SLOT_END] > KVTEL_CELLS))
        return KVTEL_E_FORMAT;
    if (!histogram) {
        series->value += folded_total(try, 0);
        return KVTEL_OK;
    }
    enum kvtel_status status = read_cells(try, 0, try->cells);
    if (status != KVTEL_OK && status != KVTEL_E_BUSY)
        return status;
    for (uint64_t i = slots[KVTEL_SLOT_FIRST]; i < slots[KVTEL_SLOT_END]; i++) {
        /* so that the sum of all lanes stays below 2^64 */
        if (try->cells[i - slots[KVTEL_SLOT_FIRST]] > KVTEL_LANE_COUNT_MAX >> 13)
            return KVTEL_E_FORMAT;
    }
    limit_splits(try, 0, try->cells);
    series->count += add_cells(try, 0, try->cells, series, &memory);
    series->sum += folded_total(try, 0);
    return memory ? KVTEL_OK : KVTEL_E_NOMEM;
}

/* Reads all columns of the group as of one row. If the writer is too fast for that, each column is read by itself. */
static enum kvtel_status collect_group(struct attempt *try, const uint64_t *slots)
{
    place_slots(try);
    for (uint32_t i = 0; i <= try->feed_count; i++)
        memcpy(try->before + try->slots_at[i], slots + (size_t)first_slot(try, i) * KVTEL_SLOT_WORDS,
               words_at(try, i) * sizeof(*slots));
    enum kvtel_status status = read_and_add(try, GROUP_TRIES);
    if (status != KVTEL_E_BUSY)
        return status;
    const struct kvtel_layout_feed *feeds = try->feeds;
    uint32_t count = try->feed_count;
    try->feed_count = 1;
    for (uint32_t i = 0; i < count; i++) {
        try->feeds = &feeds[i];
        place_slots(try);
        status = read_slots(try, try->before);
        if (status == KVTEL_OK)
            status = read_head(try, try->before);
        if (status == KVTEL_OK)
            status = read_and_add(try, FEED_TRIES);
        if (status == KVTEL_E_BUSY)
            status = add_moving(try);
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
        slots += slot_words(view, feed);
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
                                      struct kvtel_scratch *scratch, struct kvtel_collected *series)
{
    const struct parts parts = group_parts(view, group, series);
    if (slots[(size_t)group->slot * KVTEL_SLOT_WORDS + KVTEL_SLOT_HEAD] == 0 || parts.end == 0)
        return KVTEL_OK; /* no row was ever written, or the layout is missing */
    struct attempt try = {
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
    return collect_group(&try, slots);
}
