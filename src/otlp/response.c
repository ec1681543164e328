/* SPDX-License-Identifier: Apache-2.0 */
/* Field numbers are those of opentelemetry.proto.collector.metrics.v1 (github.com/open-telemetry/opentelemetry-proto).
 */
#include "otlp/response.h"

enum response_field { RESPONSE_PARTIAL_SUCCESS = 1 };
enum partial_field { PARTIAL_REJECTED = 1, PARTIAL_MESSAGE };
enum status_field { STATUS_MESSAGE = 2 };
enum wire_type { NUMBER = 0, EIGHT = 1, BYTES = 2, FOUR = 5 };

struct field {
    uint64_t number;
    enum wire_type type;
    uint64_t value;    /* NUMBER */
    const char *bytes; /* BYTES */
    size_t size;
};

static bool read_varint(const char **at, const char *end, uint64_t *value)
{
    *value = 0;
    for (unsigned shift = 0; shift < 64; shift += 7) {
        if (*at == end)
            return false;
        unsigned char byte = (unsigned char)*(*at)++;
        *value |= (uint64_t)(byte & 0x7F) << shift;
        if (byte < 0x80)
            return true;
    }
    return false;
}

static bool read_field(const char **at, const char *end, struct field *field)
{
    uint64_t tag, size = 0;
    if (!read_varint(at, end, &tag))
        return false;
    *field = (struct field){ .number = tag >> 3, .type = (enum wire_type)(tag & 7) };
    switch (field->type) {
    case NUMBER:
        return field->number > 0 && read_varint(at, end, &field->value);
    case EIGHT:
        size = 8;
        break;
    case FOUR:
        size = 4;
        break;
    case BYTES:
        if (!read_varint(at, end, &size))
            return false;
        break;
    default:
        return false;
    }
    if (field->number == 0 || size > (uint64_t)(end - *at))
        return false;
    field->bytes = *at;
    field->size = (size_t)size;
    *at += size;
    return true;
}

static bool parse_partial(const char *at, size_t size, struct otlp_response *response)
{
    struct field field;
    for (const char *end = at + size; at < end;) {
        if (!read_field(&at, end, &field))
            return false;
        if (field.number == PARTIAL_REJECTED && field.type == NUMBER)
            response->rejected = field.value <= INT64_MAX ? field.value : 0;
        if (field.number == PARTIAL_MESSAGE && field.type == BYTES) {
            response->message = field.bytes;
            response->message_size = field.size;
        }
    }
    return true;
}

bool otlp_response_parse(const char *bytes, size_t size, struct otlp_response *response)
{
    struct field field;
    *response = (struct otlp_response){ .message = "" };
    for (const char *at = bytes, *end = bytes + size; at < end;) {
        if (!read_field(&at, end, &field))
            return false;
        if (field.number == RESPONSE_PARTIAL_SUCCESS &&
            (field.type != BYTES || !parse_partial(field.bytes, field.size, response)))
            return false;
    }
    return true;
}

bool otlp_response_status(const char *bytes, size_t size, const char **text, size_t *text_size)
{
    struct field field;
    *text = "";
    *text_size = 0;
    for (const char *at = bytes, *end = bytes + size; at < end;) {
        if (!read_field(&at, end, &field))
            return false;
        if (field.number == STATUS_MESSAGE && field.type == BYTES) {
            *text = field.bytes;
            *text_size = field.size;
        }
    }
    return true;
}
