/* SPDX-License-Identifier: Apache-2.0 */
/* Every n-th allocation fails: a status reports it, objects that existed before are unchanged, and the same call
 * then succeeds. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "recording/session.h"
#include "support/failing.h" /* __wrap_malloc, __wrap_calloc, __wrap_realloc, __wrap_strdup */
#include "support/payloads.h"
#include <kvtel/prom.h>
#include <kvtel/snapshot.h>
#include <kvtel/store.h>

enum { FAILURES_MAX = 5000 };

static char *reduced_text(const struct kvtel_stats *stats)
{
    struct kvtel_reduced *reduced;
    struct kvtel_buffer buffer = { 0 };
    struct kvtel_writer writer;
    assert_int_equal(kvtel_stats_reduce(stats, &reduced), KVTEL_OK);
    kvtel_writer_init(&writer, KVTEL_JSON, &buffer);
    append_reduced(&writer, reduced);
    assert_int_equal(kvtel_writer_finish(&writer), KVTEL_OK);
    assert_int_equal(kvtel_buffer_append_byte(&buffer, '\0'), KVTEL_OK);
    kvtel_reduced_destroy(reduced);
    return buffer.bytes;
}

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

#define NIXL                                                                                             \
    "{\"transfer_duration\": [0.5, 1], \"post_duration\": [0.25, 2], \"bytes_transferred\": [4096, 1], " \
    "\"num_descriptors\": [1, "                                                                          \
    "2]}"
#define MIXED "{\"transfer_duration\": [1, 0.5, 2], \"num_failed_handshakes\": [1, 1.0], \"num_kv_expired_reqs\": [1]}"
#define REFUSED "{\"transfer_duration\": [1, 0.5], \"bytes_transferred\": [1, 2]}"
#define STORE(operation, status)                                                                                       \
    "{\"" operation "\": [{\"duration_seconds\": 0.5, \"num_keys\": 1, \"num_bytes\": 1, \"status\": \"" status "\", " \
    "\"num_failed_keys\": 0}, {\"duration_seconds\": 1, \"num_keys\": 1.5, \"num_bytes\": 1, \"status\": \"ok\", "     \
    "\"num_failed_keys\": 0}]}"
#define OFFLOADING                                                                                                     \
    "{\"types\": {\"vllm:kv_offload_load_bytes\": \"counter\", "                                                       \
    "\"vllm:kv_offload_tiering_lookup_sync_delay_seconds\": "                                                          \
    "\"histogram\", \"vllm:kv_offload_cpu_cache_usage_perc\": \"gauge\"}, \"data\": {\"vllm:kv_offload_load_bytes\": " \
    "{\"[]\": 1}, \"vllm:kv_offload_tiering_lookup_sync_delay_seconds\": {\"[\\\"a\\\"]\": [1, 0.5], "                 \
    "\"[\\\"b\\\"]\": "                                                                                                \
    "[]}, \"vllm:kv_offload_cpu_cache_usage_perc\": {\"[]\": 0.5}}, \"info\": [{\"cpu_num_chunks\": 3, \"x\": "        \
    "\"text\"}]}"
#define OTHER_OFFLOADING                                                                                             \
    "{\"types\": {\"vllm:kv_offload_tiering_lookup_sync_delay_seconds\": \"histogram\", "                            \
    "\"vllm:kv_offload_store_bytes\": \"counter\"}, \"data\": "                                                      \
    "{\"vllm:kv_offload_tiering_lookup_sync_delay_seconds\": "                                                       \
    "{\"[\\\"b\\\"]\": [2], \"[\\\"c\\\"]\": [3, 0.5]}, \"vllm:kv_offload_store_bytes\": {\"[]\": 1.5}}, \"info\": " \
    "[{\"cpu_num_chunks\": 4}]}"
