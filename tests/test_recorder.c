/* SPDX-License-Identifier: Apache-2.0 */
/* Recording through handles: the series that transfers, failures and gauges change, for each connector's table. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <kvtel/prom.h>
#include <kvtel/recorder.h>
#include <kvtel/snapshot.h>

#include "collect/series.h"
#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support/fork.h"
#include "support/stores.h"

static const struct kvtel_transfer transfer = {
    .duration_ns = 3000000, .post_ns = 300000, .bytes = 262144, .descriptors = 2, .failed = 1
};

static void test_nixl(void **state)
{
    (void)state;
    struct kvtel_store *store = create_store(3);
    struct kvtel_recorder *recorder = create_recorder(store, "NixlConnector");
    for (int i = 0; i < 1000; i++)
        assert_true(kvtel_record_transfer(recorder, &transfer));
    assert_true(kvtel_record_failure(recorder, KVTEL_FAILED_HANDSHAKE));
    assert_true(kvtel_record_failure(recorder, KVTEL_FAILED_NOTIFICATION));
    assert_true(kvtel_record_failure(recorder, KVTEL_FAILED_EXPIRED));
    assert_false(kvtel_record_failure(recorder, KVTEL_FAILED_SAVE));
    struct kvtel_snapshot *snapshot = snapshot_of(store);
    check_sum(snapshot, "vllm:nixl_xfer_time_seconds", "", 1000, 3);
    check_sum(snapshot, "vllm:nixl_post_time_seconds", "", 1000, 0.3);
    check_sum(snapshot, "vllm:nixl_bytes_transferred", "", 1000, 262144e3);
    check_sum(snapshot, "vllm:nixl_num_descriptors", "", 1000, 2000);
    check_value(snapshot, "vllm:nixl_num_failed_transfers", "", 2);
    check_value(snapshot, "vllm:nixl_num_failed_notifications", "", 1);
    check_value(snapshot, "vllm:nixl_num_kv_expired_reqs", "", 1);
    check_value(snapshot, "vllm:nixl_num_notifications_after_expiry", "", 0);
    assert_string_equal(find_series(snapshot, "vllm:nixl_xfer_time_seconds", "")->values[0], "m");
    assert_string_equal(find_series(snapshot, "vllm:nixl_xfer_time_seconds", "")->values[1], "3");
    kvtel_snapshot_destroy(snapshot);
    kvtel_recorder_destroy(recorder);
    kvtel_store_close(store);
}

static void test_operations(void **state)
{
    (void)state;
    struct kvtel_store *store = create_store(3);
    struct kvtel_recorder *recorder = create_recorder(store, "MooncakeStoreConnector");
    assert_false(kvtel_record_transfer(recorder, &transfer)); /* an operation must be named */
    const struct kvtel_operation *put = kvtel_recorder_operation(recorder, "save_put", NULL);
    const struct kvtel_operation *bad = kvtel_recorder_operation(recorder, "save_put", "error");
    assert_ptr_equal(put, kvtel_recorder_operation(recorder, "save_put", "ok"));
    for (int i = 0; i < 300; i++)
        assert_true(kvtel_record_operation(put, &transfer));
    assert_true(kvtel_record_operation(bad, &transfer));
    struct kvtel_snapshot *snapshot = snapshot_of(store);
    check_sum(snapshot, "vllm:mooncake_store_operation_time_seconds", "save_put,ok", 300, 0.9);
    check_value(snapshot, "vllm:mooncake_store_operation", "save_put,ok", 300);
    check_value(snapshot, "vllm:mooncake_store_operation", "save_put,error", 1);
    check_value(snapshot, "vllm:mooncake_store_operation_keys", "save_put,ok", 600);
    check_value(snapshot, "vllm:mooncake_store_operation_bytes", "save_put,ok", 300 * 262144.0);
    check_value(snapshot, "vllm:mooncake_store_operation_failed_keys", "save_put,ok", 300);
    kvtel_snapshot_destroy(snapshot);
    kvtel_recorder_destroy(recorder);

    recorder = create_recorder(store, "UMBPStoreConnector");
    assert_true(kvtel_record_operation(kvtel_recorder_operation(recorder, "load", NULL), &transfer));
    assert_true(kvtel_record_operation(kvtel_recorder_operation(recorder, "load", "error"), &transfer));
    snapshot = snapshot_of(store);
    check_value(snapshot, "vllm:umbp_transfer_submitted", "load", 2);
    check_value(snapshot, "vllm:umbp_transfer_completed", "load", 1);
    check_value(snapshot, "vllm:umbp_transfer_failed", "load", 1);
    check_value(snapshot, "vllm:umbp_transfer_bytes", "load", 262144);
    kvtel_snapshot_destroy(snapshot);
    kvtel_recorder_destroy(recorder);
    kvtel_store_close(store);
}

