/* SPDX-License-Identifier: Apache-2.0 */
/* The bits of a double (IEEE 754 binary64), and back. */
#ifndef KVTEL_BASE_DOUBLE_H
#define KVTEL_BASE_DOUBLE_H

#include <stdint.h>
#include <string.h>

static inline uint64_t kvtel_double_bits(double value)
{
    uint64_t bits;
    memcpy(&bits, &value, sizeof(bits));
    return bits;
}

static inline double kvtel_bits_double(uint64_t bits)
{
    double value;
    memcpy(&value, &bits, sizeof(value));
    return value;
}

#endif
