/* SPDX-License-Identifier: Apache-2.0 */
/* KVConnectorStats: making and freeing, aggregation, emptiness, the worker's delta, and payloads that are encoded as
 * they were decoded. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "support/payloads.h"

static void test_create(void **state)
{
    (void)state;
    assert_null(kvtel_stats_create(NULL, NULL));
    assert_null(kvtel_stats_create(kvtel_connector_find("ExampleConnector"), NULL));
    kvtel_stats_destroy(NULL);
    const struct kvtel_connector *connector;
    for (size_t i = 0; (connector = kvtel_connector_at(i)); i++) {
        if (connector->payload_kind == KVTEL_PAYLOAD_NONE)
            continue;
        struct kvtel_stats *stats = kvtel_stats_create(connector, NULL);
        assert_ptr_equal(kvtel_stats_connector(stats), connector);
        assert_true(kvtel_stats_is_empty(stats));
        assert_false(kvtel_stats_is_summarised(stats));
        struct kvtel_reduced *reduced;
        assert_int_equal(kvtel_stats_reduce(stats, &reduced), KVTEL_OK);
        assert_null(kvtel_reduced_find(reduced, "no such line"));
        kvtel_reduced_destroy(reduced);
        kvtel_stats_destroy(stats);
    }
    kvtel_reduced_destroy(NULL);
}

/* An object that was never fed says all keys: that is what vLLM's reset() leaves. */
static void test_fresh_payloads(void **state)
{
    (void)state;
    static const struct {
        const char *connector, *payload;
    } rows[] = {
        { "NixlConnector",
          "{\"transfer_duration\": [], \"post_duration\": [], \"bytes_transferred\": [], \"num_descriptors\": [], "
          "\"num_failed_transfers\": [], \"num_failed_notifications\": [], \"num_failed_handshakes\": [], "
          "\"num_kv_expired_reqs\": [], \"num_notifications_after_expiry\": []}" },
        { "HF3FSKVConnector",
          "{\"save_duration\": [], \"load_duration\": [], \"num_failed_save\": 0, \"num_failed_load\": 0, "
          "\"num_transfer_task\": 0}" },
        { "MooncakeStoreConnector", "{}" },
        { "UMBPStoreConnector", "{}" },
        { "MultiConnector", "{}" },
        { "OffloadingConnector", "{\"types\": {}, \"data\": {}, \"info\": null}" },
        { "SimpleCPUOffloadConnector", "{\"types\": {}, \"data\": {}}" },
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct kvtel_stats *stats = make_stats(rows[i].connector, NULL);
        check_payload(stats, rows[i].payload);
        kvtel_stats_reset(stats);
        check_payload(stats, rows[i].payload);
        kvtel_stats_destroy(stats);
    }
}

/* One golden case: each payload decoded and encoded again, in the format of `format`. */
struct round_trip {
    enum kvtel_format format;
    const struct kvtel_connector *connector;
    size_t payloads;
};

static void check_round_trip(void *context, const struct kvtel_record *record)
{
    struct round_trip *trip = context;
    if (record->kind == KVTEL_RECORD_HEADER) {
        trip->connector = kvtel_transfer_config_connector(record->config);
        kvtel_transfer_config_destroy(record->config);
    }
    for (size_t i = 0; record->kind == KVTEL_RECORD_PAYLOADS && i < record->payload_count; i++) {
        struct kvtel_buffer wanted = { 0 };
        struct kvtel_diagnostics *diagnostics = kvtel_diagnostics_create(NULL, NULL);
        struct kvtel_stats *stats = kvtel_stats_create(trip->connector, diagnostics);
        char *bytes;
        size_t size;
        write_value(&wanted, trip->format, &record->payloads[i]);
        assert_int_equal(kvtel_stats_decode(stats, trip->format, wanted.bytes, wanted.size, NULL), KVTEL_OK);
        assert_int_equal(kvtel_stats_encode(stats, trip->format, &bytes, &size), KVTEL_OK);
        assert_int_equal(size, wanted.size);
        assert_memory_equal(bytes, wanted.bytes, size);
        assert_int_equal(bytes[size], '\0');
        for (int reason = 0; reason < KVTEL_REFUSAL_COUNT; reason++)
            assert_int_equal(kvtel_diagnostics_count(diagnostics, (enum kvtel_refusal)reason), 0);
        trip->payloads++;
        free(bytes);
        kvtel_stats_destroy(stats);
        kvtel_diagnostics_destroy(diagnostics);
        kvtel_buffer_free(&wanted);
    }
}

