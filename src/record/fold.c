/* SPDX-License-Identifier: Apache-2.0 */
/* Folding a full block into the series of its group. record/lane.h gives the order of the steps. */
#include "record/lane.h"
#include "record/cells.h"
#include "record/column.h"

#include <string.h>
#ifdef __SSE2__
#include <emmintrin.h>
#endif

/* A test keeps a list of all stores of a fold: it compiles this file with KVTEL_FOLD_LOG and defines the function. */
#ifdef KVTEL_FOLD_LOG
void kvtel_fold_log(const kvtel_word *word, uint64_t value);
#else
static inline void kvtel_fold_log(const kvtel_word *word, uint64_t value)
{
    (void)word;
    (void)value;
}
#endif

static inline void put(kvtel_word *word, uint64_t value)
{
    kvtel_fold_log(word, value);
    kvtel_word_store(word, value);
}
static inline void publish(kvtel_word *word, uint64_t value)
{
    kvtel_fold_log(word, value);
    kvtel_word_publish(word, value);
}
static inline void add_one(kvtel_word *cells, uint16_t cell)
{
#if defined(__x86_64__) && !defined(KVTEL_LANE_TSAN) && !defined(KVTEL_FOLD_LOG)
    /* one instruction; the compiler makes two of a load and a store of an atomic */
    __asm__ volatile("addq $1, (%0,%1,8)" : : "r"(cells), "r"((uint64_t)cell) : "memory", "cc");
#else
    put(&cells[cell], kvtel_word_load(&cells[cell]) + 1);
#endif
}

/* A histogram's fold that has begun. */
struct folding {
    kvtel_word *slot, *cells;
    const struct kvtel_bins *bins;
    uint64_t seq; /* even */
    /* The splits whose cells are within the range of the block's cells, and what these cells held before. */
    uint32_t split_first, split_end;
    uint64_t before[KVTEL_LAYOUT_BOUNDS];
};

static kvtel_word *below_of(const struct folding *folding, uint64_t place, uint32_t bound)
{
    return folding->slot + KVTEL_SLOT_BELOW + place * folding->bins->explicit_count + bound;
}

/* Extends the range of cells in use. */
static void widen(kvtel_word *slot, uint64_t lowest, uint64_t highest)
{
    uint64_t first = kvtel_word_load(slot + KVTEL_SLOT_FIRST), end = kvtel_word_load(slot + KVTEL_SLOT_END);
    if (end == 0 || lowest < first)
        put(slot + KVTEL_SLOT_FIRST, lowest);
    if (highest >= end)
        put(slot + KVTEL_SLOT_END, highest + 1);
}

static void begin(struct folding *folding, struct kvtel_lane *lane, const struct kvtel_local_feed *feed, int lowest,
                  int highest)
{
    const struct kvtel_bins *bins = feed->bins;
    folding->slot = kvtel_lane_slot(lane, feed->slot);
    folding->cells = lane->words + feed->cells_at;
    folding->bins = bins;
    folding->seq = kvtel_word_load(folding->slot + KVTEL_SLOT_SEQ) & ~UINT64_C(1);
    uint32_t i = 0;
    while (i < bins->split_count && bins->splits[i].cell < (uint32_t)lowest)
        i++;
    folding->split_first = i;
    for (; i < bins->split_count && bins->splits[i].cell <= (uint32_t)highest; i++)
        folding->before[i] = kvtel_word_load(&folding->cells[bins->splits[i].cell]);
    folding->split_end = i;
    if (lowest <= highest)
        widen(folding->slot, (uint64_t)lowest, (uint64_t)highest);
    put(folding->slot + KVTEL_SLOT_SEQ, folding->seq + 1);
}

/* The sum of integers stays at its limit instead of passing it; then what is lost is counted. */
static uint64_t add_integers(struct kvtel_lane *lane, uint64_t sum, const struct kvtel_addition *addition)
{
    if (__builtin_expect(addition->integers <= KVTEL_INTEGERS_MAX - sum, 1))
        return sum + addition->integers;
    kvtel_store_count_refused(lane->store, addition->count);
    return KVTEL_INTEGERS_MAX;
}

