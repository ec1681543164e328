/* SPDX-License-Identifier: Apache-2.0 */
/* A parsed web configuration file, in the format of the Prometheus exporters: see docs/web-config.md. Parsing does
 * not read any other file. */
#ifndef KVTEL_SERVE_WEB_CONFIG_H
#define KVTEL_SERVE_WEB_CONFIG_H

#include <kvtel/base.h>

/* Largest size of the file and of a certificate file; larger ones are refused. */
enum { WEB_CONFIG_MOST_BYTES = 256 << 10 };

/* Ordered by what a client must show. */
enum web_client_auth {
    WEB_NO_CLIENT_CERT,
    WEB_REQUEST_CLIENT_CERT,
    WEB_VERIFY_CLIENT_CERT_IF_GIVEN,
    WEB_REQUIRE_ANY_CLIENT_CERT,
    WEB_REQUIRE_AND_VERIFY_CLIENT_CERT,
};

enum web_tls_version { WEB_TLS10, WEB_TLS11, WEB_TLS12, WEB_TLS13 };

/* Cipher suites; the bit of each is its place in this list. Arguments: name, key exchange and cipher as GnuTLS names
 * them. Suites of TLS 1.3 do not name a key exchange. */
#define WEB_CIPHER_LIST(X)                                                               \
    X(TLS_AES_128_GCM_SHA256, "", "AES-128-GCM")                                         \
    X(TLS_AES_256_GCM_SHA384, "", "AES-256-GCM")                                         \
    X(TLS_CHACHA20_POLY1305_SHA256, "", "CHACHA20-POLY1305")                             \
    X(TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, "ECDHE-ECDSA", "AES-128-GCM")             \
    X(TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384, "ECDHE-ECDSA", "AES-256-GCM")             \
    X(TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256, "ECDHE-ECDSA", "CHACHA20-POLY1305") \
    X(TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA, "ECDHE-ECDSA", "AES-128-CBC")                \
    X(TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA, "ECDHE-ECDSA", "AES-256-CBC")                \
    X(TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256, "ECDHE-RSA", "AES-128-GCM")                 \
    X(TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384, "ECDHE-RSA", "AES-256-GCM")                 \
    X(TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256, "ECDHE-RSA", "CHACHA20-POLY1305")     \
    X(TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA, "ECDHE-RSA", "AES-128-CBC")                    \
    X(TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA, "ECDHE-RSA", "AES-256-CBC")

/* Curves: Go's name, another accepted name, GnuTLS's name. */
#define WEB_CURVE_LIST(X)             \
    X("CurveP256", "GROUP-SECP256R1") \
    X("CurveP384", "GROUP-SECP384R1") \
    X("CurveP521", "GROUP-SECP521R1") \
    X("X25519", "GROUP-X25519")

enum { WEB_CURVES = 4, WEB_HEADERS = 5 };

/* A PEM text, or the path of a file with one. */
struct web_pem {
    char *file; /* NULL or "": see `text` */
    char *text; /* NULL or "": not given */
};

struct web_user {
    char *name;
    char *hash; /* bcrypt's, well-formed */
};

struct web_config {
    struct web_pem cert, key, client_ca;
    bool tls; /* TLS is configured: cert, key, client_ca or client_auth_type is given */
    enum web_client_auth client_auth;
    char **client_allowed_sans;
    size_t client_allowed_san_count;
    enum web_tls_version min_version, max_version;
    uint32_t cipher_suites; /* 0: GnuTLS's choice */
    bool prefer_client_ciphers;
    uint8_t curves[WEB_CURVES]; /* in the order of preference */
    size_t curve_count;         /* 0: GnuTLS's choice */

    struct {
        const char *name; /* static */
        char *value;
    } headers[WEB_HEADERS];
    size_t header_count;

    struct web_user *users;
    size_t user_count;

    int64_t rate_interval_ns; /* 0: no limit */
    int64_t rate_burst;
};

/* Parses the text of a file.
 * @param config out, owned; free it with web_config_destroy()
 * @return KVTEL_OK; else `error` gives line, column and reason. The message never quotes a value that may be secret */
enum kvtel_status web_config_parse(const char *text, size_t size, struct web_config **config,
                                   struct kvtel_error *error);
/* Wipes and frees. NULL is allowed. */
void web_config_destroy(struct web_config *config);

static inline bool web_pem_is_given(const struct web_pem *pem)
{
    return (pem->file && *pem->file) || (pem->text && *pem->text);
}

#endif
