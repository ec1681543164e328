/* SPDX-License-Identifier: Apache-2.0 */
/* The web configuration file: what is taken, what is refused and where. Allocation goes through __wrap_malloc,
 * __wrap_calloc,
 * __wrap_realloc and __wrap_strdup. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "serve/web/config.h"
#include "support/failing.h"

#define COUNT(list) (sizeof(list) / sizeof((list)[0]))
#define HASH "$2y$10$abcdefghijklmnopqrstuuABCDEFGHIJKLMNOPQRSTUVWXYZ01234"
#define TLS "tls_server_config:\n  cert_file: c\n  key_file: k\n"

static const char full[] = "tls_server_config:\n"
                           "  cert_file: tls/server.pem\n"
                           "  key: |\n"
                           "    -----BEGIN PRIVATE KEY-----\n"
                           "  client_ca_file: /etc/ca.pem\n"
                           "  client_auth_type: RequireAndVerifyClientCert\n"
                           "  client_allowed_sans: [scraper.example.org, 192.0.2.1, 'spiffe://a/b']\n"
                           "  min_version: TLS11\n"
                           "  max_version: TLS12\n"
                           "  cipher_suites: [TLS_AES_128_GCM_SHA256, TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA]\n"
                           "  prefer_server_cipher_suites: off\n"
                           "  curve_preferences: [X25519, CurveP384, X25519]\n"
                           "http_server_config:\n"
                           "  http2: false\n"
                           "  headers:\n"
                           "    X-Frame-Options: sameorigin\n"
                           "    Content-Security-Policy: \"default-src 'none'\"\n"
                           "basic_auth_users:\n"
                           "  alice: " HASH "\n"
                           "  'bob': $2$04$abcdefghijklmnopqrstuuABCDEFGHIJKLMNOPQRSTUVWXYZ01234\n"
                           "  10: $2b$31$abcdefghijklmnopqrstuuABCDEFGHIJKLMNOPQRSTUVWXYZ01234\n"
                           "rate_limit:\n"
                           "  interval: 1m0.5s\n"
                           "  burst: 20\n";

static void check_full(const struct web_config *config)
{
    assert_true(config->tls);
    assert_string_equal(config->cert.file, "tls/server.pem");
    assert_string_equal(config->key.text, "-----BEGIN PRIVATE KEY-----\n");
    assert_string_equal(config->client_ca.file, "/etc/ca.pem");
    assert_int_equal(config->client_auth, WEB_REQUIRE_AND_VERIFY_CLIENT_CERT);
    assert_int_equal(config->client_allowed_san_count, 3);
    assert_string_equal(config->client_allowed_sans[2], "spiffe://a/b");
    assert_int_equal(config->min_version, WEB_TLS11);
    assert_int_equal(config->max_version, WEB_TLS12);
    assert_int_equal(config->cipher_suites, 1u << 0 | 1u << 12);
    assert_true(config->prefer_client_ciphers);
    assert_int_equal(config->curve_count, 2);
    assert_int_equal(config->curves[0], 3);
    assert_int_equal(config->curves[1], 1);
    assert_int_equal(config->header_count, 2);
    assert_string_equal(config->headers[1].name, "Content-Security-Policy");
    assert_string_equal(config->headers[1].value, "default-src 'none'");
    assert_int_equal(config->user_count, 3);
    assert_string_equal(config->users[0].name, "alice");
    assert_string_equal(config->users[0].hash, HASH);
    assert_string_equal(config->users[2].name, "10");
    assert_int_equal(config->rate_interval_ns, INT64_C(60500000000));
    assert_int_equal(config->rate_burst, 20);
}

static void every_key(void **state)
{
    struct web_config *config = NULL;
    (void)state;
    assert_int_equal(web_config_parse(full, sizeof full - 1, &config, NULL), KVTEL_OK);
    check_full(config);
    web_config_destroy(config);
    web_config_destroy(NULL);
}

/* Without a burst, what comes in a second; a 0 that is written stays. */
static void burst(void **state)
{
    static const struct {
        const char *text;
        int64_t burst;
    } rows[] = {
        { "rate_limit: {interval: 100ms}", 10 },          { "rate_limit: {interval: 1s}", 1 },
        { "rate_limit: {interval: 1h, burst: null}", 1 }, { "rate_limit: {interval: 1}", 1000000000 },
        { "rate_limit: {interval: 1s, burst: 0}", 0 },    { "rate_limit: {burst: 3, interval: 1s}", 3 },
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct web_config *config = NULL;
        assert_int_equal(web_config_parse(rows[i].text, strlen(rows[i].text), &config, NULL), KVTEL_OK);
        if (config->rate_burst != rows[i].burst)
            fail_msg("%s: %lld", rows[i].text, (long long)config->rate_burst);
        web_config_destroy(config);
    }
}

