/* SPDX-License-Identifier: Apache-2.0 */
/* Prometheus' protobuf format, delimited. docs/decisions/protobuf.md says why it is written here and not by a library.
 *
 * Field numbers are those of io.prometheus.client (github.com/prometheus/client_model, io/prometheus/client/
 * metrics.proto). The size of a message stands before it. The value of a series is therefore written into a place of
 * its own first; a family's size is estimated, and the family is moved where the estimate had another length. */
#include "exposition/protobuf.h"

#include "base/buffer.h"
#include "base/utf8.h"
#include "exposition/body.h"
#include "exposition/exponential.h"
#include "exposition/family_head.h"
#include "exposition/frame.h"
#include "exposition/labels.h"
#include "exposition/wire.h"

#include <math.h>
#include <stdlib.h>

enum family_field { FAMILY_NAME = 1, FAMILY_HELP, FAMILY_TYPE, FAMILY_METRIC, FAMILY_UNIT };
enum metric_field { METRIC_LABEL = 1, METRIC_GAUGE = 2, METRIC_COUNTER = 3, METRIC_HISTOGRAM = 7 };
enum label_field { LABEL_NAME = 1, LABEL_VALUE };
enum value_field { GAUGE_VALUE = 1, COUNTER_VALUE = 1 };
enum created_field { COUNTER_CREATED = 3, HISTOGRAM_CREATED = 15 };
enum timestamp_field { TIMESTAMP_SECONDS = 1, TIMESTAMP_NANOS };
enum histogram_field {
    HISTOGRAM_COUNT = 1,
    HISTOGRAM_SUM = 2,
    HISTOGRAM_BUCKET = 3,
    HISTOGRAM_SCHEMA = 5,
    HISTOGRAM_ZERO_THRESHOLD = 6,
    HISTOGRAM_ZERO_COUNT = 7,
    HISTOGRAM_SPAN = 12,
    HISTOGRAM_DELTA = 13,
    HISTOGRAM_EXEMPLAR = 16,
};
enum bucket_field { BUCKET_COUNT = 1, BUCKET_BOUND, BUCKET_EXEMPLAR };
enum exemplar_field { EXEMPLAR_LABEL = 1, EXEMPLAR_VALUE, EXEMPLAR_TIME };
enum span_field { SPAN_OFFSET = 1, SPAN_LENGTH };

/* A gap of so many empty buckets costs fewer bytes as zeros than as a new span. */
enum { GAP = 2 };

/* So many series further on is what is fetched: one is written in about the time that memory takes. */
enum { AHEAD = 2 };

enum {
    NUMBER = WIRE_TAG + WIRE_VARINT,
    DOUBLE = WIRE_TAG + WIRE_FIXED,
    TIMESTAMP = WIRE_TAG + 1 + 2 * NUMBER,
    PLAIN_BODY = DOUBLE + TIMESTAMP,
    HISTOGRAM_BODY = 3 * NUMBER + 2 * DOUBLE + 16 + TIMESTAMP, /* without buckets; 16: an empty span */
    CLASSIC_BUCKET = 2 + NUMBER + DOUBLE,
    NATIVE_BUCKET = 2 + 2 * NUMBER + (GAP + 1) * NUMBER, /* a span, zeros and a delta */
    HEAD = WIRE_TAG + WIRE_VARINT,
    /* A label has two bytes of text at least, and 3 heads of 3 bytes at most. */
    EXEMPLAR = KVTEL_EXEMPLAR_BYTES / 2 * 9 + KVTEL_EXEMPLAR_BYTES + DOUBLE + TIMESTAMP + HEAD,
};

/* What all series of a family share. */
struct family_wire {
    const struct kvtel_snapshot_family *family;
    bool classic, native;
    size_t most_buckets;
    size_t *order, *names, *sizes; /* of labels: by name; sizes of names, and of a series' values */
    size_t labels_size;            /* of labels without their values, at most */
    struct kvtel_body body;
    struct kvtel_exponential_plan plan;
    struct kvtel_exponential exponential;
    char *deltas;    /* of native buckets, before they are in their place */
    uint64_t *below; /* the counts of explicit buckets, where both kinds are written */
};

static const struct {
    unsigned type, field;
} types[] = {
    [KVTEL_COUNTER] = { 0, METRIC_COUNTER },
    [KVTEL_GAUGE] = { 1, METRIC_GAUGE },
    [KVTEL_HISTOGRAM] = { 4, METRIC_HISTOGRAM },
};

