/* SPDX-License-Identifier: Apache-2.0 */
/* Decides on a request and sends the answer. */
#include "serve/web/exchange.h"

#include "base/buffer.h"
#include "serve/web/cross_site.h"
#include "serve/web/coding.h"
#include "serve/web/gzip.h"
#include "serve/web/zstd.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { PACKED_LEAST = 512 }; /* shorter answers are sent as they are */

#define PLAIN_TEXT "text/plain; charset=utf-8"

struct exchange *exchange_open(struct http *http, struct client *client, struct MHD_Connection *connection,
                               const char *target)
{
    struct exchange *exchange = calloc(1, sizeof *exchange);
    if (!exchange)
        return NULL;
    exchange->http = http;
    exchange->client = client;
    exchange->connection = connection;
    exchange->text = strdup(target);
    if (!exchange->text) {
        free(exchange);
        return NULL;
    }
    exchange->target_is_good = target_parse(exchange->text, &exchange->target);
    return exchange;
}

/* The handler has returned and the answer is ready: another request may take its place. */
static void give_place_back(struct exchange *exchange)
{
    if (exchange->counted)
        atomic_fetch_sub_explicit(&exchange->http->in_flight[exchange->route - exchange->http->routes], 1,
                                  memory_order_relaxed);
    exchange->counted = false;
}

void exchange_close(struct exchange *exchange)
{
    if (!exchange)
        return;
    give_place_back(exchange);
    web_state_release(exchange->state);
    kvtel_buffer_free(&exchange->body);
    kvtel_buffer_free(&exchange->response.body);
    free(exchange->text);
    free(exchange);
}

static const char *header_of(const struct exchange *exchange, const char *name)
{
    return MHD_lookup_connection_value(exchange->connection, MHD_HEADER_KIND, name);
}

/* -- What a request gets -- */

bool exchange_refuse(struct exchange *exchange, unsigned status, const char *text, const char *header,
                     const char *value)
{
    struct http_response *response = &exchange->response;
    response->status = status;
    response->content_type = PLAIN_TEXT;
    response->headers[0].name = "X-Content-Type-Options";
    response->headers[0].value = "nosniff";
    response->headers[1].name = header;
    response->headers[1].value = value;
    response->body.size = 0;
    kvtel_buffer_printf(&response->body, "%s\n", text); /* without memory the body stays empty */
    return false;
}

static const struct http_route *find_route(const struct http *http, const char *path)
{
    for (size_t i = 0; i < http->route_count; i++)
        if (strcmp(http->routes[i].path, path) == 0)
            return &http->routes[i];
    return NULL;
}

static int64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

/* Whether the credentials are good and the rate allows the request, whatever its path. */
static bool admit(struct exchange *exchange)
{
    struct http *http = exchange->http;
    if (exchange->closed)
        return exchange_refuse(exchange, MHD_HTTP_INTERNAL_SERVER_ERROR, "Internal Server Error", NULL, NULL);
    const struct web_config *config = web_state_config(exchange->state);
    if (!rate_limit_allow(&http->rate, now_ns(), config->rate_interval_ns, config->rate_burst))
        return exchange_refuse(exchange, MHD_HTTP_TOO_MANY_REQUESTS, "Too Many Requests", NULL, NULL);
    switch (auth_check(http->auth, config, connection_address(exchange->client->connection),
                       header_of(exchange, MHD_HTTP_HEADER_AUTHORIZATION))) {
    case AUTH_GOOD:
        return true;
    case AUTH_BUSY:
        return exchange_refuse(exchange, MHD_HTTP_SERVICE_UNAVAILABLE,
                               "Too many passwords are being checked, try again later.", MHD_HTTP_HEADER_RETRY_AFTER,
                               "5");
    case AUTH_BAD:
    default:
        return exchange_refuse(exchange, MHD_HTTP_UNAUTHORIZED, "Unauthorized", MHD_HTTP_HEADER_WWW_AUTHENTICATE,
                               "Basic");
    }
}