/* Copies words to where nobody reads yet. */
static void copy_words(kvtel_word *to, const kvtel_word *from, uint32_t count)
{
#if defined(KVTEL_LANE_TSAN) || defined(KVTEL_FOLD_LOG)
    for (uint32_t i = 0; i < count; i++)
        put(&to[i], kvtel_word_load(&from[i]));
#else
    memcpy((void *)(uintptr_t)to, (const void *)(uintptr_t)from, count * sizeof(*to));
#endif
}

/* Stores the new sums and counts where nobody reads yet, and makes them valid. `below[i]`: values that split i gains,
 * for the splits from split_first on. */
static void end(const struct folding *folding, struct kvtel_lane *lane, const struct kvtel_addition *addition,
                const uint32_t *below)
{
    kvtel_word *slot = folding->slot;
    const struct kvtel_bins *bins = folding->bins;
    const uint64_t now = folding->seq / 2 & 1, next = now ^ 1;
    const double sum = kvtel_bits_double(kvtel_word_load(slot + KVTEL_SLOT_SUM + now)) + addition->doubles;
    put(slot + KVTEL_SLOT_SUM + next, kvtel_double_bits(sum));
    put(slot + KVTEL_SLOT_COUNT + next, kvtel_word_load(slot + KVTEL_SLOT_COUNT + now) + addition->count);
    put(slot + KVTEL_SLOT_TOTAL + next, add_integers(lane, kvtel_word_load(slot + KVTEL_SLOT_TOTAL + now), addition));
    copy_words(below_of(folding, next, 0), below_of(folding, now, 0), bins->explicit_count);
    for (uint32_t i = folding->split_first; i < folding->split_end; i++) {
        kvtel_word *word = below_of(folding, next, bins->splits[i].bound);
        if (below[i - folding->split_first] != 0)
            put(word, kvtel_word_load(word) + below[i - folding->split_first]);
    }
    publish(slot + KVTEL_SLOT_SEQ, folding->seq + 2);
}

enum { MANY_ROWS = 4 * KVTEL_QUAD_ROWS };

/* Which of MANY_ROWS rows have this cell, one bit each, given its place among the cells of the first of them. */
static inline uint64_t rows_of(const int16_t *cells, int16_t cell)
{
#ifdef __SSE2__
    const __m128i wanted = _mm_set1_epi32((uint16_t)cell), own = _mm_set1_epi32(UINT16_MAX);
    __m128i is[MANY_ROWS / KVTEL_QUAD_ROWS];
#pragma GCC unroll 4
    for (uint32_t i = 0; i < MANY_ROWS / KVTEL_QUAD_ROWS; i++) {
        const __m128i four = _mm_loadu_si128((const __m128i *)(const void *)(cells + i * KVTEL_QUAD_CELLS));
        is[i] = _mm_cmpeq_epi32(_mm_and_si128(four, own), wanted);
    }
    const __m128i all = _mm_packs_epi16(_mm_packs_epi32(is[0], is[1]), _mm_packs_epi32(is[2], is[3]));
    return (unsigned)_mm_movemask_epi8(all);
#else
    uint64_t rows = 0;
    for (uint32_t row = 0; row < MANY_ROWS; row++)
        rows |= (uint64_t)(cells[row / KVTEL_QUAD_ROWS * KVTEL_QUAD_CELLS + 2 * (row % KVTEL_QUAD_ROWS)] == cell)
                << row;
    return rows;
#endif
}

