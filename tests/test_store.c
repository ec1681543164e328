/* SPDX-License-Identifier: Apache-2.0 */
/* The store in the heap: families, series, lanes, and snapshots of them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <kvtel/snapshot.h>
#include <kvtel/prom.h>
#include <kvtel/store.h>

#include "collect/series.h"
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const labelnames[] = { "model_name", "engine" };
static const char *const engine_0[] = { "m", "0" };
static const char *const engine_1[] = { "m", "1" };
static const struct kvtel_buckets buckets = { .bounds = (const double[]){ 0.001, 0.01, 1 }, .count = 3 };

static const struct kvtel_family_spec counter = {
    .name = "c", .type = KVTEL_COUNTER, .help = "Help.", .labelnames = labelnames, .label_count = 2
};
static const struct kvtel_family_spec gauge = {
    .name = "g", .type = KVTEL_GAUGE, .help = "Help.", .labelnames = labelnames, .label_count = 2
};
static const struct kvtel_family_spec histogram = { .name = "h",
                                                    .type = KVTEL_HISTOGRAM,
                                                    .help = "Help.",
                                                    .labelnames = labelnames,
                                                    .label_count = 2,
                                                    .buckets = &buckets,
                                                    .unit = KVTEL_UNIT_SECONDS };

static uint32_t make_series(struct kvtel_store *store, const struct kvtel_family_spec *spec, const char *const *values)
{
    uint32_t family, series;
    assert_int_equal(kvtel_store_family(store, spec, &family), KVTEL_OK);
    assert_int_equal(kvtel_store_series(store, family, values, spec->label_count, &series), KVTEL_OK);
    return series;
}

static struct kvtel_snapshot *snapshot_of(const struct kvtel_store *store)
{
    struct kvtel_snapshot *snapshot = kvtel_snapshot_create();
    assert_non_null(snapshot);
    assert_int_equal(kvtel_snapshot_add(snapshot, store), KVTEL_OK);
    return snapshot;
}

static uint64_t explicit_count(const struct kvtel_snapshot_family *family, const struct kvtel_snapshot_series *series,
                               size_t bucket)
{
    uint64_t count = 0;
    for (uint32_t i = 0; i < series->bin_count && series->first_bin + i <= family->explicit_bins[bucket]; i++)
        count += series->bins[i];
    return count;
}

static void test_families(void **state)
{
    (void)state;
    struct kvtel_store *store = kvtel_store_create(NULL);
    uint32_t family, same;
    assert_int_equal(kvtel_store_family(store, &histogram, &family), KVTEL_OK);
    assert_int_equal(kvtel_store_family(store, &histogram, &same), KVTEL_OK);
    assert_int_equal(family, same);
    struct kvtel_family_spec other = histogram;
    other.type = KVTEL_COUNTER;
    assert_int_equal(kvtel_store_family(store, &other, &same), KVTEL_E_MISMATCH);
    other = histogram;
    other.label_count = 1;
    assert_int_equal(kvtel_store_family(store, &other, &same), KVTEL_E_MISMATCH);
    other = histogram;
    other.buckets = &(const struct kvtel_buckets){ .bounds = buckets.bounds, .count = 2 };
    assert_int_equal(kvtel_store_family(store, &other, &same), KVTEL_E_MISMATCH);
    other.name = "1h";
    assert_int_equal(kvtel_store_family(store, &other, &same), KVTEL_E_ARGUMENT);
    other.name = "descending";
    other.buckets = &(const struct kvtel_buckets){ .bounds = (const double[]){ 2, 1 }, .count = 2 };
    assert_int_equal(kvtel_store_family(store, &other, &same), KVTEL_E_ARGUMENT);
    other.buckets = &(const struct kvtel_buckets){ .bounds = (const double[]){ 1, INFINITY }, .count = 2 };
    assert_int_equal(kvtel_store_family(store, &other, &same), KVTEL_E_ARGUMENT);
    other = counter;
    other.labelnames = (const char *const[]){ "a:b", "c" };
    other.name = "labels";
    assert_int_equal(kvtel_store_family(store, &other, &same), KVTEL_E_ARGUMENT);
    kvtel_store_close(store);
    kvtel_store_close(NULL);
}

static void test_series_cap(void **state)
{
    (void)state;
    struct kvtel_store *store = kvtel_store_create(KVTEL_STORE_OPTIONS(.max_series = 1));
    uint32_t first = make_series(store, &counter, engine_0), family, series = 77;
    assert_int_equal(make_series(store, &counter, engine_0), first);
    assert_int_equal(kvtel_store_family(store, &counter, &family), KVTEL_OK);
    assert_int_equal(kvtel_store_series(store, family, engine_1, 2, &series), KVTEL_E_LIMIT);
    assert_int_equal(kvtel_store_series(store, family, engine_1, 1, &series), KVTEL_E_ARGUMENT);
    assert_int_equal(kvtel_store_series(store, 99, engine_1, 2, &series), KVTEL_E_ARGUMENT);
    assert_int_equal(series, 77);
    assert_int_equal(kvtel_store_series_dropped(store), 1);
    kvtel_store_close(store);
}

static void test_values(void **state)
{
    (void)state;
    struct kvtel_store *store = kvtel_store_create(NULL);
    uint32_t c = make_series(store, &counter, engine_0), g = make_series(store, &gauge, engine_0);
    uint32_t h = make_series(store, &histogram, engine_0);
    struct kvtel_lane *lanes[2];
    for (int i = 0; i < 2; i++) {
        assert_int_equal(kvtel_lane_open(store, &lanes[i]), KVTEL_OK);
        assert_true(kvtel_lane_increase(lanes[i], c, 2.5));
        assert_true(kvtel_lane_set(lanes[i], g, 10 + i));
    }
    assert_false(kvtel_lane_increase(lanes[0], c, -1));
    assert_false(kvtel_lane_increase(lanes[0], c, NAN));
    assert_false(kvtel_lane_increase(lanes[0], g, 1));
    assert_false(kvtel_lane_set(lanes[0], c, 1));
    const double values[] = { 0, 0.001, 0.0011, -1, 5, NAN, INFINITY };
    assert_int_equal(kvtel_lane_observe(lanes[0], h, values, 7), 4);
    assert_int_equal(kvtel_lane_observe(lanes[1], h, values, 2), 2);
    assert_int_equal(kvtel_lane_observe(lanes[1], c, values, 2), 0);

    struct kvtel_snapshot *snapshot = snapshot_of(store);
    assert_int_equal(kvtel_snapshot_family_count(snapshot), 3);
    assert_true(kvtel_snapshot_find(snapshot, "c")->series[0].value == 5);
    assert_true(kvtel_snapshot_find(snapshot, "g")->series[0].value == 11);
    const struct kvtel_snapshot_family *family = kvtel_snapshot_find(snapshot, "h");
    const struct kvtel_snapshot_series *series = &family->series[0];
    assert_string_equal(series->values[1], "0");
    assert_string_equal(family->help, "Help.");
    assert_int_equal(series->count, 6);
    assert_true(fabs(series->sum - 5.0031) < 1e-12);
    assert_int_equal(explicit_count(family, series, 0), 4);
    assert_int_equal(explicit_count(family, series, 1), 5);
    assert_int_equal(explicit_count(family, series, 2), 5);
    kvtel_snapshot_destroy(snapshot);
    kvtel_store_close(store);
}

/* Many folds, a lane that changes hands, a series made after the lane was opened. */
static void test_folds(void **state)
{
    (void)state;
    struct kvtel_store *store = kvtel_store_create(NULL);
    struct kvtel_lane *lane;
    assert_int_equal(kvtel_lane_open(store, &lane), KVTEL_OK);
    uint32_t h = make_series(store, &histogram, engine_0);
    uint64_t expected = 0;
    double sum = 0;
    struct kvtel_snapshot *snapshot = kvtel_snapshot_create();
    for (int i = 0; i < 5000; i++) {
        double value = (double)(i % 997) * 1e-4;
        assert_int_equal(kvtel_lane_observe(lane, h, &value, 1), 1);
        expected++;
        sum += value;
        if (i % 61 == 0) {
            kvtel_lane_close(lane);
            assert_int_equal(kvtel_lane_open(store, &lane), KVTEL_OK);
            kvtel_snapshot_reset(snapshot);
            assert_int_equal(kvtel_snapshot_add(snapshot, store), KVTEL_OK);
            const struct kvtel_snapshot_series *series = kvtel_snapshot_find(snapshot, "h")->series;
            uint64_t total = 0;
            for (uint32_t bin = 0; bin < series->bin_count; bin++)
                total += series->bins[bin];
            assert_int_equal(series->count, expected);
            assert_int_equal(total, expected);
            assert_true(fabs(series->sum - sum) < 1e-9);
        }
    }
    kvtel_snapshot_destroy(snapshot);
    kvtel_store_close(store);
}

