/* SPDX-License-Identifier: Apache-2.0 */
/* The server. libmicrohttpd speaks HTTP with one thread for each connection, connections.c hands connections over to
 * it, and exchange.c decides on each request. */
#include "serve/web/http.h"

#include "base/buffer.h"
#include "base/error.h"
#include "serve/web/exchange.h"
#include "serve/web/tls.h"

#include <errno.h>
#include <gnutls/abstract.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    DISCARD_MOST =
        /* This much of a refused body is read, so that the client sees the answer; a longer body closes the
         * connection. */
    1 << 20,
    THREAD_STACK_BYTES = 512 << 10,
    /* connections.c limits the connections. libmicrohttpd's own limit must never be reached: it removes a closed
     * connection a moment later than connections.c, and at its limit it would wait for a lock that it holds. */
    LIBRARY_CONNECTIONS = 1 << 20,
    TLS_HANDSHAKE_RECORD = 0x16,
};

const char *http_request_header(const struct http_request *request, const char *name)
{
    return MHD_lookup_connection_value(request->connection, MHD_HEADER_KIND, name);
}

/* -- Refusals that libmicrohttpd has no part in -- */

/* Ends sending and reads what has arrived: unread bytes would make the kernel drop the answer. */
static void end_sending(int fd)
{
    char rest[4096];
    shutdown(fd, SHUT_WR);
    for (size_t read = 0; read < DISCARD_MOST && recv(fd, rest, sizeof rest, MSG_DONTWAIT) > 0; read += sizeof rest)
        ;
}

static void refuse_plain(int fd, struct http *http, unsigned status, const char *text)
{
    struct kvtel_buffer answer = { 0 };
    struct web_state *state = web_watch_last(http->watch);
    if (exchange_write_refusal(&answer, state, status, text) == KVTEL_OK)
        (void)send(fd, answer.bytes, answer.size, MSG_NOSIGNAL | MSG_DONTWAIT);
    end_sending(fd);
    web_state_release(state);
    kvtel_buffer_free(&answer);
}

/* The request that this thread serves; NULL: none at the moment. */
static _Thread_local struct exchange *served;

/* Answers a request before libmicrohttpd refuses it by itself. libmicrohttpd's answer lacks the configured headers,
 * and to a bad Content-Length it sends two answers. What libmicrohttpd writes afterwards is dropped. */
static void refuse_instead(struct exchange *exchange, unsigned status)
{
    const union MHD_ConnectionInfo *tls =
        MHD_get_connection_info(exchange->connection, MHD_CONNECTION_INFO_GNUTLS_SESSION);
    int fd = MHD_get_connection_info(exchange->connection, MHD_CONNECTION_INFO_CONNECTION_FD)->connect_fd;
    const char *text = MHD_get_reason_phrase_for(status);
    if (!tls || !tls->tls_session) {
        refuse_plain(fd, exchange->http, status, text);
        return;
    }
    struct kvtel_buffer answer = { 0 };
    struct web_state *state = web_watch_last(exchange->http->watch);
    if (exchange_write_refusal(&answer, state, status, text) == KVTEL_OK)
        (void)gnutls_record_send(tls->tls_session, answer.bytes, answer.size);
    (void)gnutls_bye(tls->tls_session, GNUTLS_SHUT_WR);
    end_sending(fd);
    web_state_release(state);
    kvtel_buffer_free(&answer);
}

/* Whether libmicrohttpd lacks a thread or memory for a new connection. */
static bool is_shortage(const char *format)
{
    static const char *const messages[] = { "Failed to create a", "Error allocating memory" };
    for (size_t i = 0; i < sizeof messages / sizeof *messages; i++)
        if (strncmp(format, messages[i], strlen(messages[i])) == 0)
            return true;
    return false;
}

