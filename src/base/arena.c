/* SPDX-License-Identifier: Apache-2.0 */
/* Memory that is handed out in pieces and freed together. */
#include <stdint.h>
#include <stdlib.h>

#include "base/arena.h"

enum { SMALLEST_BLOCK = 4096, ALIGNMENT = 8 };

struct kvtel_arena_block {
    struct kvtel_arena_block *next;
    size_t capacity, used;
    max_align_t data[];
};

/* Moves on to the next block. A next block that is too small for `size` is replaced. If it were kept, sizes that
 * grow slowly would add a block with each reset. */
static struct kvtel_arena_block *advance(struct kvtel_arena *arena, size_t size)
{
    struct kvtel_arena_block **link = arena->current ? &arena->current->next : &arena->first;
    struct kvtel_arena_block *block = *link;
    if (!block || block->capacity < size) {
        size_t capacity = SMALLEST_BLOCK;
        if (arena->current && arena->current->capacity <= SIZE_MAX / 4)
            capacity = arena->current->capacity * 2;
        if (capacity < size)
            capacity = size;
        struct kvtel_arena_block *larger =
            capacity <= SIZE_MAX - sizeof(*block) ? malloc(sizeof(*block) + capacity) : NULL;
        if (!larger)
            return NULL;
        larger->capacity = capacity;
        larger->next = block ? block->next : NULL;
        free(block);
        block = *link = larger;
    }
    block->used = 0;
    arena->current = block;
    return block;
}

void *kvtel_arena_alloc(struct kvtel_arena *arena, size_t size)
{
    if (size > SIZE_MAX - (ALIGNMENT - 1))
        return NULL;
    size = (size + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    struct kvtel_arena_block *block = arena->current;
    if (!block || size > block->capacity - block->used) {
        block = advance(arena, size);
        if (!block)
            return NULL;
    }
    void *piece = (char *)block->data + block->used;
    block->used += size;
    return piece;
}

void kvtel_arena_reset(struct kvtel_arena *arena)
{
    arena->current = arena->first;
    if (arena->first)
        arena->first->used = 0;
}

void kvtel_arena_free(struct kvtel_arena *arena)
{
    for (struct kvtel_arena_block *block = arena->first, *next; block; block = next) {
        next = block->next;
        free(block);
    }
    *arena = (struct kvtel_arena){ 0 };
}
