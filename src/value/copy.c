/* SPDX-License-Identifier: Apache-2.0 */
/* Deep copies of decoded objects, for callers that keep an object longer than its arena. */
#include "value/value.h"

#include <string.h>

enum kvtel_status kvtel_value_copy(struct kvtel_arena *arena, const struct kvtel_value *value, struct kvtel_value *copy)
{
    size_t items = value->kind == KVTEL_VALUE_MAP     ? 2 * (size_t)value->size
                   : value->kind == KVTEL_VALUE_ARRAY ? value->size
                                                      : 0;
    *copy = *value;
    if (value->kind == KVTEL_VALUE_STRING) {
        char *text = kvtel_arena_alloc(arena, (size_t)value->size + 1);
        if (!text)
            return KVTEL_E_NOMEM;
        copy->text = memcpy(text, value->text, (size_t)value->size + 1);
    }
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
