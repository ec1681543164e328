/* SPDX-License-Identifier: Apache-2.0 */
/* KVConnectorLogging: vLLM's line, character for character, for every golden case; kvtel's own line; and refusals. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <kvtel/logging.h>

/* Lines given to the sink, one after the other. */
struct lines {
    char text[65536];
    size_t size;
    unsigned count;
};

static void take_line(void *context, const char *line)
{
    struct lines *lines = context;
    assert_null(strchr(line, '\n'));
    int size = snprintf(lines->text + lines->size, sizeof(lines->text) - lines->size, "%s\n", line);
    assert_true(size > 0 && (size_t)size < sizeof(lines->text) - lines->size);
    lines->size += (size_t)size;
    lines->count++;
}

struct warnings {
    unsigned count;
    enum kvtel_refusal reason;
    char message[256];
};

static void take_warning(void *context, enum kvtel_refusal reason, const char *subject, const char *message)
{
    struct warnings *warnings = context;
    (void)subject;
    warnings->count++;
    warnings->reason = reason;
    snprintf(warnings->message, sizeof(warnings->message), "%s", message);
}

static struct kvtel_transfer_config *parse_config(const char *text)
{
    struct kvtel_transfer_config *config;
    assert_int_equal(kvtel_transfer_config_parse(KVTEL_JSON, text, strlen(text), &config, NULL), KVTEL_OK);
    return config;
}

static enum kvtel_status observe(struct kvtel_logging *logging, uint32_t engine, double timestamp, const char *payload)
{
    const struct kvtel_observation observation = { .engine = engine, .timestamp = timestamp };
    return kvtel_logging_observe_payload(logging, KVTEL_JSON, payload, strlen(payload), &observation, NULL);
}

/* Feeds one line of a recording as replay does: a lone payload as it is, the payloads of several workers aggregated
 * first. */
static void feed(struct kvtel_logging *logging, const struct kvtel_transfer_config *config, json_t *object,
                 struct lines *lines)
{
    json_t *payload = json_object_get(object, "payload"), *workers = json_object_get(object, "workers"), *worker;
    struct kvtel_observation observation = { .engine = (uint32_t)json_integer_value(json_object_get(object, "engine")),
                                             .timestamp = json_number_value(json_object_get(object, "ts")),
                                             .ranks = (uint32_t)json_array_size(workers) };
    if (json_object_get(object, "log"))
        assert_int_equal(kvtel_logging_log(logging, 10, take_line, lines), KVTEL_OK);
    if (payload) {
        char *text = json_dumps(payload, JSON_COMPACT | JSON_ENCODE_ANY);
        kvtel_logging_observe_payload(logging, KVTEL_JSON, text, strlen(text), &observation, NULL);
        free(text);
    }
    if (workers) {
        struct kvtel_stats *all = kvtel_stats_create(kvtel_transfer_config_connector(config), NULL);
        struct kvtel_stats *one = kvtel_stats_create(kvtel_transfer_config_connector(config), NULL);
        size_t i;
        json_array_foreach(workers, i, worker)
        {
            char *text = json_dumps(worker, JSON_COMPACT | JSON_ENCODE_ANY);
            assert_int_equal(kvtel_stats_decode(i == 0 ? all : one, KVTEL_JSON, text, strlen(text), NULL), KVTEL_OK);
            if (i > 0)
                assert_int_equal(kvtel_stats_aggregate(all, one), KVTEL_OK);
            free(text);
        }
        assert_int_equal(kvtel_logging_observe(logging, all, &observation), KVTEL_OK);
        kvtel_stats_destroy(all);
        kvtel_stats_destroy(one);
    }
}

