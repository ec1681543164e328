/* SPDX-License-Identifier: Apache-2.0 */
/* Accepting, limits and deadlines. One thread waits for new connections, for the first byte of each (so that a
 * silent connection does not cost a thread), and for the next deadline. */
#include "serve/web/connection_table.h"

#include "base/error.h"

#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

enum { ACCEPTS_AT_ONCE = 64, EVENTS_AT_ONCE = 64, TICK_MS = 1000 };

/* The source of an epoll event: the index of a connection, a listening socket, or a request to wake up. */
#define EVENT_SOCKET (UINT64_C(1) << 32)
#define EVENT_WAKE UINT64_MAX

/* -- Accepting -- */

/* Makes the key of a client's address: the IPv4 address, also if mapped to IPv6; else the /64 of the IPv6 address,
 * all of which one host may own. */
static void make_key(const struct sockaddr_storage *address, unsigned char key[ADDRESS_KEY])
{
    const struct sockaddr_in6 *six = (const struct sockaddr_in6 *)address;
    memset(key, 0, ADDRESS_KEY);
    if (address->ss_family == AF_INET)
        memcpy(key, &((const struct sockaddr_in *)address)->sin_addr, 4);
    else if (address->ss_family == AF_INET6 && IN6_IS_ADDR_V4MAPPED(&six->sin6_addr))
        memcpy(key, &six->sin6_addr.s6_addr[12], 4);
    else if (address->ss_family == AF_INET6)
        memcpy(key, &six->sin6_addr, ADDRESS_KEY);
}

static bool watch(struct connections *connections, int operation, int fd, uint32_t events, uint64_t what)
{
    struct epoll_event event = { .events = events, .data.u64 = what };
    return epoll_ctl(connections->epoll, operation, fd, &event) == 0;
}

/* Stops or resumes accepting. The mutex is held. */
static void pause_accepting(struct connections *connections, bool paused)
{
    connections->paused = paused;
    for (size_t i = 0; i < connections->options.socket_count; i++)
        watch(connections, EPOLL_CTL_MOD, connections->options.sockets[i].fd, paused ? 0 : EPOLLIN, EVENT_SOCKET + i);
}

/* Whether one more connection from this address is allowed. The mutex is held. */
static bool may_enter(struct connections *connections, const unsigned char key[ADDRESS_KEY])
{
    unsigned same = 0;
    for (unsigned i = 0; i < connections->options.limits.connections; i++)
        same += connections->all[i].fd >= 0 && connections->all[i].phase != CONNECTION_CUT &&
                memcmp(connections->all[i].key, key, ADDRESS_KEY) == 0;
    return same < connections->options.limits.connections_per_address || table_make_room(connections, key);
}

/* Adds an accepted socket to the table, or closes it. The mutex is held. */
static void admit(struct connections *connections, int fd, const struct sockaddr_storage *address, socklen_t length,
                  bool local)
{
    struct connection *place = NULL;
    unsigned char key[ADDRESS_KEY];
    make_key(address, key);
    for (unsigned i = 0; i < connections->options.limits.connections; i++) {
        struct connection *each = &connections->all[i];
        if (each->fd == fd)
            table_forget(connections, each); /* its socket was closed, or the kernel would not have reused the number */
        if (each->fd < 0 && !place)
            place = each;
    }
    if (!place || !may_enter(connections, key) ||
        !watch(connections, EPOLL_CTL_ADD, fd, EPOLLIN | EPOLLRDHUP, (uint64_t)(place - connections->all))) {
        close(fd);
        return;
    }
    *place = (struct connection){ .fd = fd, .local = local, .address = *address, .length = length };
    memcpy(place->key, key, ADDRESS_KEY);
    table_begin(connections, place, CONNECTION_GREETING);
    connections->count++;
}

/* Whether a client waits to be accepted. */
static bool waits(int socket)
{
    struct pollfd event = { .fd = socket, .events = POLLIN };
    return poll(&event, 1, 0) > 0;
}

