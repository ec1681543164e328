/* SPDX-License-Identifier: Apache-2.0 */
/* The settings of the push. Each variable has a form for metrics alone, which goes before the general one; a variable
 * that is empty counts as not set, as OpenTelemetry has it. */
#include "otlp/settings.h"

#include "base/error.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#define METRICS_PATH "/v1/metrics"

enum { LEAST_INTERVAL_MS = 100, MOST_MS = 24 * 3600 * 1000, NAME_SIZE = 64 };

static const char *variable(const char *name)
{
    const char *value = getenv(name);
    return value && *value ? value : NULL;
}

/* The value of OTEL_EXPORTER_OTLP_METRICS_<name> or OTEL_EXPORTER_OTLP_<name>. `source`: which one it is. */
static const char *otlp_variable(const char *name, char source[static NAME_SIZE])
{
    static const char *const prefixes[] = { "OTEL_EXPORTER_OTLP_METRICS_", "OTEL_EXPORTER_OTLP_" };
    for (size_t i = 0; i < sizeof prefixes / sizeof *prefixes; i++) {
        snprintf(source, NAME_SIZE, "%s%s", prefixes[i], name);
        const char *value = variable(source);
        if (value)
            return value;
    }
    return NULL;
}

static enum kvtel_status no_memory(struct kvtel_error *error)
{
    return kvtel_fail(error, KVTEL_E_NOMEM, 0, "%s", kvtel_status_text(KVTEL_E_NOMEM));
}

/* -- The URL -- */

struct url {
    const char *host; /* behind the user, with the port */
    size_t host_size;
    const char *path; /* "" or from '/', '?' or '#' on */
    size_t path_size; /* without query */
};

static bool is_port(const char *text, const char *end)
{
    char *behind;
    if (text == end || *text < '0' || *text > '9')
        return false;
    long port = strtol(text, &behind, 10);
    return behind == end && port > 0 && port <= 65535;
}

static bool split_url(const char *text, struct url *url)
{
    const char *authority = strncasecmp(text, "http://", 7) == 0    ? text + 7
                            : strncasecmp(text, "https://", 8) == 0 ? text + 8
                                                                    : NULL;
    for (const char *c = text; *c; c++)
        if (*c <= ' ' || *c == '"' || *c == '\\' || (unsigned char)*c >= 0x7F)
            return false;
    if (!authority)
        return false;
    const char *end = authority + strcspn(authority, "/?#"), *host = authority;
    for (const char *c = authority; c < end; c++)
        if (*c == '@')
            host = c + 1;
    const char *behind = *host == '[' ? memchr(host, ']', (size_t)(end - host)) : host;
    const char *colon = behind ? memchr(behind, ':', (size_t)(end - behind)) : NULL;
    *url = (struct url){ host, (size_t)(end - host), end, strcspn(end, "?#") };
    return behind && host < end && *host != ':' && (!colon || is_port(colon + 1, end)) && !strchr(end, '#');
}

/* Appends the path of metrics to a base URL, unless the URL has it. */
static char *with_metrics_path(const char *text, const struct url *url)
{
    size_t before = (size_t)(url->path - text) + url->path_size, more = strlen(METRICS_PATH);
    if (url->path_size >= more && memcmp(url->path + url->path_size - more, METRICS_PATH, more) == 0)
        return strdup(text);
    char *full = malloc(strlen(text) + more + 1);
    if (!full)
        return NULL;
    size_t kept = before - (url->path_size > 0 && text[before - 1] == '/');
    memcpy(full, text, kept);
    memcpy(full + kept, METRICS_PATH, more);
    strcpy(full + kept + more, text + before);
    return full;
}

static char *place_of(const char *text)
{
    struct url url;
    char *place = malloc(strlen(text) + 1);
    if (place && split_url(text, &url))
        sprintf(place, "%s%.*s%.*s", strncasecmp(text, "https", 5) == 0 ? "https://" : "http://", (int)url.host_size,
                url.host, (int)url.path_size, url.path);
    return place;
}

/* The endpoint's text: of the flag or of a variable. `whole`: it has the path already. NULL: nothing is pushed. */
static const char *find_endpoint(const char *flag, const char **source, bool *whole)
{
    static const char *const names[] = { "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT" };
    const char *exporter = variable("OTEL_METRICS_EXPORTER"), *disabled = variable("OTEL_SDK_DISABLED");
    *whole = false;
    *source = "--otlp.endpoint";
    if (flag || (exporter && !strstr(exporter, "otlp")) || (disabled && strcasecmp(disabled, "true") == 0))
        return flag;
    for (size_t i = 0; i < 2; i++) {
        const char *value = variable(names[i]);
        *source = names[i];
        *whole = i == 0;
        if (value)
            return value;
    }
    return NULL;
}

