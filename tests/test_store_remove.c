/* SPDX-License-Identifier: Apache-2.0 */
/* Series that a program removes: gone from snapshots and files, whatever still records into them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <kvtel/reader.h>
#include <kvtel/recorder.h>

#include "collect/series.h"
#include "support/fork.h"
#include "support/stores.h"
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char *const labelnames[] = { "tenant" };
static const char *const first[] = { "first" }, *const second[] = { "second" };

static const struct kvtel_family_spec specs[] = {
    { .name = "c", .type = KVTEL_COUNTER, .help = "Help.", .labelnames = labelnames, .label_count = 1 },
    { .name = "g", .type = KVTEL_GAUGE, .help = "Help.", .labelnames = labelnames, .label_count = 1 },
    { .name = "h", .type = KVTEL_HISTOGRAM, .help = "Help.", .labelnames = labelnames, .label_count = 1 },
};
enum { TYPES = sizeof(specs) / sizeof(specs[0]) };

static uint32_t make_series(struct kvtel_store *store, size_t type, const char *const *values)
{
    uint32_t family, series;
    assert_int_equal(kvtel_store_family(store, &specs[type], &family), KVTEL_OK);
    assert_int_equal(kvtel_store_series(store, family, values, 1, &series), KVTEL_OK);
    return series;
}

static bool put(struct kvtel_lane *lane, size_t type, uint32_t series, double value)
{
    return type == 0   ? kvtel_lane_increase(lane, series, value)
           : type == 1 ? kvtel_lane_set(lane, series, value)
                       : kvtel_lane_observe(lane, series, &value, 1) == 1;
}

static uint64_t dropped_of(const struct kvtel_store *store)
{
    struct kvtel_store_info info;
    kvtel_store_describe(store, &info);
    return info.records_dropped;
}

/* What a series shows: a histogram's count, or the value. */
static double shown(const struct kvtel_snapshot *snapshot, const char *name, size_t i)
{
    const struct kvtel_snapshot_family *family = kvtel_snapshot_find(snapshot, name);
    assert_true(i < family->series_count);
    return family->type == KVTEL_HISTOGRAM ? (double)family->series[i].count : family->series[i].value;
}

/* Looks for a series by its texts. */
static void assert_found(struct kvtel_store *store, const char *name, const char *const *values,
                         enum kvtel_status status, uint32_t expected)
{
    uint32_t family, series = 0;
    assert_int_equal(kvtel_store_find_family(store, name, &family), KVTEL_OK);
    assert_int_equal(kvtel_store_find_series(store, family, values, 1, &series), status);
    if (status == KVTEL_OK)
        assert_int_equal(series, expected);
    assert_int_equal(kvtel_store_find_series(store, family, values, 0, &series), KVTEL_E_ARGUMENT);
    assert_int_equal(kvtel_store_find_series(store, 9, values, 1, &series), KVTEL_E_ARGUMENT);
    assert_int_equal(kvtel_store_find_family(store, "", &family), KVTEL_E_UNKNOWN);
    assert_int_equal(kvtel_store_find_family(store, NULL, &family), KVTEL_E_UNKNOWN);
}

