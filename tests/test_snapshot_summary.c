/* SPDX-License-Identifier: Apache-2.0 */
/* Summaries and log lines from two snapshots: the fields of each connector, computed back from its families. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <kvtel/recorder.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "collect/series.h"
#include "base/buffer.h"
#include "report/snapshot_summary.h"
#include "nixl/metrics.h"
#include "recording/session.h"
#include "support/failing.h" /* __wrap_malloc, __wrap_calloc, __wrap_realloc, __wrap_strdup */
#include "support/stores.h"

static void take_line(void *context, const char *line)
{
    struct kvtel_buffer *lines = context;
    assert_int_equal(kvtel_buffer_append_text(lines, line), KVTEL_OK);
    assert_int_equal(kvtel_buffer_append_byte(lines, '\n'), KVTEL_OK);
}

static void check_log(const struct kvtel_snapshot *earlier, const struct kvtel_snapshot *later,
                      enum kvtel_log_style style, const char *expected)
{
    struct kvtel_buffer lines = { 0 };
    assert_int_equal(kvtel_snapshot_log(earlier, later, style, 10, take_line, &lines), KVTEL_OK);
    assert_int_equal(kvtel_buffer_append_byte(&lines, '\0'), KVTEL_OK);
    assert_string_equal(lines.bytes, expected);
    kvtel_buffer_free(&lines);
}

static const struct kvtel_engine_summary *find(const struct kvtel_snapshot_summary *made, const char *connector,
                                               const char *engine)
{
    for (size_t i = 0; i < made->count; i++) {
        if (strcmp(made->entries[i].connector, connector) == 0 && strcmp(made->entries[i].engine, engine) == 0)
            return &made->entries[i];
    }
    fail_msg("no summary of %s in engine %s", connector, engine);
    return NULL;
}

static const struct kvtel_flow_summary *flow_of(const struct kvtel_engine_summary *entry, const char *name)
{
    for (size_t i = 0; i < entry->summary.flow_count; i++) {
        if (strcmp(entry->summary.flows[i].name, name) == 0)
            return &entry->summary.flows[i];
    }
    fail_msg("%s has no flow %s", entry->connector, name);
    return NULL;
}

static void check_near(double found, double expected, double error)
{
    if (!(fabs(found - expected) <= error * fabs(expected)))
        fail_msg("%.17g is not %.17g", found, expected);
}

static void check_failures(const struct kvtel_failure_counts *failures, const char *label, uint64_t count)
{
    for (size_t i = 0; i < failures->count; i++) {
        if (strcmp(failures->entries[i].label, label) == 0) {
            assert_int_equal(failures->entries[i].count, count);
            return;
        }
    }
    fail_msg("no failures of class %s", label);
}

