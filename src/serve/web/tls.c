/* SPDX-License-Identifier: Apache-2.0 */
/* GnuTLS credentials, priorities and the check of client certificates.
 *
 * A priority string enables key exchanges, ciphers and MACs separately, which allows every combination of them.
 * Cipher suites by name are exact nevertheless: the certificate's key determines the key exchange, and each cipher
 * here belongs to one MAC. As in Go, the names do not apply to TLS 1.3. So a client with an older version gets other
 * priorities as soon as its hello was read. */
#include "serve/web/tls.h"

#include "base/error.h"

#include <arpa/inet.h>
#include <gnutls/x509.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct web_tls {
    const struct web_config *config;
    gnutls_certificate_credentials_t credentials;
    gnutls_priority_t priority;
    gnutls_priority_t before_tls13; /* the same without TLS 1.3 and its ciphers; NULL: older versions are not allowed */
};

/* -- Client certificates -- */

static bool is_allowed(const struct web_config *config, const char *san, size_t size)
{
    for (size_t i = 0; i < config->client_allowed_san_count; i++)
        if (strlen(config->client_allowed_sans[i]) == size && memcmp(config->client_allowed_sans[i], san, size) == 0)
            return true;
    return false;
}

static bool has_allowed_san(const struct web_config *config, const gnutls_datum_t *certificate)
{
    gnutls_x509_crt_t crt;
    if (gnutls_x509_crt_init(&crt) != 0)
        return false;
    bool allowed = false;
    if (gnutls_x509_crt_import(crt, certificate, GNUTLS_X509_FMT_DER) == 0)
        for (unsigned i = 0; !allowed; i++) {
            char san[1024], text[INET6_ADDRSTRLEN];
            size_t size = sizeof san;
            unsigned type;
            int got = gnutls_x509_crt_get_subject_alt_name2(crt, i, san, &size, &type, NULL);
            if (got == GNUTLS_E_SHORT_MEMORY_BUFFER)
                continue; /* a kind of name that a configuration cannot contain */
            if (got < 0)
                break;
            if (type == GNUTLS_SAN_DNSNAME || type == GNUTLS_SAN_RFC822NAME || type == GNUTLS_SAN_URI)
                allowed = is_allowed(config, san, size);
            else if (type == GNUTLS_SAN_IPADDRESS && (size == 4 || size == 16) &&
                     inet_ntop(size == 4 ? AF_INET : AF_INET6, san, text, sizeof text))
                allowed = is_allowed(config, text, strlen(text));
        }
    gnutls_x509_crt_deinit(crt);
    return allowed;
}

/* Called in the handshake. Anything but 0 makes the handshake fail. */
static int verify_client(gnutls_session_t session)
{
    const struct web_tls *tls = gnutls_session_get_ptr(session);
    const struct web_config *config = tls->config;
    enum web_client_auth auth = config->client_auth;
    unsigned count = 0;
    const gnutls_datum_t *certificates = gnutls_certificate_get_peers(session, &count);
    if (!certificates || count == 0)
        return auth == WEB_REQUIRE_ANY_CLIENT_CERT || auth == WEB_REQUIRE_AND_VERIFY_CLIENT_CERT ? -1 : 0;
    if (auth == WEB_VERIFY_CLIENT_CERT_IF_GIVEN || auth == WEB_REQUIRE_AND_VERIFY_CLIENT_CERT) {
        gnutls_typed_vdata_st purpose = { .type = GNUTLS_DT_KEY_PURPOSE_OID,
                                          .data = (unsigned char *)GNUTLS_KP_TLS_WWW_CLIENT };
        unsigned problems = 0;
        if (gnutls_certificate_verify_peers(session, &purpose, 1, &problems) != 0 || problems != 0)
            return -1;
    }
    return config->client_allowed_san_count == 0 || has_allowed_san(config, &certificates[0]) ? 0 : -1;
}

/* -- Priorities -- */

