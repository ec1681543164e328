/* SPDX-License-Identifier: Apache-2.0 */
/* Which format a client gets for which Accept header. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <kvtel/exposition.h>

#include "serve/web/accept.h"
#include "serve/negotiation.h"

#define COUNT(list) (sizeof(list) / sizeof((list)[0]))
#define OPENMETRICS "application/openmetrics-text"
#define PROTOBUF "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited"
#define UTF8 "; escaping=allow-utf-8"
#define UNDERSCORES "; escaping=underscores"

static const char text[] = KVTEL_CONTENT_TYPE_TEXT, openmetrics[] = KVTEL_CONTENT_TYPE_OPENMETRICS,
                  protobuf[] = KVTEL_CONTENT_TYPE_PROTOBUF;

static const struct {
    const char *accept, *content_type;
} headers[] = {
    { NULL, text },
    { "", text },
    { "*/*", text },
    { "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", text }, /* a browser */
    { "text/plain", text },
    { "application/json", text },
    { OPENMETRICS, openmetrics },
    { OPENMETRICS ";version=1.0.0", openmetrics },
    { OPENMETRICS "; version=\"1.0.0\"; charset=utf-8", openmetrics },
    { "Application/OpenMetrics-Text ; VERSION=1.0.0", openmetrics },
    { OPENMETRICS ";version=0.0.1", text },
    { OPENMETRICS ";version=2.0.0", text },
    /* Prometheus 2.42 */
    { OPENMETRICS ";version=1.0.0," OPENMETRICS ";version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
      openmetrics },
    /* Prometheus 3.16, without and with native histograms */
    { OPENMETRICS ";version=1.0.0;escaping=allow-utf-8;q=0.6," OPENMETRICS
                  ";version=0.0.1;q=0.5,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,"
                  "text/plain;version=0.0.4;q=0.3,*/*;q=0.2",
      KVTEL_CONTENT_TYPE_OPENMETRICS UTF8 },
    { PROTOBUF ";q=0.7," OPENMETRICS ";version=1.0.0;escaping=allow-utf-8;q=0.6," OPENMETRICS
               ";version=0.0.1;q=0.5,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,"
               "text/plain;version=0.0.4;q=0.3,*/*;q=0.2",
      protobuf },
    { "text/plain;version=1.0.0;escaping=allow-utf-8", KVTEL_CONTENT_TYPE_TEXT UTF8 },
    { OPENMETRICS ";escaping=underscores", KVTEL_CONTENT_TYPE_OPENMETRICS UNDERSCORES },
    { OPENMETRICS ";escaping=values", KVTEL_CONTENT_TYPE_OPENMETRICS UNDERSCORES },
    { OPENMETRICS ";escaping=", KVTEL_CONTENT_TYPE_OPENMETRICS UNDERSCORES },
    /* Prometheus 3.0 to 3.3 (escaping on all) and 3.4 */
    { OPENMETRICS ";escaping=allow-utf-8;version=1.0.0;q=0.5," OPENMETRICS
                  ";escaping=allow-utf-8;version=0.0.1;q=0.4,text/plain;escaping=allow-utf-8;version=1.0.0;q=0.3,"
                  "text/plain;escaping=allow-utf-8;version=0.0.4;q=0.2,*/*;q=0.1",
      KVTEL_CONTENT_TYPE_OPENMETRICS UTF8 },
    { OPENMETRICS ";version=1.0.0;escaping=allow-utf-8;q=0.5," OPENMETRICS
                  ";version=0.0.1;q=0.4,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.3,"
                  "text/plain;version=0.0.4;q=0.2,*/*;q=0.1",
      KVTEL_CONTENT_TYPE_OPENMETRICS UTF8 },
    /* Prometheus 2.42, and 3.0 to 3.4, with native histograms */
    { PROTOBUF "," OPENMETRICS ";version=1.0.0;q=0.8," OPENMETRICS
               ";version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
      protobuf },
    { PROTOBUF ";escaping=allow-utf-8;q=0.6," OPENMETRICS ";escaping=allow-utf-8;version=1.0.0;q=0.5,*/*;q=0.1",
      KVTEL_CONTENT_TYPE_PROTOBUF UTF8 },
    { PROTOBUF ";q=0.6," OPENMETRICS ";version=1.0.0;escaping=allow-utf-8;q=0.5,*/*;q=0.1", protobuf },
    { PROTOBUF ";q=0.1, text/plain;q=0.2", text },
    /* other encodings and messages */
    { "application/vnd.google.protobuf", text },
    { "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=text", text },
    { "application/vnd.google.protobuf;proto=other;encoding=delimited," OPENMETRICS ";q=0.1", openmetrics },
    { "application/vnd.google.protobuf;ENCODING=\"delimited\";proto=io.prometheus.client.MetricFamily", protobuf },
    /* scrape_protocols with a text first */
    { "text/plain;version=0.0.4;q=0.6," OPENMETRICS ";version=1.0.0;escaping=allow-utf-8;q=0.5,*/*;q=0.1", text },
    { "text/plain;version=1.0.0;escaping=allow-utf-8;q=0.6,text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
      KVTEL_CONTENT_TYPE_TEXT UTF8 },
    { OPENMETRICS ";version=0.0.1;q=0.6,*/*;q=0.1", text },
    /* weights */
    { OPENMETRICS ";q=0", text },
    { OPENMETRICS ";q=0, */*;q=0", text },
    { OPENMETRICS ";q=0.3, text/plain;q=0.2", openmetrics },
    { OPENMETRICS ";q=0.2, text/plain;q=0.3", text },
    { OPENMETRICS ";q=0.2, text/*;q=0.3", text },
    { "text/plain, " OPENMETRICS, text },
    { OPENMETRICS ", text/plain", openmetrics },
    { "text/plain;q=0.999, " OPENMETRICS ";q=1.000", openmetrics },
    { OPENMETRICS ";Q=0.5, text/plain;q=0.4", openmetrics },
    { "q=1;" OPENMETRICS, text },
    /* what cannot be read is refused, and the rest of the header counts */
    { OPENMETRICS ";q=2, text/plain;q=0.1", text },
    { OPENMETRICS ";q=, text/plain;q=0.1", text },
    { OPENMETRICS ";q=0.1234, text/plain;q=0.1", text },
    { OPENMETRICS ";q=-1, text/plain;q=0.1", text },
    { ", ;,,;;=, " OPENMETRICS, openmetrics },
    { "text/plain;x=\"a, " OPENMETRICS "\";q=0.1, " OPENMETRICS ";q=0.2", openmetrics },
    { "text/plain;x=\"" OPENMETRICS, text },
    { OPENMETRICS ";version=\"1.0.0", text },
    { OPENMETRICS ";version=\"1\\.0.0\"", openmetrics },
    { OPENMETRICS ";version=\"1.0.0\\", text },
    { OPENMETRICS ";version=1.0.0;version=0.0.1", openmetrics },
    { OPENMETRICS ";version", text },
};