/* Writes an Allow header's value. */
static const char *allowed_methods(struct exchange *exchange, unsigned methods)
{
    snprintf(exchange->allow, sizeof exchange->allow, "%s%sOPTIONS", methods & HTTP_GET ? "GET, HEAD, " : "",
             methods & HTTP_POST ? "POST, " : "");
    return exchange->allow;
}

/* Answers OPTIONS: an Allow header without a body, and nothing that permits another origin's page. */
static bool answer_options(struct exchange *exchange, unsigned methods)
{
    exchange->response.status = MHD_HTTP_NO_CONTENT;
    exchange->response.headers[0].name = MHD_HTTP_HEADER_ALLOW;
    exchange->response.headers[0].value = allowed_methods(exchange, methods);
    return false;
}

/* Refuses requests that another site's page made a browser send. */
static bool check_origin(struct exchange *exchange)
{
    const struct http *http = exchange->http;
    const char *authority = exchange->target.authority;
    switch (cross_site_check(&(struct cross_site_request){
        .host = authority ? authority : header_of(exchange, MHD_HTTP_HEADER_HOST),
        .origin = header_of(exchange, MHD_HTTP_HEADER_ORIGIN),
        .fetch_site = header_of(exchange, "Sec-Fetch-Site"),
        .content_type = header_of(exchange, MHD_HTTP_HEADER_CONTENT_TYPE),
        .allowed = http->allowed_hosts,
        .allowed_count = http->allowed_host_count,
        .check_host = http->allowed_host_count > 0 || connection_is_local(exchange->client->connection),
    })) {
    case CROSS_SITE_ORIGIN:
        return exchange_refuse(exchange, MHD_HTTP_FORBIDDEN, "Forbidden: a page of another origin may not post here",
                               NULL, NULL);
    case CROSS_SITE_HOST:
        return exchange_refuse(
            exchange, MHD_HTTP_FORBIDDEN,
            "Forbidden: the Host header is not a name of this machine; --web.allowed-host=NAME allows one", NULL, NULL);
    case CROSS_SITE_FORM:
        return exchange_refuse(exchange, MHD_HTTP_UNSUPPORTED_MEDIA_TYPE,
                               "Unsupported Media Type: a web form could send that; with curl: -H 'Content-Type: "
                               "application/jsonl' --data-binary @FILE",
                               NULL, NULL);
    case CROSS_SITE_NOT:
    default:
        return true;
    }
}

/* Finds the route and checks whether it accepts this request. */
static bool find_handler(struct exchange *exchange, const char *method, const struct framing *framing)
{
    bool options = strcmp(method, MHD_HTTP_METHOD_OPTIONS) == 0;
    if (!exchange->target_is_good || (*exchange->target.path == '*' && !options))
        return exchange_refuse(exchange, MHD_HTTP_BAD_REQUEST,
                               "Bad Request: the target is neither a path nor an address", NULL, NULL);
    if (*exchange->target.path == '*')
        return answer_options(exchange, HTTP_GET | HTTP_POST);
    const struct http_route *route = exchange->route;
    if (!route)
        return exchange_refuse(exchange, MHD_HTTP_NOT_FOUND, "404 page not found", NULL, NULL);
    if (options)
        return answer_options(exchange, route->methods);
    unsigned asked = strcmp(method, MHD_HTTP_METHOD_GET) == 0 || strcmp(method, MHD_HTTP_METHOD_HEAD) == 0 ? HTTP_GET
                     : strcmp(method, MHD_HTTP_METHOD_POST) == 0                                           ? HTTP_POST
                                                                                                           : 0;
    if (!(route->methods & asked))
        return exchange_refuse(exchange, MHD_HTTP_METHOD_NOT_ALLOWED, "Method Not Allowed", MHD_HTTP_HEADER_ALLOW,
                               allowed_methods(exchange, route->methods));
    exchange->method = (enum http_method)asked;
    if (asked == HTTP_GET && (framing->chunked || framing->length > 0))
        return exchange_refuse(exchange, MHD_HTTP_BAD_REQUEST, "Bad Request: a GET must not have a body here", NULL,
                               NULL);
    if (asked == HTTP_POST && !check_origin(exchange)) {
        if (exchange->http->refused_posts)
            atomic_fetch_add_explicit(exchange->http->refused_posts, 1, memory_order_relaxed);
        return false;
    }
    if (framing->length > route->max_body)
        return exchange_refuse(exchange, MHD_HTTP_CONTENT_TOO_LARGE, "Content Too Large", NULL, NULL);
    return true;
}

