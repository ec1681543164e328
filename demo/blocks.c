/* SPDX-License-Identifier: Apache-2.0 */
/* A worker's KV blocks, in memory and in a file. */
#include "demo/blocks.h"

#include "demo/fail.h"
#include "demo/random.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <zlib.h>

enum { NO_SLOT = DEMO_SLOTS };

bool demo_blocks_open(struct demo_blocks *blocks, const char *path, struct demo_journal *journal)
{
    const size_t size = (size_t)DEMO_SLOTS * DEMO_BLOCK_BYTES;
    *blocks = (struct demo_blocks){ .journal = journal, .memory = MAP_FAILED, .file = -1 };
    blocks->memory_fd = memfd_create("kvtel-demo-blocks", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    /* The memory is reserved and sealed: no access to it by any process can raise a signal. */
    if (blocks->memory_fd < 0 || ftruncate(blocks->memory_fd, (off_t)size) != 0 ||
        fallocate(blocks->memory_fd, 0, 0, (off_t)size) != 0 ||
        fcntl(blocks->memory_fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) != 0 ||
        (blocks->memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, blocks->memory_fd, 0)) == MAP_FAILED) {
        demo_fail("no memory for KV blocks (%zu MiB each worker): %s", size >> 20, strerror(errno));
        demo_blocks_close(blocks);
        return false;
    }
    blocks->file = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (blocks->file < 0) {
        demo_fail("%s: %s", path, strerror(errno));
        demo_blocks_close(blocks);
        return false;
    }
    return true;
}

void demo_blocks_close(struct demo_blocks *blocks)
{
    if (blocks->memory != MAP_FAILED)
        munmap(blocks->memory, (size_t)DEMO_SLOTS * DEMO_BLOCK_BYTES);
    if (blocks->memory_fd >= 0)
        close(blocks->memory_fd);
    if (blocks->file >= 0)
        close(blocks->file);
}

void demo_block_fill(uint8_t *block, uint64_t key)
{
    for (size_t at = 0; at < DEMO_BLOCK_BYTES; at += sizeof key) {
        uint64_t word = demo_random(&key);
        memcpy(block + at, &word, sizeof word);
    }
}

uint32_t demo_block_crc(const uint8_t *block)
{
    return (uint32_t)crc32(0, block, DEMO_BLOCK_BYTES);
}

static uint16_t find_slot(const struct demo_blocks *blocks, uint64_t key)
{
    uint16_t slot = 0;
    while (slot < DEMO_SLOTS && !(blocks->slots[slot].held && blocks->slots[slot].key == key))
        slot++;
    return slot;
}

static struct demo_stored *find_stored(struct demo_blocks *blocks, uint64_t key)
{
    for (uint32_t i = 0; i < DEMO_FILE_BLOCKS; i++)
        if (blocks->stored[i].held && blocks->stored[i].key == key)
            return &blocks->stored[i];
    return NULL;
}

/* Finds an empty slot, or else the unused slot that was taken longest ago. */
static uint16_t find_victim(const struct demo_blocks *blocks)
{
    uint16_t victim = NO_SLOT;
    for (uint16_t slot = 0; slot < DEMO_SLOTS; slot++) {
        if (blocks->slots[slot].pins > 0)
            continue;
        if (!blocks->slots[slot].held)
            return slot;
        if (victim == NO_SLOT || blocks->slots[slot].used < blocks->slots[victim].used)
            victim = slot;
    }
    return victim;
}

static off_t offset_of(const struct demo_blocks *blocks, const struct demo_stored *stored)
{
    return (off_t)(stored - blocks->stored) * DEMO_BLOCK_BYTES;
}

static bool store_block(struct demo_blocks *blocks, uint16_t slot)
{
    struct demo_stored *stored = &blocks->stored[blocks->next_stored];
    stored->held = false; /* from here on the block in the file is overwritten */
    if (pwrite(blocks->file, demo_blocks_at(blocks, slot), DEMO_BLOCK_BYTES, offset_of(blocks, stored)) !=
        DEMO_BLOCK_BYTES)
        return false;
    *stored = (struct demo_stored){ blocks->slots[slot].key, blocks->slots[slot].crc, true };
    blocks->next_stored = (blocks->next_stored + 1) % DEMO_FILE_BLOCKS;
    return true;
}