/* 100 transfers of 1 ms to 100 ms after one of 5 s, which only the earlier snapshot has. */
static void test_interval_of_nixl(void **state)
{
    (void)state;
    struct kvtel_store *store = create_store(3);
    struct kvtel_recorder *recorder = create_recorder(store, "NixlConnector");
    assert_true(
        kvtel_record_transfer(recorder, &(struct kvtel_transfer){ 5000000000, 1000000, 1 << 30, 9, .failed = 0 }));
    struct kvtel_snapshot *earlier = snapshot_of(store);
    for (uint64_t i = 1; i <= 100; i++)
        assert_true(kvtel_record_transfer(recorder,
                                          &(struct kvtel_transfer){ i * 1000000, i * 10000, 1 << 20, 2, .failed = 0 }));
    for (int i = 0; i < 3; i++)
        assert_true(kvtel_record_failure(recorder, KVTEL_FAILED_HANDSHAKE));
    assert_true(kvtel_record_failure(recorder, KVTEL_FAILED_NOTIFICATION));
    assert_true(kvtel_record_failure(recorder, KVTEL_FAILED_EXPIRED));
    struct kvtel_snapshot *later = snapshot_of(store);

    struct kvtel_snapshot_summary made;
    assert_int_equal(kvtel_snapshot_summary_init(&made, earlier, later, 100), KVTEL_OK);
    assert_int_equal(made.count, 1);
    const struct kvtel_engine_summary *entry = find(&made, "NixlConnector", "3");
    const struct kvtel_flow_summary *flow = flow_of(entry, "transfer");
    assert_string_equal(entry->model_name, "m");
    assert_false(entry->summary.is_empty);
    assert_int_equal(flow->transfers, 100);
    assert_false(flow->has_failed);
    check_near(flow->bytes, 100 * 0x1p20, 1e-12);
    check_near(flow->seconds, 5.05, 1e-9);
    check_near(flow->descriptors, 200, 0);
    check_near(flow->rate, 100 * 0x1p20 / 5.05, 1e-9);
    check_near(flow->time.p50, 0.0505, 0.01);
    check_near(flow->time.p90, 0.0901, 0.01);
    check_near(flow->time.p99, 0.09901, 0.01);
    check_near(flow->time.max, 0.100, 0.01);
    check_near(flow->post.p90, 0.000901, 0.01);
    assert_int_equal(entry->bins[0].time.count, 100);
    assert_int_equal(entry->bins[0].size.count, 100);
    assert_int_equal(entry->summary.failed, 5);
    check_failures(&entry->summary.failures, "transfer_or_handshake", 3);
    check_failures(&entry->summary.failures, "notification", 1);
    check_failures(&entry->summary.failures, "expired", 1);
    kvtel_snapshot_summary_close(&made);

    struct kvtel_snapshot *none = snapshot_of(NULL);
    assert_int_equal(kvtel_snapshot_summary_init(&made, none, later, 100), KVTEL_OK);
    assert_int_equal(flow_of(&made.entries[0], "transfer")->transfers, 101);
    check_near(flow_of(&made.entries[0], "transfer")->time.max, 5, 0.01);
    kvtel_snapshot_summary_close(&made);
    check_log(later, later, KVTEL_LOG_DEFAULT, "");
    check_log(later, later, KVTEL_LOG_VLLM, "");
    check_log(none, none, KVTEL_LOG_DEFAULT, "");
    kvtel_snapshot_destroy(none);
    kvtel_snapshot_destroy(earlier);
    kvtel_snapshot_destroy(later);
    kvtel_recorder_destroy(recorder);
    kvtel_store_close(store);
}

