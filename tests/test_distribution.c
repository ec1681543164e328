/* SPDX-License-Identifier: Apache-2.0 */
/* Distributions: exact counts and sums, quantiles within 1 %, of values of any size, merged in any order. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <float.h>
#include <math.h>
#include <stdlib.h>

#include "histogram/bins.h"
#include "histogram/distribution.h"

static void add(struct kvtel_distribution *distribution, double value)
{
    if (value > 0)
        assert_int_equal(kvtel_distribution_reserve(distribution, value, value), KVTEL_OK);
    kvtel_distribution_add_double(distribution, value);
}

static void free_bins(struct kvtel_distribution *distribution)
{
    free(distribution->bins);
    *distribution = (struct kvtel_distribution){ 0 };
}

static void check_quantile(const struct kvtel_distribution *distribution, double q, double wanted)
{
    double got = kvtel_distribution_quantile(distribution, q);
    if (!(fabs(got - wanted) <= 0.01 * wanted))
        fail_msg("quantile %g is %.17g, not %.17g", q, got, wanted);
}

static void test_empty(void **state)
{
    (void)state;
    struct kvtel_distribution empty = { 0 }, other = { 0 };
    assert_true(kvtel_distribution_quantile(&empty, 0.5) == 0);
    assert_true(kvtel_distribution_sum(&empty) == 0);
    assert_int_equal(kvtel_distribution_reserve_like(&empty, &other), KVTEL_OK);
    kvtel_distribution_merge(&empty, &other);
    assert_int_equal(empty.count, 0);
    assert_int_equal(kvtel_distribution_reserve_texts(&empty, 0), KVTEL_OK);
    assert_null(empty.bins);
}

/* A single value is known to its own bits, whatever its size. */
static void test_one_value(void **state)
{
    (void)state;
    static const double values[] = { 0, DBL_TRUE_MIN, DBL_MIN, 1e-30, 1e-9,   0.001, 1, 1.5, 2,
                                     3, 1e6,          0x1p53,  1e300, DBL_MAX };
    for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
        struct kvtel_distribution distribution = { 0 };
        add(&distribution, values[i]);
        for (double q = 0; q <= 1; q += 0.25)
            assert_true(kvtel_distribution_quantile(&distribution, q) == values[i]);
        assert_true(kvtel_distribution_sum(&distribution) == values[i]);
        free_bins(&distribution);
    }
}

/* Each bin's bounds and what lies just beside them, over the whole range of doubles. */
static void test_bin_bounds(void **state)
{
    (void)state;
    for (int64_t key = 1; key < 2046 * KVTEL_CELLS_OCTAVE; key += 61) {
        double bound = kvtel_cell_low(key);
        const double values[] = { bound, nextafter(bound, 0), nextafter(bound, INFINITY) };
        for (size_t k = 0; k < 3; k++) {
            struct kvtel_distribution distribution = { 0 };
            if (values[k] == 0)
                continue;
            add(&distribution, values[k]);
            /* wider than the value, so that it is not known from the smallest and the largest */
            distribution.smallest = 0;
            distribution.largest = DBL_MAX;
            if (values[k] > DBL_MIN) /* below, doubles themselves have gaps */
                check_quantile(&distribution, 0.5, values[k]);
            free_bins(&distribution);
        }
    }
}

/* Each cell holds what is above its lower bound, up to the next one's. */
static void test_cells_and_their_bounds(void **state)
{
    (void)state;
    assert_true(kvtel_cell_low(0) == 0);
    for (int64_t key = 1; key < 2046 * KVTEL_CELLS_OCTAVE; key++) {
        const double low = kvtel_cell_low(key), high = kvtel_cell_low(key + 1);
        const bool used = key % KVTEL_CELLS_OCTAVE != KVTEL_CELLS_OCTAVE - 1;
        assert_true(used ? low < high : low == high);
        if (!used)
            continue;
        assert_int_equal(kvtel_cell_key(kvtel_double_bits(nextafter(low, INFINITY)) - 1), key);
        assert_int_equal(kvtel_cell_key(kvtel_double_bits(high) - 1), key);
        assert_true(high <= DBL_MIN || high / low < 1 + 1.0 / 127);
    }
}

