/* SPDX-License-Identifier: Apache-2.0 */
/* Reads a connector's table from a decoded object, by the shapes of its structs. */
#include "connectors/parse/read.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"

enum { ENTRIES = 4096 }; /* of one list; more is no table */

struct reader {
    struct kvtel_arena *arena;
    struct kvtel_value_path *path;
    struct kvtel_error *error;
};

static void push(struct reader *reader, struct kvtel_value_step step)
{
    if (reader->path->depth < KVTEL_VALUE_DEPTH)
        reader->path->steps[reader->path->depth++] = step;
}

static void pop(struct reader *reader)
{
    reader->path->depth--;
}

#define FAIL(reader, ...) kvtel_fail((reader)->error, KVTEL_E_TYPE, 0, __VA_ARGS__)

static enum kvtel_status no_memory(struct reader *reader)
{
    return kvtel_fail(reader->error, KVTEL_E_NOMEM, 0, "out of memory");
}

static enum kvtel_status read_text(struct reader *reader, const char *key, const struct kvtel_value *value,
                                   const char **text)
{
    if (value->kind != KVTEL_VALUE_STRING)
        return FAIL(reader, "\"%s\" is not a text", key);
    const char *fault = kvtel_value_text_fault(value);
    if (fault)
        return FAIL(reader, "\"%s\" %s", key, fault);
    *text = value->text;
    return KVTEL_OK;
}

/* Reads a list of texts. Room for `count` was made. */
static enum kvtel_status read_texts(struct reader *reader, const char *key, const struct kvtel_value *value,
                                    const char **texts, size_t count)
{
    if (value->kind != KVTEL_VALUE_ARRAY)
        return FAIL(reader, "\"%s\" is not a list of texts", key);
    if (value->size > count)
        return FAIL(reader, "\"%s\" has more than %zu entries", key, count);
    for (uint32_t i = 0; i < value->size; i++) {
        push(reader, (struct kvtel_value_step){ .index = i });
        enum kvtel_status status = read_text(reader, key, &value->items[i], &texts[i]);
        if (status != KVTEL_OK)
            return status;
        pop(reader);
    }
    return KVTEL_OK;
}

static enum kvtel_status read_keys(struct reader *reader, const char *key, const struct kvtel_value *value,
                                   const char *const **keys)
{
    size_t count = value->kind == KVTEL_VALUE_ARRAY ? value->size : 0;
    const char **texts = count <= ENTRIES ? kvtel_arena_alloc(reader->arena, (count + 1) * sizeof(*texts)) : NULL;
    if (count > ENTRIES)
        return FAIL(reader, "\"%s\" has more than %d entries", key, ENTRIES);
    if (!texts)
        return no_memory(reader);
    memset(texts, 0, (count + 1) * sizeof(*texts));
    *keys = texts;
    return read_texts(reader, key, value, texts, count);
}

static enum kvtel_status read_enum(struct reader *reader, const struct kvtel_shape_member *member,
                                   const struct kvtel_value *value, unsigned *found)
{
    char names[128] = "";
    for (unsigned i = 0; member->names[i]; i++) {
        size_t size = strlen(names);
        if (kvtel_value_is_text(value, member->names[i])) {
            *found = i;
            return KVTEL_OK;
        }
        (void)snprintf(names + size, sizeof(names) - size, "%s%s", i > 0 ? ", " : "", member->names[i]);
    }
    return FAIL(reader, "\"%s\" is none of %s", member->key, names);
}

/* Reads a whole number from 0 that fits an int. */
static enum kvtel_status read_whole(struct reader *reader, const char *key, const struct kvtel_value *value,
                                    unsigned *number)
{
    if (value->kind != KVTEL_VALUE_INTEGER || value->integer < 0 || value->integer > INT_MAX)
        return FAIL(reader, "\"%s\" is not a whole number from 0", key);
    *number = (unsigned)value->integer;
    return KVTEL_OK;
}

static enum kvtel_status read_buckets(struct reader *reader, const char *key, const struct kvtel_value *value,
                                      const struct kvtel_buckets **buckets)
{
    if (value->kind != KVTEL_VALUE_ARRAY || value->size == 0 || value->size > ENTRIES)
        return FAIL(reader, "\"%s\" is not a list of bounds", key);
    struct kvtel_buckets *made = kvtel_arena_alloc(reader->arena, sizeof(*made));
    double *bounds = kvtel_arena_alloc(reader->arena, value->size * sizeof(*bounds));
    if (!made || !bounds)
        return no_memory(reader);
    *made = (struct kvtel_buckets){ .bounds = bounds, .count = value->size };
    for (uint32_t i = 0; i < value->size; i++) {
        push(reader, (struct kvtel_value_step){ .index = i });
        if (!kvtel_value_number(&value->items[i], &bounds[i]))
            return FAIL(reader, "a bound is not a number");
        pop(reader);
    }
    *buckets = made;
    return KVTEL_OK;
}

static enum kvtel_status read_object(struct reader *reader, const struct kvtel_shape *shape,
                                     const struct kvtel_value *value, char *object);

