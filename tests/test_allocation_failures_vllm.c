/* SPDX-License-Identifier: Apache-2.0 */
/* Every n-th allocation fails in vLLM's configuration, metrics and log, and on a recording's way through them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "recording/session.h"
#include "support/example_payloads.h"
#include "support/failing.h" /* __wrap_malloc, __wrap_calloc, __wrap_realloc, __wrap_strdup */
#include "support/payloads.h"
#include <kvtel/prom.h>
#include <kvtel/snapshot.h>
#include <kvtel/store.h>

enum { FAILURES_MAX = 5000 };

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
static const struct kvtel_engine_labels engines[] = { { .engine = 0, .values = values_0 },
                                                      { .engine = 1, .values = values_1 } };

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
        cmocka_unit_test(test_transfer_config),
        cmocka_unit_test(test_prom),
        cmocka_unit_test(test_logging),
        cmocka_unit_test(test_recording),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