static void test_zeros(void **state)
{
    (void)state;
    struct kvtel_distribution distribution = { 0 };
    for (int i = 0; i < 90; i++)
        add(&distribution, 0);
    for (int i = 0; i < 10; i++)
        add(&distribution, 8);
    assert_true(kvtel_distribution_quantile(&distribution, 0.5) == 0);
    assert_true(kvtel_distribution_quantile(&distribution, 0.89) == 0);
    check_quantile(&distribution, 0.95, 8);
    assert_int_equal(distribution.count, 100);
    free_bins(&distribution);
}

/* Sums where adding one after the other loses: 1,000,000 times 0.1 beside a large number, and integers past 64 bits. */
static void test_sums(void **state)
{
    (void)state;
    struct kvtel_distribution distribution = { 0 };
    add(&distribution, 1e16);
    for (int i = 0; i < 1000000; i++)
        add(&distribution, 0.125);
    assert_true(kvtel_distribution_sum(&distribution) == 1e16 + 125000);
    free_bins(&distribution);
    assert_int_equal(kvtel_distribution_reserve(&distribution, 1, 0x1p63), KVTEL_OK);
    for (int i = 0; i < 4; i++)
        kvtel_distribution_add_integer(&distribution, INT64_MAX);
    kvtel_distribution_add_integer(&distribution, 3);
    assert_true(distribution.integers == (kvtel_int128)INT64_MAX * 4 + 3);
    assert_int_equal(distribution.doubles, 0);
    free_bins(&distribution);
    add(&distribution, DBL_MAX);
    add(&distribution, DBL_MAX);
    add(&distribution, 1);
    assert_true(kvtel_distribution_sum(&distribution) == INFINITY); /* as an addition of doubles says it */
    free_bins(&distribution);
}

static void test_merge(void **state)
{
    (void)state;
    struct kvtel_distribution parts[3] = { 0 }, whole = { 0 }, merged = { 0 };
    for (int i = 1; i <= 3000; i++) {
        add(&parts[i % 3], i * 0.001);
        add(&whole, i * 0.001);
    }
    for (int i = 0; i < 3; i++) {
        assert_int_equal(kvtel_distribution_reserve_like(&merged, &parts[i]), KVTEL_OK);
        kvtel_distribution_merge(&merged, &parts[i]);
        free_bins(&parts[i]);
    }
    assert_int_equal(merged.count, 3000);
    assert_true(fabs(kvtel_distribution_sum(&merged) - 4501.5) < 1e-9);
    assert_true(merged.smallest == 0.001 && merged.largest == 3);
    for (double q = 0; q <= 1; q += 0.05)
        assert_true(kvtel_distribution_quantile(&merged, q) == kvtel_distribution_quantile(&whole, q));
    check_quantile(&merged, 0.5, 1.5);
    check_quantile(&merged, 0.99, 2.97);
    free_bins(&whole);
    free_bins(&merged);
}

static void test_texts(void **state)
{
    (void)state;
    struct kvtel_distribution distribution = { 0 };
    assert_int_equal(kvtel_distribution_reserve_texts(&distribution, 2), KVTEL_OK);
    kvtel_distribution_add_text(&distribution, 1, 5);
    assert_int_equal(kvtel_distribution_reserve_texts(&distribution, 10), KVTEL_OK);
    kvtel_distribution_add_text(&distribution, 9, 2);
    kvtel_distribution_add_text(&distribution, 1, 1);
    assert_int_equal(distribution.bin_count, 10);
    assert_int_equal(distribution.bins[1], 6);
    assert_int_equal(distribution.bins[9], 2);
    assert_int_equal(distribution.count, 8);
    free_bins(&distribution);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_empty),      cmocka_unit_test(test_one_value),
        cmocka_unit_test(test_bin_bounds), cmocka_unit_test(test_cells_and_their_bounds),
        cmocka_unit_test(test_zeros),      cmocka_unit_test(test_sums),
        cmocka_unit_test(test_merge),      cmocka_unit_test(test_texts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
