/* SPDX-License-Identifier: Apache-2.0 */
/* The HTTP server of `kvtel serve`: routes with exact paths, TLS and authentication by a web configuration file. Each
 * connection has a thread of its own, so that no client waits for another; each phase of a request has a deadline, so
 * that none holds its place. */
#ifndef KVTEL_SERVE_WEB_HTTP_H
#define KVTEL_SERVE_WEB_HTTP_H

#include "serve/web/listen.h"
#include "serve/web/watch.h"

#include <kvtel/base.h>
#include <kvtel/buffer.h>

struct http;

/* A bit each: what a route takes. A route that takes GET takes HEAD as well: the handler sees a GET, the client gets no
 * body. */
enum http_method { HTTP_GET = 1, HTTP_POST = 2 };

struct http_request {
    enum http_method method;
    const char *path;  /* the route's */
    const char *query; /* behind '?', percent-encoded as sent; "" when there is none */
    const char *body;  /* NULL when there is none */
    size_t body_size;
    void *connection; /* for http_request_header */
};

/* The first header of this name (any case); NULL when there is none. Borrowed until the handler returns. */
const char *http_request_header(const struct http_request *request, const char *name);

enum { HTTP_EXTRA_HEADERS = 8 };

/* Comes to the handler as {.status = 200}. What the members point at must outlive the handler (literals do). */
struct http_response {
    unsigned status;
    const char *content_type;
    struct kvtel_buffer body; /* the server frees it */
    struct {
        const char *name, *value;
    } headers[HTTP_EXTRA_HEADERS]; /* ends at the first without a name */
};

/* Runs on the connection's thread, at the same time as others of its kind. May block. */
typedef void (*http_handler)(void *context, const struct http_request *request, struct http_response *response);

struct http_route {
    const char *path; /* whole and exact, e.g. "/metrics" */
    unsigned methods; /* HTTP_GET | HTTP_POST */
    http_handler handler;
    void *context;
    size_t max_body;       /* bytes that a POST may carry; more is answered 413 */
    unsigned max_requests; /* whose handler runs or whose answer is compressed at one time; more is answered 503. 0: no
                              limit */
    bool open; /* asks for no password, takes nothing of the rate, and is served while the web configuration is bad */
};

struct http_limits {
    /* 0: 512; at most half of the file descriptors that the process may have. When all are taken the longest idle one
     * gives way to a new one; else the one that is without a whole request, or takes its answer slowly, for longest */
    unsigned connections;
    unsigned connections_per_address; /* 0: 256; an IPv6 address counts by its /64 */
    size_t header_bytes;              /* 0: 32 KiB: request line and headers */
    unsigned header_ms;   /* 0: 10 s from the connection's or the request line's arrival to the end of the headers */
    unsigned body_ms;     /* 0: 30 s for the body */
    unsigned response_ms; /* 0: 30 s to read the answer */
    unsigned idle_ms;     /* 0: 120 s from one request to the next */
    size_t held_bytes;    /* 0: 128 MiB: bodies that come and answers that wait to be read, of all together; one
                           * alone may have more */
};

struct http_options {
    const struct listen_socket
        *sockets; /* from listen_open or listen_systemd; http_start takes them over, also when it fails */
    size_t socket_count;
    const char *web_config;          /* path of the web configuration file; NULL: plain HTTP for anyone */
    const struct http_route *routes; /* borrowed until http_stop */
    size_t route_count;
    struct http_limits limits;
    /* Names, without a port, that a POST may be addressed to besides this machine's own; borrowed until http_stop.
     * Without any, only a socket on a loopback address looks at the name. */
    const char *const *allowed_hosts;
    size_t allowed_host_count;
    struct web_log log;
};

/* Starts serving. @return owned, stop it with http_stop; NULL: `error` says why (a place in the web configuration file:
 * with the file's name, line and column in the message) */
struct http *http_start(const struct http_options *options, struct kvtel_error *error);

/* Refuses new connections, waits for handlers that run, closes everything. Waiting for a password check ends at once.
 * NULL is fine.
 */
void http_stop(struct http *http);

/* Reads the web configuration at once, rather than with the next request after a second. Returns whether it is good.
 * Any thread. */
bool http_look(struct http *http);

/* Connections that are open now. Any thread. */
unsigned http_connections(struct http *http);

#endif
