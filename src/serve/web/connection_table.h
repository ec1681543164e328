/* SPDX-License-Identifier: Apache-2.0 */
/* The table of connections: the phase and deadline of each, and which one is cut off to make room. For connections.c
 * only. The mutex is held during each call but table_expire(). */
#ifndef KVTEL_SERVE_WEB_CONNECTION_TABLE_H
#define KVTEL_SERVE_WEB_CONNECTION_TABLE_H

#include "serve/web/connections.h"

#include <pthread.h>

enum { ADDRESS_KEY = CONNECTION_ADDRESS };

struct connection {
    int fd; /* -1: free */
    enum connection_phase phase;
    bool taken, entered;
    bool local;
    int64_t since_ns, deadline_ns;
    int64_t asked_ns;               /* when the first bytes of the request arrived */
    uint64_t moved;                 /* bytes received or acknowledged when the phase began */
    size_t held;                    /* bytes of memory counted for this connection */
    unsigned char key[ADDRESS_KEY]; /* the client, for the limit of connections by address */
    struct sockaddr_storage address;
    socklen_t length;
};

struct connections {
    struct connections_options options;
    pthread_t thread;
    int epoll, wake;
    pthread_mutex_t mutex; /* guards all members below */
    bool stopping, paused;
    unsigned count;
    size_t held;
    struct connection *all; /* limits.connections entries */
};

/* Monotonic time in ns. */
int64_t table_now_ns(void);
/* Begins a phase and its deadline. */
void table_begin(struct connections *connections, struct connection *connection, enum connection_phase phase);
/* Wakes the accepting thread. */
void table_wake(struct connections *connections);
/* Frees the connection's place. */
void table_forget(struct connections *connections, struct connection *connection);
/* Stops counting memory for this connection. */
void table_release(struct connections *connections, struct connection *connection);
/* Cuts off one connection to make room: of those with the highest rank, the one that has waited longest. `key`: only
 * connections of this client; NULL: all. False: none gives way. */
bool table_make_room(struct connections *connections, const unsigned char *key);
/* Cuts off one connection to free memory: a slow one that has some, else (if `any`) the one that asked first. Never
 * `asking`. False: none. */
bool table_make_memory(struct connections *connections, const struct connection *asking, bool any);
/* Cuts the connection off: closes it, or shuts its socket down if a thread serves it. */
void table_cut(struct connections *connections, struct connection *connection);
/* Cuts off all connections past their deadlines. Takes the mutex. */
void table_expire(struct connections *connections);

#endif
