/* SPDX-License-Identifier: Apache-2.0 */
/* The connections of the server: they are accepted, counted, and cut off at the deadline of their phase. Any thread
 * may call, unless a comment names one. */
#ifndef KVTEL_SERVE_WEB_CONNECTIONS_H
#define KVTEL_SERVE_WEB_CONNECTIONS_H

#include "serve/web/http.h"

#include <sys/socket.h>

/* The phase of a connection. Each phase but the handler's has a deadline. */
enum connection_phase {
    CONNECTION_GREETING, /* no byte was received yet */
    CONNECTION_HEADER,   /* TLS handshake, request line, headers */
    CONNECTION_BODY,
    CONNECTION_HANDLER,
    CONNECTION_RESPONSE,
    CONNECTION_IDLE, /* between two requests */
    CONNECTION_CUT,  /* shut down, about to be closed */
};

struct connection;
struct connections;

struct connections_options {
    const struct listen_socket *sockets; /* copied; connections_start() takes the descriptors over */
    size_t socket_count;
    struct http_limits limits; /* every limit is set */
    /* Takes over a connection whose first bytes have arrived. False: the function has closed it. */
    bool (*take)(void *context, int fd, const struct sockaddr *address, socklen_t length, unsigned char first_byte);
    void *context;
};

/* @return owned; NULL: `error` says why */
struct connections *connections_create(const struct connections_options *options, struct kvtel_error *error);
/* Starts a thread that accepts. The function owns the sockets from now on, also when it fails. */
enum kvtel_status connections_start(struct connections *connections, struct kvtel_error *error);
/* Closes the sockets, and the connections that were not handed over. The others stay in the table. */
void connections_stop(struct connections *connections);
/* Frees the table, after connections_stop() and after all entered connections were removed. NULL is allowed. */
void connections_destroy(struct connections *connections);

/* Enters a connection that `take` got with this socket; from now on it may be cut off. NULL: it was cut off already. */
struct connection *connections_enter(struct connections *connections, int fd);
/* Removes an entered connection. Its socket must still be open. */
void connections_remove(struct connections *connections, struct connection *connection);
/* Begins a phase and its deadline. */
void connections_phase(struct connections *connections, struct connection *connection, enum connection_phase phase);
unsigned connections_count(struct connections *connections);
/* Cuts one connection off, because threads or memory for one more are missing. */
void connections_make_room(struct connections *connections);
/* Counts `bytes` of memory for this connection: a body being received. 0 stops counting; so does the end of the request
 * or of the connection. If the sum exceeds limits.held_bytes, slow clients are cut off. False: the sum would still be
 * too large, and nothing is counted. */
bool connections_hold_body(struct connections *connections, struct connection *connection, size_t bytes);
/* The same for an answer that is ready, in the place of its body; clients with an answer are cut off, too, in the order
 * in which they asked. Begins CONNECTION_RESPONSE, so that from now on this answer gives way to others. False: the
 * caller sends a short one. */
bool connections_hold_answer(struct connections *connections, struct connection *connection, size_t bytes);

/* Number of bytes that identify a client's address: of an IPv6 address, its /64. */
enum { CONNECTION_ADDRESS = 8 };
const unsigned char *connection_address(const struct connection *connection);
/* Whether the connection came through a socket that only this machine can reach. */
bool connection_is_local(const struct connection *connection);

#endif
