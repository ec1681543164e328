/* SPDX-License-Identifier: Apache-2.0 */
/* A hash index of records that are stored elsewhere: open addressing, at most half full.
 * The keys come from outside, so use kvtel_hash(), for which nobody can choose colliding keys. One thread at a time. */
#ifndef KVTEL_BASE_INDEX_H
#define KVTEL_BASE_INDEX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"

struct kvtel_index_entry {
    uint32_t hash;
    uint32_t id; /* 1 + the record's number; 0: free */
};
struct kvtel_index {
    struct kvtel_index_entry *entries;
    size_t capacity; /* a power of two, or 0 */
    size_t count;
};

enum { KVTEL_INDEX_FIRST = 64 };
#define KVTEL_INDEX_NONE UINT32_MAX

/* The part of a hash that an entry keeps. */
static inline uint32_t kvtel_index_hash(uint64_t hash)
{
    return (uint32_t)hash;
}

/* The next record that may have this hash; start with *probe = 0. KVTEL_INDEX_NONE: no more. */
static inline uint32_t kvtel_index_next(const struct kvtel_index *index, uint32_t hash, size_t *probe)
{
    while (*probe < index->capacity) {
        const struct kvtel_index_entry *entry = &index->entries[(hash + (*probe)++) & (index->capacity - 1)];
        if (entry->id == 0)
            break;
        if (entry->hash == hash)
            return entry->id - 1;
    }
    return KVTEL_INDEX_NONE;
}

static inline void kvtel_index_put(struct kvtel_index *index, uint32_t hash, uint32_t record)
{
    size_t at = hash;
    while (index->entries[at & (index->capacity - 1)].id != 0)
        at++;
    index->entries[at & (index->capacity - 1)] = (struct kvtel_index_entry){ hash, record + 1 };
    index->count++;
}

/* Makes room for one more record. False: no memory, and the index is unchanged. */
static inline bool kvtel_index_reserve(struct kvtel_index *index)
{
    if (index->count < index->capacity / 2)
        return true;
    struct kvtel_index larger = { .capacity = index->capacity ? index->capacity * 2 : KVTEL_INDEX_FIRST };
    larger.entries = calloc(larger.capacity, sizeof(*larger.entries));
    if (!larger.entries)
        return false;
    for (size_t i = 0; i < index->capacity; i++) {
        if (index->entries[i].id != 0)
            kvtel_index_put(&larger, index->entries[i].hash, index->entries[i].id - 1);
    }
    free(index->entries);
    *index = larger;
    return true;
}

/* Removes the entry of a record. Entries behind it that it kept from their own places move up. */
static inline void kvtel_index_remove(struct kvtel_index *index, uint32_t hash, uint32_t record)
{
    if (index->count == 0)
        return;
    size_t mask = index->capacity - 1, hole = hash & mask;
    while (index->entries[hole].id != 0 && index->entries[hole].id != record + 1)
        hole = (hole + 1) & mask;
    if (index->entries[hole].id == 0)
        return;
    for (size_t at = (hole + 1) & mask; index->entries[at].id != 0; at = (at + 1) & mask) {
        size_t home = index->entries[at].hash & mask;
        if (((at - home) & mask) < ((at - hole) & mask))
            continue; /* the hole lies before its own place */
        index->entries[hole] = index->entries[at];
        hole = at;
    }
    index->entries[hole].id = 0;
    index->count--;
}

static inline void kvtel_index_clear(struct kvtel_index *index)
{
    if (index->capacity > 0)
        memset(index->entries, 0, index->capacity * sizeof(*index->entries));
    index->count = 0;
}

#endif
