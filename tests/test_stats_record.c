/* SPDX-License-Identifier: Apache-2.0 */
/* The record functions for native callers: what each adds, for every connector, and refusals. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>

#include "support/payloads.h"

static const struct kvtel_transfer transfer = {
    .duration_ns = 2500000, .post_ns = 500000, .bytes = 262144, .descriptors = 3, .failed = 1
};

#define NO_FAILURES                                                                                   \
    "\"num_failed_transfers\": [], \"num_failed_notifications\": [], \"num_failed_handshakes\": [], " \
    "\"num_kv_expired_reqs\": [], \"num_notifications_after_expiry\": []}"

static void test_transfers(void **state)
{
    (void)state;
    static const struct {
        const char *connector, *flow, *payload;
    } rows[] = {
        { "NixlConnector", NULL,
          "{\"transfer_duration\": [0.0025], \"post_duration\": [0.0005], \"bytes_transferred\": [262144], "
          "\"num_descriptors\": "
          "[3], " NO_FAILURES },
        { "NixlPushConnector", "transfer",
          "{\"transfer_duration\": [0.0025], \"post_duration\": [0.0005], \"bytes_transferred\": [262144], "
          "\"num_descriptors\": "
          "[3], " NO_FAILURES },
        { "MooncakeConnector", NULL,
          "{\"transfer_duration\": [0.0025], \"bytes_transferred\": [262144], \"num_descriptors\": [3], "
          "\"num_failed_transfers\": [], \"num_failed_recvs\": [], \"num_kv_expired_reqs\": []}" },
        { "HF3FSKVConnector", NULL,
          "{\"save_duration\": [0.0025], \"load_duration\": [], \"num_failed_save\": 0, \"num_failed_load\": 0, "
          "\"num_transfer_task\": 1}" },
        { "HF3FSKVConnector", "load",
          "{\"save_duration\": [], \"load_duration\": [0.0025], \"num_failed_save\": 0, \"num_failed_load\": 0, "
          "\"num_transfer_task\": 1}" },
        { "HiSparseConnector", NULL,
          "{\"cache_hits\": [], \"cache_misses\": [], \"host_to_device_bytes\": [262144], \"host_cache_usage_perc\": "
          "[], "
          "\"pending_page_transfers\": [], \"host_block_lifetime_seconds\": [], "
          "\"host_block_idle_before_evict_seconds\": [], "
          "\"host_block_reuse_gap_seconds\": []}" },
        { "LMCacheMPConnector", "lookup", "{\"lookup_duration_seconds\": [0.0025]}" },
        { "OffloadingConnector", "store",
          "{\"types\": {\"vllm:kv_offload_store_time\": \"counter\", \"vllm:kv_offload_store_bytes\": \"counter\", "
          "\"vllm:kv_offload_store_size\": \"histogram\"}, \"data\": {\"vllm:kv_offload_store_time\": {\"[]\": "
          "0.0025}, "
          "\"vllm:kv_offload_store_bytes\": {\"[]\": 262144}, \"vllm:kv_offload_store_size\": {\"[]\": [262144]}}, "
          "\"info\": "
          "null}" },
        { "SimpleCPUOffloadConnector", "load",
          "{\"types\": {\"vllm:simple_kv_offload_load_blocks_total\": \"counter\"}, \"data\": "
          "{\"vllm:simple_kv_offload_load_blocks_total\": {\"[]\": 3}}}" },
        { "MooncakeStoreConnector", "load_get",
          "{\"load_get\": [{\"duration_seconds\": 0.0025, \"num_keys\": 3, \"num_bytes\": 262144, \"status\": \"ok\", "
          "\"num_failed_keys\": 1}]}" },
        { "UMBPStoreConnector", "save",
          "{\"save\": {\"submitted\": 1, \"completed\": 1, \"failed\": 0, \"num_bytes\": 262144}}" },
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct kvtel_stats *stats = make_stats(rows[i].connector, NULL);
        assert_int_equal(kvtel_stats_record_transfer(stats, rows[i].flow, &transfer), KVTEL_OK);
        check_payload(stats, rows[i].payload);
        assert_int_equal(kvtel_stats_record_transfer(stats, rows[i].flow, &transfer), KVTEL_OK);
        assert_false(kvtel_stats_is_empty(stats) && strcmp(rows[i].connector, "HiSparseConnector") != 0);
        kvtel_stats_destroy(stats);
    }
}

static void test_unknown_flows(void **state)
{
    (void)state;
    static const struct {
        const char *connector, *flow;
    } rows[] = {
        { "NixlConnector", "load" },           { "HF3FSKVConnector", "transfer" },
        { "OffloadingConnector", "transfer" }, { "MultiConnector", NULL },
        { "MooncakeStoreConnector", NULL },    { "UMBPStoreConnector", NULL },
        { "LMCacheMPConnector", "store" },     { "SimpleCPUOffloadConnector", "store" },
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct kvtel_stats *stats = make_stats(rows[i].connector, NULL);
        assert_int_equal(kvtel_stats_record_transfer(stats, rows[i].flow, &transfer), KVTEL_E_UNKNOWN);
        assert_true(kvtel_stats_is_empty(stats));
        kvtel_stats_destroy(stats);
    }
}

/* Each class of failure that a table names lands in its field, every other is unknown. */
static void test_failures(void **state)
{
    (void)state;
    const struct kvtel_connector *connector;
    for (size_t i = 0; (connector = kvtel_connector_at(i)); i++) {
        for (int failure = 0; connector->payload_kind != KVTEL_PAYLOAD_NONE && failure <= KVTEL_FAILURE_COUNT;
             failure++) {
            const struct kvtel_failure_field *entry = connector->failures;
            while (entry && entry->field && entry->failure != (enum kvtel_failure)failure)
                entry++;
            bool known = entry && entry->field;
            struct kvtel_stats *stats = make_stats(connector->names[0].name, NULL);
            enum kvtel_status status = kvtel_stats_record_failure(stats, (enum kvtel_failure)failure);
            assert_int_equal(status, known ? KVTEL_OK : KVTEL_E_UNKNOWN);
            assert_int_equal(kvtel_stats_is_empty(stats), !known);
            if (known) {
                char wanted[128], *payload = json_of(stats);
                static const char *const forms[] = { "\"%s\": [1]", "\"%s\": 1", "\"%s\": {\"[]\": 1}" };
                size_t form = connector->payload_kind == KVTEL_PAYLOAD_TYPED
                                  ? 2
                                  : strstr(entry->field, "_save") || strstr(entry->field, "_load");
                snprintf(wanted, sizeof(wanted), forms[form], entry->field);
                if (!strstr(payload, wanted))
                    fail_msg("%s lacks %s", payload, wanted);
                free(payload);
            }
            kvtel_stats_destroy(stats);
        }
    }
}

