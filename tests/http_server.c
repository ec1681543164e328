/* SPDX-License-Identifier: Apache-2.0 */
/* The exporter's HTTP server with routes whose answers a test chooses. It ends when its standard input ends. Each line
 * there is a command, answered by a line: "counts", "look" at the configuration now, or "release" what /hold holds.
 * http_server [KEY=VALUE...]: listen and allow (repeatable), systemd, config, and the limits under their names in
 * http.h. Prints each address. */
#include "base/buffer.h"
#include "serve/web/gzip.h"
#include "serve/web/http.h"

#include <kvtel/exposition.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { MOST_SOCKETS = 8, MOST_BODY = 64 << 10 };

/* ?size=N: so many bytes of text. */
static void serve_text(void *context, const struct http_request *request, struct http_response *response)
{
    size_t size = 0;
    (void)context;
    sscanf(request->query, "size=%zu", &size);
    response->content_type = KVTEL_CONTENT_TYPE_TEXT;
    kvtel_buffer_append_text(&response->body, "up 1\n");
    while (response->body.size < size &&
           kvtel_buffer_append_text(&response->body, "requests_total{code=\"200\"} 1027\n") == KVTEL_OK)
        ;
}

static atomic_uint slow_handlers; /* that run now */

/* ?ms=N: after so long. */
static void serve_slowly(void *context, const struct http_request *request, struct http_response *response)
{
    long ms = 0;
    (void)context;
    sscanf(request->query, "ms=%ld", &ms);
    atomic_fetch_add_explicit(&slow_handlers, 1, memory_order_relaxed);
    nanosleep(&(struct timespec){ ms / 1000, ms % 1000 * 1000000 }, NULL);
    atomic_fetch_sub_explicit(&slow_handlers, 1, memory_order_relaxed);
    response->content_type = "text/plain";
    kvtel_buffer_append_text(&response->body, "late\n");
}

static pthread_mutex_t hold_mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t hold_end = PTHREAD_COND_INITIALIZER;
static unsigned releases;

/* After the next "release", or the end of standard input. */
static void hold(void *context, const struct http_request *request, struct http_response *response)
{
    (void)context, (void)request;
    pthread_mutex_lock(&hold_mutex);
    atomic_fetch_add_explicit(&slow_handlers, 1, memory_order_relaxed); /* from here on a release ends it */
    for (unsigned before = releases; releases == before;)
        pthread_cond_wait(&hold_end, &hold_mutex);
    atomic_fetch_sub_explicit(&slow_handlers, 1, memory_order_relaxed);
    pthread_mutex_unlock(&hold_mutex);
    response->content_type = "text/plain";
    kvtel_buffer_append_text(&response->body, "late\n");
}

static void release(void)
{
    pthread_mutex_lock(&hold_mutex);
    releases += 1;
    pthread_cond_broadcast(&hold_end);
    pthread_mutex_unlock(&hold_mutex);
}

/* What was posted, unpacked when it was gzip. */
static void serve_echo(void *context, const struct http_request *request, struct http_response *response)
{
    (void)context;
    const char *encoding = http_request_header(request, "Content-Encoding");
    response->content_type = "application/octet-stream";
    enum kvtel_status status = encoding && strcmp(encoding, "gzip") == 0
                                   ? gzip_expand(request->body, request->body_size, MOST_BODY, &response->body)
                                   : kvtel_buffer_append(&response->body, request->body, request->body_size);
    if (status == KVTEL_OK)
        return;
    response->status = status == KVTEL_E_LIMIT ? 413 : 400;
    kvtel_buffer_append_text(&response->body, kvtel_status_text(status));
}

static void write_log(void *context, enum web_log_level level, const char *message)
{
    static const char *const names[] = { "debug", "info", "warn", "error" };
    (void)context;
    fprintf(stderr, "%s: %s\n", names[level], message);
}

static int fail(const struct kvtel_error *error)
{
    fprintf(stderr, "http_server: %s\n", error->message);
    return 1;
}

