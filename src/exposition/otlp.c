/* SPDX-License-Identifier: Apache-2.0 */
/* OTLP's metrics: cumulative sums, gauges, and histograms with exponential or explicit buckets.
 *
 * Field numbers are those of opentelemetry.proto.metrics.v1 (github.com/open-telemetry/opentelemetry-proto,
 * opentelemetry/proto/metrics/v1/metrics.proto). A point's value is written into a place of its own first, since its
 * size stands before it. */
#include "exposition/otlp.h"

#include "base/buffer.h"
#include "base/utf8.h"
#include "exposition/body.h"
#include "exposition/exponential.h"
#include "exposition/family_head.h"
#include "exposition/frame.h"
#include "exposition/labels.h"
#include "exposition/otlp_attribute.h"
#include "exposition/otlp_exemplars.h"

#include <stdlib.h>

enum request_field { REQUEST_RESOURCE_METRICS = 1 };
enum resource_metrics_field { RESOURCE_METRICS_RESOURCE = 1, RESOURCE_METRICS_SCOPE_METRICS };
enum scope_metrics_field { SCOPE_METRICS_SCOPE = 1, SCOPE_METRICS_METRICS };
enum resource_field { RESOURCE_ATTRIBUTES = 1 };
enum scope_field { SCOPE_NAME = 1, SCOPE_VERSION };
enum metric_field { METRIC_NAME = 1, METRIC_DESCRIPTION, METRIC_UNIT };
enum data_field { DATA_POINTS = 1, DATA_TEMPORALITY, DATA_MONOTONIC };
enum point_field { POINT_START = 2, POINT_TIME, POINT_DOUBLE, POINT_COUNT = 4, POINT_SUM };
enum explicit_field { EXPLICIT_COUNTS = 6, EXPLICIT_BOUNDS };
enum exponential_field {
    EXPONENTIAL_SCALE = 6,
    EXPONENTIAL_ZERO_COUNT,
    EXPONENTIAL_POSITIVE,
    EXPONENTIAL_ZERO_THRESHOLD = 14
};
enum buckets_field { BUCKETS_OFFSET = 1, BUCKETS_COUNTS };

enum { CUMULATIVE = 2 };

enum {
    NUMBER = WIRE_TAG + WIRE_VARINT,
    FIXED = WIRE_TAG + WIRE_FIXED,
    HEAD = WIRE_TAG + WIRE_VARINT,
    PLAIN_BODY = 3 * FIXED,
    HISTOGRAM_BODY = 7 * FIXED + 2 * NUMBER + 3 * HEAD, /* without buckets */
};

/* What a metric is, and the fields in which its points differ from those of others. */
enum kind { GAUGE, SUM, EXPLICIT, EXPONENTIAL };
static const struct {
    unsigned field, attributes, exemplars;
    bool cumulative, monotonic;
} kinds[] = {
    [GAUGE] = { 5, 7, 5, false, false },
    [SUM] = { 7, 7, 5, true, true },
    [EXPLICIT] = { 9, 9, 8, true, false },
    [EXPONENTIAL] = { 10, 1, 11, true, false },
};

/* What all series of a family share. */
struct family_wire {
    const struct kvtel_snapshot_family *family;
    enum kind kind;
    uint64_t time_ns;
    size_t most_buckets;
    size_t *order, *sizes;  /* of labels: by name; sizes of a series' values */
    size_t labels_size;     /* of labels without their values, at most */
    struct kvtel_body body; /* of a point */
    char *packed;           /* the counts of one point's exponential buckets */
    struct kvtel_exponential_plan plan;
    struct kvtel_exponential exponential;
};

static enum kind kind_of(const struct kvtel_snapshot_family *family, enum kvtel_histograms histograms)
{
    if (family->type != KVTEL_HISTOGRAM)
        return family->type == KVTEL_COUNTER ? SUM : GAUGE;
    return histograms == KVTEL_HISTOGRAMS_CLASSIC || family->exponential_count == 0 ? EXPLICIT : EXPONENTIAL;
}