/* Receives libmicrohttpd's messages. */
static void on_message(void *context, const char *format, va_list arguments)
{
    static const char refusing[] = "Error processing request (HTTP response code is %u";
    struct http *http = context;
    struct exchange *exchange = served;
    if (!http->connections && !*http->reason) { /* during the start: the first message names the reason of a failure */
        vsnprintf(http->reason, sizeof http->reason, format, arguments);
        http->reason[strcspn(http->reason, "\n")] = '\0';
    } else if (exchange && !exchange->sent && strncmp(format, refusing, sizeof refusing - 1) == 0) {
        refuse_instead(exchange, va_arg(arguments, unsigned));
    } else if (http->connections && is_shortage(format)) {
        connections_make_room(http->connections);
    }
}

/* -- libmicrohttpd's calls, in the order in which they come -- */

static enum MHD_Result begin(struct exchange *exchange, const char *method, const char *version)
{
    struct http *http = exchange->http;
    struct framing framing = framing_of(exchange->connection, version);
    connections_phase(http->connections, exchange->client->connection, CONNECTION_HANDLER);
    exchange_decide(exchange, method, &framing);
    if (framing.malformed)
        return exchange_answer(exchange);
    if (!framing.chunked && framing.length == 0)
        return MHD_YES;
    /* The answer to a refused body is sent after the body: an earlier answer is lost when the connection closes. */
    bool waits = MHD_lookup_connection_value(exchange->connection, MHD_HEADER_KIND, MHD_HTTP_HEADER_EXPECT);
    if (exchange->response.status && (waits || framing.length > DISCARD_MOST))
        return exchange_answer(exchange);
    connections_phase(http->connections, exchange->client->connection, CONNECTION_BODY);
    return MHD_YES;
}

static void take_bytes(struct exchange *exchange, const char *bytes, size_t size)
{
    struct http *http = exchange->http;
    if (exchange->received > exchange->route->max_body)
        exchange_refuse(exchange, MHD_HTTP_CONTENT_TOO_LARGE, "Content Too Large", NULL, NULL);
    else if (!connections_hold_body(http->connections, exchange->client->connection, exchange->received))
        exchange_refuse(exchange, MHD_HTTP_SERVICE_UNAVAILABLE, "Too many bodies come at one time, try again later.",
                        NULL, NULL);
    else if (kvtel_buffer_append(&exchange->body, bytes, size) != KVTEL_OK)
        exchange_refuse(exchange, MHD_HTTP_SERVICE_UNAVAILABLE, "Out of memory, try again later.", NULL, NULL);
}

static enum MHD_Result take_body(struct exchange *exchange, const char *bytes, size_t *size)
{
    exchange->received += *size;
    if (!exchange->response.status)
        take_bytes(exchange, bytes, *size);
    if (exchange->response.status) {
        kvtel_buffer_free(&exchange->body);
        exchange->discarded += *size;
        if (exchange->discarded > DISCARD_MOST)
            return MHD_NO;
    }
    *size = 0;
    return MHD_YES;
}

static enum MHD_Result on_request(void *context, struct MHD_Connection *connection, const char *url, const char *method,
                                  const char *version, const char *bytes, size_t *size, void **request)
{
    struct exchange *exchange = *request;
    (void)context;
    (void)connection;
    (void)url; /* not used: libmicrohttpd unescapes it, so that different paths become equal */
    if (!exchange)
        return MHD_NO;
    if (!exchange->begun) {
        exchange->begun = true;
        return begin(exchange, method, version);
    }
    if (*size > 0)
        return take_body(exchange, bytes, size);
    exchange_handle(exchange);
    return exchange_answer(exchange);
}

/* Called when the request line is complete. The returned pointer is passed as `request` to the other callbacks; NULL
 * closes the connection. */
static void *on_target(void *context, const char *target, struct MHD_Connection *connection)
{
    struct http *http = context;
    const union MHD_ConnectionInfo *info = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    struct client *client = info ? info->socket_context : NULL;
    served = client ? exchange_open(http, client, connection, target) : NULL;
    if (served)
        connections_phase(http->connections, client->connection, CONNECTION_HEADER);
    return served;
}

