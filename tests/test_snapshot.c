/* SPDX-License-Identifier: Apache-2.0 */
/* Snapshots: merging, families that do not match, memory. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <kvtel/recorder.h>
#include <kvtel/snapshot.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "collect/series.h"
#include "support/failing.h" /* __wrap_malloc, __wrap_calloc, __wrap_realloc, __wrap_strdup */

static const char *const labelnames[] = { "model_name", "engine" };
static const struct kvtel_buckets buckets = { .bounds = (const double[]){ 0.01, 1 }, .count = 2 };
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

static uint32_t make_series(struct kvtel_store *store, const struct kvtel_family_spec *spec, const char *engine)
{
    uint32_t family, series;
    assert_int_equal(kvtel_store_family(store, spec, &family), KVTEL_OK);
    assert_int_equal(kvtel_store_series(store, family, (const char *const[]){ "m", engine }, 2, &series), KVTEL_OK);
    return series;
}

static struct kvtel_store *create_store(const char *engine, double value)
{
    struct kvtel_store *store = kvtel_store_create(NULL);
    struct kvtel_lane *lane;
    assert_int_equal(kvtel_lane_open(store, &lane), KVTEL_OK);
    assert_true(kvtel_lane_increase(lane, make_series(store, &counter, engine), value));
    assert_true(kvtel_lane_set(lane, make_series(store, &gauge, engine), value));
    uint32_t series = make_series(store, &histogram, engine);
    for (int i = 0; i < 400; i++)
        assert_int_equal(kvtel_lane_observe(lane, series, &value, 1), 1);
    return store;
}

static uint64_t total_of(const struct kvtel_snapshot_series *series)
{
    uint64_t total = 0;
    for (uint32_t i = 0; i < series->bin_count; i++)
        total += series->bins[i];
    return total;
}

static void test_merge(void **state)
{
    (void)state;
    struct kvtel_store *stores[] = { create_store("0", 0.5), create_store("1", 2), create_store("0", 100),
                                     create_store("0", 1e-5) };
    struct kvtel_snapshot *snapshot = kvtel_snapshot_create();
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(kvtel_snapshot_add(snapshot, stores[i]), KVTEL_OK);
    assert_int_equal(kvtel_snapshot_family_count(snapshot), 3);
    const struct kvtel_snapshot_family *family = kvtel_snapshot_find(snapshot, "c");
    assert_int_equal(family->series_count, 2);
    assert_true(family->series[0].value == 0.5 + 100 + 1e-5);
    assert_true(family->series[1].value == 2);
    assert_true(kvtel_snapshot_find(snapshot, "g")->series[0].value == 1e-5); /* the newest */
    family = kvtel_snapshot_find(snapshot, "h");
    assert_int_equal(family->series[0].count, 1200);
    assert_int_equal(total_of(&family->series[0]), 1200);
    assert_int_equal(total_of(&family->series[1]), 400);
    assert_null(kvtel_snapshot_find(snapshot, "missing"));
    assert_null(kvtel_snapshot_family(snapshot, 3));
    kvtel_snapshot_reset(snapshot);
    assert_int_equal(kvtel_snapshot_family_count(snapshot), 0);
    assert_null(kvtel_snapshot_find(snapshot, "c"));
    kvtel_snapshot_destroy(snapshot);
    kvtel_snapshot_destroy(NULL);
    for (size_t i = 0; i < 4; i++)
        kvtel_store_close(stores[i]);
}

