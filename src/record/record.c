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

static __attribute__((noinline)) bool finish(struct kvtel_lane *lane, const struct kvtel_row_group *group,
                                             uint64_t head, uint64_t token)
{
    kvtel_lane_finish_row(lane, group, head);
    kvtel_thread_leave(token);
    return true;
}

/* Notes what the row holds besides integers (as kvtel_lane_note()), and publishes it. Like every function here that
 * takes a `token`, this one ends the call. */
static inline bool publish(struct kvtel_lane *lane, const struct kvtel_operation *operation, kvtel_word *word,
                           uint64_t head, uint64_t noted, uint64_t token)
{
    if (noted != 0)
        kvtel_lane_note(lane, operation->group, noted);
    if (__builtin_expect((noted & operation->counted) != 0, 0))
        count_unmeasured(lane, operation, noted);
    kvtel_word_publish(word, ++head); /* as kvtel_lane_publish_row() */
    if (__builtin_expect(((uint8_t)head & operation->head_mask) == 0, 0))
        return finish(lane, operation->group, head, token);
    kvtel_thread_leave(token);
    return true;
}

static inline kvtel_word *head_of(const struct kvtel_lane *lane, const struct kvtel_operation *operation)
{
    return lane->parts[operation->head_part] + operation->head_at;
}
static inline kvtel_word *row_of(const struct kvtel_lane *lane, const struct kvtel_operation *operation, uint64_t head,
                                 uint32_t columns)
{
    return lane->words + operation->block_at + head % KVTEL_BLOCK_ROWS * columns;
}

/* Records a transfer with any columns and any numbers. */
static __attribute__((noinline)) bool record_any(struct kvtel_lane *lane, const struct kvtel_operation *operation,
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
    kvtel_word *word = head_of(lane, operation);
    const uint64_t head = kvtel_word_load(word);
    kvtel_word *row = row_of(lane, operation, head, group->columns);
    uint64_t noted = 0;
    for (uint32_t i = 0; i < operation->column_count; i++) {
        const uint64_t number = measures.words[operation->sources[i]];
        if (number >= KVTEL_INTEGER_LIMIT)
            noted |= UINT64_C(1) << (number == KVTEL_NO_VALUE ? i : KVTEL_NOTED_DOUBLES + i);
        kvtel_word_store(&row[i], number);
    }
    return publish(lane, operation, word, head, noted, token);
}

static inline uint64_t difference(uint64_t from, uint64_t to)
{
    return is_known(from) && is_known(to) ? to - from : KVTEL_UNMEASURED;
}

/* Numbers of a transfer by enum kvtel_source, for record_numbers(). */
static inline void take_numbers(const struct kvtel_transfer *transfer, uint64_t numbers[KVTEL_SOURCES])
{
    const uint64_t from = transfer->submitted_ns, done = transfer->done_ns, first = transfer->first_byte_ns;
    const bool timed = is_known(done);
    numbers[KVTEL_SOURCE_DURATION] = transfer->duration_ns;
    numbers[KVTEL_SOURCE_POST] = transfer->post_ns;
    numbers[KVTEL_SOURCE_BYTES] = transfer->bytes;
    numbers[KVTEL_SOURCE_DESCRIPTORS] = transfer->descriptors;
    numbers[KVTEL_SOURCE_FAILED] = transfer->failed;
    numbers[KVTEL_SOURCE_FIRST_BYTE] = timed ? difference(from, first) : KVTEL_UNMEASURED;
    numbers[KVTEL_SOURCE_DATA] = timed ? difference(first, done) : KVTEL_UNMEASURED;
    if (timed && !is_known(transfer->duration_ns))
        numbers[KVTEL_SOURCE_DURATION] = difference(from, done);
    if (timed && !is_known(transfer->post_ns))
        numbers[KVTEL_SOURCE_POST] = difference(from, transfer->posted_ns);
}

/* Records a transfer with any columns. `numbers`: by enum kvtel_source, of which only those of the operation are read.
 * A number that is too large for an integer of a row goes the general way, and so does the difference of two points in
 * time of which the second comes first, because it wraps around. */
static inline __attribute__((always_inline)) bool record_numbers(struct kvtel_lane *lane,
                                                                 const struct kvtel_operation *operation,
                                                                 const struct kvtel_transfer *transfer,
                                                                 const uint64_t *numbers, uint64_t token)
{
    const uint32_t columns = operation->column_count;
    kvtel_word *word = head_of(lane, operation);
    const uint64_t head = kvtel_word_load(word);
    kvtel_word *row = row_of(lane, operation, head, columns);
    uint64_t all = 0, absent = 0, bit = 1;
    for (uint32_t i = 0; i < columns; i++) {
        const uint64_t number = numbers[operation->sources[i]];
        kvtel_word_store(&row[i], number);
        all |= number - operation->less[i];
    }
    if (__builtin_expect(all < KVTEL_ROW_LIMIT, 1))
        return publish(lane, operation, word, head, 0, token);
    all = 0;
    for (uint32_t i = 0; i < columns; i++, bit += bit) {
        /* without a branch, because the processor could not predict which numbers were not measured */
        const uint64_t number = numbers[operation->sources[i]];
        const uint64_t own = operation->less[i] == 0 ? number ^ KVTEL_UNMEASURED : number & ~KVTEL_UNMEASURED;
        const uint64_t missing = -(uint64_t)(own < 1);
        kvtel_word_store(&row[i], number | missing);
        all |= (number | missing) - missing;
        absent |= missing & bit;
    }
    if (__builtin_expect(all >= KVTEL_INTEGER_LIMIT, 0))
        return record_any(lane, operation, transfer, token);
    return publish(lane, operation, word, head, absent, token);
}

