/* SPDX-License-Identifier: Apache-2.0 */
/* The server: libmicrohttpd speaks HTTP, one thread for each connection; connections.c hands them over. This file decides what a
 * request gets: refused by its framing, by rate, by credentials, by path, method or size; or its route's handler. */
#include "cli/serve/http.h"

#include "base/buffer.h"
#include "base/error.h"
#include "cli/serve/auth.h"
#include "cli/serve/connections.h"
#include "cli/serve/framing.h"
#include "cli/serve/gzip.h"
#include "cli/serve/rate_limit.h"
#include "cli/serve/web_tls.h"

#include <gnutls/abstract.h>
#include <microhttpd.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum {
    GZIP_LEAST = 512,       /* shorter answers are sent as they are */
    DISCARD_MOST = 1 << 20, /* so much of a refused body is read, for the client to see the answer; more closes the connection */
    THREAD_STACK_BYTES = 512 << 10,
    SPARE_CONNECTIONS = 8, /* libmicrohttpd forgets a closed connection a moment after connections.c does */
};

struct http {
    const struct http_route *routes;
    size_t route_count;
    atomic_uint *in_flight; /* requests by route */
    struct web_watch *watch;
    struct auth *auth;
    struct rate_limit rate;
    bool tls;
    struct connections *connections;
    struct MHD_Daemon *daemon;
};

/* A TCP connection. */
struct client {
    struct connection *connection;
    struct web_state *state; /* whose certificates its handshake used; NULL: plain HTTP */
};

/* One request from its first line to its end. */
struct exchange {
    char *target; /* as sent, up to '?' */
    char *query;  /* in `target`, behind it; NULL: none */
    struct client *client;
    struct web_state *state;
    const struct http_route *route; /* once it is counted in in_flight */
    enum http_method method;
    struct http_response response; /* status 0: there is none yet */
    bool begun, close;
    struct kvtel_buffer body;
    size_t received, discarded;
    char allow[32];
};

const char *http_request_header(const struct http_request *request, const char *name)
{
    return MHD_lookup_connection_value(request->connection, MHD_HEADER_KIND, name);
}

static int64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

/* -- What a request gets -- */

static const struct http_route *find_route(const struct http *http, const char *path)
{
    for (size_t i = 0; i < http->route_count; i++)
        if (strcmp(http->routes[i].path, path) == 0)
            return &http->routes[i];
    return NULL;
}

/* Answers without a handler. `header` NULL: no more headers. Returns false, for the caller to return. */
static bool refuse(struct exchange *exchange, unsigned status, const char *text, const char *header, const char *value)
{
    struct http_response *response = &exchange->response;
    response->status = status;
    response->content_type = "text/plain; charset=utf-8";
    response->headers[0].name = "X-Content-Type-Options";
    response->headers[0].value = "nosniff";
    response->headers[1].name = header;
    response->headers[1].value = value;
    response->body.size = 0;
    kvtel_buffer_printf(&response->body, "%s\n", text); /* without memory the status must do */
    return false;
}

/* Whether this user may be here now; no matter which path is asked for. */
static bool admit(struct http *http, struct exchange *exchange, struct MHD_Connection *connection)
{
    exchange->state = web_watch_current(http->watch);
    if (!exchange->state)
        return refuse(exchange, MHD_HTTP_INTERNAL_SERVER_ERROR, "Internal Server Error", NULL, NULL);
    /* After a change of the certificates the next request comes through a handshake with the new ones. */
    exchange->close = exchange->client->state && exchange->client->state != exchange->state;
    const struct web_config *config = web_state_config(exchange->state);
    if (!rate_limit_allow(&http->rate, now_ns(), config->rate_interval_ns, config->rate_burst))
        return refuse(exchange, MHD_HTTP_TOO_MANY_REQUESTS, "Too Many Requests", NULL, NULL);
    switch (
        auth_check(http->auth, config, MHD_lookup_connection_value(connection, MHD_HEADER_KIND, MHD_HTTP_HEADER_AUTHORIZATION))) {
    case AUTH_GOOD:
        return true;
    case AUTH_BUSY:
        return refuse(exchange, MHD_HTTP_SERVICE_UNAVAILABLE, "Too many passwords are being checked, try again later.",
                      MHD_HTTP_HEADER_RETRY_AFTER, "5");
    case AUTH_BAD:
    default:
        return refuse(exchange, MHD_HTTP_UNAUTHORIZED, "Unauthorized", MHD_HTTP_HEADER_WWW_AUTHENTICATE, "Basic");
    }
}