/* Values of a block in the cell of a split that are at or below its bound. */
static uint32_t count_split(const struct kvtel_split *split, const kvtel_row_word *words, size_t stride, bool ns,
                            const int16_t *cells)
{
    const uint64_t most = split->most[ns];
    uint32_t count = 0;
    for (uint32_t from = 0; from < KVTEL_BLOCK_ROWS; from += 64, words += 64 * stride) {
        uint64_t rows = 0;
        for (uint32_t row = 0; row < 64; row += MANY_ROWS, cells += KVTEL_QUAD_CELLS * MANY_ROWS / KVTEL_QUAD_ROWS)
            rows |= rows_of(cells, (int16_t)split->cell) << row;
        for (; rows != 0; rows &= rows - 1)
            count += words[(size_t)__builtin_ctzll(rows) * stride] <= most;
    }
    return count;
}

/* What the splits of column `c` gain by a block of integers. Only those whose cell grew are looked for. */
static void count_below(const struct folding *folding, uint32_t c, const struct kvtel_quad *quad,
                        const kvtel_row_word *block, const struct kvtel_quad_found *found, uint32_t *below)
{
    const int16_t *cells = found->cells + kvtel_quad_place(0, c);
    for (uint32_t i = folding->split_first; i < folding->split_end; i++) {
        const struct kvtel_split *split = &folding->bins->splits[i];
        below[i - folding->split_first] = kvtel_word_load(&folding->cells[split->cell]) == folding->before[i]
                                              ? 0
                                              : count_split(split, block + c, quad->stride, quad->ns[c], cells);
    }
}

/* Adds 1 to the cells of each row, in order. */
static void add_rows(const struct folding *folding, const int16_t *cells)
{
    kvtel_word *a = folding[0].cells, *b = folding[1].cells, *c = folding[2].cells, *d = folding[3].cells;
    for (uint32_t row = 0; row < KVTEL_BLOCK_ROWS; row += KVTEL_QUAD_ROWS, cells += KVTEL_QUAD_CELLS) {
#pragma GCC unroll 4
        for (uint32_t r = 0; r < KVTEL_QUAD_ROWS; r++) {
            add_one(a, (uint16_t)cells[2 * r]);
            add_one(b, (uint16_t)cells[2 * r + 1]);
            add_one(c, (uint16_t)cells[2 * r + 8]);
            add_one(d, (uint16_t)cells[2 * r + 9]);
        }
    }
}

/* Folds a block into the histograms of its first four columns, which are integers. */
static void fold_quad(struct kvtel_lane *lane, const struct kvtel_row_group *group, const kvtel_row_word *block)
{
    struct folding folding[KVTEL_QUAD];
    struct kvtel_quad_found found;
    uint32_t below[KVTEL_LAYOUT_BOUNDS];
    group->finder->quad(&group->quad, block, &found);
    for (uint32_t c = 0; c < KVTEL_QUAD; c++)
        begin(&folding[c], lane, &group->feeds[group->quad_feeds[c]], found.lowest[c], found.highest[c]);
    kvtel_lane_fence(memory_order_release); /* pairs with the acquire loads of a reader on another core */
    add_rows(folding, found.cells);
    for (uint32_t c = 0; c < KVTEL_QUAD; c++) {
        const struct kvtel_addition addition = { KVTEL_BLOCK_ROWS, found.sums[c], 0 };
        count_below(&folding[c], c, &group->quad, block, &found, below);
        end(&folding[c], lane, &addition, below);
    }
}

/* What the splits gain by a column. `all`: also those whose cell did not grow since the fold began. */
static void count_column_below(const struct folding *folding, const struct kvtel_column *column, const int16_t *cells,
                               bool all, uint32_t *below)
{
    for (uint32_t i = folding->split_first; i < folding->split_end; i++) {
        const struct kvtel_split *split = &folding->bins->splits[i];
        const int16_t cell = (int16_t)split->cell;
        uint32_t count = 0;
        if (all || kvtel_word_load(&folding->cells[split->cell]) != folding->before[i])
            for (uint32_t k = 0; k < column->count; k++)
                count += cells[k] == cell && kvtel_split_takes(split, column->words[k], column->ns);
        below[i - folding->split_first] = count;
    }
}