static enum kvtel_status read_endpoint(struct otlp_settings *settings, const char *flag, struct kvtel_error *error)
{
    const char *source;
    bool whole;
    const char *text = find_endpoint(flag, &source, &whole);
    struct url url;
    if (!text)
        return KVTEL_OK;
    if (!split_url(text, &url)) /* which may hold a password, so it is not repeated */
        return kvtel_fail(error, KVTEL_E_ARGUMENT, 0,
                          "%s is a URL like http://127.0.0.1:4318 or https://user:password@host/path, of ASCII, "
                          "without blanks and #; this one is not",
                          source);
    settings->url = whole ? strdup(text) : with_metrics_path(text, &url);
    settings->place = settings->url ? place_of(settings->url) : NULL;
    return settings->place ? KVTEL_OK : no_memory(error);
}

/* -- Lists -- */

static bool is_token(const char *name)
{
    static const char may[] = "!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    return *name && name[strspn(name, may)] == '\0';
}

static bool is_header(const struct otlp_pair *pair)
{
    static const char *const own[] = { "content-type", "content-length", "content-encoding", "transfer-encoding",
                                       "host" };
    for (size_t i = 0; i < sizeof own / sizeof *own; i++)
        if (strcasecmp(pair->name, own[i]) == 0)
            return false;
    for (const char *c = pair->value; *c; c++)
        if ((unsigned char)*c < ' ' || *c == 0x7F)
            return false;
    return is_token(pair->name);
}

static enum kvtel_status read_headers(struct otlp_settings *settings, struct kvtel_error *error)
{
    static const char *const names[] = { "OTEL_EXPORTER_OTLP_HEADERS", "OTEL_EXPORTER_OTLP_METRICS_HEADERS" };
    for (size_t i = 0; i < 2; i++) {
        const char *text = variable(names[i]);
        size_t wrong = 0;
        enum kvtel_status status = text ? otlp_pairs_parse(&settings->headers, text, &wrong) : KVTEL_OK;
        if (status == KVTEL_E_NOMEM)
            return no_memory(error);
        if (status != KVTEL_OK)
            return kvtel_fail(
                error, KVTEL_E_ARGUMENT, 0,
                "%s is a list NAME=VALUE,NAME=VALUE with %%2C for a comma in a value; its item %zu is not "
                "NAME=VALUE",
                names[i], wrong);
    }
    for (size_t i = 0; i < settings->headers.count; i++)
        if (!is_header(&settings->headers.pairs[i]))
            return kvtel_fail(
                error, KVTEL_E_ARGUMENT, 0,
                "OTEL_EXPORTER_OTLP_HEADERS: the header \"%s\" (number %zu) cannot be sent: a header is NAME=VALUE "
                "with a name of letters, digits and -, a value on one line, and is none that kvtel sets itself "
                "(Content-*, Host)",
                is_token(settings->headers.pairs[i].name) ? settings->headers.pairs[i].name : "...", i + 1);
    return KVTEL_OK;
}

static enum kvtel_status read_resource(struct otlp_settings *settings, struct kvtel_error *error)
{
    const char *text = variable("OTEL_RESOURCE_ATTRIBUTES"), *service = variable("OTEL_SERVICE_NAME");
    size_t wrong = 0;
    enum kvtel_status status = text ? otlp_pairs_parse(&settings->resource, text, &wrong) : KVTEL_OK;
    if (status == KVTEL_OK && service)
        status = otlp_pairs_set(&settings->resource, "service.name", service);
    if (status == KVTEL_E_NOMEM)
        return no_memory(error);
    return status == KVTEL_OK
               ? KVTEL_OK
               : kvtel_fail(
                     error, KVTEL_E_ARGUMENT, 0,
                     "OTEL_RESOURCE_ATTRIBUTES is a list NAME=VALUE,NAME=VALUE with %%2C for a comma in a value; "
                     "its item %zu is not NAME=VALUE",
                     wrong);
}

/* -- The rest -- */

