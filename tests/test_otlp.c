/* SPDX-License-Identifier: Apache-2.0 */
/* The push by OTLP: its settings, the answers of endpoints, and want of memory. tests/e2e/test_otlp.py has the requests
 * decoded by OpenTelemetry's own classes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "collect/series.h"
#include "exposition/otlp.h"
#include "otlp/response.h"
#include "otlp/settings.h"
#include "support/failing.h"
#include "support/hexadecimal.h"

#define COUNT(list) (sizeof(list) / sizeof((list)[0]))

static const char *const variables[] = {
    "OTEL_EXPORTER_OTLP_ENDPOINT",
    "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT",
    "OTEL_EXPORTER_OTLP_HEADERS",
    "OTEL_EXPORTER_OTLP_METRICS_HEADERS",
    "OTEL_EXPORTER_OTLP_TIMEOUT",
    "OTEL_EXPORTER_OTLP_METRICS_TIMEOUT",
    "OTEL_EXPORTER_OTLP_COMPRESSION",
    "OTEL_EXPORTER_OTLP_CERTIFICATE",
    "OTEL_EXPORTER_OTLP_PROTOCOL",
    "OTEL_RESOURCE_ATTRIBUTES",
    "OTEL_SERVICE_NAME",
    "OTEL_METRIC_EXPORT_INTERVAL",
    "OTEL_METRICS_EXPORTER",
    "OTEL_SDK_DISABLED",
};

static int clear_variables(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(variables); i++)
        unsetenv(variables[i]);
    return 0;
}

/* -- Settings -- */

static void test_urls(void **state)
{
    (void)state;
    static const struct {
        const char *flag, *url, *place;
    } urls[] = {
        { "http://h", "http://h/v1/metrics", "http://h/v1/metrics" },
        { "http://h/", "http://h/v1/metrics", "http://h/v1/metrics" },
        { "HTTPS://h:1/a", "HTTPS://h:1/a/v1/metrics", "https://h:1/a/v1/metrics" },
        { "http://h/v1/metrics", "http://h/v1/metrics", "http://h/v1/metrics" },
        { "http://h/api/v1/otlp/", "http://h/api/v1/otlp/v1/metrics", "http://h/api/v1/otlp/v1/metrics" },
        { "http://u:p@q@h/a?k=v", "http://u:p@q@h/a/v1/metrics?k=v", "http://h/a/v1/metrics" },
        { "http://[::1]:4318", "http://[::1]:4318/v1/metrics", "http://[::1]:4318/v1/metrics" },
        { "http://h?k", "http://h/v1/metrics?k", "http://h/v1/metrics" },
    };
    for (size_t i = 0; i < COUNT(urls); i++) {
        struct kvtel_error error = { 0 };
        struct otlp_settings settings;
        assert_int_equal(otlp_settings_read(&settings, urls[i].flag, &error), KVTEL_OK);
        assert_string_equal(settings.url, urls[i].url);
        assert_string_equal(settings.place, urls[i].place);
        assert_int_equal(settings.timeout_ms, 10000);
        assert_int_equal(settings.interval_ms, 60000);
        otlp_settings_free(&settings);
    }
}

static void test_no_endpoint(void **state)
{
    (void)state;
    struct kvtel_error error = { 0 };
    struct otlp_settings settings;
    setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "of no matter", 1);
    assert_int_equal(otlp_settings_read(&settings, NULL, &error), KVTEL_OK);
    assert_null(settings.url);
    otlp_settings_free(&settings);
}

/* What is wrong is named, and not repeated where it may be a secret. */
static void test_secrets_are_not_repeated(void **state)
{
    (void)state;
    struct kvtel_error error = { 0 };
    struct otlp_settings settings;
    assert_int_equal(otlp_settings_read(&settings, "http://u:sesame@h:x", &error), KVTEL_E_ARGUMENT);
    assert_null(strstr(error.message, "sesame"));
    setenv("OTEL_EXPORTER_OTLP_HEADERS", "a=b,sesame", 1);
    assert_int_equal(otlp_settings_read(&settings, "http://h", &error), KVTEL_E_ARGUMENT);
    assert_non_null(strstr(error.message, "item 2"));
    assert_null(strstr(error.message, "sesame"));
    setenv("OTEL_EXPORTER_OTLP_HEADERS", "a=sesame%0A", 1);
    assert_int_equal(otlp_settings_read(&settings, "http://h", &error), KVTEL_E_ARGUMENT);
    assert_null(strstr(error.message, "sesame"));
    setenv("OTEL_EXPORTER_OTLP_HEADERS", "Authorization: Basic sesame=", 1); /* a colon, as HTTP has it */
    assert_int_equal(otlp_settings_read(&settings, "http://h", &error), KVTEL_E_ARGUMENT);
    assert_null(strstr(error.message, "sesame"));
    assert_non_null(strstr(error.message, "number 1"));
}