static void test_a_failed_task_was_started(void **state)
{
    (void)state;
    struct kvtel_stats *stats = make_stats("HF3FSKVConnector", NULL);
    assert_int_equal(kvtel_stats_record_failure(stats, KVTEL_FAILED_LOAD), KVTEL_OK);
    check_payload(stats,
                  "{\"save_duration\": [], \"load_duration\": [], \"num_failed_save\": 0, \"num_failed_load\": 1, "
                  "\"num_transfer_task\": 1}");
    kvtel_stats_destroy(stats);
}

static void test_operations(void **state)
{
    (void)state;
    struct kvtel_stats *store = make_stats("MooncakeStoreConnector", NULL);
    assert_int_equal(kvtel_stats_record_operation(store, "put", "ok", &transfer), KVTEL_OK);
    assert_int_equal(kvtel_stats_record_operation(store, "get", "error", &transfer), KVTEL_OK);
    assert_int_equal(kvtel_stats_record_operation(store, "put", "partial_failure", &transfer), KVTEL_OK);
#define ROW(status)                                                                                \
    "{\"duration_seconds\": 0.0025, \"num_keys\": 3, \"num_bytes\": 262144, \"status\": \"" status \
    "\", \"num_failed_keys\": 1}"
    check_payload(store, "{\"put\": [" ROW("ok") ", " ROW("partial_failure") "], \"get\": [" ROW("error") "]}");
    check_reduced(store,
                  "{\"get_count\": 1, \"get_avg_ms\": 2.5, \"get_p90_ms\": 2.5, \"get_total_keys\": 3, "
                  "\"get_total_bytes\": 262144, \"get_failed_keys\": 1, \"get_error_count\": 1, \"put_count\": 2, "
                  "\"put_avg_ms\": 2.5, \"put_p90_ms\": 2.5, \"put_total_keys\": 6, \"put_total_bytes\": 524288, "
                  "\"put_failed_keys\": 2, \"put_error_count\": 0}");
    kvtel_stats_destroy(store);

    struct kvtel_stats *umbp = make_stats("UMBPStoreConnector", NULL);
    assert_int_equal(kvtel_stats_record_operation(umbp, "save", "ok", &transfer), KVTEL_OK);
    assert_int_equal(kvtel_stats_record_operation(umbp, "save", "error", &transfer), KVTEL_OK);
    check_payload(umbp, "{\"save\": {\"submitted\": 2, \"completed\": 1, \"failed\": 1, \"num_bytes\": 262144}}");
    kvtel_stats_destroy(umbp);

    static const char *const others[] = { "NixlConnector", "OffloadingConnector", "MultiConnector",
                                          "HF3FSKVConnector" };
    for (size_t i = 0; i < COUNT_OF(others); i++) {
        struct kvtel_stats *stats = make_stats(others[i], NULL);
        assert_int_equal(kvtel_stats_record_operation(stats, "transfer", "ok", &transfer), KVTEL_E_UNKNOWN);
        assert_true(kvtel_stats_is_empty(stats));
        kvtel_stats_destroy(stats);
    }
}