static void test_typed(void **state)
{
    (void)state;
    struct kvtel_store *store = create_store(3);
    struct kvtel_recorder *recorder = create_recorder(store, "OffloadingConnector");
    assert_true(kvtel_record_transfer(recorder, &transfer)); /* a load */
    assert_true(kvtel_record_operation(kvtel_recorder_operation(recorder, "store", NULL), &transfer));
    assert_null(kvtel_recorder_operation(recorder, "sideways", NULL));
    assert_true(kvtel_record_failure(recorder, KVTEL_FAILED_ALLOCATION));
    const struct kvtel_instrument *usage =
        kvtel_recorder_instrument(recorder, "vllm:kv_offload_cpu_cache_usage_perc", NULL, 0);
    assert_true(kvtel_record_value(usage, 0.25));
    assert_true(kvtel_record_value(usage, 0.5));
    const struct kvtel_instrument *delay =
        kvtel_recorder_instrument(recorder, "vllm:kv_offload_lookup_sync_delay_seconds", NULL, 0);
    assert_true(kvtel_record_value(delay, 0.125));
    assert_false(kvtel_record_value(delay, -1));
    assert_null(kvtel_recorder_instrument(recorder, "vllm:kv_offload_lookup_sync_delay_seconds",
                                          (const char *const[]){ "x" }, 1));
    assert_null(
        kvtel_recorder_instrument(recorder, "vllm:kv_offload_tiering_read_bytes", (const char *const[]){ "1:fs" }, 1));
    assert_null(kvtel_recorder_instrument(recorder, "no such", NULL, 0));
    struct kvtel_snapshot *snapshot = snapshot_of(store);
    check_value(snapshot, "vllm:kv_offload_load_bytes", "", 262144);
    check_value(snapshot, "vllm:kv_offload_load_time", "", 0.003);
    check_sum(snapshot, "vllm:kv_offload_store_size", "", 1, 262144);
    check_value(snapshot, "vllm:kv_offload_total_bytes", "CPU_to_GPU", 262144);
    check_value(snapshot, "vllm:kv_offload_total_bytes", "GPU_to_CPU", 262144);
    check_sum(snapshot, "vllm:kv_offload_size", "GPU_to_CPU", 1, 262144);
    check_value(snapshot, "vllm:kv_offload_allocation_failure", "", 1);
    check_value(snapshot, "vllm:kv_offload_cpu_cache_usage_perc", "", 0.5);
    check_sum(snapshot, "vllm:kv_offload_lookup_sync_delay_seconds", "", 1, 0.125);
    kvtel_snapshot_destroy(snapshot);
    kvtel_recorder_destroy(recorder);
    kvtel_store_close(store);
}