static void replay(const char *name, enum kvtel_log_style style, struct lines *lines)
{
    char path[512], *line = NULL;
    size_t capacity = 0;
    snprintf(path, sizeof(path), KVTEL_TEST_DATA "/%s.jsonl", name);
    FILE *file = fopen(path, "r");
    if (!file)
        fail_msg("%s cannot be opened", path);
    struct kvtel_transfer_config *config = NULL;
    struct kvtel_logging *logging = NULL;
    while (getline(&line, &capacity, file) > 0) {
        json_t *object = json_loads(line, 0, NULL);
        assert_non_null(object);
        if (!config) {
            char *text = json_dumps(json_object_get(object, "kv_transfer_config"), JSON_COMPACT);
            config = parse_config(text);
            logging = kvtel_logging_create(config, style, NULL);
            free(text);
        } else {
            feed(logging, config, object, lines);
        }
        json_decref(object);
    }
    free(line);
    fclose(file);
    kvtel_logging_destroy(logging);
    kvtel_transfer_config_destroy(config);
}

static void test_golden_lines(void **state)
{
    (void)state;
    static const char *const names[] = {
        "hf3fs",
        "hisparse",
        "hisparse_residency",
        "mooncake_basic",
        "mooncake_store",
        "umbp",
        "nixl_basic",
        "mooncake_store_many",
        "mooncake_zero_time",
        "multi_nixl_offloading",
        "nixl_empty",
        "nixl_bucket_edges",
        "nixl_failures_only",
        "multi_same_class_twice",
        "nixl_failures_as_floats",
        "nixl_many",
        "nixl_label_escapes",
        "nixl_push",
        "nixl_ranks",
        "nixl_rounding_ties",
        "offloading_cpu",
        "no_stats_connector",
        "offloading_info",
        "offloading_threshold",
        "offloading_tiering",
        "simple_cpu_offload",
    };
    static struct lines lines, expected;
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        char path[512], name[128];
        lines.size = 0;
        lines.text[0] = '\0';
        snprintf(name, sizeof(name), "golden/%s", names[i]);
        replay(name, KVTEL_LOG_VLLM, &lines);
        snprintf(path, sizeof(path), KVTEL_TEST_DATA "/%s.log", name);
        FILE *file = fopen(path, "r");
        assert_non_null(file);
        expected.size = fread(expected.text, 1, sizeof(expected.text) - 1, file);
        expected.text[expected.size] = '\0';
        fclose(file);
        /* the last line of a golden file may end without a newline */
        if (expected.size > 0 && expected.text[expected.size - 1] != '\n')
            strcpy(&expected.text[expected.size], "\n");
        if (strcmp(lines.text, expected.text) != 0)
            fail_msg("%s:\n%sexpected:\n%s", names[i], lines.text, expected.text);
    }
}

#define NIXL(durations, posts, bytes, descriptors, failures)                                                        \
    "{\"transfer_duration\": [" durations "], \"post_duration\": [" posts "], \"bytes_transferred\": [" bytes "], " \
    "\"num_descriptors\": [" descriptors "], " failures "}"

static void check_lines(struct kvtel_logging *logging, double interval, const char *expected)
{
    static struct lines lines;
    lines.size = 0;
    lines.text[0] = '\0';
    assert_int_equal(kvtel_logging_log(logging, interval, take_line, &lines), KVTEL_OK);
    assert_string_equal(lines.text, expected);
}

