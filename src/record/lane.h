/* SPDX-License-Identifier: Apache-2.0 */
/* Writing into a lane. Only the lane's owner stores there, so plain loads and stores are enough; a store that a
 * reader depends on is named in a comment.
 *
 * A fold moves the 256 rows of a full block into cells and counters. Its steps are ordered so that a reader can tell
 * how far a killed writer came:
 * 1. seq becomes odd;
 * 2. the values enter their cells in the order of the rows;
 * 3. the new sums and counts are written to those of the alternating places that are not in use;
 * 4. one store of the next even seq makes them valid.
 * So when the cells hold n values more than the valid count, the first n values of the block are already in the cells.
 * A thread that was cancelled in a fold leaves the same state: the lane's next owner finishes the fold first. */
#ifndef KVTEL_RECORD_LANE_H
#define KVTEL_RECORD_LANE_H

#include "base/double.h"
#include "record/store.h"
#include <kvtel/connector.h>

static inline uint64_t kvtel_word_load(const kvtel_word *word)
{
    return atomic_load_explicit(word, memory_order_relaxed);
}
static inline void kvtel_word_store(kvtel_word *word, uint64_t value)
{
    atomic_store_explicit(word, value, memory_order_relaxed);
}
static inline void kvtel_word_publish(kvtel_word *word, uint64_t value)
{
    atomic_store_explicit(word, value, memory_order_release);
}
/* Under TSan four places that it cannot follow are replaced by portable code of the same effect, and nothing else is:
 * the fence below, add_one() and copy_words() of fold.c, and the rows of row.h. docs/decisions/tsan-write-path.md says
 * why. */
#if defined(__SANITIZE_THREAD__)
#define KVTEL_LANE_TSAN 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define KVTEL_LANE_TSAN 1
#endif
#endif
/* TSan does not support fences. A lane consists of atomics only, so without the fence there is still no data race. */
static inline void kvtel_lane_fence(memory_order order)
{
#ifdef KVTEL_LANE_TSAN
    atomic_signal_fence(order);
#else
    atomic_thread_fence(order);
#endif
}
/* Whether a lane accepts this value: not negative, not NaN, at most KVTEL_AMOUNT_MAX. The lane stores value + 0.0,
 * which turns -0 into 0. */
static inline bool kvtel_is_amount(double value)
{
    return value >= 0 && value <= KVTEL_AMOUNT_MAX;
}

/* The largest amount or value that a series accepts. A series of seconds has the limit of a transfer's times. */
static inline double kvtel_series_most(const struct kvtel_series_local *series)
{
    return series->unit == KVTEL_UNIT_SECONDS ? (double)KVTEL_TRANSFER_LIMIT / 1e9 : KVTEL_AMOUNT_MAX;
}

/* Counts values that are not amounts (see kvtel_is_amount()). */
static inline void kvtel_store_count_refused(struct kvtel_store *store, size_t values)
{
    atomic_fetch_add_explicit(&store->header->values_refused, values, memory_order_relaxed);
}
static inline void kvtel_store_count_dropped(struct kvtel_store *store, size_t records)
{
    atomic_fetch_add_explicit(&store->header->records_dropped, records, memory_order_relaxed);
}

static inline kvtel_word *kvtel_lane_slot(const struct kvtel_lane *lane, uint32_t slot)
{
    return lane->words + (size_t)slot * KVTEL_SLOT_WORDS;
}

/* The number of rows ever written of a group. */
static inline kvtel_word *kvtel_lane_head(const struct kvtel_lane *lane, const struct kvtel_row_group *group)
{
    return lane->parts[group->head_part] + group->head_at;
}

/* Lets readers know that something was written of which no head in the lane's line tells. */
static inline void kvtel_lane_changed(struct kvtel_lane *lane)
{
    kvtel_word *changes = lane->line + KVTEL_LINE_CHANGES;
    kvtel_word_publish(changes, kvtel_word_load(changes) + 1);
}

/* Adds to the counter with this slot: no series removed it, and the amount is one that it takes. For a caller that has
 * begun its call, and tells of the change. */
static inline void kvtel_lane_add(const struct kvtel_lane *lane, uint32_t slot, double amount)
{
    kvtel_word *direct = kvtel_lane_slot(lane, slot) + KVTEL_SLOT_DIRECT;
    kvtel_word_publish(direct, kvtel_double_bits(kvtel_bits_double(kvtel_word_load(direct)) + amount));
}

/* The address at which row `head` of the group is written. */
static inline kvtel_word *kvtel_lane_row(const struct kvtel_lane *lane, const struct kvtel_row_group *group,
                                         uint64_t head)
{
    return lane->words + group->block_at + head % KVTEL_BLOCK_ROWS * group->columns;
}

/* Notes, before the row is published, which columns of the row hold no value, and which a double (above the first ones,
 * from KVTEL_NOTED_DOUBLES on): one bit for each column. */
static inline void kvtel_lane_note(struct kvtel_lane *lane, const struct kvtel_row_group *group, uint64_t columns)
{
    kvtel_word *noted = kvtel_lane_slot(lane, group->slot) + KVTEL_SLOT_NOTED;
    kvtel_word_store(noted, kvtel_word_load(noted) | columns);
}

/* Gives memory to the bytes from `used` to `reserved` of both parts of a lane. */
bool kvtel_lane_extend(const struct kvtel_store *store, uint64_t lane, kvtel_word *words, struct kvtel_extent slots,
                       struct kvtel_extent bulk);

/* Moves the full block into the series that the group feeds. */
void kvtel_lane_fold(struct kvtel_lane *lane, const struct kvtel_row_group *group);
/* Finishes the folds that the lane's last owner began before it ended inside a call. False: the lane's words
 * contradict each other. */
bool kvtel_lane_finish_folds(struct kvtel_lane *lane, const struct kvtel_row_group *groups);

/* Like the functions of <kvtel/store.h>, for a caller that has already begun its call with kvtel_lane_enter(). */
bool kvtel_lane_increase_inside(struct kvtel_lane *lane, uint32_t series, double amount);
bool kvtel_lane_set_inside(struct kvtel_lane *lane, uint32_t series, double value);
size_t kvtel_lane_observe_inside(struct kvtel_lane *lane, uint32_t series, const double *values, size_t count);

/* Adds to a counter (`ones`: 1 instead of the value), sets a gauge, takes a sample of a histogram. False: counted. */
bool kvtel_lane_record_inside(struct kvtel_lane *lane, uint32_t series, double value, bool ones);

/* What is left to do when a row was published that ends a block, or whose head is not in the lane's line. `head`: the
 * number of rows. */
void kvtel_lane_finish_row(struct kvtel_lane *lane, const struct kvtel_row_group *group, uint64_t head);

/* Publishes the row that was written at kvtel_lane_row(). `word`: kvtel_lane_head(), which holds `head`. */
static inline void kvtel_lane_publish_row(struct kvtel_lane *lane, const struct kvtel_row_group *group,
                                          kvtel_word *word, uint64_t head)
{
    /* pairs with the acquire loads of a reader: the reader sees complete rows only */
    kvtel_word_publish(word, ++head);
    if (__builtin_expect(((uint8_t)head & group->head_mask) == 0, 0))
        kvtel_lane_finish_row(lane, group, head);
}
_Static_assert(KVTEL_BLOCK_ROWS == UINT8_MAX + 1, "the lowest byte of a head is the place in the block");

#endif
