/* SPDX-License-Identifier: Apache-2.0 */
/* Room in the tables and lanes of a store, and texts in its table of strings. */
#include "record/tables.h"
#include "record/lane.h"

#include <string.h>

enum kvtel_status kvtel_table_reserve(struct kvtel_store *store, enum kvtel_table table, size_t bytes)
{
    const struct kvtel_layout_table *place = &store->header->tables[table];
    struct kvtel_extent *extent = &store->tables[table];
    if (bytes > place->size - extent->used)
        return KVTEL_E_LIMIT;
    uint64_t goal = kvtel_memory_goal(extent, extent->used + bytes, place->size);
    if (goal > extent->reserved &&
        (!kvtel_store_reach(store) ||
         !kvtel_memory_extend(store->fd, store->header, 0, place->at + extent->reserved, place->at + goal)))
        return KVTEL_E_NOMEM;
    extent->reserved = goal;
    return KVTEL_OK;
}

void *kvtel_table_take(struct kvtel_store *store, enum kvtel_table table, size_t bytes)
{
    void *place = (char *)kvtel_store_table(store, table) + store->tables[table].used;
    store->tables[table].used += bytes;
    return place;
}

enum kvtel_status kvtel_lanes_reserve(struct kvtel_store *store, uint64_t slots, uint64_t words)
{
    struct kvtel_layout_header *header = store->header;
    uint64_t slots_end = store->slots.used + slots * KVTEL_SLOT_WORDS * sizeof(kvtel_word);
    uint64_t bulk_end = store->bulk.used + words * sizeof(kvtel_word);
    uint64_t bulk_size = header->lane_stride - header->slots_size;
    if (slots_end > header->slots_size || bulk_end > bulk_size)
        return KVTEL_E_LIMIT;
    uint64_t slots_goal = kvtel_memory_goal(&store->slots, slots_end, header->slots_size);
    uint64_t bulk_goal = kvtel_memory_goal(&store->bulk, bulk_end, bulk_size);
    uint64_t lane_count = atomic_load_explicit(&header->lane_count, memory_order_relaxed);
    bool grows = slots_goal > store->slots.reserved || bulk_goal > store->bulk.reserved;
    if (grows && lane_count > 0 && !kvtel_store_reach(store))
        return KVTEL_E_NOMEM;
    for (uint64_t i = 0; grows && i < lane_count; i++) {
        if (!kvtel_lane_extend(store, i, store->lanes[i]->words,
                               (struct kvtel_extent){ store->slots.reserved, slots_goal },
                               (struct kvtel_extent){ store->bulk.reserved, bulk_goal }))
            return KVTEL_E_NOMEM;
    }
    store->slots.reserved = slots_goal;
    store->bulk.reserved = bulk_goal;
    return KVTEL_OK;
}

uint32_t kvtel_lanes_take_slots(struct kvtel_store *store, uint32_t count)
{
    uint64_t slot = store->slots.used / (KVTEL_SLOT_WORDS * sizeof(kvtel_word));
    store->slots.used += count * KVTEL_SLOT_WORDS * sizeof(kvtel_word);
    return (uint32_t)slot;
}

uint64_t kvtel_lanes_take_words(struct kvtel_store *store, uint64_t words)
{
    uint64_t word = (store->header->slots_size + store->bulk.used) / sizeof(kvtel_word);
    store->bulk.used += words * sizeof(kvtel_word);
    return word;
}

size_t kvtel_texts_size(const char *const *texts, size_t count)
{
    size_t size = 0;
    for (size_t i = 0; i < count; i++)
        size += strlen(texts[i]) + 1;
    return size;
}

uint32_t kvtel_texts_hash(uint32_t seed, const char *const *texts, size_t count)
{
    uint64_t hash = seed;
    for (size_t i = 0; i < count; i++)
        hash = kvtel_store_hash_text(hash, texts[i]);
    return kvtel_index_hash(hash);
}

bool kvtel_texts_equal(const char *stored, const char *const *texts, size_t count)
{
    for (size_t i = 0; i < count; i++, stored += strlen(stored) + 1) {
        if (strcmp(stored, texts[i]) != 0)
            return false;
    }
    return true;
}

uint64_t kvtel_texts_put(struct kvtel_store *store, const char *const *texts, size_t count)
{
    uint64_t at = store->tables[KVTEL_STRINGS].used;
    for (size_t i = 0; i < count; i++) {
        size_t size = strlen(texts[i]) + 1;
        memcpy(kvtel_table_take(store, KVTEL_STRINGS, size), texts[i], size);
    }
    return at;
}