/* Makes `count` structs and one that ends the list. */
static enum kvtel_status read_structs(struct reader *reader, const struct kvtel_shape *shape,
                                      const struct kvtel_value *values, size_t count, bool is_list, void **made)
{
    char *objects = kvtel_arena_alloc(reader->arena, (count + 1) * shape->size);
    if (!objects)
        return no_memory(reader);
    memset(objects, 0, (count + 1) * shape->size);
    *made = objects;
    for (size_t i = 0; i < count; i++) {
        if (is_list)
            push(reader, (struct kvtel_value_step){ .index = i });
        enum kvtel_status status = read_object(reader, shape, &values[i], objects + i * shape->size);
        if (status != KVTEL_OK)
            return status;
        if (is_list)
            pop(reader);
    }
    return KVTEL_OK;
}

static enum kvtel_status read_list(struct reader *reader, const struct kvtel_shape_member *member,
                                   const struct kvtel_value *value, void **made)
{
    if (value->kind != KVTEL_VALUE_ARRAY)
        return FAIL(reader, "\"%s\" is not a list", member->key);
    if (value->size > ENTRIES)
        return FAIL(reader, "\"%s\" has more than %d entries", member->key, ENTRIES);
    return read_structs(reader, member->shape, value->items, value->size, true, made);
}

static enum kvtel_status read_member(struct reader *reader, const struct kvtel_shape_member *member,
                                     const struct kvtel_value *value, char *object)
{
    char *place = object + member->offset;
    const char *text = NULL;
    const char *const *keys = NULL;
    const struct kvtel_buckets *buckets = NULL;
    void *made = NULL;
    unsigned number = 0;
    double real = 0;
    enum kvtel_status status = KVTEL_OK;
    switch (member->kind) {
    case KVTEL_SHAPE_TEXT:
        status = read_text(reader, member->key, value, &text);
        memcpy(place, &text, sizeof(text));
        break;
    case KVTEL_SHAPE_BOOL:
        if (value->kind != KVTEL_VALUE_BOOL)
            return FAIL(reader, "\"%s\" is neither true nor false", member->key);
        *(bool *)place = value->integer != 0;
        break;
    case KVTEL_SHAPE_NUMBER:
        if (!kvtel_value_number(value, &real))
            return FAIL(reader, "\"%s\" is not a number", member->key);
        memcpy(place, &real, sizeof(real));
        break;
    case KVTEL_SHAPE_UNSIGNED:
    case KVTEL_SHAPE_INT:
        status = read_whole(reader, member->key, value, &number);
        memcpy(place, &number, sizeof(number));
        break;
    case KVTEL_SHAPE_ENUM:
        status = read_enum(reader, member, value, &number);
        memcpy(place, &number, sizeof(number));
        break;
    case KVTEL_SHAPE_TEXTS:
        return read_texts(reader, member->key, value, (const char **)(void *)place, member->count);
    case KVTEL_SHAPE_KEYS:
        status = read_keys(reader, member->key, value, &keys);
        memcpy(place, &keys, sizeof(keys));
        break;
    case KVTEL_SHAPE_BUCKETS:
        status = read_buckets(reader, member->key, value, &buckets);
        memcpy(place, &buckets, sizeof(buckets));
        break;
    case KVTEL_SHAPE_LIST:
        status = read_list(reader, member, value, &made);
        memcpy(place, &made, sizeof(made));
        break;
    case KVTEL_SHAPE_RECORD:
        status = read_structs(reader, member->shape, value, 1, false, &made);
        memcpy(place, &made, sizeof(made));
        break;
    }
    return status;
}

static const struct kvtel_shape_member *find_member(const struct kvtel_shape *shape, const struct kvtel_value *key)
{
    for (size_t i = 0; i < shape->count; i++)
        if (kvtel_value_is_text(key, shape->members[i].key))
            return &shape->members[i];
    return NULL;
}

static enum kvtel_status read_object(struct reader *reader, const struct kvtel_shape *shape,
                                     const struct kvtel_value *value, char *object)
{
    if (shape->short_key && value->kind == KVTEL_VALUE_STRING)
        return read_text(reader, shape->short_key, value, (const char **)(void *)(object + shape->members[0].offset));
    if (value->kind != KVTEL_VALUE_MAP)
        return FAIL(reader, "%s is not an object", shape->what);
    for (uint32_t i = 0; i < value->size; i++) {
        const struct kvtel_value *key = &value->items[2 * i];
        const struct kvtel_shape_member *member = find_member(shape, key);
        if (!member && kvtel_value_is_text(key, KVTEL_CONNECTOR_KEY) && shape == &kvtel_shape_connector)
            continue;
        push(reader, (struct kvtel_value_step){ .key = key->text });
        if (!member)
            return FAIL(reader, "%s has no member \"%.64s\"", shape->what, key->text);
        enum kvtel_status status = read_member(reader, member, key + 1, object);
        if (status != KVTEL_OK)
            return status;
        pop(reader);
    }
    for (size_t i = 0; i < shape->count; i++)
        if (shape->members[i].is_required && !kvtel_value_get(value, shape->members[i].key))
            return FAIL(reader, "%s lacks the member \"%s\"", shape->what, shape->members[i].key);
    return KVTEL_OK;
}

enum kvtel_status kvtel_shape_read(const struct kvtel_shape *shape, const struct kvtel_value *value,
                                   struct kvtel_arena *arena, struct kvtel_value_path *path, void *object,
                                   struct kvtel_error *error)
{
    struct reader reader = { .arena = arena, .path = path, .error = error };
    return read_object(&reader, shape, value, object);
}
