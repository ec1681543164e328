/* SPDX-License-Identifier: Apache-2.0 */
/* Many threads on one store, in the heap and in a file, with readers attached. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <kvtel/reader.h>
#include <kvtel/recorder.h>

#include "collect/series.h"
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "support/sanitizer.h"

#if UNDER_TSAN || UNDER_ASAN
enum { GENERATIONS = 60, AT_ONCE = 8, TRANSFERS = 700 };
#else
enum { GENERATIONS = 400, AT_ONCE = 8, TRANSFERS = 700 };
#endif

struct load {
    struct kvtel_store *store;
    struct kvtel_recorder *recorder;
    const struct kvtel_instrument *level;
    _Atomic bool stop;
};

static void *record(void *argument)
{
    const struct load *load = argument;
    for (uint64_t i = 0; i < TRANSFERS; i++) {
        const struct kvtel_transfer transfer = {
            .duration_ns = 1000 * i, .post_ns = 10 * i, .bytes = 4096, .descriptors = 2
        };
        (void)kvtel_record_transfer(load->recorder, &transfer);
    }
    (void)kvtel_record_failure(load->recorder, KVTEL_FAILED_TRANSFER);
    (void)kvtel_record_value(load->level, 0.5);
    return NULL;
}

/* New families and series while others record. */
static void *grow(void *argument)
{
    struct load *load = argument;
    static const char *const labels[] = { "n" };
    for (int i = 0; !atomic_load(&load->stop); i++) {
        char name[32], value[16];
        uint32_t family, series;
        struct kvtel_lane *lane;
        (void)snprintf(name, sizeof(name), "extra_%d", i % 20);
        (void)snprintf(value, sizeof(value), "%d", i % 500);
        const struct kvtel_family_spec spec = { .name = name,
                                                .type = i % 2 ? KVTEL_HISTOGRAM : KVTEL_COUNTER,
                                                .help = "Help.",
                                                .labelnames = labels,
                                                .label_count = 1,
                                                .unit = KVTEL_UNIT_SECONDS };
        if (kvtel_store_family(load->store, &spec, &family) != KVTEL_OK ||
            kvtel_store_series(load->store, family, (const char *const[]){ value }, 1, &series) != KVTEL_OK ||
            kvtel_lane_open(load->store, &lane) != KVTEL_OK)
            abort();
        const bool done = i % 2 ? kvtel_lane_observe(lane, series, &(const double){ 1 }, 1) == 1
                                : kvtel_lane_increase(lane, series, 1);
        if (!done)
            abort();
        kvtel_lane_close(lane);
        usleep(200);
    }
    return NULL;
}

static void check_grows(const struct kvtel_snapshot *snapshot, uint64_t *before)
{
    const struct kvtel_snapshot_family *family = kvtel_snapshot_find(snapshot, "vllm:nixl_num_descriptors");
    const struct kvtel_snapshot_series *series = &family->series[0];
    uint64_t total = 0;
    for (uint32_t i = 0; i < series->bin_count; i++)
        total += series->bins[i];
    if (total != series->count || total < *before)
        abort();
    *before = total;
}

static void *read_heap(void *argument)
{
    struct load *load = argument;
    struct kvtel_snapshot *snapshot = kvtel_snapshot_create();
    uint64_t before = 0;
    while (!atomic_load(&load->stop)) {
        kvtel_snapshot_reset(snapshot);
        if (kvtel_snapshot_add(snapshot, load->store) != KVTEL_OK)
            abort();
        check_grows(snapshot, &before);
        usleep(100);
    }
    kvtel_snapshot_destroy(snapshot);
    return NULL;
}

static void *read_file(void *argument)
{
    struct load *load = argument;
    struct kvtel_snapshot *snapshot = kvtel_snapshot_create();
    struct kvtel_store_reader *reader;
    uint64_t before = 0;
    if (kvtel_store_reader_open(kvtel_store_path(load->store), &reader, NULL) != KVTEL_OK)
        abort();
    while (!atomic_load(&load->stop)) {
        kvtel_snapshot_reset(snapshot);
        if (kvtel_snapshot_add_reader(snapshot, reader, NULL) != KVTEL_OK)
            abort();
        check_grows(snapshot, &before);
        usleep(100);
    }
    kvtel_store_reader_close(reader);
    kvtel_snapshot_destroy(snapshot);
    return NULL;
}