static void test_golden_payloads_come_out_as_they_went_in(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(golden_cases); i++) {
        for (int form = KVTEL_MSGPACK; form <= KVTEL_JSON; form++) {
            struct round_trip trip = { .format = (enum kvtel_format)form };
            read_golden(golden_cases[i], (enum kvtel_format)form, &trip, check_round_trip);
            assert_true(trip.payloads > 0);
        }
    }
}

/* Payloads that no golden case has. */
static void test_other_payloads_come_out_as_they_went_in(void **state)
{
    (void)state;
    static const struct {
        const char *connector, *payload;
    } rows[] = {
        { "NixlConnector", "{}" },
        { "NixlConnector",
          "{\"transfer_duration\": [1, 0.5, 2], \"bytes_transferred\": [9223372036854775807, 1.5, 0]}" },
        { "HiSparseConnector", "{\"cache_hits\": [3], \"host_cache_usage_perc\": [-0.5, 1]}" },
        { "HF3FSKVConnector", "{\"num_failed_save\": 2.0, \"num_transfer_task\": 3}" },
        { "MooncakeStoreConnector",
          "{\"a\": [], \"b\": [{\"duration_seconds\": 1, \"num_keys\": 2.5, \"num_bytes\": 0, "
          "\"status\": \"\\u00fc\", \"num_failed_keys\": 0}]}" },
        { "UMBPStoreConnector", "{\"save\": {\"submitted\": 1}, \"load\": {}}" },
        { "OffloadingConnector",
          "{\"types\": {\"vllm:kv_offload_load_bytes\": \"counter\", \"vllm:kv_offload_load_size\": "
          "\"histogram\"}, \"data\": {\"vllm:kv_offload_load_bytes\": {\"[]\": 1}, "
          "\"vllm:kv_offload_load_size\": {\"[]\": []}}}" },
        { "OffloadingConnector",
          "{\"types\": {}, \"data\": {}, \"info\": [{\"cpu_num_chunks\": 4, \"other\": \"x\"}, {}]}" },
        { "OffloadingConnector",
          "{\"CPU_to_GPU\": [{\"op_size\": 4096, \"op_time\": 0.5}, {\"op_size\": 1, \"op_time\": 2}], "
          "\"GPU_to_CPU\": []}" },
        { "MultiConnector",
          "{\"NixlPullConnector\": {\"data\": {\"transfer_duration\": [0.5]}}, \"MooncakeConnector\": {}}" },
        { "MultiConnector", "{\"MultiConnector\": {\"UMBPStoreConnector\": {\"x\": {\"failed\": 1}}}}" },
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct kvtel_stats *stats = stats_of(rows[i].connector, rows[i].payload),
                           *again = make_stats(rows[i].connector, NULL);
        char *bytes;
        size_t size;
        check_payload(stats, rows[i].payload);
        assert_int_equal(kvtel_stats_encode(stats, KVTEL_MSGPACK, &bytes, &size), KVTEL_OK);
        assert_int_equal(kvtel_stats_decode(again, KVTEL_MSGPACK, bytes, size, NULL), KVTEL_OK);
        check_payload(again, rows[i].payload);
        free(bytes);
        kvtel_stats_destroy(stats);
        kvtel_stats_destroy(again);
    }
}