#define MULTI "{\"NixlPullConnector\": " NIXL ", \"OffloadingConnector\": " OFFLOADING "}"
#define OTHER_MULTI                                                                                      \
    "{\"MooncakeStoreConnector\": " STORE("get", "error") ", \"OffloadingConnector\": " OTHER_OFFLOADING \
                                                          ", \"NixlPullConnector\": " MIXED "}"

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
    { "aggregate the older shape", "OffloadingConnector", "{\"types\": {}, \"data\": {}}",
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
        bool reached = connector->shape != KVTEL_SHAPE_NONE;
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

static void test_transfer_config(void **state)
{
    (void)state;
    static const char text[] =
        "{\"kv_connector\": \"MultiConnector\", \"kv_connector_extra_config\": {\"connectors\": ["
        "{\"kv_connector\": \"NixlConnector\"}, {\"kv_connector\": \"OffloadingConnector\", "
        "\"kv_connector_extra_config\": {\"spec_name\": \"TieringOffloadingSpec\", \"secondary_tiers\": "
        "[{\"type\": \"fs\"}]}}], \"x\": 1.5}}";
    bool reached = true;
    for (size_t n = 1; reached; n++) {
        struct kvtel_transfer_config *config = NULL;
        struct kvtel_error error = { .status = KVTEL_OK };
        fail_allocation(n);
        enum kvtel_status status = kvtel_transfer_config_parse(KVTEL_JSON, text, sizeof(text) - 1, &config, &error);
        reached = allocation_did_fail();
        assert_int_equal(status, reached ? KVTEL_E_NOMEM : KVTEL_OK);
        assert_int_equal(error.status, status);
        assert_int_equal(config == NULL, reached);
        kvtel_transfer_config_destroy(config);
        fail_allocation(n);
        config = kvtel_transfer_config_of("NixlConnector");
        assert_int_equal(config == NULL, allocation_did_fail());
        kvtel_transfer_config_destroy(config);
    }
}

static const char *const labelnames[] = { "model_name", "engine" };
static const char *const values_0[] = { "m", "0" }, *const values_1[] = { "m", "1" };
static const struct kvtel_engine_labels engines[] = { { 0, values_0 }, { 1, values_1 } };

static void test_prom(void **state)
{
    (void)state;
    static const struct {
        const char *config, *connector, *payload;
    } rows[] = {
        { "{\"kv_connector\": \"NixlConnector\"}", "NixlConnector", NIXL },
        { "{\"kv_connector\": \"MooncakeStoreConnector\"}", "MooncakeStoreConnector", STORE("get", "error") },
        { "{\"kv_connector\": \"OffloadingConnector\"}", "OffloadingConnector", OFFLOADING },
        { "{\"kv_connector\": \"MultiConnector\", \"kv_connector_extra_config\": {\"connectors\": [{\"kv_connector\": "
          "\"NixlConnector\"}, {\"kv_connector\": \"OffloadingConnector\"}]}}",
          "MultiConnector", MULTI },
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct kvtel_stats *stats = stats_of(rows[i].connector, rows[i].payload);
        struct kvtel_transfer_config *config;
        assert_int_equal(kvtel_transfer_config_parse(KVTEL_JSON, rows[i].config, strlen(rows[i].config), &config, NULL),
                         KVTEL_OK);
        bool reached = true;
        for (size_t n = 1; reached; n++) {
            assert_true(n < FAILURES_MAX);
            struct kvtel_store *store = kvtel_store_create(NULL);
            struct kvtel_diagnostics *diagnostics = kvtel_diagnostics_create(NULL, NULL);
            struct kvtel_prom_options options = { .config = config,
                                                  .labelnames = labelnames,
                                                  .label_count = 2,
                                                  .engines = engines,
                                                  .engine_count = 2,
                                                  .diagnostics = diagnostics };
            struct kvtel_prom *prom = NULL;
            fail_allocation(n);
            enum kvtel_status status = kvtel_store_metric_types(store, &options.types);
            if (status == KVTEL_OK)
                status = kvtel_prom_create(&options, &prom);
            bool created = status == KVTEL_OK;
            assert_int_equal(prom != NULL, created);
            if (created)
                status = kvtel_prom_observe(prom, stats, 1);
            reached = allocation_did_fail();
            /* what could not be recorded is counted, the rest is */
            if (created)
                assert_true(status == KVTEL_OK &&
                            (kvtel_diagnostics_count(diagnostics, KVTEL_REFUSED_NO_MEMORY) > 0) == reached);
            else
                assert_true(status == KVTEL_E_NOMEM && reached);
            kvtel_prom_destroy(prom);
            kvtel_store_close(store);
            kvtel_diagnostics_destroy(diagnostics);
        }
        kvtel_transfer_config_destroy(config);
        kvtel_stats_destroy(stats);
    }
}

struct lines {
    unsigned count;
    char last[4096];
};

static void take_line(void *context, const char *line)
{
    struct lines *lines = context;
    lines->count++;
    snprintf(lines->last, sizeof(lines->last), "%s", line);
}

/* What was observed before a failure is in the line, what failed is not. */
static void test_logging(void **state)
{
    (void)state;
    static const struct {
        const char *connector, *payload;
    } rows[] = { { "NixlConnector", NIXL },
                 { "MooncakeStoreConnector", STORE("get", "error") },
                 { "OffloadingConnector", OFFLOADING } };
    for (size_t i = 0; i < 2 * COUNT_OF(rows); i++) {
        enum kvtel_log_style style = i < COUNT_OF(rows) ? KVTEL_LOG_DEFAULT : KVTEL_LOG_VLLM;
        struct kvtel_transfer_config *config = kvtel_transfer_config_of(rows[i % COUNT_OF(rows)].connector);
        struct kvtel_stats *stats = stats_of(rows[i % COUNT_OF(rows)].connector, rows[i % COUNT_OF(rows)].payload);
        const struct kvtel_observation first = { .engine = 0, .ranks = 1 };
        struct lines once = { 0 }, twice = { 0 };
        bool reached = true;
        struct kvtel_logging *logging = kvtel_logging_create(config, style, NULL);
        for (unsigned times = 1; times <= 2; times++) {
            for (unsigned k = 0; k < times; k++)
                assert_int_equal(kvtel_logging_observe(logging, stats, &first), KVTEL_OK);
            assert_int_equal(kvtel_logging_log(logging, 1, take_line, times == 1 ? &once : &twice), KVTEL_OK);
        }
        kvtel_logging_destroy(logging);
        for (size_t n = 1; reached; n++) {
            struct lines lines = { 0 };
            logging = kvtel_logging_create(config, style, NULL);
            assert_int_equal(kvtel_logging_observe(logging, stats, &first), KVTEL_OK);
            fail_allocation(n);
            enum kvtel_status status = kvtel_logging_observe(logging, stats, &first);
            reached = allocation_did_fail();
            assert_int_equal(status, reached ? KVTEL_E_NOMEM : KVTEL_OK);
            fail_allocation(n);
            enum kvtel_status logged = kvtel_logging_log(logging, 1, take_line, &lines);
            reached |= allocation_did_fail();
            assert_int_equal(lines.count, logged == KVTEL_OK ? once.count : 0);
            if (logged != KVTEL_OK)
                assert_int_equal(kvtel_logging_log(logging, 1, take_line, &lines), KVTEL_OK);
            assert_string_equal(lines.last, status == KVTEL_OK ? twice.last : once.last);
            kvtel_logging_destroy(logging);
        }
        kvtel_transfer_config_destroy(config);
        kvtel_stats_destroy(stats);
    }
}

struct source {
    const char *bytes;
    size_t size;
};

static size_t read_source(void *context, void *bytes, size_t size)
{
    struct source *source = context;
    size_t n = size < source->size ? size : source->size;
    memcpy(bytes, source->bytes, n);
    source->bytes += n;
    source->size -= n;
    return n;
}

/* A recording's way through a session to the metrics' text: each step succeeds or says that there was no memory. */
static enum kvtel_status play_recording(const char *bytes, size_t size, struct kvtel_store *store)
{
    struct source source = { bytes, size };
    struct kvtel_metric_types types;
    struct kvtel_session *session = NULL;
    struct lines lines = { 0 };
    struct kvtel_recording *recording = kvtel_recording_open(read_source, &source);
    enum kvtel_status status = recording ? kvtel_store_metric_types(store, &types) : KVTEL_E_NOMEM;
    while (status == KVTEL_OK) {
        struct kvtel_record record;
        const struct kvtel_stats *stats;
        status = kvtel_recording_next(recording, &record, NULL);
        if (status != KVTEL_OK || record.kind == KVTEL_RECORD_END)
            break;
        if (record.kind == KVTEL_RECORD_HEADER && !session)
            status = kvtel_session_create(&record, &types, KVTEL_LOG_VLLM, NULL, &session);
        else if (record.kind == KVTEL_RECORD_PAYLOADS)
            status = kvtel_session_observe(session, &record, &stats);
        else if (record.kind == KVTEL_RECORD_LOG)
            status = kvtel_session_log(session, take_line, &lines);
    }
    kvtel_session_destroy(session);
    kvtel_recording_close(recording);
    return status;
}

static void test_recording(void **state)
{
    (void)state;
    static const char text[] =
        "{\"kvtel\": 1, \"kv_transfer_config\": {\"kv_connector\": \"MultiConnector\", \"kv_connector_extra_config\": "
        "{\"connectors\": "
        "[{\"kv_connector\": \"NixlConnector\"}]}}, \"model_name\": \"m\", \"engines\": [0, 1], \"source\": \"here\"}\n"
        "{\"engine\": 0, \"payload\": {\"NixlPullConnector\": " NIXL "}}\n"
        "{\"engine\": 1, \"workers\": [{\"NixlPullConnector\": " MIXED "}, {\"NixlPullConnector\": " REFUSED "}]}\n"
        "{\"log\": true}\n";
    struct kvtel_buffer packed = { 0 };
    for (const char *line = text; *line; line = strchr(line, '\n') + 1) {
        char *one = strndup(line, strcspn(line, "\n"));
        convert_json(&packed, KVTEL_MSGPACK, one);
        free(one);
    }
    for (int format = KVTEL_MSGPACK; format <= KVTEL_JSON; format++) {
        bool reached = true;
        for (size_t n = 1; reached; n++) {
            assert_true(n < FAILURES_MAX);
            struct kvtel_store *store = kvtel_store_create(NULL);
            fail_allocation(n);
            enum kvtel_status status = format == KVTEL_JSON ? play_recording(text, sizeof(text) - 1, store)
                                                            : play_recording(packed.bytes, packed.size, store);
            reached = allocation_did_fail();
            assert_true(status == KVTEL_OK || (reached && status == KVTEL_E_NOMEM));
            kvtel_store_close(store);
        }
    }
    kvtel_buffer_free(&packed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_stats),           cmocka_unit_test(test_create), cmocka_unit_test(test_what_cannot_fail),
        cmocka_unit_test(test_transfer_config), cmocka_unit_test(test_prom),   cmocka_unit_test(test_logging),
        cmocka_unit_test(test_recording),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
