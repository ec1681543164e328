/* SPDX-License-Identifier: Apache-2.0 */
/* Bins: the bin of a value, and the accuracy of quantiles. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <kvtel/snapshot.h>
#include <kvtel/store.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "collect/series.h"
#include "histogram/bins.h"

static uint64_t seed = 42;

static double uniform(void)
{
    seed = seed * 6364136223846793005u + 1442695040888963407u;
    return ((double)(seed >> 11) + 0.5) * 0x1p-53;
}

static double normal(void)
{
    double radius = sqrt(-2 * log(uniform()));
    return radius * cos(6.283185307179586 * uniform());
}

static uint64_t bits_of(double value)
{
    uint64_t bits;
    memcpy(&bits, &value, sizeof(bits));
    return bits;
}

static void check_value(const struct kvtel_bins *bins, double value)
{
    uint32_t expected = 0;
    while (expected < bins->bound_count && bins->bounds[expected] < value)
        expected++;
    assert_int_equal(kvtel_bins_find(bins, bits_of(value)), expected);
}

/* Bounds at cell limits, between exponential ones, next to each other, and outside the exponential range on both sides.
 */
static const double awkward[] = { 0,        1e-30, 1e-9, 0.001, 0.0010000000000000002, 0.001001,
                                  0.001002, 0.25,  0.3,  1,     1.0000000000000002,    5,
                                  1e6,      1e30 };

static void test_each_value_has_its_bin(void **state)
{
    (void)state;
    for (int unit = KVTEL_UNIT_COUNT; unit <= KVTEL_UNIT_RATIO; unit++) {
        struct kvtel_bins *list = NULL;
        int32_t first;
        uint32_t count;
        kvtel_bins_range((enum kvtel_unit)unit, &first, &count);
        const struct kvtel_bins *bins =
            kvtel_bins_get(&list, awkward, sizeof(awkward) / sizeof(awkward[0]), first, count);
        assert_non_null(bins);
        assert_ptr_equal(bins, kvtel_bins_get(&list, awkward, sizeof(awkward) / sizeof(awkward[0]), first, count));
        for (uint32_t i = 0; i < bins->bound_count; i++) {
            assert_true(i == 0 || bins->bounds[i - 1] < bins->bounds[i]);
            check_value(bins, bins->bounds[i]);
            check_value(bins, nextafter(bins->bounds[i], INFINITY));
            if (bins->bounds[i] > 0)
                check_value(bins, nextafter(bins->bounds[i], 0));
        }
        for (int i = 0; i < 20000; i++)
            check_value(bins, exp((uniform() - 0.5) * 150));
        check_value(bins, 0);
        check_value(bins, 5e-324);
        check_value(bins, 1.7e308);
        kvtel_bins_free(list);
    }
}

static void test_bounds_of_both_kinds(void **state)
{
    (void)state;
    struct kvtel_bins *list = NULL;
    int32_t first;
    uint32_t count;
    kvtel_bins_range(KVTEL_UNIT_SECONDS, &first, &count);
    const double explicit_bounds[] = { 0.005, 0.25, 1 }; /* two of them are powers of two */
    const struct kvtel_bins *bins = kvtel_bins_get(&list, explicit_bounds, 3, first, count);
    assert_int_equal(bins->bound_count, KVTEL_CELLS_OCTAVES * (KVTEL_CELLS_OCTAVE - 1) + 1 + 1);
    assert_int_equal(bins->split_count, 1);
    for (uint32_t i = 0; i < 3; i++)
        assert_true(bins->bounds[bins->explicit_bins[i]] == explicit_bounds[i]);
    for (uint32_t i = 0; i < count; i++) {
        double exact = pow(2, (double)(first + (int32_t)i) / 8);
        assert_true(fabs(bins->bounds[bins->exponential_bins[i]] / exact - 1) < 1e-14);
    }
    kvtel_bins_free(list);
}

enum { SAMPLES = 100000 };

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void check_quantiles(enum kvtel_unit unit, double *values)
{
    static const double explicit_bounds[] = { 0.001, 0.01, 0.1, 1, 1000 };
    const struct kvtel_family_spec spec = { .name = "h",
                                            .type = KVTEL_HISTOGRAM,
                                            .unit = unit,
                                            .buckets = &(const struct kvtel_buckets){ .bounds = explicit_bounds,
                                                                                      .count = 5 } };
    struct kvtel_store *store = kvtel_store_create(NULL);
    struct kvtel_snapshot *snapshot = kvtel_snapshot_create();
    struct kvtel_lane *lane;
    uint32_t family, series;
    assert_int_equal(kvtel_store_family(store, &spec, &family), KVTEL_OK);
    assert_int_equal(kvtel_store_series(store, family, NULL, 0, &series), KVTEL_OK);
    assert_int_equal(kvtel_lane_open(store, &lane), KVTEL_OK);
    assert_int_equal(kvtel_lane_observe(lane, series, values, SAMPLES), SAMPLES);
    assert_int_equal(kvtel_snapshot_add(snapshot, store), KVTEL_OK);
    const struct kvtel_snapshot_family *seen = kvtel_snapshot_find(snapshot, "h");
    qsort(values, SAMPLES, sizeof(values[0]), compare);
    for (int percent = 1; percent <= 99; percent++) {
        double exact = values[SAMPLES / 100 * percent - 1];
        double estimate = kvtel_snapshot_quantile(seen, &seen->series[0], percent / 100.0);
        assert_true(fabs(estimate / exact - 1) < 0.005);
    }
    kvtel_snapshot_destroy(snapshot);
    kvtel_store_close(store);
}

static void test_quantiles(void **state)
{
    (void)state;
    double *values = malloc(SAMPLES * sizeof(*values));
    assert_non_null(values);
    for (int i = 0; i < SAMPLES; i++)
        values[i] = 0.003 * exp(normal());
    check_quantiles(KVTEL_UNIT_SECONDS, values);
    for (int i = 0; i < SAMPLES; i++)
        values[i] = uniform() < 0.7 ? 2e-4 * exp(0.1 * normal()) : 0.5 * exp(0.1 * normal());
    check_quantiles(KVTEL_UNIT_SECONDS, values);
    for (int i = 0; i < SAMPLES; i++)
        values[i] = 0.0123;
    check_quantiles(KVTEL_UNIT_SECONDS, values);
    for (int i = 0; i < SAMPLES; i++)
        values[i] = 65536 * (1 + floor(100 * uniform()));
    check_quantiles(KVTEL_UNIT_BYTES, values);
    free(values);
}

static void test_no_quantile(void **state)
{
    (void)state;
    const struct kvtel_snapshot_family family = { .name = "h" };
    const struct kvtel_snapshot_series series = { .count = 0 }, some = { .count = 1 };
    assert_true(isnan(kvtel_snapshot_quantile(&family, &series, 0.5)));
    assert_true(isnan(kvtel_snapshot_quantile(&family, &some, 1.5)));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_value_has_its_bin),
        cmocka_unit_test(test_bounds_of_both_kinds),
        cmocka_unit_test(test_quantiles),
        cmocka_unit_test(test_no_quantile),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