/* A label tuple: an array in key position in MessagePack, its JSON text in JSON. */
static void test_tuple_keys(void **state)
{
    (void)state;
    static const char json[] = "{\"types\": {\"vllm:simple_kv_offload_save_outcomes_total\": \"counter\"}, "
                               "\"data\": {\"vllm:simple_kv_offload_save_outcomes_total\": {\"[\\\"a\\\"]\": 2}}}";
    struct kvtel_stats *stats = stats_of("SimpleCPUOffloadConnector", json);
    struct kvtel_stats *again = make_stats("SimpleCPUOffloadConnector", NULL);
    char *bytes;
    size_t size;
    static const char key[] = "\x81\x91\xA1"
                              "a\x02";
    assert_int_equal(kvtel_stats_encode(stats, KVTEL_MSGPACK, &bytes, &size), KVTEL_OK);
    assert_non_null(memmem(bytes, size, key, sizeof(key) - 1));
    assert_int_equal(kvtel_stats_decode(again, KVTEL_MSGPACK, bytes, size, NULL), KVTEL_OK);
    check_payload(again, json);
    free(bytes);
    kvtel_stats_destroy(stats);
    kvtel_stats_destroy(again);
}

static void test_aggregate(void **state)
{
    (void)state;
    static const struct {
        const char *what, *connector, *first, *second, *sum;
    } rows[] = {
        { "lists are joined", "MooncakeConnector", "{\"transfer_duration\": [1, 2], \"num_failed_recvs\": [1]}",
          "{\"transfer_duration\": [0.5], \"num_kv_expired_reqs\": [1]}",
          "{\"transfer_duration\": [1, 2, 0.5], \"num_failed_recvs\": [1], \"num_kv_expired_reqs\": [1]}" },
        { "lone numbers are added", "HF3FSKVConnector", "{\"num_failed_save\": 1, \"num_transfer_task\": 2}",
          "{\"num_failed_save\": 0.5, \"num_failed_load\": 4, \"num_transfer_task\": 3}",
          "{\"num_failed_save\": 1.5, \"num_failed_load\": 4, \"num_transfer_task\": 5}" },
        { "past 64 bits a sum is a double", "HF3FSKVConnector", "{\"num_transfer_task\": 9223372036854775807}",
          "{\"num_transfer_task\": 1}", "{\"num_transfer_task\": 9.223372036854776e+18}" },
        { "of levels the newer's last is appended", "HiSparseConnector", "{\"host_cache_usage_perc\": [0.1, 0.2]}",
          "{\"host_cache_usage_perc\": [0.3, 0.4]}", "{\"host_cache_usage_perc\": [0.1, 0.2, 0.4]}" },
        { "of readings the newer's", "AscendStoreConnector",
          "{\"delayed_release_requests\": 2, \"delayed_release_blocks\": 7}",
          "{\"load_get_keys\": 4, \"delayed_release_requests\": 0}",
          "{\"load_get_keys\": 4, \"delayed_release_requests\": 0, \"delayed_release_blocks\": 7}" },
        { "of levels the last, into nothing too", "HiSparseConnector", "{}", "{\"host_cache_usage_perc\": [0.3, 0.4]}",
          "{\"host_cache_usage_perc\": [0.4]}" },
        { "rows by operation", "MooncakeStoreConnector",
          "{\"get\": [{\"duration_seconds\": 1, \"num_keys\": 1, \"num_bytes\": 1, \"status\": \"ok\", "
          "\"num_failed_keys\": 0}]}",
          "{\"put\": [], \"get\": [{\"duration_seconds\": 0.5, \"num_keys\": 2, \"num_bytes\": 2, \"status\": "
          "\"error\", "
          "\"num_failed_keys\": 2}]}",
          "{\"get\": [{\"duration_seconds\": 1, \"num_keys\": 1, \"num_bytes\": 1, \"status\": \"ok\", "
          "\"num_failed_keys\": 0}, "
          "{\"duration_seconds\": 0.5, \"num_keys\": 2, \"num_bytes\": 2, \"status\": \"error\", \"num_failed_keys\": "
          "2}], "
          "\"put\": []}" },
        { "texts met in another order", "MooncakeStoreConnector",
          "{\"get\": [{\"duration_seconds\": 1, \"num_keys\": 1, \"num_bytes\": 1, \"status\": \"ok\", "
          "\"num_failed_keys\": 0}]}",
          "{\"get\": [{\"duration_seconds\": 2, \"num_keys\": 1, \"num_bytes\": 1, \"status\": \"error\", "
          "\"num_failed_keys\": 0}, "
          "{\"duration_seconds\": 3, \"num_keys\": 1, \"num_bytes\": 1, \"status\": \"ok\", \"num_failed_keys\": 0}]}",
          "{\"get\": [{\"duration_seconds\": 1, \"num_keys\": 1, \"num_bytes\": 1, \"status\": \"ok\", "
          "\"num_failed_keys\": 0}, "
          "{\"duration_seconds\": 2, \"num_keys\": 1, \"num_bytes\": 1, \"status\": \"error\", \"num_failed_keys\": "
          "0}, "
          "{\"duration_seconds\": 3, \"num_keys\": 1, \"num_bytes\": 1, \"status\": \"ok\", \"num_failed_keys\": "
          "0}]}" },
        { "counts by operation", "UMBPStoreConnector", "{\"save\": {\"submitted\": 1, \"num_bytes\": 7}}",
          "{\"load\": {\"failed\": 1}, \"save\": {\"submitted\": 2, \"completed\": 1}}",
          "{\"save\": {\"submitted\": 3, \"completed\": 1, \"num_bytes\": 7}, \"load\": {\"failed\": 1}}" },
        { "typed: counter adds, gauge takes the newer, histogram joins, the newer's info", "OffloadingConnector",
          "{\"types\": {\"vllm:kv_offload_load_bytes\": \"counter\", \"vllm:kv_offload_cpu_cache_usage_perc\": "
          "\"gauge\", "
          "\"vllm:kv_offload_load_size\": \"histogram\"}, \"data\": {\"vllm:kv_offload_load_bytes\": {\"[]\": 1}, "
          "\"vllm:kv_offload_cpu_cache_usage_perc\": {\"[]\": 1}, \"vllm:kv_offload_load_size\": {\"[]\": [1]}}, "
          "\"info\": [{\"a\": 1}]}",
          "{\"types\": {\"vllm:kv_offload_load_bytes\": \"counter\", \"vllm:kv_offload_cpu_cache_usage_perc\": "
          "\"gauge\", "
          "\"vllm:kv_offload_load_size\": \"histogram\", \"vllm:kv_offload_allocation_failure\": \"counter\"}, "
          "\"data\": "
          "{\"vllm:kv_offload_load_bytes\": {\"[]\": 2}, \"vllm:kv_offload_cpu_cache_usage_perc\": {\"[]\": 0.5}, "
          "\"vllm:kv_offload_load_size\": {\"[]\": [2.5]}, \"vllm:kv_offload_allocation_failure\": {\"[]\": 1}}, "
          "\"info\": [{\"b\": \"x\"}]}",
          "{\"types\": {\"vllm:kv_offload_load_bytes\": \"counter\", \"vllm:kv_offload_cpu_cache_usage_perc\": "
          "\"gauge\", "
          "\"vllm:kv_offload_load_size\": \"histogram\", \"vllm:kv_offload_allocation_failure\": \"counter\"}, "
          "\"data\": "
          "{\"vllm:kv_offload_load_bytes\": {\"[]\": 3}, \"vllm:kv_offload_cpu_cache_usage_perc\": {\"[]\": 0.5}, "
          "\"vllm:kv_offload_load_size\": {\"[]\": [1, 2.5]}, \"vllm:kv_offload_allocation_failure\": {\"[]\": 1}}, "
          "\"info\": [{\"b\": \"x\"}]}" },
        { "info stays when the newer has none", "OffloadingConnector",
          "{\"types\": {}, \"data\": {}, \"info\": [{\"a\": 1}]}", "{\"types\": {}, \"data\": {}, \"info\": null}",
          "{\"types\": {}, \"data\": {}, \"info\": [{\"a\": 1}]}" },
        { "new label sets", "SimpleCPUOffloadConnector",
          "{\"types\": {\"vllm:simple_kv_offload_save_outcomes_total\": \"counter\"}, \"data\": "
          "{\"vllm:simple_kv_offload_save_outcomes_total\": {\"[\\\"a\\\"]\": 1}}}",
          "{\"types\": {\"vllm:simple_kv_offload_save_outcomes_total\": \"counter\"}, \"data\": "
          "{\"vllm:simple_kv_offload_save_outcomes_total\": {\"[\\\"b\\\"]\": 2, \"[\\\"a\\\"]\": 3}}}",
          "{\"types\": {\"vllm:simple_kv_offload_save_outcomes_total\": \"counter\"}, \"data\": "
          "{\"vllm:simple_kv_offload_save_outcomes_total\": {\"[\\\"a\\\"]\": 4, \"[\\\"b\\\"]\": 2}}}" },
        { "the older payload into nothing", "OffloadingConnector", "{\"types\": {}, \"data\": {}}",
          "{\"CPU_to_GPU\": [{\"op_size\": 1, \"op_time\": 2}]}",
          "{\"CPU_to_GPU\": [{\"op_size\": 1, \"op_time\": 2}]}" },
        { "the older payload twice", "OffloadingConnector", "{\"CPU_to_GPU\": [{\"op_size\": 1, \"op_time\": 2}]}",
          "{\"GPU_to_CPU\": [{\"op_size\": 3, \"op_time\": 4}], \"CPU_to_GPU\": [{\"op_size\": 5, \"op_time\": 6}]}",
          "{\"CPU_to_GPU\": [{\"op_size\": 1, \"op_time\": 2}, {\"op_size\": 5, \"op_time\": 6}], "
          "\"GPU_to_CPU\": [{\"op_size\": 3, \"op_time\": 4}]}" },
        { "nothing into the older payload", "OffloadingConnector",
          "{\"CPU_to_GPU\": [{\"op_size\": 1, \"op_time\": 2}]}", "{\"types\": {}, \"data\": {}}",
          "{\"CPU_to_GPU\": [{\"op_size\": 1, \"op_time\": 2}]}" },
        { "children, also new ones", "MultiConnector", "{\"NixlPullConnector\": {\"transfer_duration\": [1]}}",
          "{\"MooncakeConnector\": {\"num_failed_recvs\": [1]}, \"NixlPullConnector\": {\"transfer_duration\": [2]}}",
          "{\"NixlPullConnector\": {\"transfer_duration\": [1, 2]}, \"MooncakeConnector\": {\"transfer_duration\": [], "
          "\"bytes_transferred\": [], \"num_descriptors\": [], \"num_failed_transfers\": [], \"num_failed_recvs\": "
          "[1], "
          "\"num_kv_expired_reqs\": []}}" },
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct kvtel_stats *first = stats_of(rows[i].connector, rows[i].first);
        struct kvtel_stats *second = stats_of(rows[i].connector, rows[i].second);
        char *before = json_of(second), *after;
        if (kvtel_stats_aggregate(first, second) != KVTEL_OK)
            fail_msg("%s", rows[i].what);
        check_payload(first, rows[i].sum);
        after = json_of(second);
        assert_string_equal(after, before);
        free(before);
        free(after);
        kvtel_stats_destroy(second); /* the first borrows nothing of it */
        check_payload(first, rows[i].sum);
        kvtel_stats_destroy(first);
    }
}