struct suite {
    const char *exchange, *cipher;
};
#define X(name, exchange, cipher) { exchange, cipher },
static const struct suite suites[] = { WEB_CIPHER_LIST(X) };
#undef X
enum { SUITES = sizeof suites / sizeof *suites, PRIORITY_BYTES = 1024 };

/* The key exchange of the certificate's key; "": not known. */
static const char *exchange_of(gnutls_certificate_credentials_t credentials)
{
    gnutls_x509_privkey_t key;
    if (gnutls_certificate_get_x509_key(credentials, 0, &key) != 0)
        return "";
    int algorithm = gnutls_x509_privkey_get_pk_algorithm(key);
    gnutls_x509_privkey_deinit(key);
    return algorithm == GNUTLS_PK_RSA || algorithm == GNUTLS_PK_RSA_PSS ? "ECDHE-RSA" : "ECDHE-ECDSA";
}

/* Appends to the text, which is large enough: names and counts are bounded. */
static void add(char *text, const char *prefix, const char *name)
{
    size_t used = strlen(text);
    snprintf(text + used, PRIORITY_BYTES - used, ":+%s%s", prefix, name);
}

/* Writes the priority string for the versions min to max with the suites in `bits`. */
static void write_priority(char *text, const struct web_config *config, int min, int max, uint32_t bits,
                           const char *exchange)
{
    static const char *const versions[] = { "1.0", "1.1", "1.2", "1.3" };
#define X(name, group) group,
    static const char *const groups[] = { WEB_CURVE_LIST(X) };
#undef X
    static const uint8_t usual[WEB_CURVES] = { 3, 0, 1, 2 };
    strcpy(text, "NONE:+CTYPE-X509:+COMP-NULL:+SIGN-ALL:+AEAD:+SHA1");
    for (int version = max; version >= min; version--)
        add(text, "VERS-TLS", versions[version]);
    add(text, "", exchange);
    for (int i = 0; i < SUITES; i++)
        if (bits & UINT32_C(1) << i)
            add(text, "", suites[i].cipher);
    const uint8_t *curves = config->curve_count > 0 ? config->curves : usual;
    for (size_t i = 0; i < (config->curve_count > 0 ? config->curve_count : WEB_CURVES); i++)
        add(text, "", groups[curves[i]]);
    if (!config->prefer_client_ciphers)
        strcat(text, ":%SERVER_PRECEDENCE");
}

static enum kvtel_status make_priorities(struct web_tls *tls, struct kvtel_error *error)
{
    const struct web_config *config = tls->config;
    const char *exchange = exchange_of(tls->credentials);
    uint32_t named = 0, tls13 = 0;
    for (int i = 0; i < SUITES; i++) {
        uint32_t bit = UINT32_C(1) << i;
        if (!*suites[i].exchange)
            tls13 |= bit;
        else if (strcmp(suites[i].exchange, exchange) == 0 && (!config->cipher_suites || config->cipher_suites & bit))
            named |= bit;
    }
    int min = (int)config->min_version, max = (int)config->max_version, older = max < WEB_TLS12 ? max : WEB_TLS12;
    if (!named && max < WEB_TLS13)
        return kvtel_fail(error, KVTEL_E_ARGUMENT, 0, "none of cipher_suites goes with the key of the certificate (%s)",
                          exchange);
    char text[PRIORITY_BYTES];
    int result = 0;
    if (named && min <= older) {
        write_priority(text, config, min, older, named, exchange);
        result = gnutls_priority_init(&tls->before_tls13, text, NULL);
    }
    if (result == 0) {
        write_priority(text, config, named ? min : WEB_TLS13, max, named | (max == WEB_TLS13 ? tls13 : 0), exchange);
        result = gnutls_priority_init(&tls->priority, text, NULL);
    }
    return result == 0 ? KVTEL_OK
                       : kvtel_fail(error, KVTEL_E_ARGUMENT, 0, "TLS versions, cipher_suites or curve_preferences: %s",
                                    gnutls_strerror(result));
}

