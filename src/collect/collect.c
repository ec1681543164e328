/* SPDX-License-Identifier: Apache-2.0 */
/* Reading a group of rows in one lane. record/lane.h describes how it is written. */
#include "collect/bin_sums.h"
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
    /* Slots before and after rows and bins were copied: first the group's, then one for each feed. */
    slot_copy before[1 + KVTEL_LAYOUT_COLUMNS], after[1 + KVTEL_LAYOUT_COLUMNS];
    /* Rows; the bins of all feeds, one after the other; a second copy of one feed's bins. */
    uint64_t *rows, *bins, *again;
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

static uint32_t feed_slot(const struct attempt *try, uint32_t i)
{
    return i == 0 ? try->group->slot : try->view->series[try->feeds[i - 1].series].slot;
}

/* Copies the slots of the group and its feeds, in one read if they are close to each other. */
static enum kvtel_status read_slots(const struct attempt *try, slot_copy *copies)
{
    uint64_t span[SPAN * KVTEL_SLOT_WORDS];
    uint32_t lowest = UINT32_MAX, highest = 0;
    for (uint32_t i = 0; i <= try->feed_count; i++) {
        uint32_t slot = feed_slot(try, i);
        lowest = slot < lowest ? slot : lowest;
        highest = slot > highest ? slot : highest;
    }
    bool near = highest - lowest < SPAN;
    enum kvtel_status status = KVTEL_OK;
    if (near)
        status = read_words(try, (uint64_t)lowest * KVTEL_SLOT_WORDS, (size_t)(highest - lowest + 1) * KVTEL_SLOT_WORDS,
                            span);
    for (uint32_t i = 0; i <= try->feed_count && status == KVTEL_OK; i++) {
        uint32_t slot = feed_slot(try, i);
        if (near)
            memcpy(copies[i], span + (size_t)(slot - lowest) * KVTEL_SLOT_WORDS, sizeof(slot_copy));
        else
            status = read_words(try, (uint64_t)slot * KVTEL_SLOT_WORDS, KVTEL_SLOT_WORDS, copies[i]);
    }
    return status;
}

static uint64_t pending_rows(const struct attempt *try, uint32_t i)
{
    return try->before[0][KVTEL_SLOT_HEAD] - try->before[1 + i][KVTEL_SLOT_SEQ] / 2 * KVTEL_BLOCK_ROWS;
}

/* Copies the bins of a histogram that its slot marks as used. During a fold they are copied twice: bins only grow,
 * so two equal copies show the state at one moment. */
static enum kvtel_status read_bins(const struct attempt *try, uint32_t i, uint64_t *bins)
{
    const uint64_t *slot = try->before[1 + i];
    const struct kvtel_layout_series *series = &try->view->series[try->feeds[i].series];
    uint64_t first = slot[KVTEL_SLOT_FIRST], end = slot[KVTEL_SLOT_END];
    uint64_t size = end > first ? end - first : 0;
    enum kvtel_status status = KVTEL_OK;
    if (size > 0)
        status = read_words(try, series->bins_at + first, size, bins);
    if (size > 0 && status == KVTEL_OK && slot[KVTEL_SLOT_SEQ] & 1) {
        status = read_words(try, series->bins_at + first, size, try->again);
        if (status == KVTEL_OK && memcmp(bins, try->again, size * sizeof(*bins)) != 0)
            status = KVTEL_E_BUSY;
    }
    return status;
}

static bool same_slot(const struct attempt *try, uint32_t i)
{
    size_t words = try->feeds[i].kind == KVTEL_COLUMN_OBSERVE ? KVTEL_SLOT_END + 1 : KVTEL_SLOT_VALUE + 2;
    return memcmp(try->before[1 + i], try->after[1 + i], words * sizeof(uint64_t)) == 0;
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
        if (try->feeds[i].kind == KVTEL_COLUMN_OBSERVE)
            possible = possible && layout && try->before[1 + i][KVTEL_SLOT_END] <= (uint64_t)layout->bound_count + 1;
    }
    enum kvtel_status status = KVTEL_OK;
    if (possible && most > 0)
        status = read_words(try, try->group->block_at, most * try->group->columns, try->rows);
    uint64_t *bins = try->bins;
    bool moved = false;
    for (uint32_t i = 0; possible && i < try->feed_count && (status == KVTEL_OK); i++) {
        if (try->feeds[i].kind != KVTEL_COLUMN_OBSERVE)
            continue;
        status = read_bins(try, i, bins);
        if (status == KVTEL_E_BUSY) {
            moved = true;
            status = KVTEL_OK;
        }
        bins += try->series[try->feeds[i].series].layout->bound_count + 1;
    }
    if (status == KVTEL_OK)
        status = read_slots(try, try->after);
    if (status != KVTEL_OK)
        return status;
    for (uint32_t i = 0; i < try->feed_count; i++)
        moved = moved || !same_slot(try, i);
    if (!possible && !moved)
        return try->before[0][KVTEL_SLOT_HEAD] == try->after[0][KVTEL_SLOT_HEAD] ? KVTEL_E_FORMAT : KVTEL_E_BUSY;
    return moved ? KVTEL_E_BUSY : KVTEL_OK;
}

