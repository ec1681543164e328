/* SPDX-License-Identifier: Apache-2.0 */
/* The keys of the web configuration file, one function each, and the rules between them. */
#include "serve/web/config.h"

#include "base/error.h"
#include "serve/web/yaml_reader.h"

#include <stdlib.h>
#include <string.h>

#define COUNT(array) (sizeof(array) / sizeof(array)[0])
static const int64_t SECOND_NS = 1000000000;

static struct web_config *config_of(struct yaml_reader *reader)
{
    return reader->target;
}

/* Makes room for one more element of `size` bytes. The array's capacity doubles at powers of two. No product
 * overflows, because there are fewer elements than bytes in the file. NULL: no memory, and the error is set. */
static void *grow(struct yaml_reader *reader, void *array, size_t count, size_t size)
{
    if (count & (count - 1))
        return array;
    void *grown = realloc(array, (count ? count * 2 : 1) * size);
    if (!grown)
        kvtel_fail(reader->error, KVTEL_E_NOMEM, 0, "out of memory");
    return grown;
}

/* The index of `text` in a list of names; -1: not found. */
static int find(const char *const *names, size_t count, const char *text)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(names[i], text) == 0)
            return (int)i;
    return -1;
}

/* -- tls_server_config -- */

#define READ_COPY(name, member)                                                                    \
    static enum kvtel_status name(struct yaml_reader *reader, const char *key, yaml_node_t *value) \
    {                                                                                              \
        return yaml_read_copy(reader, key, value, &config_of(reader)->member);                     \
    }
READ_COPY(read_cert_file, cert.file)
READ_COPY(read_cert, cert.text)
READ_COPY(read_key_file, key.file)
READ_COPY(read_key, key.text)
READ_COPY(read_client_ca_file, client_ca.file)
READ_COPY(read_client_ca, client_ca.text)

static enum kvtel_status read_client_auth_type(struct yaml_reader *reader, const char *key, yaml_node_t *value)
{
    static const struct {
        const char *name;
        enum web_client_auth auth;
    } types[] = {
        { "NoClientCert", WEB_NO_CLIENT_CERT },
        { "RequestClientCert", WEB_REQUEST_CLIENT_CERT },
        { "RequireAnyClientCert", WEB_REQUIRE_ANY_CLIENT_CERT },
        { "RequireClientCert", WEB_REQUIRE_ANY_CLIENT_CERT },
        { "VerifyClientCertIfGiven", WEB_VERIFY_CLIENT_CERT_IF_GIVEN },
        { "RequireAndVerifyClientCert", WEB_REQUIRE_AND_VERIFY_CLIENT_CERT },
    };
    const char *text;
    enum kvtel_status status = yaml_read_text(reader, key, value, &text);
    if (status != KVTEL_OK || !*text)
        return status;
    for (size_t i = 0; i < COUNT(types); i++)
        if (strcmp(types[i].name, text) == 0) {
            config_of(reader)->client_auth = types[i].auth;
            config_of(reader)->tls = true;
            return KVTEL_OK;
        }
    return yaml_fail(reader, value,
                     "%s: \"%.64s\" is unknown; NoClientCert, RequestClientCert, RequireAnyClientCert, "
                     "VerifyClientCertIfGiven or RequireAndVerifyClientCert",
                     key, text);
}

static enum kvtel_status read_san(struct yaml_reader *reader, const char *key, yaml_node_t *value)
{
    struct web_config *config = config_of(reader);
    char **sans = grow(reader, config->client_allowed_sans, config->client_allowed_san_count, sizeof *sans);
    if (!sans)
        return KVTEL_E_NOMEM;
    config->client_allowed_sans = sans;
    sans[config->client_allowed_san_count] = NULL;
    enum kvtel_status status = yaml_read_copy(reader, key, value, &sans[config->client_allowed_san_count]);
    config->client_allowed_san_count += status == KVTEL_OK;
    return status;
}