static void test_lane_limit(void **state)
{
    (void)state;
    struct kvtel_store *store = kvtel_store_create(KVTEL_STORE_OPTIONS(.max_lanes = 2));
    struct kvtel_lane *a, *b, *c;
    assert_int_equal(kvtel_lane_open(store, &a), KVTEL_OK);
    assert_int_equal(kvtel_lane_open(store, &b), KVTEL_OK);
    assert_int_equal(kvtel_lane_open(store, &c), KVTEL_E_LIMIT);
    kvtel_lane_close(a);
    assert_int_equal(kvtel_lane_open(store, &c), KVTEL_OK);
    assert_ptr_equal(a, c);
    kvtel_lane_close(NULL);
    kvtel_store_close(store);
}

static void test_many_series(void **state)
{
    (void)state;
    enum { ENGINES = 3000 };
    struct kvtel_store *store = kvtel_store_create(NULL);
    struct kvtel_lane *lane;
    assert_int_equal(kvtel_lane_open(store, &lane), KVTEL_OK);
    for (int i = 0; i < ENGINES; i++) {
        char engine[16];
        (void)snprintf(engine, sizeof(engine), "%d", i);
        double value = i * 1e-3;
        uint32_t h = make_series(store, &histogram, (const char *const[]){ "model", engine });
        assert_int_equal(kvtel_lane_observe(lane, h, &value, 1), 1);
        assert_true(
            kvtel_lane_increase(lane, make_series(store, &counter, (const char *const[]){ "model", engine }), i));
    }
    struct kvtel_snapshot *snapshot = snapshot_of(store);
    const struct kvtel_snapshot_family *family = kvtel_snapshot_find(snapshot, "h");
    assert_int_equal(family->series_count, ENGINES);
    for (int i = 0; i < ENGINES; i++) {
        assert_int_equal(atoi(family->series[i].values[1]), i);
        assert_int_equal(family->series[i].count, 1);
        assert_true(family->series[i].sum == i * 1e-3);
        assert_true(kvtel_snapshot_find(snapshot, "c")->series[i].value == i);
    }
    kvtel_snapshot_destroy(snapshot);
    kvtel_store_close(store);
}

