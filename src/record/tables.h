/* SPDX-License-Identifier: Apache-2.0 */
/* Room in the tables and lanes of a store, and texts in its table of strings. The store is held by the caller: tables
 * are appended under its lock and published by one release store each. */
#ifndef KVTEL_RECORD_TABLES_H
#define KVTEL_RECORD_TABLES_H

#include "record/store.h"

/* The index holds families as ids above all series. */
#define KVTEL_FAMILY_BIT (UINT32_C(1) << 31)

/* Makes sure that the table has memory for `bytes` more. KVTEL_OK, KVTEL_E_LIMIT, KVTEL_E_NOMEM. */
enum kvtel_status kvtel_table_reserve(struct kvtel_store *store, enum kvtel_table table, size_t bytes);

/* Takes bytes that kvtel_table_reserve() has given memory to. */
void *kvtel_table_take(struct kvtel_store *store, enum kvtel_table table, size_t bytes);

/* Gives memory to more slots and words in every lane. KVTEL_OK, KVTEL_E_LIMIT, KVTEL_E_NOMEM. */
enum kvtel_status kvtel_lanes_reserve(struct kvtel_store *store, uint64_t slots, uint64_t words);

/* Takes slots that follow one another and returns the first. */
uint32_t kvtel_lanes_take_slots(struct kvtel_store *store, uint32_t count);

/* Takes words of every lane and returns the index of the first. Whole cache lines are taken, so that bins and blocks
 * do not share one. */
uint64_t kvtel_lanes_take_words(struct kvtel_store *store, uint64_t words);

/* Size of the texts, which are stored one after the other, each followed by a NUL. */
size_t kvtel_texts_size(const char *const *texts, size_t count);

/* The hash of texts, which differs with `seed`: the family of a series, or KVTEL_FAMILY_BIT. */
uint32_t kvtel_texts_hash(uint32_t seed, const char *const *texts, size_t count);

/* Whether the texts are those that are stored from `stored` on. */
bool kvtel_texts_equal(const char *stored, const char *const *texts, size_t count);

/* Stores the texts where kvtel_table_reserve() has given memory, and returns where they begin. */
uint64_t kvtel_texts_put(struct kvtel_store *store, const char *const *texts, size_t count);

/* Counts label sets that were refused, whichever resource was short. */
static inline void kvtel_store_count_series_dropped(struct kvtel_store *store, uint64_t count)
{
    atomic_fetch_add_explicit(&store->header->series_dropped, count, memory_order_relaxed);
}

#endif
