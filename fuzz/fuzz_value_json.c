/* SPDX-License-Identifier: Apache-2.0 */
/* JSON, and the places of values in the text. */
#include "contract.h"

/* Looking for a place reads the text from its start: only in small texts for every value. */
enum { LOCATED_SIZE = 2048 };

static const char *first_bytes(const struct kvtel_value *value)
{
    static const char *const all[] = {
        [KVTEL_VALUE_NIL] = "n",
        [KVTEL_VALUE_BOOL] = "tf",
        [KVTEL_VALUE_INTEGER] = "-0123456789",
        [KVTEL_VALUE_DOUBLE] = "-0123456789",
        [KVTEL_VALUE_STRING] = "\"",
        [KVTEL_VALUE_ARRAY] = "[",
        [KVTEL_VALUE_MAP] = "{",
    };
    return all[value->kind];
}

static void must_locate(const char *text, size_t size, const struct kvtel_value *value, struct kvtel_value_path *path)
{
    bool map = value->kind == KVTEL_VALUE_MAP;
    if (!map && value->kind != KVTEL_VALUE_ARRAY)
        return;
    size_t container = kvtel_value_locate(text, size, path->steps, path->depth);
    for (size_t i = 0; i < value->size; i++) {
        const struct kvtel_value *item = map ? &value->items[2 * i + 1] : &value->items[i];
        path->steps[path->depth++] =
            (struct kvtel_value_step){ .key = map ? value->items[2 * i].text : NULL, .index = i };
        size_t offset = kvtel_value_locate(text, size, path->steps, path->depth);
        MUST(offset < size && offset > container);
        MUST(strchr(map ? "\"" : first_bytes(item), text[offset]));
        must_locate(text, size, item, path);
        path->depth--;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct kvtel_arena arena = { 0 };
    struct kvtel_value value;
    struct kvtel_error error = { 0 };
    struct kvtel_value_path path = { .depth = 0 };
    enum kvtel_status status = kvtel_value_decode(KVTEL_JSON, data, size, &arena, &value, &error);
    if (status != KVTEL_OK) {
        must_explain(status, &error, KVTEL_JSON, size);
    } else {
        must_round_trip(KVTEL_JSON, &value);
        must_round_trip(KVTEL_MSGPACK, &value);
        if (size <= LOCATED_SIZE)
            must_locate((const char *)data, size, &value, &path);
    }
    kvtel_arena_free(&arena);
    return 0;
}