void exchange_decide(struct exchange *exchange, const char *method, const struct framing *framing)
{
    struct http *http = exchange->http;
    exchange->state = web_watch_current(http->watch);
    exchange->closed = !exchange->state;
    if (exchange->closed)
        exchange->state = web_watch_last(http->watch);
    /* After a change of certificates the connection is closed, so that the next request uses a handshake with the
     * new ones. */
    exchange->close = exchange->client->state && exchange->client->state != exchange->state;
    exchange->route = exchange->target_is_good ? find_route(http, exchange->target.path) : NULL;
    if (framing->malformed) {
        exchange_refuse(exchange, MHD_HTTP_BAD_REQUEST, "Bad Request", NULL, NULL);
        exchange->close = true;
    } else if ((exchange->route && exchange->route->open) || admit(exchange)) {
        find_handler(exchange, method, framing);
    }
}

/* Takes one of the route's places for running handlers. False: all are taken. */
static bool take_place(struct exchange *exchange)
{
    const struct http_route *route = exchange->route;
    atomic_uint *in_flight = &exchange->http->in_flight[route - exchange->http->routes];
    exchange->counted = true;
    if (atomic_fetch_add_explicit(in_flight, 1, memory_order_relaxed) < route->max_requests ||
        route->max_requests == 0) /* no limit: only counted */
        return true;
    char text[96];
    give_place_back(exchange);
    snprintf(text, sizeof text, "Limit of concurrent requests reached (%u), try again later.", route->max_requests);
    return exchange_refuse(exchange, MHD_HTTP_SERVICE_UNAVAILABLE, text, NULL, NULL);
}

void exchange_handle(struct exchange *exchange)
{
    if (exchange->response.status || !take_place(exchange))
        return;
    struct http_request request = {
        .method = exchange->method,
        .path = exchange->route->path,
        .query = exchange->target.query,
        .body = exchange->body.bytes,
        .body_size = exchange->body.size,
        .connection = exchange->connection,
    };
    connections_phase(exchange->http->connections, exchange->client->connection, CONNECTION_HANDLER);
    exchange->response.status = MHD_HTTP_OK;
    if (exchange->route->keeps_memory)
        spare_take(&exchange->http->spare, &exchange->response.body);
    exchange->route->handler(exchange->route->context, &request, &exchange->response);
    kvtel_buffer_free(&exchange->body);
}

/* -- Answers -- */

static bool add_header(struct MHD_Response *response, const char *name, const char *value)
{
    return MHD_add_response_header(response, name, value) == MHD_YES;
}

/* Adds the answer's own headers, and those headers of the web configuration that the answer does not set. */
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

static void give_memory_back(const struct exchange *exchange, struct kvtel_buffer *body)
{
    if (exchange->route && exchange->route->keeps_memory)
        spare_give(&exchange->http->spare, body);
    else
        kvtel_buffer_free(body);
}

static enum kvtel_status pack(const struct exchange *exchange, enum coding coding, struct kvtel_buffer *packed)
{
    const struct kvtel_buffer *body = &exchange->response.body;
    if (coding == CODING_ZSTD)
        return zstd_compress(body->bytes, body->size, packed);
    return gzip_compress(body->bytes, body->size, packed);
}

/* Compresses the body, of which the rest is freed. Returns the coding that it has then. */
static enum coding compress(struct exchange *exchange, enum coding coding)
{
    struct kvtel_buffer *body = &exchange->response.body, packed = { 0 };
    if (coding == CODING_PLAIN || pack(exchange, coding, &packed) != KVTEL_OK) {
        kvtel_buffer_free(&packed);
        return CODING_PLAIN;
    }
    give_memory_back(exchange, body);
    *body = packed;
    return coding;
}