/* Adds 1 to the cells of a column's values from `done` on, in order. */
static void add_values(kvtel_word *words, const int16_t *cells, uint32_t done, uint32_t count)
{
    uint32_t i = done;
    for (; i + 4 <= count; i += 4) {
        add_one(words, (uint16_t)cells[i]);
        add_one(words, (uint16_t)cells[i + 1]);
        add_one(words, (uint16_t)cells[i + 2]);
        add_one(words, (uint16_t)cells[i + 3]);
    }
    for (; i < count; i++)
        add_one(words, (uint16_t)cells[i]);
}

/* Folds a column into a histogram. `again`: a fold was interrupted, and the first `done` values are already in their
 * cells. */
static void fold_histogram(struct kvtel_lane *lane, const struct kvtel_finder *finder,
                           const struct kvtel_local_feed *feed, struct kvtel_column *column, bool again, uint32_t done)
{
    struct folding folding;
    struct kvtel_column_found found;
    uint32_t below[KVTEL_LAYOUT_BOUNDS];
    kvtel_column_find(column, finder, feed->bins, &found);
    begin(&folding, lane, feed, found.lowest, found.highest);
    kvtel_lane_fence(memory_order_release); /* pairs with the acquire loads of a reader on another core */
    add_values(folding.cells, found.cells, done, column->count);
    count_column_below(&folding, column, found.cells, again, below);
    end(&folding, lane, &column->sums, below);
}

static void fold_counter(struct kvtel_lane *lane, const struct kvtel_local_feed *feed,
                         const struct kvtel_column *column)
{
    kvtel_word *slot = kvtel_lane_slot(lane, feed->slot);
    const uint64_t seq = kvtel_word_load(slot + KVTEL_SLOT_SEQ) + 2, next = seq / 2 & 1, now = next ^ 1;
    struct kvtel_addition addition = { .doubles = column->count };
    if (feed->kind == KVTEL_COLUMN_ADD)
        addition = column->sums;
    const double total = kvtel_bits_double(kvtel_word_load(slot + KVTEL_SLOT_VALUE + now)) + addition.doubles;
    put(slot + KVTEL_SLOT_VALUE + next, kvtel_double_bits(total));
    put(slot + KVTEL_SLOT_INTEGERS + next,
        add_integers(lane, kvtel_word_load(slot + KVTEL_SLOT_INTEGERS + now), &addition));
    publish(slot + KVTEL_SLOT_SEQ, seq);
}

static void fold_feed(struct kvtel_lane *lane, const struct kvtel_row_group *group, const struct kvtel_local_feed *feed,
                      struct kvtel_column *column)
{
    if (feed->kind == KVTEL_COLUMN_OBSERVE)
        fold_histogram(lane, group->finder, feed, column, false, 0);
    else
        fold_counter(lane, feed, column);
}

static const kvtel_row_word *block_of(const struct kvtel_lane *lane, const struct kvtel_row_group *group)
{
    return (const kvtel_row_word *)(uintptr_t)(lane->words + group->block_at);
}

/* Counts the values of series that were removed: a reader has no place for them. */
static __attribute__((noinline)) void count_removed(struct kvtel_lane *lane, const struct kvtel_row_group *group,
                                                    uint64_t noted)
{
    struct kvtel_column column;
    for (uint32_t i = 0; i < group->feed_count; i++) {
        const struct kvtel_local_feed *feed = &group->feeds[i];
        if (atomic_load_explicit(&lane->store->series[feed->series].type, memory_order_relaxed) != KVTEL_NO_TYPE)
            continue;
        kvtel_column_take(&column, group, block_of(lane, group), feed->column, noted);
        kvtel_store_count_dropped(lane->store, column.count);
    }
}