static enum kvtel_status read_client_allowed_sans(struct yaml_reader *reader, const char *key, yaml_node_t *value)
{
    return yaml_read_sequence(reader, key, value, read_san);
}

static enum kvtel_status read_version(struct yaml_reader *reader, const char *key, yaml_node_t *value,
                                      enum web_tls_version *version)
{
    static const char *const names[] = { "TLS10", "TLS11", "TLS12", "TLS13" };
    const char *text;
    enum kvtel_status status = yaml_read_text(reader, key, value, &text);
    if (status != KVTEL_OK || yaml_is_null(value))
        return status;
    int at = find(names, COUNT(names), text);
    if (at < 0)
        return yaml_fail(reader, value, "%s: \"%.64s\" is unknown; TLS10, TLS11, TLS12 or TLS13", key, text);
    *version = (enum web_tls_version)at;
    return KVTEL_OK;
}

static enum kvtel_status read_min_version(struct yaml_reader *reader, const char *key, yaml_node_t *value)
{
    return read_version(reader, key, value, &config_of(reader)->min_version);
}

static enum kvtel_status read_max_version(struct yaml_reader *reader, const char *key, yaml_node_t *value)
{
    return read_version(reader, key, value, &config_of(reader)->max_version);
}

static enum kvtel_status read_cipher(struct yaml_reader *reader, const char *key, yaml_node_t *value)
{
#define X(name, exchange, cipher) #name,
    static const char *const names[] = { WEB_CIPHER_LIST(X) };
#undef X
    const char *text;
    enum kvtel_status status = yaml_read_text(reader, key, value, &text);
    if (status != KVTEL_OK)
        return status;
    int at = find(names, COUNT(names), text);
    if (at < 0)
        return yaml_fail(reader, value, "%s: \"%.64s\" is unknown or not secure", key, text);
    config_of(reader)->cipher_suites |= UINT32_C(1) << at;
    return KVTEL_OK;
}

static enum kvtel_status read_cipher_suites(struct yaml_reader *reader, const char *key, yaml_node_t *value)
{
    return yaml_read_sequence(reader, key, value, read_cipher);
}

static enum kvtel_status read_prefer_server_cipher_suites(struct yaml_reader *reader, const char *key,
                                                          yaml_node_t *value)
{
    bool prefer = true;
    enum kvtel_status status = yaml_read_bool(reader, key, value, &prefer);
    config_of(reader)->prefer_client_ciphers = !prefer;
    return status;
}

static enum kvtel_status read_curve(struct yaml_reader *reader, const char *key, yaml_node_t *value)
{
#define X(name, group) name,
    static const char *const names[] = { WEB_CURVE_LIST(X) };
#undef X
    struct web_config *config = config_of(reader);
    const char *text;
    enum kvtel_status status = yaml_read_text(reader, key, value, &text);
    if (status != KVTEL_OK)
        return status;
    int at = find(names, COUNT(names), text);
    if (at < 0)
        return yaml_fail(reader, value, "%s: \"%.64s\" is unknown; CurveP256, CurveP384, CurveP521 or X25519", key,
                         text);
    if (!memchr(config->curves, at, config->curve_count))
        config->curves[config->curve_count++] = (uint8_t)at;
    return KVTEL_OK;
}

static enum kvtel_status read_curve_preferences(struct yaml_reader *reader, const char *key, yaml_node_t *value)
{
    return yaml_read_sequence(reader, key, value, read_curve);
}

