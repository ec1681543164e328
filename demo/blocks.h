/* SPDX-License-Identifier: Apache-2.0 */
/* A worker's KV blocks: in memory that other workers can map, the oldest offloaded to a file and loaded back when they
 * are wanted.
 */
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
    uint64_t used; /* when it was last taken */
    uint32_t crc;
    uint32_t pins; /* how many requests use it; it stays meanwhile */
    bool held;     /* has a block */
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
    double failure_rate; /* of stores, on purpose */
    uint64_t random;
};

/* `path`: of the file, made anew. False, with a message, when there is no memory or no file. */
bool demo_blocks_open(struct demo_blocks *blocks, const char *path, struct demo_journal *journal);
void demo_blocks_close(struct demo_blocks *blocks);

/* Pins a slot for each key. What is neither in memory nor in the file is `missing`: the caller fills it, then says so
 * with demo_blocks_filled(). Makes room by offloading, as one store; loads what is in the file, as one load.
 * @return false when too much is pinned; nothing is then pinned more than before */
bool demo_blocks_take(struct demo_blocks *blocks, const uint64_t *keys, uint32_t count, uint16_t *slots, bool *missing);
void demo_blocks_filled(struct demo_blocks *blocks, uint16_t slot);
void demo_blocks_release(struct demo_blocks *blocks, const uint16_t *slots, uint32_t count);
static inline uint8_t *demo_blocks_at(const struct demo_blocks *blocks, uint16_t slot)
{
    return blocks->memory + (size_t)slot * DEMO_BLOCK_BYTES;
}

/* What prefill (or decode, for the tokens that it made) computes for a block: the same bytes for the same key. */
void demo_block_fill(uint8_t *block, uint64_t key);
uint32_t demo_block_crc(const uint8_t *block);

#endif
