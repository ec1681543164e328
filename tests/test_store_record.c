/* SPDX-License-Identifier: Apache-2.0 */
/* Recording into series of a store without a connector: kvtel_store_record(), and exemplars of such series. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <kvtel/recorder.h>
#include <kvtel/snapshot.h>

#include "support/stores.h"
#include <math.h>
#include <pthread.h>

static const double bounds[] = { 1, 10 };
static const struct kvtel_buckets buckets = { .bounds = bounds, .count = 2 };
static const char *const labelnames[] = { "model_name", "engine" }, *const values[] = { "m", "0" };
static const struct kvtel_family_spec specs[] = {
    { .name = "c", .type = KVTEL_COUNTER, .help = "Help.", .labelnames = labelnames, .label_count = 2 },
    { .name = "g", .type = KVTEL_GAUGE, .help = "Help.", .labelnames = labelnames, .label_count = 2 },
    { .name = "h",
      .type = KVTEL_HISTOGRAM,
      .help = "Help.",
      .labelnames = labelnames,
      .label_count = 2,
      .buckets = &buckets },
};
enum { COUNTER, GAUGE, HISTOGRAM, TYPES };

static void make(struct kvtel_store *store, uint32_t series[TYPES])
{
    for (size_t i = 0; i < TYPES; i++) {
        uint32_t family;
        assert_int_equal(kvtel_store_family(store, &specs[i], &family), KVTEL_OK);
        assert_int_equal(kvtel_store_series_exemplars(store, family, values, 2, &series[i]), KVTEL_OK);
    }
}

static struct kvtel_store_info info_of(const struct kvtel_store *store)
{
    struct kvtel_store_info info;
    kvtel_store_describe(store, &info);
    return info;
}

static void test_types(void **state)
{
    struct kvtel_store *store = create_store(0);
    uint32_t series[TYPES];
    (void)state;
    make(store, series);
    for (int i = 0; i < 600; i++) { /* past two folds */
        assert_true(kvtel_store_record(store, series[COUNTER], 0.5, NULL));
        assert_true(kvtel_store_record(store, series[GAUGE], -i, NULL));
        assert_true(kvtel_store_record(store, series[HISTOGRAM], i % 2 ? 4 : 0.25, NULL));
    }
    struct kvtel_snapshot *snapshot = snapshot_of(store);
    check_value(snapshot, "c", "", 300);
    check_value(snapshot, "g", "", -599);
    check_sum(snapshot, "h", "", 600, 300 * 4.25);
    kvtel_snapshot_destroy(snapshot);
    kvtel_store_close(store);
}

static void test_what_is_refused(void **state)
{
    struct kvtel_store *store = create_store(0);
    uint32_t series[TYPES];
    (void)state;
    make(store, series);
    assert_false(kvtel_store_record(NULL, 0, 1, NULL));
    assert_false(kvtel_store_record(store, series[COUNTER], -1, NULL));
    assert_false(kvtel_store_record(store, series[GAUGE], INFINITY, NULL));
    assert_false(kvtel_store_record(store, series[HISTOGRAM], NAN, NULL));
    assert_int_equal(info_of(store).values_refused, 3);
    assert_false(kvtel_store_record(store, UINT32_MAX, 1, NULL));
    assert_int_equal(kvtel_store_series_remove(store, series[COUNTER]), KVTEL_OK);
    assert_false(kvtel_store_record(store, series[COUNTER], 1, NULL));
    assert_int_equal(info_of(store).records_dropped, 2);
    kvtel_store_close(store);
}

static void test_exemplars(void **state)
{
    struct kvtel_store *store = create_store(0);
    struct kvtel_exemplar exemplar = { 0 }, too_long = { .size = KVTEL_EXEMPLAR_TEXT + 1 };
    uint32_t series[TYPES];
    (void)state;
    make(store, series);
    assert_true(kvtel_exemplar_add(&exemplar, "trace_id", "abc"));
    for (size_t i = 0; i < TYPES; i++)
        assert_true(kvtel_store_record(store, series[i], 4, &exemplar));
    assert_true(kvtel_store_record(store, series[HISTOGRAM], 0.5, &too_long));
    assert_false(kvtel_store_record(store, series[HISTOGRAM], -4, &exemplar));
    assert_false(kvtel_store_record(store, UINT32_MAX, 4, &exemplar));

    struct kvtel_snapshot *snapshot = snapshot_of(store);
    const struct kvtel_snapshot_family *family = kvtel_snapshot_find(snapshot, "h");
    const struct kvtel_snapshot_series *found = find_series(snapshot, "h", "");
    const struct kvtel_snapshot_exemplar *shown = kvtel_snapshot_exemplar(family, found, 1);
    assert_non_null(shown);
    assert_string_equal(kvtel_snapshot_exemplar_label(shown, 0), "abc");
    assert_true(kvtel_snapshot_exemplar_value(shown) == 4);
    assert_null(kvtel_snapshot_exemplar(family, found, 0));
    check_value(snapshot, "c", "", 4);
    kvtel_snapshot_destroy(snapshot);
    kvtel_store_close(store);
}

struct work {
    struct kvtel_store *store;
    const uint32_t *series;
};

static void *work(void *context)
{
    const struct work *own = context;
    for (int i = 0; i < 1000; i++) {
        kvtel_store_record(own->store, own->series[COUNTER], 1, NULL);
        kvtel_store_record(own->store, own->series[HISTOGRAM], 1, NULL);
    }
    return NULL;
}

static void test_threads(void **state)
{
    struct kvtel_store *store = create_store(0);
    uint32_t series[TYPES];
    pthread_t threads[4];
    (void)state;
    make(store, series);
    struct work own = { store, series };
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, work, &own), 0);
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    struct kvtel_snapshot *snapshot = snapshot_of(store);
    check_value(snapshot, "c", "", 4000);
    check_sum(snapshot, "h", "", 4000, 4000);
    kvtel_snapshot_destroy(snapshot);
    kvtel_store_close(store);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_types),
        cmocka_unit_test(test_what_is_refused),
        cmocka_unit_test(test_exemplars),
        cmocka_unit_test(test_threads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