static void run(struct kvtel_store *store)
{
    struct load load = { .store = store,
                         .recorder = kvtel_recorder_create(store, kvtel_connector_find("NixlConnector"), NULL) };
    struct kvtel_recorder *sparse = kvtel_recorder_create(store, kvtel_connector_find("HiSparseConnector"), NULL);
    load.level = kvtel_recorder_instrument(sparse, "host_cache_usage_perc", NULL, 0);
    assert_non_null(load.level);
    pthread_t growing, reading, following, threads[AT_ONCE];
    assert_int_equal(pthread_create(&growing, NULL, grow, &load), 0);
    assert_int_equal(pthread_create(&reading, NULL, read_heap, &load), 0);
    if (kvtel_store_path(store))
        assert_int_equal(pthread_create(&following, NULL, read_file, &load), 0);
    for (int generation = 0; generation < GENERATIONS; generation++) {
        for (int i = 0; i < AT_ONCE; i++)
            assert_int_equal(pthread_create(&threads[i], NULL, record, &load), 0);
        for (int i = 0; i < AT_ONCE; i++)
            pthread_join(threads[i], NULL);
    }
    atomic_store(&load.stop, true);
    pthread_join(growing, NULL);
    pthread_join(reading, NULL);
    if (kvtel_store_path(store))
        pthread_join(following, NULL);

    struct kvtel_store_info info;
    kvtel_store_describe(store, &info);
    assert_true(info.lanes <= AT_ONCE + 1); /* given back and used again */
    assert_int_equal(info.records_dropped, 0);
    struct kvtel_snapshot *snapshot = kvtel_snapshot_create();
    assert_int_equal(kvtel_snapshot_add(snapshot, store), KVTEL_OK);
    const uint64_t expected = (uint64_t)GENERATIONS * AT_ONCE * TRANSFERS;
    const struct kvtel_snapshot_series *bytes =
        &kvtel_snapshot_find(snapshot, "vllm:nixl_bytes_transferred")->series[0];
    assert_int_equal(bytes->count, expected);
    assert_true(bytes->sum == 4096.0 * (double)expected);
    assert_true(kvtel_snapshot_find(snapshot, "vllm:nixl_num_failed_transfers")->series[0].value ==
                GENERATIONS * AT_ONCE);
    assert_true(kvtel_snapshot_find(snapshot, "vllm:hisparse_host_cache_usage_perc")->series[0].value == 0.5);
    kvtel_snapshot_destroy(snapshot);
    kvtel_recorder_destroy(load.recorder);
    kvtel_recorder_destroy(sparse);
}

static void test_heap(void **state)
{
    (void)state;
    struct kvtel_store *store = kvtel_store_create(NULL);
    run(store);
    kvtel_store_close(store);
}

static void test_file(void **state)
{
    (void)state;
    char dir[] = "/dev/shm/kvtel-test-XXXXXX";
    assert_non_null(mkdtemp(dir));
    struct kvtel_store *store = kvtel_store_open(KVTEL_STORE_OPTIONS(.dir = dir));
    assert_non_null(kvtel_store_path(store));
    run(store);
    (void)unlink(kvtel_store_path(store));
    (void)rmdir(dir);
    kvtel_store_close(store);
}

