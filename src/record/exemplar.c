/* SPDX-License-Identifier: Apache-2.0 */
/* Exemplars: their labels, and writing them into a lane. */
#include "base/exemplar_text.h"
#include "record/recorder.h"
#include "record/thread.h"

#include <endian.h>
#include <string.h>
#include <time.h>

_Static_assert((int)KVTEL_EXEMPLAR_TEXT == (int)KVTEL_EXEMPLAR_BYTES, "what is filled in can be written");
_Static_assert(KVTEL_EXEMPLAR_BYTES == KVTEL_EXEMPLAR_TEXT_WORDS * sizeof(uint64_t), "layout 2");

/* A test keeps a list of all stores: it compiles this file with KVTEL_FOLD_LOG and defines the function. */
#ifdef KVTEL_FOLD_LOG
void kvtel_fold_log(const kvtel_word *word, uint64_t value);
#else
static inline void kvtel_fold_log(const kvtel_word *word, uint64_t value)
{
    (void)word;
    (void)value;
}
#endif

/* -- Labels -- */

bool kvtel_exemplar_add(struct kvtel_exemplar *exemplar, const char *name, const char *value)
{
    if (!exemplar || !name || !value || exemplar->size > sizeof(exemplar->text))
        return false;
    const size_t room = sizeof(exemplar->text) - exemplar->size;
    const size_t name_size = strnlen(name, room) + 1, value_size = strnlen(value, room) + 1;
    if (name_size + value_size > room)
        return false;
    char text[sizeof(exemplar->text)];
    memcpy(text, exemplar->text, exemplar->size);
    memcpy(text + exemplar->size, name, name_size);
    memcpy(text + exemplar->size + name_size, value, value_size);
    const size_t size = exemplar->size + name_size + value_size;
    if (!kvtel_exemplar_text_is_valid(text, size))
        return false;
    memcpy(exemplar->text, text, size);
    exemplar->size = (uint32_t)size;
    return true;
}

/* Whether the text begins with `count` hexadecimal digits in lower case, which are not all 0 if `some`. */
static bool are_digits(const char *text, size_t count, bool some)
{
    bool zeros = true;
    for (size_t i = 0; i < count; i++) {
        if (!((text[i] >= '0' && text[i] <= '9') || (text[i] >= 'a' && text[i] <= 'f')))
            return false;
        zeros = zeros && text[i] == '0';
    }
    return !some || !zeros;
}

enum { TRACE_AT = 3, TRACE_DIGITS = 32, SPAN_AT = 36, SPAN_DIGITS = 16, FLAGS_AT = 53, TRACEPARENT_SIZE = 55 };

/* VERSION-TRACE-SPAN-FLAGS of W3C's Trace Context. Versions after 00 may have more behind the flags; ff is none. */
static bool is_traceparent(const char *text)
{
    const size_t size = strnlen(text, TRACEPARENT_SIZE + 1);
    if (size < TRACEPARENT_SIZE || !are_digits(text, 2, false) || memcmp(text, "ff", 2) == 0)
        return false;
    const bool first = memcmp(text, "00", 2) == 0;
    return text[2] == '-' && are_digits(text + TRACE_AT, TRACE_DIGITS, true) && text[SPAN_AT - 1] == '-' &&
           are_digits(text + SPAN_AT, SPAN_DIGITS, true) && text[FLAGS_AT - 1] == '-' &&
           are_digits(text + FLAGS_AT, 2, false) &&
           (size == TRACEPARENT_SIZE || (!first && text[TRACEPARENT_SIZE] == '-'));
}

bool kvtel_exemplar_add_traceparent(struct kvtel_exemplar *exemplar, const char *traceparent)
{
    char trace[TRACE_DIGITS + 1] = "", span[SPAN_DIGITS + 1] = "";
    if (!exemplar || !traceparent || !is_traceparent(traceparent))
        return false;
    memcpy(trace, traceparent + TRACE_AT, TRACE_DIGITS);
    memcpy(span, traceparent + SPAN_AT, SPAN_DIGITS);
    const uint32_t before = exemplar->size;
    if (kvtel_exemplar_add(exemplar, "trace_id", trace) && kvtel_exemplar_add(exemplar, "span_id", span))
        return true;
    exemplar->size = before;
    return false;
}

/* -- Writing -- */

static void put(kvtel_word *word, uint64_t value)
{
    kvtel_fold_log(word, value);
    kvtel_word_store(word, value);
}