static bool refuse_method(struct exchange *exchange, unsigned methods)
{
    const char *get = methods & HTTP_GET ? "GET, HEAD" : "", *post = methods & HTTP_POST ? "POST" : "";
    snprintf(exchange->allow, sizeof exchange->allow, "%s%s%s", get, *get && *post ? ", " : "", post);
    return refuse(exchange, MHD_HTTP_METHOD_NOT_ALLOWED, "Method Not Allowed", MHD_HTTP_HEADER_ALLOW, exchange->allow);
}

/* Finds the route and counts the request there. */
static bool find_handler(struct http *http, struct exchange *exchange, const char *method, const struct framing *framing)
{
    if (*exchange->target != '/')
        return refuse(exchange, MHD_HTTP_BAD_REQUEST, "Bad Request", NULL, NULL);
    const struct http_route *route = find_route(http, exchange->target);
    if (!route)
        return refuse(exchange, MHD_HTTP_NOT_FOUND, "404 page not found", NULL, NULL);
    unsigned asked = strcmp(method, MHD_HTTP_METHOD_GET) == 0 || strcmp(method, MHD_HTTP_METHOD_HEAD) == 0 ? HTTP_GET
                     : strcmp(method, MHD_HTTP_METHOD_POST) == 0                                           ? HTTP_POST
                                                                                                           : 0;
    if (!(route->methods & asked))
        return refuse_method(exchange, route->methods);
    exchange->method = (enum http_method)asked;
    if (asked == HTTP_GET && (framing->chunked || framing->length > 0))
        return refuse(exchange, MHD_HTTP_BAD_REQUEST, "Bad Request: a GET has no body here", NULL, NULL);
    if (framing->length > route->max_body)
        return refuse(exchange, MHD_HTTP_CONTENT_TOO_LARGE, "Content Too Large", NULL, NULL);
    exchange->route = route;
    unsigned before = atomic_fetch_add_explicit(&http->in_flight[route - http->routes], 1, memory_order_relaxed); /* a mere count */
    if (route->max_requests > 0 && before >= route->max_requests) {
        char text[96];
        snprintf(text, sizeof text, "Limit of concurrent requests reached (%u), try again later.", route->max_requests);
        return refuse(exchange, MHD_HTTP_SERVICE_UNAVAILABLE, text, NULL, NULL);
    }
    return true;
}

/* -- Answers -- */

static bool add_header(struct MHD_Response *response, const char *name, const char *value)
{
    return MHD_add_response_header(response, name, value) == MHD_YES;
}

/* The answer's own headers, and those of the web configuration that it does not set itself. */
static bool add_headers(struct MHD_Response *response, const struct exchange *exchange)
{
    const struct http_response *answer = &exchange->response;
    bool good = !answer->content_type || add_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, answer->content_type);
    for (size_t i = 0; good && i < HTTP_EXTRA_HEADERS && answer->headers[i].name; i++)
        good = add_header(response, answer->headers[i].name, answer->headers[i].value);
    const struct web_config *config = exchange->state ? web_state_config(exchange->state) : NULL;
    for (size_t i = 0; good && config && i < config->header_count; i++)
        if (!MHD_get_response_header(response, config->headers[i].name) && *config->headers[i].value)
            good = add_header(response, config->headers[i].name, config->headers[i].value);
    return good && (!exchange->close || add_header(response, MHD_HTTP_HEADER_CONNECTION, "close"));
}

/* Compresses the body where that is wanted and of use. */
static bool encode(struct exchange *exchange, struct MHD_Connection *connection, struct MHD_Response **response)
{
    struct kvtel_buffer *body = &exchange->response.body, packed = { 0 };
    const char *accepted = MHD_lookup_connection_value(connection, MHD_HEADER_KIND, MHD_HTTP_HEADER_ACCEPT_ENCODING);
    bool varies = exchange->response.status == MHD_HTTP_OK && body->size >= GZIP_LEAST;
    bool gzip = varies && gzip_is_accepted(accepted) && gzip_compress(body->bytes, body->size, &packed) == KVTEL_OK;
    if (gzip) {
        kvtel_buffer_free(body);
        *body = packed;
    }
    *response = MHD_create_response_from_buffer(body->size, body->bytes, MHD_RESPMEM_MUST_FREE);
    if (!*response)
        return false;
    *body = (struct kvtel_buffer){ 0 };
    return (!varies || add_header(*response, MHD_HTTP_HEADER_VARY, MHD_HTTP_HEADER_ACCEPT_ENCODING)) &&
           (!gzip || add_header(*response, MHD_HTTP_HEADER_CONTENT_ENCODING, "gzip"));
}

