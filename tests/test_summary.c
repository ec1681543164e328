/* SPDX-License-Identifier: Apache-2.0 */
/* Summaries: exact quantiles, sums and failures; the same for summarised samples; failing allocations at any point. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "vllm/logging/stats_summary.h"
#include <kvtel/logging.h>

/* The allocation that fails, counted down; below 0 none does. */
static long allocations_left = -1;

static bool allocation_fails(void)
{
    return allocations_left >= 0 && allocations_left-- == 0;
}

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *old, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *old, size_t size);

void *__wrap_malloc(size_t size)
{
    return allocation_fails() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t count, size_t size)
{
    return allocation_fails() ? NULL : __real_calloc(count, size);
}

void *__wrap_realloc(void *old, size_t size)
{
    return allocation_fails() ? NULL : __real_realloc(old, size);
}

static void assert_near(double value, double expected, double relative)
{
    double error = value > expected ? value - expected : expected - value;
    if (error > relative * expected)
        fail_msg("%.17g is not within %g of %.17g", value, relative, expected);
}

/* 1,000 transfers of 1 ms .. 1,000 ms and 1 KiB each, not in order. */
static struct kvtel_stats *make_nixl(size_t sample_limit)
{
    struct kvtel_stats *stats = kvtel_stats_create(kvtel_connector_find("NixlConnector"), NULL);
    assert_non_null(stats);
    kvtel_stats_set_sample_limit(stats, sample_limit);
    for (uint64_t i = 0; i < 1000; i++) {
        uint64_t milliseconds = i * 7 % 1000 + 1;
        const struct kvtel_transfer transfer = {
            .duration_ns = milliseconds * 1000000, .post_ns = milliseconds * 1000, .bytes = 1024, .descriptors = 2
        };
        assert_int_equal(kvtel_stats_record_transfer(stats, "transfer", &transfer), KVTEL_OK);
    }
    for (int i = 0; i < 3; i++)
        assert_int_equal(kvtel_stats_record_failure(stats, KVTEL_FAILED_NOTIFICATION), KVTEL_OK);
    return stats;
}

static void check_nixl(size_t sample_limit, double relative)
{
    struct kvtel_stats *stats = make_nixl(sample_limit);
    struct kvtel_summary summary;
    assert_int_equal(kvtel_stats_summary_init(&summary, stats), KVTEL_OK);
    assert_int_equal(summary.flow_count, 1);
    const struct kvtel_flow_summary *flow = &summary.flows[0];
    assert_string_equal(flow->name, "transfer");
    assert_int_equal(flow->transfers, 1000);
    assert_near(flow->bytes, 1024000, 0);
    assert_near(flow->descriptors, 2000, 0);
    assert_near(flow->seconds, 500.5, 1e-12);
    assert_near(flow->rate, 1024000 / 500.5, 1e-12);
    assert_true(flow->time.known && flow->post.known);
    assert_near(flow->time.p50, 0.5005, relative);
    assert_near(flow->time.p90, 0.9001, relative);
    assert_near(flow->time.p99, 0.99001, relative);
    assert_near(flow->time.max, 1, 1e-12);
    assert_near(flow->post.p90, 0.0009001, relative);
    assert_int_equal(summary.failed, 3);
    assert_int_equal(summary.failures.count, 1);
    assert_string_equal(summary.failures.entries[0].label, "notification");
    kvtel_summary_close(&summary);
    kvtel_stats_destroy(stats);
}

static void test_exact(void **state)
{
    (void)state;
    check_nixl(KVTEL_SAMPLE_LIMIT, 1e-12);
}

static void test_summarised(void **state)
{
    (void)state;
    check_nixl(0, 0.01);
    check_nixl(500, 0.01);
}

static struct kvtel_stats *make_store(size_t sample_limit)
{
    static const char *const statuses[] = { "ok", "error", "ok", "partial_failure", "ok" };
    struct kvtel_stats *stats = kvtel_stats_create(kvtel_connector_find("MooncakeStoreConnector"), NULL);
    assert_non_null(stats);
    kvtel_stats_set_sample_limit(stats, sample_limit);
    for (size_t i = 0; i < 100; i++) {
        const char *status = statuses[i % 5];
        const struct kvtel_transfer transfer = {
            .duration_ns = 1000000, .bytes = 4096, .descriptors = 4, .failed = strcmp(status, "ok") == 0 ? 0 : 2
        };
        assert_int_equal(kvtel_stats_record_operation(stats, i % 2 ? "save_put" : "load_get", status, &transfer),
                         KVTEL_OK);
    }
    return stats;
}