/* Whether the bits of numbers, put together, show that one of them is too large for an integer of a row, although it is
 * not KVTEL_UNMEASURED. A number is refused even if the operation has no column for it. */
static inline bool is_any_large(uint64_t all)
{
    return __builtin_expect((all & ~KVTEL_UNMEASURED) >= KVTEL_INTEGER_LIMIT, 0);
}

/* Records a transfer with points in time. */
static __attribute__((noinline)) bool record_points(struct kvtel_lane *lane, const struct kvtel_operation *operation,
                                                    const struct kvtel_transfer *transfer, uint64_t token)
{
    uint64_t numbers[KVTEL_SOURCES], all = 0;
    take_numbers(transfer, numbers);
    for (uint32_t i = 0; i < KVTEL_SOURCES; i++)
        all |= numbers[i];
    if (is_any_large(all))
        return record_any(lane, operation, transfer, token);
    return record_numbers(lane, operation, transfer, numbers, token);
}

/* Records a transfer whose row is not that of a point-to-point transfer, or not all of whose numbers were measured. */
static __attribute__((noinline, hot)) bool record_columns(struct kvtel_lane *lane,
                                                          const struct kvtel_operation *operation,
                                                          const struct kvtel_transfer *transfer, uint64_t token)
{
    const uint64_t all =
        transfer->duration_ns | transfer->post_ns | transfer->bytes | transfer->descriptors | transfer->failed;
    if (__builtin_expect(!operation->group, 0) || is_any_large(all))
        return record_any(lane, operation, transfer, token);
    if (operation->has_points || transfer->done_ns != 0)
        return record_points(lane, operation, transfer, token);
    return record_numbers(lane, operation, transfer, &transfer->duration_ns, token);
}

/* Records a point-to-point transfer of which some numbers may not be measured. */
static __attribute__((noinline)) bool record_some(struct kvtel_lane *lane, const struct kvtel_operation *operation,
                                                  const struct kvtel_transfer *transfer, uint64_t token)
{
#ifdef KVTEL_ROW_SSE2
    kvtel_word *word = head_of(lane, operation);
    const uint64_t head = kvtel_word_load(word);
    uint64_t absent;
    if (transfer->done_ns == 0 && transfer->failed < KVTEL_INTEGER_LIMIT &&
        kvtel_row_write_some(row_of(lane, operation, head, KVTEL_POINT_TO_POINT), transfer, &absent))
        return publish(lane, operation, word, head, absent, token);
#endif
    return record_columns(lane, operation, transfer, token);
}

/* Writes the first four columns of a transfer with points in time. False: as kvtel_row_write(). */
static inline bool write_timed(kvtel_word *row, const struct kvtel_transfer *transfer)
{
    const uint64_t from = transfer->submitted_ns;
    uint64_t duration = transfer->duration_ns, post = transfer->post_ns;
    if (!is_known(duration))
        duration = difference(from, transfer->done_ns);
    if (!is_known(post))
        post = difference(from, transfer->posted_ns);
    return kvtel_row_write_numbers(row, duration, post, transfer->bytes, transfer->descriptors);
}

/* Records a transfer of an operation with `.windows`. */
static __attribute__((noinline)) bool record_windows(struct kvtel_lane *lane, const struct kvtel_operation *operation,
                                                     const struct kvtel_transfer *transfer, uint64_t token)
{
    enum { BEFORE = KVTEL_POINT_TO_POINT, AFTER, COLUMNS, WINDOWS = 1 << BEFORE | 1 << AFTER };
    kvtel_word *word = head_of(lane, operation);
    const uint64_t head = kvtel_word_load(word);
    kvtel_word *row = row_of(lane, operation, head, COLUMNS);
    const uint64_t from = transfer->submitted_ns, first = transfer->first_byte_ns, done = transfer->done_ns;
    uint64_t before = KVTEL_NO_VALUE, after = KVTEL_NO_VALUE, absent = WINDOWS;
    if (!(is_known(done) ? write_timed(row, transfer) : kvtel_row_write(row, transfer)))
        return record_points(lane, operation, transfer, token);
    if (is_known(done) && is_known(first)) {
        before = first - from;
        after = done - first;
        absent = 0;
        if (__builtin_expect(!is_known(from) || (before | after) >= KVTEL_INTEGER_LIMIT, 0))
            return record_points(lane, operation, transfer, token);
    }
    kvtel_word_store(&row[BEFORE], before);
    kvtel_word_store(&row[AFTER], after);
    return publish(lane, operation, word, head, absent, token);
}