/* The memory of an answer, and who gets it when the answer was sent. */
struct sent {
    struct spare *spare;
    struct kvtel_buffer body;
};

static void was_sent(void *context)
{
    struct sent *sent = context;
    spare_give(sent->spare, &sent->body);
    free(sent);
}

/* The answer takes the body's memory over. NULL: no memory, and the body is as before. */
static struct MHD_Response *answer_with(const struct exchange *exchange, const struct kvtel_buffer *body)
{
    if (!exchange->route || !exchange->route->keeps_memory)
        return MHD_create_response_from_buffer(body->size, body->bytes, MHD_RESPMEM_MUST_FREE);
    struct sent *sent = malloc(sizeof *sent);
    if (!sent)
        return NULL;
    *sent = (struct sent){ &exchange->http->spare, *body };
    struct MHD_Response *response =
        MHD_create_response_from_buffer_with_free_callback_cls(body->size, body->bytes, was_sent, sent);
    if (!response)
        free(sent);
    return response;
}

/* Makes the answer from the body, compressed if the client accepts it and it pays. From now on the answer may wait
 * for its client without a place of its route, and its memory is counted instead of the request's. */
static bool encode(struct exchange *exchange, struct MHD_Response **response)
{
    struct kvtel_buffer *body = &exchange->response.body;
    enum coding coding = exchange->response.coding;
    bool varies = exchange->response.status == MHD_HTTP_OK && (coding != CODING_PLAIN || body->size >= PACKED_LEAST);
    if (varies && coding == CODING_PLAIN)
        coding = compress(exchange, coding_choose(header_of(exchange, MHD_HTTP_HEADER_ACCEPT_ENCODING)));
    give_place_back(exchange);
    spare_fit(body);
    if (!connections_hold_answer(exchange->http->connections, exchange->client->connection, body->capacity)) {
        kvtel_buffer_free(body);
        exchange->response = (struct http_response){ 0 };
        varies = false;
        coding = CODING_PLAIN;
        exchange_refuse(exchange, MHD_HTTP_SERVICE_UNAVAILABLE,
                        "Too many answers wait for their clients, try again later.", NULL, NULL);
    }
    *response = answer_with(exchange, body);
    if (!*response)
        return false;
    *body = (struct kvtel_buffer){ 0 };
    return (!varies || add_header(*response, MHD_HTTP_HEADER_VARY, MHD_HTTP_HEADER_ACCEPT_ENCODING)) &&
           (coding == CODING_PLAIN || add_header(*response, MHD_HTTP_HEADER_CONTENT_ENCODING, coding_name(coding)));
}

enum MHD_Result exchange_answer(struct exchange *exchange)
{
    struct MHD_Response *response = NULL;
    enum MHD_Result result = MHD_NO;
    if (encode(exchange, &response) && add_headers(response, exchange)) {
        exchange->sent = true;
        result = MHD_queue_response(exchange->connection, exchange->response.status, response);
    }
    if (response)
        MHD_destroy_response(response);
    return result;
}

enum kvtel_status exchange_write_refusal(struct kvtel_buffer *out, const struct web_state *state, unsigned status,
                                         const char *text)
{
    const struct web_config *config = state ? web_state_config(state) : NULL;
    bool sniffs = true;
    enum kvtel_status done = kvtel_buffer_printf(
        out, "HTTP/1.1 %u %s\r\nContent-Type: " PLAIN_TEXT "\r\nConnection: close\r\nContent-Length: %zu\r\n", status,
        MHD_get_reason_phrase_for(status), strlen(text) + 1);
    for (size_t i = 0; done == KVTEL_OK && config && i < config->header_count; i++) {
        sniffs = sniffs && strcmp(config->headers[i].name, "X-Content-Type-Options") != 0;
        if (*config->headers[i].value)
            done = kvtel_buffer_printf(out, "%s: %s\r\n", config->headers[i].name, config->headers[i].value);
    }
    if (done == KVTEL_OK)
        done = kvtel_buffer_printf(out, "%s\r\n%s\n", sniffs ? "X-Content-Type-Options: nosniff\r\n" : "", text);
    return done;
}