/* The older payload of OffloadingConnector has operations. */
static void test_operation_of_the_older_payload(void **state)
{
    (void)state;
    struct kvtel_stats *stats = stats_of("OffloadingConnector", "{\"CPU_to_GPU\": [{\"op_size\": 1, \"op_time\": 2}]}");
    assert_int_equal(kvtel_stats_record_operation(stats, "CPU_to_GPU", "ok", &transfer), KVTEL_OK);
    check_payload(stats,
                  "{\"CPU_to_GPU\": [{\"op_size\": 1, \"op_time\": 2}, {\"op_size\": 262144, \"op_time\": 0.0025}]}");
    kvtel_stats_destroy(stats);
}

static void test_values(void **state)
{
    (void)state;
    struct kvtel_stats *stats = make_stats("HiSparseConnector", NULL);
    assert_int_equal(kvtel_stats_record_value(stats, "cache_hits", NULL, 0, 3), KVTEL_OK);
    assert_int_equal(kvtel_stats_record_value(stats, "host_cache_usage_perc", NULL, 0, 1), KVTEL_OK);
    assert_int_equal(kvtel_stats_record_value(stats, "pending_page_transfers", NULL, 0, -2), KVTEL_OK);
    assert_int_equal(kvtel_stats_record_value(stats, "host_block_lifetime_seconds", NULL, 0, 2), KVTEL_OK);
    assert_int_equal(kvtel_stats_record_value(stats, "cache_hits", NULL, 0, 0.5), KVTEL_OK);
    static const char payload[] = "{\"cache_hits\": [3, 0.5], \"cache_misses\": [], \"host_to_device_bytes\": [], "
                                  "\"host_cache_usage_perc\": [1.0], "
                                  "\"pending_page_transfers\": [-2], \"host_block_lifetime_seconds\": [2.0], "
                                  "\"host_block_idle_before_evict_seconds\": [], "
                                  "\"host_block_reuse_gap_seconds\": []}";
    check_payload(stats, payload);
    static const struct {
        const char *key;
        size_t label_count;
        double value;
        enum kvtel_status status;
    } rows[] = {
        { "no such field", 0, 1, KVTEL_E_UNKNOWN }, { "cache_hits", 0, -1, KVTEL_E_ARGUMENT },
        { "cache_hits", 0, NAN, KVTEL_E_ARGUMENT }, { "host_cache_usage_perc", 0, INFINITY, KVTEL_E_ARGUMENT },
        { "cache_hits", 1, 1, KVTEL_E_ARGUMENT },
    };
    static const char *const label[] = { "x" };
    for (size_t i = 0; i < COUNT_OF(rows); i++)
        assert_int_equal(kvtel_stats_record_value(stats, rows[i].key, label, rows[i].label_count, rows[i].value),
                         rows[i].status);
    check_payload(stats, payload);
    kvtel_stats_destroy(stats);

    struct kvtel_stats *total = make_stats("HF3FSKVConnector", NULL);
    assert_int_equal(kvtel_stats_record_value(total, "num_transfer_task", NULL, 0, 2), KVTEL_OK);
    assert_int_equal(kvtel_stats_record_value(total, "num_transfer_task", NULL, 0, 3), KVTEL_OK);
    check_payload(total,
                  "{\"save_duration\": [], \"load_duration\": [], \"num_failed_save\": 0, \"num_failed_load\": 0, "
                  "\"num_transfer_task\": 5}");
    kvtel_stats_destroy(total);

    static const char *const without[] = { "MooncakeStoreConnector", "UMBPStoreConnector", "MultiConnector" };
    for (size_t i = 0; i < COUNT_OF(without); i++) {
        struct kvtel_stats *none = make_stats(without[i], NULL);
        assert_int_equal(kvtel_stats_record_value(none, "num_keys", NULL, 0, 1), KVTEL_E_UNKNOWN);
        kvtel_stats_destroy(none);
    }
}

