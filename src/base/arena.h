/* SPDX-License-Identifier: Apache-2.0 */
/* Memory that is handed out in pieces and freed together. */
#ifndef KVTEL_BASE_ARENA_H
#define KVTEL_BASE_ARENA_H

#include <stddef.h>

/* One allocation list, freed at once. Start from {0}. A reset keeps the memory. */
struct kvtel_arena_block;
struct kvtel_arena {
    struct kvtel_arena_block *first, *current;
};
void *kvtel_arena_alloc(struct kvtel_arena *arena, size_t size); /* 8-byte aligned; NULL without memory */
void kvtel_arena_reset(struct kvtel_arena *arena);
void kvtel_arena_free(struct kvtel_arena *arena);

#endif