/* Engines and models apart, operations by status, what is not measured. */
static void test_engines_and_operations(void **state)
{
    (void)state;
    struct kvtel_store *stores[] = { create_store(0), create_store(1) };
    struct kvtel_recorder *recorders[2];
    struct kvtel_snapshot *later = kvtel_snapshot_create(), *none = snapshot_of(NULL);
    for (int i = 0; i < 2; i++) {
        const struct kvtel_transfer transfer = { .duration_ns = 2000000, .bytes = 4096, .descriptors = 4, .failed = 1 };
        recorders[i] = create_recorder(stores[i], "MooncakeStoreConnector");
        for (int k = 0; k <= i; k++)
            assert_true(kvtel_record_operation(kvtel_recorder_operation(recorders[i], "save_put", "ok"), &transfer));
        assert_true(kvtel_record_operation(kvtel_recorder_operation(recorders[i], "load_get", "error"), &transfer));
        assert_int_equal(kvtel_snapshot_add(later, stores[i]), KVTEL_OK);
    }
    struct kvtel_snapshot_summary made;
    assert_int_equal(kvtel_snapshot_summary_init(&made, none, later, 100), KVTEL_OK);
    assert_int_equal(made.count, 2);
    const struct kvtel_engine_summary *entry = find(&made, "MooncakeStoreConnector", "1");
    assert_int_equal(entry->summary.flow_count, 2);
    assert_string_equal(entry->summary.flows[0].name, "load_get");
    assert_int_equal(entry->summary.flows[0].transfers, 0);
    assert_int_equal(entry->summary.flows[0].failed, 1);
    assert_int_equal(flow_of(entry, "save_put")->transfers, 2);
    check_near(flow_of(entry, "save_put")->failed_descriptors, 2, 0);
    assert_false(flow_of(entry, "save_put")->post.known);
    check_failures(&entry->summary.failures, "error", 1);
    assert_int_equal(flow_of(find(&made, "MooncakeStoreConnector", "0"), "save_put")->transfers, 1);
    kvtel_snapshot_summary_close(&made);
    check_log(
        none, later, KVTEL_LOG_DEFAULT,
        "KV transfers: connector=MooncakeStoreConnector engine=0 interval=10.0s failures=1 (error=1) | load_get ok=0 "
        "failed=1 "
        "(error=1) bytes=4.00KiB descriptors=4 failed_descriptors=1 time_p50=2.007ms time_p90=2.007ms time_p99=2.007ms "
        "time_max=2.007ms rate_per_transfer=1.95MiB/s rate_wall_clock=410B/s | save_put ok=1 failed=0 bytes=4.00KiB "
        "descriptors=4 failed_descriptors=1 time_p50=2.007ms time_p90=2.007ms time_p99=2.007ms time_max=2.007ms "
        "rate_per_transfer=1.95MiB/s rate_wall_clock=410B/s\n"
        "KV transfers: connector=MooncakeStoreConnector engine=1 interval=10.0s failures=1 (error=1) | load_get ok=0 "
        "failed=1 "
        "(error=1) bytes=4.00KiB descriptors=4 failed_descriptors=1 time_p50=2.007ms time_p90=2.007ms time_p99=2.007ms "
        "time_max=2.007ms rate_per_transfer=1.95MiB/s rate_wall_clock=410B/s | save_put ok=2 failed=0 bytes=8.00KiB "
        "descriptors=8 failed_descriptors=2 time_p50=2.007ms time_p90=2.007ms time_p99=2.007ms time_max=2.007ms "
        "rate_per_transfer=1.95MiB/s rate_wall_clock=819B/s\n");
    for (int i = 0; i < 2; i++) {
        kvtel_recorder_destroy(recorders[i]);
        kvtel_store_close(stores[i]);
    }
    kvtel_snapshot_destroy(later);
    kvtel_snapshot_destroy(none);
}

static void test_nixl_telemetry(void **state)
{
    (void)state;
    struct kvtel_store *store = create_store(0);
    struct kvtel_nixl_metrics metrics;
    struct kvtel_nixl_agent agents[2];
    assert_int_equal(kvtel_nixl_metrics_init(&metrics, store, true), KVTEL_OK);
    kvtel_nixl_metrics_agent(&metrics, "a", &agents[0]);
    kvtel_nixl_metrics_agent(&metrics, "b", &agents[1]);
    struct kvtel_snapshot *earlier = snapshot_of(store);
    const struct kvtel_nixl_event events[] = {
        { KVTEL_NIXL_POST_TIME, 100 }, { KVTEL_NIXL_XFER_TIME, 2000 },   { KVTEL_NIXL_TX_BYTES, 1 << 20 },
        { KVTEL_NIXL_TX_REQUESTS, 1 }, { KVTEL_NIXL_XFER_TIME, 4000 },   { KVTEL_NIXL_RX_BYTES, 1 << 19 },
        { KVTEL_NIXL_RX_REQUESTS, 1 }, { KVTEL_NIXL_ERR_NOT_POSTED, 1 },
    };
    for (int i = 0; i < 2; i++)
        kvtel_nixl_metrics_count(&metrics, &agents[i], events, sizeof(events) / sizeof(events[0]));
    struct kvtel_snapshot *later = snapshot_of(store);
    struct kvtel_snapshot_summary made;
    assert_int_equal(kvtel_snapshot_summary_init(&made, earlier, later, 100), KVTEL_OK);
    const struct kvtel_engine_summary *entry = find(&made, "NIXL telemetry", "");
    assert_int_equal(made.count, 1);
    assert_int_equal(flow_of(entry, "transfer")->transfers, 4);
    check_near(flow_of(entry, "transfer")->time.max, 0.004, 0.01);
    check_near(flow_of(entry, "transfer")->seconds, 0.012, 1e-9);
    assert_int_equal(flow_of(entry, "tx")->transfers, 2);
    check_near(flow_of(entry, "tx")->bytes, 2 << 20, 0);
    check_near(flow_of(entry, "rx")->bytes, 1 << 20, 0);
    assert_int_equal(entry->summary.failed, 2);
    assert_int_equal(entry->summary.failures.entries[0].count, 2);
    kvtel_snapshot_summary_close(&made);
    check_log(earlier, later, KVTEL_LOG_VLLM,
              "KV Transfer metrics: Num successful transfers=4, Avg xfer time (ms)=3.0, P90 xfer time (ms)=4.013, Avg "
              "post time "
              "(ms)=0.1, P90 post time (ms)=0.1, Throughput (MB/s)=250.0, Bytes written=2097152, Bytes read=1048576, "
              "Num errors=2\n");
    kvtel_snapshot_destroy(earlier);
    kvtel_snapshot_destroy(later);
    kvtel_nixl_metrics_close(&metrics);
    kvtel_store_close(store);
}

