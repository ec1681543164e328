/* SPDX-License-Identifier: Apache-2.0 */
/* Protocol Buffers on the wire: each function writes at `at`, where there is room, and returns the end. */
#ifndef KVTEL_EXPOSITION_WIRE_H
#define KVTEL_EXPOSITION_WIRE_H

#include "base/double.h"

#include <endian.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* The most bytes of a number, and of a tag: fields have numbers below 16, but where wire_large_head() writes them. */
enum { WIRE_VARINT = 10, WIRE_TAG = 1, WIRE_FIXED = 8 };
enum wire_type { WIRE_NUMBER = 0, WIRE_DOUBLE = 1, WIRE_BYTES = 2 };

static inline char *wire_varint(char *at, uint64_t value)
{
    for (; value >= 0x80; value >>= 7)
        *at++ = (char)(value | 0x80);
    *at++ = (char)value;
    return at;
}

/* How many bytes wire_varint() writes. */
static inline size_t wire_varint_size(uint64_t value)
{
    return ((size_t)(64 - __builtin_clzll(value | 1)) * 9 + 64) / 64; /* bits / 7, rounded up, for up to 64 bits */
}

static inline char *wire_tag(char *at, unsigned field, enum wire_type type)
{
    *at = (char)(field << 3 | type);
    return at + 1;
}

static inline char *wire_number(char *at, unsigned field, uint64_t value)
{
    return wire_varint(wire_tag(at, field, WIRE_NUMBER), value);
}

/* The same where all WIRE_TAG + WIRE_VARINT bytes may be written. A number of one byte or two, which are met in no
 * order, takes no branch. */
static inline char *wire_roomy_number(char *at, unsigned field, uint64_t value)
{
    const uint64_t high = value & 0x3f80, two = high != 0;
    if (__builtin_expect(value >= 1 << 14, 0))
        return wire_number(at, field, value);
    const uint32_t bytes = htole32((uint32_t)(field << 3 | WIRE_NUMBER | (value + high + (two << 7)) << 8));
    memcpy(at, &bytes, sizeof bytes);
    return at + WIRE_TAG + 1 + two;
}

/* A sint32 or sint64 as a number. */
static inline uint64_t wire_zigzag(int64_t value)
{
    return (uint64_t)value << 1 ^ (uint64_t)(value >> 63);
}

static inline char *wire_signed(char *at, unsigned field, int64_t value)
{
    return wire_number(at, field, wire_zigzag(value));
}

/* Eight bytes without a tag, as in a packed field, little-endian. */
static inline char *wire_eight(char *at, uint64_t bits)
{
    bits = htole64(bits); /* one store: gcc 12 makes eight of a loop over bytes, and the load of them all waits */
    memcpy(at, &bits, sizeof bits);
    return at + WIRE_FIXED;
}

/* A fixed64. */
static inline char *wire_fixed(char *at, unsigned field, uint64_t value)
{
    return wire_eight(wire_tag(at, field, WIRE_DOUBLE), value);
}

static inline char *wire_double(char *at, unsigned field, double value)
{
    return wire_fixed(at, field, kvtel_double_bits(value));
}

/* The head of a text, of bytes, or of a message: `size` bytes follow. */
static inline char *wire_head(char *at, unsigned field, size_t size)
{
    return wire_varint(wire_tag(at, field, WIRE_BYTES), size);
}

/* The same for a field whose number is from 16 to 2047. */
static inline char *wire_large_head(char *at, unsigned field, size_t size)
{
    return wire_varint(wire_varint(at, field << 3 | WIRE_BYTES), size);
}

static inline char *wire_bytes(char *at, unsigned field, const char *bytes, size_t size)
{
    at = wire_head(at, field, size);
    if (size > 0)
        memcpy(at, bytes, size);
    return at + size;
}

#endif