static void test_default_line(void **state)
{
    (void)state;
    struct kvtel_transfer_config *config = kvtel_transfer_config_of("NixlConnector");
    struct kvtel_logging *logging = kvtel_logging_create(config, KVTEL_LOG_DEFAULT, NULL);
    struct kvtel_stats *stats = kvtel_stats_create(kvtel_connector_find("NixlConnector"), NULL);
    const struct kvtel_transfer transfer = {
        .duration_ns = 4000000, .post_ns = 250000, .bytes = 3 << 20, .descriptors = 5
    };
    assert_int_equal(kvtel_stats_record_transfer(stats, NULL, &transfer), KVTEL_OK);
    assert_int_equal(kvtel_stats_record_failure(stats, KVTEL_FAILED_HANDSHAKE), KVTEL_OK);
    const struct kvtel_observation observation = { .engine = 3, .ranks = 2 };
    assert_int_equal(kvtel_logging_observe(logging, stats, &observation), KVTEL_OK);
    assert_int_equal(
        observe(logging, 0, 0,
                NIXL("0.001,0.003", "0.0001,0.0003", "1048576,1048576", "1,2", "\"num_failed_transfers\": []")),
        KVTEL_OK);
    check_lines(
        logging, 10,
        "KV transfers: connector=NixlConnector engine=0 interval=10.0s failures=0 | transfer ok=2 bytes=2.00MiB "
        "descriptors=3"
        " time_p50=2.000ms time_p90=2.800ms time_p99=2.980ms time_max=3.000ms"
        " post_p50=0.200ms post_p90=0.280ms post_p99=0.298ms post_max=0.300ms"
        " rate_per_transfer=500.00MiB/s rate_wall_clock=204.80KiB/s\n"
        "KV transfers: connector=NixlConnector engine=3 ranks=2 interval=10.0s failures=1 (handshake=1) | transfer ok=1"
        " bytes=3.00MiB descriptors=5 time_p50=4.000ms time_p90=4.000ms time_p99=4.000ms time_max=4.000ms"
        " post_p50=0.250ms post_p90=0.250ms post_p99=0.250ms post_max=0.250ms"
        " rate_per_transfer=750.00MiB/s rate_wall_clock=307.20KiB/s\n");
    check_lines(logging, 10, ""); /* the interval was reset */

    /* every transfer failed; the interval is not known */
    assert_int_equal(
        observe(logging, 0, 0, NIXL("", "", "", "", "\"num_failed_transfers\": [1, 1], \"num_kv_expired_reqs\": [1]")),
        KVTEL_OK);
    check_lines(
        logging, 0,
        "KV transfers: connector=NixlConnector engine=0 failures=3 (transfer=2 expired=1) | transfer ok=0 bytes=0B "
        "descriptors=0\n");
    kvtel_stats_destroy(stats);
    kvtel_logging_destroy(logging);
    kvtel_transfer_config_destroy(config);
}

/* vLLM's interval goes on until there is a line. */
static void test_children_that_observed_nothing(void **state)
{
    (void)state;
    struct kvtel_transfer_config *config = kvtel_transfer_config_of("MultiConnector");
    struct kvtel_logging *logging = kvtel_logging_create(config, KVTEL_LOG_VLLM, NULL);
    const char *lookup = "{\"LMCacheMPConnector\": {\"lookup_duration_seconds\": [0.5]}}";
    const char *line =
        "LMCacheMPConnector={'LMCache MP lookup count': 1, 'LMCache MP lookup avg latency (ms)': 500.0}\n";
    char with_store[256], without[256];
    snprintf(with_store, sizeof(with_store), "KV Transfer metrics: UMBPStoreConnector={}, %s", line);
    snprintf(without, sizeof(without), "KV Transfer metrics: %s", line);
    assert_int_equal(observe(logging, 0, 0, "{\"UMBPStoreConnector\": {}}"), KVTEL_OK);
    check_lines(logging, 10, "");
    assert_int_equal(observe(logging, 0, 0, lookup), KVTEL_OK);
    check_lines(logging, 10, with_store);
    assert_int_equal(observe(logging, 0, 0, lookup), KVTEL_OK);
    check_lines(logging, 10, without);
    assert_int_equal(observe(logging, 0, 0, "{\"UMBPStoreConnector\": {}}"), KVTEL_OK);
    kvtel_logging_reset(logging);
    assert_int_equal(observe(logging, 0, 0, lookup), KVTEL_OK);
    check_lines(logging, 10, without);
    kvtel_logging_destroy(logging);
    kvtel_transfer_config_destroy(config);
}

