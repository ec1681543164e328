/* SPDX-License-Identifier: Apache-2.0 */
/* Recording through handles: the hot path. */
#include "record/lane.h"
#include "record/recorder.h"
#include "record/row.h"
#include "record/thread.h"

/* The words of a transfer that columns can take. */
struct measures {
    uint64_t words[KVTEL_SOURCES];
    bool impossible; /* a number is above the limit, or a point in time lies before the transfer's begin */
    bool outside;    /* the time of the first byte lies outside the transfer */
};

/* A number from KVTEL_INTEGER_LIMIT on, as the word of a double. */
static __attribute__((noinline)) uint64_t measure_large(uint64_t number, bool ns, bool *impossible)
{
    if (number >= KVTEL_TRANSFER_LIMIT) {
        *impossible = *impossible || number != KVTEL_UNMEASURED;
        return KVTEL_NO_VALUE;
    }
    return kvtel_double_word(ns ? (double)(int64_t)number / 1e9 : (double)(int64_t)number);
}

static inline uint64_t measure(uint64_t number, bool ns, bool *impossible)
{
    return __builtin_expect(number < KVTEL_INTEGER_LIMIT, 1) ? number : measure_large(number, ns, impossible);
}

/* Like measure(), for a number of which 0 means "not measured". */
static inline uint64_t measure_positive(uint64_t number, bool ns, bool *impossible)
{
    return number == 0 ? KVTEL_NO_VALUE : measure(number, ns, impossible);
}

static bool is_known(uint64_t number)
{
    return number != 0 && number != KVTEL_UNMEASURED;
}

/* Nanoseconds from one point in time to another; absent when either is unknown. */
static uint64_t time_between(uint64_t from, uint64_t to, bool *impossible)
{
    if (!is_known(from) || !is_known(to))
        return KVTEL_NO_VALUE;
    /* when `to` comes first the difference wraps around and is above the limit */
    return measure(to - from, true, impossible);
}

/* Takes post, first-byte and data times from the transfer's points in time, where it has them. */
static void take_windows(const struct kvtel_transfer *transfer, struct measures *measures)
{
    uint64_t from = transfer->submitted_ns, done = transfer->done_ns, first = transfer->first_byte_ns;
    if (!is_known(transfer->duration_ns))
        measures->words[KVTEL_SOURCE_DURATION] = time_between(from, done, &measures->impossible);
    if (!is_known(transfer->post_ns))
        measures->words[KVTEL_SOURCE_POST] = time_between(from, transfer->posted_ns, &measures->impossible);
    uint64_t before = time_between(from, first, &measures->outside);
    uint64_t after = time_between(first, done, &measures->outside);
    if (!measures->outside) {
        measures->words[KVTEL_SOURCE_FIRST_BYTE] = before;
        measures->words[KVTEL_SOURCE_DATA] = after;
    }
}

static inline void take_values(const struct kvtel_transfer *transfer, struct measures *measures)
{
    uint64_t *words = measures->words;
    bool *impossible = &measures->impossible;
    measures->impossible = measures->outside = false;
    words[KVTEL_SOURCE_DURATION] = measure(transfer->duration_ns, true, impossible);
    words[KVTEL_SOURCE_POST] = measure_positive(transfer->post_ns, true, impossible);
    words[KVTEL_SOURCE_BYTES] = measure(transfer->bytes, false, impossible);
    words[KVTEL_SOURCE_DESCRIPTORS] = measure_positive(transfer->descriptors, false, impossible);
    words[KVTEL_SOURCE_FAILED] = measure(transfer->failed, false, impossible);
    words[KVTEL_SOURCE_FIRST_BYTE] = words[KVTEL_SOURCE_DATA] = KVTEL_NO_VALUE;
    if (__builtin_expect(is_known(transfer->done_ns), 0))
        take_windows(transfer, measures);
}

/* Records each value by itself, for an operation whose series belong to other groups. */
static void record_singly(struct kvtel_lane *lane, const struct kvtel_operation *operation, const uint64_t *words)
{
    for (uint32_t i = 0; i < operation->feed_count; i++) {
        const struct kvtel_row_group_feed *feed = &operation->feeds[i];
        const uint64_t word = words[operation->sources[feed->column]];
        const double value = kvtel_word_value(word, operation->ns >> feed->column & 1);
        if (feed->kind == KVTEL_COLUMN_ONE)
            (void)kvtel_lane_increase_inside(lane, feed->series, 1);
        else if (word == KVTEL_NO_VALUE)
            continue;
        else if (feed->kind == KVTEL_COLUMN_OBSERVE)
            (void)kvtel_lane_observe_inside(lane, feed->series, &value, 1);
        else
            (void)kvtel_lane_increase_inside(lane, feed->series, value);
    }
}

