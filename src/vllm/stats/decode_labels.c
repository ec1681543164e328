/* SPDX-License-Identifier: Apache-2.0 */
/* Decodes label tuples, which are keys of typed payloads. */
#include "vllm/stats/decode.h"

#include <string.h>

/* Size of the JSON of a tuple with the longest labels, each byte of which may be written as \u00xx. */
enum { TUPLE_LIMIT = KVTEL_METRIC_LABELS * (6 * KVTEL_TEXT_LIMIT + 4) + 2 };

enum kvtel_status kvtel_decode_labels(struct kvtel_arena *arena, const struct kvtel_value *key, const char **labels,
                                      size_t *size, int *count)
{
    struct kvtel_value parsed;
    *count = key->kind == KVTEL_VALUE_STRING && key->size > TUPLE_LIMIT ? KVTEL_LONG_LABEL : KVTEL_NO_TUPLE;
    if (*count == KVTEL_LONG_LABEL)
        return KVTEL_OK;
    if (key->kind == KVTEL_VALUE_STRING) {
        enum kvtel_status status = kvtel_value_decode(KVTEL_JSON, key->text, key->size, arena, &parsed, NULL);
        if (status != KVTEL_OK)
            return status == KVTEL_E_NOMEM ? status : KVTEL_OK;
        key = &parsed;
    }
    if (key->kind != KVTEL_VALUE_ARRAY || key->size > KVTEL_METRIC_LABELS)
        return KVTEL_OK;
    *size = 0;
    for (uint32_t i = 0; i < key->size; i++) {
        enum kvtel_refusal reason = kvtel_decode_judge_text(&key->items[i]);
        *count = reason == KVTEL_REFUSED_LONG_TEXT ? KVTEL_LONG_LABEL : KVTEL_NO_TUPLE;
        if (reason != KVTEL_REFUSAL_COUNT)
            return KVTEL_OK;
        *size += key->items[i].size + 1;
    }
    char *out = kvtel_arena_alloc(arena, *size + 1);
    if (!out)
        return KVTEL_E_NOMEM;
    *labels = out;
    for (uint32_t i = 0; i < key->size; i++) {
        memcpy(out, key->items[i].text, key->items[i].size + 1);
        out += key->items[i].size + 1;
    }
    *count = (int)key->size;
    return KVTEL_OK;
}