static enum kvtel_status read_tls(struct yaml_reader *reader, const char *key, yaml_node_t *value)
{
    static const struct yaml_key keys[] = {
        { "cert_file", read_cert_file },
        { "cert", read_cert },
        { "key_file", read_key_file },
        { "key", read_key },
        { "client_ca_file", read_client_ca_file },
        { "client_ca", read_client_ca },
        { "client_auth_type", read_client_auth_type },
        { "client_allowed_sans", read_client_allowed_sans },
        { "min_version", read_min_version },
        { "max_version", read_max_version },
        { "cipher_suites", read_cipher_suites },
        { "prefer_server_cipher_suites", read_prefer_server_cipher_suites },
        { "curve_preferences", read_curve_preferences },
    };
    enum kvtel_status status = yaml_read_mapping(reader, value, keys, COUNT(keys));
    if (status != KVTEL_OK)
        return status;
    struct web_config *config = config_of(reader);
    bool cert = web_pem_is_given(&config->cert), private_key = web_pem_is_given(&config->key);
    bool ca = web_pem_is_given(&config->client_ca);
    config->tls = config->tls || cert || private_key || ca;
    if (config->tls && !cert)
        return yaml_fail(reader, value, "%s: TLS needs a certificate: cert_file", key);
    if (config->tls && !private_key)
        return yaml_fail(reader, value, "%s: TLS needs the certificate's key: key_file", key);
    if (ca && config->client_auth == WEB_NO_CLIENT_CERT)
        return yaml_fail(reader, value, "%s: client_ca_file is of no use without a client_auth_type", key);
    bool verifies = config->client_auth == WEB_VERIFY_CLIENT_CERT_IF_GIVEN ||
                    config->client_auth == WEB_REQUIRE_AND_VERIFY_CLIENT_CERT;
    if (verifies && !ca)
        return yaml_fail(reader, value, "%s: client certificates cannot be verified without a client_ca_file", key);
    if (config->client_allowed_san_count > 0 && config->client_auth == WEB_NO_CLIENT_CERT)
        return yaml_fail(reader, value, "%s: client_allowed_sans is of no use without a client_auth_type", key);
    if (config->min_version > config->max_version)
        return yaml_fail(reader, value, "%s: min_version is above max_version", key);
    return KVTEL_OK;
}

/* -- http_server_config -- */

/* Accepts the key http2, which the Prometheus exporters' files use. HTTP/1.1 is spoken in any case. */
static enum kvtel_status read_http2(struct yaml_reader *reader, const char *key, yaml_node_t *value)
{
    bool http2 = true;
    return yaml_read_bool(reader, key, value, &http2);
}

static enum kvtel_status read_header(struct yaml_reader *reader, const char *key, yaml_node_t *value)
{
    static const struct {
        const char *name;
        const char *values[2]; /* without values: any value is allowed */
    } allowed[WEB_HEADERS] = {
        { "Content-Security-Policy", { 0 } },
        { "Strict-Transport-Security", { 0 } },
        { "X-Content-Type-Options", { "nosniff" } },
        { "X-Frame-Options", { "deny", "sameorigin" } },
        { "X-XSS-Protection", { 0 } },
    };
    struct web_config *config = config_of(reader);
    const char *text;
    enum kvtel_status status = yaml_read_text(reader, key, value, &text);
    if (status != KVTEL_OK)
        return status;
    size_t at = 0;
    while (at < WEB_HEADERS && strcmp(allowed[at].name, key) != 0)
        at++;
    if (at == WEB_HEADERS)
        return yaml_fail(reader, value, "header \"%.64s\" cannot be set here", key);
    const char *first = allowed[at].values[0], *second = allowed[at].values[1];
    if (first && strcmp(text, first) != 0 && !(second && strcmp(text, second) == 0))
        return yaml_fail(reader, value, "%s: %s%s%s is expected", key, first, second ? " or " : "",
                         second ? second : "");
    for (const char *byte = text; *byte; byte++)
        if ((unsigned char)*byte < ' ' || *byte == 0x7f)
            return yaml_fail(reader, value, "%s: a header's value must not contain control characters", key);
    config->headers[config->header_count].name = allowed[at].name;
    status = yaml_read_copy(reader, key, value, &config->headers[config->header_count].value);
    config->header_count += status == KVTEL_OK;
    return status;
}