static void test_tiers(void **state)
{
    (void)state;
    static const char json[] =
        "{\"kv_connector\": \"OffloadingConnector\", \"kv_connector_extra_config\": {\"spec_name\": "
        "\"TieringOffloadingSpec\"}}";
    struct kvtel_transfer_config *config;
    assert_int_equal(kvtel_transfer_config_parse(KVTEL_JSON, json, sizeof(json) - 1, &config, NULL), KVTEL_OK);
    struct kvtel_store *store = create_store(3);
    struct kvtel_recorder *recorder = kvtel_recorder_create(store, kvtel_connector_find("OffloadingConnector"),
                                                            KVTEL_RECORDER_OPTIONS(.config = config, .engine = "7"));
    const struct kvtel_instrument *read =
        kvtel_recorder_instrument(recorder, "vllm:kv_offload_tiering_read_bytes", (const char *const[]){ "1:fs" }, 1);
    assert_true(kvtel_record_value(read, 4096));
    assert_true(kvtel_record_value(read, 4096));
    struct kvtel_snapshot *snapshot = snapshot_of(store);
    check_value(snapshot, "vllm:kv_offload_tiering_read_bytes", "1:fs", 8192);
    assert_string_equal(find_series(snapshot, "vllm:kv_offload_tiering_read_bytes", "1:fs")->values[1], "7");
    kvtel_snapshot_destroy(snapshot);
    kvtel_recorder_destroy(recorder);
    kvtel_store_close(store);
    kvtel_transfer_config_destroy(config);
}

/* A recorder makes the same families and idle series as the metrics that are fed from payloads. */
static void test_same_families_as_payloads(void **state)
{
    (void)state;
    for (size_t i = 0; kvtel_connector_at(i); i++) {
        const struct kvtel_connector *connector = kvtel_connector_at(i);
        if (connector->payload_kind == KVTEL_PAYLOAD_NONE || connector->payload_kind == KVTEL_PAYLOAD_MULTI)
            continue;
        struct kvtel_store *recorded = create_store(3), *observed = create_store(3);
        struct kvtel_transfer_config *config = kvtel_transfer_config_of(connector->names[0].name);
        const char *const labels[] = { "m", "3" };
        struct kvtel_prom_options options = { .config = config,
                                              .labelnames = (const char *const[]){ "model_name", "engine" },
                                              .label_count = 2,
                                              .engines =
                                                  &(const struct kvtel_engine_labels){ .engine = 3, .values = labels },
                                              .engine_count = 1 };
        struct kvtel_prom_metrics *metrics;
        assert_int_equal(kvtel_store_metric_types(observed, &options.types), KVTEL_OK);
        assert_int_equal(kvtel_prom_metrics_create_generic(connector, &options, &metrics), KVTEL_OK);
        struct kvtel_recorder *recorder = kvtel_recorder_create(recorded, connector, NULL);
        struct kvtel_snapshot *a = snapshot_of(recorded), *b = snapshot_of(observed);
        assert_int_equal(kvtel_snapshot_family_count(a), kvtel_snapshot_family_count(b));
        for (size_t f = 0; f < kvtel_snapshot_family_count(a); f++) {
            const struct kvtel_snapshot_family *mine = kvtel_snapshot_family(a, f),
                                               *theirs = kvtel_snapshot_family(b, f);
            assert_string_equal(mine->name, theirs->name);
            assert_string_equal(mine->help, theirs->help);
            assert_int_equal(mine->bound_count, theirs->bound_count);
            for (size_t k = 0; k < theirs->series_count; k++) {
                assert_true(k < mine->series_count);
                for (size_t label = 0; label < mine->label_count; label++)
                    assert_string_equal(mine->series[k].values[label], theirs->series[k].values[label]);
            }
        }
        kvtel_snapshot_destroy(a);
        kvtel_snapshot_destroy(b);
        kvtel_recorder_destroy(recorder);
        kvtel_prom_metrics_destroy(metrics);
        kvtel_transfer_config_destroy(config);
        kvtel_store_close(recorded);
        kvtel_store_close(observed);
    }
}