static void accept_some(struct connections *connections, const struct listen_socket *socket)
{
    for (int i = 0; i < ACCEPTS_AT_ONCE; i++) {
        pthread_mutex_lock(&connections->mutex);
        bool full = connections->count >= connections->options.limits.connections;
        if (full && !waits(socket->fd)) {
            pthread_mutex_unlock(&connections->mutex);
            return;
        }
        if (full) {
            table_make_room(connections, NULL);
            /* A connection that was not handed over is gone at once, any other when its thread ends. */
            full = connections->count >= connections->options.limits.connections;
        }
        if (full)
            pause_accepting(connections, true);
        pthread_mutex_unlock(&connections->mutex);
        if (full)
            return;

        struct sockaddr_storage address = { 0 };
        socklen_t length = sizeof address;
        int fd = accept4(socket->fd, (struct sockaddr *)&address, &length, SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (fd < 0 && (errno == ECONNABORTED || errno == EINTR || errno == EPERM || errno == EPROTO))
            continue;
        if (fd < 0 && errno == EAGAIN)
            return;
        pthread_mutex_lock(&connections->mutex);
        if (fd >= 0) {
            admit(connections, fd, &address, length, socket->loopback);
        } else { /* no descriptors or memory: pause until there are some */
            table_make_room(connections, NULL);
            pause_accepting(connections, true);
        }
        pthread_mutex_unlock(&connections->mutex);
        if (fd < 0)
            return;
    }
}

/* -- The first byte -- */

/* The first bytes of a connection arrived, or it ended without any. */
static void greet(struct connections *connections, struct connection *connection)
{
    unsigned char first = 0;
    pthread_mutex_lock(&connections->mutex);
    int fd = connection->fd;
    ssize_t got = fd < 0 || connection->taken ? 0 : recv(fd, &first, 1, MSG_PEEK | MSG_DONTWAIT);
    if (fd < 0 || connection->taken || (got < 0 && (errno == EAGAIN || errno == EINTR))) {
        pthread_mutex_unlock(&connections->mutex);
        return; /* the event belongs to an earlier connection at this place */
    }
    bool wanted = got == 1;
    watch(connections, EPOLL_CTL_DEL, fd, 0, 0);
    if (wanted) {
        connection->taken = true;
        connection->phase = CONNECTION_HEADER; /* the deadline stays the same */
        connection->asked_ns = table_now_ns();
    } else {
        table_cut(connections, connection);
    }
    struct sockaddr_storage address = connection->address;
    socklen_t length = connection->length;
    pthread_mutex_unlock(&connections->mutex);

    if (wanted &&
        !connections->options.take(connections->options.context, fd, (struct sockaddr *)&address, length, first)) {
        pthread_mutex_lock(&connections->mutex);
        if (connection->fd == fd && !connection->entered)
            table_forget(connections, connection);
        pthread_mutex_unlock(&connections->mutex);
    }
}

/* -- The thread -- */

/* Waits for an event or the next check of deadlines. */
static int wait_for_events(struct connections *connections, struct epoll_event *events)
{
    pthread_mutex_lock(&connections->mutex);
    int timeout = connections->count > 0 || connections->paused ? TICK_MS : -1;
    pthread_mutex_unlock(&connections->mutex);
    return epoll_wait(connections->epoll, events, EVENTS_AT_ONCE, timeout);
}

/* Resumes accepting if it was paused. Returns false when the server stops. */
static bool resume(struct connections *connections)
{
    pthread_mutex_lock(&connections->mutex);
    bool stopping = connections->stopping;
    if (!stopping && connections->paused)
        pause_accepting(connections, false); /* if there still is not enough room, accepting pauses again at once */
    pthread_mutex_unlock(&connections->mutex);
    return !stopping;
}

static void *run(void *argument)
{
    struct connections *connections = argument;
    struct epoll_event events[EVENTS_AT_ONCE];
    int64_t expired_ns = table_now_ns();
    for (;;) {
        int count = wait_for_events(connections, events);
        bool woken = count == 0;
        for (int i = 0; i < count; i++) {
            uint64_t what = events[i].data.u64, ignored;
            if (what == EVENT_WAKE)
                woken = read(connections->wake, &ignored, sizeof ignored) > 0 || woken;
            else if (what >= EVENT_SOCKET)
                accept_some(connections, &connections->options.sockets[what - EVENT_SOCKET]);
            else
                greet(connections, &connections->all[what]);
        }
        if (woken && !resume(connections))
            return NULL;
        if (table_now_ns() - expired_ns >= TICK_MS * (int64_t)1000000 / 4) {
            table_expire(connections);
            expired_ns = table_now_ns();
        }
    }
}

struct connections *connections_create(const struct connections_options *options, struct kvtel_error *error)
{
    struct connections *connections = calloc(1, sizeof *connections);
    if (!connections) {
        kvtel_fail(error, KVTEL_E_NOMEM, 0, "out of memory");
        return NULL;
    }
    connections->options = *options;
    connections->epoll = epoll_create1(EPOLL_CLOEXEC);
    connections->wake = connections->epoll >= 0 ? eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK) : -1;
    int failure = errno;
    pthread_mutex_init(&connections->mutex, NULL);
    struct listen_socket *sockets = reallocarray(NULL, options->socket_count, sizeof *sockets);
    if (sockets)
        memcpy(sockets, options->sockets, options->socket_count * sizeof *sockets);
    connections->options.sockets = sockets;
    connections->all = calloc(options->limits.connections, sizeof *connections->all);
    for (unsigned i = 0; connections->all && i < options->limits.connections; i++)
        connections->all[i].fd = -1;
    if (sockets && connections->all && connections->wake >= 0)
        return connections;
    if (connections->wake < 0)
        kvtel_fail(error, KVTEL_E_IO, 0, "cannot watch the sockets: %s%s", strerror(failure), listen_advice(failure));
    else
        kvtel_fail(error, KVTEL_E_NOMEM, 0, "out of memory");
    connections_destroy(connections);
    return NULL;
}

