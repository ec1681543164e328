/* SPDX-License-Identifier: Apache-2.0 */
/* Writes a connector's table as JSON. Members that are as they are without being written are left out. */
#include <kvtel/connector_file.h>

#include <string.h>

#include "connectors/parse/shape.h"
#include "value/value.h"

static const void *at(const void *object, size_t offset)
{
    return (const char *)object + offset;
}

/* Reads a pointer that is a member. */
static const void *pointer(const void *object, size_t offset)
{
    const void *value;
    memcpy(&value, at(object, offset), sizeof(value));
    return value;
}

static unsigned number_of(const void *object, const struct kvtel_shape_member *member)
{
    unsigned value;
    memcpy(&value, at(object, member->offset), sizeof(value));
    return value;
}

static size_t texts_of(const void *object, const struct kvtel_shape_member *member)
{
    const char *const *texts = at(object, member->offset);
    size_t count = 0;
    while (count < member->count && texts[count])
        count++;
    return count;
}

static bool is_set(const void *object, const struct kvtel_shape_member *member)
{
    double number;
    switch (member->kind) {
    case KVTEL_SHAPE_BOOL:
        return *(const bool *)at(object, member->offset);
    case KVTEL_SHAPE_NUMBER:
        memcpy(&number, at(object, member->offset), sizeof(number));
        return number != 0;
    case KVTEL_SHAPE_UNSIGNED:
    case KVTEL_SHAPE_INT:
    case KVTEL_SHAPE_ENUM:
        return member->is_required || number_of(object, member) != 0;
    case KVTEL_SHAPE_TEXTS:
        return texts_of(object, member) > 0;
    default:
        return pointer(object, member->offset) != NULL;
    }
}

static void write_object(struct kvtel_writer *writer, const struct kvtel_shape *shape, const void *object, bool is_top);

static void write_list(struct kvtel_writer *writer, const struct kvtel_shape *shape, const char *list)
{
    size_t count = 0;
    while (pointer(list + count * shape->size, shape->end))
        count++;
    kvtel_writer_array(writer, count);
    for (size_t i = 0; i < count; i++)
        write_object(writer, shape, list + i * shape->size, false);
}

static void write_texts(struct kvtel_writer *writer, const char *const *texts, size_t count)
{
    kvtel_writer_array(writer, count);
    for (size_t i = 0; i < count; i++)
        kvtel_writer_text(writer, texts[i]);
}

static void write_plain(struct kvtel_writer *writer, double number)
{
    if (number >= -0x1p53 && number <= 0x1p53 && number == (double)(int64_t)number)
        kvtel_writer_integer(writer, (int64_t)number);
    else
        kvtel_writer_number(writer, number);
}

static void write_buckets(struct kvtel_writer *writer, const struct kvtel_buckets *buckets)
{
    kvtel_writer_array(writer, buckets->count);
    for (size_t i = 0; i < buckets->count; i++)
        write_plain(writer, buckets->bounds[i]);
}

static void write_member(struct kvtel_writer *writer, const void *object, const struct kvtel_shape_member *member)
{
    const void *value = at(object, member->offset);
    double number;
    size_t count = 0;
    kvtel_writer_text(writer, member->key);
    switch (member->kind) {
    case KVTEL_SHAPE_TEXT:
        kvtel_writer_text(writer, pointer(object, member->offset));
        break;
    case KVTEL_SHAPE_BOOL:
        kvtel_writer_bool(writer, true);
        break;
    case KVTEL_SHAPE_NUMBER:
        memcpy(&number, value, sizeof(number));
        write_plain(writer, number);
        break;
    case KVTEL_SHAPE_UNSIGNED:
    case KVTEL_SHAPE_INT:
        kvtel_writer_integer(writer, (int64_t)number_of(object, member));
        break;
    case KVTEL_SHAPE_ENUM:
        kvtel_writer_text(writer, member->names[number_of(object, member)]);
        break;
    case KVTEL_SHAPE_TEXTS:
        write_texts(writer, value, texts_of(object, member));
        break;
    case KVTEL_SHAPE_KEYS: {
        const char *const *keys = pointer(object, member->offset);
        while (keys[count])
            count++;
        write_texts(writer, keys, count);
        break;
    }
    case KVTEL_SHAPE_BUCKETS:
        write_buckets(writer, pointer(object, member->offset));
        break;
    case KVTEL_SHAPE_LIST:
        write_list(writer, member->shape, pointer(object, member->offset));
        break;
    case KVTEL_SHAPE_RECORD:
        write_object(writer, member->shape, pointer(object, member->offset), false);
        break;
    }
}

static void write_object(struct kvtel_writer *writer, const struct kvtel_shape *shape, const void *object, bool is_top)
{
    size_t count = is_top;
    for (size_t i = 0; i < shape->count; i++)
        count += is_set(object, &shape->members[i]);
    kvtel_writer_map(writer, count);
    if (is_top) {
        kvtel_writer_text(writer, KVTEL_CONNECTOR_KEY);
        kvtel_writer_integer(writer, KVTEL_CONNECTOR_VERSION);
    }
    for (size_t i = 0; i < shape->count; i++)
        if (is_set(object, &shape->members[i]))
            write_member(writer, object, &shape->members[i]);
}

/* Whether a table has functions, which JSON cannot hold. */
static bool has_functions(const struct kvtel_connector *table)
{
    for (const struct kvtel_metric *metric = table->metrics; metric && metric->name; metric++)
        if (metric->when)
            return true;
    return table->build_prom_metrics || (table->older && has_functions(table->older));
}

enum kvtel_status kvtel_connector_encode(const struct kvtel_connector *connector, struct kvtel_buffer *json)
{
    struct kvtel_writer writer;
    if (!connector || has_functions(connector))
        return KVTEL_E_ARGUMENT;
    kvtel_writer_init(&writer, KVTEL_JSON, json);
    write_object(&writer, &kvtel_shape_connector, connector, true);
    return kvtel_writer_finish(&writer);
}
