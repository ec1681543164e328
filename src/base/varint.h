/* SPDX-License-Identifier: Apache-2.0 */
/* Numbers of variable length: 7 bits in a byte, the lowest bits first; the top bit of a byte is set if more follow. */
#ifndef KVTEL_BASE_VARINT_H
#define KVTEL_BASE_VARINT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { KVTEL_VARINT = 10 }; /* bytes at most */

/* Writes a number at `bytes`, where there is room for KVTEL_VARINT of them. @return how many it took */
static inline size_t kvtel_varint_put(void *bytes, uint64_t number)
{
    uint8_t *at = bytes;
    size_t size = 0;
    for (; number >= 0x80; number >>= 7)
        at[size++] = (uint8_t)(number | 0x80);
    at[size++] = (uint8_t)number;
    return size;
}

/* Reads a number at `*at` and moves it on. False: the bytes end before `end`, or the number is above 64 bits. */
static inline bool kvtel_varint_take(const uint8_t **at, const uint8_t *end, uint64_t *number)
{
    uint8_t byte = 0x80;
    *number = 0;
    for (unsigned shift = 0; byte & 0x80; shift += 7) {
        if (shift >= 7 * KVTEL_VARINT || *at == end || (shift == 63 && **at > 1))
            return false;
        byte = *(*at)++;
        *number |= (uint64_t)(byte & 0x7f) << shift;
    }
    return true;
}

#endif