/* Two recorders of the same labels share their group; series that stood alone before are written one by one. */
static void test_shared_series(void **state)
{
    (void)state;
    struct kvtel_store *store = create_store(3);
    struct kvtel_recorder *first = create_recorder(store, "NixlConnector"),
                          *second = create_recorder(store, "NixlConnector");
    assert_true(kvtel_record_transfer(first, &transfer));
    assert_true(kvtel_record_transfer(second, &transfer));
    kvtel_recorder_destroy(first);
    kvtel_recorder_destroy(second);

    const struct kvtel_metric *metric = kvtel_connector_find("MooncakeConnector")->metrics;
    const struct kvtel_family_spec spec = { .name = metric->name,
                                            .type = metric->type,
                                            .help = metric->help,
                                            .labelnames = (const char *const[]){ "model_name", "engine" },
                                            .label_count = 2,
                                            .buckets = metric->buckets,
                                            .unit = metric->unit };
    struct kvtel_lane *lane;
    uint32_t family, series;
    assert_int_equal(kvtel_store_family(store, &spec, &family), KVTEL_OK);
    assert_int_equal(kvtel_store_series(store, family, (const char *const[]){ "m", "3" }, 2, &series), KVTEL_OK);
    struct kvtel_recorder *mooncake = create_recorder(store, "MooncakeConnector");
    assert_int_equal(kvtel_lane_open(store, &lane), KVTEL_OK);
    for (int i = 0; i < 600; i++) {
        assert_int_equal(kvtel_lane_observe(lane, series, &(const double){ 0.001 }, 1), 1);
        assert_true(kvtel_record_transfer(mooncake, &transfer));
        assert_true(kvtel_lane_record(lane, kvtel_recorder_operation(mooncake, NULL, NULL), &transfer));
    }
    struct kvtel_snapshot *snapshot = snapshot_of(store);
    check_sum(snapshot, "vllm:nixl_xfer_time_seconds", "", 2, 0.006);
    check_sum(snapshot, "vllm:mooncake_xfer_time_seconds", "", 1800, 600 * 0.007);
    check_sum(snapshot, "vllm:mooncake_bytes_transferred", "", 1200, 1200 * 262144.0);
    kvtel_snapshot_destroy(snapshot);
    kvtel_recorder_destroy(mooncake);
    kvtel_store_close(store);
}

/* Values observed alone in a series of a recorder's group leave its other columns without one. */
static void test_absent_columns(void **state)
{
    (void)state;
    struct kvtel_store *store = create_store(3);
    struct kvtel_recorder *recorder = create_recorder(store, "NixlConnector");
    struct kvtel_lane *lane;
    uint32_t family, series;
    const struct kvtel_metric *metric = kvtel_connector_find("NixlConnector")->metrics;
    const struct kvtel_family_spec spec = { .name = metric->name,
                                            .type = metric->type,
                                            .help = metric->help,
                                            .labelnames = (const char *const[]){ "model_name", "engine" },
                                            .label_count = 2,
                                            .buckets = metric->buckets,
                                            .unit = metric->unit };
    assert_int_equal(kvtel_store_family(store, &spec, &family), KVTEL_OK);
    assert_int_equal(kvtel_store_series(store, family, (const char *const[]){ "m", "3" }, 2, &series), KVTEL_OK);
    assert_int_equal(kvtel_lane_open(store, &lane), KVTEL_OK);
    const struct kvtel_operation *operation = kvtel_recorder_operation(recorder, NULL, NULL);
    struct kvtel_snapshot *snapshot = kvtel_snapshot_create();
    for (uint64_t i = 1; i <= 1500; i++) {
        assert_int_equal(kvtel_lane_observe(lane, series, &(const double){ 1 }, 1), 1);
        if (i % 3 == 0)
            assert_true(kvtel_lane_record(lane, operation, &transfer));
        if (i % 37 != 0)
            continue;
        kvtel_snapshot_reset(snapshot);
        assert_int_equal(kvtel_snapshot_add(snapshot, store), KVTEL_OK);
        check_sum(snapshot, "vllm:nixl_xfer_time_seconds", "", i + i / 3, (double)i + (double)(i / 3) * 0.003);
        check_sum(snapshot, "vllm:nixl_num_descriptors", "", i / 3, (double)(i / 3) * 2);
    }
    kvtel_snapshot_destroy(snapshot);
    kvtel_recorder_destroy(recorder);
    kvtel_store_close(store);
}