static void test_typed_values(void **state)
{
    (void)state;
    struct kvtel_stats *stats = make_stats("OffloadingConnector", NULL);
    static const char *const tier[] = { "1:fs" }, *const other[] = { "0:primary" };
    char long_text[600];
    const char *const too_long[] = { long_text };
    memset(long_text, 'x', sizeof(long_text) - 1);
    long_text[sizeof(long_text) - 1] = '\0';
#define RECORD(key, labels, count, value) kvtel_stats_record_value(stats, "vllm:kv_offload_" key, labels, count, value)
    assert_int_equal(RECORD("tiering_read_time", tier, 1, 1), KVTEL_OK);
    assert_int_equal(RECORD("tiering_read_time", other, 1, 2), KVTEL_OK);
    assert_int_equal(RECORD("tiering_read_time", tier, 1, 1), KVTEL_OK);
    assert_int_equal(RECORD("cpu_cache_usage_perc", NULL, 0, 0.75), KVTEL_OK);
    assert_int_equal(RECORD("cpu_cache_usage_perc", NULL, 0, -1), KVTEL_OK);
    assert_int_equal(RECORD("load_size", NULL, 0, 4), KVTEL_OK);
    assert_int_equal(RECORD("load_size", NULL, 0, 4.5), KVTEL_OK);
    static const char payload[] =
        "{\"types\": {\"vllm:kv_offload_tiering_read_time\": \"counter\", \"vllm:kv_offload_cpu_cache_usage_perc\": "
        "\"gauge\", "
        "\"vllm:kv_offload_load_size\": \"histogram\"}, \"data\": {\"vllm:kv_offload_tiering_read_time\": "
        "{\"[\\\"1:fs\\\"]\": "
        "2.0, "
        "\"[\\\"0:primary\\\"]\": 2.0}, \"vllm:kv_offload_cpu_cache_usage_perc\": {\"[]\": -1.0}, "
        "\"vllm:kv_offload_load_size\": {\"[]\": [4, 4.5]}}, \"info\": null}";
    check_payload(stats, payload);
    assert_int_equal(RECORD("no_such_metric", NULL, 0, 1), KVTEL_E_UNKNOWN);
    assert_int_equal(RECORD("config_info", NULL, 0, 1), KVTEL_E_UNKNOWN); /* filled from info alone */
    assert_int_equal(RECORD("total_bytes", NULL, 0, 1), KVTEL_E_UNKNOWN); /* computed from others */
    assert_int_equal(RECORD("load_size", tier, 1, 1), KVTEL_E_ARGUMENT);
    assert_int_equal(RECORD("tiering_read_bytes", NULL, 0, 1), KVTEL_E_ARGUMENT);
    assert_int_equal(RECORD("tiering_read_bytes", too_long, 1, 1), KVTEL_E_ARGUMENT);
    assert_int_equal(RECORD("load_size", NULL, 0, -1), KVTEL_E_ARGUMENT);
    assert_int_equal(RECORD("store_size", NULL, 0, NAN), KVTEL_E_ARGUMENT);
    check_payload(stats, payload);
    kvtel_stats_destroy(stats);
}

