/* SPDX-License-Identifier: Apache-2.0 */
/* One request and its answer. The decision depends on framing, rate, credentials, path, method, origin and size. For
 * http.c only. An exchange belongs to its connection's thread. */
#ifndef KVTEL_SERVE_WEB_EXCHANGE_H
#define KVTEL_SERVE_WEB_EXCHANGE_H

#include "serve/web/auth.h"
#include "serve/web/connections.h"
#include "serve/web/framing.h"
#include "serve/web/http.h"
#include "serve/web/rate_limit.h"
#include "serve/web/spare.h"
#include "serve/web/target.h"

#include <stdatomic.h>

struct http {
    const struct http_route *routes;
    size_t route_count;
    struct spare spare;     /* of routes that keep memory */
    atomic_uint *in_flight; /* for each route: number of requests whose handler runs */
    const char *const *allowed_hosts;
    size_t allowed_host_count;
    _Atomic uint64_t *refused_posts;
    struct web_watch *watch;
    struct web_log log;
    struct auth *auth;
    struct rate_limit rate;
    bool tls;
    struct connections *connections;
    struct MHD_Daemon *daemon;
    char reason[256]; /* why libmicrohttpd failed to start */
};

/* A TCP connection. */
struct client {
    struct connection *connection;
    struct web_state *state; /* the configuration whose certificates the handshake used; NULL: plain HTTP */
};

/* One request, from its first line to the end of its answer. */
struct exchange {
    struct http *http;
    struct client *client;
    struct MHD_Connection *connection;
    char *text; /* the target as sent; `target` points into it */
    struct target target;
    bool target_is_good;
    struct web_state *state; /* configuration for the answer's headers and, unless `closed`, for all decisions */
    bool closed;             /* the web configuration is invalid */
    const struct http_route *route;
    enum http_method method;
    bool counted;                  /* counted in in_flight */
    struct http_response response; /* status 0: not decided yet */
    bool begun, sent, close;
    struct kvtel_buffer body;
    size_t received, discarded;
    char allow[48];
};

/* @return owned; NULL: no memory */
struct exchange *exchange_open(struct http *http, struct client *client, struct MHD_Connection *connection,
                               const char *target);
/* NULL is allowed. */
void exchange_close(struct exchange *exchange);

/* Sets the answer without calling a handler. `header` NULL: no extra header. Returns false, so that a caller can
 * return it. */
bool exchange_refuse(struct exchange *exchange, unsigned status, const char *text, const char *header,
                     const char *value);
/* Call it when the headers are complete: finds the handler, or refuses. */
void exchange_decide(struct exchange *exchange, const char *method, const struct framing *framing);
/* Call it when the request is complete: calls the handler, unless the request was refused. */
void exchange_handle(struct exchange *exchange);
/* Sends the answer. MHD_NO: the connection is closed without one. */
enum MHD_Result exchange_answer(struct exchange *exchange);

/* Appends the bytes of an answer that closes the connection, with the headers of `state` (may be NULL). */
enum kvtel_status exchange_write_refusal(struct kvtel_buffer *out, const struct web_state *state, unsigned status,
                                         const char *text);

#endif
