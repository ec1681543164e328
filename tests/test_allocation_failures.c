/* SPDX-License-Identifier: Apache-2.0 */
/* Every n-th allocation fails: a status reports it, objects that existed before are unchanged, and the same call
 * then succeeds. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "support/failing.h" /* __wrap_malloc, __wrap_calloc, __wrap_realloc, __wrap_strdup */
#include "support/example_payloads.h"
#include "support/payloads.h"

enum { FAILURES_MAX = 5000 };

/* All that can be seen of stats: the payload where there still is one, the reduced lines where not. */
static char *picture(const struct kvtel_stats *stats)
{
    return kvtel_stats_is_summarised(stats) ? reduced_text(stats) : json_of(stats);
}

static void check_picture(const char *what, const struct kvtel_stats *stats, const char *before)
{
    char *after = picture(stats);
    if (strcmp(before, after) != 0)
        fail_msg("%s: %s became %s", what, before, after);
    free(after);
}

static const struct kvtel_transfer transfer = {
    .duration_ns = 1500000, .post_ns = 10, .bytes = 4096, .descriptors = 2, .failed = 1
};

static enum kvtel_status aggregate(struct kvtel_stats *stats, const struct kvtel_stats *other)
{
    return kvtel_stats_aggregate(stats, other);
}

static enum kvtel_status decode(struct kvtel_stats *stats, enum kvtel_format format, const struct kvtel_stats *other)
{
    struct kvtel_error error = { .status = KVTEL_OK };
    size_t n = allocations_left;
    char *bytes;
    size_t size;
    allocations_left = 0; /* only decoding is to fail */
    assert_int_equal(kvtel_stats_encode(other, format, &bytes, &size), KVTEL_OK);
    allocations_left = n;
    enum kvtel_status status = kvtel_stats_decode(stats, format, bytes, size, &error);
    assert_int_equal(error.status, status);
    free(bytes);
    return status;
}

static enum kvtel_status decode_json(struct kvtel_stats *stats, const struct kvtel_stats *other)
{
    return decode(stats, KVTEL_JSON, other);
}

static enum kvtel_status decode_msgpack(struct kvtel_stats *stats, const struct kvtel_stats *other)
{
    return decode(stats, KVTEL_MSGPACK, other);
}

static enum kvtel_status record_transfer(struct kvtel_stats *stats, const struct kvtel_stats *other)
{
    (void)other;
    return kvtel_stats_record_transfer(stats, NULL, &transfer);
}

static enum kvtel_status record_failure(struct kvtel_stats *stats, const struct kvtel_stats *other)
{
    (void)other;
    const struct kvtel_failure_field *failures = kvtel_stats_connector(stats)->failures;
    return kvtel_stats_record_failure(stats, failures[0].failure);
}

static enum kvtel_status record_operation(struct kvtel_stats *stats, const struct kvtel_stats *other)
{
    (void)other;
    return kvtel_stats_record_operation(stats, "new", "timeout", &transfer);
}

static enum kvtel_status record_known_operation(struct kvtel_stats *stats, const struct kvtel_stats *other)
{
    (void)other;
    return kvtel_stats_record_operation(stats, "get", "timeout", &transfer);
}

static enum kvtel_status record_level(struct kvtel_stats *stats, const struct kvtel_stats *other)
{
    (void)other;
    return kvtel_stats_record_value(stats, "pending_page_transfers", NULL, 0, 3);
}

static enum kvtel_status record_typed(struct kvtel_stats *stats, const struct kvtel_stats *other)
{
    (void)other;
    static const char *const tier[] = { "1:fs" };
    return kvtel_stats_record_value(stats, "vllm:kv_offload_tiering_lookup_sync_delay_seconds", tier, 1, 0.5);
}

static enum kvtel_status clone_and_reset(struct kvtel_stats *stats, const struct kvtel_stats *other)
{
    struct kvtel_stats *delta = NULL;
    (void)other;
    enum kvtel_status status = kvtel_stats_clone_and_reset(stats, &delta);
    assert_int_equal(delta != NULL, status == KVTEL_OK);
    kvtel_stats_destroy(delta);
    return status;
}

static enum kvtel_status reduce(struct kvtel_stats *stats, const struct kvtel_stats *other)
{
    struct kvtel_reduced *reduced = NULL;
    (void)other;
    enum kvtel_status status = kvtel_stats_reduce(stats, &reduced);
    assert_int_equal(reduced != NULL, status == KVTEL_OK);
    kvtel_reduced_destroy(reduced);
    return status;
}

static enum kvtel_status encode(struct kvtel_stats *stats, const struct kvtel_stats *other)
{
    (void)other;
    enum kvtel_status status = KVTEL_OK;
    for (int format = KVTEL_MSGPACK; format <= KVTEL_JSON && status == KVTEL_OK; format++) {
        char *bytes = NULL;
        size_t size = 0;
        status = kvtel_stats_encode(stats, (enum kvtel_format)format, &bytes, &size);
        assert_int_equal(bytes != NULL, status == KVTEL_OK);
        free(bytes);
    }
    return status;
}

