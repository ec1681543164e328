/* SPDX-License-Identifier: Apache-2.0 */
/* Writing the row of a point-to-point transfer: four integers as the caller gave them, in one way for every machine and
 * in a faster one for x86-64. Both write the same words. */
#ifndef KVTEL_RECORD_ROW_H
#define KVTEL_RECORD_ROW_H

#include "record/lane.h"

#if defined(__x86_64__) && !defined(KVTEL_LANE_TSAN)
#define KVTEL_ROW_SSE2 1
#include <emmintrin.h>
#endif

/* False, and the caller takes the general path: a number is too large for an integer of a row, or a 0 means "not
 * measured". The row holds anything then; nobody reads it before its head is published. */
static inline bool kvtel_row_write_portable(kvtel_word *row, const struct kvtel_transfer *transfer)
{
    const uint64_t duration = transfer->duration_ns, post = transfer->post_ns, bytes = transfer->bytes,
                   descriptors = transfer->descriptors;
    kvtel_word_store(&row[0], duration);
    kvtel_word_store(&row[1], post);
    kvtel_word_store(&row[2], bytes);
    kvtel_word_store(&row[3], descriptors);
    /* 0 - 1 is all ones */
    const uint64_t all = duration | post | bytes | descriptors | (post - 1) | (descriptors - 1);
    return __builtin_expect(all < KVTEL_INTEGER_LIMIT, 1);
}

#ifdef KVTEL_ROW_SSE2
/* Two numbers, loaded one by one: a caller has filled the struct just before, and the processor would not forward its
 * stores to a load of both at once. */
static inline __m128i kvtel_row_load_pair(const uint64_t *numbers)
{
    __m128i pair = _mm_loadl_epi64((const __m128i *)(const void *)numbers);
    __asm__("movhps %1, %0" : "+x"(pair) : "m"(numbers[1])); /* the compiler would make one load of two */
    return pair;
}

/* Two words with one store. No reader looks at a word of a row without the row's head, so the pair need not be one. */
static inline void kvtel_row_store_pair(kvtel_word *words, __m128i pair)
{
    _mm_storeu_si128((__m128i *)(uintptr_t)words, pair);
}

/* As kvtel_row_write_portable(). */
static inline bool kvtel_row_write_sse2(kvtel_word *row, const struct kvtel_transfer *transfer)
{
    const __m128i times = kvtel_row_load_pair(&transfer->duration_ns), sizes = kvtel_row_load_pair(&transfer->bytes);
    /* subtracts 1 where 0 means "not measured": 0 then becomes all ones */
    const __m128i unmeasured = _mm_set_epi64x(1, 0);
    kvtel_row_store_pair(&row[0], times);
    kvtel_row_store_pair(&row[2], sizes);
    const __m128i less = _mm_or_si128(_mm_sub_epi64(times, unmeasured), _mm_sub_epi64(sizes, unmeasured));
    const __m128i high = _mm_srli_epi64(_mm_or_si128(_mm_or_si128(times, sizes), less), 52);
    return __builtin_expect(_mm_movemask_epi8(_mm_cmpeq_epi32(high, _mm_setzero_si128())) == 0xffff, 1);
}
_Static_assert(offsetof(struct kvtel_transfer, duration_ns) == 0 && offsetof(struct kvtel_transfer, post_ns) == 8 &&
                   offsetof(struct kvtel_transfer, bytes) == 16 && offsetof(struct kvtel_transfer, descriptors) == 24,
               "read as two pairs");
#endif

static inline bool kvtel_row_write(kvtel_word *row, const struct kvtel_transfer *transfer)
{
#ifdef KVTEL_ROW_SSE2
    return kvtel_row_write_sse2(row, transfer);
#else
    return kvtel_row_write_portable(row, transfer);
#endif
}

#endif
