/* SPDX-License-Identifier: Apache-2.0 */
/* Secrets in what an endpoint answers: none is shown, and what is none is. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "otlp/secrets.h"
#include "support/failing.h"

#define COUNT(list) (sizeof(list) / sizeof((list)[0]))

static struct otlp_settings settings_of(const char *url, const char *headers)
{
    struct kvtel_error error = { 0 };
    struct otlp_settings settings;
    setenv("OTEL_EXPORTER_OTLP_HEADERS", headers, 1);
    assert_int_equal(otlp_settings_read(&settings, url, &error), KVTEL_OK);
    return settings;
}

static void test_texts(void **state)
{
    (void)state;
    static const struct {
        const char *name, *url, *headers, *text, *shown;
    } rows[] = {
        { "nothing is secret", "http://h", "", "unknown tenant", "unknown tenant" },
        { "the first line", "http://h", "", "one\r\ntwo", "one" },
        { "a token", "http://h", "Authorization=Bearer%20sesame-open-up", "no sesame-open-up, sorry", "no ***, sorry" },
        { "the scheme is none", "http://h", "Authorization=Bearer%20sesame", "Bearer token expired",
          "Bearer token expired" },
        { "part of a long one", "http://h", "key=0123456789abcdef", "key 456789abcd... is bad", "key ***... is bad" },
        { "inside a word", "http://h", "key=0123456789abcdef", "x0123456789abcdefx", "x***x" },
        { "a short one", "http://h", "key=abc", "tenant abc, \"abc\" (abc)", "tenant ***, \"***\" (***)" },
        { "a short one is a word", "http://h", "key=test", "the latest tests, test1", "the latest tests, test1" },
        { "one byte", "http://h", "key=a", "a tenant", "*** tenant" },
        { "several words", "http://h", "c=a1=b2; c3", "a1 b2 c3 d4", "*** *** *** d4" },
        { "a user", "http://user:sesame@h", "", "user:sesame", "***:***" },
        { "a user, decoded", "http://us%C3%A9r:s%3Asame%40x@h", "", "us\xC3\xA9r s:same x s%3Asame%40x",
          "*** ***:*** *** ***" },
        { "a user as header", "http://user:sesame@h", "", "Basic dXNlcjpzZXNhbWU=", "Basic ***=" },
        { "a header as user", "http://h", "authorization=basic dXNlcjpzZXNhbWU=", "user has sesame", "*** has ***" },
        { "a query", "http://h?key=secret1&v=%41bc", "", "secret1 is not Abc", "*** is not ***" },
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct otlp_settings settings = settings_of(rows[i].url, rows[i].headers);
        struct otlp_secrets secrets;
        char text[160];
        assert_int_equal(otlp_secrets_init(&secrets, &settings), KVTEL_OK);
        otlp_secrets_hide(&secrets, rows[i].text, strlen(rows[i].text), text, sizeof text);
        if (strcmp(text, rows[i].shown) != 0)
            fail_msg("%s: \"%s\"", rows[i].name, text);
        otlp_secrets_free(&secrets);
        otlp_settings_free(&settings);
    }
}

/* Wherever a text is cut, no part of a secret is left. */
static void test_cut(void **state)
{
    (void)state;
    static const char text[] = "before 0123456789 behind";
    struct otlp_settings settings = settings_of("http://h", "key=0123456789");
    struct otlp_secrets secrets;
    assert_int_equal(otlp_secrets_init(&secrets, &settings), KVTEL_OK);
    for (size_t room = 1; room <= sizeof text; room++) {
        char *copy = malloc(room);
        assert_non_null(copy);
        otlp_secrets_hide(&secrets, text, strlen(text), copy, room);
        assert_true(strlen(copy) < room);
        assert_null(strpbrk(copy, "0123456789"));
        assert_int_equal(strncmp(copy, "before *** behind", strlen(copy)), 0);
        free(copy);
    }
    otlp_secrets_free(&secrets);
    otlp_settings_free(&settings);
}

static void test_no_memory(void **state)
{
    (void)state;
    struct otlp_settings settings = settings_of("http://user:sesame@h?key=secret", "Authorization=Basic dTpw");
    for (size_t n = 1;; n++) {
        struct otlp_secrets secrets;
        fail_allocation(n);
        enum kvtel_status status = otlp_secrets_init(&secrets, &settings);
        bool failed = allocation_did_fail();
        assert_int_equal(status, failed ? KVTEL_E_NOMEM : KVTEL_OK);
        otlp_secrets_free(&secrets);
        if (!failed)
            break;
    }
    otlp_settings_free(&settings);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_texts),
        cmocka_unit_test(test_cut),
        cmocka_unit_test(test_no_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
