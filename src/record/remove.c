/* SPDX-License-Identifier: Apache-2.0 */
/* Removing series. The record of a series stays where it is; a word of it says that it was removed. */
#include "record/hold.h"
#include "record/store.h"

static uint32_t hash_of(const struct kvtel_store *store, const struct kvtel_layout_series *series)
{
    const struct kvtel_layout_family *families = kvtel_store_table(store, KVTEL_FAMILIES);
    const char *text = (const char *)kvtel_store_table(store, KVTEL_STRINGS) + series->text_at;
    uint64_t hash = series->family;
    for (uint32_t i = 0; i < families[series->family].label_count; i++, text += strlen(text) + 1)
        hash = kvtel_store_hash_text(hash, text);
    return kvtel_index_hash(hash);
}

/* Removes the series unless it was removed before. The store is held. */
static bool remove_series(struct kvtel_store *store, uint32_t id)
{
    struct kvtel_layout_series *series = (struct kvtel_layout_series *)kvtel_store_table(store, KVTEL_SERIES) + id;
    if (kvtel_layout_is_removed(series))
        return false;
    atomic_store_explicit(&store->series[id].type, KVTEL_NO_TYPE, memory_order_relaxed);
    struct kvtel_row_group *group = atomic_load_explicit(&store->series[id].group, memory_order_relaxed);
    if (group)
        atomic_store_explicit(&group->feeds_removed, true, memory_order_release); /* pairs with kvtel_lane_fold() */
    store->families[series->family].series_count--;
    kvtel_index_remove(&store->index, hash_of(store, series), id);
    atomic_store_explicit(&series->removed, 1, memory_order_release); /* pairs with kvtel_layout_is_removed() */
    /* pairs with the fence of the reader of a file: a reader that sees the count sees the word */
    atomic_fetch_add_explicit((_Atomic uint64_t *)(void *)((char *)store->header + KVTEL_LAYOUT_REMOVED_AT), 1,
                              memory_order_release);
    return true;
}

enum kvtel_status kvtel_store_series_remove(struct kvtel_store *store, uint32_t series)
{
    struct kvtel_hold hold;
    if (!kvtel_store_hold(store, &hold))
        return KVTEL_E_BUSY;
    bool removed = series < atomic_load_explicit(&store->header->series_count, memory_order_relaxed) &&
                   remove_series(store, series);
    kvtel_store_release(store, &hold);
    return removed ? KVTEL_OK : KVTEL_E_UNKNOWN;
}

enum kvtel_status kvtel_store_family_clear(struct kvtel_store *store, uint32_t family)
{
    struct kvtel_hold hold;
    if (!kvtel_store_hold(store, &hold))
        return KVTEL_E_BUSY;
    bool known = family < atomic_load_explicit(&store->header->family_count, memory_order_relaxed);
    uint64_t count = known ? atomic_load_explicit(&store->header->series_count, memory_order_relaxed) : 0;
    const struct kvtel_layout_series *series = kvtel_store_table(store, KVTEL_SERIES);
    for (uint32_t i = 0; i < count; i++)
        if (series[i].family == family)
            (void)remove_series(store, i);
    kvtel_store_release(store, &hold);
    return known ? KVTEL_OK : KVTEL_E_UNKNOWN;
}