static enum kvtel_status plan_native(struct family_wire *wire, const struct kvtel_exposition_options *options)
{
    const struct kvtel_snapshot_family *family = wire->family;
    const struct kvtel_exponential_bins bins = {
        .schema = family->schema,
        .first = family->exponential_first,
        .count = (uint32_t)family->exponential_count,
        .bins = family->exponential_bins,
        .zero = family->bounds[0] == 0,
    };
    enum kvtel_status status = kvtel_exponential_plan_init(&wire->plan, &bins, options->native_schema);
    if (status != KVTEL_OK)
        return status;
    wire->most_buckets = options->most_buckets;
    wire->plan.marks = family->explicit_bins;
    wire->plan.mark_count = family->explicit_count;
    wire->exponential.memory = calloc(wire->plan.room, sizeof *wire->exponential.memory);
    wire->below = calloc(family->explicit_count + 1, sizeof *wire->below);
    wire->deltas = malloc(wire->plan.room * (size_t)NUMBER);
    return wire->exponential.memory && wire->below && wire->deltas ? KVTEL_OK : KVTEL_E_NOMEM;
}

static void family_wire_free(struct family_wire *wire)
{
    kvtel_exponential_plan_free(&wire->plan);
    free(wire->exponential.memory);
    free(wire->below);
    free(wire->deltas);
    free(wire->order);
    free(wire->names);
    free(wire->sizes);
    free(wire->body.bytes);
}

static enum kvtel_status family_wire_init(struct family_wire *wire, const struct kvtel_snapshot_family *family,
                                          const struct kvtel_exposition_options *options)
{
    bool histogram = family->type == KVTEL_HISTOGRAM;
    *wire = (struct family_wire){
        .family = family,
        .native = histogram && options->histograms != KVTEL_HISTOGRAMS_CLASSIC && family->exponential_count > 0,
        .body.size = histogram ? HISTOGRAM_BODY : PLAIN_BODY,
    };
    wire->classic = histogram && (options->histograms != KVTEL_HISTOGRAMS_NATIVE || !wire->native);
    enum kvtel_status status = wire->native ? plan_native(wire, options) : KVTEL_OK;
    if (wire->classic)
        wire->body.size += family->explicit_count * CLASSIC_BUCKET;
    wire->body.size += wire->plan.count * NATIVE_BUCKET;
    wire->order = calloc(family->label_count + 1, sizeof *wire->order);
    wire->names = calloc(family->label_count + 1, sizeof *wire->names);
    wire->sizes = calloc(family->label_count + 1, sizeof *wire->sizes);
    wire->body.bytes = malloc(wire->body.size);
    if (status != KVTEL_OK || !wire->order || !wire->names || !wire->sizes || !wire->body.bytes)
        return KVTEL_E_NOMEM;
    kvtel_label_order(family, wire->order);
    for (size_t i = 0; i < family->label_count; i++)
        wire->labels_size += 3 * HEAD + (wire->names[i] = strlen(family->labelnames[i]));
    return KVTEL_OK;
}

/* -- The value of a series -- */

/* A point in time, in nanoseconds since 1970. */
static char *put_time(char *at, unsigned field, uint64_t ns)
{
    const uint64_t seconds = ns / 1000000000u, rest = ns % 1000000000u;
    at = wire_head(at, field, 2 * WIRE_TAG + wire_varint_size(seconds) + wire_varint_size(rest));
    at = wire_number(at, TIMESTAMP_SECONDS, seconds);
    return wire_number(at, TIMESTAMP_NANOS, rest);
}

static char *put_created(char *at, unsigned field, const struct kvtel_snapshot_series *series)
{
    return series->started > 0 ? put_time(at, field, series->started) : at;
}

/* The size of a label's message, without its head. */
static inline size_t label_size(size_t name_size, size_t value_size)
{
    return 2 * WIRE_TAG + wire_varint_size(name_size) + name_size + wire_varint_size(value_size) + value_size;
}

static char *put_label(char *at, unsigned field, const char *name, size_t name_size, const char *value,
                       size_t value_size)
{
    at = wire_head(at, field, label_size(name_size, value_size));
    at = wire_bytes(at, LABEL_NAME, name, name_size);
    return wire_bytes(at, LABEL_VALUE, value, value_size);
}

/* The content of an exemplar's message. */
static char *put_exemplar(char *at, const struct kvtel_snapshot_exemplar *exemplar)
{
    const char *name;
    for (size_t i = 0; (name = kvtel_snapshot_exemplar_label_name(exemplar, i)); i++) {
        const char *value = kvtel_snapshot_exemplar_label(exemplar, i);
        at = put_label(at, EXEMPLAR_LABEL, name, strlen(name), value, strlen(value));
    }
    at = wire_double(at, EXEMPLAR_VALUE, exemplar->value);
    return put_time(at, EXEMPLAR_TIME, exemplar->time_ns);
}

