/* SPDX-License-Identifier: Apache-2.0 */
/* Rows hold the numbers as they were given, and every way of finding their cells finds the same ones. */
#include "record/cells.h"
#include "record/row.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
/* after what it needs */
#include <cmocka.h>

enum { COLUMNS = 4, RANDOM_BLOCKS = 2000 };

static const uint64_t untouched = UINT64_C(0x5555555555555555);

#ifdef KVTEL_ROW_SSE2
/* A number that is not measured becomes a word without a value. */
static void check_some(kvtel_word *row, const struct kvtel_transfer *transfer, const uint64_t numbers[COLUMNS])
{
    uint64_t absent = 0, found;
    bool fits = true;
    for (size_t i = 0; i < COLUMNS; i++) {
        if (numbers[i] == KVTEL_UNMEASURED || (numbers[i] == 0 && i % 2 == 1))
            absent |= UINT64_C(1) << i;
        else
            fits = fits && numbers[i] < KVTEL_ROW_LIMIT;
    }
    assert_int_equal(kvtel_row_write_some(row, transfer, &found), fits);
    if (!fits)
        return;
    assert_int_equal(found, absent);
    for (size_t i = 0; i < COLUMNS; i++)
        assert_true(kvtel_word_load(&row[i]) == (absent >> i & 1 ? KVTEL_NO_VALUE : numbers[i]));
}
#endif

/* A row is taken whole, and nothing beside it is written. */
static void check(const uint64_t numbers[COLUMNS])
{
    /* A row begins at any word: not where a vector would like it. */
    static _Alignas(16) kvtel_word room[COLUMNS + 3];
    kvtel_word *row = room + 1;
    const struct kvtel_transfer transfer = {
        .duration_ns = numbers[0], .post_ns = numbers[1], .bytes = numbers[2], .descriptors = numbers[3]
    };
    bool fits = true;
    for (size_t i = 0; i < COLUMNS; i++)
        fits = fits && numbers[i] - i % 2 < KVTEL_ROW_LIMIT; /* 0 is no number of the columns 1 and 3 */
    for (size_t i = 0; i < sizeof(room) / sizeof(room[0]); i++)
        kvtel_word_store(&room[i], untouched);
    assert_int_equal(kvtel_row_write(row, &transfer), fits);
    assert_int_equal(kvtel_word_load(&row[-1]), untouched);
    assert_int_equal(kvtel_word_load(&row[COLUMNS]), untouched);
    for (size_t i = 0; i < COLUMNS; i++)
        assert_true(!fits || kvtel_word_load(&row[i]) == numbers[i]);
    assert_int_equal(kvtel_row_write_portable(row, &transfer), fits);
    for (size_t i = 0; i < COLUMNS; i++)
        assert_true(!fits || kvtel_word_load(&row[i]) == numbers[i]);
#ifdef KVTEL_ROW_SSE2
    check_some(row, &transfer, numbers);
#endif
}

static const uint64_t edges[] = { 0,
                                  1,
                                  2,
                                  999999999,
                                  1000000000,
                                  1000000001,
                                  UINT32_MAX,
                                  UINT64_C(1) << 32,
                                  (UINT64_C(1) << 51) - 1,
                                  UINT64_C(1) << 51,
                                  (UINT64_C(1) << 51) + 1,
                                  (UINT64_C(1) << 52) - 1,
                                  UINT64_C(1) << 52,
                                  (UINT64_C(1) << 53) + 1,
                                  INT64_MAX,
                                  UINT64_C(1) << 63,
                                  UINT64_MAX };
enum { EDGES = sizeof(edges) / sizeof(edges[0]) };

static void test_edges(void **state)
{
    (void)state;
    for (size_t a = 0; a < EDGES; a++)
        for (size_t b = 0; b < EDGES; b++)
            for (size_t c = 0; c < EDGES; c++)
                for (size_t d = 0; d < EDGES; d++)
                    check((const uint64_t[COLUMNS]){ edges[a], edges[b], edges[c], edges[d] });
}

