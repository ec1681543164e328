/* SPDX-License-Identifier: Apache-2.0 */
/* Writing the row of a point-to-point transfer: four integers as the caller gave them, in one way for every machine and
 * in a faster one for x86-64. Both write the same words. */
#ifndef KVTEL_RECORD_ROW_H
#define KVTEL_RECORD_ROW_H

#include "record/lane.h"
#include "record/recorder.h"

#if defined(__x86_64__) && !defined(KVTEL_LANE_TSAN)
#define KVTEL_ROW_SSE2 1
#include <emmintrin.h>
#endif

/* Numbers up to here are written at once. It is half of KVTEL_INTEGER_LIMIT, so that post and descriptors can be
 * compared less 1. */
#define KVTEL_ROW_LIMIT (KVTEL_INTEGER_LIMIT / 2)

/* False, and the caller takes the general path: a number is too large, or a 0 means "not measured". The row holds
 * anything then; nobody reads it before its head is published. */
static inline bool kvtel_row_write_numbers(kvtel_word *row, uint64_t duration, uint64_t post, uint64_t bytes,
                                           uint64_t descriptors)
{
    kvtel_word_store(&row[0], duration);
    kvtel_word_store(&row[1], post);
    kvtel_word_store(&row[2], bytes);
    kvtel_word_store(&row[3], descriptors);
    /* 0 - 1 is all ones */
    return __builtin_expect((duration | (post - 1) | bytes | (descriptors - 1)) < KVTEL_ROW_LIMIT, 1);
}

static inline bool kvtel_row_write_portable(kvtel_word *row, const struct kvtel_transfer *transfer)
{
    return kvtel_row_write_numbers(row, transfer->duration_ns, transfer->post_ns, transfer->bytes,
                                   transfer->descriptors);
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

/* The numbers of two pairs, less 1 where 0 means "not measured": 0 then becomes all ones. */
static inline __m128i kvtel_row_less(__m128i times, __m128i sizes)
{
    const __m128i less = _mm_set_epi64x(-1, 0);
    return _mm_or_si128(_mm_add_epi64(times, less), _mm_add_epi64(sizes, less));
}

/* Whether numbers that kvtel_row_less() put together are below KVTEL_ROW_LIMIT: to the upper 16 bits of each is added,
 * without wrapping around, what makes the limit negative. */
static inline bool kvtel_row_is_plain(__m128i less)
{
    const int64_t up_to_sign = (INT64_C(0x8000) - (int64_t)(KVTEL_ROW_LIMIT >> 48)) << 48;
    const __m128i raised = _mm_adds_epu16(less, _mm_set1_epi64x(up_to_sign));
    return __builtin_expect(_mm_movemask_pd(_mm_castsi128_pd(raised)) == 0, 1);
}

/* As kvtel_row_write_portable(). */
static inline bool kvtel_row_write_sse2(kvtel_word *row, const struct kvtel_transfer *transfer)
{
    const __m128i times = kvtel_row_load_pair(&transfer->duration_ns), sizes = kvtel_row_load_pair(&transfer->bytes);
    kvtel_row_store_pair(&row[0], times);
    kvtel_row_store_pair(&row[2], sizes);
    return kvtel_row_is_plain(kvtel_row_less(times, sizes));
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

#ifdef KVTEL_ROW_SSE2
/* All ones where a number of the pair was not measured. */
static inline __m128i kvtel_row_missing(__m128i pair)
{
    const __m128i flip = _mm_set_epi64x(0, INT64_MIN), mask = _mm_set_epi64x(INT64_MAX, -1);
    const __m128i zeros = _mm_cmpeq_epi32(_mm_and_si128(_mm_xor_si128(pair, flip), mask), _mm_setzero_si128());
    return _mm_and_si128(zeros, _mm_shuffle_epi32(zeros, _MM_SHUFFLE(2, 3, 0, 1)));
}
_Static_assert(KVTEL_UNMEASURED == UINT64_C(1) << 63, "compared as the lowest number");

/* Writes a row of which numbers may not be measured. *absent gets a bit for each of them. False: as
 * kvtel_row_write(), but for these numbers. */
static inline bool kvtel_row_write_some(kvtel_word *row, const struct kvtel_transfer *transfer, uint64_t *absent)
{
    const __m128i times = kvtel_row_load_pair(&transfer->duration_ns), sizes = kvtel_row_load_pair(&transfer->bytes);
    const __m128i no_times = kvtel_row_missing(times), no_sizes = kvtel_row_missing(sizes);
    kvtel_row_store_pair(&row[0], _mm_or_si128(times, no_times));
    kvtel_row_store_pair(&row[2], _mm_or_si128(sizes, no_sizes));
    *absent = (uint64_t)(unsigned)_mm_movemask_pd(_mm_castsi128_pd(no_times)) |
              (uint64_t)(unsigned)_mm_movemask_pd(_mm_castsi128_pd(no_sizes)) << 2;
    return kvtel_row_is_plain(_mm_or_si128(_mm_andnot_si128(no_times, times), _mm_andnot_si128(no_sizes, sizes)));
}
#endif

/* Writes up to `count` rows, at least one. Returns how many of them hold plain transfers, from the first one on. */
static inline size_t kvtel_row_write_many(kvtel_word *row, const struct kvtel_transfer *transfers, size_t count)
{
    size_t done = 0;
#ifdef KVTEL_ROW_SSE2
    enum { TOGETHER = 4 };
    for (; done + TOGETHER <= count; done += TOGETHER, row += TOGETHER * KVTEL_POINT_TO_POINT) {
        __m128i all = _mm_setzero_si128();
#pragma GCC unroll 4
        for (size_t i = 0; i < TOGETHER; i++) {
            const struct kvtel_transfer *transfer = &transfers[done + i];
            /* the numbers of a batch were written a while ago, so both can be loaded at once */
            const __m128i times = _mm_loadu_si128((const __m128i *)(const void *)&transfer->duration_ns);
            const __m128i sizes = _mm_loadu_si128((const __m128i *)(const void *)&transfer->bytes);
            kvtel_row_store_pair(row + i * KVTEL_POINT_TO_POINT, times);
            kvtel_row_store_pair(row + i * KVTEL_POINT_TO_POINT + 2, sizes);
            all = _mm_or_si128(all, kvtel_row_less(times, sizes));
        }
        uint64_t timed = transfers[done].done_ns | transfers[done + 1].done_ns | transfers[done + 2].done_ns |
                         transfers[done + 3].done_ns;
        if (timed != 0 || !kvtel_row_is_plain(all))
            break;
    }
#endif
    while (done < count && transfers[done].done_ns == 0 && kvtel_row_write(row, &transfers[done])) {
        row += KVTEL_POINT_TO_POINT;
        done++;
    }
    return done;
}

#endif
