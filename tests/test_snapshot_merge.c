/* SPDX-License-Identifier: Apache-2.0 */
/* Merging untrusted stores: each is in the snapshot as a whole or not at all, and no exposition contains a series
 * twice. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <kvtel/exposition.h>
#include <kvtel/reader.h>
#include <kvtel/snapshot.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "collect/series.h"
#include "base/buffer.h"
#include "support/failing.h" /* __wrap_malloc, __wrap_calloc, __wrap_realloc, __wrap_strdup */

static const char *const labelnames[] = { "model_name" };
static const struct kvtel_family_spec counter = {
    .name = "c", .type = KVTEL_COUNTER, .help = "Help.", .labelnames = labelnames, .label_count = 1
};
static const struct kvtel_family_spec histogram = { .name = "h",
                                                    .type = KVTEL_HISTOGRAM,
                                                    .help = "Help.",
                                                    .labelnames = labelnames,
                                                    .label_count = 1,
                                                    .unit = KVTEL_UNIT_SECONDS };

static uint32_t make_series(struct kvtel_store *store, const struct kvtel_family_spec *spec, const char *value)
{
    uint32_t family, series;
    assert_int_equal(kvtel_store_family(store, spec, &family), KVTEL_OK);
    assert_int_equal(kvtel_store_series(store, family, &value, 1, &series), KVTEL_OK);
    return series;
}

static char *expose(const struct kvtel_snapshot *snapshot)
{
    struct kvtel_buffer text = { 0 };
    assert_int_equal(kvtel_exposition_text(snapshot, &text), KVTEL_OK);
    assert_int_equal(kvtel_buffer_append(&text, "", 1), KVTEL_OK);
    return text.bytes;
}

static size_t count_of(const char *text, const char *what)
{
    size_t count = 0;
    for (const char *at = text; (at = strstr(at, what)); at += strlen(what))
        count++;
    return count;
}

/* Label values that become equal when they are made valid are one series. */
static void test_label_values_that_are_no_utf8(void **state)
{
    (void)state;
    static const char *const values[] = { "m\xff", "m\xfe", "m\xef\xbf\xbd", "m\xc3", "m", "\xff\xff" };
    struct kvtel_store *stores[] = { kvtel_store_create(NULL), kvtel_store_create(NULL) };
    struct kvtel_snapshot *snapshot = kvtel_snapshot_create();
    for (size_t s = 0; s < 2; s++) {
        struct kvtel_lane *lane;
        assert_int_equal(kvtel_lane_open(stores[s], &lane), KVTEL_OK);
        for (size_t i = 0; i < 6; i++) {
            assert_true(kvtel_lane_increase(lane, make_series(stores[s], &counter, values[i]), 1));
            assert_int_equal(
                kvtel_lane_observe(lane, make_series(stores[s], &histogram, values[i]), &(double){ 0.5 }, 1), 1);
        }
    }
    for (size_t s = 0; s < 2; s++)
        assert_int_equal(kvtel_snapshot_add(snapshot, stores[s]), KVTEL_OK);
    const struct kvtel_snapshot_family *family = kvtel_snapshot_find(snapshot, "c");
    assert_int_equal(family->series_count, 3);
    assert_string_equal(family->series[0].values[0], "m\xef\xbf\xbd");
    assert_true(family->series[0].value == 8);
    assert_string_equal(family->series[1].values[0], "m");
    assert_true(family->series[1].value == 2);
    assert_string_equal(family->series[2].values[0], "\xef\xbf\xbd\xef\xbf\xbd");
    family = kvtel_snapshot_find(snapshot, "h");
    assert_int_equal(family->series_count, 3);
    assert_int_equal(family->series[0].count, 8);
    char *text = expose(snapshot);
    assert_int_equal(count_of(text, "c_total{model_name=\"m\xef\xbf\xbd\"} 8.0\n"), 1);
    assert_int_equal(count_of(text, "h_count{model_name=\"m\xef\xbf\xbd\"} 8.0\n"), 1);
    assert_int_equal(count_of(text, "c_total{"), 3);
    free(text);
    kvtel_snapshot_destroy(snapshot);
    kvtel_store_close(stores[0]);
    kvtel_store_close(stores[1]);
}