/* What fails, on stats that hold `payload`, with others that hold `other`. Limits: 1 summarises all. */
static const struct {
    const char *what, *connector, *payload, *other;
    enum kvtel_status (*run)(struct kvtel_stats *stats, const struct kvtel_stats *other);
    bool summarised, other_summarised;
} scenes[] = {
    { "aggregate lists", "NixlConnector", NIXL, MIXED, aggregate, false, false },
    { "aggregate into nothing", "NixlConnector", "{}", MIXED, aggregate, false, false },
    { "aggregate lone numbers", "HF3FSKVConnector", "{}", "{\"num_transfer_task\": 2, \"save_duration\": [1]}",
      aggregate, false, false },
    { "aggregate rows", "MooncakeStoreConnector", STORE("get", "ok"), STORE("put", "error"), aggregate, false, false },
    { "aggregate counts", "UMBPStoreConnector", "{\"a\": {\"failed\": 1}}",
      "{\"b\": {\"failed\": 1}, \"a\": {\"submitted\": 2}}", aggregate, false, false },
    { "aggregate typed metrics", "OffloadingConnector", OFFLOADING, OTHER_OFFLOADING, aggregate, false, false },
    { "aggregate children", "MultiConnector", MULTI, OTHER_MULTI, aggregate, false, false },
    { "aggregate the older payload", "OffloadingConnector", "{\"types\": {}, \"data\": {}}",
      "{\"CPU_to_GPU\": [{\"op_size\": 1, \"op_time\": 2}]}", aggregate, false, false },
    { "aggregate into a summary", "NixlConnector", NIXL, MIXED, aggregate, true, false },
    { "aggregate a summary", "NixlConnector", NIXL, MIXED, aggregate, false, true },
    { "aggregate two summaries", "MooncakeStoreConnector", STORE("get", "ok"), STORE("get", "error"), aggregate, true,
      true },
    { "aggregate a summary of rows", "MooncakeStoreConnector", STORE("get", "ok"), STORE("get", "error"), aggregate,
      false, true },
    { "aggregate summaries of children", "MultiConnector", MULTI, OTHER_MULTI, aggregate, false, true },
    { "decode lists", "NixlConnector", NIXL, MIXED, decode_json, false, false },
    { "decode lists, MessagePack", "NixlConnector", NIXL, MIXED, decode_msgpack, false, false },
    { "decode rows", "MooncakeStoreConnector", STORE("get", "ok"), STORE("put", "error"), decode_json, false, false },
    { "decode counts", "UMBPStoreConnector", "{}", "{\"b\": {\"failed\": 1}, \"a\": {\"submitted\": 2}}",
      decode_msgpack, false, false },
    { "decode typed metrics", "OffloadingConnector", OFFLOADING, OTHER_OFFLOADING, decode_json, false, false },
    { "decode typed metrics, MessagePack", "OffloadingConnector", OFFLOADING, OTHER_OFFLOADING, decode_msgpack, false,
      false },
    { "decode children", "MultiConnector", MULTI, OTHER_MULTI, decode_json, false, false },
    { "record a transfer", "NixlConnector", NIXL, NULL, record_transfer, false, false },
    { "record a transfer beside integers", "NixlConnector",
      "{\"transfer_duration\": [1], \"bytes_transferred\": [0.5]}", NULL, record_transfer, false, false },
    { "record a transfer into a summary", "NixlConnector", NIXL, NULL, record_transfer, true, false },
    { "record a typed transfer", "OffloadingConnector", OTHER_OFFLOADING, NULL, record_transfer, false, false },
    { "record a typed transfer into nothing", "OffloadingConnector", "{}", NULL, record_transfer, false, false },
    { "record a task", "HF3FSKVConnector", "{}", NULL, record_transfer, false, false },
    { "record a failure", "NixlConnector", NIXL, NULL, record_failure, false, false },
    { "record a typed failure", "OffloadingConnector", OFFLOADING, NULL, record_failure, false, false },
    { "record an operation", "MooncakeStoreConnector", STORE("get", "ok"), NULL, record_operation, false, false },
    { "record an operation again", "MooncakeStoreConnector", STORE("get", "ok"), NULL, record_known_operation, false,
      false },
    { "record an operation into a summary", "MooncakeStoreConnector", STORE("get", "ok"), NULL, record_known_operation,
      true, false },
    { "record a counted operation", "UMBPStoreConnector", "{\"get\": {\"failed\": 1}}", NULL, record_operation, false,
      false },
    { "record a level", "HiSparseConnector", "{\"pending_page_transfers\": [0.5]}", NULL, record_level, false, false },
    { "record a typed value", "OffloadingConnector", OFFLOADING, NULL, record_typed, false, false },
    { "clone and reset", "NixlConnector", NIXL, NULL, clone_and_reset, false, false },
    { "clone and reset children", "MultiConnector", MULTI, NULL, clone_and_reset, false, false },
    { "reduce lists", "NixlConnector", NIXL, NULL, reduce, false, false },
    { "reduce a summary", "NixlConnector", NIXL, NULL, reduce, true, false },
    { "reduce rows", "MooncakeStoreConnector", STORE("get", "ok"), NULL, reduce, false, false },
    { "reduce typed metrics", "OffloadingConnector", OFFLOADING, NULL, reduce, false, false },
    { "reduce children", "MultiConnector", MULTI, NULL, reduce, false, false },
    { "encode lists", "NixlConnector", NIXL, NULL, encode, false, false },
    { "encode typed metrics", "OffloadingConnector", OFFLOADING, NULL, encode, false, false },
    { "encode children", "MultiConnector", OTHER_MULTI, NULL, encode, false, false },
};

