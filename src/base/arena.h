/* SPDX-License-Identifier: Apache-2.0 */
/* Memory that is handed out in pieces and freed together. */
#ifndef KVTEL_BASE_ARENA_H
#define KVTEL_BASE_ARENA_H

#include <stddef.h>

/* A list of blocks from which pieces are taken. A reset keeps the blocks for reuse. Start from {0}. One thread at a
 * time. */
struct kvtel_arena_block;
struct kvtel_arena {
    struct kvtel_arena_block *first, *current;
};
/* Returns `size` bytes, aligned to 8. NULL: no memory. */
void *kvtel_arena_alloc(struct kvtel_arena *arena, size_t size);
void kvtel_arena_reset(struct kvtel_arena *arena);
void kvtel_arena_free(struct kvtel_arena *arena);

#endif
