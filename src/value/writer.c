/* SPDX-License-Identifier: Apache-2.0 */
/* Writing objects in either format. */
#include <inttypes.h>
#include <math.h>
#include <msgpack/pack.h>
#include <string.h>

#include "base/buffer.h"
#include "base/number.h"
#include "base/utf8.h"
#include "value/value.h"

void kvtel_writer_init(struct kvtel_writer *writer, enum kvtel_format format, struct kvtel_buffer *buffer)
{
    *writer = (struct kvtel_writer){ .buffer = buffer, .format = format, .start = buffer->size };
}

static void fail(struct kvtel_writer *writer, enum kvtel_status status)
{
    if (writer->status == KVTEL_OK)
        writer->status = status;
}

static void append(struct kvtel_writer *writer, const char *bytes, size_t size)
{
    if (writer->status == KVTEL_OK)
        writer->status = kvtel_buffer_append(writer->buffer, bytes, size);
}

static void append_text(struct kvtel_writer *writer, const char *text)
{
    append(writer, text, strlen(text));
}

static int packed(void *buffer, const char *bytes, size_t size)
{
    return kvtel_buffer_append(buffer, bytes, size) == KVTEL_OK ? 0 : -1;
}

/* A msgpack_packer has no state besides its target, so a new one is made for each value. */
#define PACK(writer, type, ...)                                \
    do {                                                       \
        msgpack_packer packer_ = { (writer)->buffer, packed }; \
        if (msgpack_pack_##type(&packer_, ##__VA_ARGS__) != 0) \
            fail(writer, KVTEL_E_NOMEM);                       \
    } while (0)

/* Begins the next value: counts it in its container and writes the separator. */
static bool begin(struct kvtel_writer *writer, bool is_text)
{
    if (writer->status != KVTEL_OK)
        return false;
    if (writer->depth == 0)
        return true;
    uint64_t before = writer->levels[writer->depth - 1].count - writer->levels[writer->depth - 1].left--;
    if (writer->format == KVTEL_JSON) {
        bool is_key = writer->levels[writer->depth - 1].map && before % 2 == 0;
        if (is_key && !is_text)
            fail(writer, KVTEL_E_ARGUMENT);
        if (before > 0)
            append_text(writer, writer->levels[writer->depth - 1].map && !is_key ? ": " : ", ");
    }
    return writer->status == KVTEL_OK;
}

/* Closes the containers that are complete after the last value. */
static void end(struct kvtel_writer *writer)
{
    while (writer->depth > 0 && writer->levels[writer->depth - 1].left == 0) {
        writer->depth--;
        if (writer->format == KVTEL_JSON)
            append_text(writer, writer->levels[writer->depth].map ? "}" : "]");
    }
    if (writer->depth == 0 && writer->status == KVTEL_OK)
        writer->start = writer->buffer->size;
}

static void open_container(struct kvtel_writer *writer, bool map, size_t size)
{
    if (!begin(writer, false))
        return;
    if (writer->depth == KVTEL_VALUE_DEPTH || size > UINT32_MAX) {
        fail(writer, size > UINT32_MAX ? KVTEL_E_ARGUMENT : KVTEL_E_DEPTH);
        return;
    }
    if (writer->format == KVTEL_JSON)
        append_text(writer, map ? "{" : "[");
    else if (map)
        PACK(writer, map, size);
    else
        PACK(writer, array, size);
    uint64_t count = map ? 2 * (uint64_t)size : size;
    writer->levels[writer->depth].map = map;
    writer->levels[writer->depth].count = count;
    writer->levels[writer->depth++].left = count;
    end(writer);
}

void kvtel_writer_map(struct kvtel_writer *writer, size_t pairs)
{
    open_container(writer, true, pairs);
}

void kvtel_writer_array(struct kvtel_writer *writer, size_t items)
{
    open_container(writer, false, items);
}

static void append_escaped(struct kvtel_writer *writer, uint32_t code)
{
    static const char named[] = "\"\"\\\\\bb\ff\nn\rr\tt";
    char text[16];
    for (const char *name = named; *name != '\0'; name += 2) {
        if ((unsigned char)*name == code) {
            append(writer, (const char[]){ '\\', name[1] }, 2);
            return;
        }
    }
    if (code > 0xFFFF)
        snprintf(text, sizeof(text), "\\u%04x\\u%04x", 0xD800 + ((code - 0x10000) >> 10),
                 0xDC00 + ((code - 0x10000) & 0x3FF));
    else
        snprintf(text, sizeof(text), "\\u%04x", code);
    append_text(writer, text);
}

static void append_json_string(struct kvtel_writer *writer, const char *bytes, size_t size)
{
    append_text(writer, "\"");
    for (size_t at = 0; at < size;) {
        size_t plain = at;
        while (plain < size && bytes[plain] >= ' ' && bytes[plain] <= '~' && bytes[plain] != '"' &&
               bytes[plain] != '\\')
            plain++;
        append(writer, bytes + at, plain - at);
        at = plain;
        if (at < size) {
            uint32_t code;
            at += kvtel_utf8_next(bytes + at, size - at, &code, NULL);
            append_escaped(writer, code);
        }
    }
    append_text(writer, "\"");
}

void kvtel_writer_string(struct kvtel_writer *writer, const char *bytes, size_t size)
{
    if (!begin(writer, true))
        return;
    if (size > UINT32_MAX) {
        fail(writer, KVTEL_E_ARGUMENT);
        return;
    }
    if (writer->format == KVTEL_JSON) {
        append_json_string(writer, bytes, size);
    } else {
        PACK(writer, str, size);
        append(writer, bytes, size);
    }
    end(writer);
}

void kvtel_writer_text(struct kvtel_writer *writer, const char *text)
{
    kvtel_writer_string(writer, text, strlen(text));
}

void kvtel_writer_integer(struct kvtel_writer *writer, int64_t integer)
{
    if (!begin(writer, false))
        return;
    if (writer->format == KVTEL_JSON)
        writer->status = kvtel_buffer_printf(writer->buffer, "%" PRId64, integer);
    else
        PACK(writer, int64, integer);
    end(writer);
}

void kvtel_writer_number(struct kvtel_writer *writer, double number)
{
    if (!begin(writer, false))
        return;
    if (writer->format == KVTEL_MSGPACK) {
        PACK(writer, double, number);
    } else if (isnan(number)) {
        append_text(writer, "NaN");
    } else if (isinf(number)) {
        append_text(writer, number > 0 ? "Infinity" : "-Infinity");
    } else {
        char text[KVTEL_NUMBER_SIZE];
        append(writer, text, kvtel_number_repr(number, text));
    }
    end(writer);
}

void kvtel_writer_nil(struct kvtel_writer *writer)
{
    if (!begin(writer, false))
        return;
    if (writer->format == KVTEL_JSON)
        append_text(writer, "null");
    else
        PACK(writer, nil);
    end(writer);
}

void kvtel_writer_bool(struct kvtel_writer *writer, bool on)
{
    if (!begin(writer, false))
        return;
    if (writer->format == KVTEL_JSON)
        append_text(writer, on ? "true" : "false");
    else if (on)
        PACK(writer, true);
    else
        PACK(writer, false);
    end(writer);
}

void kvtel_writer_value(struct kvtel_writer *writer, const struct kvtel_value *value)
{
    size_t items = value->size;
    switch ((enum kvtel_value_kind)value->kind) {
    case KVTEL_VALUE_NIL:
        kvtel_writer_nil(writer);
        return;
    case KVTEL_VALUE_BOOL:
        kvtel_writer_bool(writer, value->integer != 0);
        return;
    case KVTEL_VALUE_INTEGER:
        kvtel_writer_integer(writer, value->integer);
        return;
    case KVTEL_VALUE_DOUBLE:
        kvtel_writer_number(writer, value->number);
        return;
    case KVTEL_VALUE_STRING:
        kvtel_writer_string(writer, value->text, value->size);
        return;
    case KVTEL_VALUE_ARRAY:
        kvtel_writer_array(writer, value->size);
        break;
    case KVTEL_VALUE_MAP:
        kvtel_writer_map(writer, value->size);
        items *= 2;
        break;
    }
    for (size_t i = 0; i < items && writer->status == KVTEL_OK; i++)
        kvtel_writer_value(writer, &value->items[i]);
}

enum kvtel_status kvtel_writer_finish(struct kvtel_writer *writer)
{
    if (writer->depth > 0)
        fail(writer, KVTEL_E_ARGUMENT);
    if (writer->status != KVTEL_OK)
        writer->buffer->size = writer->start;
    return writer->status;
}
