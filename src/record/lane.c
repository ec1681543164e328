/* SPDX-License-Identifier: Apache-2.0 */
/* Lanes: opening, closing, writing. */
#include "record/lane.h"
#include "record/thread.h"

#include <errno.h>
#include <stdlib.h>
#include <time.h>
#ifdef __x86_64__
#include <emmintrin.h>
#endif

static const double absent = __builtin_nan("");

/* The series with this number, or NULL if it does not exist, was removed or has another type. */
static const struct kvtel_series_local *find(const struct kvtel_lane *lane, uint32_t series,
                                             enum kvtel_metric_type type)
{
    const struct kvtel_store *store = lane->store;
    if (series >= atomic_load_explicit(&store->header->series_count, memory_order_acquire))
        return NULL;
    const struct kvtel_series_local *local = &store->series[series];
    return atomic_load_explicit(&local->type, memory_order_relaxed) == (uint32_t)type ? local : NULL;
}

bool kvtel_lane_increase_inside(struct kvtel_lane *lane, uint32_t series, double amount)
{
    const struct kvtel_series_local *local = find(lane, series, KVTEL_COUNTER);
    if (!local) {
        kvtel_store_count_dropped(lane->store, 1);
        return false;
    }
    if (!(amount >= 0 && amount <= kvtel_series_most(local))) {
        kvtel_store_count_refused(lane->store, 1);
        return false;
    }
    kvtel_word *direct = kvtel_lane_slot(lane, local->slot) + KVTEL_SLOT_DIRECT;
    kvtel_word_publish(direct, kvtel_double_bits(kvtel_bits_double(kvtel_word_load(direct)) + amount));
    return true;
}