static void test_wrapped_children(void **state)
{
    (void)state;
    struct kvtel_stats *older =
        stats_of("MultiConnector", "{\"NixlPullConnector\": {\"data\": {\"transfer_duration\": [1]}}}");
    struct kvtel_stats *newer = stats_of("MultiConnector", "{\"NixlPullConnector\": {\"transfer_duration\": [2]}}");
    struct kvtel_stats *sum = make_stats("MultiConnector", NULL);
    assert_int_equal(kvtel_stats_aggregate(older, newer), KVTEL_OK);
    check_payload(older, "{\"NixlPullConnector\": {\"data\": {\"transfer_duration\": [1, 2]}}}");
    assert_int_equal(kvtel_stats_aggregate(sum, older), KVTEL_OK);
    struct kvtel_reduced *reduced;
    assert_int_equal(kvtel_stats_reduce(sum, &reduced), KVTEL_OK);
    const struct kvtel_reduced_entry *child = kvtel_reduced_find(reduced, "NixlPullConnector");
    assert_int_equal(child->kind, KVTEL_REDUCED_DICT);
    assert_int_equal(kvtel_reduced_find(child->dict, "Num successful transfers")->integer, 2);
    kvtel_reduced_destroy(reduced);
    kvtel_stats_destroy(older);
    kvtel_stats_destroy(newer);
    kvtel_stats_destroy(sum);
}

