/* SPDX-License-Identifier: Apache-2.0 */
/* Lanes: opening, closing, writing. */
#include "store/lane.h"

#include <stdlib.h>
#include <time.h>

static const double absent = __builtin_nan("");

/* Orders the store before it ahead of the stores after it, for a reader on another core. */
static inline void fence_release(void)
{
#ifdef __SANITIZE_THREAD__
    atomic_signal_fence(memory_order_release); /* all of a lane is atomic, there is no race to find */
#else
    atomic_thread_fence(memory_order_release);
#endif
}

static enum kvtel_status new_lane(struct kvtel_store *store, struct kvtel_lane **made)
{
    struct kvtel_layout_header *header = store->header;
    uint64_t index = atomic_load_explicit(&header->lane_count, memory_order_relaxed);
    if (index == header->max_lanes)
        return KVTEL_E_LIMIT;
    struct kvtel_lane *lane = malloc(sizeof(*lane));
    kvtel_word *words = kvtel_memory_map(store->fd, header->lanes_at + index * header->lane_stride, header->lane_stride);
    if (!lane || !words ||
        !kvtel_store_extend_lane(store, index, words, (struct kvtel_extent){ 0, store->slots.reserved },
                                 (struct kvtel_extent){ 0, store->bulk.reserved })) {
        kvtel_memory_unmap((void *)(uintptr_t)words, header->lane_stride);
        free(lane);
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
    pthread_mutex_lock(&store->lock);
    if (store->free_lanes) {
        *lane = store->free_lanes;
        store->free_lanes = (*lane)->next;
    } else {
        status = new_lane(store, lane);
    }
    pthread_mutex_unlock(&store->lock);
    return status;
}

void kvtel_lane_close(struct kvtel_lane *lane)
{
    if (!lane)
        return;
    struct kvtel_store *store = lane->store;
    pthread_mutex_lock(&store->lock);
    lane->next = store->free_lanes;
    store->free_lanes = lane;
    pthread_mutex_unlock(&store->lock);
}

/* The series if it is one of this type. */
static const struct kvtel_series_local *find(const struct kvtel_lane *lane, uint32_t series, enum kvtel_metric_type type)
{
    const struct kvtel_store *store = lane->store;
    if (series >= atomic_load_explicit(&store->header->series_count, memory_order_acquire))
        return NULL;
    const struct kvtel_series_local *local = &store->series[series];
    return local->type == (uint32_t)type ? local : NULL;
}

static void refuse(const struct kvtel_lane *lane, size_t count)
{
    atomic_fetch_add_explicit(&lane->store->header->values_refused, count, memory_order_relaxed);
}

bool kvtel_lane_increase(struct kvtel_lane *lane, uint32_t series, double amount)
{
    const struct kvtel_series_local *local = find(lane, series, KVTEL_COUNTER);
    if (!local || !kvtel_is_amount(amount)) {
        refuse(lane, 1);
        return false;
    }
    kvtel_word *direct = kvtel_lane_slot(lane, local->slot) + KVTEL_SLOT_DIRECT;
    kvtel_word_publish(direct, kvtel_double_bits(kvtel_bits_double(kvtel_word_load(direct)) + amount));
    return true;
}

bool kvtel_lane_set(struct kvtel_lane *lane, uint32_t series, double value)
{
    const struct kvtel_series_local *local = find(lane, series, KVTEL_GAUGE);
    if (!local)
        return false;
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    uint64_t stamp = (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
    kvtel_word *slot = kvtel_lane_slot(lane, local->slot);
    uint64_t seq = kvtel_word_load(slot + KVTEL_SLOT_SEQ) + 1;
    kvtel_word_store(slot + KVTEL_SLOT_VALUE + (seq & 1), kvtel_double_bits(value));
    kvtel_word_store(slot + KVTEL_SLOT_STAMP + (seq & 1), stamp);
    kvtel_word_publish(slot + KVTEL_SLOT_SEQ, seq);
    return true;
}

size_t kvtel_lane_observe(struct kvtel_lane *lane, uint32_t series, const double *values, size_t count)
{
    const struct kvtel_series_local *local = find(lane, series, KVTEL_HISTOGRAM);
    const struct kvtel_group *group = local ? atomic_load_explicit(&local->group, memory_order_acquire) : NULL;
    if (!group)
        return 0;
    uint32_t column = 0;
    for (uint32_t i = 0; i < group->feed_count; i++) {
        if (group->feeds[i].series == series)
            column = group->feeds[i].column;
    }
    uint64_t head = kvtel_word_load(kvtel_lane_slot(lane, group->slot) + KVTEL_SLOT_HEAD);
    size_t taken = 0;
    for (size_t i = 0; i < count; i++) {
        if (!kvtel_is_amount(values[i]))
            continue;
        kvtel_word *row = lane->words + group->block_at + head % KVTEL_BLOCK_ROWS * group->columns;
        for (uint32_t c = 0; c < group->columns; c++)
            kvtel_word_store(row + c, kvtel_double_bits(c == column ? values[i] : absent));
        kvtel_lane_publish_row(lane, group, head++);
        taken++;
    }
    if (taken < count)
        refuse(lane, count - taken);
    return taken;
}

static void fold_counter(struct kvtel_lane *lane, const struct kvtel_local_feed *feed, const kvtel_word *column, uint32_t columns)
{
    kvtel_word *slot = kvtel_lane_slot(lane, feed->slot);
    uint64_t seq = kvtel_word_load(slot + KVTEL_SLOT_SEQ) + 2;
    double total = kvtel_bits_double(kvtel_word_load(slot + KVTEL_SLOT_VALUE + ((seq / 2 - 1) & 1)));
    for (uint32_t row = 0; row < KVTEL_BLOCK_ROWS; row++) {
        double value = kvtel_bits_double(kvtel_word_load(column + (size_t)row * columns));
        if (value == value)
            total += feed->kind == KVTEL_COLUMN_ONE ? 1 : value;
    }
    kvtel_word_store(slot + KVTEL_SLOT_VALUE + (seq / 2 & 1), kvtel_double_bits(total));
    kvtel_word_publish(slot + KVTEL_SLOT_SEQ, seq);
}

static void fold_histogram(struct kvtel_lane *lane, const struct kvtel_local_feed *feed, const kvtel_word *column, uint32_t columns)
{
    kvtel_word *slot = kvtel_lane_slot(lane, feed->slot);
    uint64_t seq = kvtel_word_load(slot + KVTEL_SLOT_SEQ);
    uint64_t now = seq / 2 & 1, next = now ^ 1;
    double sum = kvtel_bits_double(kvtel_word_load(slot + KVTEL_SLOT_SUM + now));
    uint32_t lowest = UINT32_MAX, highest = 0, count = 0;
    uint16_t found[KVTEL_BLOCK_ROWS];
    for (uint32_t row = 0; row < KVTEL_BLOCK_ROWS; row++) {
        double value = kvtel_bits_double(kvtel_word_load(column + (size_t)row * columns));
        if (value != value)
            continue;
        uint32_t bin = kvtel_bins_find(feed->bins, value);
        sum += value;
        lowest = bin < lowest ? bin : lowest;
        highest = bin > highest ? bin : highest;
        found[count++] = (uint16_t)bin;
    }
    uint64_t first = kvtel_word_load(slot + KVTEL_SLOT_FIRST), end = kvtel_word_load(slot + KVTEL_SLOT_END);
    if (count > 0 && (end == 0 || lowest < first))
        kvtel_word_store(slot + KVTEL_SLOT_FIRST, lowest);
    if (count > 0 && highest >= end)
        kvtel_word_store(slot + KVTEL_SLOT_END, highest + 1);
    kvtel_word_store(slot + KVTEL_SLOT_SEQ, seq + 1);
    fence_release();
    kvtel_word *bins = lane->words + feed->bins_at;
    for (uint32_t i = 0; i < count; i++)
        kvtel_word_store(bins + found[i], kvtel_word_load(bins + found[i]) + 1);
    kvtel_word_store(slot + KVTEL_SLOT_SUM + next, kvtel_double_bits(sum));
    kvtel_word_store(slot + KVTEL_SLOT_COUNT + next, kvtel_word_load(slot + KVTEL_SLOT_COUNT + now) + count);
    kvtel_word_publish(slot + KVTEL_SLOT_SEQ, seq + 2);
}

void kvtel_lane_fold(struct kvtel_lane *lane, const struct kvtel_group *group)
{
    const kvtel_word *block = lane->words + group->block_at;
    for (uint32_t i = 0; i < group->feed_count; i++) {
        const struct kvtel_local_feed *feed = &group->feeds[i];
        if (feed->kind == KVTEL_COLUMN_OBSERVE)
            fold_histogram(lane, feed, block + feed->column, group->columns);
        else
            fold_counter(lane, feed, block + feed->column, group->columns);
    }
}
