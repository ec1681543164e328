/* SPDX-License-Identifier: Apache-2.0 */
/* What a scrape gets that meets a want of memory: a page in the format it asks for, of the numbers of now or of the
 * scrape before. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "serve/exporter.h"
#include "support/failing.h"

#include <kvtel/exposition.h>

#define COUNT(list) (sizeof(list) / sizeof((list)[0]))

static const struct {
    const char *accept, *content_type;
} formats[] = {
    { NULL, KVTEL_CONTENT_TYPE_TEXT },
    { "application/openmetrics-text;version=1.0.0", KVTEL_CONTENT_TYPE_OPENMETRICS },
    { "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited",
      KVTEL_CONTENT_TYPE_PROTOBUF },
};

static const char *accept;

const char *__wrap_http_request_header(const struct http_request *request, const char *name);
const char *__wrap_http_request_header(const struct http_request *request, const char *name)
{
    (void)request;
    return strcmp(name, "Accept") == 0 ? accept : NULL;
}

static struct http_response scrape(struct exporter *exporter, size_t format)
{
    static const struct http_request request = { .method = HTTP_GET, .path = "/metrics", .query = "" };
    struct http_response response = { .status = 200 };
    accept = formats[format].accept;
    exporter_metrics(exporter, &request, &response);
    if (response.status == 200)
        assert_string_equal(response.content_type, formats[format].content_type);
    return response;
}

/* The value of the exporter's own counter of scrapes, in a text or in protobuf. */
static unsigned scrapes_in(const struct http_response *response)
{
    static const char name[] = "\nkvtel_scrapes_total ", field[] = "kvtel_scrapes_total\x12";
    static const char metric[] = { 0x18, 0, 0x22 }; /* the type counter, and a metric: its size, 1A, a size, 09 */
    const char *bytes = response->body.bytes, *end = bytes + response->body.size;
    const char *found = memmem(bytes, response->body.size, name, strlen(name));
    if (found)
        return (unsigned)strtoul(found + strlen(name), NULL, 10);
    found = memmem(bytes, response->body.size, field, strlen(field));
    assert_non_null(found);
    found = memmem(found, (size_t)(end - found), metric, sizeof metric);
    assert_true(found && found + sizeof metric + 12 <= end);
    found += sizeof metric;
    assert_true(found[1] == 0x1A && found[3] == 0x09);
    uint64_t bits = 0; /* little-endian */
    for (int i = 7; i >= 0; i--)
        bits = bits << 8 | (unsigned char)found[4 + i];
    double value;
    memcpy(&value, &bits, sizeof value);
    return (unsigned)value;
}

static void open_exporter(struct exporter *exporter, struct serve_log *log)
{
    struct kvtel_error error = { 0 };
    const struct exporter_options options = { .prefix = "vllm:", .own_metrics = true };
    assert_true(serve_log_init(log));
    log->level = WEB_LOG_ERROR;
    assert_int_equal(exporter_open(exporter, &options, log, &error), KVTEL_OK);
}

static void close_exporter(struct exporter *exporter, struct serve_log *log)
{
    exporter_close(exporter);
    serve_log_close(log);
}

static void test_repeated(void **state)
{
    (void)state;
    struct exporter exporter;
    struct serve_log log;
    open_exporter(&exporter, &log);
    unsigned good = 0, repeated = 0;
    for (size_t i = 0; i < 2 * COUNT(formats); i++) {
        struct http_response response = scrape(&exporter, i % COUNT(formats));
        assert_int_equal(response.status, 200);
        assert_int_equal(scrapes_in(&response), good++);
        kvtel_buffer_free(&response.body);
    }
    for (size_t format = 0; format < COUNT(formats); format++) {
        for (size_t n = 1;; n++) {
            fail_allocation(n);
            struct http_response response = scrape(&exporter, format);
            bool failed = allocation_did_fail();
            assert_int_equal(response.status, 200);
            assert_true(exporter.repeated_scrapes == repeated || exporter.repeated_scrapes == repeated + 1);
            bool again = exporter.repeated_scrapes > repeated;
            repeated += again;
            assert_int_equal(scrapes_in(&response), again ? good - 1 : exporter.scrapes - 1);
            good = again ? good : (unsigned)exporter.scrapes;
            kvtel_buffer_free(&response.body);
            if (!failed)
                break;
        }
    }
    close_exporter(&exporter, &log);
}

/* A first scrape that cannot collect repeats the numbers as of the start, and the next scrape is good. */
static void test_first(void **state)
{
    (void)state;
    uint64_t repeated = 0;
    bool failed = true;
    for (size_t n = 1; failed; n++) {
        struct exporter exporter;
        struct serve_log log;
        open_exporter(&exporter, &log);
        fail_allocation(n);
        struct http_response response = scrape(&exporter, 0);
        failed = allocation_did_fail();
        repeated += exporter.repeated_scrapes;
        assert_int_equal(response.status, 200);
        kvtel_buffer_free(&response.body);
        response = scrape(&exporter, 1);
        assert_int_equal(response.status, 200);
        kvtel_buffer_free(&response.body);
        close_exporter(&exporter, &log);
    }
    assert_true(repeated > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_repeated), cmocka_unit_test(test_first) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
