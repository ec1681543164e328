/* SPDX-License-Identifier: Apache-2.0 */
/* Memory of a store: address space is reserved at once and never moves, memory is added as it is needed. */
#ifndef KVTEL_RECORD_MEMORY_H
#define KVTEL_RECORD_MEMORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A part that grows: bytes used, and bytes that memory is there for. */
struct kvtel_extent {
    uint64_t used, reserved;
};

/* Address space for `size` bytes, of a file from `at` on, or of the heap when `fd` is -1. NULL without address space:
 * errno. */
void *kvtel_memory_map(int fd, uint64_t at, uint64_t size);
void kvtel_memory_unmap(void *base, uint64_t size);

/* How much a part of at most `size` bytes should get memory for when it needs `needed`: what it has, or that and some
 * more. */
uint64_t kvtel_memory_goal(const struct kvtel_extent *extent, uint64_t needed, uint64_t size);
/* Gives memory to bytes `from` to `to` after the mapping's start `base`, which is `at` in the file. Bytes that had none
 * are 0; the others stay. A file's memory is really there afterwards: no later access can fail. False without memory:
 * errno says why. */
bool kvtel_memory_extend(int fd, void *base, uint64_t at, uint64_t from, uint64_t to);

#endif