/* Counts a transfer even if some of its values were not measured: series that count the rows of a column get 1 for
 * each column in `columns` (one bit per column). */
static __attribute__((noinline)) void count_unmeasured(struct kvtel_lane *lane, const struct kvtel_operation *operation,
                                                       uint64_t columns)
{
    for (uint32_t i = 0; i < operation->feed_count; i++) {
        const struct kvtel_row_group_feed *feed = &operation->feeds[i];
        if (feed->kind == KVTEL_COLUMN_ONE && columns >> feed->column & 1)
            (void)kvtel_lane_increase_inside(lane, feed->series, 1);
    }
}

/* Records a transfer with any columns. Like every function here that takes a `token`, this one ends the call. */
static __attribute__((noinline)) bool record_columns(struct kvtel_lane *lane, const struct kvtel_operation *operation,
                                                     const struct kvtel_transfer *transfer, uint64_t token)
{
    const struct kvtel_row_group *group = operation->group;
    struct measures measures;
    take_values(transfer, &measures);
    if (measures.impossible || measures.outside)
        kvtel_store_count_refused(lane->store, 1);
    if (measures.impossible) {
        kvtel_thread_leave(token);
        return false;
    }
    if (!group) {
        record_singly(lane, operation, measures.words);
        kvtel_thread_leave(token);
        return true;
    }
    uint64_t head = kvtel_word_load(kvtel_lane_head(lane, group)), unmeasured = 0, noted = 0;
    kvtel_word *row = kvtel_lane_row(lane, group, head);
    for (uint32_t i = 0; i < operation->column_count; i++) {
        const uint64_t word = measures.words[operation->sources[i]];
        unmeasured |= (uint64_t)(word == KVTEL_NO_VALUE) << i;
        noted |= (uint64_t)(word >= KVTEL_INTEGER_LIMIT) << i;
        kvtel_word_store(&row[i], word);
    }
    if (noted != 0)
        kvtel_lane_note(lane, group, noted);
    if ((unmeasured & operation->counted) != 0)
        count_unmeasured(lane, operation, unmeasured);
    kvtel_lane_publish_row(lane, group, head);
    kvtel_thread_leave(token);
    return true;
}

static __attribute__((noinline)) bool fold(struct kvtel_lane *lane, const struct kvtel_row_group *group, uint64_t token)
{
    kvtel_lane_fold(lane, group);
    kvtel_thread_leave(token);
    return true;
}

/* Rare cases are tail calls to functions that are not inlined, so that the usual path need not save registers. */
static inline __attribute__((always_inline)) bool record(struct kvtel_lane *lane,
                                                         const struct kvtel_operation *operation,
                                                         const struct kvtel_transfer *transfer, uint64_t token)
{
    kvtel_word *head_word = (operation->head_in_line ? lane->line : lane->words) + operation->head_at;
    uint64_t head = kvtel_word_load(head_word);
    kvtel_word *row = lane->words + operation->block_at + head % KVTEL_BLOCK_ROWS * KVTEL_POINT_TO_POINT;
    if (__builtin_expect(!operation->is_point_to_point || transfer->done_ns != 0 || !kvtel_row_write(row, transfer), 0))
        return record_columns(lane, operation, transfer, token);
    kvtel_word_publish(head_word, head + 1); /* as kvtel_lane_publish_row() */
    if (__builtin_expect(!operation->head_in_line, 0))
        kvtel_lane_changed(lane);
    if (__builtin_expect((head + 1) % KVTEL_BLOCK_ROWS == 0, 0))
        return fold(lane, operation->group, token);
    kvtel_thread_leave(token);
    return true;
}

/* Whether the store had no room for the operation's series; then the record is counted as dropped. */
static bool is_lost(const struct kvtel_operation *operation)
{
    if (operation->feed_count == 0)
        kvtel_store_count_dropped(operation->store, 1);
    return operation->feed_count == 0;
}

static __attribute__((noinline)) bool record_first(const struct kvtel_operation *operation,
                                                   const struct kvtel_transfer *transfer)
{
    if (is_lost(operation))
        return false;
    struct kvtel_lane *lane = kvtel_thread_lane_find(operation->store);
    uint64_t token;
    return lane && kvtel_thread_enter(&token) && record(lane, operation, transfer, token);
}

static inline bool record_own(const struct kvtel_operation *operation, const struct kvtel_transfer *transfer)
{
    const uint64_t token = *operation->token;
    if (__builtin_expect(kvtel_thread_lane.token == token, 1)) {
        kvtel_thread_lane.token = KVTEL_IN_CALL;
        struct kvtel_lane *lane = kvtel_thread_lane.lane;
        if (__builtin_expect(lane->store == operation->store, 1))
            return record(lane, operation, transfer, token);
        kvtel_thread_lane.token = KVTEL_NO_TOKEN;
    }
    return record_first(operation, transfer);
}