/* Files that are taken, and whether they ask for TLS. */
static const struct {
    const char *text;
    bool tls;
} good[] = {
    { "", false },
    { "# nothing\n", false },
    { "{}", false },
    { "null", false },
    { "---\n...\n", false },
    { "tls_server_config:\nhttp_server_config:\nbasic_auth_users:\nrate_limit:\n", false },
    { "tls_server_config: {}\nhttp_server_config: {headers: ~}\nbasic_auth_users: {}\n", false },
    { "tls_server_config: {cert_file: '', key_file: '', client_auth_type: ''}", false },
    { "tls_server_config: {min_version: TLS13}", false },
    { TLS, true },
    { TLS "  min_version:\n  cipher_suites:\n  curve_preferences: []\n", true },
    { TLS "  client_auth_type: NoClientCert\n", true },
    { TLS "  client_auth_type: RequestClientCert\n", true },
    { TLS "  client_auth_type: RequireClientCert\n", true },
    { TLS "  client_auth_type: VerifyClientCertIfGiven\n  client_ca: pem\n", true },
    { TLS "  min_version: TLS10\n  max_version: TLS10\n", true },
    { "tls_server_config: {cert: c, key: k}", true },
    { "http_server_config: {headers: {X-XSS-Protection: null, Strict-Transport-Security: max-age=1}}", false },
    { "rate_limit: {interval: 1, burst: 0}", false },
    { "rate_limit: &a {interval: 0}\nhttp_server_config: {}\n", false },
    { "basic_auth_users: {a: $2x$04$abcdefghijklmnopqrstuuABCDEFGHIJKLMNOPQRSTUVWXYZ01234}", false },
};

static void taken(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(good); i++) {
        struct web_config *config = NULL;
        struct kvtel_error error = { 0 };
        if (web_config_parse(good[i].text, strlen(good[i].text), &config, &error) != KVTEL_OK)
            fail_msg("%s: %u:%u: %s", good[i].text, error.line, error.column, error.message);
        assert_int_equal(config->tls, good[i].tls);
        assert_true(config->min_version >= WEB_TLS12 || strstr(good[i].text, "min_version"));
        web_config_destroy(config);
    }
}