static void test_aggregate_mismatch(void **state)
{
    (void)state;
    static const char typed[] = "{\"types\": {\"vllm:kv_offload_load_bytes\": \"counter\"}, \"data\": "
                                "{\"vllm:kv_offload_load_bytes\": {\"[]\": 1}}}";
    static const char older[] = "{\"CPU_to_GPU\": [{\"op_size\": 1, \"op_time\": 2}]}";
    static const struct {
        const char *first_connector, *first, *second_connector, *second;
    } rows[] = {
        { "NixlConnector", "{\"transfer_duration\": [1]}", "MooncakeConnector", "{\"transfer_duration\": [1]}" },
        { "OffloadingConnector", typed, "OffloadingConnector", older },
        { "OffloadingConnector", older, "OffloadingConnector", typed },
        { "OffloadingConnector", older, "OffloadingConnector",
          "{\"types\": {}, \"data\": {}, \"info\": [{\"a\": 1}]}" },
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct kvtel_stats *first = stats_of(rows[i].first_connector, rows[i].first);
        struct kvtel_stats *second = stats_of(rows[i].second_connector, rows[i].second);
        assert_int_equal(kvtel_stats_aggregate(first, second), KVTEL_E_MISMATCH);
        check_payload(first, rows[i].first);
        check_payload(second, rows[i].second);
        assert_int_equal(kvtel_stats_aggregate(first, first), KVTEL_E_ARGUMENT);
        check_payload(first, rows[i].first);
        kvtel_stats_destroy(first);
        kvtel_stats_destroy(second);
    }
}