static void test_a_removed_series_is_gone(void **state)
{
    (void)state;
    for (size_t type = 0; type < TYPES; type++) {
        struct kvtel_store *store = create_store(0);
        struct kvtel_lane *lane;
        struct kvtel_reading reading;
        uint32_t leaves = make_series(store, type, first), stays = make_series(store, type, second);
        assert_int_equal(kvtel_lane_open(store, &lane), KVTEL_OK);
        assert_true(put(lane, type, leaves, 3) && put(lane, type, stays, 1));
        assert_found(store, specs[type].name, first, KVTEL_OK, leaves);
        assert_found(store, specs[type].name, second, KVTEL_OK, stays);
        assert_int_equal(kvtel_store_series_remove(store, leaves), KVTEL_OK);
        assert_found(store, specs[type].name, first, KVTEL_E_UNKNOWN, 0);
        assert_found(store, specs[type].name, second, KVTEL_OK, stays);
        assert_int_equal(kvtel_store_series_remove(store, leaves), KVTEL_E_UNKNOWN);
        assert_int_equal(kvtel_store_series_remove(store, 99), KVTEL_E_UNKNOWN);

        assert_false(put(lane, type, leaves, 3));
        assert_int_equal(dropped_of(store), 1);
        struct kvtel_snapshot *snapshot = snapshot_of(store);
        assert_int_equal(kvtel_snapshot_find(snapshot, specs[type].name)->series_count, 1);
        assert_true(shown(snapshot, specs[type].name, 0) == 1);
        assert_int_equal(kvtel_store_read(store, specs[type].name, first, 1, &reading), KVTEL_E_UNKNOWN);
        assert_int_equal(kvtel_store_read(store, specs[type].name, second, 1, &reading), KVTEL_OK);
        kvtel_snapshot_destroy(snapshot);
        kvtel_lane_close(lane);
        kvtel_store_close(store);
    }
}

static void test_the_same_labels_begin_at_0(void **state)
{
    (void)state;
    struct kvtel_store *store = create_store(0);
    struct kvtel_lane *lane;
    assert_int_equal(kvtel_lane_open(store, &lane), KVTEL_OK);
    for (size_t type = 0; type < TYPES; type++) {
        uint32_t before = make_series(store, type, first);
        for (int i = 0; i < 100; i++) {
            assert_true(put(lane, type, before, 3));
            assert_int_equal(kvtel_store_series_remove(store, before), KVTEL_OK);
            uint32_t series = make_series(store, type, first);
            assert_int_not_equal(series, before);
            assert_int_equal(make_series(store, type, first), series);
            struct kvtel_snapshot *snapshot = snapshot_of(store);
            assert_int_equal(kvtel_snapshot_find(snapshot, specs[type].name)->series_count, 1);
            assert_true(shown(snapshot, specs[type].name, 0) == 0);
            kvtel_snapshot_destroy(snapshot);
            before = series;
        }
    }
    kvtel_lane_close(lane);
    kvtel_store_close(store);
}

static void test_the_cap_counts_what_is_left(void **state)
{
    (void)state;
    struct kvtel_store *store = kvtel_store_create(KVTEL_STORE_OPTIONS(.max_series = 1));
    uint32_t family, series;
    assert_int_equal(kvtel_store_family(store, &specs[0], &family), KVTEL_OK);
    assert_int_equal(kvtel_store_series(store, family, first, 1, &series), KVTEL_OK);
    assert_int_equal(kvtel_store_series(store, family, second, 1, &(uint32_t){ 0 }), KVTEL_E_LIMIT);
    assert_int_equal(kvtel_store_series_remove(store, series), KVTEL_OK);
    assert_int_equal(kvtel_store_series(store, family, second, 1, &series), KVTEL_OK);
    assert_int_equal(kvtel_store_family_clear(store, family), KVTEL_OK);
    assert_int_equal(kvtel_store_family_clear(store, family), KVTEL_OK);
    assert_int_equal(kvtel_store_family_clear(store, family + 1), KVTEL_E_UNKNOWN);
    struct kvtel_snapshot *snapshot = snapshot_of(store);
    assert_int_equal(kvtel_snapshot_find(snapshot, "c")->series_count, 0);
    kvtel_snapshot_destroy(snapshot);
    kvtel_store_close(store);
}

/* Finds the number of a series by asking for it again. */
static uint32_t series_of(struct kvtel_store *store, const char *name)
{
    static const char *const names[] = { "model_name", "engine" }, *const values[] = { "m", "0" };
    const struct kvtel_connector *connector = kvtel_connector_find("NixlConnector");
    const struct kvtel_metric *metric = connector->metrics;
    while (strcmp(metric->name, name) != 0)
        metric++;
    const struct kvtel_family_spec spec = { .name = metric->name,
                                            .type = metric->type,
                                            .labelnames = names,
                                            .label_count = 2,
                                            .buckets = metric->buckets,
                                            .unit = metric->unit };
    uint32_t family, series;
    assert_int_equal(kvtel_store_family(store, &spec, &family), KVTEL_OK);
    assert_int_equal(kvtel_store_series(store, family, values, 2, &series), KVTEL_OK);
    return series;
}

