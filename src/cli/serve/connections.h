/* SPDX-License-Identifier: Apache-2.0 */
/* The connections of the server: accepted, counted, and cut off at the deadline of the phase that each is in. */
#ifndef KVTEL_SERVE_CONNECTIONS_H
#define KVTEL_SERVE_CONNECTIONS_H

#include "cli/serve/http.h"

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
    bool tls;                  /* HTTP where TLS is expected is answered 400 */
    /* Takes over a connection whose first bytes have come. False: it is closed already. */
    bool (*take)(void *context, int fd, const struct sockaddr *address, socklen_t length);
    void *context;
};

/* @return owned; NULL: no memory */
struct connections *connections_create(const struct connections_options *options);
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

#endif