/* MHD_NO closes the connection without an answer. */
static enum MHD_Result answer(struct http *http, struct exchange *exchange, struct MHD_Connection *connection)
{
    struct MHD_Response *response = NULL;
    enum MHD_Result result = MHD_NO;
    if (encode(exchange, connection, &response) && add_headers(response, exchange)) {
        connections_phase(http->connections, exchange->client->connection, CONNECTION_RESPONSE);
        result = MHD_queue_response(connection, exchange->response.status, response);
    }
    if (response)
        MHD_destroy_response(response);
    return result;
}

/* -- libmicrohttpd's calls, in the order in which they come -- */

static enum MHD_Result begin(struct http *http, struct exchange *exchange, struct MHD_Connection *connection, const char *method,
                             const char *version)
{
    struct framing framing = framing_of(connection, version);
    connections_phase(http->connections, exchange->client->connection, CONNECTION_HANDLER);
    if (framing.malformed) {
        refuse(exchange, MHD_HTTP_BAD_REQUEST, "Bad Request", NULL, NULL);
        exchange->close = true;
        return answer(http, exchange, connection);
    }
    if (admit(http, exchange, connection))
        find_handler(http, exchange, method, &framing);
    if (!framing.chunked && framing.length == 0)
        return MHD_YES;
    /* The answer to a refused body waits for the body's end: one that comes earlier gets lost when the connection closes. */
    bool waits = MHD_lookup_connection_value(connection, MHD_HEADER_KIND, MHD_HTTP_HEADER_EXPECT);
    if (exchange->response.status && (waits || framing.length > DISCARD_MOST))
        return answer(http, exchange, connection);
    connections_phase(http->connections, exchange->client->connection, CONNECTION_BODY);
    return MHD_YES;
}

static enum MHD_Result take_body(struct exchange *exchange, const char *bytes, size_t *size)
{
    exchange->received += *size;
    if (!exchange->response.status) {
        if (exchange->received > exchange->route->max_body)
            refuse(exchange, MHD_HTTP_CONTENT_TOO_LARGE, "Content Too Large", NULL, NULL);
        else if (kvtel_buffer_append(&exchange->body, bytes, *size) != KVTEL_OK)
            refuse(exchange, MHD_HTTP_SERVICE_UNAVAILABLE, "Out of memory, try again later.", NULL, NULL);
    }
    if (exchange->response.status) {
        kvtel_buffer_free(&exchange->body);
        exchange->discarded += *size;
        if (exchange->discarded > DISCARD_MOST)
            return MHD_NO;
    }
    *size = 0;
    return MHD_YES;
}

static enum MHD_Result finish(struct http *http, struct exchange *exchange, struct MHD_Connection *connection)
{
    if (!exchange->response.status) {
        struct http_request request = {
            .method = exchange->method,
            .path = exchange->route->path,
            .query = exchange->query ? exchange->query : "",
            .body = exchange->body.bytes,
            .body_size = exchange->body.size,
            .connection = connection,
        };
        connections_phase(http->connections, exchange->client->connection, CONNECTION_HANDLER);
        exchange->response.status = MHD_HTTP_OK;
        exchange->route->handler(exchange->route->context, &request, &exchange->response);
        kvtel_buffer_free(&exchange->body);
    }
    return answer(http, exchange, connection);
}

static enum MHD_Result on_request(void *context, struct MHD_Connection *connection, const char *url, const char *method,
                                  const char *version, const char *bytes, size_t *size, void **request)
{
    struct exchange *exchange = *request;
    (void)url; /* it is unescaped, which makes different paths the same */
    if (!exchange)
        return MHD_NO;
    if (!exchange->begun) {
        exchange->begun = true;
        return begin(context, exchange, connection, method, version);
    }
    return *size > 0 ? take_body(exchange, bytes, size) : finish(context, exchange, connection);
}