static void test_windows(void **state)
{
    (void)state;
    struct kvtel_store *store = create_store(3);
    struct kvtel_recorder *recorder =
        kvtel_recorder_create(store, kvtel_connector_find("NixlConnector"), KVTEL_RECORDER_OPTIONS(.windows = true));
    const struct kvtel_transfer timed = {
        .submitted_ns = 1000000, .posted_ns = 1200000, .first_byte_ns = 2000000, .done_ns = 4000000
    };
    assert_true(kvtel_record_transfer(recorder, &timed));
    assert_true(kvtel_record_transfer(recorder, &transfer));
    struct kvtel_snapshot *snapshot = snapshot_of(store);
    check_sum(snapshot, "vllm:nixl_xfer_time_seconds", "", 2, 0.006);
    check_sum(snapshot, "vllm:nixl_post_time_seconds", "", 2, 0.0005);
    check_sum(snapshot, "kvtel_transfer_first_byte_seconds", "NixlConnector,transfer", 1, 0.001);
    check_sum(snapshot, "kvtel_transfer_data_seconds", "NixlConnector,transfer", 1, 0.002);
    kvtel_snapshot_destroy(snapshot);
    kvtel_recorder_destroy(recorder);
    kvtel_store_close(store);
}

static void test_nothing_to_record(void **state)
{
    (void)state;
    struct kvtel_store *store = create_store(3);
    assert_null(kvtel_recorder_create(NULL, kvtel_connector_find("NixlConnector"), NULL));
    assert_null(kvtel_recorder_create(store, NULL, NULL));
    assert_null(kvtel_recorder_create(store, kvtel_connector_find("MultiConnector"), NULL));
    assert_null(kvtel_recorder_create(store, kvtel_connector_find("ExampleConnector"), NULL));
    assert_false(kvtel_record_transfer(NULL, &transfer));
    assert_false(kvtel_record_operation(NULL, &transfer));
    assert_false(kvtel_record_failure(NULL, KVTEL_FAILED_TRANSFER));
    assert_false(kvtel_record_value(NULL, 1));
    assert_null(kvtel_recorder_operation(NULL, NULL, NULL));
    assert_null(kvtel_recorder_instrument(NULL, "x", NULL, 0));
    kvtel_recorder_destroy(NULL);
    kvtel_store_close(store);
}

static void count_warning(void *context, const char *message)
{
    assert_non_null(message);
    (*(int *)context)++;
}

static void test_lane_of_another_store(void **state)
{
    (void)state;
    struct kvtel_store *store = create_store(3), *other = create_store(3);
    struct kvtel_recorder *recorder = create_recorder(store, "NixlConnector");
    const struct kvtel_operation *operation = kvtel_recorder_operation(recorder, NULL, NULL);
    struct kvtel_lane *lane;
    struct kvtel_store_info info;
    assert_int_equal(kvtel_lane_open(other, &lane), KVTEL_OK);
    assert_false(kvtel_lane_record(lane, operation, &transfer));
    assert_false(kvtel_lane_record(lane, operation, &transfer));
    kvtel_store_describe(store, &info);
    assert_int_equal(info.records_dropped, 2);
    kvtel_store_describe(other, &info);
    assert_int_equal(info.records_dropped, 0);
    kvtel_lane_close(lane);
    kvtel_recorder_destroy(recorder);
    kvtel_store_close(other);
    kvtel_store_close(store);
}

static void *record_some(void *recorder)
{
    for (int i = 0; i < 10; i++)
        (void)kvtel_record_transfer(recorder, &transfer);
    return NULL;
}