/* A thread that uses several stores in turn keeps one lane in each. */
static void test_several_stores(void **state)
{
    (void)state;
    enum { STORES = 3, ROUNDS = 1000 };
    struct kvtel_store *stores[STORES];
    struct kvtel_recorder *recorders[STORES];
    for (int i = 0; i < STORES; i++) {
        stores[i] = kvtel_store_create(NULL);
        recorders[i] = kvtel_recorder_create(stores[i], kvtel_connector_find("NixlConnector"), NULL);
    }
    const struct kvtel_transfer transfer = { .duration_ns = 1000, .bytes = 1 };
    for (int round = 0; round < ROUNDS; round++) {
        for (int i = 0; i < STORES; i++)
            assert_true(kvtel_record_transfer(recorders[i], &transfer));
    }
    for (int i = 0; i < STORES; i++) {
        struct kvtel_store_info info;
        struct kvtel_snapshot *snapshot = kvtel_snapshot_create();
        kvtel_store_describe(stores[i], &info);
        assert_int_equal(info.lanes, 1);
        assert_int_equal(kvtel_snapshot_add(snapshot, stores[i]), KVTEL_OK);
        assert_int_equal(kvtel_snapshot_find(snapshot, "vllm:nixl_bytes_transferred")->series[0].count, ROUNDS);
        kvtel_snapshot_destroy(snapshot);
        kvtel_recorder_destroy(recorders[i]);
        kvtel_store_close(stores[i]);
    }
}

enum { FILES = 100 };

static struct kvtel_store_reader *readers[FILES];

static void check_files(struct kvtel_snapshot *snapshot, size_t good)
{
    const struct kvtel_snapshot_family *family = kvtel_snapshot_find(snapshot, "vllm:nixl_bytes_transferred");
    uint64_t count = 0;
    assert_int_equal(family->series_count, 10);
    for (size_t i = 0; i < family->series_count; i++) {
        uint64_t total = 0;
        for (uint32_t bin = 0; bin < family->series[i].bin_count; bin++)
            total += family->series[i].bins[bin];
        assert_int_equal(total, family->series[i].count);
        assert_true(family->series[i].sum == 4096.0 * (double)total);
        count += total;
    }
    assert_int_equal(count, good * TRANSFERS);
}

/* Many files at once: the same as one by one, also when one of them is damaged. */
static void test_many_readers(void **state)
{
    (void)state;
    char dir[] = "/dev/shm/kvtel-test-XXXXXX", damaged[256];
    struct kvtel_error errors[FILES];
    assert_non_null(mkdtemp(dir));
    for (uint32_t i = 0; i < FILES; i++) {
        struct kvtel_store *store = kvtel_store_open(KVTEL_STORE_OPTIONS(.dir = dir, .engine = i % 10));
        struct load load = { .store = store,
                             .recorder = kvtel_recorder_create(store, kvtel_connector_find("NixlConnector"), NULL) };
        (void)record(&load);
        assert_int_equal(kvtel_store_reader_open(kvtel_store_path(store), &readers[i], NULL), KVTEL_OK);
        if (i == 33)
            assert_true((size_t)snprintf(damaged, sizeof(damaged), "%s", kvtel_store_path(store)) < sizeof(damaged));
        else
            (void)unlink(kvtel_store_path(store));
        kvtel_recorder_destroy(load.recorder);
        kvtel_store_close(store);
    }
    struct kvtel_snapshot *snapshot = kvtel_snapshot_create();
    for (int round = 0; round < 3; round++) {
        kvtel_snapshot_reset(snapshot);
        assert_int_equal(kvtel_snapshot_add_readers(snapshot, readers, FILES, errors), KVTEL_OK);
        check_files(snapshot, FILES);
    }
    assert_int_equal(truncate(damaged, 100000), 0);
    kvtel_snapshot_reset(snapshot);
    assert_int_equal(kvtel_snapshot_add_readers(snapshot, readers, FILES, errors), KVTEL_E_TRUNCATED);
    check_files(snapshot, FILES - 1);
    for (size_t i = 0; i < FILES; i++) {
        assert_int_equal(errors[i].status, i == 33 ? KVTEL_E_TRUNCATED : KVTEL_OK);
        kvtel_store_reader_close(readers[i]);
    }
    kvtel_snapshot_destroy(snapshot);
    (void)unlink(damaged);
    (void)rmdir(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_heap), cmocka_unit_test(test_file),
                                        cmocka_unit_test(test_several_stores), cmocka_unit_test(test_many_readers) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