/* Of rows that a recorder writes only the column of the removed series is lost, and a handle for the series alone has
 * its records dropped. Both are counted. */
static void test_one_column_of_a_recorder(void **state)
{
    (void)state;
    struct kvtel_store *store = create_store(0);
    struct kvtel_recorder *recorder = create_recorder(store, "NixlConnector");
    const struct kvtel_transfer transfer = { .duration_ns = 1000, .post_ns = 10, .bytes = 4096, .descriptors = 2 };
    for (int i = 0; i < 300; i++)
        assert_true(kvtel_record_transfer(recorder, &transfer));
    assert_int_equal(kvtel_store_series_remove(store, series_of(store, "vllm:nixl_bytes_transferred")), KVTEL_OK);
    for (int i = 0; i < 300; i++)
        assert_true(kvtel_record_transfer(recorder, &transfer));
    assert_int_equal(kvtel_store_series_remove(store, series_of(store, "vllm:nixl_num_kv_expired_reqs")), KVTEL_OK);
    assert_false(kvtel_record_failure(recorder, KVTEL_FAILED_EXPIRED));
    assert_int_equal(dropped_of(store), 256 + 1); /* of 600 rows the second block was full after the removal */

    struct kvtel_snapshot *snapshot = snapshot_of(store);
    assert_int_equal(kvtel_snapshot_find(snapshot, "vllm:nixl_bytes_transferred")->series_count, 0);
    assert_int_equal(kvtel_snapshot_find(snapshot, "vllm:nixl_num_kv_expired_reqs")->series_count, 0);
    check_sum(snapshot, "vllm:nixl_xfer_time_seconds", "", 600, 600e-6);
    check_sum(snapshot, "vllm:nixl_num_descriptors", "", 600, 1200);
    kvtel_snapshot_destroy(snapshot);

    struct kvtel_recorder *again = create_recorder(store, "NixlConnector");
    assert_true(kvtel_record_transfer(again, &transfer));
    snapshot = snapshot_of(store);
    check_sum(snapshot, "vllm:nixl_bytes_transferred", "", 1, 4096);
    check_sum(snapshot, "vllm:nixl_xfer_time_seconds", "", 601, 601e-6);
    kvtel_snapshot_destroy(snapshot);
    kvtel_recorder_destroy(again);
    kvtel_recorder_destroy(recorder);
    kvtel_store_close(store);
}

/* A reader that has the store open sees the removal, and the new series beside the removed one. */
static void test_a_reader_follows(void **state)
{
    (void)state;
    char directory[] = "/tmp/kvtel-remove-XXXXXX";
    assert_non_null(mkdtemp(directory));
    struct kvtel_store *store = kvtel_store_open(KVTEL_STORE_OPTIONS(.dir = directory));
    assert_non_null(kvtel_store_path(store));
    char path[256];
    (void)snprintf(path, sizeof(path), "%s", kvtel_store_path(store));
    struct kvtel_lane *lane;
    struct kvtel_store_reader *reader;
    assert_int_equal(kvtel_lane_open(store, &lane), KVTEL_OK);
    assert_int_equal(kvtel_store_reader_open(path, &reader, NULL), KVTEL_OK);
    struct kvtel_snapshot *snapshot = kvtel_snapshot_create();
    for (size_t type = 0; type < TYPES; type++) {
        uint32_t series = make_series(store, type, first);
        assert_true(put(lane, type, series, 3));
        for (int i = 0; i < 3; i++) {
            kvtel_snapshot_reset(snapshot);
            assert_int_equal(kvtel_snapshot_add_reader(snapshot, reader, NULL), KVTEL_OK);
            assert_int_equal(kvtel_snapshot_find(snapshot, specs[type].name)->series_count, i == 1 ? 0 : 1);
            if (i != 1)
                assert_true(shown(snapshot, specs[type].name, 0) == (i == 0 ? type == 2 ? 1 : 3 : 0));
            if (i == 0)
                assert_int_equal(kvtel_store_series_remove(store, series), KVTEL_OK);
            else
                (void)make_series(store, type, first);
        }
    }
    kvtel_lane_close(lane);
    kvtel_store_close(store);
    kvtel_snapshot_reset(snapshot);
    assert_int_equal(kvtel_snapshot_add_reader(snapshot, reader, NULL), KVTEL_OK); /* of a store that has ended */
    assert_int_equal(kvtel_snapshot_find(snapshot, "c")->series_count, 1);
    kvtel_snapshot_destroy(snapshot);
    kvtel_store_reader_close(reader);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(rmdir(directory), 0);
}

