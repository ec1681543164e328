/* SPDX-License-Identifier: Apache-2.0 */
/* Finding the cells of rows of four integers: one way for every machine, and one for AVX2 with FMA. */
#include "record/quad.h"

#include <stdlib.h>
#ifdef __x86_64__
#include <immintrin.h>
#endif

void kvtel_quad_make(struct kvtel_quad *quad, const struct kvtel_bins *const *bins, uint32_t ns)
{
    for (uint32_t i = 0; i < KVTEL_QUAD; i++) {
        quad->bins[i] = bins[i];
        quad->ns[i] = ns >> i & 1;
        quad->scale[i] = quad->ns[i] ? KVTEL_SCALE_NS : KVTEL_SCALE_PIECES;
        quad->minus[i] = -0x1p52 * quad->scale[i];
        const uint32_t place = (i >> 1) * 4 + (i & 1);
        quad->base[place] = quad->base[place + 2] = bins[i]->base[quad->ns[i]];
    }
}

void kvtel_quad_find_portable(const struct kvtel_quad *quad, const kvtel_row_word *block,
                              struct kvtel_quad_found *found)
{
    for (uint32_t c = 0; c < KVTEL_QUAD; c++) {
        const struct kvtel_bins *bins = quad->bins[c];
        const double scale = quad->scale[c];
        const int64_t base = bins->base[quad->ns[c]];
        const kvtel_row_word *column = block + c;
        int16_t *cells = found->cells + kvtel_quad_place(0, c);
        int16_t lowest = INT16_MAX, highest = 0;
        uint64_t sum = 0;
        for (uint32_t row = 0; row < KVTEL_BLOCK_ROWS; row++, column += KVTEL_QUAD) {
            const double scaled = (double)(int64_t)*column * scale;
            const int16_t cell = (int16_t)kvtel_cell_clamp(kvtel_cell_key(kvtel_bins_bits(scaled)) - base, KVTEL_CELLS);
            sum += *column;
            lowest = cell < lowest ? cell : lowest;
            highest = cell > highest ? cell : highest;
            cells[row / KVTEL_QUAD_ROWS * KVTEL_QUAD_CELLS + 2 * (row % KVTEL_QUAD_ROWS)] = cell;
        }
        found->lowest[c] = lowest;
        found->highest[c] = highest;
        found->sums[c] = sum;
    }
}

#ifdef __x86_64__
#define AVX2 __attribute__((target("avx2,fma")))

/* The upper halves of four scaled integers of each of two rows, as columns 0 1 0 1 2 3 2 3. */
static AVX2 inline __m256i upper_halves(__m256d first, __m256d second)
{
    return _mm256_castps_si256(
        _mm256_shuffle_ps(_mm256_castpd_ps(first), _mm256_castpd_ps(second), _MM_SHUFFLE(3, 1, 3, 1)));
}

/* Cells of 2 rows. A number whose upper 20 bits of mantissa are those of an inner bound sets a lane of *unsure. */
static AVX2 inline __m256i cells_of(__m256i high, __m256i inner, __m256i base, __m256i *unsure)
{
    const __m256i eighths = _mm256_srli_epi32(high, 17), cells = _mm256_srli_epi32(high, 13);
    const __m256i bound = _mm256_permutevar8x32_epi32(inner, eighths);
    const __m256i mantissa = _mm256_and_si256(high, _mm256_set1_epi32(0xfffff));
    *unsure = _mm256_or_si256(*unsure, _mm256_cmpeq_epi32(mantissa, bound));
    return _mm256_sub_epi32(_mm256_sub_epi32(_mm256_add_epi32(cells, eighths), base),
                            _mm256_cmpgt_epi32(mantissa, bound));
}

/* The cells of four rows again, with all bits. */
static __attribute__((noinline)) void find_again(const struct kvtel_quad *quad, const kvtel_row_word *rows,
                                                 int16_t *cells)
{
    for (uint32_t r = 0; r < KVTEL_QUAD_ROWS; r++)
        for (uint32_t c = 0; c < KVTEL_QUAD; c++)
            cells[kvtel_quad_place(r, c)] =
                (int16_t)kvtel_cell_of_integer(quad->bins[c], rows[r * KVTEL_QUAD + c], quad->ns[c]);
}