/* Rare cases are tail calls to functions that are not inlined, so that the usual path need not save registers. */
static inline __attribute__((always_inline)) bool record_plain(struct kvtel_lane *lane,
                                                               const struct kvtel_operation *operation,
                                                               const struct kvtel_transfer *transfer, uint64_t token)
{
    kvtel_word *word = head_of(lane, operation);
    const uint64_t head = kvtel_word_load(word);
    kvtel_word *row = row_of(lane, operation, head, KVTEL_POINT_TO_POINT);
    if (__builtin_expect(transfer->done_ns != 0 || !kvtel_row_write(row, transfer), 0))
        return record_some(lane, operation, transfer, token);
    return publish(lane, operation, word, head, 0, token);
}

/* Records into a lane of the operation's store. */
static bool record(struct kvtel_lane *lane, const struct kvtel_operation *operation,
                   const struct kvtel_transfer *transfer, uint64_t token)
{
    if (operation->plain_store)
        return record_plain(lane, operation, transfer, token);
    if (operation->is_windows)
        return record_windows(lane, operation, transfer, token);
    return record_columns(lane, operation, transfer, token);
}

bool kvtel_record_inside(struct kvtel_lane *lane, const struct kvtel_operation *operation,
                         const struct kvtel_transfer *transfer, uint64_t token)
{
    return record(lane, operation, transfer, token);
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

/* Records an operation whose row is not plain. The lane may be another store's: a signal handler recorded there. */
static __attribute__((noinline)) bool record_other(struct kvtel_lane *lane, const struct kvtel_operation *operation,
                                                   const struct kvtel_transfer *transfer, uint64_t token)
{
    if (__builtin_expect(lane->store == operation->store, 1))
        return operation->is_windows ? record_windows(lane, operation, transfer, token)
                                     : record_columns(lane, operation, transfer, token);
    kvtel_thread_lane.token = KVTEL_NO_TOKEN;
    return record_first(operation, transfer);
}

static inline __attribute__((always_inline)) bool record_own(const struct kvtel_operation *operation,
                                                             const struct kvtel_transfer *transfer)
{
    const uint64_t token = *operation->token;
    if (__builtin_expect(kvtel_thread_lane.token != token, 0))
        return record_first(operation, transfer);
    kvtel_thread_lane.token = KVTEL_IN_CALL;
    struct kvtel_lane *lane = kvtel_thread_lane.lane;
    if (__builtin_expect(lane->store != operation->plain_store, 0))
        return record_other(lane, operation, transfer, token);
    return record_plain(lane, operation, transfer, token);
}

__attribute__((hot)) bool kvtel_record_operation(const struct kvtel_operation *operation,
                                                 const struct kvtel_transfer *transfer)
{
    return operation && record_own(operation, transfer);
}

__attribute__((hot)) bool kvtel_record_measured(const struct kvtel_operation *operation,
                                                const struct kvtel_transfer *transfer)
{
    const uint64_t *numbers = &transfer->duration_ns; /* by enum kvtel_source */
    const uint64_t token = *operation->token;
    if (__builtin_expect(kvtel_thread_lane.token != token || !operation->is_simple, 0))
        return kvtel_record_operation(operation, transfer);
    kvtel_thread_lane.token = KVTEL_IN_CALL;
    struct kvtel_lane *lane = kvtel_thread_lane.lane;
    if (__builtin_expect(lane->store != operation->store, 0))
        return record_other(lane, operation, transfer, token);
    kvtel_word *word = head_of(lane, operation);
    const uint64_t head = kvtel_word_load(word);
    const uint32_t columns = operation->column_count;
    kvtel_word *row = row_of(lane, operation, head, columns);
    uint64_t all = 0;
    for (uint32_t i = 0; i < columns; i++) {
        const uint64_t number = numbers[operation->sources[i]];
        kvtel_word_store(&row[i], number);
        all |= number - operation->less[i];
    }
    if (__builtin_expect(all >= KVTEL_ROW_LIMIT, 0))
        return record_columns(lane, operation, transfer, token);
    return publish(lane, operation, word, head, 0, token);
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
        size_t wanted = room < left ? room : left;
        wanted = wanted < KVTEL_ROWS_AT_ONCE ? wanted : KVTEL_ROWS_AT_ONCE;
        const size_t written = kvtel_row_write_many(row, transfers + done, wanted);
        plain = written == wanted;
        done += written;
        head += written;
        kvtel_word_publish(head_word, head); /* as kvtel_lane_publish_row(), for all of them */
        if (written > 0 && head % KVTEL_BLOCK_ROWS == 0)
            kvtel_lane_fold(lane, group);
    }
    if (done > 0 && group->head_part != KVTEL_PART_LINE)
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
        if (operation->plain_store && kvtel_thread_lane.token == token) {
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