/* Label sets of one metric end somewhere, and those that are there go on. */
static void test_label_sets_end(void **state)
{
    (void)state;
    struct kvtel_stats *stats = make_stats("SimpleCPUOffloadConnector", NULL);
    char text[16];
    const char *const label[] = { text };
    for (unsigned i = 0; i < 10010; i++) {
        snprintf(text, sizeof(text), "%u", i);
        enum kvtel_status status =
            kvtel_stats_record_value(stats, "vllm:simple_kv_offload_save_outcomes_total", label, 1, 1);
        assert_int_equal(status, i < 10000 ? KVTEL_OK : KVTEL_E_LIMIT);
    }
    snprintf(text, sizeof(text), "17");
    assert_int_equal(kvtel_stats_record_value(stats, "vllm:simple_kv_offload_save_outcomes_total", label, 1, 1),
                     KVTEL_OK);
    kvtel_stats_destroy(stats);
}

static void test_operations_end(void **state)
{
    (void)state;
    struct kvtel_stats *names = make_stats("UMBPStoreConnector", NULL),
                       *texts = make_stats("MooncakeStoreConnector", NULL);
    for (unsigned i = 0; i < 10010; i++) {
        char text[16];
        snprintf(text, sizeof(text), "%u", i);
        enum kvtel_status wanted = i < 10000 ? KVTEL_OK : KVTEL_E_LIMIT;
        assert_int_equal(kvtel_stats_record_operation(names, text, "ok", &transfer), wanted);
        assert_int_equal(kvtel_stats_record_operation(texts, "get", text, &transfer), wanted);
    }
    assert_int_equal(kvtel_stats_record_operation(names, "9", "ok", &transfer), KVTEL_OK);
    assert_int_equal(kvtel_stats_record_operation(texts, "get", "9", &transfer), KVTEL_OK);
    struct kvtel_reduced *reduced;
    assert_int_equal(kvtel_stats_reduce(texts, &reduced), KVTEL_OK);
    assert_int_equal(kvtel_reduced_find(reduced, "get_count")->integer, 10001);
    kvtel_reduced_destroy(reduced);
    kvtel_stats_destroy(names);
    kvtel_stats_destroy(texts);
}

/* A flow that does not say what is in one of the fields. */
static const struct kvtel_connector incomplete = {
    .names = KVTEL_NAMES({ .name = "IncompleteConnector" }),
    .payload_kind = KVTEL_PAYLOAD_ROWS,
    .fields = KVTEL_FIELDS({ .key = "seconds", .kind = KVTEL_FIELD_SAMPLES, .unit = KVTEL_UNIT_SECONDS, .row = 1 },
                           { .key = "blocks", .kind = KVTEL_FIELD_SAMPLES, .unit = KVTEL_UNIT_COUNT, .row = 1 }),
    .flows = KVTEL_FLOWS({ .name = "*", .time = "seconds" }),
};