static void test_pairs(void **state)
{
    (void)state;
    struct otlp_pairs pairs = { 0 };
    size_t wrong;
    assert_int_equal(otlp_pairs_parse(&pairs, ", a = 1%2c2\t,b=,,a=3=4 ,", &wrong), KVTEL_OK);
    assert_int_equal(pairs.count, 2);
    assert_string_equal(otlp_pairs_find(&pairs, "a"), "3=4");
    assert_string_equal(otlp_pairs_find(&pairs, "b"), "");
    assert_null(otlp_pairs_find(&pairs, "c"));
    assert_int_equal(otlp_pairs_parse(&pairs, "c=%C3%A9,d=%4", &wrong), KVTEL_E_SYNTAX);
    assert_int_equal(wrong, 2);
    assert_string_equal(otlp_pairs_find(&pairs, "c"), "\xC3\xA9");
    assert_int_equal(otlp_pairs_set(&pairs, "A", "5"), KVTEL_OK);
    assert_string_equal(otlp_pairs_find(&pairs, "a"), "3=4");
    otlp_pairs_free(&pairs);
    pairs.any_case = true; /* as headers are */
    assert_int_equal(otlp_pairs_parse(&pairs, "x-key=1,X-Key=2", &wrong), KVTEL_OK);
    assert_int_equal(pairs.count, 1);
    assert_string_equal(otlp_pairs_find(&pairs, "X-KEY"), "2");
    otlp_pairs_free(&pairs);
}

static void test_settings_without_memory(void **state)
{
    (void)state;
    setenv("OTEL_EXPORTER_OTLP_HEADERS", "a=b,c=d", 1);
    setenv("OTEL_RESOURCE_ATTRIBUTES", "e=f", 1);
    setenv("OTEL_SERVICE_NAME", "g", 1);
    for (size_t n = 1;; n++) {
        struct kvtel_error error = { 0 };
        struct otlp_settings settings;
        fail_allocation(n);
        enum kvtel_status status = otlp_settings_read(&settings, "http://h", &error);
        if (status == KVTEL_OK)
            status = otlp_settings_complete(&settings, "host", "host:1");
        bool failed = allocation_did_fail();
        assert_int_equal(status, failed ? KVTEL_E_NOMEM : KVTEL_OK);
        if (!failed) {
            assert_string_equal(otlp_pairs_find(&settings.resource, "service.name"), "g");
            assert_string_equal(otlp_pairs_find(&settings.resource, "host.name"), "host");
        }
        otlp_settings_free(&settings);
        if (!failed)
            break;
    }
}

/* -- Answers -- */

static void test_answers(void **state)
{
    (void)state;
    static const char partial[] = "\x0A\x0B\x08\x07\x12\x03why\x18\x01\x20\x02\x1A\x01x"; /* with fields not known */
    struct otlp_response response;
    assert_true(otlp_response_parse("", 0, &response));
    assert_int_equal(response.rejected, 0);
    assert_true(otlp_response_parse(partial, sizeof partial - 1, &response));
    assert_int_equal(response.rejected, 7);
    assert_int_equal(response.message_size, 3);
    assert_memory_equal(response.message, "why", 3);
    const char *text;
    size_t size;
    assert_true(otlp_response_status("\x08\x03\x12\x02no", 6, &text, &size));
    assert_int_equal(size, 2);
    assert_memory_equal(text, "no", 2);
}

/* Whatever comes, only its bytes are read. */
static void test_hostile_answers(void **state)
{
    (void)state;
    static const char *const none[] = { "<html>",
                                        "\x0A",
                                        "\x0A\x05\x08",
                                        "\x0A\x02\x08\x80",
                                        "\x08\x01",
                                        "\x0B\x01",
                                        "\x0A\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x01",
                                        "\x02\x00" };
    struct otlp_response response;
    uint32_t random = 1;
    for (size_t i = 0; i < COUNT(none); i++)
        assert_false(otlp_response_parse(none[i], strlen(none[i]), &response));
    for (int round = 0; round < 20000; round++) {
        const char *text;
        size_t size = (random >> 20) % 24, text_size;
        char *bytes = malloc(size + 1); /* in a place of its own, whose end a sanitizer guards */
        assert_non_null(bytes);
        char *exact = realloc(bytes, size > 0 ? size : 1);
        assert_non_null(exact);
        for (size_t i = 0; i < size; i++) {
            random = random * 1664525 + 1013904223;
            exact[i] = (char)(i % 3 == 0 ? (random >> 24) % 0x23 : random >> 24);
        }
        if (otlp_response_parse(exact, size, &response))
            assert_true(response.message_size <= size);
        if (otlp_response_status(exact, size, &text, &text_size))
            assert_true(text_size <= size);
        free(exact);
    }
}

