/* SPDX-License-Identifier: Apache-2.0 */
/* Finding the cells of words: in C for every machine, by SSE2, and by AVX2 with FMA. */
#include "record/cells.h"

#ifdef __x86_64__
#include <immintrin.h>
#endif

void kvtel_quad_make(struct kvtel_quad *quad, uint32_t stride, const struct kvtel_bins *const *bins, uint32_t ns)
{
    quad->stride = stride;
    for (uint32_t i = 0; i < KVTEL_QUAD; i++) {
        quad->bins[i] = bins[i];
        quad->ns[i] = ns >> i & 1;
        quad->scale[i] = quad->ns[i] ? KVTEL_SCALE_NS : KVTEL_SCALE_PIECES;
        quad->minus[i] = -0x1p52 * quad->scale[i];
        const uint32_t place = (i >> 1) * 4 + (i & 1);
        quad->base[place] = quad->base[place + 2] = bins[i]->base[quad->ns[i]];
    }
}

static bool is_always_possible(void)
{
    return true;
}

/* The cell of a word of a kind. */
static inline int16_t cell_of(const struct kvtel_bins *bins, enum kvtel_words kind, uint64_t word)
{
    return (int16_t)(kind == KVTEL_WORDS_DOUBLES ? kvtel_cell_of_double(bins, word)
                                                 : kvtel_cell_of_integer(bins, word, kind == KVTEL_WORDS_NS));
}