/* A row has all its fields: a flow that leaves one out cannot be recorded natively. */
static void test_rows_are_whole(void **state)
{
    (void)state;
    struct kvtel_stats *stats = kvtel_stats_create(&incomplete, NULL);
    assert_int_equal(kvtel_stats_record_operation(stats, "x", "ok", &transfer), KVTEL_E_UNKNOWN);
    check_payload(stats, "{}");
    static const char payload[] = "{\"x\": [{\"seconds\": 1, \"blocks\": 2}]}";
    assert_int_equal(kvtel_stats_decode(stats, KVTEL_JSON, payload, strlen(payload), NULL), KVTEL_OK);
    assert_int_equal(kvtel_stats_record_operation(stats, "x", "ok", &transfer), KVTEL_E_UNKNOWN);
    check_payload(stats, payload);
    struct kvtel_reduced *reduced; /* and without rules for vLLM's log line there is nothing in it */
    assert_int_equal(kvtel_stats_reduce(stats, &reduced), KVTEL_OK);
    assert_int_equal(kvtel_reduced_count(reduced), 0);
    kvtel_reduced_destroy(reduced);
    kvtel_stats_destroy(stats);
}

/* A caller's table may have more fields than any connector of the build. */
#define SAMPLES(key_)                                                                \
    {                                                                                \
        .key = key_, .kind = KVTEL_FIELD_SAMPLES, .unit = KVTEL_UNIT_COUNT, .row = 1 \
    }
static const struct kvtel_connector wide = {
    .names = KVTEL_NAMES({ .name = "WideConnector" }),
    .payload_kind = KVTEL_PAYLOAD_ROWS,
    .fields = KVTEL_FIELDS(SAMPLES("a"), SAMPLES("b"), SAMPLES("c"), SAMPLES("d"), SAMPLES("e"), SAMPLES("f"),
                           SAMPLES("g"), SAMPLES("h"), SAMPLES("i"), SAMPLES("j"), SAMPLES("k"), SAMPLES("l"),
                           SAMPLES("m"), SAMPLES("n"), SAMPLES("o"), SAMPLES("p"), SAMPLES("q"), SAMPLES("r")),
    .flows = KVTEL_FLOWS({ .name = "*", .time = "a" }),
};

static void test_rows_of_many_fields(void **state)
{
    (void)state;
    static const char payload[] =
        "{\"x\": [{\"a\": 1, \"b\": 2, \"c\": 3, \"d\": 4, \"e\": 5, \"f\": 6, \"g\": 7, \"h\": 8, \"i\": 9, "
        "\"j\": 10, \"k\": 11, \"l\": 12, \"m\": 13, \"n\": 14, \"o\": 15, \"p\": 16, \"q\": 17, \"r\": 18}]}";
    struct kvtel_stats *stats = kvtel_stats_create(&wide, NULL);
    assert_int_equal(kvtel_stats_decode(stats, KVTEL_JSON, payload, sizeof(payload) - 1, NULL), KVTEL_OK);
    check_payload(stats, payload);
    assert_int_equal(kvtel_stats_record_operation(stats, "x", "ok", &transfer), KVTEL_E_UNKNOWN);
    check_payload(stats, payload);
    kvtel_stats_destroy(stats);
}

static void test_large_numbers(void **state)
{
    (void)state;
    struct kvtel_stats *stats = make_stats("LMCacheMPConnector", NULL);
    const struct kvtel_transfer longest = { .duration_ns = KVTEL_TRANSFER_LIMIT - 1 };
    assert_int_equal(kvtel_stats_record_transfer(stats, NULL, &longest), KVTEL_OK);
    check_payload(stats, "{\"lookup_duration_seconds\": [4611686018.427388]}");
    kvtel_stats_destroy(stats);
    struct kvtel_stats *store = make_stats("UMBPStoreConnector", NULL);
    const struct kvtel_transfer largest = { .bytes = KVTEL_TRANSFER_LIMIT - 1 };
    for (int i = 0; i < 2; i++)
        assert_int_equal(kvtel_stats_record_operation(store, "x", "ok", &largest), KVTEL_OK);
    check_payload(store,
                  "{\"x\": {\"submitted\": 2, \"completed\": 2, \"failed\": 0, \"num_bytes\": 9223372036854775806}}");
    assert_int_equal(kvtel_stats_record_operation(store, "x", "ok", &largest), KVTEL_OK);
    check_payload(
        store, "{\"x\": {\"submitted\": 3, \"completed\": 3, \"failed\": 0, \"num_bytes\": 1.3835058055282164e+19}}");
    kvtel_stats_destroy(store);
}