/* A connector of one's own: the exporter has no table for its families. */
static void test_families_without_a_table(void **state)
{
    (void)state;
    static const double times[] = { 0.002, 0.002, 0.002, 0.008 }, sizes[] = { 4096, 8192 }, lengths[] = { 3, 4, 5 };
    static const char *const labels[] = { "model_name", "engine", "peer" };
    const struct {
        struct kvtel_family_spec spec;
        const double *values;
        size_t count;
    } families[] = {
        { { .name = "my_move_seconds", .type = KVTEL_HISTOGRAM, .unit = KVTEL_UNIT_SECONDS }, times, 4 },
        { { .name = "vllm:my_size_bytes", .type = KVTEL_HISTOGRAM, .unit = KVTEL_UNIT_BYTES }, sizes, 2 },
        { { .name = "my_queue_length", .type = KVTEL_HISTOGRAM, .unit = KVTEL_UNIT_COUNT }, lengths, 3 },
        { { .name = "my_failures", .type = KVTEL_COUNTER, .unit = KVTEL_UNIT_COUNT }, NULL, 0 },
        { { .name = "my_level", .type = KVTEL_GAUGE, .unit = KVTEL_UNIT_RATIO }, NULL, 0 },
        { { .name = "kvtel_my_own", .type = KVTEL_COUNTER, .unit = KVTEL_UNIT_COUNT }, NULL, 0 },
    };
    struct kvtel_store *store = create_store(0);
    struct kvtel_lane *lane;
    assert_int_equal(kvtel_lane_open(store, &lane), KVTEL_OK);
    struct kvtel_snapshot *earlier = snapshot_of(store);
    for (size_t i = 0; i < sizeof(families) / sizeof(families[0]); i++) {
        struct kvtel_family_spec spec = families[i].spec;
        uint32_t family, series;
        spec.help = "h";
        spec.labelnames = labels;
        spec.label_count = 3;
        assert_int_equal(kvtel_store_family(store, &spec, &family), KVTEL_OK);
        assert_int_equal(kvtel_store_series(store, family, (const char *const[]){ "m", "7", "p" }, 3, &series),
                         KVTEL_OK);
        if (spec.type == KVTEL_HISTOGRAM)
            assert_int_equal(kvtel_lane_observe(lane, series, families[i].values, families[i].count),
                             families[i].count);
        else
            assert_true(spec.type == KVTEL_GAUGE ? kvtel_lane_set(lane, series, 0.5)
                                                 : kvtel_lane_increase(lane, series, 3));
    }
    struct kvtel_snapshot *later = snapshot_of(store);
    struct kvtel_snapshot_summary made;
    assert_int_equal(kvtel_snapshot_summary_init(&made, earlier, later, 100), KVTEL_OK);
    assert_int_equal(made.count, 1);
    const struct kvtel_engine_summary *entry = find(&made, "other metrics", "7");
    assert_string_equal(entry->model_name, "m");
    assert_int_equal(entry->summary.flow_count, 3);
    assert_int_equal(flow_of(entry, "my_move_seconds")->transfers, 4);
    check_near(flow_of(entry, "my_move_seconds")->time.max, 0.008, 0.01);
    check_near(flow_of(entry, "my_size_bytes")->bytes, 12288, 0);
    assert_int_equal(flow_of(entry, "my_queue_length")->transfers, 3);
    assert_int_equal(entry->summary.other_count, 2);
    assert_string_equal(entry->summary.others[0].name, "my_failures");
    assert_string_equal(entry->summary.others[0].labels, "p");
    check_near(entry->summary.others[0].value, 3, 0);
    assert_string_equal(entry->summary.others[1].name, "my_level");
    kvtel_snapshot_summary_close(&made);
    check_log(earlier, later, KVTEL_LOG_DEFAULT,
              "KV transfers: connector=other metrics engine=7 interval=10.0s failures=0 | my_move_seconds ok=4 "
              "time_p50=2.007ms "
              "time_p90=6.220ms time_p99=7.845ms time_max=8.026ms | my_size_bytes ok=2 bytes=12.00KiB "
              "rate_wall_clock=1.20KiB/s "
              "| my_queue_length ok=3 | my_failures[p]=3 my_level[p]=50.0%\n");
    check_log(later, later, KVTEL_LOG_DEFAULT, "");
    check_log(earlier, later, KVTEL_LOG_VLLM, "");
    kvtel_snapshot_destroy(earlier);
    kvtel_snapshot_destroy(later);
    kvtel_lane_close(lane);
    kvtel_store_close(store);
}

