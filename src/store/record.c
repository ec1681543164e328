/* SPDX-License-Identifier: Apache-2.0 */
/* Recording through handles: the hot path. */
#include "store/lane.h"
#include "store/recorder.h"
#include "store/thread.h"

#ifdef KVTEL_LANE_X86
#include <emmintrin.h>
#endif

static const double absent = __builtin_nan("");

/* Signed, because that is one instruction: what is past 2^63 was never measured. */
static inline double to_double(uint64_t value)
{
    return (double)(int64_t)(value & INT64_MAX);
}

/* What the points in time say, where the transfer has them. */
static void take_windows(const struct kvtel_transfer *transfer, double values[KVTEL_SOURCES])
{
    uint64_t from = transfer->submitted_ns, done = transfer->done_ns, first = transfer->first_byte_ns;
    if (transfer->duration_ns == 0 && done > from)
        values[KVTEL_SOURCE_DURATION] = to_double(done - from) / 1e9;
    if (transfer->post_ns == 0 && transfer->posted_ns > from)
        values[KVTEL_SOURCE_POST] = to_double(transfer->posted_ns - from) / 1e9;
    if (first != 0 && first >= from && first <= done) {
        values[KVTEL_SOURCE_FIRST_BYTE] = to_double(first - from) / 1e9;
        values[KVTEL_SOURCE_DATA] = to_double(done - first) / 1e9;
    }
}

/* The values of a transfer that columns can take. */
static inline void take_values(const struct kvtel_transfer *transfer, double values[KVTEL_SOURCES])
{
    values[KVTEL_SOURCE_DURATION] = to_double(transfer->duration_ns) / 1e9;
    values[KVTEL_SOURCE_POST] = to_double(transfer->post_ns) / 1e9;
    values[KVTEL_SOURCE_BYTES] = to_double(transfer->bytes);
    values[KVTEL_SOURCE_DESCRIPTORS] = to_double(transfer->descriptors);
    values[KVTEL_SOURCE_FAILED] = to_double(transfer->failed);
    values[KVTEL_SOURCE_FIRST_BYTE] = values[KVTEL_SOURCE_DATA] = absent;
    if (__builtin_expect(transfer->done_ns != 0, 0))
        take_windows(transfer, values);
}

/* Series of other groups: each value by itself. */
static void record_singly(struct kvtel_lane *lane, const struct kvtel_operation *operation, const double *values)
{
    for (uint32_t i = 0; i < operation->feed_count; i++) {
        const struct kvtel_group_feed *feed = &operation->feeds[i];
        double value = values[operation->sources[feed->column]];
        if (value != value)
            continue;
        if (feed->kind == KVTEL_COLUMN_OBSERVE)
            (void)kvtel_lane_observe(lane, feed->series, &value, 1);
        else
            (void)kvtel_lane_increase(lane, feed->series, feed->kind == KVTEL_COLUMN_ONE ? 1 : value);
    }
}

/* Any columns. */
static __attribute__((noinline)) bool record_columns(struct kvtel_lane *lane, const struct kvtel_operation *operation,
                                                     const struct kvtel_transfer *transfer)
{
    const struct kvtel_group *group = operation->group;
    double values[KVTEL_SOURCES];
    take_values(transfer, values);
    if (!group) {
        record_singly(lane, operation, values);
        return true;
    }
    uint64_t head = kvtel_word_load(kvtel_lane_slot(lane, group->slot) + KVTEL_SLOT_HEAD);
    kvtel_word *row = kvtel_lane_row(lane, group, head);
    for (uint32_t i = 0; i < operation->column_count; i++)
        kvtel_word_store(&row[i], kvtel_double_bits(values[operation->sources[i]]));
    kvtel_lane_publish_row(lane, group, head);
    return true;
}

static __attribute__((noinline)) bool fold(struct kvtel_lane *lane, const struct kvtel_group *group)
{
    kvtel_lane_fold(lane, group);
    return true;
}