/* A store whose family is another one is added without it. */
static void test_mismatch(void **state)
{
    (void)state;
    const struct kvtel_buckets others = { .bounds = (const double[]){ 0.02, 1 }, .count = 2 };
    struct kvtel_family_spec specs[] = { histogram, histogram, histogram, histogram };
    specs[0].buckets = &others;
    specs[1].unit = KVTEL_UNIT_BYTES;
    specs[2].labelnames = (const char *const[]){ "model_name", "rank" };
    specs[3].type = KVTEL_COUNTER;
    for (size_t i = 0; i < 4; i++) {
        struct kvtel_store *first = create_store("0", 1), *second = kvtel_store_create(NULL);
        struct kvtel_lane *lane;
        struct kvtel_snapshot *snapshot = kvtel_snapshot_create();
        (void)make_series(second, &specs[i], "0");
        assert_int_equal(kvtel_lane_open(second, &lane), KVTEL_OK);
        assert_true(kvtel_lane_increase(lane, make_series(second, &counter, "0"), 5));
        assert_int_equal(kvtel_snapshot_add(snapshot, first), KVTEL_OK);
        assert_int_equal(kvtel_snapshot_add(snapshot, second), KVTEL_E_MISMATCH);
        assert_true(kvtel_snapshot_find(snapshot, "c")->series[0].value == 6);
        assert_int_equal(kvtel_snapshot_find(snapshot, "h")->series[0].count, 400);
        kvtel_snapshot_destroy(snapshot);
        kvtel_store_close(first);
        kvtel_store_close(second);
    }
}

/* The second round of the same stores takes no memory. */
static void test_warm(void **state)
{
    (void)state;
    struct kvtel_store *stores[] = { create_store("0", 0.5), create_store("1", 2) };
    struct kvtel_snapshot *snapshot = kvtel_snapshot_create();
    for (int round = 0; round < 6; round++) {
        kvtel_snapshot_reset(snapshot);
        if (round > 3)
            fail_allocation(1);
        for (size_t i = 0; i < 2; i++)
            assert_int_equal(kvtel_snapshot_add(snapshot, stores[i]), KVTEL_OK);
        assert_false(allocation_did_fail());
    }
    kvtel_snapshot_destroy(snapshot);
    for (size_t i = 0; i < 2; i++)
        kvtel_store_close(stores[i]);
}

static void check_unchanged(const struct kvtel_snapshot *snapshot)
{
    assert_int_equal(kvtel_snapshot_family_count(snapshot), 3);
    const struct kvtel_snapshot_family *family = kvtel_snapshot_find(snapshot, "h");
    assert_int_equal(family->series_count, 1);
    assert_int_equal(family->series[0].count, 400);
    assert_int_equal(total_of(&family->series[0]), 400);
    assert_true(kvtel_snapshot_find(snapshot, "c")->series[0].value == 0.5);
}

static void test_snapshot_without_memory(void **state)
{
    (void)state;
    struct kvtel_store *first = create_store("0", 0.5), *second = create_store("0", 200), *third = create_store("1", 3);
    (void)make_series(third,
                      &(const struct kvtel_family_spec){ .name = "more",
                                                         .type = KVTEL_HISTOGRAM,
                                                         .help = "",
                                                         .labelnames = labelnames,
                                                         .label_count = 2,
                                                         .unit = KVTEL_UNIT_BYTES },
                      "9");
    for (size_t n = 1;; n++) {
        struct kvtel_snapshot *snapshot = kvtel_snapshot_create();
        assert_int_equal(kvtel_snapshot_add(snapshot, first), KVTEL_OK);
        fail_allocation(n);
        enum kvtel_status status = kvtel_snapshot_add(snapshot, n % 2 ? second : third);
        bool failed = allocation_did_fail();
        assert_int_equal(status, failed ? KVTEL_E_NOMEM : KVTEL_OK);
        if (failed) {
            check_unchanged(snapshot);
            assert_int_equal(kvtel_snapshot_add(snapshot, second), KVTEL_OK);
            assert_int_equal(kvtel_snapshot_find(snapshot, "h")->series[0].count, 800);
        }
        kvtel_snapshot_destroy(snapshot);
        if (!failed && n > 40)
            break;
    }
    kvtel_store_close(first);
    kvtel_store_close(second);
    kvtel_store_close(third);
}