static void test_interval_from_timestamps(void **state)
{
    (void)state;
    struct kvtel_transfer_config *config = kvtel_transfer_config_of("LMCacheMPConnector");
    struct kvtel_logging *logging = kvtel_logging_create(config, KVTEL_LOG_DEFAULT, NULL);
    const char *payload = "{\"lookup_duration_seconds\": [0.5]}";
    assert_int_equal(observe(logging, 0, 100, payload), KVTEL_OK);
    check_lines(logging, 0,
                "KV transfers: connector=LMCacheMPConnector engine=0 failures=0 | lookup ok=1"
                " time_p50=500.000ms time_p90=500.000ms time_p99=500.000ms time_max=500.000ms\n");
    assert_int_equal(observe(logging, 0, 104, payload), KVTEL_OK);
    assert_int_equal(observe(logging, 0, 107.5, payload), KVTEL_OK);
    check_lines(logging, 0,
                "KV transfers: connector=LMCacheMPConnector engine=0 interval=7.5s failures=0 | lookup ok=2"
                " time_p50=500.000ms time_p90=500.000ms time_p99=500.000ms time_max=500.000ms\n");
    kvtel_logging_destroy(logging);
    kvtel_transfer_config_destroy(config);
}

static void test_lines_of_every_payload_kind(void **state)
{
    (void)state;
    static const struct {
        const char *config, *payload, *line;
    } rows[] = {
        { "{\"kv_connector\": \"MooncakeStoreConnector\"}",
          "{\"save_put\": [{\"duration_seconds\": 0.002, \"num_keys\": 4, \"num_bytes\": 2048, \"status\": \"ok\", "
          "\"num_failed_keys\": 0},"
          "{\"duration_seconds\": 0.006, \"num_keys\": 2, \"num_bytes\": 0, \"status\": \"partial_failure\", "
          "\"num_failed_keys\": "
          "2}],"
          "\"load_get\": [{\"duration_seconds\": 0.001, \"num_keys\": 1, \"num_bytes\": 512, \"status\": \"error\", "
          "\"num_failed_keys\": 1}]}",
          "KV transfers: connector=MooncakeStoreConnector engine=0 interval=1.0s failures=2 (error=1 partial_failure=1)"
          " | load_get ok=0 failed=1 (error=1) bytes=512B descriptors=1 failed_descriptors=1"
          " time_p50=1.000ms time_p90=1.000ms time_p99=1.000ms time_max=1.000ms rate_per_transfer=500.00KiB/s "
          "rate_wall_clock=512B/s"
          " | save_put ok=1 failed=1 (partial_failure=1) bytes=2.00KiB descriptors=6 failed_descriptors=2"
          " time_p50=4.000ms time_p90=5.600ms time_p99=5.960ms time_max=6.000ms rate_per_transfer=250.00KiB/s "
          "rate_wall_clock=2.00KiB/s\n" },
        { "{\"kv_connector\": \"UMBPStoreConnector\"}",
          "{\"save\": {\"submitted\": 5, \"completed\": 3, \"failed\": 2, \"num_bytes\": 3072}}",
          "KV transfers: connector=UMBPStoreConnector engine=0 interval=1.0s failures=2 | save ok=3 failed=2 "
          "bytes=3.00KiB"
          " rate_wall_clock=3.00KiB/s\n" },
        { "{\"kv_connector\": \"HF3FSKVConnector\"}",
          "{\"save_duration\": [], \"load_duration\": [0.25], \"num_failed_save\": 2, \"num_failed_load\": 0, "
          "\"num_transfer_task\": 3}",
          "KV transfers: connector=HF3FSKVConnector engine=0 interval=1.0s failures=2 (save=2) | save ok=0 failed=2 | "
          "load ok=1 "
          "failed=0"
          " time_p50=250.000ms time_p90=250.000ms time_p99=250.000ms time_max=250.000ms\n" },
        { "{\"kv_connector\": \"HiSparseConnector\"}",
          "{\"cache_hits\": [3, 4], \"cache_misses\": [1, 0], \"host_to_device_bytes\": [1024, 1024], "
          "\"host_cache_usage_perc\": "
          "[0.9, 0.25]}",
          "KV transfers: connector=HiSparseConnector engine=0 interval=1.0s failures=0 | host_to_device bytes=2.00KiB"
          " rate_wall_clock=2.00KiB/s | cache_hits=7 cache_misses=1 host_cache_usage_perc=25.0%\n" },
        { "{\"kv_connector\": \"OffloadingConnector\"}",
          "{\"types\": {\"vllm:kv_offload_load_bytes\": \"counter\", \"vllm:kv_offload_load_time\": \"counter\","
          "\"vllm:kv_offload_load_size\": \"histogram\", \"vllm:kv_offload_allocation_failure\": \"counter\","
          "\"vllm:kv_offload_cpu_cache_usage_perc\": \"gauge\"},"
          "\"data\": {\"vllm:kv_offload_load_bytes\": {\"[]\": 4096}, \"vllm:kv_offload_load_time\": {\"[]\": 0.5},"
          "\"vllm:kv_offload_load_size\": {\"[]\": [1024, 3072]}, \"vllm:kv_offload_allocation_failure\": {\"[]\": 1},"
          "\"vllm:kv_offload_cpu_cache_usage_perc\": {\"[]\": 0.5}}}",
          "KV transfers: connector=OffloadingConnector engine=0 interval=1.0s failures=1 (allocation=1)"
          " | load ok=2 bytes=4.00KiB rate_per_transfer=8.00KiB/s rate_wall_clock=4.00KiB/s | store ok=0 bytes=0B"
          " | kv_offload_cpu_cache_usage_perc=50.0%\n" },
        { "{\"kv_connector\": \"OffloadingConnector\"}",
          "{\"CPU_to_GPU\": [{\"op_size\": 1048576, \"op_time\": 0.5}], \"GPU_to_CPU\": []}",
          "KV transfers: connector=OffloadingConnector engine=0 interval=1.0s failures=0 | CPU_to_GPU ok=1 "
          "bytes=1.00MiB"
          " time_p50=500.000ms time_p90=500.000ms time_p99=500.000ms time_max=500.000ms"
          " rate_per_transfer=2.00MiB/s rate_wall_clock=1.00MiB/s\n" },
        { "{\"kv_connector\": \"SimpleCPUOffloadConnector\"}",
          "{\"types\": {\"vllm:simple_kv_offload_save_outcomes_total\": \"counter\", \"vllm:simple_kv_offload_info\": "
          "\"gauge\"},"
          "\"data\": {\"vllm:simple_kv_offload_save_outcomes_total\": {\"[\\\"stored\\\"]\": 8, "
          "\"[\\\"dropped\\\\nfull\\\"]\": 1},"
          "\"vllm:simple_kv_offload_info\": {\"[\\\"cpu\\\", \\\"true\\\", \\\"false\\\", \\\"9\\\"]\": 1}}}",
          "KV transfers: connector=SimpleCPUOffloadConnector engine=0 interval=1.0s failures=0 | load descriptors=0"
          " | simple_kv_offload_save_outcomes_total[stored]=8 "
          "simple_kv_offload_save_outcomes_total[dropped\\nfull]=1\n" },
        { "{\"kv_connector\": \"MultiConnector\", \"kv_connector_extra_config\": {\"connectors\": [{\"kv_connector\": "
          "\"MooncakeConnector\"},"
          "{\"kv_connector\": \"LMCacheMPConnector\"}]}}",
          "{\"MooncakeConnector\": {\"num_failed_recvs\": [1]}, \"LMCacheMPConnector\": {\"lookup_duration_seconds\": "
          "[]}}",
          "KV transfers: connector=MooncakeConnector engine=0 interval=1.0s failures=1 (receive=1) | transfer ok=0 "
          "bytes=0B"
          " descriptors=0\n" },
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct kvtel_transfer_config *config = parse_config(rows[i].config);
        struct kvtel_logging *logging = kvtel_logging_create(config, KVTEL_LOG_DEFAULT, NULL);
        assert_int_equal(observe(logging, 0, 0, rows[i].payload), KVTEL_OK);
        check_lines(logging, 1, rows[i].line);
        kvtel_logging_destroy(logging);
        kvtel_transfer_config_destroy(config);
    }
}