/* Whether a correct writer can have produced this slot's sum and count and these bins. *in_bins: number of values in
 * the bins. */
static bool are_bins(const struct attempt *try, uint32_t i, const uint64_t *bins, uint64_t *in_bins)
{
    const uint64_t *slot = try->before[1 + i];
    uint64_t which = slot[KVTEL_SLOT_SEQ] / 2 & 1, first = slot[KVTEL_SLOT_FIRST], end = slot[KVTEL_SLOT_END];
    uint64_t bits;
    *in_bins = kvtel_bins_sum(bins, end > first ? end - first : 0, &bits);
    double sum = kvtel_bits_double(slot[KVTEL_SLOT_SUM + which]);
    return bits <= KVTEL_LANE_COUNT_MAX && *in_bins <= KVTEL_LANE_COUNT_MAX && kvtel_is_total(sum) &&
           kvtel_is_sum_of(sum, slot[KVTEL_SLOT_COUNT + which], try->series[try->feeds[i].series].layout, first, end);
}

/* Whether each value in the rows that are not folded into every feed is an amount or absent. */
static bool are_rows(const struct attempt *try)
{
    uint64_t most = 0;
    for (uint32_t i = 0; i < try->feed_count; i++)
        most = pending_rows(try, i) > most ? pending_rows(try, i) : most;
    for (uint64_t k = 0; k < most * try->group->columns; k++) {
        double value = kvtel_bits_double(try->rows[k]);
        if (value == value && !kvtel_is_amount(value))
            return false;
    }
    return true;
}

/* Whether a histogram's bins hold as many values as its slot and its block allow. `bins`: start of its copy. */
static bool is_possible(const struct attempt *try, uint32_t i, const uint64_t *bins)
{
    const uint64_t *slot = try->before[1 + i];
    uint64_t in_bins, present = 0;
    if (!are_bins(try, i, bins, &in_bins))
        return false;
    in_bins -= slot[KVTEL_SLOT_COUNT + (slot[KVTEL_SLOT_SEQ] / 2 & 1)];
    if (in_bins == 0 || !(slot[KVTEL_SLOT_SEQ] & 1))
        return in_bins == 0;
    const uint64_t *column = try->rows + try->feeds[i].column;
    for (uint64_t row = 0; row < pending_rows(try, i); row++, column += try->group->columns)
        present += kvtel_is_amount(kvtel_bits_double(*column));
    return in_bins <= present;
}

static uint64_t add_bins(const struct attempt *try, uint32_t i, const uint64_t *bins, struct kvtel_collected *series,
                         bool *memory)
{
    uint64_t first = try->before[1 + i][KVTEL_SLOT_FIRST], end = try->before[1 + i][KVTEL_SLOT_END];
    *memory = first >= end || kvtel_collected_widen(series, try->arena, (uint32_t)first, (uint32_t)end);
    return first < end && *memory ? kvtel_bins_add(series->bins + (first - series->first), bins, end - first) : 0;
}

/* Adds the pending rows. During a fold, the first `in_bins` values of the block are already in the bins. */
static enum kvtel_status add_pending(const struct attempt *try, uint32_t i, uint64_t in_bins,
                                     struct kvtel_collected *series)
{
    uint64_t found[KVTEL_BLOCK_ROWS], count = 0, lowest = UINT64_MAX, highest = 0;
    uint64_t pending = pending_rows(try, i);
    const uint64_t *column = try->rows + try->feeds[i].column;
    for (uint64_t row = 0; row < pending; row++, column += try->group->columns) {
        double value = kvtel_bits_double(*column);
        if (!kvtel_is_amount(value))
            continue;
        uint64_t bin = kvtel_bins_find(series->layout, kvtel_double_bits(value + 0.0));
        series->sum += value;
        lowest = bin < lowest ? bin : lowest;
        highest = bin > highest ? bin : highest;
        found[count++] = bin;
    }
    if (in_bins > count)
        return KVTEL_E_FORMAT;
    if (count > 0 && !kvtel_collected_widen(series, try->arena, (uint32_t)lowest, (uint32_t)highest + 1))
        return KVTEL_E_NOMEM;
    series->count += count;
    for (uint64_t k = in_bins; k < count; k++)
        series->bins[found[k] - series->first]++;
    return KVTEL_OK;
}