static enum kvtel_status read_number(const char *text, const char *source, long least, long *number,
                                     struct kvtel_error *error)
{
    char *end;
    if (!text)
        return KVTEL_OK;
    *number = strtol(text, &end, 10);
    return end != text && !*end && *number >= least && *number <= MOST_MS
               ? KVTEL_OK
               : kvtel_fail(error, KVTEL_E_ARGUMENT, 0, "%s is a number of milliseconds from %ld to %d, not \"%s\"",
                            source, least, MOST_MS, text);
}

static enum kvtel_status read_choice(const char *name, const char *const choices[2], bool *second,
                                     struct kvtel_error *error)
{
    char source[NAME_SIZE];
    const char *text = otlp_variable(name, source);
    *second = text && strcmp(text, choices[1]) == 0;
    if (!text || *second || strcmp(text, choices[0]) == 0)
        return KVTEL_OK;
    return kvtel_fail(error, KVTEL_E_ARGUMENT, 0, "%s is %s%s%s here, not \"%s\"", source, choices[0],
                      *choices[1] ? " or " : "", choices[1], text);
}

static enum kvtel_status read_file(const char *name, const char **path, struct kvtel_error *error)
{
    char source[NAME_SIZE];
    *path = otlp_variable(name, source);
    if (!*path || access(*path, R_OK) == 0)
        return KVTEL_OK;
    return kvtel_fail(error, KVTEL_E_ARGUMENT, 0, "%s is a file of PEM that can be read; \"%s\" cannot", source, *path);
}

static enum kvtel_status read_rest(struct otlp_settings *settings, struct kvtel_error *error)
{
    static const char *const codings[] = { "none", "gzip" }, *const protocols[] = { "http/protobuf", "" };
    char source[NAME_SIZE];
    const char *timeout = otlp_variable("TIMEOUT", source);
    bool other;
    enum kvtel_status status = read_number(timeout, source, 1, &settings->timeout_ms, error);
    if (status == KVTEL_OK)
        status = read_number(variable("OTEL_METRIC_EXPORT_INTERVAL"), "OTEL_METRIC_EXPORT_INTERVAL", LEAST_INTERVAL_MS,
                             &settings->interval_ms, error);
    if (status == KVTEL_OK)
        status = read_choice("COMPRESSION", codings, &settings->gzip, error);
    if (status == KVTEL_OK)
        status = read_choice("PROTOCOL", protocols, &other, error);
    if (status == KVTEL_OK)
        status = read_file("CERTIFICATE", &settings->authorities, error);
    if (status == KVTEL_OK)
        status = read_file("CLIENT_CERTIFICATE", &settings->certificate, error);
    if (status == KVTEL_OK)
        status = read_file("CLIENT_KEY", &settings->key, error);
    if (status == KVTEL_OK && !settings->certificate != !settings->key)
        status = kvtel_fail(error, KVTEL_E_ARGUMENT, 0,
                            "OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE and OTEL_EXPORTER_OTLP_CLIENT_KEY go together");
    return status;
}

enum kvtel_status otlp_settings_read(struct otlp_settings *settings, const char *endpoint, struct kvtel_error *error)
{
    *settings = (struct otlp_settings){ .headers.any_case = true, .timeout_ms = 10000, .interval_ms = 60000 };
    enum kvtel_status status = read_endpoint(settings, endpoint, error);
    if (status == KVTEL_OK && settings->url)
        status = read_headers(settings, error);
    if (status == KVTEL_OK && settings->url)
        status = read_resource(settings, error);
    if (status == KVTEL_OK && settings->url)
        status = read_rest(settings, error);
    if (status != KVTEL_OK)
        otlp_settings_free(settings);
    return status;
}

enum kvtel_status otlp_settings_complete(struct otlp_settings *settings, const char *host, const char *instance)
{
    const struct {
        const char *name, *value;
    } defaults[] = {
        { "service.name", "kvtel" },
        { "service.version", kvtel_version() },
        { "service.instance.id", instance },
        { "host.name", host },
    };
    enum kvtel_status status = KVTEL_OK;
    for (size_t i = 0; i < sizeof defaults / sizeof *defaults && status == KVTEL_OK; i++)
        if (!otlp_pairs_find(&settings->resource, defaults[i].name))
            status = otlp_pairs_set(&settings->resource, defaults[i].name, defaults[i].value);
    return status;
}

void otlp_settings_free(struct otlp_settings *settings)
{
    free(settings->url);
    free(settings->place);
    otlp_pairs_free(&settings->headers);
    otlp_pairs_free(&settings->resource);
    *settings = (struct otlp_settings){ 0 };
}
