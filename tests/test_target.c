/* SPDX-License-Identifier: Apache-2.0 */
/* Targets of requests, and recognising posts that a web page could have sent. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <unistd.h>

#include "serve/web/cross_site.h"
#include "serve/web/target.h"

#define COUNT(list) (sizeof(list) / sizeof((list)[0]))

static void targets(void **state)
{
    static const struct {
        const char *text, *path, *query, *authority; /* path NULL: malformed */
    } rows[] = {
        { "/metrics", "/metrics", "", NULL },
        { "/metrics?a=b?c", "/metrics", "a=b?c", NULL },
        { "/?", "/", "", NULL },
        { "*", "*", "", NULL },
        { "/%6Detri%63s%2f%c3%A9?%6d", "/metrics%2F%C3%A9", "%6d", NULL },
        { "/%2e%7E%00", "/.~%00", "", NULL },
        { "http://host/metrics?x", "/metrics", "x", "host" },
        { "HTTPS://[::1]:80/a", "/a", "", "[::1]:80" },
        { "http://host", "/", "", "host" },
        { "http://h?x=/y", "/", "x=/y", "h" },
        { "http:///metrics", NULL, NULL, NULL },
        { "http://user@host/", NULL, NULL, NULL },
        { "ftp://host/", NULL, NULL, NULL },
        { "metrics", NULL, NULL, NULL },
        { "", NULL, NULL, NULL },
        { "?", NULL, NULL, NULL },
        { "/%", NULL, NULL, NULL },
        { "/%6", NULL, NULL, NULL },
        { "/%6g", NULL, NULL, NULL },
        { "/%%66", NULL, NULL, NULL },
        { "**", NULL, NULL, NULL },
    };
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct target target;
        char *text = strdup(rows[i].text); /* of its exact size, for the sanitizer */
        assert_non_null(text);
        if (target_parse(text, &target) != (rows[i].path != NULL))
            fail_msg("%s", rows[i].text);
        if (rows[i].path) {
            assert_string_equal(target.path, rows[i].path);
            assert_string_equal(target.query, rows[i].query);
            assert_int_equal(target.authority != NULL, rows[i].authority != NULL);
            if (rows[i].authority)
                assert_string_equal(target.authority, rows[i].authority);
        }
        free(text);
    }
}