static enum kvtel_status read_headers(struct yaml_reader *reader, const char *key, yaml_node_t *value)
{
    (void)key;
    return yaml_read_pairs(reader, value, read_header);
}

static enum kvtel_status read_http(struct yaml_reader *reader, const char *key, yaml_node_t *value)
{
    static const struct yaml_key keys[] = { { "http2", read_http2 }, { "headers", read_headers } };
    (void)key;
    return yaml_read_mapping(reader, value, keys, COUNT(keys));
}

/* -- basic_auth_users -- */

/* $2$, $2a$, $2b$, $2x$ or $2y$, a cost from 04 to 31, 53 characters of salt and digest. */
static bool is_bcrypt(const char *hash)
{
    static const char digits[] = "./ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
    if (strncmp(hash, "$2", 2) != 0)
        return false;
    hash += 2;
    if (*hash && strchr("abxy", *hash))
        hash++;
    if (hash[0] != '$' || hash[1] < '0' || hash[1] > '9' || hash[2] < '0' || hash[2] > '9' || hash[3] != '$')
        return false;
    int cost = (hash[1] - '0') * 10 + hash[2] - '0';
    return cost >= 4 && cost <= 31 && strspn(hash + 4, digits) == 53 && !hash[4 + 53];
}

static enum kvtel_status read_user(struct yaml_reader *reader, const char *key, yaml_node_t *value)
{
    struct web_config *config = config_of(reader);
    const char *hash;
    enum kvtel_status status = yaml_read_text(reader, "basic_auth_users", value, &hash);
    if (status != KVTEL_OK)
        return status;
    if (!is_bcrypt(hash)) /* the text is not quoted in the message, because it may be a password */
        return yaml_fail(reader, value, "user \"%.64s\": a bcrypt hash is expected, $2y$ and a cost from 4 to 31", key);
    struct web_user *users = grow(reader, config->users, config->user_count, sizeof *users);
    if (!users)
        return KVTEL_E_NOMEM;
    config->users = users;
    struct web_user user = { .name = strdup(key), .hash = strdup(hash) };
    users[config->user_count++] = user;
    return user.name && user.hash ? KVTEL_OK : kvtel_fail(reader->error, KVTEL_E_NOMEM, 0, "out of memory");
}

static enum kvtel_status read_users(struct yaml_reader *reader, const char *key, yaml_node_t *value)
{
    (void)key;
    return yaml_read_pairs(reader, value, read_user);
}

/* -- rate_limit -- */

/* Reads a duration in Go's form: "1h30m", "1.5s", "100ms"; a number without a unit is in nanoseconds. */
static bool read_duration(const char *text, int64_t *duration_ns)
{
    static const struct {
        const char *name;
        double ns;
    } units[] = { { "ns", 1 },   { "us", 1e3 }, { "\xc2\xb5s", 1e3 }, { "\xce\xbcs", 1e3 },
                  { "ms", 1e6 }, { "s", 1e9 },  { "m", 6e10 },        { "h", 3.6e12 } };
    double sum = 0;
    if (!*text)
        return false;
    while (*text) {
        size_t length = strspn(text, "0123456789."), unit = 0;
        double number = 0, scale = 1;
        bool point = false;
        if (length == 0 || (length == 1 && *text == '.'))
            return false;
        for (size_t i = 0; i < length; i++) {
            if (text[i] == '.' && point)
                return false;
            point = point || text[i] == '.';
            if (text[i] != '.')
                number = number * 10 + (text[i] - '0');
            if (text[i] != '.' && point)
                scale *= 10;
        }
        bool whole = sum == 0 && !point && !text[length];
        text += length;
        if (!whole) {
            while (unit < COUNT(units) && strncmp(text, units[unit].name, strlen(units[unit].name)) != 0)
                unit++;
            if (unit == COUNT(units))
                return false;
            text += strlen(units[unit].name);
        }
        sum += number / scale * units[unit].ns;
    }
    if (!(sum < (double)INT64_MAX))
        return false;
    *duration_ns = (int64_t)sum;
    return true;
}

