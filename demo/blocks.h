/* SPDX-License-Identifier: Apache-2.0 */
/* A worker's KV blocks. They are in memory that other workers can map; the oldest blocks are offloaded to a file,
 * and loaded back when they are wanted. One thread. */
#ifndef KVTEL_DEMO_BLOCKS_H
#define KVTEL_DEMO_BLOCKS_H

#include "demo/books.h"
#include "demo/trace.h"

enum {
    DEMO_BLOCK_BYTES = 32 << 10,
    DEMO_SLOTS = DEMO_REQUEST_BLOCKS + 128, /* blocks in memory */
    DEMO_FILE_BLOCKS = 2048                 /* blocks in the file; the oldest are overwritten */
};

struct demo_slot {
    uint64_t key;
    uint64_t used; /* value of `clock` when it was last taken */
    uint32_t crc;
    uint32_t pins; /* number of requests that use the slot, which must stay until they are done */
    bool held;     /* contains a block */
};

struct demo_stored {
    uint64_t key;
    uint32_t crc;
    bool held;
};

struct demo_blocks {
    uint8_t *memory; /* DEMO_SLOTS blocks */
    int memory_fd, file;
    uint64_t clock;
    struct demo_slot slots[DEMO_SLOTS];
    struct demo_stored stored[DEMO_FILE_BLOCKS];
    uint32_t next_stored;
    struct demo_journal *journal;
    double failure_rate; /* share of stores that fail on purpose */
    uint64_t random;
};

/* Opens memory and the file at `path`, which is made anew. False, after printing a message: no memory, or the file
 * cannot be made. */
bool demo_blocks_open(struct demo_blocks *blocks, const char *path, struct demo_journal *journal);
void demo_blocks_close(struct demo_blocks *blocks);

/* Pins a slot for each key. `missing` marks blocks that are neither in memory nor in the file: the caller computes
 * or fetches them and then calls demo_blocks_filled(). Room is made by offloading, as one store; blocks in the file
 * are loaded, as one load.
 * @return false: too much is pinned, and nothing further was pinned */
bool demo_blocks_take(struct demo_blocks *blocks, const uint64_t *keys, uint32_t count, uint16_t *slots, bool *missing);
void demo_blocks_filled(struct demo_blocks *blocks, uint16_t slot);
void demo_blocks_release(struct demo_blocks *blocks, const uint16_t *slots, uint32_t count);
static inline uint8_t *demo_blocks_at(const struct demo_blocks *blocks, uint16_t slot)
{
    return blocks->memory + (size_t)slot * DEMO_BLOCK_BYTES;
}

/* Computes a block, as prefill does, and decode for the tokens that it made: the same bytes for the same key. */
void demo_block_fill(uint8_t *block, uint64_t key);
uint32_t demo_block_crc(const uint8_t *block);

#endif
