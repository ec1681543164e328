/* SPDX-License-Identifier: Apache-2.0 */
/* A store of this process as the view that readers of stores take. */
#include "record/lane.h"

#include <string.h>

static enum kvtel_status read_lane(void *context, uint32_t lane, uint64_t word, size_t count, uint64_t *copy)
{
    const struct kvtel_store *store = context;
    const kvtel_word *words = store->lanes[lane]->words + word;
    size_t i = 0;
    for (; i + 4 <= count; i += 4) {
        copy[i] = atomic_load_explicit(&words[i], memory_order_acquire);
        copy[i + 1] = atomic_load_explicit(&words[i + 1], memory_order_acquire);
        copy[i + 2] = atomic_load_explicit(&words[i + 2], memory_order_acquire);
        copy[i + 3] = atomic_load_explicit(&words[i + 3], memory_order_acquire);
    }
    for (; i < count; i++)
        copy[i] = atomic_load_explicit(&words[i], memory_order_acquire);
    return KVTEL_OK;
}

static enum kvtel_status read_lines(void *context, uint32_t first, uint32_t count, uint64_t *copy)
{
    const struct kvtel_store *store = context;
    for (uint32_t lane = first; lane < first + count; lane++)
        for (uint32_t i = 0; i < KVTEL_LINE_WORDS; i++)
            *copy++ = atomic_load_explicit(&store->lanes[lane]->line[i], memory_order_acquire);
    return KVTEL_OK;
}

static enum kvtel_status read_open(void *context, struct kvtel_layout_open *copy)
{
    const struct kvtel_layout_open *open = kvtel_store_open_header(context);
    /* pairs with the release store of kvtel_store_peer(): names that are counted do not change */
    const uint64_t count = atomic_load_explicit(&open->peer_count, memory_order_acquire);
    memset(copy, 0, sizeof(*copy));
    atomic_store_explicit(&copy->peer_count, count, memory_order_relaxed);
    memcpy(copy->peers, open->peers, (count < KVTEL_LAYOUT_PEERS ? count : KVTEL_LAYOUT_PEERS) * sizeof(*copy->peers));
    return KVTEL_OK;
}

struct kvtel_view kvtel_store_view(const struct kvtel_store *store)
{
    /* Counts are read in an order in which a record is counted before the records to which it refers: so all those
     * are counted, too. */
    struct kvtel_layout_header *header = store->header;
    struct kvtel_view view = {
        .read = read_lane, .read_lines = read_lines, .read_open = read_open, .context = (void *)(uintptr_t)store
    };
    /* pairs with kvtel_open_make(): behind the count it is known where the places begin */
    view.open_count = atomic_load_explicit(&header->open_count, memory_order_acquire);
    view.open_at = view.open_count > 0 ? header->open_at : 0;
    view.lane_count = kvtel_store_lane_count(store);
    view.group_count = (uint32_t)atomic_load_explicit(&header->group_count, memory_order_acquire);
    view.series_count = (uint32_t)atomic_load_explicit(&header->series_count, memory_order_acquire);
    view.family_count = (uint32_t)atomic_load_explicit(&header->family_count, memory_order_acquire);
    /* behind the count of series: a series that was made in the place of a removed one is counted after its removal */
    view.removed_count = atomic_load_explicit(
        (const _Atomic uint64_t *)(const void *)((const char *)header + KVTEL_LAYOUT_REMOVED_AT), memory_order_acquire);
    view.families = kvtel_store_table(store, KVTEL_FAMILIES);
    view.bounds = kvtel_store_table(store, KVTEL_BOUNDS);
    view.series = kvtel_store_table(store, KVTEL_SERIES);
    view.groups = kvtel_store_table(store, KVTEL_GROUPS);
    view.feeds = kvtel_store_table(store, KVTEL_FEEDS);
    view.strings = kvtel_store_table(store, KVTEL_STRINGS);
    if (view.series_count > 0)
        view.slot_count = view.series[view.series_count - 1].slot + 1;
    if (view.group_count > 0 && view.groups[view.group_count - 1].slot >= view.slot_count)
        view.slot_count = view.groups[view.group_count - 1].slot + 1;
    return view;
}
