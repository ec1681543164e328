/* SPDX-License-Identifier: Apache-2.0 */
/* Copies in an arena: of a text while it is decoded, of a decoded object that outlives the arena it was decoded into.
 */
#include "value/codec.h"

#include <string.h>

bool kvtel_value_set_string(struct kvtel_value *value, struct kvtel_arena *arena, const char *bytes, size_t size)
{
    char *text = size < UINT32_MAX ? kvtel_arena_alloc(arena, size + 1) : NULL;
    if (!text)
        return false;
    if (size > 0)
        memcpy(text, bytes, size);
    text[size] = '\0';
    *value = (struct kvtel_value){ .kind = KVTEL_VALUE_STRING, .size = (uint32_t)size, .text = text };
    return true;
}

enum kvtel_status kvtel_value_copy(struct kvtel_arena *arena, const struct kvtel_value *value, struct kvtel_value *copy)
{
    size_t items = value->kind == KVTEL_VALUE_MAP     ? 2 * (size_t)value->size
                   : value->kind == KVTEL_VALUE_ARRAY ? value->size
                                                      : 0;
    if (value->kind == KVTEL_VALUE_STRING)
        return kvtel_value_set_string(copy, arena, value->text, value->size) ? KVTEL_OK : KVTEL_E_NOMEM;
    *copy = *value;
    if (items == 0)
        return KVTEL_OK;
    struct kvtel_value *copies = kvtel_arena_alloc(arena, items * sizeof *copies);
    if (!copies)
        return KVTEL_E_NOMEM;
    copy->items = copies;
    for (size_t i = 0; i < items; i++) {
        enum kvtel_status status = kvtel_value_copy(arena, &value->items[i], &copies[i]);
        if (status != KVTEL_OK)
            return status;
    }
    return KVTEL_OK;
}