static size_t read_file(void *file, void *bytes, size_t size)
{
    return fread(bytes, 1, size, file);
}

/* Each "key=number" of one line stands in the other, with the same number to 1 %. */
static void check_line(const char *name, const char *found, char *expected)
{
    static const char prefix[] = "KV Transfer metrics: ";
    for (char *pair = expected + strlen(prefix), *next; pair; pair = next) {
        char *number = strchr(pair, '=');
        assert_non_null(number);
        next = strstr(number, ", ");
        next = next ? next + 2 : NULL;
        double wanted = strtod(number + 1, NULL);
        char key[256];
        snprintf(key, sizeof(key), "%.*s=", (int)(number - pair), pair);
        const char *at = found;
        while (at && (at = strstr(at, key)) && at[-1] != ' ')
            at++;
        if (!at)
            fail_msg("%s: no %s in: %s", name, key, found);
        double is = strtod(at + strlen(key), NULL);
        if (!(fabs(is - wanted) <= 0.01 * fabs(wanted) + 0.001))
            fail_msg("%s: %s%.17g, not %.17g", name, key, is, wanted);
    }
}

static void replay(const char *name)
{
    char path[512];
    snprintf(path, sizeof(path), "%s/golden/%s.jsonl", KVTEL_TEST_DATA, name);
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    struct kvtel_recording *recording = kvtel_recording_open(read_file, file);
    struct kvtel_store *store = create_store(0);
    struct kvtel_snapshot *earlier = snapshot_of(NULL);
    struct kvtel_metric_types types;
    struct kvtel_session *session = NULL;
    struct kvtel_record record;
    unsigned lines = 0;
    assert_int_equal(kvtel_store_metric_types(store, &types), KVTEL_OK);
    while (kvtel_recording_next(recording, &record, NULL) == KVTEL_OK && record.kind != KVTEL_RECORD_END) {
        const struct kvtel_stats *stats;
        if (record.kind == KVTEL_RECORD_HEADER)
            assert_int_equal(kvtel_session_create(&record, &types, KVTEL_LOG_VLLM, NULL, &session), KVTEL_OK);
        if (record.kind == KVTEL_RECORD_PAYLOADS)
            assert_int_equal(kvtel_session_observe(session, &record, &stats), KVTEL_OK);
        if (record.kind != KVTEL_RECORD_LOG)
            continue;
        struct kvtel_buffer expected = { 0 }, found = { 0 };
        struct kvtel_snapshot *later = snapshot_of(store);
        assert_int_equal(kvtel_session_log(session, take_line, &expected), KVTEL_OK);
        assert_int_equal(kvtel_snapshot_log(earlier, later, KVTEL_LOG_VLLM, 10, take_line, &found), KVTEL_OK);
        assert_int_equal(kvtel_buffer_append(&expected, "", 1), KVTEL_OK);
        assert_int_equal(kvtel_buffer_append(&found, "", 1), KVTEL_OK);
        if (found.size > 1 && expected.size > 1)
            check_line(name, found.bytes, expected.bytes);
        lines += found.size > 1;
        kvtel_buffer_free(&expected);
        kvtel_buffer_free(&found);
        kvtel_snapshot_destroy(earlier);
        earlier = later;
    }
    assert_true(lines > 0);
    kvtel_snapshot_destroy(earlier);
    kvtel_session_destroy(session);
    kvtel_store_close(store);
    kvtel_recording_close(recording);
    fclose(file);
}

