/* SPDX-License-Identifier: Apache-2.0 */
/* Memory of a store. The address space is reserved once and never moves; memory is added to it when it is needed. */
#ifndef KVTEL_RECORD_MEMORY_H
#define KVTEL_RECORD_MEMORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A part of a store that grows. `used`: bytes in use; `reserved`: bytes that have memory. */
struct kvtel_extent {
    uint64_t used, reserved;
};

/* Reserves address space for `size` bytes: of a file from offset `at` on, or of the heap when `fd` is -1. NULL: no
 * address space is left, and errno is set. */
void *kvtel_memory_map(int fd, uint64_t at, uint64_t size);
void kvtel_memory_unmap(void *base, uint64_t size);

/* The number of bytes that should have memory when a part needs `needed` bytes: the bytes that it has, if they
 * suffice, else `needed` and some more. Never more than `size`, the part's limit. */
uint64_t kvtel_memory_goal(const struct kvtel_extent *extent, uint64_t needed, uint64_t size);
/* Gives memory to the bytes `from` to `to` of a mapping. `base` is the mapping's start, `at` its offset in the file.
 * Bytes that had no memory read as 0; the others keep their values. Blocks of a file are allocated, so no later
 * access to them can fail. False: no memory, and errno says why. */
bool kvtel_memory_extend(int fd, void *base, uint64_t at, uint64_t from, uint64_t to);

#endif