/* A mismatch deep inside leaves all children as they were, also those before it. */
static void test_mismatch_in_a_child(void **state)
{
    (void)state;
    static const char first[] = "{\"NixlPullConnector\": {\"transfer_duration\": [1]}, "
                                "\"OffloadingConnector\": {\"CPU_to_GPU\": [{\"op_size\": 1, \"op_time\": 2}]}}";
    static const char second[] =
        "{\"UMBPStoreConnector\": {\"a\": {\"failed\": 1}}, \"NixlPullConnector\": {\"transfer_duration\": [2]}, "
        "\"OffloadingConnector\": {\"types\": {}, \"data\": {}, \"info\": [{\"a\": 1}]}}";
    struct kvtel_stats *a = stats_of("MultiConnector", first), *b = stats_of("MultiConnector", second);
    assert_int_equal(kvtel_stats_aggregate(a, b), KVTEL_E_MISMATCH);
    check_payload(a, first);
    check_payload(b, second);
    kvtel_stats_destroy(a);
    kvtel_stats_destroy(b);
}

static void test_is_empty(void **state)
{
    (void)state;
    static const struct {
        const char *connector, *payload;
        bool empty;
    } rows[] = {
        { "NixlConnector", "{}", true },
        { "NixlConnector", "{\"post_duration\": [1], \"bytes_transferred\": [1], \"num_descriptors\": [1]}", true },
        { "NixlConnector", "{\"transfer_duration\": [0]}", false },
        { "NixlConnector", "{\"num_failed_handshakes\": [1]}", false },
        { "NixlConnector", "{\"num_notifications_after_expiry\": [0]}", false },
        { "MooncakeConnector", "{\"num_descriptors\": [1]}", true },
        { "MooncakeConnector", "{\"num_kv_expired_reqs\": [1]}", false },
        { "HF3FSKVConnector", "{\"save_duration\": [1], \"num_failed_save\": 3, \"num_transfer_task\": 0}", true },
        { "HF3FSKVConnector", "{\"num_transfer_task\": 0.0}", true },
        { "HF3FSKVConnector", "{\"num_transfer_task\": 1}", false },
        { "HiSparseConnector", "{\"cache_hits\": []}", true },
        { "HiSparseConnector", "{\"pending_page_transfers\": [0]}", false },
        { "MooncakeStoreConnector", "{}", true },
        { "MooncakeStoreConnector", "{\"get\": []}", false },
        { "UMBPStoreConnector", "{\"save\": {}}", false },
        { "OffloadingConnector", "{\"types\": {}, \"data\": {}, \"info\": null}", true },
        { "OffloadingConnector", "{\"types\": {}, \"data\": {}, \"info\": [{\"a\": 1}]}", false },
        { "OffloadingConnector",
          "{\"types\": {\"vllm:kv_offload_load_bytes\": \"counter\"}, \"data\": {\"vllm:kv_offload_load_bytes\": "
          "{\"[]\": 0}}}",
          false },
        { "LMCacheMPConnector", "{\"lookup_duration_seconds\": []}", true },
        { "LMCacheMPConnector", "{\"lookup_duration_seconds\": [0.0]}", false },
        { "MultiConnector", "{\"NixlPullConnector\": {}, \"MooncakeConnector\": {\"num_descriptors\": [1]}}", true },
        { "MultiConnector", "{\"NixlPullConnector\": {}, \"MooncakeConnector\": {\"num_failed_recvs\": [1]}}", false },
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct kvtel_stats *stats = stats_of(rows[i].connector, rows[i].payload);
        if (kvtel_stats_is_empty(stats) != rows[i].empty)
            fail_msg("%s: %s", rows[i].connector, rows[i].payload);
        kvtel_stats_reset(stats);
        assert_true(kvtel_stats_is_empty(stats));
        kvtel_stats_destroy(stats);
    }
}