/* Files that are refused, where, and a part of the reason. */
static const struct {
    const char *text;
    uint32_t line, column;
    const char *reason;
} bad[] = {
    { "[]", 1, 1, "a mapping" },
    { "3", 1, 1, "a mapping" },
    { "tls: {}", 1, 1, "unknown key \"tls\"" },
    { "rate_limit: {}\nbasic_auth_users: {}\nrate_limit: {}\n", 3, 1, "is there twice, first in line 1" },
    { TLS "  cert_file: d\n", 4, 3, "twice" },
    { "basic_auth_users:\n  a: " HASH "\n  a: " HASH "\n", 3, 3, "twice" },
    { TLS "  cert_files: d\n", 4, 3, "unknown key \"cert_files\"" },
    { "http_server_config: {<<: {http2: true}}", 1, 22, "unknown key \"<<\"" },
    { "http_server_config:\n  http2: \"true\"\n", 2, 10, "true or false" },
    { "http_server_config:\n  http2: maybe\n", 2, 10, "true or false" },
    { "http_server_config: 3", 1, 21, "a mapping" },
    { "http_server_config: {headers: {x-frame-options: deny}}", 1, 49, "cannot be set" },
    { "http_server_config: {headers: {X-Frame-Options: DENY}}", 1, 49, "deny or sameorigin" },
    { "http_server_config: {headers: {X-Frame-Options: }}", 1, 49, "deny or sameorigin" },
    { "http_server_config: {headers: {X-Content-Type-Options: sniff}}", 1, 56, "nosniff" },
    { "http_server_config: {headers: {X-XSS-Protection: \"a\\r\\nb: c\"}}", 1, 50, "control characters" },
    { "tls_server_config: {cert_file: c}", 1, 20, "key_file" },
    { "tls_server_config: {key_file: c}", 1, 20, "cert_file" },
    { "tls_server_config: {client_auth_type: RequestClientCert}", 1, 20, "cert_file" },
    { "tls_server_config: {client_ca: c}", 1, 20, "cert_file" },
    { TLS "  client_ca_file: ca\n", 2, 3, "client_auth_type" },
    { TLS "  client_ca_file: ca\n  client_auth_type: NoClientCert\n", 2, 3, "client_auth_type" },
    { TLS "  client_auth_type: RequireAndVerifyClientCert\n", 2, 3, "client_ca_file" },
    { TLS "  client_auth_type: requestclientcert\n", 4, 21, "is unknown" },
    { TLS "  client_allowed_sans: [a]\n", 2, 3, "client_allowed_sans" },
    { TLS "  client_allowed_sans: a\n", 4, 24, "a list" },
    { TLS "  min_version: TLS1.2\n", 4, 16, "is unknown" },
    { TLS "  min_version: ''\n", 4, 16, "is unknown" },
    { TLS "  min_version: TLS13\n  max_version: TLS12\n", 2, 3, "above max_version" },
    { TLS "  cipher_suites: [TLS_RSA_WITH_AES_128_CBC_SHA]\n", 4, 19, "not secure" },
    { TLS "  cipher_suites: TLS_AES_128_GCM_SHA256\n", 4, 18, "a list" },
    { TLS "  curve_preferences: [P256]\n", 4, 23, "is unknown" },
    { TLS "  cert: [a]\n", 4, 9, "one value" },
    { TLS "  cert: !!binary Zm9v\n", 4, 9, "tag" },
    { TLS "  cert: \"a\\0b\"\n", 4, 9, "NUL" },
    { "basic_auth_users: []", 1, 19, "a mapping" },
    { "basic_auth_users: {a: secret}", 1, 23, "bcrypt" },
    { "basic_auth_users: {a: }", 1, 23, "bcrypt" },
    { "basic_auth_users: {a: $2c$10$abcdefghijklmnopqrstuuABCDEFGHIJKLMNOPQRSTUVWXYZ01234}", 1, 23, "bcrypt" },
    { "basic_auth_users: {a: $2y$03$abcdefghijklmnopqrstuuABCDEFGHIJKLMNOPQRSTUVWXYZ01234}", 1, 23, "bcrypt" },
    { "basic_auth_users: {a: $2y$32$abcdefghijklmnopqrstuuABCDEFGHIJKLMNOPQRSTUVWXYZ01234}", 1, 23, "bcrypt" },
    { "basic_auth_users: {a: $2y$10$abcdefghijklmnopqrstuuABCDEFGHIJKLMNOPQRSTUVWXYZ0123}", 1, 23, "bcrypt" },
    { "basic_auth_users: {a: '" HASH "5'}", 1, 23, "bcrypt" },
    { "rate_limit: {interval: 5 s}", 1, 24, "a duration" },
    { "rate_limit: {interval: 1.5}", 1, 24, "a duration" },
    { "rate_limit: {interval: -1s}", 1, 24, "a duration" },
    { "rate_limit: {interval: 1..5s}", 1, 24, "a duration" },
    { "rate_limit: {interval: 99999999999h}", 1, 24, "a duration" },
    { "rate_limit: {burst: -1}", 1, 21, "a whole number" },
    { "rate_limit: {burst: '5'}", 1, 21, "a whole number" },
    { "rate_limit: {burst: 1e3}", 1, 21, "a whole number" },
    { "{}\n---\nrate_limit: {}\n", 3, 1, "only one document" },
    { "a: [\n", 2, 1, "" },
    { "a: b: c\n", 1, 5, "mapping values are not allowed" },
    { "? [a]\n: b\n", 1, 3, "one value" },
};