/* The request line is there. What it returns comes as `request` to the others; NULL closes the connection. */
static void *on_target(void *context, const char *target, struct MHD_Connection *connection)
{
    struct http *http = context;
    const union MHD_ConnectionInfo *info = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    struct client *client = info ? info->socket_context : NULL;
    struct exchange *exchange = client ? calloc(1, sizeof *exchange) : NULL;
    if (!exchange)
        return NULL;
    exchange->client = client;
    exchange->target = strdup(target);
    if (!exchange->target) {
        free(exchange);
        return NULL;
    }
    exchange->query = strchr(exchange->target, '?');
    if (exchange->query)
        *exchange->query++ = '\0';
    connections_phase(http->connections, client->connection, CONNECTION_HEADER);
    return exchange;
}

static void on_completed(void *context, struct MHD_Connection *connection, void **request, enum MHD_RequestTerminationCode code)
{
    struct http *http = context;
    struct exchange *exchange = *request;
    (void)connection;
    (void)code;
    if (!exchange)
        return;
    connections_phase(http->connections, exchange->client->connection, CONNECTION_IDLE);
    if (exchange->route)
        atomic_fetch_sub_explicit(&http->in_flight[exchange->route - http->routes], 1, memory_order_relaxed);
    web_state_release(exchange->state);
    kvtel_buffer_free(&exchange->body);
    kvtel_buffer_free(&exchange->response.body);
    free(exchange->target);
    free(exchange);
    *request = NULL;
}

/* A connection was made, before its handshake. Without a client nothing comes of it. */
static struct client *open_client(struct http *http, struct MHD_Connection *connection)
{
    int fd = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD)->connect_fd;
    const union MHD_ConnectionInfo *tls = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_GNUTLS_SESSION);
    struct connection *entered = connections_enter(http->connections, fd);
    struct client *client = entered ? calloc(1, sizeof *client) : NULL;
    if (client) {
        client->connection = entered;
        if (!tls || !tls->tls_session)
            return client;
        client->state = web_watch_current(http->watch);
        if (client->state && web_tls_apply(web_state_tls(client->state), tls->tls_session) == 0)
            return client;
        web_state_release(client->state);
        free(client);
    }
    if (entered)
        connections_remove(http->connections, entered);
    shutdown(fd, SHUT_RDWR);
    return NULL;
}

static void on_connection(void *context, struct MHD_Connection *connection, void **place, enum MHD_ConnectionNotificationCode code)
{
    struct http *http = context;
    if (code == MHD_CONNECTION_NOTIFY_STARTED) {
        *place = open_client(http, connection);
        return;
    }
    struct client *client = *place;
    if (!client)
        return;
    connections_remove(http->connections, client->connection);
    web_state_release(client->state);
    free(client);
    *place = NULL;
}

/* libmicrohttpd's own credentials are replaced before any handshake; a session that kept them must fail. */
static int no_certificate(gnutls_session_t session, const gnutls_datum_t *authorities, int authority_count,
                          const gnutls_pk_algorithm_t *algorithms, int algorithm_count, gnutls_pcert_st **chain,
                          unsigned *chain_length, gnutls_privkey_t *key)
{
    (void)session, (void)authorities, (void)authority_count, (void)algorithms, (void)algorithm_count;
    (void)chain, (void)chain_length, (void)key;
    return -1;
}

/* A connection's first bytes are there. */
static bool take(void *context, int fd, const struct sockaddr *address, socklen_t length)
{
    static const unsigned char internal_error[] = { 21, 3, 1, 0, 2, 2, 80 }; /* a TLS alert, fatal */
    struct http *http = context;
    if (http->tls) {
        struct web_state *state = web_watch_current(http->watch);
        if (!state) {
            send(fd, internal_error, sizeof internal_error, MSG_NOSIGNAL | MSG_DONTWAIT);
            shutdown(fd, SHUT_WR);
            close(fd);
            return false;
        }
        web_state_release(state);
    }
    return MHD_add_connection(http->daemon, fd, address, length) == MHD_YES;
}

/* -- Start and stop -- */