static void test_a_child_cannot_remove(void **state)
{
    (void)state;
    skip_unless_fork_wipes();
    struct kvtel_store *store = create_store(0);
    uint32_t series = make_series(store, 0, first);
    pid_t pid = fork();
    if (pid == 0)
        _exit(kvtel_store_series_remove(store, series) == KVTEL_E_BUSY &&
                      kvtel_store_family_clear(store, 0) == KVTEL_E_BUSY
                  ? 0
                  : 1);
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    kvtel_store_close(store);
}

struct load {
    struct kvtel_store *store;
    uint32_t series[TYPES];
    _Atomic bool stop;
};

static void *write_all(void *argument)
{
    struct load *load = argument;
    struct kvtel_lane *lane;
    if (kvtel_lane_open(load->store, &lane) != KVTEL_OK)
        abort();
    while (!atomic_load(&load->stop))
        for (size_t type = 0; type < TYPES; type++)
            (void)put(lane, type, load->series[type], 1);
    kvtel_lane_close(lane);
    return NULL;
}

/* A snapshot has a label set once, while others write, remove it and make it anew. */
static void test_removal_beside_writers(void **state)
{
    (void)state;
    struct load load = { .store = create_store(0) };
    pthread_t threads[2];
    for (size_t type = 0; type < TYPES; type++)
        load.series[type] = make_series(load.store, type, first);
    for (size_t i = 0; i < 2; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, write_all, &load), 0);
    for (int round = 0; round < 100; round++)
        for (size_t type = 0; type < TYPES; type++) {
            uint32_t series = make_series(load.store, type, second);
            struct kvtel_snapshot *snapshot = snapshot_of(load.store);
            assert_int_equal(kvtel_snapshot_find(snapshot, specs[type].name)->series_count, 2);
            kvtel_snapshot_destroy(snapshot);
            assert_int_equal(kvtel_store_series_remove(load.store, series), KVTEL_OK);
        }
    for (size_t type = 0; type < TYPES; type++)
        assert_int_equal(kvtel_store_series_remove(load.store, load.series[type]), KVTEL_OK);
    uint64_t dropped = dropped_of(load.store);
    for (int i = 0; i < 60000 && dropped_of(load.store) == dropped; i++) /* until a writer met it, a minute at most */
        usleep(1000);
    assert_true(dropped_of(load.store) > dropped);
    atomic_store(&load.stop, true);
    for (size_t i = 0; i < 2; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    kvtel_store_close(load.store);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_removed_series_is_gone),
        cmocka_unit_test(test_the_same_labels_begin_at_0),
        cmocka_unit_test(test_the_cap_counts_what_is_left),
        cmocka_unit_test(test_one_column_of_a_recorder),
        cmocka_unit_test(test_a_reader_follows),
        cmocka_unit_test(test_a_child_cannot_remove),
        cmocka_unit_test(test_removal_beside_writers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