enum kvtel_status connections_start(struct connections *connections, struct kvtel_error *error)
{
    const struct connections_options *options = &connections->options;
    bool good = watch(connections, EPOLL_CTL_ADD, connections->wake, EPOLLIN, EVENT_WAKE);
    for (size_t i = 0; good && i < options->socket_count; i++)
        good = watch(connections, EPOLL_CTL_ADD, options->sockets[i].fd, EPOLLIN, EVENT_SOCKET + i);
    int failure = good ? pthread_create(&connections->thread, NULL, run, connections) : errno;
    if (failure == 0)
        return KVTEL_OK;
    listen_close(options->sockets, options->socket_count);
    return kvtel_fail(error, KVTEL_E_IO, 0, "cannot watch the sockets: %s", strerror(failure));
}

void connections_stop(struct connections *connections)
{
    pthread_mutex_lock(&connections->mutex);
    connections->stopping = true;
    table_wake(connections);
    pthread_mutex_unlock(&connections->mutex);
    pthread_join(connections->thread, NULL);
    listen_close(connections->options.sockets, connections->options.socket_count);
    pthread_mutex_lock(&connections->mutex);
    for (unsigned i = 0; i < connections->options.limits.connections; i++)
        if (connections->all[i].fd >= 0 && !connections->all[i].taken)
            table_cut(connections, &connections->all[i]);
    pthread_mutex_unlock(&connections->mutex);
}

void connections_destroy(struct connections *connections)
{
    if (!connections)
        return;
    if (connections->epoll >= 0)
        close(connections->epoll);
    if (connections->wake >= 0)
        close(connections->wake);
    pthread_mutex_destroy(&connections->mutex);
    free((void *)connections->options.sockets);
    free(connections->all);
    free(connections);
}

struct connection *connections_enter(struct connections *connections, int fd)
{
    struct connection *found = NULL;
    pthread_mutex_lock(&connections->mutex);
    for (unsigned i = 0; !found && i < connections->options.limits.connections; i++)
        if (connections->all[i].fd == fd && connections->all[i].taken && !connections->all[i].entered)
            found = &connections->all[i];
    if (found)
        found->entered = true;
    pthread_mutex_unlock(&connections->mutex);
    return found;
}

void connections_remove(struct connections *connections, struct connection *connection)
{
    pthread_mutex_lock(&connections->mutex);
    table_forget(connections, connection);
    pthread_mutex_unlock(&connections->mutex);
}

void connections_phase(struct connections *connections, struct connection *connection, enum connection_phase phase)
{
    pthread_mutex_lock(&connections->mutex);
    if (connection->phase != CONNECTION_CUT)
        table_begin(connections, connection, phase);
    pthread_mutex_unlock(&connections->mutex);
}

unsigned connections_count(struct connections *connections)
{
    pthread_mutex_lock(&connections->mutex);
    unsigned count = connections->count;
    pthread_mutex_unlock(&connections->mutex);
    return count;
}

void connections_make_room(struct connections *connections)
{
    pthread_mutex_lock(&connections->mutex);
    table_make_room(connections, NULL);
    pthread_mutex_unlock(&connections->mutex);
}

/* Counts the bytes, if they fit. `any`: also answers that are not slow give way. The mutex is held. */
static bool hold(struct connections *connections, struct connection *connection, size_t bytes, bool any)
{
    size_t most = connections->options.limits.held_bytes;
    table_release(connections, connection);
    while (bytes > 0 && connections->held > 0 && connections->held + bytes > most &&
           table_make_memory(connections, connection, any))
        ;
    bool fits = bytes == 0 || connections->held == 0 || connections->held + bytes <= most;
    if (fits && connection->phase != CONNECTION_CUT) {
        connection->held = bytes;
        connections->held += bytes;
    }
    return fits;
}

bool connections_hold_body(struct connections *connections, struct connection *connection, size_t bytes)
{
    pthread_mutex_lock(&connections->mutex);
    bool fits = hold(connections, connection, bytes, false); /* its client may be asked to try again */
    pthread_mutex_unlock(&connections->mutex);
    return fits;
}

bool connections_hold_answer(struct connections *connections, struct connection *connection, size_t bytes)
{
    pthread_mutex_lock(&connections->mutex);
    bool fits = hold(connections, connection, bytes, connection->phase == CONNECTION_HANDLER);
    if (connection->phase != CONNECTION_CUT)
        table_begin(connections, connection, CONNECTION_RESPONSE);
    pthread_mutex_unlock(&connections->mutex);
    return fits;
}

const unsigned char *connection_address(const struct connection *connection)
{
    return connection->key;
}

bool connection_is_local(const struct connection *connection)
{
    return connection->local;
}