static void posts(void **state)
{
    static const char *const allowed[] = { "kvtel.example.org", "2001:db8::1" };
    static const struct {
        const char *host, *origin, *site, *type;
        enum cross_site open, local; /* without and with a check of the name */
    } rows[] = {
        { "localhost:9466", NULL, NULL, NULL, CROSS_SITE_NOT, CROSS_SITE_NOT },
        { NULL, NULL, NULL, "application/jsonl", CROSS_SITE_NOT, CROSS_SITE_NOT },
        { "", NULL, NULL, "application/msgpack", CROSS_SITE_NOT, CROSS_SITE_NOT },
        { "127.0.0.1:9466", NULL, NULL, NULL, CROSS_SITE_NOT, CROSS_SITE_NOT },
        { "127.9.9.9", NULL, NULL, NULL, CROSS_SITE_NOT, CROSS_SITE_NOT },
        { "[::1]:9466", NULL, NULL, NULL, CROSS_SITE_NOT, CROSS_SITE_NOT },
        { "LOCALHOST.", NULL, NULL, NULL, CROSS_SITE_NOT, CROSS_SITE_NOT },
        { "a.localhost:1", NULL, NULL, NULL, CROSS_SITE_NOT, CROSS_SITE_NOT },
        { "KVTEL.example.org:443", NULL, NULL, NULL, CROSS_SITE_NOT, CROSS_SITE_NOT },
        { "[2001:db8::1]", NULL, NULL, NULL, CROSS_SITE_NOT, CROSS_SITE_NOT },
        { "evil.example:9466", NULL, NULL, NULL, CROSS_SITE_NOT, CROSS_SITE_HOST },
        { "evillocalhost", NULL, NULL, NULL, CROSS_SITE_NOT, CROSS_SITE_HOST },
        { "localhost.evil.example", NULL, NULL, NULL, CROSS_SITE_NOT, CROSS_SITE_HOST },
        { "127.0.0.1.evil.example", NULL, NULL, NULL, CROSS_SITE_NOT, CROSS_SITE_HOST },
        { "192.0.2.1:9466", NULL, NULL, NULL, CROSS_SITE_NOT, CROSS_SITE_HOST },
        { "evil.example", "http://evil.example", "same-origin", "application/jsonl", CROSS_SITE_NOT, CROSS_SITE_HOST },
        { "localhost:9466", "http://localhost:9466", NULL, NULL, CROSS_SITE_NOT, CROSS_SITE_NOT },
        { "localhost:9466", "https://LocalHost:9466", NULL, NULL, CROSS_SITE_NOT, CROSS_SITE_NOT },
        { "localhost:9466", "http://localhost:9999", NULL, NULL, CROSS_SITE_ORIGIN, CROSS_SITE_ORIGIN },
        { "localhost:9466", "http://evil.example", NULL, NULL, CROSS_SITE_ORIGIN, CROSS_SITE_ORIGIN },
        { "localhost:9466", "null", NULL, NULL, CROSS_SITE_ORIGIN, CROSS_SITE_ORIGIN },
        { "localhost:9466", "", NULL, NULL, CROSS_SITE_ORIGIN, CROSS_SITE_ORIGIN },
        { "localhost:9466", NULL, "none", NULL, CROSS_SITE_NOT, CROSS_SITE_NOT },
        { "localhost:9466", NULL, "same-site", NULL, CROSS_SITE_ORIGIN, CROSS_SITE_ORIGIN },
        { "localhost:9466", NULL, "cross-site", NULL, CROSS_SITE_ORIGIN, CROSS_SITE_ORIGIN },
        { "localhost:9466", "https://proxy.example", "same-origin", NULL, CROSS_SITE_NOT, CROSS_SITE_NOT },
        { "localhost", NULL, NULL, "text/plain", CROSS_SITE_FORM, CROSS_SITE_FORM },
        { "localhost", NULL, NULL, "Text/Plain;charset=utf-8", CROSS_SITE_FORM, CROSS_SITE_FORM },
        { "localhost", NULL, NULL, "multipart/form-data; boundary=x", CROSS_SITE_FORM, CROSS_SITE_FORM },
        { "localhost", NULL, NULL, "application/x-www-form-urlencoded", CROSS_SITE_FORM, CROSS_SITE_FORM },
        { "localhost", NULL, NULL, "text/plainer", CROSS_SITE_NOT, CROSS_SITE_NOT },
        { "localhost", NULL, NULL, "application/json", CROSS_SITE_NOT, CROSS_SITE_NOT },
    };
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct cross_site_request request = { .host = rows[i].host,
                                              .origin = rows[i].origin,
                                              .fetch_site = rows[i].site,
                                              .content_type = rows[i].type,
                                              .allowed = allowed,
                                              .allowed_count = COUNT(allowed) };
        if (cross_site_check(&request) != rows[i].open)
            fail_msg("row %zu: %d", i, cross_site_check(&request));
        request.check_host = true;
        if (cross_site_check(&request) != rows[i].local)
            fail_msg("row %zu with its host: %d", i, cross_site_check(&request));
    }
    char own[300] = "";
    assert_int_equal(gethostname(own, 256), 0);
    assert_int_equal(cross_site_check(&(struct cross_site_request){ .host = own, .check_host = true }), CROSS_SITE_NOT);
    char longest[5000];
    memset(longest, 'a', sizeof longest - 1);
    longest[sizeof longest - 1] = '\0';
    assert_int_equal(cross_site_check(&(struct cross_site_request){ .host = longest, .check_host = true }),
                     CROSS_SITE_HOST);
}

static void names(void **state)
{
    static const char *const good[] = { "kvtel.example.org", "node7", "10.0.0.7", "::1", "a_b" };
    static const char *const bad[] = { "", "a:80", "[::1]", "http://a", "a b", "*", "a/" };
    (void)state;
    for (size_t i = 0; i < COUNT(good); i++)
        if (!cross_site_is_name(good[i]))
            fail_msg("%s", good[i]);
    for (size_t i = 0; i < COUNT(bad); i++)
        if (cross_site_is_name(bad[i]))
            fail_msg("%s", bad[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(targets), cmocka_unit_test(posts), cmocka_unit_test(names) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