/* The difference of two clocks that disagree: refused, counted, and nothing of the transfer is added. */
static void test_impossible_numbers(void **state)
{
    (void)state;
    static const struct kvtel_transfer rows[] = {
        { .duration_ns = (uint64_t)-10 }, { .duration_ns = KVTEL_TRANSFER_LIMIT }, { .post_ns = UINT64_MAX },
        { .bytes = (uint64_t)-1 },        { .descriptors = UINT64_MAX },           { .failed = UINT64_MAX - 3 },
    };
    static const char *const connectors[] = { "NixlConnector", "OffloadingConnector", "UMBPStoreConnector",
                                              "MooncakeStoreConnector" };
    for (size_t c = 0; c < COUNT_OF(connectors); c++) {
        struct kvtel_diagnostics *diagnostics = kvtel_diagnostics_create(NULL, NULL);
        struct kvtel_stats *stats = kvtel_stats_create(kvtel_connector_find(connectors[c]), diagnostics);
        for (size_t i = 0; i < COUNT_OF(rows); i++)
            assert_int_equal(kvtel_stats_record_transfer(stats, c == 2 || c == 3 ? "load" : NULL, &rows[i]),
                             KVTEL_E_ARGUMENT);
        assert_true(kvtel_stats_is_empty(stats));
        assert_int_equal(kvtel_diagnostics_count(diagnostics, KVTEL_REFUSED_IMPLAUSIBLE), COUNT_OF(rows));
        kvtel_stats_destroy(stats);
        kvtel_diagnostics_destroy(diagnostics);
    }
}

/* A row of a payload has a value of each field, so what was not measured is 0 there; a total or a typed metric gets
 * nothing. */
static void test_unmeasured(void **state)
{
    (void)state;
    const struct kvtel_transfer unmeasured = { .duration_ns = KVTEL_UNMEASURED,
                                               .post_ns = KVTEL_UNMEASURED,
                                               .bytes = KVTEL_UNMEASURED,
                                               .descriptors = KVTEL_UNMEASURED,
                                               .failed = KVTEL_UNMEASURED };
    struct kvtel_stats *stats = make_stats("NixlConnector", NULL);
    assert_int_equal(kvtel_stats_record_transfer(stats, NULL, &unmeasured), KVTEL_OK);
    check_payload(
        stats, "{\"transfer_duration\": [0.0], \"post_duration\": [0.0], \"bytes_transferred\": [0], "
               "\"num_descriptors\": [0], \"num_failed_transfers\": [], \"num_failed_notifications\": [], "
               "\"num_failed_handshakes\": [], \"num_kv_expired_reqs\": [], \"num_notifications_after_expiry\": []}");
    kvtel_stats_destroy(stats);
    stats = make_stats("UMBPStoreConnector", NULL);
    assert_int_equal(kvtel_stats_record_operation(stats, "x", "ok", &unmeasured), KVTEL_OK);
    check_payload(stats, "{\"x\": {\"submitted\": 1, \"completed\": 1, \"failed\": 0, \"num_bytes\": 0}}");
    kvtel_stats_destroy(stats);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_transfers),      cmocka_unit_test(test_unknown_flows),
        cmocka_unit_test(test_failures),       cmocka_unit_test(test_a_failed_task_was_started),
        cmocka_unit_test(test_operations),     cmocka_unit_test(test_operation_of_the_older_payload),
        cmocka_unit_test(test_values),         cmocka_unit_test(test_typed_values),
        cmocka_unit_test(test_label_sets_end), cmocka_unit_test(test_operations_end),
        cmocka_unit_test(test_rows_are_whole), cmocka_unit_test(test_rows_of_many_fields),
        cmocka_unit_test(test_large_numbers),  cmocka_unit_test(test_impossible_numbers),
        cmocka_unit_test(test_unmeasured),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
