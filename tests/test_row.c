/* SPDX-License-Identifier: Apache-2.0 */
/* The two ways of writing a row leave the same bits, and refuse the same transfers. */
#include "record/row.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
/* after what it needs */
#include <cmocka.h>

enum { COLUMNS = 4, RANDOM_TRANSFERS = 200000 };

static const uint64_t untouched = UINT64_C(0x5555555555555555);

struct written {
    bool taken;
    uint64_t words[COLUMNS];
};

static struct written write_with(bool (*write)(kvtel_word *row, const struct kvtel_transfer *transfer),
                                 const struct kvtel_transfer *transfer)
{
    /* A row begins at any word: not where a vector would like it. */
    static _Alignas(16) kvtel_word room[COLUMNS + 3];
    kvtel_word *row = room + 1;
    struct written written;
    for (size_t i = 0; i < sizeof(room) / sizeof(room[0]); i++)
        kvtel_word_store(&room[i], untouched);
    written.taken = write(row, transfer);
    for (size_t i = 0; i < COLUMNS; i++)
        written.words[i] = kvtel_word_load(&row[i]);
    assert_int_equal(kvtel_word_load(&row[-1]), untouched);
    assert_int_equal(kvtel_word_load(&row[COLUMNS]), untouched);
    return written;
}

static void check(const uint64_t numbers[COLUMNS])
{
    const struct kvtel_transfer transfer = {
        .duration_ns = numbers[0], .post_ns = numbers[1], .bytes = numbers[2], .descriptors = numbers[3]
    };
    struct written portable = write_with(kvtel_row_write_portable, &transfer);
    struct written chosen = write_with(kvtel_row_write, &transfer);
    assert_int_equal(portable.taken, chosen.taken);
    assert_memory_equal(portable.words, chosen.words, sizeof(portable.words));
    for (size_t i = 0; i < COLUMNS; i++)
        if (!portable.taken)
            assert_int_equal(portable.words[i], untouched);
}

static const uint64_t edges[] = { 0,
                                  1,
                                  2,
                                  999999999,
                                  1000000000,
                                  1000000001,
                                  UINT32_MAX,
                                  UINT64_C(1) << 32,
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

static uint64_t next_random(uint64_t *seed)
{
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    *seed ^= *seed << 17;
    return *seed;
}

static void test_random(void **state)
{
    (void)state;
    uint64_t seed = UINT64_C(0x9E3779B97F4A7C15), numbers[COLUMNS];
    for (int i = 0; i < RANDOM_TRANSFERS; i++) {
        for (size_t k = 0; k < COLUMNS; k++) /* of each size: 1 to 54 bits */
            numbers[k] = next_random(&seed) >> (10 + next_random(&seed) % 54);
        check(numbers);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_edges),
        cmocka_unit_test(test_random),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
