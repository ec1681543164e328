/* SPDX-License-Identifier: Apache-2.0 */
/* Stores of this process that a snapshot keeps from one reset to the next. */
#include "collect/snapshot_state.h"

#include <stdlib.h>

void kvtel_kept_free(struct kvtel_kept *kept)
{
    for (size_t i = 0; i < kept->count; i++)
        kvtel_source_free(&kept->stores[i].source);
    free(kept->stores);
    *kept = (struct kvtel_kept){ .round = kept->round + 1 };
}

void kvtel_kept_turn(struct kvtel_snapshot *snapshot)
{
    struct kvtel_kept *kept = &snapshot->kept;
    size_t count = 0;
    for (size_t i = 0; i < kept->count; i++) {
        if (kept->stores[i].round == kept->round)
            kept->stores[count++] = kept->stores[i];
        else
            kvtel_source_free(&kept->stores[i].source);
    }
    if (kept->taken) {
        kvtel_arena_free(&snapshot->arena);
        kvtel_arena_free(&snapshot->workers.each[0].arena);
    }
    kept->count = count;
    kept->next = 0;
    kept->taken = false;
    kept->round++;
}

/* Stores are mostly added in the order of the last round. */
struct kvtel_kept_store *kvtel_kept_store(struct kvtel_kept *kept, const struct kvtel_store *store, uint64_t token)
{
    for (size_t i = 0; i < kept->count; i++) {
        const size_t at = (kept->next + i) % kept->count;
        if (kept->stores[at].store != store || kept->stores[at].token != token)
            continue;
        kept->next = at + 1;
        return &kept->stores[at];
    }
    if (kept->count == kept->room) {
        const size_t room = kept->room > 0 ? kept->room * 2 : 1;
        struct kvtel_kept_store *larger = realloc(kept->stores, room * sizeof *larger);
        if (!larger)
            return NULL;
        kept->stores = larger;
        kept->room = room;
    }
    kept->stores[kept->count] = (struct kvtel_kept_store){ .store = store, .token = token };
    return &kept->stores[kept->count++];
}