bool kvtel_record_operation(const struct kvtel_operation *operation, const struct kvtel_transfer *transfer)
{
    return operation && record_own(operation, transfer);
}

bool kvtel_record_transfer(const struct kvtel_recorder *recorder, const struct kvtel_transfer *transfer)
{
    return recorder && record_own(recorder->first, transfer);
}

/* Records transfers until the first one that needs the general path. Returns their number. */
static size_t record_rows(struct kvtel_lane *lane, const struct kvtel_operation *operation,
                          const struct kvtel_transfer *transfers, size_t count)
{
    const struct kvtel_row_group *group = operation->group;
    kvtel_word *head_word = kvtel_lane_head(lane, group);
    uint64_t head = kvtel_word_load(head_word);
    size_t done = 0;
    for (bool plain = true; plain && done < count;) {
        kvtel_word *row = kvtel_lane_row(lane, group, head);
        const size_t room = KVTEL_BLOCK_ROWS - head % KVTEL_BLOCK_ROWS, left = count - done;
        const struct kvtel_transfer *transfer = transfers + done, *end = transfer + (room < left ? room : left);
        while (transfer < end && transfer->done_ns == 0 && kvtel_row_write(row, transfer)) {
            row += KVTEL_POINT_TO_POINT;
            transfer++;
        }
        const size_t written = (size_t)(transfer - (transfers + done));
        plain = transfer == end;
        done += written;
        head += written;
        kvtel_word_publish(head_word, head); /* as kvtel_lane_publish_row(), for all of them */
        if (written > 0 && head % KVTEL_BLOCK_ROWS == 0)
            kvtel_lane_fold(lane, group);
    }
    if (done > 0 && !operation->head_in_line)
        kvtel_lane_changed(lane);
    return done;
}

size_t kvtel_record_transfers(const struct kvtel_operation *operation, const struct kvtel_transfer *transfers,
                              size_t count)
{
    size_t recorded = 0;
    for (size_t i = 0; operation && i < count;) {
        const uint64_t token = *operation->token;
        size_t rows = 0;
        if (operation->is_point_to_point && kvtel_thread_lane.token == token) {
            kvtel_thread_lane.token = KVTEL_IN_CALL;
            struct kvtel_lane *lane = kvtel_thread_lane.lane;
            if (lane->store == operation->store)
                rows = record_rows(lane, operation, transfers + i, count - i);
            kvtel_thread_leave(lane->store == operation->store ? token : KVTEL_NO_TOKEN);
        }
        recorded += rows;
        i += rows;
        if (i < count)
            recorded += record_own(operation, &transfers[i++]);
    }
    return recorded;
}

bool kvtel_lane_record(struct kvtel_lane *lane, const struct kvtel_operation *operation,
                       const struct kvtel_transfer *transfer)
{
    uint64_t token;
    if (!lane || !operation || is_lost(operation))
        return false;
    if (lane->store != operation->store) {
        kvtel_store_count_dropped(operation->store, 1);
        return false;
    }
    return kvtel_lane_enter(lane, 1, &token) && record(lane, operation, transfer, token);
}

bool kvtel_record_value(const struct kvtel_instrument *instrument, double value)
{
    struct kvtel_lane *lane = instrument ? kvtel_thread_lane_of(instrument->store) : NULL;
    uint64_t token;
    if (lane && instrument->count == 0) /* the store had no room for its series */
        kvtel_store_count_dropped(lane->store, 1);
    if (!lane || instrument->count == 0 || !kvtel_lane_enter(lane, 1, &token))
        return false;
    bool recorded = true;
    for (uint32_t i = 0; i < instrument->count; i++) {
        uint32_t series = instrument->series[i];
        switch (atomic_load_explicit(&instrument->store->series[series].type, memory_order_relaxed)) {
        case KVTEL_COUNTER:
            recorded &= kvtel_lane_increase_inside(lane, series, instrument->ones ? 1 : value);
            break;
        case KVTEL_GAUGE:
            recorded &= kvtel_lane_set_inside(lane, series, value);
            break;
        case KVTEL_HISTOGRAM:
            recorded &= kvtel_lane_observe_inside(lane, series, &value, 1) == 1;
            break;
        default: /* the series was removed */
            kvtel_store_count_dropped(lane->store, 1);
            recorded = false;
        }
    }
    kvtel_thread_leave(token);
    return recorded;
}

bool kvtel_record_failure(const struct kvtel_recorder *recorder, enum kvtel_failure failure)
{
    return recorder && (unsigned)failure < KVTEL_FAILURE_COUNT && kvtel_record_value(recorder->failures[failure], 1);
}