/* Adds the folded values and the pending rows. */
static enum kvtel_status add_histogram(const struct attempt *try, uint32_t i, const uint64_t *bins)
{
    const uint64_t *slot = try->before[1 + i];
    struct kvtel_collected *series = &try->series[try->feeds[i].series];
    uint64_t which = slot[KVTEL_SLOT_SEQ] / 2 & 1;
    bool memory;
    uint64_t in_bins = add_bins(try, i, bins, series, &memory) - slot[KVTEL_SLOT_COUNT + which];
    if (!memory)
        return KVTEL_E_NOMEM;
    if (in_bins > 0 && !(slot[KVTEL_SLOT_SEQ] & 1))
        return KVTEL_E_FORMAT;
    series->sum += kvtel_bits_double(slot[KVTEL_SLOT_SUM + which]);
    series->count += slot[KVTEL_SLOT_COUNT + which];
    return add_pending(try, i, in_bins, series);
}

static void add_counter(const struct attempt *try, uint32_t i)
{
    const uint64_t *slot = try->before[1 + i];
    double *total = &try->series[try->feeds[i].series].value;
    *total += kvtel_bits_double(slot[KVTEL_SLOT_VALUE + (slot[KVTEL_SLOT_SEQ] / 2 & 1)]);
    for (uint64_t row = 0; row < pending_rows(try, i); row++) {
        double value = kvtel_bits_double(try->rows[row * try->group->columns + try->feeds[i].column]);
        if (kvtel_is_amount(value))
            *total += try->feeds[i].kind == KVTEL_COLUMN_ONE ? 1 : value;
    }
}

/* Adds all feeds, or none. */
static enum kvtel_status add_all(const struct attempt *try)
{
    const uint64_t *bins = try->bins;
    enum kvtel_status status = KVTEL_OK;
    if (!are_rows(try))
        return KVTEL_E_FORMAT;
    for (uint32_t i = 0; i < try->feed_count; i++) {
        const uint64_t *slot = try->before[1 + i];
        bool histogram = try->feeds[i].kind == KVTEL_COLUMN_OBSERVE;
        if (!histogram && !kvtel_is_total(kvtel_bits_double(slot[KVTEL_SLOT_VALUE + (slot[KVTEL_SLOT_SEQ] / 2 & 1)])))
            return KVTEL_E_FORMAT;
        if (!histogram)
            continue;
        if (!is_possible(try, i, bins))
            return KVTEL_E_FORMAT;
        bins += try->series[try->feeds[i].series].layout->bound_count + 1;
    }
    bins = try->bins;
    for (uint32_t i = 0; i < try->feed_count && status == KVTEL_OK; i++) {
        if (try->feeds[i].kind != KVTEL_COLUMN_OBSERVE) {
            add_counter(try, i);
            continue;
        }
        status = add_histogram(try, i, bins);
        bins += try->series[try->feeds[i].series].layout->bound_count + 1;
    }
    return status;
}

static enum kvtel_status read_and_add(struct attempt *try, unsigned tries)
{
    enum kvtel_status status = read_once(try);
    try->again_and_again = true;
    while (status == KVTEL_E_BUSY && --tries > 0 &&
           (try->view->most_words == 0 || try->scratch->read_again < try->view->most_words)) {
        memcpy(try->before, try->after, sizeof(try->before));
        status = read_once(try);
    }
    return status == KVTEL_OK ? add_all(try) : status;
}

/* Adds one feed of a writer that folds faster than a column can be copied. The retries took longer than a fold, so
 * every row that an earlier snapshot counted is in the bins by now; taking the bins alone cannot make a counter go
 * backwards. The sum may lack rows that were written during this call. */
