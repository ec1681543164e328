/* SPDX-License-Identifier: Apache-2.0 */
/* One request and its answer: what it gets, by its framing, rate, credentials, path, method, origin and size; and how
 * that is sent. For http.c alone. */
#ifndef KVTEL_SERVE_WEB_EXCHANGE_H
#define KVTEL_SERVE_WEB_EXCHANGE_H

#include "serve/web/auth.h"
#include "serve/web/connections.h"
#include "serve/web/framing.h"
#include "serve/web/http.h"
#include "serve/web/rate_limit.h"
#include "serve/web/target.h"

#include <stdatomic.h>

struct http {
    const struct http_route *routes;
    size_t route_count;
    atomic_uint *in_flight; /* requests by route whose handler runs */
    const char *const *allowed_hosts;
    size_t allowed_host_count;
    struct web_watch *watch;
    struct web_log log;
    struct auth *auth;
    struct rate_limit rate;
    bool tls;
    struct connections *connections;
    struct MHD_Daemon *daemon;
    char reason[256]; /* why libmicrohttpd did not start */
};

/* A TCP connection. */
struct client {
    struct connection *connection;
    struct web_state *state; /* whose certificates its handshake used; NULL: plain HTTP */
};

/* One request from its first line to its end. */
struct exchange {
    struct http *http;
    struct client *client;
    struct MHD_Connection *connection;
    char *text; /* the target as sent; `target` points into it */
    struct target target;
    bool target_is_good;
    struct web_state *state; /* of the headers; of what else holds too, unless `closed` */
    bool closed;             /* the web configuration is bad */
    const struct http_route *route;
    enum http_method method;
    bool counted;                  /* in in_flight */
    struct http_response response; /* status 0: there is none yet */
    bool begun, sent, close;
    struct kvtel_buffer body;
    size_t received, discarded;
    char allow[48];
};

/* NULL: no memory. */
struct exchange *exchange_open(struct http *http, struct client *client, struct MHD_Connection *connection,
                               const char *target);
/* NULL is fine. */
void exchange_close(struct exchange *exchange);

/* Answers without a handler. `header` NULL: no more headers. Returns false, for the caller to return. */
bool exchange_refuse(struct exchange *exchange, unsigned status, const char *text, const char *header,
                     const char *value);
/* The headers are there: finds the handler, or refuses. */
void exchange_decide(struct exchange *exchange, const char *method, const struct framing *framing);
/* The request is whole: lets the handler answer, unless there is an answer. */
void exchange_handle(struct exchange *exchange);
/* Sends the answer. MHD_NO closes the connection without. */
enum MHD_Result exchange_answer(struct exchange *exchange);

/* Appends a whole answer that closes the connection, with the headers of `state` (may be NULL). */
enum kvtel_status exchange_write_refusal(struct kvtel_buffer *out, const struct web_state *state, unsigned status,
                                         const char *text);

#endif