static void on_completed(void *context, struct MHD_Connection *connection, void **request,
                         enum MHD_RequestTerminationCode code)
{
    struct http *http = context;
    struct exchange *exchange = *request;
    (void)connection;
    (void)code;
    if (!exchange)
        return;
    connections_phase(http->connections, exchange->client->connection, CONNECTION_IDLE);
    exchange_close(exchange);
    served = NULL;
    *request = NULL;
}

/* Called for a new connection, before its handshake. If it returns NULL the connection is closed. */
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

static void on_connection(void *context, struct MHD_Connection *connection, void **place,
                          enum MHD_ConnectionNotificationCode code)
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

/* libmicrohttpd's own credentials are replaced before each handshake; a session that kept them must fail. */
static int no_certificate(gnutls_session_t session, const gnutls_datum_t *authorities, int authority_count,
                          const gnutls_pk_algorithm_t *algorithms, int algorithm_count, gnutls_pcert_st **chain,
                          unsigned *chain_length, gnutls_privkey_t *key)
{
    (void)session, (void)authorities, (void)authority_count, (void)algorithms, (void)algorithm_count;
    (void)chain, (void)chain_length, (void)key;
    return -1;
}

/* Called when a connection's first bytes have arrived. */
static bool take(void *context, int fd, const struct sockaddr *address, socklen_t length, unsigned char first_byte)
{
    static const unsigned char internal_error[] = { 21, 3, 1, 0, 2, 2, 80 }; /* a TLS alert, fatal */
    struct http *http = context;
    if (http->tls && first_byte != TLS_HANDSHAKE_RECORD) {
        refuse_plain(fd, http, MHD_HTTP_BAD_REQUEST, "Client sent an HTTP request to an HTTPS server.");
        close(fd);
        return false;
    }
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

/* Limits connections to half of the descriptors, so that the other half remains for everything else. */
static unsigned bounded(unsigned connections)
{
    struct rlimit files;
    if (getrlimit(RLIMIT_NOFILE, &files) == 0 && files.rlim_cur / 2 < connections)
        connections = (unsigned)files.rlim_cur / 2;
    return connections > 1 ? connections : 1;
}

static struct http_limits resolve(const struct http_limits *asked)
{
    return (struct http_limits){
        .connections = bounded(asked->connections ? asked->connections : 512),
        .connections_per_address = asked->connections_per_address ? asked->connections_per_address : 256,
        .header_bytes = asked->header_bytes ? asked->header_bytes : 32 << 10,
        .header_ms = asked->header_ms ? asked->header_ms : 10000,
        .body_ms = asked->body_ms ? asked->body_ms : 30000,
        .response_ms = asked->response_ms ? asked->response_ms : 30000,
        .idle_ms = asked->idle_ms ? asked->idle_ms : 120000,
        .held_bytes = asked->held_bytes ? asked->held_bytes : 128 << 20,
    };
}

static struct MHD_Daemon *start_daemon(struct http *http, const struct http_limits *limits)
{
    unsigned flags = MHD_USE_THREAD_PER_CONNECTION | MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_POLL |
                     MHD_USE_NO_LISTEN_SOCKET | MHD_USE_ITC | MHD_USE_ERROR_LOG | (http->tls ? MHD_USE_TLS : 0);
    struct MHD_OptionItem tls[] = {
        { MHD_OPTION_HTTPS_CERT_CALLBACK, 0, (void *)no_certificate },
        { MHD_OPTION_END, 0, NULL },
    };
    return MHD_start_daemon(flags, 0, NULL, NULL, on_request, http, MHD_OPTION_EXTERNAL_LOGGER, on_message, http,
                            MHD_OPTION_URI_LOG_CALLBACK, on_target, http, MHD_OPTION_NOTIFY_COMPLETED, on_completed,
                            http, MHD_OPTION_NOTIFY_CONNECTION, on_connection, http, MHD_OPTION_CONNECTION_LIMIT,
                            (unsigned)LIBRARY_CONNECTIONS, MHD_OPTION_CONNECTION_MEMORY_LIMIT, limits->header_bytes,
                            MHD_OPTION_CONNECTION_TIMEOUT, 0U, MHD_OPTION_THREAD_STACK_SIZE, (size_t)THREAD_STACK_BYTES,
                            MHD_OPTION_ARRAY, http->tls ? tls : &tls[1], MHD_OPTION_END);
}

/* libmicrohttpd does not set errno, and its message says what failed but not why. */
static enum kvtel_status fail_to_start(const struct http *http, struct kvtel_error *error)
{
    int fd = eventfd(0, EFD_CLOEXEC), failure = fd < 0 ? errno : 0;
    if (fd >= 0)
        close(fd);
    if (failure)
        return kvtel_fail(error, KVTEL_E_IO, 0, "the HTTP server did not start: %s%s", strerror(failure),
                          listen_advice(failure));
    return kvtel_fail(error, KVTEL_E_IO, 0, "the HTTP server did not start: %s",
                      *http->reason ? http->reason : "no memory or no threads");
}

/* Prepares everything before the start. The sockets stay the caller's. */
static enum kvtel_status prepare(struct http *http, const struct http_options *options,
                                 const struct http_limits *limits, struct kvtel_error *error)
{
    http->routes = options->routes;
    http->route_count = options->route_count;
    http->allowed_hosts = options->allowed_hosts;
    http->allowed_host_count = options->allowed_host_count;
    http->refused_posts = options->refused_posts;
    http->log = options->log;
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
        return fail_to_start(http, error);
    http->connections = connections_create(&(struct connections_options){ .sockets = options->sockets,
                                                                          .socket_count = options->socket_count,
                                                                          .limits = *limits,
                                                                          .take = take,
                                                                          .context = http },
                                           error);
    return http->connections ? KVTEL_OK : error->status;
}

static void destroy(struct http *http)
{
    if (http->daemon)
        MHD_stop_daemon(http->daemon);
    connections_destroy(http->connections);
    auth_destroy(http->auth);
    web_watch_close(http->watch);
    spare_free(&http->spare);
    free(http->in_flight);
    free(http);
}

/* Warns once of what everybody who can reach the server may do. */
static void warn_of_strangers(const struct http *http, const struct http_options *options)
{
    const struct listen_socket *reached = NULL;
    for (size_t i = 0; i < options->socket_count && !reached; i++)
        reached = options->sockets[i].loopback ? NULL : &options->sockets[i];
    struct web_state *state = web_watch_last(http->watch);
    const struct web_config *config = web_state_config(state);
    bool users = config->user_count > 0 || config->client_auth == WEB_REQUIRE_AND_VERIFY_CLIENT_CERT;
    if (reached && !users && !http->tls)
        web_log_printf(&http->log, WEB_LOG_WARN,
                       "listening on %s without TLS or users: everybody who reaches it reads all and may post; "
                       "--web.config.file says "
                       "who may, --web.listen-address=127.0.0.1:9466 is for this machine alone",
                       reached->address);
    else if (reached && !http->tls)
        web_log_printf(&http->log, WEB_LOG_WARN,
                       "listening on %s with users but without TLS: their passwords can be read on the way",
                       reached->address);
    web_state_release(state);
}

struct http *http_start(const struct http_options *options, struct kvtel_error *error)
{
    struct http *http = calloc(1, sizeof *http);
    if (!http) {
        (void)kvtel_fail(error, KVTEL_E_NOMEM, 0, "out of memory");
        listen_close(options->sockets, options->socket_count);
        return NULL;
    }
    spare_init(&http->spare);
    struct http_limits limits = resolve(&options->limits);
    enum kvtel_status status = prepare(http, options, &limits, error);
    if (status == KVTEL_OK)
        status = connections_start(http->connections, error);
    else
        listen_close(options->sockets, options->socket_count);
    if (status == KVTEL_OK) {
        warn_of_strangers(http, options);
        return http;
    }
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
