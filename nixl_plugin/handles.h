/* SPDX-License-Identifier: Apache-2.0 */
/* The table that leads from a handle of NIXL's to the record of its post. Its slots are changed by compare-and-swap
 * alone, without a lock; any thread reads them. */
#ifndef KVTEL_NIXL_PLUGIN_HANDLES_H
#define KVTEL_NIXL_PLUGIN_HANDLES_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "state.h"

enum {
    HANDLE_LINE = 64,                /* bytes of a line of the cache */
    HANDLE_PROBES = 8,               /* slots that a handle can be in: those of one line */
    HANDLE_SLOTS = 4 * PLUGIN_POSTS, /* of the table */
    HANDLE_PLACES = 0xffff           /* the bits of a slot that are the place of the record */
};
_Static_assert(PLUGIN_POSTS == HANDLE_PLACES + 1, "places of records in a slot");

/* A handle and the place of its record; 0: free. */
extern _Atomic uint64_t handle_table[HANDLE_SLOTS];

/* Empties the table. No other thread uses it. */
void handles_clear(void);

/* Whether a number can be an address that NIXL gave. */
static inline bool handle_is_one(uint64_t handle)
{
    return handle != 0 && handle >> 48 == 0;
}

/* What a slot contains. */
static inline uint64_t handle_word(uint64_t handle, uint64_t place)
{
    return handle << 16 | place;
}

/* The slots that a handle can be in. Handles are addresses of objects of some 400 bytes: those of one piece of the heap
 * have their slots in one page of the table, since a page that was not used lately costs more than a line of it. */
static inline _Atomic uint64_t *handle_slots(uint64_t handle)
{
    enum { PAGE = 4096 / HANDLE_LINE, PIECE = 13, PART = 7 }; /* lines of a page; 64 parts of 128 bytes are a piece */
    const uint64_t mixed = (handle >> PIECE) * UINT64_C(0x9e3779b97f4a7c15);
    const uint64_t page = mixed >> 32, line = (handle >> PART ^ mixed >> 24) % PAGE; /* handles 4 KiB apart, too */
    return &handle_table[(page * PAGE + line) % (HANDLE_SLOTS / HANDLE_PROBES) * HANDLE_PROBES];
}

static inline uint64_t handle_load(const _Atomic uint64_t *slot)
{
    return atomic_load_explicit(slot, memory_order_acquire);
}

/* Whether a handle's slots are all free, as those of a new handle are as a rule. */
static inline bool handle_has_none(const _Atomic uint64_t *slots)
{
    uint64_t all = 0;
    for (int i = 0; i < HANDLE_PROBES; i++)
        all |= handle_load(&slots[i]);
    return all == 0;
}

/* The slot of the handle, or a free one of its slots, or NULL. `word` receives what is in the slot. */
static inline _Atomic uint64_t *handle_find(uint64_t handle, uint64_t *word)
{
    _Atomic uint64_t *slots = handle_slots(handle), *free_slot = NULL;
    *word = handle_load(slots);
    if (*word >> 16 == handle)
        return slots;
    *word = 0;
    if (handle_has_none(slots))
        return slots;
    for (int i = 0; i < HANDLE_PROBES; i++) {
        const uint64_t there = handle_load(&slots[i]);
        if (there >> 16 == handle) {
            *word = there;
            return &slots[i];
        }
        if (there == 0 && !free_slot)
            free_slot = &slots[i]; /* the first one, so that the handle is found soon */
    }
    return free_slot;
}

#endif
