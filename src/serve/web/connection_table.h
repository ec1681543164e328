/* SPDX-License-Identifier: Apache-2.0 */
/* The table of connections: which phase each is in, until when, and who gives way to whom. For connections.c. The mutex
 * is held in each call but table_expire. */
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
    uint64_t moved;                 /* bytes that had gone its phase's way when the phase began */
    size_t held;                    /* bytes of memory */
    unsigned char key[ADDRESS_KEY]; /* who it is for the limit by address */
    struct sockaddr_storage address;
    socklen_t length;
};

struct connections {
    struct connections_options options;
    pthread_t thread;
    int epoll, wake;
    pthread_mutex_t mutex; /* all below */
    bool stopping, paused;
    unsigned count;
    size_t held;
    struct connection *all; /* limits.connections of them */
};

/* Monotonic. */
int64_t table_now_ns(void);
/* Begins a phase, and its time. */
void table_begin(struct connections *connections, struct connection *connection, enum connection_phase phase);
/* Wakes the thread up that accepts. */
void table_wake(struct connections *connections);
/* Its place is free. */
void table_forget(struct connections *connections, struct connection *connection);
/* Gives back the memory that it holds. */
void table_release(struct connections *connections, struct connection *connection);
/* Cuts off the connection that has waited longest of those that give way first, of those with `key` (NULL: of all).
 * False: none gives way. */
bool table_make_room(struct connections *connections, const unsigned char *key);
/* The same for memory: who holds some and is slow, else (where `any` is true) who was answered first. Not `asking`. */
bool table_make_memory(struct connections *connections, const struct connection *asking, bool any);
/* Closes the connection, or lets its thread do that. */
void table_cut(struct connections *connections, struct connection *connection);
/* Cuts off who is past a deadline. Takes the mutex. */
void table_expire(struct connections *connections);

#endif