static enum kvtel_status plan_exponential(struct family_wire *wire, int schema)
{
    const struct kvtel_snapshot_family *family = wire->family;
    const struct kvtel_exponential_bins bins = {
        .schema = family->schema,
        .first = family->exponential_first,
        .count = (uint32_t)family->exponential_count,
        .bins = family->exponential_bins,
        .zero = family->bounds[0] == 0,
    };
    enum kvtel_status status = kvtel_exponential_plan_init(&wire->plan, &bins, schema);
    if (status != KVTEL_OK)
        return status;
    wire->exponential.memory = calloc(wire->plan.room, sizeof *wire->exponential.memory);
    wire->packed = malloc(wire->plan.count * (size_t)WIRE_VARINT);
    return wire->exponential.memory && wire->packed ? KVTEL_OK : KVTEL_E_NOMEM;
}

static void family_wire_free(struct family_wire *wire)
{
    kvtel_exponential_plan_free(&wire->plan);
    free(wire->exponential.memory);
    free(wire->packed);
    free(wire->order);
    free(wire->sizes);
    free(wire->body.bytes);
}

static enum kvtel_status family_wire_init(struct family_wire *wire, const struct kvtel_snapshot_family *family,
                                          const struct kvtel_otlp_options *options)
{
    *wire = (struct family_wire){
        .family = family,
        .kind = kind_of(family, options->histograms),
        .time_ns = options->time_ns,
        .most_buckets = options->most_buckets,
    };
    enum kvtel_status status = wire->kind == EXPONENTIAL ? plan_exponential(wire, options->native_schema) : KVTEL_OK;
    wire->body.size = family->type == KVTEL_HISTOGRAM ? HISTOGRAM_BODY : PLAIN_BODY;
    wire->body.size += wire->plan.count * (size_t)WIRE_VARINT;
    if (wire->kind == EXPLICIT)
        wire->body.size += (2 * family->explicit_count + 1) * (size_t)WIRE_FIXED;
    wire->order = calloc(family->label_count + 1, sizeof *wire->order);
    wire->sizes = calloc(family->label_count + 1, sizeof *wire->sizes);
    wire->body.bytes = malloc(wire->body.size);
    if (status != KVTEL_OK || !wire->order || !wire->sizes || !wire->body.bytes)
        return KVTEL_E_NOMEM;
    kvtel_label_order(family, wire->order);
    for (size_t i = 0; i < family->label_count; i++)
        wire->labels_size += 4 * HEAD + strlen(family->labelnames[i]);
    return KVTEL_OK;
}

/* -- The value of a point -- */

static char *put_explicit(char *at, const struct family_wire *wire, const struct kvtel_snapshot_series *series)
{
    const struct kvtel_snapshot_family *family = wire->family;
    uint64_t below = 0;
    at = wire_head(at, EXPLICIT_COUNTS, (family->explicit_count + 1) * WIRE_FIXED);
    for (size_t i = 0; i < family->explicit_count; i++) {
        const uint64_t count = kvtel_explicit_count(family, series, i);
        at = wire_eight(at, count);
        below += count;
    }
    at = wire_eight(at, series->count - below);
    at = wire_head(at, EXPLICIT_BOUNDS, family->explicit_count * WIRE_FIXED);
    for (size_t i = 0; i < family->explicit_count; i++)
        at = wire_eight(at, kvtel_double_bits(family->bounds[family->explicit_bins[i]]));
    return at;
}

/* All counts from the lowest bucket to the highest. */
static size_t pack_counts(const struct family_wire *wire)
{
    const struct kvtel_exponential *series = &wire->exponential;
    char *at = wire->packed;
    for (size_t i = 0; i < series->count; i++)
        at = wire_varint(at, series->counts[i]);
    return (size_t)(at - wire->packed);
}

static char *put_exponential(char *at, struct family_wire *wire, const struct kvtel_snapshot_series *series)
{
    struct kvtel_exponential *exponential = &wire->exponential;
    kvtel_series_exponential(&wire->plan, series, wire->most_buckets, exponential);
    while (exponential->count > wire->most_buckets && exponential->schema > KVTEL_SCHEMA_LEAST)
        kvtel_exponential_halve(exponential);
    at = wire_signed(at, EXPONENTIAL_SCALE, exponential->schema);
    at = wire_fixed(at, EXPONENTIAL_ZERO_COUNT, exponential->zero_count);
    if (exponential->count > 0) {
        /* OTLP counts buckets by their lower bound */
        int64_t offset = (int64_t)exponential->first - 1;
        size_t size = pack_counts(wire);
        size_t head = WIRE_TAG + wire_varint_size((uint64_t)offset << 1 ^ (uint64_t)(offset >> 63));
        at = wire_head(at, EXPONENTIAL_POSITIVE, head + WIRE_TAG + wire_varint_size(size) + size);
        at = wire_signed(at, BUCKETS_OFFSET, offset);
        at = wire_bytes(at, BUCKETS_COUNTS, wire->packed, size);
    }
    return wire_double(at, EXPONENTIAL_ZERO_THRESHOLD, wire->plan.zero_threshold);
}

