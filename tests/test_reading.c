/* SPDX-License-Identifier: Apache-2.0 */
/* Reading what was recorded through the public headers alone: by accessors of a snapshot, and one series without one.
 * And options of another size than the library's. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include <kvtel/kvtel.h>

static const char *const labelnames[] = { "model_name", "engine" };
static const char *const values[] = { "m", "3" };
static const double bounds[] = { 1, 10, 100 };
static const struct kvtel_buckets buckets = { .bounds = bounds, .count = 3 };
static const struct kvtel_family_spec specs[] = {
    { .name = "c", .type = KVTEL_COUNTER, .help = "Counted.", .labelnames = labelnames, .label_count = 2 },
    { .name = "g", .type = KVTEL_GAUGE, .help = "Read.", .labelnames = labelnames, .label_count = 2 },
    { .name = "h",
      .type = KVTEL_HISTOGRAM,
      .help = "Measured.",
      .labelnames = labelnames,
      .label_count = 2,
      .buckets = &buckets,
      .unit = KVTEL_UNIT_BYTES },
};

static struct kvtel_store *make_store(void)
{
    struct kvtel_store *store = kvtel_store_create(NULL);
    struct kvtel_lane *lane;
    uint32_t family, series[3];
    assert_non_null(store);
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(kvtel_store_family(store, &specs[i], &family), KVTEL_OK);
        assert_int_equal(kvtel_store_series(store, family, values, 2, &series[i]), KVTEL_OK);
    }
    for (int i = 0; i < 2; i++) { /* two lanes, one after the other and then at once */
        struct kvtel_lane *other;
        assert_int_equal(kvtel_lane_open(store, &lane), KVTEL_OK);
        assert_int_equal(kvtel_lane_open(store, &other), KVTEL_OK);
        assert_true(kvtel_lane_increase(lane, series[0], 2));
        assert_true(kvtel_lane_set(other, series[1], -4 + i));
        assert_int_equal(kvtel_lane_observe(other, series[2], (const double[]){ 0.5, 1, 7, 1000 }, 4), 4);
        kvtel_lane_close(lane);
        kvtel_lane_close(other);
    }
    return store;
}

static double bounds_of(size_t i)
{
    return i < 3 ? bounds[i] : HUGE_VAL;
}

/* Powers of 2 are exact; another bound counts up to one that is not above it and at most 1.1 % below it. */
static void check_free_bounds(const struct kvtel_snapshot_family *family, const struct kvtel_snapshot_series *series)
{
    static const struct {
        double bound;
        uint64_t count;
    } rows[] = { { 256, 6 }, { 512, 6 }, { 1024, 8 }, { 300, 6 }, { 900, 6 }, { 1020, 8 } };
    double counted;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        assert_int_equal(kvtel_snapshot_count_up_to(family, series, rows[i].bound, &counted), rows[i].count);
        assert_true(counted <= rows[i].bound && counted >= rows[i].bound / 1.011);
        assert_true(i >= 3 || counted == rows[i].bound);
        assert_int_equal(kvtel_snapshot_count_up_to(family, series, rows[i].bound, NULL), rows[i].count);
    }
    assert_int_equal(kvtel_snapshot_count_up_to(family, series, 8, &counted), 4); /* below the exponential range */
    assert_true(counted == 1);
    static const double below[] = { -1, 0, -HUGE_VAL, (double)NAN };
    for (size_t i = 0; i < sizeof(below) / sizeof(below[0]); i++) {
        assert_int_equal(kvtel_snapshot_count_up_to(family, series, below[i], &counted), 0);
        assert_true(isnan(counted));
    }
    assert_int_equal(kvtel_snapshot_count_up_to(family, series, 1e300, &counted), 8);
}