/* The line from metrics says what the line from payloads says. */
static void test_vllm_lines(void **state)
{
    (void)state;
    static const char *const names[] = {
        "hf3fs",      "hisparse",           "mooncake_basic",     "mooncake_store",
        "nixl_basic", "mooncake_zero_time", "offloading_cpu",     "simple_cpu_offload",
        "umbp",       "nixl_push",          "offloading_tiering", "nixl_bucket_edges"
    };
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        replay(names[i]);
}

static void count_line(void *context, const char *line)
{
    (void)line;
    ++*(unsigned *)context;
}

/* Without memory there is no line, and nothing is lost but that. */
static void test_no_memory(void **state)
{
    (void)state;
    static const char *const connectors[] = { "NixlConnector", "OffloadingConnector", "MooncakeStoreConnector" };
    struct kvtel_store *store = create_store(0);
    struct kvtel_snapshot *none = snapshot_of(NULL);
    for (size_t i = 0; i < 3; i++) {
        const struct kvtel_transfer transfer = { .duration_ns = 1000, .bytes = 1000 };
        struct kvtel_recorder *recorder = create_recorder(store, connectors[i]);
        assert_true(kvtel_record_operation(
            kvtel_recorder_operation(recorder, i == 2 ? "load_get" : NULL, i == 2 ? "error" : NULL), &transfer));
        (void)kvtel_record_failure(recorder, KVTEL_FAILED_TRANSFER);
        (void)kvtel_record_failure(recorder, KVTEL_FAILED_ALLOCATION);
        kvtel_recorder_destroy(recorder);
    }
    struct kvtel_snapshot *later = snapshot_of(store);
    for (int style = KVTEL_LOG_DEFAULT; style <= KVTEL_LOG_VLLM; style++) {
        size_t failures = 0;
        for (bool failed = true; failed; failures++) {
            unsigned lines = 0;
            fail_allocation(failures + 1);
            enum kvtel_status status =
                kvtel_snapshot_log(none, later, (enum kvtel_log_style)style, 10, count_line, &lines);
            failed = allocation_did_fail();
            assert_int_equal(status, failed ? KVTEL_E_NOMEM : KVTEL_OK);
            assert_int_equal(lines, failed ? 0 : 3);
        }
        assert_true(failures > 5);
    }
    kvtel_snapshot_destroy(none);
    kvtel_snapshot_destroy(later);
    kvtel_store_close(store);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_interval_of_nixl), cmocka_unit_test(test_engines_and_operations),
        cmocka_unit_test(test_nixl_telemetry),   cmocka_unit_test(test_vllm_lines),
        cmocka_unit_test(test_no_memory),        cmocka_unit_test(test_families_without_a_table),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
