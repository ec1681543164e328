/* SPDX-License-Identifier: Apache-2.0 */
/* Lanes: opening, closing, writing. */
#include "record/lane.h"
#include "record/thread.h"

#include <errno.h>
#include <stdlib.h>
#include <time.h>

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
    kvtel_lane_add(lane, local->slot, amount);
    kvtel_lane_changed(lane);
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
    kvtel_lane_changed(lane);
    return true;
}

/* Writes a row with one value. */
static inline void observe(struct kvtel_lane *lane, const struct kvtel_series_local *local,
                           const struct kvtel_row_group *group, double value)
{
    kvtel_word *word = kvtel_lane_head(lane, group);
    const uint64_t head = kvtel_word_load(word);
    const uint32_t columns = group->columns;
    kvtel_word *row = lane->words + group->block_at + head % KVTEL_BLOCK_ROWS * columns;
    if (local->noted != 0) {
        for (uint32_t i = 0; i < columns; i++)
            kvtel_word_store(&row[i], KVTEL_NO_VALUE);
        kvtel_lane_note(lane, group, local->noted);
    }
    kvtel_word_store(&row[local->column], kvtel_double_word(value));
    kvtel_lane_publish_row(lane, group, word, head);
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
    size_t taken = 0;
    for (size_t i = 0; i < count; i++) {
        if (__builtin_expect(!(values[i] >= 0 && values[i] <= most), 0))
            continue;
        observe(lane, local, group, values[i]);
        taken++;
    }
    if (__builtin_expect(taken < count, 0))
        kvtel_store_count_refused(lane->store, count - taken);
    return taken;
}

bool kvtel_lane_record_inside(struct kvtel_lane *lane, uint32_t series, double value, bool ones)
{
    const struct kvtel_store *store = lane->store;
    const bool known = series < atomic_load_explicit(&store->header->series_count, memory_order_acquire);
    switch (known ? atomic_load_explicit(&store->series[series].type, memory_order_relaxed) : KVTEL_NO_TYPE) {
    case KVTEL_COUNTER:
        return kvtel_lane_increase_inside(lane, series, ones ? 1 : value);
    case KVTEL_GAUGE:
        return kvtel_lane_set_inside(lane, series, value);
    case KVTEL_HISTOGRAM:
        return kvtel_lane_observe_inside(lane, series, &value, 1) == 1;
    default: /* there is none, or it was removed */
        kvtel_store_count_dropped(lane->store, 1);
        return false;
    }
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

bool kvtel_lane_extend(const struct kvtel_store *store, uint64_t lane, kvtel_word *words, struct kvtel_extent slots,
                       struct kvtel_extent bulk)
{
    const struct kvtel_layout_header *header = store->header;
    void *base = (void *)(uintptr_t)words;
    uint64_t at = header->lanes_at + lane * header->lane_stride;
    return kvtel_memory_extend(store->fd, base, at, slots.used, slots.reserved) &&
           kvtel_memory_extend(store->fd, base, at, header->slots_size + bulk.used, header->slots_size + bulk.reserved);
}

static kvtel_word *line_of(const struct kvtel_store *store, uint64_t lane)
{
    return (kvtel_word *)(void *)((char *)store->header + store->header->lines_at) + lane * KVTEL_LINE_WORDS;
}

/* Gives memory to a lane's line. */
static bool reserve_line(struct kvtel_store *store, uint64_t lane)
{
    const uint64_t end = (lane + 1) * KVTEL_LINE_WORDS * sizeof(kvtel_word), at = store->header->lines_at;
    const uint64_t goal = (end + KVTEL_LAYOUT_PAGE - 1) / KVTEL_LAYOUT_PAGE * KVTEL_LAYOUT_PAGE;
    if (end <= store->lines.reserved)
        return true;
    if (!kvtel_memory_extend(store->fd, store->header, 0, at + store->lines.reserved, at + goal))
        return false;
    store->lines.reserved = goal;
    return true;
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
    if (!lane || !words || !reserve_line(store, index) ||
        !kvtel_lane_extend(store, index, words, (struct kvtel_extent){ 0, store->slots.reserved },
                           (struct kvtel_extent){ 0, store->bulk.reserved })) {
        int error = errno;
        kvtel_memory_unmap((void *)(uintptr_t)words, header->lane_stride);
        free(lane);
        errno = error;
        return KVTEL_E_NOMEM;
    }
    *lane = (struct kvtel_lane){ .store = store, .words = words, .line = line_of(store, index) };
    lane->index = (uint32_t)index;
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
    } while (reused &&
             !kvtel_lane_finish_folds(*lane, groups)); /* a lane that two threads wrote at once is not reused */
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