static void test_golden_cases_have_default_lines(void **state)
{
    (void)state;
    static const char *const names[] = { "golden/multi_nixl_offloading", "golden/offloading_tiering",
                                         "golden/nixl_ranks" };
    static const unsigned counts[] = { 3, 1, 3 };
    static struct lines lines;
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        lines.size = lines.count = 0;
        replay(names[i], KVTEL_LOG_DEFAULT, &lines);
        if (lines.count != counts[i])
            fail_msg("%s: %u lines\n%s", names[i], lines.count, lines.text);
    }
}

static void test_connectors_without_stats_are_said_once(void **state)
{
    (void)state;
    static const struct {
        const char *name, *message;
        enum kvtel_refusal reason;
    } rows[] = {
        { "DecodeBenchConnector", "DecodeBenchConnector: this connector has no stats; its payloads are not used",
          KVTEL_REFUSED_NO_STATS },
        { "NoSuchConnector",
          "unknown connector \"NoSuchConnector\": its payloads do not describe themselves and are not used",
          KVTEL_REFUSED_UNKNOWN_CONNECTOR },
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct warnings warnings = { 0 };
        struct kvtel_diagnostics *diagnostics = kvtel_diagnostics_create(take_warning, &warnings);
        struct kvtel_transfer_config *config = kvtel_transfer_config_of(rows[i].name);
        for (int k = 0; k < 2; k++) { /* ever: also for a second object */
            struct kvtel_logging *logging = kvtel_logging_create(config, KVTEL_LOG_VLLM, diagnostics);
            assert_int_equal(observe(logging, 0, 0, "{}"), KVTEL_E_NO_STATS);
            assert_int_equal(observe(logging, 0, 0, "{}"), KVTEL_E_NO_STATS);
            check_lines(logging, 1, "");
            kvtel_logging_destroy(logging);
        }
        assert_int_equal(warnings.count, 1);
        assert_int_equal(warnings.reason, rows[i].reason);
        assert_string_equal(warnings.message, rows[i].message);
        assert_int_equal(kvtel_diagnostics_count(diagnostics, rows[i].reason), 4);
        kvtel_transfer_config_destroy(config);
        kvtel_diagnostics_destroy(diagnostics);
    }
}