static void test_reset_after_the_older_payload(void **state)
{
    (void)state;
    struct kvtel_stats *stats = stats_of("OffloadingConnector", "{\"CPU_to_GPU\": [{\"op_size\": 1, \"op_time\": 2}]}");
    kvtel_stats_reset(stats);
    check_payload(stats, "{\"types\": {}, \"data\": {}, \"info\": null}");
    assert_int_equal(kvtel_stats_record_value(stats, "vllm:kv_offload_load_bytes", NULL, 0, 5), KVTEL_OK);
    check_payload(stats, "{\"types\": {\"vllm:kv_offload_load_bytes\": \"counter\"}, \"data\": "
                         "{\"vllm:kv_offload_load_bytes\": {\"[]\": 5}}, \"info\": null}");
    kvtel_stats_destroy(stats);
}

static void test_reset_keeps_children(void **state)
{
    (void)state;
    struct kvtel_stats *stats =
        stats_of("MultiConnector", "{\"MultiConnector\": {\"UMBPStoreConnector\": {\"x\": {\"failed\": 1}}},"
                                   "\"LMCacheMPConnector\": {\"lookup_duration_seconds\": [1]}}");
    kvtel_stats_reset(stats);
    check_payload(stats, "{\"MultiConnector\": {\"UMBPStoreConnector\": {}}, \"LMCacheMPConnector\": "
                         "{\"lookup_duration_seconds\": []}}");
    kvtel_stats_destroy(stats);
}

