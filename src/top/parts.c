/* SPDX-License-Identifier: Apache-2.0 */
/* Joins parts as decoded objects. */
#include "top/parts.h"

#include "base/buffer.h"
#include "base/index.h"
#include "top/state.h"
#include "value/value.h"

#include <string.h>

enum { NAMES = 3 };
static const char list_name[] = "connectors";

/* The parts, decoded. */
struct joining {
    struct kvtel_arena arena;
    struct kvtel_value first;
    struct kvtel_value *entries;
    size_t count, room;
    struct kvtel_index index; /* of the entries that have all names */
};

/* What names an entry. False: it has not all of them. */
static bool names_of(const struct kvtel_value *entry, const struct kvtel_value *names[NAMES])
{
    static const char *const keys[NAMES] = { "connector", "model_name", "engine" };
    bool good = true;
    for (size_t i = 0; good && i < NAMES; i++) {
        names[i] = kvtel_value_get(entry, keys[i]);
        good = names[i] && names[i]->kind == KVTEL_VALUE_STRING;
    }
    return good;
}

static bool is_same(const struct kvtel_value *entry, const struct kvtel_value *const names[NAMES])
{
    const struct kvtel_value *its[NAMES];
    bool same = names_of(entry, its);
    for (size_t i = 0; same && i < NAMES; i++)
        same = its[i]->size == names[i]->size && memcmp(its[i]->text, names[i]->text, its[i]->size) == 0;
    return same;
}

/* Adds an entry, for which there is room, if it is not there. False: no memory. */
static bool add_entry(struct joining *joining, const struct kvtel_value *entry)
{
    const struct kvtel_value *names[NAMES];
    if (names_of(entry, names)) {
        uint64_t whole = 0;
        for (size_t i = 0; i < NAMES; i++)
            whole = kvtel_hash(whole, names[i]->text, names[i]->size);
        const uint32_t hash = kvtel_index_hash(whole);
        size_t probe = 0;
        for (uint32_t i; (i = kvtel_index_next(&joining->index, hash, &probe)) != KVTEL_INDEX_NONE;)
            if (is_same(&joining->entries[i], names))
                return true;
        if (!kvtel_index_reserve(&joining->index))
            return false;
        kvtel_index_put(&joining->index, hash, (uint32_t)joining->count);
    }
    joining->entries[joining->count++] = *entry;
    return true;
}

/* Adds a part's entries. An entry that comes twice, because an engine appeared between two parts, is taken once. */
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
    bool good = true;
    for (size_t i = 0; good && i < list->size; i++)
        good = add_entry(joining, &list->items[i]);
    return good ? KVTEL_OK : KVTEL_E_NOMEM;
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
    free(joining.index.entries);
    if (status != KVTEL_OK) {
        kvtel_buffer_free(&whole);
        return status;
    }
    kvtel_buffer_free(last);
    *last = whole;
    return KVTEL_OK;
}