/* A bucket with an exemplar. */
static char *put_exemplary_bucket(char *at, uint64_t count, double bound,
                                  const struct kvtel_snapshot_exemplar *exemplar)
{
    char message[EXEMPLAR];
    const size_t size = (size_t)(put_exemplar(message, exemplar) - message);
    at = wire_head(at, HISTOGRAM_BUCKET,
                   WIRE_TAG + wire_varint_size(count) + DOUBLE + WIRE_TAG + wire_varint_size(size) + size);
    at = wire_number(at, BUCKET_COUNT, count);
    at = wire_double(at, BUCKET_BOUND, bound);
    return wire_bytes(at, BUCKET_EXEMPLAR, message, size);
}

/* Exemplars beside native buckets, in ascending order of their values. */
static char *put_native_exemplars(char *at, const struct kvtel_snapshot_family *family,
                                  const struct kvtel_snapshot_series *series)
{
    char message[EXEMPLAR];
    for (uint32_t i = 0; i < series->exemplar_count; i++) {
        const struct kvtel_snapshot_exemplar *exemplar = kvtel_snapshot_exemplar(family, series, i);
        if (!exemplar)
            continue;
        const size_t size = (size_t)(put_exemplar(message, exemplar) - message);
        at = wire_large_head(at, HISTOGRAM_EXEMPLAR, size);
        memcpy(at, message, size);
        at += size;
    }
    return at;
}

static char *put_classic(char *at, const struct family_wire *wire, const struct kvtel_snapshot_series *series)
{
    const struct kvtel_snapshot_family *family = wire->family;
    uint64_t below = 0;
    for (size_t i = 0; i < family->explicit_count; i++) { /* the bucket up to +Inf has the histogram's count */
        below = wire->exponential.below ? wire->below[i] : below + kvtel_explicit_count(family, series, i);
        const struct kvtel_snapshot_exemplar *exemplar =
            series->exemplars ? kvtel_snapshot_exemplar(family, series, i) : NULL;
        if (exemplar) {
            at = put_exemplary_bucket(at, below, family->bounds[family->explicit_bins[i]], exemplar);
            continue;
        }
        char *head = at;
        at = wire_roomy_number(wire_head(at, HISTOGRAM_BUCKET, 0), BUCKET_COUNT, below);
        head[1] = (char)(at - head - 2 + DOUBLE); /* less than 128: one byte */
        at = wire_double(at, BUCKET_BOUND, family->bounds[family->explicit_bins[i]]);
    }
    const struct kvtel_snapshot_exemplar *last = kvtel_snapshot_exemplar(family, series, family->explicit_count);
    return last ? put_exemplary_bucket(at, series->count, HUGE_VAL, last) : at;
}

/* The first count, then the difference of each to the one before it. */
static inline char *put_delta(char *at, int64_t delta)
{
    return wire_roomy_number(at, HISTOGRAM_DELTA, wire_zigzag(delta));
}

static char *put_span(char *at, int64_t offset, uint64_t length)
{
    at = wire_head(at, HISTOGRAM_SPAN, 2 * WIRE_TAG + wire_varint_size(wire_zigzag(offset)) + wire_varint_size(length));
    at = wire_signed(at, SPAN_OFFSET, offset);
    return wire_number(at, SPAN_LENGTH, length);
}

/* The spans, and behind them the deltas, which are written beside them first: one walk. */
static char *put_buckets(char *at, const struct kvtel_exponential *series, char *deltas)
{
    const uint64_t *counts = series->counts, *end = counts + series->count;
    int64_t offset = series->count > 0 ? series->first : 0, before = 0;
    uint64_t length = 0;
    char *delta = deltas;
    for (int64_t gap = 0; counts < end; counts++) {
        if (*counts == 0) {
            gap++;
            continue;
        }
        if (gap > GAP) {
            at = put_span(at, offset, length);
            offset = gap;
            length = 0;
            gap = 0;
        }
        for (; gap > 0; gap--, length++, before = 0)
            delta = put_delta(delta, -before);
        delta = put_delta(delta, (int64_t)*counts - before);
        before = (int64_t)*counts;
        length++;
    }
    at = put_span(at, offset, length);
    memcpy(at, deltas, (size_t)(delta - deltas));
    return at + (delta - deltas);
}

static char *put_native(char *at, const struct family_wire *wire)
{
    const struct kvtel_exponential *exponential = &wire->exponential;
    at = wire_signed(at, HISTOGRAM_SCHEMA, exponential->schema);
    at = wire_double(at, HISTOGRAM_ZERO_THRESHOLD, wire->plan.zero_threshold);
    at = wire_number(at, HISTOGRAM_ZERO_COUNT, exponential->zero_count);
    return put_buckets(at, exponential, wire->deltas);
}