bool kvtel_lane_set_inside(struct kvtel_lane *lane, uint32_t series, double value)
{
    const struct kvtel_series_local *local = find(lane, series, KVTEL_GAUGE);
    if (!local) {
        kvtel_store_count_dropped(lane->store, 1);
        return false;
    }
    if (!(value >= -__DBL_MAX__ && value <= __DBL_MAX__)) {
        kvtel_store_count_refused(lane->store, 1);
        return false;
    }
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    uint64_t stamp = (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
    kvtel_word *slot = kvtel_lane_slot(lane, local->slot);
    uint64_t seq = kvtel_word_load(slot + KVTEL_SLOT_SEQ) + 1;
    kvtel_lane_fence(memory_order_release); /* a reader that sees the words below also sees the previous publication */
    kvtel_word_store(slot + KVTEL_SLOT_VALUE + (seq & 1), kvtel_double_bits(value));
    kvtel_word_store(slot + KVTEL_SLOT_STAMP + (seq & 1), stamp);
    kvtel_word_publish(slot + KVTEL_SLOT_SEQ, seq);
    return true;
}

size_t kvtel_lane_observe_inside(struct kvtel_lane *lane, uint32_t series, const double *values, size_t count)
{
    const struct kvtel_series_local *local = find(lane, series, KVTEL_HISTOGRAM);
    const struct kvtel_row_group *group = local ? atomic_load_explicit(&local->group, memory_order_acquire) : NULL;
    if (!group) {
        kvtel_store_count_dropped(lane->store, 1);
        return 0;
    }
    const double most = kvtel_series_most(local);
    const uint32_t columns = group->columns;
    uint32_t column = 0; /* the only column of a histogram's own group */
    for (uint32_t i = 0; columns > 1 && i < group->feed_count; i++) {
        if (group->feeds[i].series == series)
            column = group->feeds[i].column;
    }
    uint64_t head = kvtel_word_load(kvtel_lane_slot(lane, group->slot) + KVTEL_SLOT_HEAD);
    const uint64_t others = ((UINT64_C(1) << columns) - 1) & ~(UINT64_C(1) << column);
    size_t taken = 0;
    for (size_t i = 0; i < count; i++) {
        if (!(values[i] >= 0 && values[i] <= most))
            continue;
        if (others != 0)
            kvtel_lane_note_absent(lane, group, others);
        kvtel_word *row = kvtel_lane_row(lane, group, head);
        for (uint32_t c = 0; c < columns; c++)
            kvtel_word_store(row + c, kvtel_double_bits(c == column ? values[i] + 0.0 : absent));
        kvtel_lane_publish_row(lane, group, head++);
        taken++;
    }
    if (taken < count)
        kvtel_store_count_refused(lane->store, count - taken);
    return taken;
}

bool kvtel_lane_increase(struct kvtel_lane *lane, uint32_t series, double amount)
{
    uint64_t token;
    if (!kvtel_lane_enter(lane, 1, &token))
        return false;
    bool taken = kvtel_lane_increase_inside(lane, series, amount);
    kvtel_thread_leave(token);
    return taken;
}

bool kvtel_lane_set(struct kvtel_lane *lane, uint32_t series, double value)
{
    uint64_t token;
    if (!kvtel_lane_enter(lane, 1, &token))
        return false;
    bool taken = kvtel_lane_set_inside(lane, series, value);
    kvtel_thread_leave(token);
    return taken;
}

size_t kvtel_lane_observe(struct kvtel_lane *lane, uint32_t series, const double *values, size_t count)
{
    uint64_t token;
    if (!kvtel_lane_enter(lane, count, &token))
        return 0;
    size_t taken = kvtel_lane_observe_inside(lane, series, values, count);
    kvtel_thread_leave(token);
    return taken;
}

/* A word of a block as its owner reads it. Only the owner writes there, so it may read without atomics. */
typedef double __attribute__((may_alias)) column_value;

/* Copies the values of a column without the absent ones. Returns their number. */
static uint32_t copy_present(const column_value *column, size_t stride, double *values)
{
    uint32_t count = 0;
    /* without a branch, because the processor could not predict which values are absent */
    for (uint32_t row = 0; row < KVTEL_BLOCK_ROWS; row++) {
        double value = column[row * stride];
        values[count] = value;
        count += value == value;
    }
    return count;
}

static void fold_counter(struct kvtel_lane *lane, const struct kvtel_local_feed *feed, const column_value *column,
                         size_t stride)
{
    kvtel_word *slot = kvtel_lane_slot(lane, feed->slot);
    uint64_t seq = kvtel_word_load(slot + KVTEL_SLOT_SEQ) + 2;
    double total = kvtel_bits_double(kvtel_word_load(slot + KVTEL_SLOT_VALUE + ((seq / 2 - 1) & 1)));
    double values[KVTEL_BLOCK_ROWS];
    uint32_t count = copy_present(column, stride, values);
    for (uint32_t i = 0; i < count; i++)
        total += feed->kind == KVTEL_COLUMN_ONE ? 1 : values[i];
    kvtel_word_store(slot + KVTEL_SLOT_VALUE + (seq / 2 & 1), kvtel_double_bits(total));
    kvtel_word_publish(slot + KVTEL_SLOT_SEQ, seq);
}

/* Finds the bins of `count` values, a multiple of 4 and none of them NaN, that stand `stride` words apart, and returns
 * their sum.
 */
#ifdef __x86_64__
struct finder {
    const uint64_t *keys;
    const uint16_t *grid;
    __m128d lowest, highest;
    __m128i lowest_key;
};

static inline __m128d find_two(const struct finder *finder, const column_value *values, size_t stride, int16_t *found)
{
    const __m128d pair = _mm_set_pd(values[stride], values[0]);
    const __m128d near = _mm_min_pd(_mm_max_pd(pair, finder->lowest), finder->highest);
    const __m128i cells = _mm_sub_epi64(_mm_srli_epi64(_mm_castpd_si128(near), KVTEL_GRID_SHIFT), finder->lowest_key);
    uint64_t first = (uint64_t)_mm_cvtsi128_si64(cells),
             second = (uint64_t)_mm_cvtsi128_si64(_mm_unpackhi_epi64(cells, cells));
    found[0] = (int16_t)kvtel_bins_in_cell(finder->keys, finder->grid, first, kvtel_double_bits(values[0]));
    found[1] = (int16_t)kvtel_bins_in_cell(finder->keys, finder->grid, second, kvtel_double_bits(values[stride]));
    return pair;
}

static double find_bins(const struct kvtel_bins *bins, const column_value *values, size_t stride, uint32_t count,
                        int16_t *found)
{
    const struct finder finder = { bins->keys, bins->grid, _mm_set1_pd(bins->lowest), _mm_set1_pd(bins->highest),
                                   _mm_set1_epi64x((long long)bins->lowest_key) };
    __m128d sums = _mm_setzero_pd(),
            more = _mm_setzero_pd(); /* two sums, so that an addition does not wait for the one before */
    for (uint32_t i = 0; i < count; i += 4, values += 4 * stride) {
        sums = _mm_add_pd(sums, find_two(&finder, values, stride, &found[i]));
        more = _mm_add_pd(more, find_two(&finder, values + 2 * stride, stride, &found[i + 2]));
    }
    sums = _mm_add_pd(sums, more);
    return _mm_cvtsd_f64(sums) + _mm_cvtsd_f64(_mm_unpackhi_pd(sums, sums));
}
#else
static double find_bins(const struct kvtel_bins *bins, const column_value *values, size_t stride, uint32_t count,
                        int16_t *found)
{
    double even = 0, odd = 0; /* two sums, so that an addition does not wait for the one before */
    for (uint32_t i = 0; i < count; i += 2, values += 2 * stride) {
        even += values[0];
        odd += values[stride];
        found[i] = (int16_t)kvtel_bins_find(bins, kvtel_double_bits(values[0]));
        found[i + 1] = (int16_t)kvtel_bins_find(bins, kvtel_double_bits(values[stride]));
    }
    return even + odd;
}
#endif

struct range {
    int16_t lowest, highest;
};

static struct range range_of(const int16_t *found, uint32_t count)
{
    struct range range = { INT16_MAX, 0 };
    uint32_t i = 0;
#ifdef __x86_64__
    __m128i lowest = _mm_set1_epi16(INT16_MAX), highest = _mm_setzero_si128();
    for (; i + 8 <= count; i += 8) {
        __m128i eight = _mm_loadu_si128((const __m128i *)(const void *)&found[i]);
        lowest = _mm_min_epi16(lowest, eight);
        highest = _mm_max_epi16(highest, eight);
    }
    int16_t lows[8], highs[8];
    _mm_storeu_si128((__m128i *)(void *)lows, lowest);
    _mm_storeu_si128((__m128i *)(void *)highs, highest);
    for (int k = 0; k < 8; k++) {
        range.lowest = lows[k] < range.lowest ? lows[k] : range.lowest;
        range.highest = highs[k] > range.highest ? highs[k] : range.highest;
    }
#endif
    for (; i < count; i++) {
        range.lowest = found[i] < range.lowest ? found[i] : range.lowest;
        range.highest = found[i] > range.highest ? found[i] : range.highest;
    }
    return range;
}

/* Extends the range of bins in use, before the bins are written. */
static void widen(kvtel_word *slot, const int16_t *found, uint32_t count)
{
    const struct range range = range_of(found, count);
    uint64_t first = kvtel_word_load(slot + KVTEL_SLOT_FIRST), end = kvtel_word_load(slot + KVTEL_SLOT_END);
    if (count > 0 && (end == 0 || (uint64_t)range.lowest < first))
        kvtel_word_store(slot + KVTEL_SLOT_FIRST, (uint64_t)range.lowest);
    if (count > 0 && (uint64_t)range.highest >= end)
        kvtel_word_store(slot + KVTEL_SLOT_END, (uint64_t)range.highest + 1);
}

static inline void add_one(kvtel_word *bins, int16_t bin)
{
#if defined(__x86_64__) && !defined(KVTEL_LANE_TSAN)
    /* one instruction; the compiler makes two of a load and a store of an atomic */
    __asm__ volatile("addq $1, (%0,%1,8)" : : "r"(bins), "r"((uint64_t)bin) : "memory", "cc");
#else
    kvtel_word_store(&bins[bin], kvtel_word_load(&bins[bin]) + 1);
#endif
}

/* Adds 1 to each bin, in order. */
static void add_ones(kvtel_word *bins, const int16_t *found, uint32_t count)
{
    uint32_t i = 0;
    for (; i + 4 <= count; i += 4) {
        add_one(bins, found[i]);
        add_one(bins, found[i + 1]);
        add_one(bins, found[i + 2]);
        add_one(bins, found[i + 3]);
    }
    for (; i < count; i++)
        add_one(bins, found[i]);
}

/* Folds a column into a histogram. `done`: number of values that are already in their bins. */
static void fold_histogram(struct kvtel_lane *lane, const struct kvtel_local_feed *feed, const column_value *column,
                           size_t stride, bool some_absent, uint32_t done)
{
    kvtel_word *slot = kvtel_lane_slot(lane, feed->slot);
    uint64_t seq = kvtel_word_load(slot + KVTEL_SLOT_SEQ) & ~UINT64_C(1);
    uint64_t now = seq / 2 & 1, next = now ^ 1;
    uint32_t count = KVTEL_BLOCK_ROWS;
    int16_t found[KVTEL_BLOCK_ROWS];
    double sum;
    if (!some_absent) {
        sum = find_bins(feed->bins, column, stride, KVTEL_BLOCK_ROWS, found);
    } else {
        double values[KVTEL_BLOCK_ROWS];
        count = copy_present(column, stride, values);
        uint32_t whole = (count + 3) / 4 * 4;
        memset(&values[count], 0, (whole - count) * sizeof(values[0])); /* padding; zeros do not change the sum */
        sum = find_bins(feed->bins, values, 1, whole, found);
    }
    widen(slot, found, count);
    sum += kvtel_bits_double(kvtel_word_load(slot + KVTEL_SLOT_SUM + now));
    kvtel_word_store(slot + KVTEL_SLOT_SEQ, seq + 1);
    kvtel_lane_fence(memory_order_release); /* pairs with the acquire loads of a reader on another core */
    add_ones(lane->words + feed->bins_at, found + done, count - done);
    kvtel_word_store(slot + KVTEL_SLOT_SUM + next, kvtel_double_bits(sum));
    kvtel_word_store(slot + KVTEL_SLOT_COUNT + next, kvtel_word_load(slot + KVTEL_SLOT_COUNT + now) + count);
    kvtel_word_publish(slot + KVTEL_SLOT_SEQ, seq + 2);
}

void kvtel_lane_fold(struct kvtel_lane *lane, const struct kvtel_row_group *group)
{
    /* Only this thread writes there, so it may read without atomics. */
    const column_value *block = (const column_value *)(uintptr_t)(lane->words + group->block_at);
    kvtel_word *noted = kvtel_lane_slot(lane, group->slot) + KVTEL_SLOT_ABSENT;
    const uint64_t absent_columns = kvtel_word_load(noted);
    for (uint32_t i = 0; i < group->feed_count; i++) {
        const struct kvtel_local_feed *feed = &group->feeds[i];
        bool some_absent = absent_columns >> feed->column & 1;
        if (feed->kind == KVTEL_COLUMN_OBSERVE)
            fold_histogram(lane, feed, block + feed->column, group->columns, some_absent, 0);
        else
            fold_counter(lane, feed, block + feed->column, group->columns);
    }
    if (absent_columns != 0)
        kvtel_word_store(noted, 0);
    /* a reader that sees rows of the next block also sees that this block is folded */
    kvtel_lane_fence(memory_order_release);
}

/* The number of values of an interrupted fold that are already in their bins. */
static uint64_t count_added(const struct kvtel_lane *lane, const struct kvtel_local_feed *feed)
{
    const kvtel_word *slot = kvtel_lane_slot(lane, feed->slot), *bins = lane->words + feed->bins_at;
    uint64_t first = kvtel_word_load(slot + KVTEL_SLOT_FIRST), end = kvtel_word_load(slot + KVTEL_SLOT_END);
    uint64_t now = kvtel_word_load(slot + KVTEL_SLOT_SEQ) / 2 & 1, total = 0;
    for (uint64_t bin = first; bin < end && bin <= feed->bins->bound_count; bin++)
        total += kvtel_word_load(&bins[bin]);
    return total - kvtel_word_load(slot + KVTEL_SLOT_COUNT + now);
}

/* Folds the block into a series to which an interrupted fold did not get, or only in part. False: the lane's words
 * contradict each other. */
static bool finish_feed(struct kvtel_lane *lane, const struct kvtel_row_group *group,
                        const struct kvtel_local_feed *feed)
{
    const column_value *column = (const column_value *)(uintptr_t)(lane->words + group->block_at) + feed->column;
    uint64_t head = kvtel_word_load(kvtel_lane_slot(lane, group->slot) + KVTEL_SLOT_HEAD);
    uint64_t seq = kvtel_word_load(kvtel_lane_slot(lane, feed->slot) + KVTEL_SLOT_SEQ), added = 0;
    double values[KVTEL_BLOCK_ROWS];
    if (head / KVTEL_BLOCK_ROWS == seq / 2 && !(seq & 1))
        return true;
    if (head % KVTEL_BLOCK_ROWS != 0 || head / KVTEL_BLOCK_ROWS != seq / 2 + 1)
        return false;
    if (feed->kind != KVTEL_COLUMN_OBSERVE) {
        fold_counter(lane, feed, column, group->columns);
        return true;
    }
    if (seq & 1)
        added = count_added(lane, feed);
    if (added > copy_present(column, group->columns, values))
        return false;
    fold_histogram(lane, feed, column, group->columns, true, (uint32_t)added);
    return true;
}

/* Finishes the folds that the lane's last owner began before it ended inside a call. False: the lane's words
 * contradict each other. */
static bool finish_folds(struct kvtel_lane *lane, const struct kvtel_row_group *groups)
{
    bool good = true;
    for (const struct kvtel_row_group *group = groups; group && good; group = group->next) {
        for (uint32_t i = 0; i < group->feed_count && good; i++)
            good = finish_feed(lane, group, &group->feeds[i]);
    }
    kvtel_lane_fence(memory_order_release); /* as kvtel_lane_fold() */
    return good;
}

bool kvtel_lane_extend(const struct kvtel_store *store, uint64_t lane, kvtel_word *words, struct kvtel_extent slots,
                       struct kvtel_extent bulk)
{
    const struct kvtel_layout_header *header = store->header;
    void *base = (void *)(uintptr_t)words;
    uint64_t at = header->lanes_at + lane * header->lane_stride;
    return kvtel_memory_extend(store->fd, base, at, slots.used, slots.reserved) &&
           kvtel_memory_extend(store->fd, base, at, header->slots_size + bulk.used, header->slots_size + bulk.reserved);
}

static enum kvtel_status new_lane(struct kvtel_store *store, struct kvtel_lane **made)
{
    struct kvtel_layout_header *header = store->header;
    uint64_t index = atomic_load_explicit(&header->lane_count, memory_order_relaxed);
    if (index == header->max_lanes)
        return KVTEL_E_LIMIT;
    struct kvtel_lane *lane = malloc(sizeof(*lane));
    kvtel_word *words =
        kvtel_store_reach(store)
            ? kvtel_memory_map(store->fd, header->lanes_at + index * header->lane_stride, header->lane_stride)
            : NULL;
    if (!lane || !words ||
        !kvtel_lane_extend(store, index, words, (struct kvtel_extent){ 0, store->slots.reserved },
                           (struct kvtel_extent){ 0, store->bulk.reserved })) {
        int error = errno;
        kvtel_memory_unmap((void *)(uintptr_t)words, header->lane_stride);
        free(lane);
        errno = error;
        return KVTEL_E_NOMEM;
    }
    *lane = (struct kvtel_lane){ .store = store, .words = words };
    store->lanes[index] = lane;
    atomic_store_explicit(&header->lane_count, index + 1, memory_order_release); /* pairs as family_count does */
    *made = lane;
    return KVTEL_OK;
}

enum kvtel_status kvtel_lane_open(struct kvtel_store *store, struct kvtel_lane **lane)
{
    enum kvtel_status status = KVTEL_OK;
    const struct kvtel_row_group *groups;
    struct kvtel_hold hold;
    bool reused;
    do {
        if (!kvtel_store_hold(store, &hold))
            return KVTEL_E_BUSY;
        groups = store->groups;
        reused = store->free_lanes != NULL;
        if (reused) {
            *lane = store->free_lanes;
            store->free_lanes = (*lane)->next;
            (void)kvtel_store_reach(store); /* notes whether the file still exists */
        } else {
            status = new_lane(store, lane);
        }
        kvtel_store_release(store, &hold);
    } while (reused && !finish_folds(*lane, groups)); /* a lane that two threads wrote at once is not reused */
    kvtel_store_check_file(store);
    return status;
}

void kvtel_lane_close(struct kvtel_lane *lane)
{
    if (!lane || !kvtel_store_is_own(lane->store))
        return;
    struct kvtel_store *store = lane->store;
    struct kvtel_hold hold;
    atomic_store_explicit(&store->lanes_again_ns, 0, memory_order_relaxed);
    if (!kvtel_store_hold(store, &hold))
        return;
    lane->next = store->free_lanes;
    store->free_lanes = lane;
    kvtel_store_release(store, &hold);
}
