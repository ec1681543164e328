/* SPDX-License-Identifier: Apache-2.0 */
/* Phases, deadlines, and the choice of connections to cut off. A connection is cut off by shutting its socket down:
 * the thread that reads or writes it gets an error and closes it. */
#include "serve/web/connection_table.h"

#include <errno.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

/* A connection is slow if, for longer than SLOW_MS, its body arrives or its answer is read at fewer bytes a second. */
enum { SLOW_MS = 2000, SLOW_BYTES_A_SECOND = 16 << 10 };

int64_t table_now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

/* Number of bytes received (for a body) or acknowledged by the client's machine (for an answer). 0 if the kernel
 * does not count them. */
static uint64_t bytes_moved(int fd, enum connection_phase phase)
{
    struct tcp_info info = { 0 };
    socklen_t size = sizeof info;
    if ((phase != CONNECTION_BODY && phase != CONNECTION_RESPONSE) ||
        getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &size) != 0)
        return 0;
    return phase == CONNECTION_BODY ? info.tcpi_bytes_received : info.tcpi_bytes_acked;
}

static bool is_slow(const struct connection *connection, int64_t now)
{
    int64_t ms = (now - connection->since_ns) / 1000000;
    if ((connection->phase != CONNECTION_BODY && connection->phase != CONNECTION_RESPONSE) || ms < SLOW_MS)
        return false;
    return bytes_moved(connection->fd, connection->phase) - connection->moved <
           (uint64_t)ms * SLOW_BYTES_A_SECOND / 1000;
}

void table_release(struct connections *connections, struct connection *connection)
{
    connections->held -= connection->held;
    connection->held = 0;
}

void table_begin(struct connections *connections, struct connection *connection, enum connection_phase phase)
{
    const struct http_limits *limits = &connections->options.limits;
    const unsigned ms[] = {
        [CONNECTION_GREETING] = limits->header_ms,
        [CONNECTION_HEADER] = limits->header_ms,
        [CONNECTION_BODY] = limits->body_ms,
        [CONNECTION_HANDLER] = 0,
        [CONNECTION_RESPONSE] = limits->response_ms,
        [CONNECTION_IDLE] = limits->idle_ms,
        [CONNECTION_CUT] = 0,
    };
    if (phase == CONNECTION_IDLE || phase == CONNECTION_CUT)
        table_release(connections, connection);
    int64_t now = table_now_ns();
    if (phase == CONNECTION_HEADER && connection->phase == CONNECTION_IDLE)
        connection->asked_ns = now;
    connection->phase = phase;
    connection->since_ns = now;
    connection->moved = bytes_moved(connection->fd, phase);
    connection->deadline_ns = ms[phase] ? connection->since_ns + (int64_t)ms[phase] * 1000000 : INT64_MAX;
}

void table_wake(struct connections *connections)
{
    uint64_t one = 1;
    while (write(connections->wake, &one, sizeof one) < 0 && errno == EINTR)
        ;
}

void table_forget(struct connections *connections, struct connection *connection)
{
    table_release(connections, connection);
    connection->fd = -1;
    connections->count--;
    if (connections->paused)
        table_wake(connections);
}

void table_cut(struct connections *connections, struct connection *connection)
{
    if (!connection->taken) {
        close(connection->fd);
        table_forget(connections, connection);
    } else if (!connection->entered) {
        /* libmicrohttpd did not accept it: its socket is closed, and the number may be another's */
        table_forget(connections, connection);
    } else {
        /* Unread bytes of the answer are dropped with the connection instead of staying in the kernel. */
        struct linger none = { .l_onoff = 1 };
        if (connection->phase == CONNECTION_RESPONSE)
            setsockopt(connection->fd, SOL_SOCKET, SO_LINGER, &none, sizeof none);
        shutdown(connection->fd, SHUT_RDWR);
        table_begin(connections, connection, CONNECTION_CUT);
    }
}

/* Whether received bytes are waiting to be read by this process: then the client waits for us. */
static bool has_unread(const struct connection *connection)
{
    int bytes = 0;
    return ioctl(connection->fd, FIONREAD, &bytes) == 0 && bytes > 0;
}

/* How readily a connection gives way to a new one; a higher rank goes first, 0: never. A connection without a whole
 * request gives way however young it is: otherwise a stream of new connections would keep all others out. */
static int rank(const struct connection *connection, int64_t now)
{
    switch (connection->phase) {
    case CONNECTION_IDLE:
        return has_unread(connection) ? 1 : 3;
    case CONNECTION_GREETING:
    case CONNECTION_HEADER:
    case CONNECTION_BODY:
        return has_unread(connection) ? 1 : 2;
    case CONNECTION_RESPONSE:
        return is_slow(connection, now) ? 2 : 0;
    default:
        return 0;
    }
}

bool table_make_room(struct connections *connections, const unsigned char *key)
{
    struct connection *victim = NULL;
    int64_t now = table_now_ns();
    int most = 0;
    for (unsigned i = 0; i < connections->options.limits.connections; i++) {
        struct connection *each = &connections->all[i];
        if (each->fd < 0 || (key && memcmp(each->key, key, ADDRESS_KEY) != 0))
            continue;
        int its = rank(each, now);
        if (its > most || (its > 0 && its == most && each->since_ns < victim->since_ns)) {
            victim = each;
            most = its;
        }
    }
    if (victim)
        table_cut(connections, victim);
    return victim;
}

bool table_make_memory(struct connections *connections, const struct connection *asking, bool any)
{
    struct connection *victim = NULL;
    int64_t now = table_now_ns();
    int most = 0;
    for (unsigned i = 0; i < connections->options.limits.connections; i++) {
        struct connection *each = &connections->all[i];
        if (each->fd < 0 || each == asking || each->held == 0)
            continue;
        int its = is_slow(each, now) ? 2 : any && each->phase == CONNECTION_RESPONSE ? 1 : 0;
        if (its > most || (its > 0 && its == most && each->asked_ns < victim->asked_ns)) {
            victim = each;
            most = its;
        }
    }
    if (victim)
        table_cut(connections, victim);
    return victim;
}

void table_expire(struct connections *connections)
{
    int64_t now = table_now_ns();
    pthread_mutex_lock(&connections->mutex);
    for (unsigned i = 0; connections->count > 0 && i < connections->options.limits.connections; i++)
        if (connections->all[i].fd >= 0 && connections->all[i].deadline_ns <= now)
            table_cut(connections, &connections->all[i]);
    pthread_mutex_unlock(&connections->mutex);
}