static void test_bad_input(void **state)
{
    (void)state;
    struct kvtel_transfer_config *config = kvtel_transfer_config_of("NixlConnector");
    struct kvtel_logging *logging = kvtel_logging_create(config, KVTEL_LOG_DEFAULT, NULL);
    struct kvtel_error error = { .status = KVTEL_OK };
    enum kvtel_status status = kvtel_logging_observe_payload(logging, KVTEL_JSON, "{\"a\"", 4, NULL, &error);
    assert_true(status < 0);
    assert_int_equal(status, error.status);
    assert_int_equal(observe(logging, 0, 0, "[]"), KVTEL_E_TYPE);
    struct kvtel_stats *other = kvtel_stats_create(kvtel_connector_find("MooncakeConnector"), NULL);
    assert_int_equal(kvtel_logging_observe(logging, other, NULL), KVTEL_E_MISMATCH);
    check_lines(logging, 1, "");
    for (uint32_t engine = 0; engine < 4096; engine++)
        assert_int_equal(observe(logging, engine, 0, "{}"), KVTEL_OK);
    assert_int_equal(observe(logging, 4096, 0, "{}"), KVTEL_E_LIMIT);
    assert_int_equal(observe(logging, 17, 0, "{}"), KVTEL_OK);
    kvtel_logging_reset(logging);
    check_lines(logging, 1, "");
    kvtel_stats_destroy(other);
    kvtel_logging_destroy(logging);
    kvtel_logging_destroy(NULL);
    kvtel_transfer_config_destroy(config);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_golden_lines),
        cmocka_unit_test(test_default_line),
        cmocka_unit_test(test_children_that_observed_nothing),
        cmocka_unit_test(test_interval_from_timestamps),
        cmocka_unit_test(test_lines_of_every_payload_kind),
        cmocka_unit_test(test_golden_cases_have_default_lines),
        cmocka_unit_test(test_connectors_without_stats_are_said_once),
        cmocka_unit_test(test_bad_input),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