static AVX2 inline __m256i load_row(const kvtel_row_word *block, uint32_t row)
{
    return _mm256_loadu_si256((const __m256i *)(const void *)(block + (size_t)row * KVTEL_QUAD));
}

/* Puts an integer below 2^52 into the mantissa of 2^52; the multiplication takes 2^52 away again. */
static AVX2 inline __m256d scale_row(__m256i row, __m256i magic, __m256d scale, __m256d minus)
{
    return _mm256_fmadd_pd(_mm256_castsi256_pd(_mm256_or_si256(row, magic)), scale, minus);
}

static AVX2 void find_avx2(const struct kvtel_quad *quad, const kvtel_row_word *block, struct kvtel_quad_found *found)
{
    int32_t bounds[8];
    for (int i = 0; i < 8; i++)
        bounds[i] = i < 7 ? (int32_t)(kvtel_cell_inner[i] >> 32) : INT32_MAX;
    const __m256i inner = _mm256_loadu_si256((const __m256i *)(const void *)bounds);
    const __m256i base = _mm256_loadu_si256((const __m256i *)(const void *)quad->base);
    const __m256i magic = _mm256_set1_epi64x(0x4330000000000000), top = _mm256_set1_epi16(KVTEL_CELLS - 1);
    const __m256d scale = _mm256_loadu_pd(quad->scale), minus = _mm256_loadu_pd(quad->minus);
    __m256i lowest = top, highest = _mm256_setzero_si256(), sums = _mm256_setzero_si256();
    for (uint32_t row = 0; row < KVTEL_BLOCK_ROWS; row += KVTEL_QUAD_ROWS) {
        const __m256i a = load_row(block, row), b = load_row(block, row + 1), c = load_row(block, row + 2),
                      d = load_row(block, row + 3);
        sums = _mm256_add_epi64(sums, _mm256_add_epi64(_mm256_add_epi64(a, b), _mm256_add_epi64(c, d)));
        __m256i unsure = _mm256_setzero_si256();
        const __m256i first = cells_of(
            upper_halves(scale_row(a, magic, scale, minus), scale_row(b, magic, scale, minus)), inner, base, &unsure);
        const __m256i second = cells_of(
            upper_halves(scale_row(c, magic, scale, minus), scale_row(d, magic, scale, minus)), inner, base, &unsure);
        __m256i cells = _mm256_packs_epi32(first, second);
        cells = _mm256_min_epi16(_mm256_max_epi16(cells, _mm256_setzero_si256()), top);
        __m256i *place = (__m256i *)(void *)(found->cells + row / KVTEL_QUAD_ROWS * KVTEL_QUAD_CELLS);
        _mm256_store_si256(place, cells);
        if (__builtin_expect(!_mm256_testz_si256(unsure, unsure), 0)) {
            find_again(quad, block + (size_t)row * KVTEL_QUAD, (int16_t *)place);
            cells = _mm256_load_si256(place);
        }
        lowest = _mm256_min_epi16(lowest, cells);
        highest = _mm256_max_epi16(highest, cells);
    }
    _Alignas(32) int16_t lows[KVTEL_QUAD_CELLS], highs[KVTEL_QUAD_CELLS];
    _mm256_store_si256((__m256i *)(void *)lows, lowest);
    _mm256_store_si256((__m256i *)(void *)highs, highest);
    _mm256_storeu_si256((__m256i *)(void *)found->sums, sums);
    for (uint32_t c = 0; c < KVTEL_QUAD; c++) {
        found->lowest[c] = lows[kvtel_quad_place(0, c)];
        found->highest[c] = highs[kvtel_quad_place(0, c)];
        for (uint32_t r = 1; r < KVTEL_QUAD_ROWS; r++) {
            const uint32_t at = kvtel_quad_place(r, c);
            found->lowest[c] = lows[at] < found->lowest[c] ? lows[at] : found->lowest[c];
            found->highest[c] = highs[at] > found->highest[c] ? highs[at] : found->highest[c];
        }
    }
}
#endif

kvtel_quad_fn kvtel_quad_choose(void)
{
#ifdef __x86_64__
    __builtin_cpu_init();
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && !getenv("KVTEL_PORTABLE"))
        return find_avx2;
#endif
    return kvtel_quad_find_portable;
}