static struct http_limits resolve(const struct http_limits *asked)
{
    return (struct http_limits){
        .connections = asked->connections ? asked->connections : 512,
        .connections_per_address = asked->connections_per_address ? asked->connections_per_address : 256,
        .header_bytes = asked->header_bytes ? asked->header_bytes : 32 << 10,
        .header_ms = asked->header_ms ? asked->header_ms : 10000,
        .body_ms = asked->body_ms ? asked->body_ms : 30000,
        .response_ms = asked->response_ms ? asked->response_ms : 30000,
        .idle_ms = asked->idle_ms ? asked->idle_ms : 120000,
    };
}

static struct MHD_Daemon *start_daemon(struct http *http, const struct http_limits *limits)
{
    unsigned flags = MHD_USE_THREAD_PER_CONNECTION | MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_POLL | MHD_USE_NO_LISTEN_SOCKET |
                     MHD_USE_ITC | (http->tls ? MHD_USE_TLS : 0);
    struct MHD_OptionItem tls[] = {
        { MHD_OPTION_HTTPS_CERT_CALLBACK, 0, (void *)no_certificate },
        { MHD_OPTION_END, 0, NULL },
    };
    return MHD_start_daemon(flags, 0, NULL, NULL, on_request, http, MHD_OPTION_URI_LOG_CALLBACK, on_target, http,
                            MHD_OPTION_NOTIFY_COMPLETED, on_completed, http, MHD_OPTION_NOTIFY_CONNECTION, on_connection, http,
                            MHD_OPTION_CONNECTION_LIMIT, limits->connections + SPARE_CONNECTIONS,
                            MHD_OPTION_CONNECTION_MEMORY_LIMIT, limits->header_bytes, MHD_OPTION_CONNECTION_TIMEOUT, 0U,
                            MHD_OPTION_THREAD_STACK_SIZE, (size_t)THREAD_STACK_BYTES, MHD_OPTION_ARRAY, http->tls ? tls : &tls[1],
                            MHD_OPTION_END);
}

/* Everything but to begin. The sockets stay the caller's. */
static enum kvtel_status prepare(struct http *http, const struct http_options *options, const struct http_limits *limits,
                                 struct kvtel_error *error)
{
    http->routes = options->routes;
    http->route_count = options->route_count;
    http->rate = (struct rate_limit)RATE_LIMIT_INIT;
    http->watch = web_watch_open(options->web_config, &options->log, error);
    if (!http->watch)
        return error->status;
    struct web_state *state = web_watch_current(http->watch);
    http->tls = state && web_state_tls(state);
    web_state_release(state);
    http->auth = auth_create();
    http->in_flight = calloc(options->route_count ? options->route_count : 1, sizeof *http->in_flight);
    if (!http->auth || !http->in_flight)
        return kvtel_fail(error, KVTEL_E_NOMEM, 0, "out of memory");
    http->daemon = start_daemon(http, limits);
    if (!http->daemon)
        return kvtel_fail(error, KVTEL_E_IO, 0, "libmicrohttpd did not start");
    http->connections = connections_create(&(struct connections_options){ .sockets = options->sockets,
                                                                          .socket_count = options->socket_count,
                                                                          .limits = *limits,
                                                                          .tls = http->tls,
                                                                          .take = take,
                                                                          .context = http });
    return http->connections ? KVTEL_OK : kvtel_fail(error, KVTEL_E_NOMEM, 0, "out of memory");
}

static void destroy(struct http *http)
{
    if (http->daemon)
        MHD_stop_daemon(http->daemon);
    connections_destroy(http->connections);
    auth_destroy(http->auth);
    web_watch_close(http->watch);
    free(http->in_flight);
    free(http);
}

struct http *http_start(const struct http_options *options, struct kvtel_error *error)
{
    struct http *http = calloc(1, sizeof *http);
    struct http_limits limits = resolve(&options->limits);
    enum kvtel_status status = http ? prepare(http, options, &limits, error) : kvtel_fail(error, KVTEL_E_NOMEM, 0, "out of memory");
    if (status == KVTEL_OK)
        status = connections_start(http->connections, error);
    else
        listen_close(options->sockets, options->socket_count);
    if (status == KVTEL_OK)
        return http;
    if (http)
        destroy(http);
    return NULL;
}

void http_stop(struct http *http)
{
    if (!http)
        return;
    auth_stop(http->auth);
    connections_stop(http->connections);
    destroy(http);
}

bool http_look(struct http *http)
{
    struct web_state *state = web_watch_look(http->watch);
    web_state_release(state);
    return state != NULL;
}

unsigned http_connections(struct http *http)
{
    return connections_count(http->connections);
}