/* Each step of making a store either works or leaves it as it was, and works the next time. */
static void test_store_without_memory(void **state)
{
    (void)state;
    bool failed = true;
    for (size_t n = 1; failed; n++) {
        fail_allocation(n);
        struct kvtel_store *store = kvtel_store_create(NULL);
        failed = allocation_did_fail();
        assert_true(failed == (store == NULL));
        kvtel_store_close(store);
    }
    struct kvtel_store *store = kvtel_store_create(NULL);
    failed = true;
    for (size_t n = 1; failed; n++) {
        char name[32];
        uint32_t family = 0, series = 0;
        struct kvtel_lane *lane = NULL;
        struct kvtel_family_spec spec = histogram;
        (void)snprintf(name, sizeof(name), "family_%zu", n);
        const double bound = (double)n;
        spec.name = name;
        spec.buckets = &(const struct kvtel_buckets){ .bounds = &bound, .count = 1 };
        fail_allocation(n);
        enum kvtel_status status = kvtel_store_family(store, &spec, &family);
        if (status == KVTEL_OK)
            status = kvtel_store_series(store, family, (const char *const[]){ "m", name }, 2, &series);
        if (status == KVTEL_OK)
            status = kvtel_lane_open(store, &lane);
        failed = allocation_did_fail();
        assert_int_equal(status, failed ? KVTEL_E_NOMEM : KVTEL_OK);
        if (failed) {
            series = make_series(store, &spec, "again");
            assert_int_equal(kvtel_lane_open(store, &lane), KVTEL_OK);
        }
        assert_int_equal(kvtel_lane_observe(lane, series, &(const double){ 1 }, 1), 1);
    }
    kvtel_store_close(store);
}

static void test_recorder_without_memory(void **state)
{
    (void)state;
    const struct kvtel_transfer transfer = { .duration_ns = 1000, .bytes = 1 };
    bool failed = true;
    for (size_t n = 1; failed; n++) {
        struct kvtel_store *store = kvtel_store_create(NULL);
        fail_allocation(n);
        struct kvtel_recorder *recorder =
            kvtel_recorder_create(store, kvtel_connector_find("MooncakeStoreConnector"), NULL);
        const struct kvtel_operation *operation = kvtel_recorder_operation(recorder, "save_put", "ok");
        const struct kvtel_instrument *instrument =
            kvtel_recorder_instrument(recorder, "num_bytes", (const char *const[]){ "a", "b" }, 2);
        bool recorded = kvtel_record_operation(operation, &transfer);
        bool valued = kvtel_record_value(instrument, 1);
        failed = allocation_did_fail();
        assert_true(failed || (recorded && valued));
        kvtel_recorder_destroy(recorder);
        kvtel_store_close(store);
    }
}

/* A recorder's row has values of several families; one of them that is left out takes none of the others along. */
static void test_mismatch_in_a_row(void **state)
{
    (void)state;
    struct kvtel_store *other = kvtel_store_create(NULL), *store = kvtel_store_create(NULL);
    uint32_t family;
    const struct kvtel_family_spec gauge_spec = { .name = "vllm:nixl_bytes_transferred", .type = KVTEL_GAUGE };
    assert_int_equal(kvtel_store_family(other, &gauge_spec, &family), KVTEL_OK);
    struct kvtel_recorder *recorder = kvtel_recorder_create(store, kvtel_connector_find("NixlConnector"), NULL);
    for (int i = 0; i < 300; i++)
        assert_true(kvtel_record_transfer(
            recorder, &(struct kvtel_transfer){ .duration_ns = 1000, .post_ns = 10, .bytes = 4096, .descriptors = 2 }));
    struct kvtel_snapshot *snapshot = kvtel_snapshot_create();
    assert_int_equal(kvtel_snapshot_add(snapshot, other), KVTEL_OK);
    assert_int_equal(kvtel_snapshot_add(snapshot, store), KVTEL_E_MISMATCH);
    assert_int_equal(kvtel_snapshot_find(snapshot, "vllm:nixl_bytes_transferred")->type, KVTEL_GAUGE);
    assert_int_equal(kvtel_snapshot_find(snapshot, "vllm:nixl_xfer_time_seconds")->series[0].count, 300);
    assert_int_equal(kvtel_snapshot_find(snapshot, "vllm:nixl_num_descriptors")->series[0].count, 300);
    kvtel_snapshot_destroy(snapshot);
    kvtel_recorder_destroy(recorder);
    kvtel_store_close(store);
    kvtel_store_close(other);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_merge),
        cmocka_unit_test(test_mismatch),
        cmocka_unit_test(test_mismatch_in_a_row),
        cmocka_unit_test(test_warm),
        cmocka_unit_test(test_snapshot_without_memory),
        cmocka_unit_test(test_store_without_memory),
        cmocka_unit_test(test_recorder_without_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