/* A family whose samples would have names of another's is left out, in whatever order they come. */
static void test_families_with_the_same_sample_names(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        enum kvtel_metric_type type;
        const char *other;
        enum kvtel_metric_type other_type;
        bool clash;
    } rows[] = {
        { "x", KVTEL_HISTOGRAM, "x_count", KVTEL_GAUGE, true },
        { "x", KVTEL_HISTOGRAM, "x_sum", KVTEL_GAUGE, true },
        { "x", KVTEL_HISTOGRAM, "x_bucket", KVTEL_GAUGE, true },
        { "x", KVTEL_COUNTER, "x_total", KVTEL_GAUGE, true },
        { "x_total", KVTEL_GAUGE, "x", KVTEL_COUNTER, true },
        { "x_total", KVTEL_HISTOGRAM, "x", KVTEL_COUNTER, true },
        { "x", KVTEL_HISTOGRAM, "x_count", KVTEL_HISTOGRAM, true },
        { "x", KVTEL_HISTOGRAM, "x_count", KVTEL_COUNTER, false },
        { "x", KVTEL_COUNTER, "x_total", KVTEL_COUNTER, false },
        { "x", KVTEL_GAUGE, "x_total", KVTEL_GAUGE, false },
        { "x", KVTEL_COUNTER, "x_count", KVTEL_GAUGE, false },
        { "_total", KVTEL_COUNTER, "_count", KVTEL_GAUGE, false },
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        for (int turned = 0; turned < 2; turned++) {
            struct kvtel_family_spec specs[] = { counter, counter };
            struct kvtel_store *stores[] = { kvtel_store_create(NULL), kvtel_store_create(NULL) };
            struct kvtel_snapshot *snapshot = kvtel_snapshot_create();
            specs[turned].name = rows[i].name;
            specs[turned].type = rows[i].type;
            specs[!turned].name = rows[i].other;
            specs[!turned].type = rows[i].other_type;
            (void)make_series(stores[0], &specs[0], "m");
            (void)make_series(stores[1], &specs[1], "m");
            (void)make_series(stores[1], &histogram, "m");
            assert_int_equal(kvtel_snapshot_add(snapshot, stores[0]), KVTEL_OK);
            assert_int_equal(kvtel_snapshot_add(snapshot, stores[1]), rows[i].clash ? KVTEL_E_MISMATCH : KVTEL_OK);
            assert_non_null(kvtel_snapshot_find(snapshot, specs[0].name));
            assert_int_equal(kvtel_snapshot_find(snapshot, specs[1].name) == NULL, rows[i].clash);
            assert_non_null(kvtel_snapshot_find(snapshot, "h"));
            kvtel_snapshot_destroy(snapshot);
            kvtel_store_close(stores[0]);
            kvtel_store_close(stores[1]);
        }
    }
}

enum { FILES = 40 };

/* Of many stores that are added together each is whole or absent, whichever allocation fails: nothing shows as 0. */
static void test_many_without_memory(void **state)
{
    (void)state;
    char dir[] = "/dev/shm/kvtel-test-XXXXXX";
    static struct kvtel_store *stores[FILES];
    static struct kvtel_store_reader *readers[FILES];
    static struct kvtel_error errors[FILES];
    assert_non_null(mkdtemp(dir));
    for (int i = 0; i < FILES; i++) {
        char value[16];
        struct kvtel_lane *lane;
        (void)snprintf(value, sizeof(value), "m%d", i);
        stores[i] = kvtel_store_open(KVTEL_STORE_OPTIONS(.dir = dir));
        assert_non_null(kvtel_store_path(stores[i]));
        assert_int_equal(kvtel_lane_open(stores[i], &lane), KVTEL_OK);
        assert_true(kvtel_lane_increase(lane, make_series(stores[i], &counter, value), 1));
        /* series of their own, and one of all: its bins grow with each */
        assert_int_equal(kvtel_lane_observe(lane, make_series(stores[i], &histogram, value), &(double){ 0.5 }, 1), 1);
        assert_int_equal(
            kvtel_lane_observe(lane, make_series(stores[i], &histogram, "all"), &(double){ 1e-6 * (1 << i / 2) }, 1),
            1);
    }
    bool failed = true;
    for (size_t n = 1; failed; n++) {
        struct kvtel_snapshot *snapshot = kvtel_snapshot_create();
        for (int i = 0; i < FILES; i++)
            assert_int_equal(kvtel_store_reader_open(kvtel_store_path(stores[i]), &readers[i], NULL), KVTEL_OK);
        fail_allocation(n);
        enum kvtel_status status = kvtel_snapshot_add_readers(snapshot, readers, FILES, errors);
        failed = allocation_did_fail();
        size_t added = 0;
        for (int i = 0; i < FILES; i++)
            added += errors[i].status == KVTEL_OK;
        assert_int_equal(added == FILES, status == KVTEL_OK);
        const struct kvtel_snapshot_family *counters = kvtel_snapshot_find(snapshot, "c");
        const struct kvtel_snapshot_family *histograms = kvtel_snapshot_find(snapshot, "h");
        assert_int_equal(counters->series_count, added);
        assert_int_equal(histograms->series_count, added + 1);
        for (size_t i = 0; i < added; i++)
            assert_true(counters->series[i].value == 1);
        for (size_t i = 0; i < histograms->series_count; i++)
            assert_int_equal(histograms->series[i].count,
                             strcmp(histograms->series[i].values[0], "all") == 0 ? added : 1);
        for (int i = 0; i < FILES; i++)
            kvtel_store_reader_close(readers[i]);
        kvtel_snapshot_destroy(snapshot);
    }
    for (int i = 0; i < FILES; i++) {
        assert_int_equal(unlink(kvtel_store_path(stores[i])), 0);
        kvtel_store_close(stores[i]);
    }
    assert_int_equal(rmdir(dir), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_label_values_that_are_no_utf8),
        cmocka_unit_test(test_families_with_the_same_sample_names),
        cmocka_unit_test(test_many_without_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