static void test_no_lane_left(void **state)
{
    (void)state;
    int warnings = 0;
    struct kvtel_store *store =
        kvtel_store_create(KVTEL_STORE_OPTIONS(.max_lanes = 1, .warn = count_warning, .warn_context = &warnings));
    struct kvtel_recorder *recorder = create_recorder(store, "NixlConnector");
    assert_true(kvtel_record_transfer(recorder, &transfer)); /* has the only lane */
    for (int i = 0; i < 2; i++) {
        pthread_t thread;
        assert_int_equal(pthread_create(&thread, NULL, record_some, recorder), 0);
        pthread_join(thread, NULL);
    }
    struct kvtel_store_info info;
    kvtel_store_describe(store, &info);
    assert_int_equal(info.records_dropped, 20);
    assert_int_equal(warnings, 1);
    kvtel_recorder_destroy(recorder);
    kvtel_store_close(store);
}

static void test_fork(void **state)
{
    (void)state;
    skip_unless_fork_wipes();
    char dir[] = "/tmp/kvtel-test-XXXXXX";
    assert_non_null(mkdtemp(dir));
    struct kvtel_store *store = kvtel_store_open(KVTEL_STORE_OPTIONS(.dir = dir));
    assert_non_null(kvtel_store_path(store));
    struct kvtel_recorder *recorder = create_recorder(store, "NixlConnector");
    assert_true(kvtel_record_transfer(recorder, &transfer));
    pid_t child = fork();
    if (child == 0) {
        struct kvtel_lane *lane;
        bool off = !kvtel_record_transfer(recorder, &transfer) &&
                   !kvtel_record_failure(recorder, KVTEL_FAILED_TRANSFER) &&
                   kvtel_lane_open(store, &lane) == KVTEL_E_BUSY &&
                   !kvtel_recorder_create(store, kvtel_connector_find("NixlConnector"), NULL);
        struct kvtel_store *own = kvtel_store_open(KVTEL_STORE_OPTIONS(.dir = dir));
        struct kvtel_recorder *mine = kvtel_recorder_create(own, kvtel_connector_find("NixlConnector"), NULL);
        bool on = kvtel_record_transfer(mine, &transfer);
        (void)unlink(kvtel_store_path(own));
        _exit(off && on ? 0 : 1);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    assert_true(kvtel_record_transfer(recorder, &transfer));
    struct kvtel_snapshot *snapshot = snapshot_of(store);
    check_sum(snapshot, "vllm:nixl_xfer_time_seconds", "", 2, 0.006);
    check_value(snapshot, "vllm:nixl_num_failed_transfers", "", 0);
    kvtel_snapshot_destroy(snapshot);
    kvtel_recorder_destroy(recorder);
    (void)unlink(kvtel_store_path(store));
    (void)rmdir(dir);
    kvtel_store_close(store);
}

static void test_clocks(void **state)
{
    (void)state;
    struct kvtel_ticks ticks;
    kvtel_ticks_calibrate(&ticks, 20000000);
    /* between readings of the other clock, so that it does not matter when the machine turns to something else */
    uint64_t outer_begin = kvtel_now_ns(), count = kvtel_ticks_now(), inner_begin = kvtel_now_ns();
    while (kvtel_now_ns() - inner_begin < 20000000)
        continue;
    uint64_t inner_end = kvtel_now_ns();
    count = kvtel_ticks_now() - count;
    uint64_t outer_end = kvtel_now_ns();
    double measured = (double)kvtel_ticks_ns(&ticks, count);
    assert_true(measured > 0.75 * (double)(inner_end - inner_begin));
    assert_true(measured < 2 * (double)(outer_end - outer_begin));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nixl),
        cmocka_unit_test(test_operations),
        cmocka_unit_test(test_typed),
        cmocka_unit_test(test_tiers),
        cmocka_unit_test(test_same_families_as_payloads),
        cmocka_unit_test(test_shared_series),
        cmocka_unit_test(test_absent_columns),
        cmocka_unit_test(test_windows),
        cmocka_unit_test(test_nothing_to_record),
        cmocka_unit_test(test_lane_of_another_store),
        cmocka_unit_test(test_no_lane_left),
        cmocka_unit_test(test_fork),
        cmocka_unit_test(test_clocks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