/* Whether `argument` is "name=value". */
static const char *value_of(const char *argument, const char *name)
{
    size_t length = strlen(name);
    return strncmp(argument, name, length) == 0 && argument[length] == '=' ? argument + length + 1 : NULL;
}

static bool read_limit(const char *argument, struct http_limits *limits, struct http_route *routes, size_t count)
{
    unsigned header_bytes = 0, held_bytes = 0, max_requests = 0;
    const struct {
        const char *name;
        unsigned *value;
    } names[] = { { "connections", &limits->connections },
                  { "connections_per_address", &limits->connections_per_address },
                  { "header_bytes", &header_bytes },
                  { "header_ms", &limits->header_ms },
                  { "body_ms", &limits->body_ms },
                  { "response_ms", &limits->response_ms },
                  { "idle_ms", &limits->idle_ms },
                  { "max_requests", &max_requests },
                  { "held_bytes", &held_bytes } };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (value_of(argument, names[i].name)) {
            *names[i].value = (unsigned)atoi(value_of(argument, names[i].name));
            limits->header_bytes = header_bytes ? header_bytes : limits->header_bytes;
            limits->held_bytes = held_bytes ? held_bytes : limits->held_bytes;
            for (size_t j = 0; max_requests && j < count; j++)
                routes[j].max_requests = max_requests;
            return true;
        }
    return false;
}

static void obey(struct http *http, const char *command)
{
    if (strcmp(command, "look\n") == 0)
        printf("%s\n", http_look(http) ? "good" : "bad");
    else if (strcmp(command, "release\n") == 0)
        release(), printf("released\n");
    else
        printf("%u connections, %u slow handlers\n", http_connections(http),
               atomic_load_explicit(&slow_handlers, memory_order_relaxed));
}

int main(int argc, char **argv)
{
    struct http_route routes[] = {
        { .path = "/metrics", .methods = HTTP_GET, .handler = serve_text },
        { .path = "/slow", .methods = HTTP_GET, .handler = serve_slowly },
        { .path = "/hold", .methods = HTTP_GET, .handler = hold },
        { .path = "/echo", .methods = HTTP_GET | HTTP_POST, .handler = serve_echo, .max_body = MOST_BODY },
    };
    struct listen_socket own[MOST_SOCKETS], *sockets = own, *handed = NULL;
    struct http_options options = { .routes = routes,
                                    .route_count = sizeof(routes) / sizeof(routes[0]),
                                    .log = { .write = write_log } };
    const char *allowed[MOST_SOCKETS], *addresses[MOST_SOCKETS];
    size_t address_count = 0;
    struct kvtel_error error = { 0 };
    options.allowed_hosts = allowed;
    setvbuf(stdout, NULL, _IOLBF, 0);
    for (int i = 1; i < argc; i++) {
        const char *address = value_of(argv[i], "listen");
        if (value_of(argv[i], "allow") && options.allowed_host_count < MOST_SOCKETS) {
            allowed[options.allowed_host_count++] = value_of(argv[i], "allow");
        } else if (value_of(argv[i], "config")) {
            options.web_config = value_of(argv[i], "config");
        } else if (address && address_count < MOST_SOCKETS) {
            addresses[address_count++] = address;
        } else if (strcmp(argv[i], "systemd") == 0) {
            if (listen_systemd(&handed, &options.socket_count, &error) != KVTEL_OK)
                return fail(&error);
            sockets = handed;
        } else if (!read_limit(argv[i], &options.limits, routes, options.route_count)) {
            fprintf(stderr, "http_server: %s is unknown\n", argv[i]);
            return 2;
        }
    }
    if (address_count > 0) {
        if (listen_open(addresses, address_count, sockets, &error) != KVTEL_OK)
            return fail(&error);
        options.socket_count = address_count;
    }
    options.sockets = sockets;
    struct http *http = http_start(&options, &error);
    if (!http)
        return fail(&error);
    for (size_t i = 0; i < options.socket_count; i++)
        printf("%s\n", sockets[i].address);
    for (char line[16]; fgets(line, sizeof line, stdin);)
        obey(http, line);
    release();
    http_stop(http);
    free(handed);
    return 0;
}