static void test_accessors(void **state)
{
    (void)state;
    struct kvtel_store *store = make_store();
    struct kvtel_snapshot *snapshot = kvtel_snapshot_create();
    assert_non_null(snapshot);
    assert_int_equal(kvtel_snapshot_add(snapshot, store), KVTEL_OK);
    assert_int_equal(kvtel_snapshot_family_count(snapshot), 3);
    for (size_t i = 0; i < 3; i++) {
        const struct kvtel_snapshot_family *family = kvtel_snapshot_family(snapshot, i);
        assert_string_equal(kvtel_snapshot_name(family), specs[i].name);
        assert_string_equal(kvtel_snapshot_help(family), specs[i].help);
        assert_int_equal(kvtel_snapshot_type(family), specs[i].type);
        assert_int_equal(kvtel_snapshot_unit(family), specs[i].unit);
        assert_int_equal(kvtel_snapshot_label_count(family), 2);
        assert_string_equal(kvtel_snapshot_label_name(family, 1), "engine");
        assert_null(kvtel_snapshot_label_name(family, 2));
        assert_int_equal(kvtel_snapshot_series_count(family), 1);
        assert_string_equal(kvtel_snapshot_label(kvtel_snapshot_series(family, 0), 1), "3");
        assert_null(kvtel_snapshot_series(family, 1));
        assert_int_equal(kvtel_snapshot_bound_count(family), i == 2 ? 3 : 0);
    }
    assert_null(kvtel_snapshot_family(snapshot, 3));
    const struct kvtel_snapshot_family *family = kvtel_snapshot_find(snapshot, "h");
    const struct kvtel_snapshot_series *series = kvtel_snapshot_series(family, 0);
    static const uint64_t up_to[] = { 4, 6, 6, 8 };
    for (size_t i = 0; i < 4; i++) {
        assert_true(kvtel_snapshot_bound(family, i) == bounds_of(i));
        double counted;
        assert_int_equal(kvtel_snapshot_count_up_to(family, series, bounds_of(i), &counted), up_to[i]);
        assert_true(counted == bounds_of(i));
    }
    check_free_bounds(family, series);
    assert_true(fabs(kvtel_snapshot_quantile(family, series, 0.9) / 1000 - 1) <= 0.01);
    kvtel_snapshot_destroy(snapshot);
    kvtel_store_close(store);
}

static void test_one_series(void **state)
{
    (void)state;
    struct kvtel_store *store = make_store();
    struct kvtel_snapshot *snapshot = kvtel_snapshot_create();
    assert_int_equal(kvtel_snapshot_add(snapshot, store), KVTEL_OK);
    for (size_t i = 0; i < 3; i++) {
        struct kvtel_reading reading, seen;
        assert_int_equal(kvtel_store_read(store, specs[i].name, values, 2, &reading), KVTEL_OK);
        kvtel_snapshot_read(kvtel_snapshot_series(kvtel_snapshot_family(snapshot, i), 0), &seen);
        assert_memory_equal(&reading, &seen, sizeof seen);
        assert_true(reading.value == (i == 0 ? 4 : i == 1 ? -3 : 0));
        assert_int_equal(reading.count, i == 2 ? 8 : 0);
        assert_true(reading.sum == (i == 2 ? 2 * 1008.5 : 0));
        assert_true((reading.stamp_ns > 0) == (i == 1));
    }
    struct kvtel_reading kept = { .value = 5 };
    static const char *const others[] = { "m", "4" };
    assert_int_equal(kvtel_store_read(store, "c", others, 2, &kept), KVTEL_E_UNKNOWN);
    assert_int_equal(kvtel_store_read(store, "c", values, 1, &kept), KVTEL_E_UNKNOWN);
    assert_int_equal(kvtel_store_read(store, "x", values, 2, &kept), KVTEL_E_UNKNOWN);
    assert_true(kept.value == 5);
    kvtel_snapshot_destroy(snapshot);
    kvtel_store_close(store);
}

/* Options as a program of an earlier and of a later version hands them over: behind the size that it knows stands
 * anything. */
static void test_sizes(void **state)
{
    (void)state;
    struct {
        struct kvtel_store_options known;
        uint64_t later;
    } options;
    static const size_t sizes[] = { 0, KVTEL_STORE_OPTIONS_SIZE_0_1, sizeof options,
                                    offsetof(struct kvtel_store_options, rank) };
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        memset(&options, 0, sizeof options);
        options.known.model_name = "m";
        options.known.rank = 7;
        options.later = UINT64_MAX;
        options.known.size = sizes[i];
        struct kvtel_store *store = kvtel_store_create(&options.known);
        struct kvtel_store_info info;
        memset(&info, 0xff, sizeof info);
        assert_non_null(store);
        kvtel_store_describe(store, &info);
        assert_string_equal(info.model_name, "m");
        assert_int_equal(info.rank, i == 3 ? 0 : 7);
        for (size_t k = 0; k < sizeof info.reserved / sizeof info.reserved[0]; k++)
            assert_int_equal(info.reserved[k], 0);
        kvtel_store_close(store);
    }
    assert_int_equal(KVTEL_RECORDER_OPTIONS_SIZE_0_1 <= sizeof(struct kvtel_recorder_options), 1);
}

static void test_version(void **state)
{
    (void)state;
    char text[32];
    (void)snprintf(text, sizeof text, "%d.%d.%d", KVTEL_VERSION_MAJOR, KVTEL_VERSION_MINOR, KVTEL_VERSION_PATCH);
    assert_string_equal(kvtel_version(), text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_accessors),
        cmocka_unit_test(test_one_series),
        cmocka_unit_test(test_sizes),
        cmocka_unit_test(test_version),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