/* Offloads, as one transfer, the blocks of these slots that are not in the file yet. */
static void offload(struct demo_blocks *blocks, const uint16_t *slots, uint32_t count)
{
    uint64_t start = kvtel_now_ns();
    uint32_t stored = 0;
    bool refused = false;
    for (uint32_t i = 0; i < count && !refused; i++) {
        if (!blocks->slots[slots[i]].held || find_stored(blocks, blocks->slots[slots[i]].key))
            continue;
        if (stored == 0)
            refused = demo_random_unit(&blocks->random) < blocks->failure_rate;
        refused = refused || !store_block(blocks, slots[i]);
        stored += refused ? 0 : 1;
    }
    if (refused)
        demo_journal_failure(blocks->journal, KVTEL_FAILED_ALLOCATION);
    if (stored > 0)
        demo_journal_transfer(blocks->journal, DEMO_STORE,
                              &(struct kvtel_transfer){ .duration_ns = kvtel_now_ns() - start,
                                                        .bytes = (uint64_t)stored * DEMO_BLOCK_BYTES,
                                                        .descriptors = stored });
}

/* Loads, as one transfer, the missing blocks that are in the file. */
static void load(struct demo_blocks *blocks, const uint16_t *slots, uint32_t count, bool *missing)
{
    uint64_t start = kvtel_now_ns();
    uint32_t loaded = 0;
    for (uint32_t i = 0; i < count; i++) {
        struct demo_slot *slot = &blocks->slots[slots[i]];
        struct demo_stored *stored = missing[i] ? find_stored(blocks, slot->key) : NULL;
        uint8_t *block = demo_blocks_at(blocks, slots[i]);
        if (!stored)
            continue;
        bool good = pread(blocks->file, block, DEMO_BLOCK_BYTES, offset_of(blocks, stored)) == DEMO_BLOCK_BYTES &&
                    demo_block_crc(block) == stored->crc;
        demo_journal_block(blocks->journal, good, false);
        slot->crc = stored->crc;
        missing[i] = !good;
        loaded += good;
    }
    if (loaded > 0)
        demo_journal_transfer(blocks->journal, DEMO_LOAD,
                              &(struct kvtel_transfer){ .duration_ns = kvtel_now_ns() - start,
                                                        .bytes = (uint64_t)loaded * DEMO_BLOCK_BYTES,
                                                        .descriptors = loaded });
}

/* Pins a slot for each of `count` new blocks. False: there are not enough; `got` returns the number pinned. */
static bool pin_victims(struct demo_blocks *blocks, uint16_t *victims, uint32_t count, uint32_t *got)
{
    for (*got = 0; *got < count; (*got)++) {
        uint16_t victim = find_victim(blocks);
        if (victim == NO_SLOT)
            return false;
        blocks->slots[victim].pins++;
        victims[*got] = victim;
    }
    return true;
}

bool demo_blocks_take(struct demo_blocks *blocks, const uint64_t *keys, uint32_t count, uint16_t *slots, bool *missing)
{
    uint16_t victims[DEMO_SLOTS];
    uint32_t absent = 0, got = 0;
    for (uint32_t i = 0; i < count; i++) { /* pin the present blocks first, so that they do not become victims */
        slots[i] = find_slot(blocks, keys[i]);
        missing[i] = false;
        if (slots[i] == NO_SLOT)
            absent++;
        else
            blocks->slots[slots[i]].pins++;
    }
    if (absent > DEMO_SLOTS || !pin_victims(blocks, victims, absent, &got)) {
        demo_blocks_release(blocks, victims, got);
        for (uint32_t i = 0; i < count; i++)
            if (slots[i] != NO_SLOT)
                blocks->slots[slots[i]].pins--;
        return false;
    }
    offload(blocks, victims, got);
    for (uint32_t i = 0; i < count; i++) {
        uint16_t same = slots[i] == NO_SLOT ? find_slot(blocks, keys[i]) : NO_SLOT;
        if (same != NO_SLOT) { /* the request contains this block twice */
            slots[i] = same;
            blocks->slots[same].pins++;
        } else if (slots[i] == NO_SLOT) {
            slots[i] = victims[--got];
            blocks->slots[slots[i]] = (struct demo_slot){ .key = keys[i], .pins = 1, .held = true };
            missing[i] = true;
        }
        blocks->slots[slots[i]].used = ++blocks->clock;
    }
    demo_blocks_release(blocks, victims, got);
    load(blocks, slots, count, missing);
    return true;
}

void demo_blocks_filled(struct demo_blocks *blocks, uint16_t slot)
{
    blocks->slots[slot].crc = demo_block_crc(demo_blocks_at(blocks, slot));
}

void demo_blocks_release(struct demo_blocks *blocks, const uint16_t *slots, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        blocks->slots[slots[i]].pins--;
}
