/* SPDX-License-Identifier: Apache-2.0 */
/* The HTTP server of `kvtel serve`: routes with exact paths, TLS and authentication by a web configuration file.
 * Each connection has its own thread, so clients do not wait for each other. Each phase of a request has a deadline,
 * so no client can keep its place for ever. */
#ifndef KVTEL_SERVE_WEB_HTTP_H
#define KVTEL_SERVE_WEB_HTTP_H

#include "serve/web/coding.h"
#include "serve/web/listen.h"
#include "serve/web/watch.h"

#include <kvtel/base.h>
#include <kvtel/buffer.h>

struct http;

/* Bits of the methods that a route accepts. A route that accepts GET also accepts HEAD: the handler sees a GET, and
 * the client does not get a body. */
enum http_method { HTTP_GET = 1, HTTP_POST = 2 };

struct http_request {
    enum http_method method;
    const char *path;  /* the route's */
    const char *query; /* the part after '?', percent-encoded as sent; "": none */
    const char *body;  /* NULL: none */
    size_t body_size;
    void *connection; /* for http_request_header */
};

/* The first header of this name (in any case); NULL: missing. Borrowed until the handler returns. */
const char *http_request_header(const struct http_request *request, const char *name);

enum { HTTP_EXTRA_HEADERS = 8 };

/* The handler gets {.status = 200} and fills the struct. Texts that the struct points to must stay valid after the
 * handler returns (literals do). */
struct http_response {
    unsigned status;
    const char *content_type;
    struct kvtel_buffer body; /* the server frees it */
    enum coding coding;       /* the coding that the body has already; CODING_PLAIN: the server may pack it */
    struct {
        const char *name, *value;
    } headers[HTTP_EXTRA_HEADERS]; /* the first one without a name ends the list */
};

/* A handler. It runs on the connection's thread, at the same time as other handlers. It may block. */
typedef void (*http_handler)(void *context, const struct http_request *request, struct http_response *response);

struct http_route {
    const char *path; /* whole and exact, e.g. "/metrics" */
    unsigned methods; /* HTTP_GET | HTTP_POST */
    http_handler handler;
    void *context;
    size_t max_body; /* largest body of a POST in bytes; larger ones are answered 413 */
    /* Limit of requests whose handler runs or whose answer is being compressed; further ones are answered 503. 0: no
     * limit. */
    unsigned max_requests;
    /* The route does not need a password, does not count for the rate limit, and is served while the web
     * configuration is invalid. */
    bool open;
    bool keeps_memory; /* of an answer, for the next one */
};

struct http_limits {
    /* 0: 512. At most half of the process's file descriptors. When all connections are taken, one gives way to a new
     * one: the one that has been idle longest, else the one that has been without a whole request, or has been
     * reading its answer slowly, for longest. */
    unsigned connections;
    unsigned connections_per_address; /* 0: 256; an IPv6 address counts by its /64 */
    size_t header_bytes;              /* 0: 32 KiB: request line and headers */
    unsigned header_ms;   /* 0: 10 s from the connection's or the request line's arrival to the end of the headers */
    unsigned body_ms;     /* 0: 30 s for the body */
    unsigned response_ms; /* 0: 30 s to read the answer */
    unsigned idle_ms;     /* 0: 120 s from one request to the next */
    /* 0: 128 MiB. Limit of memory for bodies being received and answers not read yet, of all connections together; a
     * single one may exceed it. */
    size_t held_bytes;
};

struct http_options {
    const struct listen_socket
        /* From listen_open() or listen_systemd(). http_start() owns them from now on, also when it fails. */
        *sockets;
    size_t socket_count;
    const char *web_config;          /* path of the web configuration file; NULL: plain HTTP for anyone */
    const struct http_route *routes; /* borrowed until http_stop */
    size_t route_count;
    struct http_limits limits;
    /* Names, without a port, to which a POST may be addressed besides this machine's own; borrowed until
     * http_stop(). If there are none, the name is checked only on sockets with a loopback address. */
    const char *const *allowed_hosts;
    size_t allowed_host_count;
    _Atomic uint64_t *refused_posts; /* counts posts that a web page could have sent; NULL: nobody counts them */
    struct web_log log;
};

/* Starts serving. @return owned, stop it with http_stop(); NULL: `error` says why; for an error in the web
 * configuration file the message gives its name, line and column */
struct http *http_start(const struct http_options *options, struct kvtel_error *error);

/* Refuses new connections, waits for running handlers, and closes everything. Calls that wait for a password check
 * return at once. NULL is allowed. */
void http_stop(struct http *http);

/* Reads the web configuration now, not only with the next request after a second. Returns whether it is valid. Any
 * thread. */
bool http_look(struct http *http);

/* Number of open connections. Any thread. */
unsigned http_connections(struct http *http);

#endif
