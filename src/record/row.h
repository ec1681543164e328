/* SPDX-License-Identifier: Apache-2.0 */
/* Writing the row of a point-to-point transfer: four numbers, in one way for every machine and in a faster one for
 * x86-64. Both write the same bits. */
#ifndef KVTEL_RECORD_ROW_H
#define KVTEL_RECORD_ROW_H

#include "record/lane.h"

#ifdef __x86_64__
#include <emmintrin.h>
#endif

/* Converts through a signed integer, which takes one instruction. `number` is below the limit, so it fits. */
static inline double kvtel_row_double(uint64_t number)
{
    return (double)(int64_t)number;
}

/* False, and the caller takes the general path: a number is too large for this conversion, or a 0 means "not measured".
 * Nothing was written then. */
static inline bool kvtel_row_write_portable(kvtel_word *row, const struct kvtel_transfer *transfer)
{
    uint64_t all = transfer->duration_ns | transfer->post_ns | transfer->bytes | transfer->descriptors;
    if (__builtin_expect(all >> 52 != 0 || transfer->post_ns == 0 || transfer->descriptors == 0, 0))
        return false;
    kvtel_word_store(&row[0], kvtel_double_bits(kvtel_row_double(transfer->duration_ns) / 1e9));
    kvtel_word_store(&row[1], kvtel_double_bits(kvtel_row_double(transfer->post_ns) / 1e9));
    kvtel_word_store(&row[2], kvtel_double_bits(kvtel_row_double(transfer->bytes)));
    kvtel_word_store(&row[3], kvtel_double_bits(kvtel_row_double(transfer->descriptors)));
    return true;
}

#ifdef __x86_64__
/* Two words with one store. No reader looks at a word of a row without the row's head, so the pair need not be one. */
static inline void kvtel_row_store_pair(kvtel_word *words, __m128d pair)
{
#ifdef KVTEL_LANE_TSAN
    kvtel_word_store(&words[0], kvtel_double_bits(_mm_cvtsd_f64(pair)));
    kvtel_word_store(&words[1], kvtel_double_bits(_mm_cvtsd_f64(_mm_unpackhi_pd(pair, pair))));
#else
    _mm_storeu_pd((double *)(uintptr_t)words, pair);
#endif
}

/* As kvtel_row_write_portable(). */
static inline bool kvtel_row_write_x86(kvtel_word *row, const struct kvtel_transfer *transfer)
{
    /* For a number below 2^52, the bits of the double 2^52 + number are the bits of 2^52 with the number as
     * mantissa. */
    const __m128i magic_bits = _mm_set1_epi64x(0x4330000000000000);
    const __m128d magic = _mm_castsi128_pd(magic_bits);
    const __m128i *numbers = (const __m128i *)(const void *)transfer;
    __m128i times = _mm_loadu_si128(&numbers[0]), sizes = _mm_loadu_si128(&numbers[1]);
    /* subtracts 1 where 0 means "not measured": 0 then becomes all ones, which the test below finds */
    const __m128i unmeasured = _mm_set_epi64x(1, 0);
    __m128i less = _mm_or_si128(_mm_sub_epi64(times, unmeasured), _mm_sub_epi64(sizes, unmeasured));
    __m128i high = _mm_srli_epi64(_mm_or_si128(_mm_or_si128(times, sizes), less), 52);
    if (__builtin_expect(_mm_movemask_epi8(_mm_cmpeq_epi32(high, _mm_setzero_si128())) != 0xffff, 0))
        return false;
    __m128d ns = _mm_sub_pd(_mm_castsi128_pd(_mm_or_si128(times, magic_bits)), magic);
    __m128d pieces = _mm_sub_pd(_mm_castsi128_pd(_mm_or_si128(sizes, magic_bits)), magic);
    kvtel_row_store_pair(&row[0], _mm_div_pd(ns, _mm_set1_pd(1e9)));
    kvtel_row_store_pair(&row[2], pieces);
    return true;
}
_Static_assert(offsetof(struct kvtel_transfer, duration_ns) == 0 && offsetof(struct kvtel_transfer, post_ns) == 8 &&
                   offsetof(struct kvtel_transfer, bytes) == 16 && offsetof(struct kvtel_transfer, descriptors) == 24,
               "read as two pairs");
#endif

static inline bool kvtel_row_write(kvtel_word *row, const struct kvtel_transfer *transfer)
{
#ifdef __x86_64__
    return kvtel_row_write_x86(row, transfer);
#else
    return kvtel_row_write_portable(row, transfer);
#endif
}

#endif