/* True when the n-th allocation was reached. */
static bool play(size_t scene, size_t n)
{
    struct kvtel_stats *stats = stats_of(scenes[scene].connector, scenes[scene].payload);
    struct kvtel_stats *other = scenes[scene].other ? stats_of(scenes[scene].connector, scenes[scene].other) : NULL;
    if (scenes[scene].summarised)
        kvtel_stats_set_sample_limit(stats, 0);
    if (scenes[scene].other_summarised)
        kvtel_stats_set_sample_limit(other, 0);
    char *before = picture(stats), *other_before = other ? picture(other) : NULL;
    fail_allocation(n);
    enum kvtel_status status = scenes[scene].run(stats, other);
    bool reached = allocation_did_fail();
    if (status != (reached ? KVTEL_E_NOMEM : KVTEL_OK) && !(reached && status == KVTEL_OK))
        fail_msg("%s: allocation %zu, status %d", scenes[scene].what, n, status);
    if (status != KVTEL_OK)
        check_picture(scenes[scene].what, stats, before);
    if (other)
        check_picture(scenes[scene].what, other, other_before);
    if (status != KVTEL_OK)
        assert_int_equal(scenes[scene].run(stats, other), KVTEL_OK);
    free(before);
    free(other_before);
    kvtel_stats_destroy(stats);
    kvtel_stats_destroy(other);
    return reached;
}

static void test_stats(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(scenes); i++) {
        size_t n = 1;
        while (play(i, n)) {
            n++;
            assert_true(n < FAILURES_MAX);
        }
    }
}

static void test_create(void **state)
{
    (void)state;
    const struct kvtel_connector *connector;
    for (size_t i = 0; (connector = kvtel_connector_at(i)); i++) {
        bool reached = connector->payload_kind != KVTEL_PAYLOAD_NONE;
        for (size_t n = 1; reached; n++) {
            fail_allocation(n);
            struct kvtel_stats *stats = kvtel_stats_create(connector, NULL);
            reached = allocation_did_fail();
            assert_int_equal(stats == NULL, reached);
            kvtel_stats_destroy(stats);
        }
    }
}

/* Without memory the limit is not kept, and nothing is lost. Reset never fails. */
static void test_what_cannot_fail(void **state)
{
    (void)state;
    static const char *const connectors[] = { "NixlConnector", "MooncakeStoreConnector", "OffloadingConnector",
                                              "MultiConnector", "HF3FSKVConnector" };
    static const char *const payloads[] = { MIXED, STORE("get", "error"), OFFLOADING, MULTI,
                                            "{\"save_duration\": [1, 2]}" };
    for (size_t i = 0; i < COUNT_OF(connectors); i++) {
        bool reached = true;
        for (size_t n = 1; reached; n++) {
            struct kvtel_stats *stats = stats_of(connectors[i], payloads[i]);
            struct kvtel_stats *summarised = stats_of(connectors[i], payloads[i]);
            fail_allocation(n);
            kvtel_stats_set_sample_limit(stats, 0);
            reached = allocation_did_fail();
            kvtel_stats_set_sample_limit(stats, 0);
            kvtel_stats_set_sample_limit(summarised, 0);
            char *wanted = reduced_text(summarised);
            char *got = reduced_text(stats);
            assert_string_equal(got, wanted);
            free(wanted);
            free(got);
            fail_allocation(n);
            kvtel_stats_reset(stats);
            reached |= allocation_did_fail();
            assert_true(kvtel_stats_is_empty(stats));
            assert_false(kvtel_stats_is_summarised(stats));
            kvtel_stats_destroy(stats);
            kvtel_stats_destroy(summarised);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_stats),
        cmocka_unit_test(test_create),
        cmocka_unit_test(test_what_cannot_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