static void test_choices(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(headers); i++) {
        const char *got = negotiate(headers[i].accept).content_type;
        if (strcmp(got, headers[i].content_type) != 0)
            fail_msg("\"%s\": %s", headers[i].accept ? headers[i].accept : "none", got);
    }
}

/* Parameters stand in any order, and blanks around them do not matter. */
static void test_orders(void **state)
{
    (void)state;
    static const char *const parts[] = { "version=1.0.0", "escaping=allow-utf-8", "q=0.7" };
    for (size_t i = 0; i < 3; i++) {
        for (size_t step = 1; step < 3; step++) {
            char header[256];
            (void)snprintf(header, sizeof(header), "text/plain;q=0.5 , " OPENMETRICS " ;%s; %s\t;\t%s", parts[i],
                           parts[(i + step) % 3], parts[(i + 2 * step) % 3]);
            assert_string_equal(negotiate(header).content_type, KVTEL_CONTENT_TYPE_OPENMETRICS UTF8);
        }
    }
}

/* A list is read in one pass, however long it is. */
static void test_long_header(void **state)
{
    (void)state;
    const size_t elements = 10000;
    char *header = malloc(elements * 2 + sizeof(OPENMETRICS));
    assert_non_null(header);
    for (size_t i = 0; i < elements; i++)
        memcpy(header + 2 * i, i % 2 ? ";," : "a,", 2);
    memcpy(header + elements * 2, OPENMETRICS, sizeof(OPENMETRICS));
    assert_string_equal(negotiate(header).content_type, openmetrics);
    const char *at = header;
    struct accept_element element;
    size_t found = 0;
    while (accept_next(&at, &element))
        found++;
    assert_int_equal(found, elements / 2 + 1);
    free(header);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_choices),
        cmocka_unit_test(test_orders),
        cmocka_unit_test(test_long_header),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
