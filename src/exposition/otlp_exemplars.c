/* SPDX-License-Identifier: Apache-2.0 */
/* Field numbers are those of opentelemetry.proto.metrics.v1 (github.com/open-telemetry/opentelemetry-proto,
 * opentelemetry/proto/metrics/v1/metrics.proto). */
#include "exposition/otlp_exemplars.h"

#include "base/hexadecimal.h"
#include "exposition/otlp_attribute.h"

enum exemplar_field { EXEMPLAR_TIME = 2, EXEMPLAR_DOUBLE, EXEMPLAR_SPAN, EXEMPLAR_TRACE, EXEMPLAR_ATTRIBUTE = 7 };

enum {
    TRACE_BYTES = 16,
    SPAN_BYTES = 8,
    FIXED = WIRE_TAG + WIRE_FIXED,
    /* A label has two bytes of text at least, and 4 heads of 3 bytes at most. */
    EXEMPLAR = KVTEL_EXEMPLAR_BYTES / 2 * 12 + KVTEL_EXEMPLAR_BYTES + 2 * FIXED,
};

size_t kvtel_otlp_exemplars_size(const struct kvtel_snapshot_family *family)
{
    return (family->explicit_count + 1) * ((size_t)EXEMPLAR + WIRE_TAG + WIRE_VARINT);
}

/* Reads exactly 2 * `size` digits, which are not all 0. */
static bool read_id(const char *digits, size_t size, char *bytes)
{
    int some = 0;
    for (size_t i = 0; i < size; i++) {
        const int high = kvtel_digit_of(digits[2 * i]), low = high < 0 ? -1 : kvtel_digit_of(digits[2 * i + 1]);
        if (low < 0)
            return false;
        bytes[i] = (char)(high << 4 | low);
        some |= high | low;
    }
    return some && digits[2 * size] == '\0';
}

/* A label that names a trace or a span, in the field of its own. NULL: it is another one, or its value is none, as only
 * so many hexadecimal digits that are not all 0 are one. */
static char *put_id(char *at, const char *name, const char *value)
{
    static const struct {
        const char *name;
        enum exemplar_field field;
        size_t size;
    } ids[] = { { "trace_id", EXEMPLAR_TRACE, TRACE_BYTES }, { "span_id", EXEMPLAR_SPAN, SPAN_BYTES } };
    char bytes[TRACE_BYTES];
    for (size_t i = 0; i < sizeof ids / sizeof *ids; i++)
        if (strcmp(name, ids[i].name) == 0 && read_id(value, ids[i].size, bytes))
            return wire_bytes(at, ids[i].field, bytes, ids[i].size);
    return NULL;
}

/* The content of an exemplar's message. */
static char *put_exemplar(char *at, const struct kvtel_snapshot_exemplar *exemplar)
{
    const char *name;
    for (size_t i = 0; (name = kvtel_snapshot_exemplar_label_name(exemplar, i)); i++) {
        const char *value = kvtel_snapshot_exemplar_label(exemplar, i);
        char *end = put_id(at, name, value);
        at = end ? end : kvtel_otlp_put_attribute(at, EXEMPLAR_ATTRIBUTE, name, strlen(name), value, strlen(value));
    }
    at = wire_fixed(at, EXEMPLAR_TIME, exemplar->time_ns);
    return wire_double(at, EXEMPLAR_DOUBLE, exemplar->value);
}

char *kvtel_otlp_put_exemplars(char *at, unsigned field, const struct kvtel_snapshot_family *family,
                               const struct kvtel_snapshot_series *series)
{
    char message[EXEMPLAR];
    for (uint32_t i = 0; i < series->exemplar_count; i++) {
        const struct kvtel_snapshot_exemplar *exemplar = kvtel_snapshot_exemplar(family, series, i);
        if (exemplar)
            at = wire_bytes(at, field, message, (size_t)(put_exemplar(message, exemplar) - message));
    }
    return at;
}