/* -- Requests -- */

/* Bins up to 0.5, 0.75, 1 and above, of which 0.75 is an explicit bound and the others are powers of two. */
static const double bounds[] = { 0.5, 0.75, 1 };
static const uint32_t explicit_bins[] = { 1 }, exponential_bins[] = { 0, 2 };
static const uint64_t bins[] = { 1, 2, 3, 4 };
static const char *const labelnames[] = { "l" }, *const values[] = { "m" };
static const struct kvtel_snapshot_series histogram_series = {
    .values = values, .count = 10, .sum = 7, .bins = bins, .bin_count = 4, .started = 5
};
static const struct kvtel_snapshot_family histogram = {
    .name = "h_seconds",
    .type = KVTEL_HISTOGRAM,
    .help = "H.",
    .labelnames = labelnames,
    .label_count = 1,
    .unit = KVTEL_UNIT_SECONDS,
    .bounds = bounds,
    .bound_count = COUNT(bounds),
    .explicit_bins = explicit_bins,
    .explicit_count = COUNT(explicit_bins),
    .exponential_bins = exponential_bins,
    .exponential_count = COUNT(exponential_bins),
    .exponential_first = -1,
    .schema = 0,
    .series = &histogram_series,
    .series_count = 1,
};

static struct kvtel_otlp_options options_of(enum kvtel_histograms histograms)
{
    return (
        struct kvtel_otlp_options){ .histograms = histograms, .native_schema = 3, .most_buckets = 160, .time_ns = 9 };
}

static void check_family(const struct kvtel_snapshot_family *family, enum kvtel_histograms histograms,
                         const char *expected)
{
    const struct kvtel_otlp_options options = options_of(histograms);
    struct kvtel_buffer buffer = { 0 };
    char bytes[512];
    size_t size = bytes_of(expected, bytes);
    assert_int_equal(kvtel_otlp_family(family, &options, &buffer), KVTEL_OK);
    assert_int_equal(buffer.size, size);
    assert_memory_equal(buffer.bytes, bytes, size);
    kvtel_buffer_free(&buffer);
}

#define LABEL "08 0a 01 'l' 12 03 0a 01 'm'"
#define RESOURCE " 0a 01 'a' 12 03 0a 01 'b'"
#define TIMES " 11 0500000000000000 19 0900000000000000"
#define COUNT_AND_SUM " 21 0a00000000000000 29 0000000000001c40"
#define COUNTER "12 3a 0a 07 'c_total' 12 02 'H.' 3a 2b 0a 25 3a" LABEL TIMES " 21 0000000000001c40 10 02 18 01"

static const struct kvtel_snapshot_series counter_series = { .values = values, .value = 7, .started = 5 };
static const struct kvtel_snapshot_family counter = { .name = "c",
                                                      .type = KVTEL_COUNTER,
                                                      .help = "H.",
                                                      .labelnames = labelnames,
                                                      .label_count = 1,
                                                      .series = &counter_series,
                                                      .series_count = 1 };

static void test_metrics(void **state)
{
    (void)state;
    /* the zero bucket, with its threshold of 0.5; then (0.5, 1] and what is above */
    check_family(&histogram, KVTEL_HISTOGRAMS_BOTH,
                 "12 62 0a 09 'h_seconds' 12 02 'H.' 1a 01 's' 52 4e 0a 4a 0a" LABEL TIMES COUNT_AND_SUM
                 " 30 00 39 0100000000000000 42 06 08 01 12 02 05 04 71 000000000000e03f 10 02");
    check_family(&histogram, KVTEL_HISTOGRAMS_CLASSIC,
                 "12 62 0a 09 'h_seconds' 12 02 'H.' 1a 01 's' 4a 4e 0a 4a 4a" LABEL TIMES COUNT_AND_SUM
                 " 32 10 0300000000000000 0700000000000000 3a 08 000000000000e83f 10 02");
    check_family(&counter, KVTEL_HISTOGRAMS_BOTH, COUNTER);
    struct kvtel_snapshot_family gauge = counter; /* a gauge has no start, and no unit that its name lacks */
    gauge.unit = KVTEL_UNIT_RATIO;
    gauge.type = KVTEL_GAUGE;
    check_family(&gauge, KVTEL_HISTOGRAMS_BOTH,
                 "12 27 0a 01 'c' 12 02 'H.' 2a 1e 0a 1c 3a" LABEL " 19 0900000000000000 21 0000000000001c40");
}

