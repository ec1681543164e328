/* SPDX-License-Identifier: Apache-2.0 */
/* Decoding in either format, and access to decoded values. */
#include "value/value.h"

#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "value/codec.h"

enum kvtel_status kvtel_value_decode_within(enum kvtel_format format, const void *bytes, size_t size, size_t count,
                                            struct kvtel_arena *arena, struct kvtel_value *value,
                                            struct kvtel_error *error)
{
    if (format == KVTEL_JSON)
        return kvtel_json_decode(bytes, size, count, arena, value, error);
    struct kvtel_value decoded;
    size_t used;
    enum kvtel_status status = kvtel_value_decode_next(bytes, size, count, &used, arena, &decoded, error);
    if (status != KVTEL_OK)
        return status;
    if (used < size)
        return kvtel_fail(error, KVTEL_E_TRAILING, used, "%zu bytes after the end of the object", size - used);
    *value = decoded;
    return KVTEL_OK;
}

enum kvtel_status kvtel_value_decode(enum kvtel_format format, const void *bytes, size_t size,
                                     struct kvtel_arena *arena, struct kvtel_value *value, struct kvtel_error *error)
{
    return kvtel_value_decode_within(format, bytes, size, KVTEL_VALUE_COUNT, arena, value, error);
}

static int compare_keys(const void *a, const void *b)
{
    const struct kvtel_value *first = *(const struct kvtel_value *const *)a,
                             *second = *(const struct kvtel_value *const *)b;
    if (first->size != second->size)
        return first->size < second->size ? -1 : 1;
    return memcmp(first->text, second->text, first->size);
}

/* A key that occurs twice in a map. NULL: there is none, or no memory. */
static const struct kvtel_value *find_twice(const struct kvtel_value *map)
{
    const struct kvtel_value **keys = malloc(((size_t)map->size + 1) * sizeof *keys), *found = NULL;
    size_t count = 0;
    for (uint32_t i = 0; keys && i < map->size; i++)
        if (map->items[2 * i].kind == KVTEL_VALUE_STRING)
            keys[count++] = &map->items[2 * i];
    if (count > 0)
        qsort(keys, count, sizeof *keys, compare_keys);
    for (size_t i = 1; i < count && !found; i++)
        if (compare_keys(&keys[i - 1], &keys[i]) == 0)
            found = keys[i];
    free(keys);
    return found;
}

bool kvtel_value_keys_differ(const struct kvtel_value *value, struct kvtel_error *error)
{
    const struct kvtel_value *twice = value->kind == KVTEL_VALUE_MAP ? find_twice(value) : NULL;
    size_t items = value->kind == KVTEL_VALUE_MAP     ? 2 * (size_t)value->size
                   : value->kind == KVTEL_VALUE_ARRAY ? value->size
                                                      : 0;
    if (twice) {
        kvtel_fail(error, KVTEL_E_TYPE, 0, KVTEL_KEY_TWICE, "\"", (int)(twice->size < 80 ? twice->size : 80),
                   twice->text, "\"");
        return false;
    }
    for (size_t i = 0; i < items; i++)
        if (!kvtel_value_keys_differ(&value->items[i], error))
            return false;
    return true;
}

const char *kvtel_value_text_fault(const struct kvtel_value *value)
{
    if (memchr(value->text, '\0', value->size))
        return "holds a NUL character, which no text may hold";
    return value->size > KVTEL_TEXT_LIMIT ? "is longer than 1,024 bytes" : NULL;
}

bool kvtel_value_is_text(const struct kvtel_value *value, const char *text)
{
    size_t size = strlen(text);
    return value->kind == KVTEL_VALUE_STRING && value->size == size && memcmp(value->text, text, size) == 0;
}

const struct kvtel_value *kvtel_value_get(const struct kvtel_value *map, const char *key)
{
    if (map->kind != KVTEL_VALUE_MAP)
        return NULL;
    for (size_t i = map->size; i-- > 0;) {
        if (kvtel_value_is_text(&map->items[2 * i], key))
            return &map->items[2 * i + 1];
    }
    return NULL;
}

bool kvtel_value_number(const struct kvtel_value *value, double *number)
{
    if (value->kind == KVTEL_VALUE_INTEGER)
        *number = (double)value->integer;
    else if (value->kind == KVTEL_VALUE_DOUBLE)
        *number = value->number;
    else
        return false;
    return true;
}