void kvtel_lane_fold(struct kvtel_lane *lane, const struct kvtel_row_group *group)
{
    const kvtel_row_word *block = block_of(lane, group);
    kvtel_word *noted = kvtel_lane_slot(lane, group->slot) + KVTEL_SLOT_NOTED;
    const uint64_t columns = kvtel_word_load(noted), first = (1u << KVTEL_QUAD) - 1;
    const bool quad = group->is_quad && (columns & (first | first << KVTEL_NOTED_DOUBLES)) == 0;
    struct kvtel_column column;
    uint32_t taken = UINT32_MAX;
    if (quad)
        fold_quad(lane, group, block);
    for (uint32_t i = 0; i < group->feed_count; i++) {
        const struct kvtel_local_feed *feed = &group->feeds[i];
        if (quad && feed->kind == KVTEL_COLUMN_OBSERVE && feed->column < KVTEL_QUAD)
            continue;
        if (taken == UINT32_MAX || feed->column != taken) /* the first half is for gcc -fanalyzer */
            kvtel_column_take(&column, group, block, feed->column, columns);
        taken = feed->column;
        fold_feed(lane, group, feed, &column);
    }
    if (__builtin_expect(atomic_load_explicit(&group->feeds_removed, memory_order_acquire), 0))
        count_removed(lane, group, columns);
    if (columns != 0)
        put(noted, 0);
    /* a reader that sees rows of the next block also sees that this block is folded */
    kvtel_lane_fence(memory_order_release);
}

void kvtel_lane_finish_row(struct kvtel_lane *lane, const struct kvtel_row_group *group, uint64_t head)
{
    if (group->head_part != KVTEL_PART_LINE)
        kvtel_lane_changed(lane);
    if (head % KVTEL_BLOCK_ROWS == 0)
        kvtel_lane_fold(lane, group);
}

/* The number of values of an interrupted fold that are already in their cells. */
static uint64_t count_added(const struct kvtel_lane *lane, const struct kvtel_local_feed *feed)
{
    const kvtel_word *slot = kvtel_lane_slot(lane, feed->slot), *cells = lane->words + feed->cells_at;
    uint64_t first = kvtel_word_load(slot + KVTEL_SLOT_FIRST), last = kvtel_word_load(slot + KVTEL_SLOT_END);
    uint64_t now = kvtel_word_load(slot + KVTEL_SLOT_SEQ) / 2 & 1, total = 0;
    for (uint64_t cell = first; cell < last && cell < KVTEL_CELLS; cell++)
        total += kvtel_word_load(&cells[cell]);
    return total - kvtel_word_load(slot + KVTEL_SLOT_COUNT + now);
}

/* Folds the block into a series to which an interrupted fold did not get, or only in part. False: the lane's words
 * contradict each other. */
static bool finish_feed(struct kvtel_lane *lane, const struct kvtel_row_group *group,
                        const struct kvtel_local_feed *feed)
{
    uint64_t head = kvtel_word_load(kvtel_lane_head(lane, group));
    uint64_t seq = kvtel_word_load(kvtel_lane_slot(lane, feed->slot) + KVTEL_SLOT_SEQ), added = 0;
    struct kvtel_column column;
    if (head / KVTEL_BLOCK_ROWS == seq / 2 && !(seq & 1))
        return true;
    if (head % KVTEL_BLOCK_ROWS != 0 || head / KVTEL_BLOCK_ROWS != seq / 2 + 1)
        return false;
    kvtel_column_take(&column, group, block_of(lane, group), feed->column, UINT64_MAX);
    if (feed->kind != KVTEL_COLUMN_OBSERVE) {
        fold_counter(lane, feed, &column);
        return true;
    }
    if (seq & 1)
        added = count_added(lane, feed);
    if (added > column.count)
        return false;
    fold_histogram(lane, group->finder, feed, &column, true, (uint32_t)added);
    return true;
}

bool kvtel_lane_finish_folds(struct kvtel_lane *lane, const struct kvtel_row_group *groups)
{
    bool good = true;
    for (const struct kvtel_row_group *group = groups; group && good; group = group->next) {
        for (uint32_t i = 0; i < group->feed_count && good; i++)
            good = finish_feed(lane, group, &group->feeds[i]);
    }
    kvtel_lane_fence(memory_order_release); /* as kvtel_lane_fold() */
    return good;
}