static void refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(bad); i++) {
        struct web_config *config = NULL;
        struct kvtel_error error = { 0 };
        enum kvtel_status status = web_config_parse(bad[i].text, strlen(bad[i].text), &config, &error);
        if (status != KVTEL_E_SYNTAX || error.line != bad[i].line || error.column != bad[i].column ||
            !strstr(error.message, bad[i].reason))
            fail_msg("%s: %d, %u:%u: %s", bad[i].text, status, error.line, error.column, error.message);
        assert_null(config);
    }
}

/* What stands where a hash should may be a password. */
static void no_secret_is_said(void **state)
{
    static const char text[] = "basic_auth_users:\n  a: hunter2\n";
    struct web_config *config = NULL;
    struct kvtel_error error = { 0 };
    (void)state;
    assert_int_equal(web_config_parse(text, sizeof text - 1, &config, &error), KVTEL_E_SYNTAX);
    assert_null(strstr(error.message, "hunter2"));
}

static void too_long(void **state)
{
    struct web_config *config = NULL;
    struct kvtel_error error = { 0 };
    char *text = malloc(WEB_CONFIG_MOST_BYTES + 1);
    (void)state;
    assert_non_null(text);
    memset(text, '\n', WEB_CONFIG_MOST_BYTES + 1);
    assert_int_equal(web_config_parse(text, WEB_CONFIG_MOST_BYTES + 1, &config, &error), KVTEL_E_LIMIT);
    assert_int_equal(web_config_parse(text, WEB_CONFIG_MOST_BYTES, &config, &error), KVTEL_OK);
    web_config_destroy(config);
    free(text);
}

/* The depth is refused where it is reached. A parser that goes on needs minutes for such a file. */
static void too_deep(void **state)
{
    (void)state;
    for (int i = 0; i < 3; i++) {
        static const char *const openings[] = { "[", "{a: ", "- " };
        const size_t step = strlen(openings[i]), size = WEB_CONFIG_MOST_BYTES / step * step;
        struct web_config *config = NULL;
        struct kvtel_error error = { 0 };
        char *text = malloc(size);
        assert_non_null(text);
        for (size_t at = 0; at < size; at += step)
            memcpy(text + at, openings[i], step);
        assert_int_equal(web_config_parse(text, size, &config, &error), KVTEL_E_SYNTAX);
        assert_string_equal(error.message, "lists and mappings are nested too deeply");
        assert_int_equal(error.line, 1);
        assert_int_equal(error.column, 16 * step + 1);
        free(text);
    }
}

static void every_allocation_fails_once(void **state)
{
    (void)state;
    for (size_t n = 1;; n++) {
        struct web_config *config = NULL;
        struct kvtel_error error = { 0 };
        fail_allocation(n);
        enum kvtel_status status = web_config_parse(full, sizeof full - 1, &config, &error);
        if (!allocation_did_fail()) {
            assert_int_equal(status, KVTEL_OK);
            check_full(config);
            web_config_destroy(config);
            assert_true(n > 10);
            return;
        }
        assert_int_equal(status, KVTEL_E_NOMEM);
        assert_int_equal(error.status, KVTEL_E_NOMEM);
        assert_null(config);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_key),
        cmocka_unit_test(burst),
        cmocka_unit_test(taken),
        cmocka_unit_test(refused),
        cmocka_unit_test(no_secret_is_said),
        cmocka_unit_test(too_long),
        cmocka_unit_test(too_deep),
        cmocka_unit_test(every_allocation_fails_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