static uint64_t realtime_ns(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_REALTIME, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* The explicit bucket of a value; behind the last one: up to +Inf. */
static uint32_t bucket_of(const struct kvtel_bins *bins, double value)
{
    uint32_t first = 0, end = bins->explicit_count;
    while (first < end) {
        const uint32_t middle = first + (end - first) / 2;
        if (bins->explicit_bounds[middle] < value)
            first = middle + 1;
        else
            end = middle;
    }
    return first;
}

/* What is behind the text in its last word is 0. */
static void put_text(kvtel_word *words, const struct kvtel_exemplar *exemplar, size_t size)
{
    const char *text = exemplar->text;
    uint64_t word;
    for (; size >= sizeof(word); size -= sizeof(word), text += sizeof(word)) {
        memcpy(&word, text, sizeof(word));
        put(words++, word);
    }
    if (size > 0) {
        memcpy(&word, text, sizeof(word)); /* the array has whole words */
        put(words, word & htole64((UINT64_C(1) << 8 * size) - 1));
    }
}

/* Leaves an exemplar at the value's bucket. A reader gets the exemplar that was there or the new one, wherever the
 * writer is interrupted. */
static void put_exemplar(struct kvtel_lane *lane, const struct kvtel_exemplar_places *places, double value,
                         const struct kvtel_exemplar *exemplar)
{
    const uint32_t buckets = places->bins->explicit_count + 1, bucket = bucket_of(places->bins, value);
    const size_t size = exemplar->size;
    if (size > sizeof(exemplar->text))
        return;
    kvtel_word *seq = lane->words + places->at + bucket;
    const uint64_t next = kvtel_word_load(seq) + 1;
    kvtel_word *half =
        lane->words + places->at + kvtel_exemplar_place(buckets, bucket) + (next & 1) * KVTEL_EXEMPLAR_HALF_WORDS;
    kvtel_lane_fence(memory_order_release); /* a reader that sees the words below also sees the publication before */
    put(half + KVTEL_EXEMPLAR_VALUE, kvtel_double_bits(value));
    put(half + KVTEL_EXEMPLAR_TIME, exemplar->time_ns ? exemplar->time_ns : realtime_ns());
    put(half + KVTEL_EXEMPLAR_SIZE, size);
    put_text(half + KVTEL_EXEMPLAR_LABELS, exemplar, size);
    kvtel_fold_log(seq, next);
    kvtel_word_publish(seq, next);
}

/* -- Recording -- */

static bool is_known(uint64_t number)
{
    return number != 0 && number != KVTEL_UNMEASURED;
}

static bool is_number(uint64_t number)
{
    return number < KVTEL_TRANSFER_LIMIT || number == KVTEL_UNMEASURED;
}

/* The number that is the value of an exemplar; KVTEL_UNMEASURED: there is none, or the transfer will be refused. */
static uint64_t number_of(const struct kvtel_transfer *transfer, enum kvtel_source source)
{
    const uint64_t from = transfer->submitted_ns, posted = transfer->posted_ns;
    const bool timed = is_known(transfer->done_ns) && is_known(from);
    uint64_t duration = transfer->duration_ns, post = transfer->post_ns;
    if (is_known(transfer->done_ns) && !is_known(duration))
        duration = timed ? transfer->done_ns - from : KVTEL_UNMEASURED;
    if (timed && !is_known(post) && is_known(posted))
        post = posted - from; /* wraps around, and is none, where the order is wrong */
    if (!is_number(duration) || !is_number(post) || !is_number(transfer->bytes) || !is_number(transfer->descriptors) ||
        !is_number(transfer->failed))
        return KVTEL_UNMEASURED;
    return source == KVTEL_SOURCE_DURATION ? duration : transfer->bytes;
}

/* Leaves the exemplar in the lane, in which the caller has begun its call. */
static void leave(struct kvtel_lane *lane, const struct kvtel_operation *operation,
                  const struct kvtel_transfer *transfer, const struct kvtel_exemplar *exemplar)
{
    const enum kvtel_source source = operation->exemplar_source;
    const uint64_t number = number_of(transfer, source);
    if (number != KVTEL_UNMEASURED)
        put_exemplar(lane, &operation->exemplars,
                     kvtel_source_is_ns(source) ? (double)(int64_t)number / 1e9 : (double)(int64_t)number, exemplar);
}

bool kvtel_record_exemplar_inside(struct kvtel_lane *lane, const struct kvtel_operation *operation,
                                  const struct kvtel_transfer *transfer, const struct kvtel_exemplar *exemplar,
                                  uint64_t token)
{
    if (operation->exemplars.at != 0)
        leave(lane, operation, transfer, exemplar); /* before the row: a reader that sees the row finds it */
    return kvtel_record_inside(lane, operation, transfer, token);
}

bool kvtel_record_exemplar(const struct kvtel_operation *operation, const struct kvtel_transfer *transfer,
                           const struct kvtel_exemplar *exemplar)
{
    if (!operation || !exemplar || operation->exemplars.at == 0)
        return kvtel_record_operation(operation, transfer);
    struct kvtel_lane *lane = kvtel_thread_lane_of(operation->store);
    uint64_t token;
    return lane && kvtel_lane_enter(lane, 1, &token) &&
           kvtel_record_exemplar_inside(lane, operation, transfer, exemplar, token);
}

bool kvtel_store_record(struct kvtel_store *store, uint32_t series, double value, const struct kvtel_exemplar *exemplar)
{
    struct kvtel_lane *lane = store ? kvtel_thread_lane_of(store) : NULL;
    uint64_t token;
    if (!lane || !kvtel_lane_enter(lane, 1, &token))
        return false;
    if (__builtin_expect(exemplar != NULL, 0) &&
        series < atomic_load_explicit(&store->header->series_count, memory_order_acquire)) {
        const struct kvtel_series_local *local = &store->series[series];
        const struct kvtel_exemplar_places places = { .at = local->exemplars_at, .bins = local->bins };
        if (places.at != 0 && value >= 0 && value <= kvtel_series_most(local))
            put_exemplar(lane, &places, value, exemplar);
    }
    const bool recorded = kvtel_lane_record_inside(lane, series, value, false);
    kvtel_thread_leave(token);
    return recorded;
}