static void quad_portable(const struct kvtel_quad *quad, const kvtel_row_word *block, struct kvtel_quad_found *found)
{
    for (uint32_t c = 0; c < KVTEL_QUAD; c++) {
        const kvtel_row_word *column = block + c;
        int16_t *cells = found->cells + kvtel_quad_place(0, c), lowest = INT16_MAX, highest = 0;
        uint64_t sum = 0;
        for (uint32_t row = 0; row < KVTEL_BLOCK_ROWS; row++, column += quad->stride) {
            const int16_t cell = (int16_t)kvtel_cell_of_integer(quad->bins[c], *column, quad->ns[c]);
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

static void column_portable(const struct kvtel_bins *bins, enum kvtel_words kind, uint64_t *words, uint32_t count,
                            struct kvtel_column_found *found)
{
    found->lowest = INT16_MAX;
    found->highest = 0;
    for (uint32_t i = 0; i < count; i++) {
        const int16_t cell = cell_of(bins, kind, words[i]);
        found->cells[i] = cell;
        found->lowest = cell < found->lowest ? cell : found->lowest;
        found->highest = cell > found->highest ? cell : found->highest;
    }
}

#ifdef __x86_64__
/* Takes lowest and highest cells of the columns from those of the 16 places of four rows: columns 0 and 1, then columns
 * 2 and 3, in turn. */
static void take_range(const __m128i *lows, const __m128i *highs, struct kvtel_quad_found *found)
{
    for (uint32_t half = 0; half < 2; half++) {
        __m128i low = lows[half], high = highs[half];
        low = _mm_min_epi16(low, _mm_shuffle_epi32(low, _MM_SHUFFLE(1, 0, 3, 2)));
        low = _mm_min_epi16(low, _mm_shuffle_epi32(low, _MM_SHUFFLE(2, 3, 0, 1)));
        high = _mm_max_epi16(high, _mm_shuffle_epi32(high, _MM_SHUFFLE(1, 0, 3, 2)));
        high = _mm_max_epi16(high, _mm_shuffle_epi32(high, _MM_SHUFFLE(2, 3, 0, 1)));
        const uint32_t two_low = (uint32_t)_mm_cvtsi128_si32(low), two_high = (uint32_t)_mm_cvtsi128_si32(high);
        found->lowest[2 * half] = (int16_t)(two_low & UINT16_MAX);
        found->lowest[2 * half + 1] = (int16_t)(two_low >> 16);
        found->highest[2 * half] = (int16_t)(two_high & UINT16_MAX);
        found->highest[2 * half + 1] = (int16_t)(two_high >> 16);
    }
}

/* Two integers below 2^52 as scaled doubles. */
static inline __m128 scale_sse2(__m128i pair, __m128d scale)
{
    const __m128i magic = _mm_set1_epi64x(0x4330000000000000);
    return _mm_castpd_ps(
        _mm_mul_pd(_mm_sub_pd(_mm_castsi128_pd(_mm_or_si128(pair, magic)), _mm_castsi128_pd(magic)), scale));
}

/* The upper halves of two pairs of doubles. */
static inline __m128i upper_halves_sse2(__m128 first, __m128 second)
{
    return _mm_castps_si128(_mm_shuffle_ps(first, second, _MM_SHUFFLE(3, 1, 3, 1)));
}

/* The upper 16 bits of an inner bound's mantissa, as a signed number of the same order. */
static inline short inner_sse2(int i)
{
    return (short)((int)(kvtel_cell_inner[i] >> 36) - 0x8000);
}

/* The inner bounds, in the order in which a search compares numbers with them: the middle one; what to add to the
 * second one if the number is above; what to add to the first one then, and what if it is above the second comparison's
 * bound, which differs, too. */
struct search_sse2 {
    __m128i middle, second, second_above, first, first_above, third, third_above;
};

static inline struct search_sse2 search_make(void)
{
    const short b[7] = { inner_sse2(0), inner_sse2(1), inner_sse2(2), inner_sse2(3),
                         inner_sse2(4), inner_sse2(5), inner_sse2(6) };
    return (struct search_sse2){ .middle = _mm_set1_epi16(b[3]),
                                 .second = _mm_set1_epi16(b[1]),
                                 .second_above = _mm_set1_epi16((short)(b[5] - b[1])),
                                 .first = _mm_set1_epi16(b[0]),
                                 .first_above = _mm_set1_epi16((short)(b[4] - b[0])),
                                 .third = _mm_set1_epi16((short)(b[2] - b[0])),
                                 .third_above = _mm_set1_epi16((short)(b[6] - b[4] - (b[2] - b[0]))) };
}

/* The number of inner bounds below each of eight mantissas, of which it gets 16 bits as signed numbers. A mantissa
 * whose 16 bits are those of a bound sets a lane of *unsure. */
static inline __m128i count_inner(__m128i mantissa, const struct search_sse2 *search, __m128i *unsure)
{
    const __m128i a = _mm_cmpgt_epi16(mantissa, search->middle);
    const __m128i second = _mm_add_epi16(search->second, _mm_and_si128(a, search->second_above));
    const __m128i b = _mm_cmpgt_epi16(mantissa, second);
    const __m128i step = _mm_add_epi16(search->third, _mm_and_si128(a, search->third_above));
    const __m128i third =
        _mm_add_epi16(_mm_add_epi16(search->first, _mm_and_si128(a, search->first_above)), _mm_and_si128(b, step));
    const __m128i c = _mm_cmpgt_epi16(mantissa, third);
    *unsure = _mm_or_si128(_mm_or_si128(_mm_cmpeq_epi16(mantissa, search->middle), _mm_cmpeq_epi16(mantissa, second)),
                           _mm_cmpeq_epi16(mantissa, third));
    /* a comparison that holds is -1 */
    const __m128i two = _mm_add_epi16(_mm_add_epi16(a, a), b);
    return _mm_sub_epi16(_mm_setzero_si128(), _mm_add_epi16(_mm_add_epi16(two, two), c));
}

/* The cells of four numbers without the inner bounds, given the upper halves of their scaled bits. */
static inline __m128i octaves_and_lines(__m128i high, __m128i base)
{
    return _mm_sub_epi32(_mm_add_epi32(_mm_srai_epi32(high, 13), _mm_slli_epi32(_mm_srai_epi32(high, 20), 3)), base);
}

/* The cells of four rows again, with all bits. */
static __attribute__((noinline)) void quad_again(const struct kvtel_quad *quad, const kvtel_row_word *rows,
                                                 int16_t *cells)
{
    for (uint32_t r = 0; r < KVTEL_QUAD_ROWS; r++)
        for (uint32_t c = 0; c < KVTEL_QUAD; c++)
            cells[kvtel_quad_place(r, c)] =
                (int16_t)kvtel_cell_of_integer(quad->bins[c], rows[r * quad->stride + c], quad->ns[c]);
}

/* Cells of two columns of a block, four rows at a time. */
static void pair_sse2(const struct kvtel_quad *quad, uint32_t half, const kvtel_row_word *block,
                      struct kvtel_quad_found *found, __m128i *lows, __m128i *highs)
{
    const struct search_sse2 search = search_make();
    const __m128d scale = _mm_loadu_pd(quad->scale + 2 * half);
    const __m128i base = _mm_loadu_si128((const __m128i *)(const void *)(quad->base + 4 * half));
    const __m128i top = _mm_set1_epi16(KVTEL_CELLS - 1), sign = _mm_set1_epi16(INT16_MIN);
    __m128i lowest = top, highest = _mm_setzero_si128(), sums = _mm_setzero_si128();
    for (uint32_t row = 0; row < KVTEL_BLOCK_ROWS; row += KVTEL_QUAD_ROWS) {
        const kvtel_row_word *rows = block + (size_t)row * quad->stride;
        __m128 scaled[KVTEL_QUAD_ROWS];
        for (uint32_t r = 0; r < KVTEL_QUAD_ROWS; r++) {
            const void *place = rows + (size_t)r * quad->stride + 2 * half;
            const __m128i pair = _mm_loadu_si128((const __m128i *)place);
            sums = _mm_add_epi64(sums, pair);
            scaled[r] = scale_sse2(pair, scale);
        }
        const __m128i first = upper_halves_sse2(scaled[0], scaled[1]), second = upper_halves_sse2(scaled[2], scaled[3]);
        const __m128i mantissa = _mm_xor_si128(_mm_packs_epi32(_mm_srai_epi32(_mm_slli_epi32(first, 12), 16),
                                                               _mm_srai_epi32(_mm_slli_epi32(second, 12), 16)),
                                               sign);
        __m128i unsure,
            *place = (__m128i *)(void *)(found->cells + row / KVTEL_QUAD_ROWS * KVTEL_QUAD_CELLS + 8 * half);
        __m128i cells = _mm_add_epi16(_mm_packs_epi32(octaves_and_lines(first, base), octaves_and_lines(second, base)),
                                      count_inner(mantissa, &search, &unsure));
        cells = _mm_min_epi16(_mm_max_epi16(cells, _mm_setzero_si128()), top);
        _mm_store_si128(place, cells);
        if (__builtin_expect(_mm_movemask_epi8(unsure) != 0, 0)) {
            int16_t again[KVTEL_QUAD_CELLS];
            quad_again(quad, rows, again);
            memcpy(place, again + 8 * half, sizeof(*place));
            cells = _mm_load_si128(place);
        }
        lowest = _mm_min_epi16(lowest, cells);
        highest = _mm_max_epi16(highest, cells);
    }
    lows[half] = lowest;
    highs[half] = highest;
    _mm_storeu_si128((__m128i *)(void *)(found->sums + 2 * half), sums);
}

static void quad_sse2(const struct kvtel_quad *quad, const kvtel_row_word *block, struct kvtel_quad_found *found)
{
    __m128i lows[2], highs[2];
    pair_sse2(quad, 0, block, found, lows, highs);
    pair_sse2(quad, 1, block, found, lows, highs);
    take_range(lows, highs, found);
}

#define AVX2 __attribute__((target("avx2,fma")))

static bool has_avx2(void)
{
    __builtin_cpu_init();
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
}

/* The upper halves of two vectors of four words, in the order 0 1, 4 5, 2 3, 6 7. */
static AVX2 inline __m256i upper_halves(__m256i first, __m256i second)
{
    return _mm256_castps_si256(
        _mm256_shuffle_ps(_mm256_castsi256_ps(first), _mm256_castsi256_ps(second), _MM_SHUFFLE(3, 1, 3, 1)));
}

static AVX2 inline __m256i load_inner(void)
{
    int32_t bounds[8];
    for (int i = 0; i < 8; i++)
        bounds[i] = i < 7 ? (int32_t)(kvtel_cell_inner[i] >> 32) : INT32_MAX;
    return _mm256_loadu_si256((const __m256i *)(const void *)bounds);
}

/* Cells of numbers, given the upper halves of their scaled bits. A number whose upper 20 bits of mantissa are those of
 * an inner bound sets a lane of *unsure. */
static AVX2 inline __m256i cells_of(__m256i high, __m256i inner, __m256i base, __m256i *unsure)
{
    const __m256i eighths = _mm256_srai_epi32(high, 17), cells = _mm256_srai_epi32(high, 13);
    const __m256i bound = _mm256_permutevar8x32_epi32(inner, eighths);
    const __m256i mantissa = _mm256_and_si256(high, _mm256_set1_epi32(0xfffff));
    *unsure = _mm256_or_si256(*unsure, _mm256_cmpeq_epi32(mantissa, bound));
    return _mm256_sub_epi32(_mm256_sub_epi32(_mm256_add_epi32(cells, eighths), base),
                            _mm256_cmpgt_epi32(mantissa, bound));
}

static AVX2 inline __m256i pack_cells(__m256i first, __m256i second)
{
    const __m256i cells = _mm256_max_epi16(_mm256_packs_epi32(first, second), _mm256_setzero_si256());
    return _mm256_min_epi16(cells, _mm256_set1_epi16(KVTEL_CELLS - 1));
}

static AVX2 inline __m256i load_words(const kvtel_row_word *words)
{
    return _mm256_loadu_si256((const __m256i *)(const void *)words);
}

/* Puts an integer below 2^52 into the mantissa of 2^52; the multiplication takes 2^52 away again. */
static AVX2 inline __m256i scale_avx2(__m256i words, __m256d scale, __m256d minus)
{
    const __m256i magic = _mm256_set1_epi64x(0x4330000000000000);
    return _mm256_castpd_si256(_mm256_fmadd_pd(_mm256_castsi256_pd(_mm256_or_si256(words, magic)), scale, minus));
}

static AVX2 void quad_avx2(const struct kvtel_quad *quad, const kvtel_row_word *block, struct kvtel_quad_found *found)
{
    const __m256i inner = load_inner(), base = _mm256_loadu_si256((const __m256i *)(const void *)quad->base);
    const __m256d scale = _mm256_loadu_pd(quad->scale), minus = _mm256_loadu_pd(quad->minus);
    __m256i lowest = _mm256_set1_epi16(INT16_MAX), highest = _mm256_setzero_si256(), sums = _mm256_setzero_si256();
    __m256i *place = (__m256i *)(void *)found->cells;
    const size_t stride = quad->stride;
    for (const kvtel_row_word *rows = block; rows < block + KVTEL_BLOCK_ROWS * stride;
         rows += KVTEL_QUAD_ROWS * stride, place++) {
        const __m256i a = load_words(rows), b = load_words(rows + stride), c = load_words(rows + 2 * stride),
                      d = load_words(rows + 3 * stride);
        sums = _mm256_add_epi64(sums, _mm256_add_epi64(_mm256_add_epi64(a, b), _mm256_add_epi64(c, d)));
        __m256i unsure = _mm256_setzero_si256();
        const __m256i first =
            cells_of(upper_halves(scale_avx2(a, scale, minus), scale_avx2(b, scale, minus)), inner, base, &unsure);
        const __m256i second =
            cells_of(upper_halves(scale_avx2(c, scale, minus), scale_avx2(d, scale, minus)), inner, base, &unsure);
        __m256i cells = pack_cells(first, second);
        _mm256_store_si256(place, cells);
        if (__builtin_expect(!_mm256_testz_si256(unsure, unsure), 0)) {
            quad_again(quad, rows, (int16_t *)place);
            cells = _mm256_load_si256(place);
        }
        lowest = _mm256_min_epi16(lowest, cells);
        highest = _mm256_max_epi16(highest, cells);
    }
    const __m128i lows[2] = { _mm256_castsi256_si128(lowest), _mm256_extracti128_si256(lowest, 1) };
    const __m128i highs[2] = { _mm256_castsi256_si128(highest), _mm256_extracti128_si256(highest, 1) };
    _mm256_storeu_si256((__m256i *)(void *)found->sums, sums);
    take_range(lows, highs, found);
}

/* The cells of 16 words again, with all bits. */
static __attribute__((noinline)) void column_again(const struct kvtel_bins *bins, enum kvtel_words kind,
                                                   const uint64_t *words, int16_t *cells)
{
    for (uint32_t i = 0; i < KVTEL_QUAD_CELLS; i++)
        cells[i] = cell_of(bins, kind, words[i]);
}

static AVX2 inline __m256i prepare(const uint64_t *words, enum kvtel_words kind, __m256d scale, __m256d minus)
{
    const __m256i four = load_words(words);
    return kind == KVTEL_WORDS_DOUBLES ? _mm256_sub_epi64(four, _mm256_set1_epi64x(1)) : scale_avx2(four, scale, minus);
}

static AVX2 inline __m256i find_16(const uint64_t *words, enum kvtel_words kind, __m256d scale, __m256i base,
                                   __m256i inner, __m256i *unsure)
{
    const __m256d minus = _mm256_mul_pd(scale, _mm256_set1_pd(-0x1p52));
    const __m256i first = cells_of(
        upper_halves(prepare(words, kind, scale, minus), prepare(words + 4, kind, scale, minus)), inner, base, unsure);
    const __m256i second =
        cells_of(upper_halves(prepare(words + 8, kind, scale, minus), prepare(words + 12, kind, scale, minus)), inner,
                 base, unsure);
    /* pairs of cells in the order 0 2 4 6, 1 3 5 7 */
    return _mm256_permutevar8x32_epi32(pack_cells(first, second), _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7));
}

static AVX2 inline void find_column(const struct kvtel_bins *bins, enum kvtel_words kind, uint64_t *words,
                                    uint32_t count, struct kvtel_column_found *found)
{
    const __m256i inner = load_inner(), base = _mm256_set1_epi32(bins->base[kind == KVTEL_WORDS_NS]);
    const __m256d scale = _mm256_set1_pd(kind == KVTEL_WORDS_NS ? KVTEL_SCALE_NS : KVTEL_SCALE_PIECES);
    __m256i lowest = _mm256_set1_epi16(INT16_MAX), highest = _mm256_setzero_si256();
    for (uint32_t i = count; i % KVTEL_QUAD_CELLS != 0; i++)
        words[i] = words[0];
    for (uint32_t i = 0; i < count; i += KVTEL_QUAD_CELLS) {
        __m256i unsure = _mm256_setzero_si256(), *place = (__m256i *)(void *)(found->cells + i);
        __m256i cells = find_16(words + i, kind, scale, base, inner, &unsure);
        _mm256_store_si256(place, cells);
        if (__builtin_expect(!_mm256_testz_si256(unsure, unsure), 0)) {
            column_again(bins, kind, words + i, found->cells + i);
            cells = _mm256_load_si256(place);
        }
        lowest = _mm256_min_epi16(lowest, cells);
        highest = _mm256_max_epi16(highest, cells);
    }
    int16_t lows[KVTEL_QUAD_CELLS], highs[KVTEL_QUAD_CELLS];
    _mm256_storeu_si256((__m256i *)(void *)lows, lowest);
    _mm256_storeu_si256((__m256i *)(void *)highs, highest);
    found->lowest = lows[0];
    found->highest = highs[0];
    for (uint32_t i = 1; i < KVTEL_QUAD_CELLS; i++) {
        found->lowest = lows[i] < found->lowest ? lows[i] : found->lowest;
        found->highest = highs[i] > found->highest ? highs[i] : found->highest;
    }
}

static AVX2 void column_avx2(const struct kvtel_bins *bins, enum kvtel_words kind, uint64_t *words, uint32_t count,
                             struct kvtel_column_found *found)
{
    if (kind == KVTEL_WORDS_DOUBLES)
        find_column(bins, KVTEL_WORDS_DOUBLES, words, count, found);
    else if (kind == KVTEL_WORDS_NS)
        find_column(bins, KVTEL_WORDS_NS, words, count, found);
    else
        find_column(bins, KVTEL_WORDS_PIECES, words, count, found);
}
#endif

const struct kvtel_finder kvtel_finders[] = {
#ifdef __x86_64__
    { "AVX2", has_avx2, quad_avx2, column_avx2 },
    { "SSE2", is_always_possible, quad_sse2, column_portable },
#endif
    { "C", is_always_possible, quad_portable, column_portable },
    { NULL, NULL, NULL, NULL },
};

const struct kvtel_finder *kvtel_finder_choose(void)
{
    const struct kvtel_finder *finder = kvtel_finders;
    while (!finder->is_possible())
        finder++;
    return finder;
}