static char *put_value(char *at, struct family_wire *wire, const struct kvtel_snapshot_series *series)
{
    if (kinds[wire->kind].cumulative && series->started > 0)
        at = wire_fixed(at, POINT_START, series->started);
    at = wire_fixed(at, POINT_TIME, wire->time_ns);
    if (wire->kind < EXPLICIT)
        return wire_double(at, POINT_DOUBLE, series->value);
    at = wire_fixed(at, POINT_COUNT, series->count);
    at = wire_double(at, POINT_SUM, series->sum);
    at = wire->kind == EXPLICIT ? put_explicit(at, wire, series) : put_exponential(at, wire, series);
    return series->exemplars ? kvtel_otlp_put_exemplars(at, kinds[wire->kind].exemplars, wire->family, series) : at;
}

/* -- Attributes, points, metrics -- */

static enum kvtel_status put_point(struct family_wire *wire, const struct kvtel_snapshot_series *series,
                                   struct kvtel_buffer *buffer)
{
    const struct kvtel_snapshot_family *family = wire->family;
    if (kvtel_body_widen(&wire->body, series, kvtel_otlp_exemplars_size(family)) != KVTEL_OK)
        return KVTEL_E_NOMEM;
    size_t body = (size_t)(put_value(wire->body.bytes, wire, series) - wire->body.bytes), size = body, values = 0;
    for (size_t i = 0; i < family->label_count; i++) {
        size_t attribute =
            kvtel_otlp_attribute_size(strlen(family->labelnames[i]), wire->sizes[i] = strlen(series->values[i]));
        size += kvtel_otlp_field_size(attribute);
        values += wire->sizes[i];
    }
    enum kvtel_status status = kvtel_buffer_reserve(buffer, HEAD + wire->labels_size + values + wire->body.size);
    if (status != KVTEL_OK)
        return status;
    char *at = wire_head(buffer->bytes + buffer->size, DATA_POINTS, size);
    for (size_t i = 0; i < family->label_count; i++) {
        size_t label = wire->order[i];
        const char *name = family->labelnames[label];
        at = kvtel_otlp_put_attribute(at, kinds[wire->kind].attributes, name, strlen(name), series->values[label],
                                      wire->sizes[label]);
    }
    memcpy(at, wire->body.bytes, body);
    buffer->size = (size_t)(at + body - buffer->bytes);
    return KVTEL_OK;
}

/* The unit in UCUM, where the family's name has the unit's word: Prometheus adds that word to a name that lacks it, and
 * the metric would have another name than in a scrape. "": none. */
static const char *unit_of(const struct kvtel_snapshot_family *family)
{
    static const struct {
        const char *word, *unit;
    } units[] = {
        [KVTEL_UNIT_COUNT] = { "", "" },
        [KVTEL_UNIT_SECONDS] = { "seconds", "s" },
        [KVTEL_UNIT_BYTES] = { "bytes", "By" },
        [KVTEL_UNIT_RATIO] = { "ratio", "1" },
    };
    const char *word = units[family->unit].word;
    size_t size = strlen(word);
    for (const char *at = family->name; size > 0 && at; at = strchr(at, '_')) {
        at += *at == '_';
        if (strcspn(at, "_") == size && memcmp(at, word, size) == 0)
            return units[family->unit].unit;
    }
    return "";
}

/* Writes the tag of a message that begins here, and opens it. */
static enum kvtel_status open_message(struct kvtel_frame *frame, unsigned field, size_t guess,
                                      struct kvtel_buffer *buffer)
{
    enum kvtel_status status = kvtel_buffer_reserve(buffer, WIRE_TAG);
    if (status != KVTEL_OK)
        return status;
    buffer->size = (size_t)(wire_tag(buffer->bytes + buffer->size, field, WIRE_BYTES) - buffer->bytes);
    return kvtel_frame_open(frame, guess, buffer);
}