static void test_statuses_are_failures(void **state)
{
    (void)state;
    static const size_t limits[] = { KVTEL_SAMPLE_LIMIT, 0, 150 };
    for (size_t i = 0; i < sizeof(limits) / sizeof(limits[0]); i++) {
        struct kvtel_stats *stats = make_store(limits[i]);
        struct kvtel_summary summary;
        assert_int_equal(kvtel_stats_summary_init(&summary, stats), KVTEL_OK);
        assert_int_equal(summary.flow_count, 2);
        assert_string_equal(summary.flows[0].name, "load_get");
        assert_string_equal(summary.flows[1].name, "save_put");
        assert_int_equal(summary.flows[0].transfers, 30);
        assert_int_equal(summary.flows[0].failed, 20);
        assert_near(summary.flows[0].failed_descriptors, 40, 0);
        assert_int_equal(summary.failed, 40);
        assert_int_equal(summary.failures.count, 2);
        for (size_t k = 0; k < 2; k++)
            assert_int_equal(summary.failures.entries[k].count, 20);
        kvtel_summary_close(&summary);
        kvtel_stats_destroy(stats);
    }
}

static void test_memory_runs_out(void **state)
{
    (void)state;
    struct kvtel_stats *(*const makers[])(size_t) = { make_nixl, make_store };
    for (size_t i = 0; i < 2; i++) {
        struct kvtel_stats *stats = makers[i](KVTEL_SAMPLE_LIMIT);
        enum kvtel_status status = KVTEL_E_NOMEM;
        for (long n = 0; status != KVTEL_OK; n++) {
            assert_true(n < 1000);
            struct kvtel_summary summary;
            struct kvtel_buffer line = { 0 };
            const struct kvtel_summary_context context = { .connector = "C", .interval = 1 };
            allocations_left = n;
            status = kvtel_stats_summary_init(&summary, stats);
            if (status == KVTEL_OK) {
                status = kvtel_summary_line(&summary, &context, &line);
                assert_true(status == KVTEL_OK || line.size == 0);
                kvtel_summary_close(&summary);
            }
            allocations_left = -1;
            assert_true(status == KVTEL_OK || status == KVTEL_E_NOMEM);
            kvtel_buffer_free(&line);
        }
        kvtel_stats_destroy(stats);
    }
}

static void count_line(void *context, const char *line)
{
    (void)line;
    ++*(unsigned *)context;
}

/* A log line that could not be made is made by the next call. */
static void check_logging_without_memory(const char *config_text, const char *payload, enum kvtel_log_style style)
{
    enum kvtel_status status = KVTEL_E_NOMEM;
    for (long n = 0; status != KVTEL_OK; n++) {
        assert_true(n < 10000);
        struct kvtel_transfer_config *config;
        assert_int_equal(kvtel_transfer_config_parse(KVTEL_JSON, config_text, strlen(config_text), &config, NULL),
                         KVTEL_OK);
        unsigned lines = 0;
        allocations_left = n;
        struct kvtel_logging *logging = kvtel_logging_create(config, style, NULL);
        status = !logging ? KVTEL_E_NOMEM
                          : kvtel_logging_observe_payload(logging, KVTEL_JSON, payload, strlen(payload), NULL, NULL);
        bool observed = status == KVTEL_OK;
        if (observed)
            status = kvtel_logging_log(logging, 1, count_line, &lines);
        allocations_left = -1;
        assert_true(status == KVTEL_OK || status == KVTEL_E_NOMEM);
        if (status != KVTEL_OK && logging) {
            assert_int_equal(lines, 0);
            assert_int_equal(kvtel_logging_log(logging, 1, count_line, &lines), KVTEL_OK);
        }
        assert_int_equal(lines, observed ? 1 : 0);
        kvtel_logging_destroy(logging);
        kvtel_transfer_config_destroy(config);
    }
}

static void test_logging_without_memory(void **state)
{
    (void)state;
    static const char multi[] =
        "{\"kv_connector\": \"MultiConnector\", \"kv_connector_extra_config\": {\"connectors\": ["
        "{\"kv_connector\": \"NixlConnector\"}]}}";
    static const char payload[] = "{\"NixlPullConnector\": {\"transfer_duration\": [0.25], \"post_duration\": [0.125],"
                                  "\"bytes_transferred\": [4096], \"num_descriptors\": [2]}}";
    check_logging_without_memory(multi, payload, KVTEL_LOG_DEFAULT);
    check_logging_without_memory(multi, payload, KVTEL_LOG_VLLM);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_exact),
        cmocka_unit_test(test_summarised),
        cmocka_unit_test(test_statuses_are_failures),
        cmocka_unit_test(test_memory_runs_out),
        cmocka_unit_test(test_logging_without_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