static char *put_histogram(char *at, struct family_wire *wire, const struct kvtel_snapshot_series *series)
{
    if (wire->native) { /* explicit buckets come from the same walk, unless their counts are known */
        wire->exponential.below = wire->classic && !series->buckets ? wire->below : NULL;
        kvtel_series_exponential(&wire->plan, series, wire->most_buckets, &wire->exponential);
    }
    at = wire_number(at, HISTOGRAM_COUNT, series->count);
    at = wire_double(at, HISTOGRAM_SUM, series->sum);
    if (wire->classic)
        at = put_classic(at, wire, series);
    if (wire->native)
        at = put_native(at, wire);
    at = put_created(at, HISTOGRAM_CREATED, series);
    return wire->native && series->exemplars ? put_native_exemplars(at, wire->family, series) : at;
}

static char *put_plain(char *at, const struct family_wire *wire, const struct kvtel_snapshot_series *series)
{
    at = wire_double(at, COUNTER_VALUE, series->value);
    return wire->family->type == KVTEL_COUNTER ? put_created(at, COUNTER_CREATED, series) : at;
}

/* -- Series and families -- */

/* Begins to load what a series is written from, while another one is written. Inlined: gcc 12 takes a function that
 * does nothing else for one without effect, and leaves out its calls. */
static inline __attribute__((always_inline)) void fetch(const struct family_wire *wire,
                                                        const struct kvtel_snapshot_series *series)
{
    enum { LINE = 64, MOST = 512 }; /* of parts: 60 */
    const char *parts = (const char *)series->parts, *buckets = (const char *)series->buckets;
    if (wire->classic && buckets)
        for (size_t at = 0; at < wire->family->explicit_count * sizeof(uint64_t); at += LINE)
            __builtin_prefetch(buckets + at);
    if (wire->native && parts)
        for (size_t at = 0; at < MOST; at += LINE)
            __builtin_prefetch(parts + at);
}

static enum kvtel_status put_series(struct family_wire *wire, const struct kvtel_snapshot_series *series,
                                    struct kvtel_buffer *buffer)
{
    const struct kvtel_snapshot_family *family = wire->family;
    const size_t exemplars = 2 * (family->explicit_count + 1) * (CLASSIC_BUCKET + EXEMPLAR);
    if (kvtel_body_widen(&wire->body, series, exemplars) != KVTEL_OK)
        return KVTEL_E_NOMEM;
    char *end = family->type == KVTEL_HISTOGRAM ? put_histogram(wire->body.bytes, wire, series)
                                                : put_plain(wire->body.bytes, wire, series);
    size_t body = (size_t)(end - wire->body.bytes), size = WIRE_TAG + wire_varint_size(body) + body, values = 0;
    for (size_t i = 0; i < family->label_count; i++) {
        size_t label = label_size(wire->names[i], wire->sizes[i] = strlen(series->values[i]));
        size += WIRE_TAG + wire_varint_size(label) + label;
        values += wire->sizes[i];
    }
    enum kvtel_status status =
        kvtel_buffer_reserve(buffer, 2 * (size_t)HEAD + wire->labels_size + values + wire->body.size);
    if (status != KVTEL_OK)
        return status;
    char *at = wire_head(buffer->bytes + buffer->size, FAMILY_METRIC, size);
    for (size_t i = 0; i < family->label_count; i++) {
        size_t label = wire->order[i];
        at = put_label(at, METRIC_LABEL, family->labelnames[label], wire->names[label], series->values[label],
                       wire->sizes[label]);
    }
    at = wire_bytes(at, types[family->type].field, wire->body.bytes, body);
    buffer->size = (size_t)(at - buffer->bytes);
    return KVTEL_OK;
}

/* How many bytes the family takes, as a guess. */
static size_t guess(const struct family_wire *wire)
{
    enum { PLAIN = 80, HISTOGRAM = 400 };
    return 128 + wire->family->series_count * (wire->classic || wire->native ? HISTOGRAM : PLAIN);
}

enum kvtel_status kvtel_protobuf_family(const struct kvtel_snapshot_family *family,
                                        const struct kvtel_exposition_options *options, struct kvtel_buffer *buffer)
{
    static const struct kvtel_family_head head = { FAMILY_NAME, FAMILY_HELP, FAMILY_UNIT, FAMILY_TYPE };
    struct family_wire wire;
    struct kvtel_frame frame;
    size_t before = buffer->size;
    enum kvtel_status status = family_wire_init(&wire, family, options);
    if (status == KVTEL_OK)
        status = kvtel_frame_open(&frame, guess(&wire), buffer);
    if (status == KVTEL_OK)
        status = kvtel_family_head(family, &head, types[family->type].type, kvtel_family_unit(family), buffer);
    for (size_t i = 0; i < family->series_count && status == KVTEL_OK; i++) {
        if (i + AHEAD < family->series_count)
            fetch(&wire, &family->series[i + AHEAD]);
        status = put_series(&wire, &family->series[i], buffer);
    }
    if (status == KVTEL_OK)
        status = kvtel_frame_close(&frame, buffer);
    family_wire_free(&wire);
    if (status != KVTEL_OK)
        buffer->size = before;
    return status;
}