/* Writes the row of a point-to-point transfer. False: a number is too large for this way. */
#ifdef KVTEL_LANE_X86
static inline bool write_row(kvtel_word *row, const struct kvtel_transfer *transfer)
{
    /* Below 2^52 the bits of a number are the mantissa of 2^52 + number. */
    const __m128i magic_bits = _mm_set1_epi64x(0x4330000000000000);
    const __m128d magic = _mm_castsi128_pd(magic_bits);
    const __m128i *numbers = (const __m128i *)(const void *)transfer;
    __m128i times = _mm_loadu_si128(&numbers[0]), sizes = _mm_loadu_si128(&numbers[1]);
    __m128i high = _mm_srli_epi64(_mm_or_si128(times, sizes), 52);
    if (__builtin_expect(_mm_movemask_epi8(_mm_cmpeq_epi32(high, _mm_setzero_si128())) != 0xffff, 0))
        return false;
    __m128d ns = _mm_sub_pd(_mm_castsi128_pd(_mm_or_si128(times, magic_bits)), magic);
    __m128d pieces = _mm_sub_pd(_mm_castsi128_pd(_mm_or_si128(sizes, magic_bits)), magic);
    double *place = (double *)(uintptr_t)row;
    _mm_storeu_pd(&place[0], _mm_div_pd(ns, _mm_set1_pd(1e9)));
    _mm_storeu_pd(&place[2], pieces);
    return true;
}
_Static_assert(offsetof(struct kvtel_transfer, duration_ns) == 0 && offsetof(struct kvtel_transfer, post_ns) == 8 &&
                   offsetof(struct kvtel_transfer, bytes) == 16 && offsetof(struct kvtel_transfer, descriptors) == 24,
               "read as two pairs");
#else
static inline bool write_row(kvtel_word *row, const struct kvtel_transfer *transfer)
{
    kvtel_word_store(&row[0], kvtel_double_bits(to_double(transfer->duration_ns) / 1e9));
    kvtel_word_store(&row[1], kvtel_double_bits(to_double(transfer->post_ns) / 1e9));
    kvtel_word_store(&row[2], kvtel_double_bits(to_double(transfer->bytes)));
    kvtel_word_store(&row[3], kvtel_double_bits(to_double(transfer->descriptors)));
    return true;
}
#endif

/* What is rare is left to functions called last, so that the frequent way saves no registers. */
static inline bool record(struct kvtel_lane *lane, const struct kvtel_operation *operation, const struct kvtel_transfer *transfer)
{
    kvtel_word *head_word = lane->words + operation->head_at;
    uint64_t head = kvtel_word_load(head_word);
    kvtel_word *row = lane->words + operation->block_at + head % KVTEL_BLOCK_ROWS * KVTEL_POINT_TO_POINT;
    if (__builtin_expect(!operation->is_point_to_point || transfer->done_ns != 0 || !write_row(row, transfer), 0))
        return record_columns(lane, operation, transfer);
    kvtel_word_publish(head_word, head + 1); /* as kvtel_lane_publish_row() */
    if (__builtin_expect((head + 1) % KVTEL_BLOCK_ROWS == 0, 0))
        return fold(lane, operation->group);
    return true;
}

static __attribute__((noinline)) bool record_first(const struct kvtel_operation *operation, const struct kvtel_transfer *transfer)
{
    struct kvtel_lane *lane = kvtel_thread_lane_find(operation->store);
    return lane && record(lane, operation, transfer);
}

static inline bool record_own(const struct kvtel_operation *operation, const struct kvtel_transfer *transfer)
{
    if (!operation)
        return false;
    if (kvtel_thread_lane_is_of(operation->token))
        return record(kvtel_thread_lane.lane, operation, transfer);
    return record_first(operation, transfer);
}

bool kvtel_record_operation(const struct kvtel_operation *operation, const struct kvtel_transfer *transfer)
{
    return record_own(operation, transfer);
}

bool kvtel_record_transfer(const struct kvtel_recorder *recorder, const struct kvtel_transfer *transfer)
{
    return recorder && record_own(recorder->first, transfer);
}

bool kvtel_lane_record(struct kvtel_lane *lane, const struct kvtel_operation *operation, const struct kvtel_transfer *transfer)
{
    return lane && operation && lane->store == operation->store && kvtel_store_is_own(lane->store) &&
           record(lane, operation, transfer);
}

bool kvtel_record_value(const struct kvtel_channel *channel, double value)
{
    struct kvtel_lane *lane = channel ? kvtel_thread_lane_of(channel->store) : NULL;
    bool recorded = lane != NULL;
    for (uint32_t i = 0; lane && i < channel->count; i++) {
        uint32_t series = channel->series[i];
        switch ((enum kvtel_metric_type)channel->store->series[series].type) {
        case KVTEL_COUNTER:
            recorded &= kvtel_lane_increase(lane, series, channel->ones ? 1 : value);
            break;
        case KVTEL_GAUGE:
            recorded &= kvtel_lane_set(lane, series, value);
            break;
        case KVTEL_HISTOGRAM:
            recorded &= kvtel_lane_observe(lane, series, &value, 1) == 1;
            break;
        }
    }
    return recorded;
}

bool kvtel_record_failure(const struct kvtel_recorder *recorder, enum kvtel_failure failure)
{
    return recorder && (unsigned)failure < KVTEL_FAILURE_COUNT && kvtel_record_value(recorder->failures[failure], 1);
}