static void test_clone_and_reset(void **state)
{
    (void)state;
    static const struct {
        const char *connector, *payload;
    } rows[] = {
        { "NixlConnector", "{\"transfer_duration\": [1, 0.5]}" },
        { "HF3FSKVConnector", "{\"num_transfer_task\": 3}" },
        { "UMBPStoreConnector", "{\"save\": {\"failed\": 1}}" },
        { "OffloadingConnector", "{\"CPU_to_GPU\": [{\"op_size\": 1, \"op_time\": 2}]}" },
        { "OffloadingConnector", "{\"types\": {}, \"data\": {}, \"info\": [{\"a\": \"text\"}]}" },
        { "MultiConnector", "{\"NixlPullConnector\": {\"transfer_duration\": [1]}}" },
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct kvtel_stats *stats = stats_of(rows[i].connector, rows[i].payload), *delta = NULL;
        assert_int_equal(kvtel_stats_clone_and_reset(stats, &delta), KVTEL_OK);
        check_payload(delta, rows[i].payload);
        assert_ptr_equal(kvtel_stats_connector(delta), kvtel_stats_connector(stats));
        assert_true(kvtel_stats_is_empty(stats));
        assert_int_equal(kvtel_stats_aggregate(stats, delta), KVTEL_OK);
        kvtel_stats_destroy(delta);
        assert_int_equal(kvtel_stats_clone_and_reset(stats, &delta), KVTEL_OK);
        kvtel_stats_destroy(stats);
        assert_false(kvtel_stats_is_empty(delta));
        kvtel_stats_destroy(delta);
    }
}

/* Decoding again and again into one object, larger and smaller, leaves nothing of what was there. */
static void test_decoding_replaces(void **state)
{
    (void)state;
    static const char *const payloads[] = {
        "{\"transfer_duration\": [1, 0.5, 2], \"num_failed_handshakes\": [1]}",
        "{\"transfer_duration\": [3]}",
        "{}",
        "{\"bytes_transferred\": [7, 8, 9, 10, 11, 12, 13]}",
    };
    struct kvtel_stats *stats = make_stats("NixlConnector", NULL);
    for (size_t i = 0; i < 3 * COUNT_OF(payloads); i++) {
        const char *payload = payloads[i % COUNT_OF(payloads)];
        assert_int_equal(kvtel_stats_decode(stats, KVTEL_JSON, payload, strlen(payload), NULL), KVTEL_OK);
        check_payload(stats, payload);
        if (i % 5 == 4)
            kvtel_stats_reset(stats);
    }
    kvtel_stats_destroy(stats);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_create),
        cmocka_unit_test(test_fresh_payloads),
        cmocka_unit_test(test_golden_payloads_come_out_as_they_went_in),
        cmocka_unit_test(test_other_payloads_come_out_as_they_went_in),
        cmocka_unit_test(test_tuple_keys),
        cmocka_unit_test(test_aggregate),
        cmocka_unit_test(test_wrapped_children),
        cmocka_unit_test(test_aggregate_mismatch),
        cmocka_unit_test(test_mismatch_in_a_child),
        cmocka_unit_test(test_is_empty),
        cmocka_unit_test(test_reset_after_the_older_payload),
        cmocka_unit_test(test_reset_keeps_children),
        cmocka_unit_test(test_clone_and_reset),
        cmocka_unit_test(test_decoding_replaces),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