/* Trace and span have fields of their own where they are well-formed; what else there is are attributes. */
static void test_exemplars(void **state)
{
    (void)state;
#define TRACE    \
    "trace_id\0" \
    "4bf92f3577b34da6a3ce929d0e0E4736"
#define SPAN    \
    "span_id\0" \
    "00f067aa0ba902b7"
    static struct kvtel_snapshot_exemplar exemplars[] = {
        { .time_ns = 1, .value = 0.75, .text_size = sizeof TRACE + sizeof SPAN + 4, .text = TRACE "\0" SPAN "\0a\0b" },
        { .time_ns = 2,
          .value = 2,
          .text_size = 17,
          .text = "span_id\0"
                  "00000000" },
    };
    struct kvtel_snapshot_series series = histogram_series;
    struct kvtel_snapshot_family family = histogram;
    series.exemplars = exemplars;
    series.exemplar_count = COUNT(exemplars);
    family.series = &series;
#define FIRST                                                        \
    " 2a 10 4bf92f3577b34da6a3ce929d0e0e4736 22 08 00f067aa0ba902b7" \
    " 3a 08 0a 01 'a' 12 03 0a 01 'b' 11 0100000000000000 19 000000000000e83f"
#define SECOND " 3a 15 0a 07 'span_id' 12 0a 0a 08 '00000000' 11 0200000000000000 19 0000000000000040"
    check_family(&family, KVTEL_HISTOGRAMS_BOTH,
                 "12 c901 0a 09 'h_seconds' 12 02 'H.' 1a 01 's' 52 b401 0a af01 0a" LABEL TIMES COUNT_AND_SUM
                 " 30 00 39 0100000000000000 42 06 08 01 12 02 05 04 71 000000000000e03f 5a 38" FIRST " 5a 29" SECOND
                 " 10 02");
    check_family(&family, KVTEL_HISTOGRAMS_CLASSIC,
                 "12 c901 0a 09 'h_seconds' 12 02 'H.' 1a 01 's' 4a b401 0a af01 4a" LABEL TIMES COUNT_AND_SUM
                 " 32 10 0300000000000000 0700000000000000 3a 08 000000000000e83f 42 38" FIRST " 42 29" SECOND
                 " 10 02");
}

static void test_requests(void **state)
{
    (void)state;
    static const struct kvtel_otlp_attribute resource[] = { { "a", "b" } };
    for (size_t n = 1;; n++) {
        const struct kvtel_otlp_options options = options_of(KVTEL_HISTOGRAMS_BOTH);
        struct kvtel_buffer buffer = { 0 };
        fail_allocation(n);
        enum kvtel_status status = kvtel_otlp_family(&counter, &options, &buffer);
        if (status != KVTEL_OK)
            assert_int_equal(buffer.size, 0);
        size_t before = buffer.size;
        if (status == KVTEL_OK && (status = kvtel_otlp_family(&histogram, &options, &buffer)) != KVTEL_OK)
            assert_int_equal(buffer.size, before);
        buffer.size = before;
        if (status == KVTEL_OK && (status = kvtel_otlp_finish(resource, 1, &buffer)) != KVTEL_OK)
            assert_int_equal(buffer.size, before);
        bool failed = allocation_did_fail();
        assert_int_equal(status, failed ? KVTEL_E_NOMEM : KVTEL_OK);
        if (!failed) {
            char bytes[512];
            size_t size = bytes_of(
                "0a 5a 0a 0a 0a 08" RESOURCE " 12 4c 0a 0e 0a 05 'kvtel' 12 05 '" KVTEL_VERSION "' " COUNTER, bytes);
            assert_int_equal(buffer.size, size);
            assert_memory_equal(buffer.bytes, bytes, size);
        }
        kvtel_buffer_free(&buffer);
        if (!failed)
            break;
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_urls, clear_variables),
        cmocka_unit_test_setup(test_no_endpoint, clear_variables),
        cmocka_unit_test_setup(test_secrets_are_not_repeated, clear_variables),
        cmocka_unit_test_setup(test_pairs, clear_variables),
        cmocka_unit_test_setup(test_settings_without_memory, clear_variables),
        cmocka_unit_test(test_answers),
        cmocka_unit_test(test_hostile_answers),
        cmocka_unit_test(test_metrics),
        cmocka_unit_test(test_exemplars),
        cmocka_unit_test(test_requests),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
