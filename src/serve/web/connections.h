/* SPDX-License-Identifier: Apache-2.0 */
/* The connections of the server: accepted, counted, and cut off at the deadline of the phase that each is in. */
#ifndef KVTEL_SERVE_WEB_CONNECTIONS_H
#define KVTEL_SERVE_WEB_CONNECTIONS_H

#include "serve/web/http.h"

#include <sys/socket.h>

/* What a connection is at. Each but the handler's has a deadline. */
enum connection_phase {
    CONNECTION_GREETING, /* no byte came yet */
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
    const struct listen_socket *sockets; /* copied; the descriptors are connections_start's */
    size_t socket_count;
    struct http_limits limits; /* none is 0 */
    /* Takes over a connection whose first bytes have come. False: it is closed already. */
    bool (*take)(void *context, int fd, const struct sockaddr *address, socklen_t length, unsigned char first_byte);
    void *context;
};

/* @return owned; NULL: `error` says why */
struct connections *connections_create(const struct connections_options *options, struct kvtel_error *error);
/* Begins to accept, on a thread of its own. Takes the sockets over, also when it fails. */
enum kvtel_status connections_start(struct connections *connections, struct kvtel_error *error);
/* Closes the sockets, and the connections that were not taken. Those that were stay known. */
void connections_stop(struct connections *connections);
/* After connections_stop, when every connection that was entered is removed. NULL is fine. */
void connections_destroy(struct connections *connections);

/* The connection that was taken with this socket, and from now on may be cut off; NULL: there is none any more. */
struct connection *connections_enter(struct connections *connections, int fd);
/* Forgets a connection that was entered. Its socket must still be open. */
void connections_remove(struct connections *connections, struct connection *connection);
/* Begins a phase, and its time. */
void connections_phase(struct connections *connections, struct connection *connection, enum connection_phase phase);
unsigned connections_count(struct connections *connections);
/* There is too little of something for one more, threads or memory: the one that gives way first is cut off. */
void connections_make_room(struct connections *connections);
/* This connection has `bytes` of memory from now on: a body that comes, or an answer that its client has not read. 0
 * gives them back; so do the end of the request and of the connection. Where all of them would have more than
 * limits.held_bytes, clients that are slow are cut off, and for an answer those that have had theirs longest. False: it
 * would still be too much; nothing is held.
 */
bool connections_hold(struct connections *connections, struct connection *connection, size_t bytes);

/* Bytes that tell one client's address from another's: an IPv6 address counts by its /64. */
enum { CONNECTION_ADDRESS = 8 };
const unsigned char *connection_address(const struct connection *connection);
/* Whether it came to a socket that only this machine reaches. */
bool connection_is_local(const struct connection *connection);

#endif