/* Called in the handshake after the client's hello was read, when the version is known. */
static int restrict_older(gnutls_session_t session)
{
    const struct web_tls *tls = gnutls_session_get_ptr(session);
    if (gnutls_protocol_get_version(session) >= GNUTLS_TLS1_3)
        return 0;
    return tls->before_tls13 ? gnutls_priority_set(session, tls->before_tls13) : GNUTLS_E_UNSUPPORTED_VERSION_PACKET;
}

/* -- The whole -- */

static enum kvtel_status load(struct web_tls *tls, const gnutls_datum_t *cert, const gnutls_datum_t *key,
                              const gnutls_datum_t *ca, struct kvtel_error *error)
{
    if (gnutls_certificate_allocate_credentials(&tls->credentials) != 0)
        return kvtel_fail(error, KVTEL_E_NOMEM, 0, "out of memory");
    int result = gnutls_certificate_set_x509_key_mem2(tls->credentials, cert, key, GNUTLS_X509_FMT_PEM, NULL, 0);
    if (result < 0)
        return kvtel_fail(error, KVTEL_E_SYNTAX, 0, "certificate and key: %s", gnutls_strerror(result));
    if (ca->size > 0) {
        result = gnutls_certificate_set_x509_trust_mem(tls->credentials, ca, GNUTLS_X509_FMT_PEM);
        if (result <= 0)
            return kvtel_fail(error, KVTEL_E_SYNTAX, 0, "client CA: %s",
                              result < 0 ? gnutls_strerror(result) : "no certificate");
    }
    return make_priorities(tls, error);
}

struct web_tls *web_tls_create(const struct web_config *config, const gnutls_datum_t *cert, const gnutls_datum_t *key,
                               const gnutls_datum_t *ca, struct kvtel_error *error)
{
    struct web_tls *tls = calloc(1, sizeof *tls);
    if (!tls) {
        kvtel_fail(error, KVTEL_E_NOMEM, 0, "out of memory");
        return NULL;
    }
    tls->config = config;
    if (load(tls, cert, key, ca, error) == KVTEL_OK)
        return tls;
    web_tls_destroy(tls);
    return NULL;
}

void web_tls_destroy(struct web_tls *tls)
{
    if (!tls)
        return;
    if (tls->credentials)
        gnutls_certificate_free_credentials(tls->credentials);
    if (tls->priority)
        gnutls_priority_deinit(tls->priority);
    if (tls->before_tls13)
        gnutls_priority_deinit(tls->before_tls13);
    free(tls);
}

int web_tls_apply(const struct web_tls *tls, gnutls_session_t session)
{
    static const gnutls_certificate_request_t requests[] = {
        [WEB_NO_CLIENT_CERT] = GNUTLS_CERT_IGNORE,
        [WEB_REQUEST_CLIENT_CERT] = GNUTLS_CERT_REQUEST,
        [WEB_VERIFY_CLIENT_CERT_IF_GIVEN] = GNUTLS_CERT_REQUEST,
        [WEB_REQUIRE_ANY_CLIENT_CERT] = GNUTLS_CERT_REQUIRE,
        [WEB_REQUIRE_AND_VERIFY_CLIENT_CERT] = GNUTLS_CERT_REQUIRE,
    };
    gnutls_session_set_ptr(session, (void *)tls);
    gnutls_certificate_server_set_request(session, requests[tls->config->client_auth]);
    if (tls->config->client_auth != WEB_NO_CLIENT_CERT)
        gnutls_session_set_verify_function(session, verify_client);
    gnutls_handshake_set_post_client_hello_function(session, restrict_older);
    int result = gnutls_priority_set(session, tls->priority);
    return result == 0 ? gnutls_credentials_set(session, GNUTLS_CRD_CERTIFICATE, tls->credentials) : result;
}