static enum kvtel_status add_moving(struct attempt *try)
{
    const uint64_t *slot = try->before[1];
    struct kvtel_collected *series = &try->series[try->feeds[0].series];
    double total = kvtel_bits_double(slot[KVTEL_SLOT_VALUE + (slot[KVTEL_SLOT_SEQ] / 2 & 1)]);
    bool histogram = try->feeds[0].kind == KVTEL_COLUMN_OBSERVE, memory;
    if (!kvtel_is_total(total) || (histogram && slot[KVTEL_SLOT_END] > (uint64_t)series->layout->bound_count + 1))
        return KVTEL_E_FORMAT;
    if (!histogram) {
        series->value += total;
        return KVTEL_OK;
    }
    enum kvtel_status status = read_bins(try, 0, try->bins);
    if (status != KVTEL_OK && status != KVTEL_E_BUSY)
        return status;
    for (uint64_t i = slot[KVTEL_SLOT_FIRST]; i < slot[KVTEL_SLOT_END]; i++) {
        /* so that the sum of all lanes stays below 2^64 */
        if (try->bins[i - slot[KVTEL_SLOT_FIRST]] > KVTEL_LANE_COUNT_MAX >> 13)
            return KVTEL_E_FORMAT;
    }
    series->count += add_bins(try, 0, try->bins, series, &memory);
    series->sum += total;
    return memory ? KVTEL_OK : KVTEL_E_NOMEM;
}

/* Reads all columns of the group as of one row. If the writer is too fast for that, each column is read by itself. */
static enum kvtel_status collect_group(struct attempt *try, const uint64_t *slots)
{
    for (uint32_t i = 0; i <= try->feed_count; i++)
        memcpy(try->before[i], slots + (size_t)feed_slot(try, i) * KVTEL_SLOT_WORDS, sizeof(slot_copy));
    enum kvtel_status status = read_and_add(try, GROUP_TRIES);
    if (status != KVTEL_E_BUSY)
        return status;
    const struct kvtel_layout_feed *feeds = try->feeds;
    uint32_t count = try->feed_count;
    try->feed_count = 1;
    for (uint32_t i = 0; i < count; i++) {
        try->feeds = &feeds[i];
        status = read_slots(try, try->before);
        if (status == KVTEL_OK)
            status = read_and_add(try, FEED_TRIES);
        if (status == KVTEL_E_BUSY)
            status = add_moving(try);
        if (status != KVTEL_OK)
            return status;
    }
    return KVTEL_OK;
}

/* Number of words of scratch memory that a group needs: rows, the bins of all its histograms, and a second copy of
 * the largest, which begins at *again. 0: a histogram does not have a layout. */
static size_t group_words(const struct kvtel_view *view, const struct kvtel_layout_group *group,
                          const struct kvtel_collected *series, size_t *again)
{
    size_t words = (size_t)KVTEL_BLOCK_ROWS * group->columns, most = 0;
    for (uint32_t i = 0; i < group->feed_count; i++) {
        const struct kvtel_layout_feed *feed = &view->feeds[group->feeds_at + i];
        if (feed->kind != KVTEL_COLUMN_OBSERVE)
            continue;
        if (!series[feed->series].layout)
            return 0;
        size_t bins = (size_t)series[feed->series].layout->bound_count + 1;
        words += bins;
        most = bins > most ? bins : most;
    }
    *again = words;
    return words + most;
}

bool kvtel_collect_reserve(const struct kvtel_view *view, const struct kvtel_collected *series,
                           struct kvtel_scratch *scratch)
{
    size_t most = 0, again;
    for (uint32_t i = 0; i < view->group_count; i++) {
        size_t words = group_words(view, &view->groups[i], series, &again);
        most = words > most ? words : most;
    }
    return scratch_reserve(scratch, most);
}

enum kvtel_status kvtel_collect_group(const struct kvtel_view *view, const struct kvtel_layout_group *group,
                                      uint32_t lane, const uint64_t *slots, struct kvtel_arena *arena,
                                      struct kvtel_scratch *scratch, struct kvtel_collected *series)
{
    size_t again;
    if (slots[(size_t)group->slot * KVTEL_SLOT_WORDS + KVTEL_SLOT_HEAD] == 0 ||
        group_words(view, group, series, &again) == 0)
        return KVTEL_OK; /* no row was ever written, or the layout is missing */
    struct attempt try = {
        .view = view, .group = group, .feeds = &view->feeds[group->feeds_at], .feed_count = group->feed_count
    };
    try.lane = lane;
    try.series = series;
    try.arena = arena;
    try.scratch = scratch;
    try.rows = scratch->words;
    try.bins = try.rows + (size_t)KVTEL_BLOCK_ROWS * group->columns;
    try.again = try.rows + again;
    return collect_group(&try, slots);
}
