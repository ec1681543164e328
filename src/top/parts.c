/* SPDX-License-Identifier: Apache-2.0 */
/* Joins parts as decoded objects. */
#include "top/parts.h"

#include "base/buffer.h"
#include "top/state.h"
#include "value/value.h"

#include <string.h>

static const char list_name[] = "connectors";

/* The parts, decoded. */
struct joining {
    struct kvtel_arena arena;
    struct kvtel_value first;
    struct kvtel_value *entries;
    size_t count, room;
};

/* Adds a part's entries. */
static enum kvtel_status add(struct joining *joining, const char *json, size_t size)
{
    struct kvtel_value part;
    const enum kvtel_status status = kvtel_value_decode(KVTEL_JSON, json, size, &joining->arena, &part, NULL);
    if (status != KVTEL_OK)
        return status;
    if (joining->count == 0)
        joining->first = part;
    const struct kvtel_value *list = kvtel_value_get(&part, list_name);
    if (joining->count + list->size > joining->room) {
        const size_t room = 2 * joining->room + list->size;
        struct kvtel_value *larger = kvtel_arena_alloc(&joining->arena, (room + 1) * sizeof *larger);
        if (!larger)
            return KVTEL_E_NOMEM;
        if (joining->count > 0)
            memcpy(larger, joining->entries, joining->count * sizeof *larger);
        joining->entries = larger;
        joining->room = room;
    }
    if (list->size > 0)
        memcpy(joining->entries + joining->count, list->items, list->size * sizeof *list->items);
    joining->count += list->size;
    return KVTEL_OK;
}

static enum kvtel_status write(const struct joining *joining, struct kvtel_buffer *whole)
{
    struct kvtel_writer writer;
    const struct kvtel_value *members = joining->first.items;
    kvtel_writer_init(&writer, KVTEL_JSON, whole);
    kvtel_writer_map(&writer, joining->first.size);
    for (size_t i = 0; i < joining->first.size; i++) {
        kvtel_writer_value(&writer, &members[2 * i]);
        if (kvtel_value_is_text(&members[2 * i], list_name)) {
            kvtel_writer_array(&writer, joining->count);
            for (size_t k = 0; k < joining->count; k++)
                kvtel_writer_value(&writer, &joining->entries[k]);
        } else {
            kvtel_writer_value(&writer, &members[2 * i + 1]);
        }
    }
    return kvtel_writer_finish(&writer);
}

enum kvtel_status top_parts_join(const struct kvtel_buffer *parts, struct kvtel_buffer *last)
{
    struct joining joining = { 0 };
    struct kvtel_buffer whole = { 0 };
    enum kvtel_status status = KVTEL_OK;
    for (size_t at = 0; at < parts->size && status == KVTEL_OK; at += strlen(parts->bytes + at) + 1)
        status = add(&joining, parts->bytes + at, strlen(parts->bytes + at));
    if (status == KVTEL_OK)
        status = add(&joining, last->bytes, last->size);
    if (status == KVTEL_OK)
        status = write(&joining, &whole);
    kvtel_arena_free(&joining.arena);
    if (status != KVTEL_OK) {
        kvtel_buffer_free(&whole);
        return status;
    }
    kvtel_buffer_free(last);
    *last = whole;
    return KVTEL_OK;
}