/* Of a batch, the rows up to the first transfer that is not plain are taken. */
static void test_many(void **state)
{
    (void)state;
    enum { MOST = 11, KINDS = 4 };
    static kvtel_word rows[(MOST + 1) * COLUMNS];
    for (size_t count = 1; count <= MOST; count++) {
        for (size_t bad = 0; bad <= count * KINDS; bad++) {
            struct kvtel_transfer transfers[MOST] = { { 0 } };
            const size_t taken = bad == count * KINDS ? count : bad / KINDS;
            for (size_t i = 0; i < count; i++)
                transfers[i] = (struct kvtel_transfer){
                    .duration_ns = 1000 + i, .post_ns = 100 + i, .bytes = 4096 * i, .descriptors = 1 + i
                };
            if (taken < count && bad % KINDS == 0)
                transfers[taken].done_ns = 5;
            else if (taken < count && bad % KINDS == 1)
                transfers[taken].post_ns = 0;
            else if (taken < count && bad % KINDS == 2)
                transfers[taken].bytes = UINT64_C(1) << 53;
            else if (taken < count)
                transfers[taken].descriptors = KVTEL_UNMEASURED;
            for (size_t i = 0; i < (MOST + 1) * COLUMNS; i++)
                kvtel_word_store(&rows[i], untouched);
            assert_int_equal(kvtel_row_write_many(rows, transfers, count), taken);
            for (size_t i = 0; i < taken; i++) {
                assert_int_equal(kvtel_word_load(&rows[i * COLUMNS]), transfers[i].duration_ns);
                assert_int_equal(kvtel_word_load(&rows[i * COLUMNS + 1]), transfers[i].post_ns);
                assert_int_equal(kvtel_word_load(&rows[i * COLUMNS + 2]), transfers[i].bytes);
                assert_int_equal(kvtel_word_load(&rows[i * COLUMNS + 3]), transfers[i].descriptors);
            }
            for (size_t i = count * COLUMNS; i < (MOST + 1) * COLUMNS; i++)
                assert_true(kvtel_word_load(&rows[i]) == untouched);
        }
    }
}

static uint64_t next_random(uint64_t *seed)
{
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    *seed ^= *seed << 17;
    return *seed;
}

struct quads {
    struct kvtel_bins *list;
    struct kvtel_quad quad;
};

static struct quads make_quads(void)
{
    static const enum kvtel_unit units[COLUMNS] = { KVTEL_UNIT_SECONDS, KVTEL_UNIT_SECONDS, KVTEL_UNIT_BYTES,
                                                    KVTEL_UNIT_COUNT };
    struct quads quads = { .list = NULL };
    const struct kvtel_bins *bins[COLUMNS];
    for (size_t i = 0; i < COLUMNS; i++) {
        int32_t first;
        uint32_t count;
        kvtel_bins_range(units[i], &first, &count);
        bins[i] = kvtel_bins_get(&quads.list, NULL, 0, first, count);
        assert_non_null(bins[i]);
    }
    kvtel_quad_make(&quads.quad, COLUMNS, bins, 3);
    return quads;
}

/* Compares the ways with the cell of each word, for a block of numbers. */
static void check_block(const struct kvtel_quad *quad, const uint64_t *block)
{
    for (const struct kvtel_finder *finder = kvtel_finders; finder->name; finder++) {
        struct kvtel_quad_found found;
        if (!finder->is_possible())
            continue;
        finder->quad(quad, block, &found);
        for (uint32_t c = 0; c < COLUMNS; c++) {
            int lowest = INT16_MAX, highest = 0;
            uint64_t sum = 0;
            for (uint32_t row = 0; row < KVTEL_BLOCK_ROWS; row++) {
                const uint64_t number = block[row * COLUMNS + c];
                const int cell = (int)kvtel_cell_of_integer(quad->bins[c], number, quad->ns[c]);
                assert_int_equal(
                    found.cells[row / KVTEL_QUAD_ROWS * KVTEL_QUAD_CELLS + kvtel_quad_place(row % KVTEL_QUAD_ROWS, c)],
                    cell);
                lowest = cell < lowest ? cell : lowest;
                highest = cell > highest ? cell : highest;
                sum += number;
            }
            assert_int_equal(found.lowest[c], lowest);
            assert_int_equal(found.highest[c], highest);
            assert_int_equal(found.sums[c], sum);
        }
    }
}