static enum kvtel_status put_data(struct family_wire *wire, size_t guess, struct kvtel_buffer *buffer)
{
    struct kvtel_frame frame;
    enum kvtel_status status = open_message(&frame, kinds[wire->kind].field, guess, buffer);
    for (size_t i = 0; i < wire->family->series_count && status == KVTEL_OK; i++)
        status = put_point(wire, &wire->family->series[i], buffer);
    if (status == KVTEL_OK)
        status = kvtel_buffer_reserve(buffer, 2 * (size_t)NUMBER);
    if (status != KVTEL_OK)
        return status;
    char *at = buffer->bytes + buffer->size;
    if (kinds[wire->kind].cumulative)
        at = wire_number(at, DATA_TEMPORALITY, CUMULATIVE);
    if (kinds[wire->kind].monotonic)
        at = wire_number(at, DATA_MONOTONIC, true);
    buffer->size = (size_t)(at - buffer->bytes);
    return kvtel_frame_close(&frame, buffer);
}

enum kvtel_status kvtel_otlp_family(const struct kvtel_snapshot_family *family,
                                    const struct kvtel_otlp_options *options, struct kvtel_buffer *buffer)
{
    static const struct kvtel_family_head head = { METRIC_NAME, METRIC_DESCRIPTION, METRIC_UNIT, 0 };
    enum { PLAIN = 100, HISTOGRAM = 300 };
    struct family_wire wire;
    struct kvtel_frame metric;
    size_t before = buffer->size, guess = family->series_count * (family->type == KVTEL_HISTOGRAM ? HISTOGRAM : PLAIN);
    enum kvtel_status status = family_wire_init(&wire, family, options);
    if (status == KVTEL_OK)
        status = open_message(&metric, SCOPE_METRICS_METRICS, guess, buffer);
    if (status == KVTEL_OK)
        status = kvtel_family_head(family, &head, 0, unit_of(family), buffer);
    if (status == KVTEL_OK)
        status = put_data(&wire, guess, buffer);
    if (status == KVTEL_OK)
        status = kvtel_frame_close(&metric, buffer);
    family_wire_free(&wire);
    if (status != KVTEL_OK)
        buffer->size = before;
    return status;
}

/* -- The request -- */

enum kvtel_status kvtel_otlp_finish(const struct kvtel_otlp_attribute *resource, size_t count,
                                    struct kvtel_buffer *buffer)
{
    static const char name[] = "kvtel";
    const char *version = kvtel_version();
    size_t attributes = 0, room = 0, metrics = buffer->size;
    for (size_t i = 0; i < count; i++)
        attributes +=
            kvtel_otlp_field_size(kvtel_otlp_attribute_size(strlen(resource[i].name), strlen(resource[i].value)));
    size_t scope = kvtel_otlp_field_size(strlen(name)) + kvtel_otlp_field_size(strlen(version)),
           all_metrics = kvtel_otlp_field_size(scope) + metrics,
           all_resource = kvtel_otlp_field_size(attributes) + kvtel_otlp_field_size(all_metrics);
    room = kvtel_otlp_field_size(all_resource) - metrics;
    enum kvtel_status status = kvtel_buffer_reserve(buffer, room);
    if (status != KVTEL_OK)
        return status;
    memmove(buffer->bytes + room, buffer->bytes, metrics);
    char *at = wire_head(buffer->bytes, REQUEST_RESOURCE_METRICS, all_resource);
    at = wire_head(at, RESOURCE_METRICS_RESOURCE, attributes);
    for (size_t i = 0; i < count; i++)
        at = kvtel_otlp_put_attribute(at, RESOURCE_ATTRIBUTES, resource[i].name, strlen(resource[i].name),
                                      resource[i].value, strlen(resource[i].value));
    at = wire_head(at, RESOURCE_METRICS_SCOPE_METRICS, all_metrics);
    at = wire_head(at, SCOPE_METRICS_SCOPE, scope);
    at = wire_bytes(at, SCOPE_NAME, name, strlen(name));
    wire_bytes(at, SCOPE_VERSION, version, strlen(version));
    buffer->size = room + metrics;
    return KVTEL_OK;
}