static void test_metric_types(void **state)
{
    (void)state;
    struct kvtel_store *store = kvtel_store_create(NULL);
    struct kvtel_metric_types types;
    assert_int_equal(kvtel_store_metric_types(store, &types), KVTEL_OK);
    void *family, *child;
    assert_int_equal(types.family(types.context, &counter, &family), KVTEL_OK);
    assert_int_equal(types.child(types.context, family, engine_0, 2, &child), KVTEL_OK);
    types.increase(types.context, child, 3);
    assert_int_equal(types.family(types.context, &gauge, &family), KVTEL_OK);
    assert_int_equal(types.child(types.context, family, engine_0, 2, &child), KVTEL_OK);
    types.set(types.context, child, -4);
    assert_int_equal(types.family(types.context, &histogram, &family), KVTEL_OK);
    assert_int_equal(types.child(types.context, family, engine_1, 2, &child), KVTEL_OK);
    types.observe(types.context, child, (const double[]){ 1, 2 }, 2);
    struct kvtel_snapshot *snapshot = snapshot_of(store);
    assert_true(kvtel_snapshot_find(snapshot, "c")->series[0].value == 3);
    assert_true(kvtel_snapshot_find(snapshot, "g")->series[0].value == -4);
    assert_true(kvtel_snapshot_find(snapshot, "h")->series[0].sum == 3);
    kvtel_snapshot_destroy(snapshot);
    kvtel_store_close(store);
}

static void *observe_some(void *argument)
{
    const struct kvtel_metric_types *types = argument;
    void *family, *child;
    if (types->family(types->context, &histogram, &family) != KVTEL_OK ||
        types->child(types->context, family, engine_1, 2, &child) != KVTEL_OK)
        abort();
    for (int i = 0; i < 10000; i++)
        types->observe(types->context, child, (const double[]){ 1, 2 }, 2);
    return NULL;
}

/* However many there are, they take no lane each, and what several threads write at once is all there. */
static void test_many_metric_types(void **state)
{
    (void)state;
    struct kvtel_store *store = kvtel_store_create(NULL);
    struct kvtel_metric_types types;
    struct kvtel_store_info info;
    void *family, *child;
    pthread_t threads[4];
    for (int i = 0; i < 10000; i++) {
        assert_int_equal(kvtel_store_metric_types(store, &types), KVTEL_OK);
        assert_int_equal(types.family(types.context, &counter, &family), KVTEL_OK);
        assert_int_equal(types.child(types.context, family, engine_0, 2, &child), KVTEL_OK);
        types.increase(types.context, child, 1);
    }
    kvtel_store_describe(store, &info);
    assert_int_equal(info.lanes, 1);
    for (int i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, observe_some, &types), 0);
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    struct kvtel_snapshot *snapshot = snapshot_of(store);
    assert_true(kvtel_snapshot_find(snapshot, "c")->series[0].value == 10000);
    assert_int_equal(kvtel_snapshot_find(snapshot, "h")->series[0].count, 80000);
    kvtel_snapshot_destroy(snapshot);
    kvtel_store_close(store);
}

static void test_metric_types_without_a_lane(void **state)
{
    (void)state;
    struct kvtel_store *store = kvtel_store_create(KVTEL_STORE_OPTIONS(.max_lanes = 1));
    struct kvtel_metric_types types;
    struct kvtel_lane *lane;
    assert_int_equal(kvtel_lane_open(store, &lane), KVTEL_OK);
    assert_int_equal(kvtel_store_metric_types(store, &types), KVTEL_E_LIMIT);
    kvtel_lane_close(lane);
    assert_int_equal(kvtel_store_metric_types(store, &types), KVTEL_OK);
    kvtel_store_close(store);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_families),
        cmocka_unit_test(test_series_cap),
        cmocka_unit_test(test_values),
        cmocka_unit_test(test_folds),
        cmocka_unit_test(test_lane_limit),
        cmocka_unit_test(test_many_series),
        cmocka_unit_test(test_metric_types),
        cmocka_unit_test(test_many_metric_types),
        cmocka_unit_test(test_metric_types_without_a_lane),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