static void test_random_cells(void **state)
{
    (void)state;
    struct quads quads = make_quads();
    uint64_t seed = UINT64_C(0x9E3779B97F4A7C15), block[KVTEL_BLOCK_ROWS * COLUMNS];
    for (int i = 0; i < RANDOM_BLOCKS; i++) {
        for (size_t k = 0; k < KVTEL_BLOCK_ROWS * COLUMNS; k++) /* of each size: 1 to 52 bits */
            block[k] = next_random(&seed) >> (12 + next_random(&seed) % 52);
        check_block(&quads.quad, block);
    }
    kvtel_bins_free(quads.list);
}

/* Compares the ways for columns of integers and of doubles, of each length. */
static void test_columns(void **state)
{
    (void)state;
    struct quads quads = make_quads();
    uint64_t seed = UINT64_C(0x9E3779B97F4A7C15), words[KVTEL_BLOCK_ROWS];
    for (uint32_t count = 1; count <= KVTEL_BLOCK_ROWS; count++) {
        for (int kind = KVTEL_WORDS_PIECES; kind <= KVTEL_WORDS_DOUBLES; kind++) {
            const bool doubles = kind == KVTEL_WORDS_DOUBLES, ns = kind == KVTEL_WORDS_NS;
            const struct kvtel_bins *bins = quads.quad.bins[ns ? 0 : next_random(&seed) % COLUMNS];
            for (const struct kvtel_finder *finder = kvtel_finders; finder->name; finder++) {
                struct kvtel_column_found found;
                int lowest = INT16_MAX, highest = 0;
                if (!finder->is_possible())
                    continue;
                for (uint32_t i = 0; i < count; i++)
                    words[i] = doubles ? kvtel_double_word((double)(next_random(&seed) % 1000000) * 0x1p-25)
                                       : next_random(&seed) >> (12 + next_random(&seed) % 52);
                finder->column(bins, (enum kvtel_words)kind, words, count, &found);
                for (uint32_t i = 0; i < count; i++) {
                    const int cell = (int)kvtel_cell_of_word(bins, words[i], ns);
                    assert_int_equal(found.cells[i], cell);
                    lowest = cell < lowest ? cell : lowest;
                    highest = cell > highest ? cell : highest;
                }
                assert_int_equal(found.lowest, lowest);
                assert_int_equal(found.highest, highest);
            }
        }
    }
    kvtel_bins_free(quads.list);
}

/* The largest integer that is shown at or below a bound. */
static uint64_t below(double bound, bool ns)
{
    uint64_t most = (uint64_t)(ns ? bound * 1e9 : bound);
    while (most > 0 && kvtel_word_value(most, ns) > bound)
        most--;
    while (kvtel_word_value(most + 1, ns) <= bound)
        most++;
    return most;
}

/* The integers on both sides of every bound of a cell stand on the sides on which their values as doubles are, and the
 * map from numbers to cells is monotone: so every integer is in the cell of its value. */
static void test_each_bound(void **state)
{
    (void)state;
    struct quads quads = make_quads();
    uint64_t block[KVTEL_BLOCK_ROWS * COLUMNS], last[KVTEL_BLOCK_ROWS * COLUMNS] = { 0 };
    size_t used = 0;
    for (uint32_t c = 0; c < COLUMNS; c++) {
        const struct kvtel_bins *bins = quads.quad.bins[c];
        const bool ns = quads.quad.ns[c];
        for (uint32_t bin = 0; bin < bins->bound_count; bin++) {
            const uint64_t most = below(bins->bounds[bin], ns);
            for (uint64_t number = most; number <= most + 1; number++) {
                const uint64_t value = kvtel_double_bits(kvtel_word_value(number, ns));
                assert_int_equal(kvtel_cell_of_integer(bins, number, ns), kvtel_cell_of_double(bins, value));
                assert_int_equal(bins->bin_of[kvtel_cell_of_integer(bins, number, ns)], kvtel_bins_find(bins, value));
                block[used * COLUMNS + c] = number;
            }
            for (uint32_t k = 0; k < COLUMNS; k++)
                block[used * COLUMNS + k] = k == c ? most : next_random(&(uint64_t){ most + k + 1 }) >> 12;
            used = (used + 1) % KVTEL_BLOCK_ROWS;
            if (used == 0)
                check_block(&quads.quad, block);
        }
    }
    check_block(&quads.quad, last);
    kvtel_bins_free(quads.list);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_edges),   cmocka_unit_test(test_many),       cmocka_unit_test(test_random_cells),
        cmocka_unit_test(test_columns), cmocka_unit_test(test_each_bound),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