static enum kvtel_status read_interval(struct yaml_reader *reader, const char *key, yaml_node_t *value)
{
    const char *text;
    enum kvtel_status status = yaml_read_text(reader, key, value, &text);
    if (status != KVTEL_OK || yaml_is_null(value))
        return status;
    if (!read_duration(text, &config_of(reader)->rate_interval_ns))
        return yaml_fail(reader, value, "%s: a duration is expected, for example 1s or 100ms", key);
    return KVTEL_OK;
}

static enum kvtel_status read_burst(struct yaml_reader *reader, const char *key, yaml_node_t *value)
{
    const char *text;
    enum kvtel_status status = yaml_read_text(reader, key, value, &text);
    if (status != KVTEL_OK || yaml_is_null(value))
        return status;
    size_t digits = strspn(text, "0123456789");
    if (digits == 0 || digits > 9 || text[digits] || value->data.scalar.style != YAML_PLAIN_SCALAR_STYLE)
        return yaml_fail(reader, value, "%s: a whole number from 0 to 999999999 is expected", key);
    config_of(reader)->rate_burst = atol(text);
    return KVTEL_OK;
}

/* If the burst is missing, it is the number of requests in a second, and at least one. Only a written burst of 0
 * refuses everybody. */
static enum kvtel_status read_rate_limit(struct yaml_reader *reader, const char *key, yaml_node_t *value)
{
    static const struct yaml_key keys[] = { { "interval", read_interval }, { "burst", read_burst } };
    struct web_config *config = config_of(reader);
    (void)key;
    config->rate_burst = -1;
    enum kvtel_status status = yaml_read_mapping(reader, value, keys, COUNT(keys));
    if (config->rate_burst < 0)
        config->rate_burst = config->rate_interval_ns > 0 && config->rate_interval_ns < SECOND_NS
                                 ? SECOND_NS / config->rate_interval_ns
                                 : 1;
    return status;
}

/* -- The file -- */

enum kvtel_status web_config_parse(const char *text, size_t size, struct web_config **config, struct kvtel_error *error)
{
    static const struct yaml_key keys[] = {
        { "tls_server_config", read_tls },
        { "http_server_config", read_http },
        { "basic_auth_users", read_users },
        { "rate_limit", read_rate_limit },
    };
    if (size > WEB_CONFIG_MOST_BYTES)
        return kvtel_fail(error, KVTEL_E_LIMIT, 0, "more than %d bytes", WEB_CONFIG_MOST_BYTES);
    struct web_config *made = calloc(1, sizeof *made);
    if (!made)
        return kvtel_fail(error, KVTEL_E_NOMEM, 0, "out of memory");
    made->min_version = WEB_TLS12;
    made->max_version = WEB_TLS13;
    enum kvtel_status status = yaml_read(text, size, keys, COUNT(keys), made, error);
    if (status == KVTEL_OK)
        *config = made;
    else
        web_config_destroy(made);
    return status;
}

static void wipe(char *text)
{
    if (text)
        explicit_bzero(text, strlen(text));
    free(text);
}

void web_config_destroy(struct web_config *config)
{
    if (!config)
        return;
    struct web_pem *pems[] = { &config->cert, &config->key, &config->client_ca };
    for (size_t i = 0; i < COUNT(pems); i++) {
        free(pems[i]->file);
        wipe(pems[i]->text);
    }
    for (size_t i = 0; i < config->client_allowed_san_count; i++)
        free(config->client_allowed_sans[i]);
    free(config->client_allowed_sans);
    for (size_t i = 0; i < config->header_count; i++)
        free(config->headers[i].value);
    for (size_t i = 0; i < config->user_count; i++) {
        free(config->users[i].name);
        wipe(config->users[i].hash);
    }
    free(config->users);
    free(config);
}
