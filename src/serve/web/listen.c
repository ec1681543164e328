/* SPDX-License-Identifier: Apache-2.0 */
/* Listening sockets: addresses in the form that Go's programs accept, and systemd's socket activation. */
#include "serve/web/listen.h"

#include "base/error.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { BACKLOG = 1024, FIRST_SYSTEMD_FD = 3, MOST_SYSTEMD_FDS = 64 };

/* Parts of "host:port". */
struct parts {
    char host[256]; /* without brackets; "" for all addresses */
    const char *port;
    bool bracketed;
};

static enum kvtel_status split(const char *address, struct parts *parts, struct kvtel_error *error)
{
    const char *colon = strrchr(address, ':');
    if (strncmp(address, "vsock://", 8) == 0 || strncmp(address, "unix:", 5) == 0)
        return kvtel_fail(error, KVTEL_E_ARGUMENT, 0, "address \"%s\": only TCP is supported; write host:port",
                          address);
    if (!colon || address[strlen(address) - 1] == ']')
        return kvtel_fail(error, KVTEL_E_ARGUMENT, 0,
                          "address \"%s\": no port; write host:port, or :port for all addresses", address);
    const char *host = address, *end = colon;
    parts->bracketed = end - host >= 2 && *host == '[' && end[-1] == ']';
    if (parts->bracketed) {
        host++;
        end--;
    } else if (memchr(host, ':', (size_t)(end - host))) {
        return kvtel_fail(error, KVTEL_E_ARGUMENT, 0, "address \"%s\": write an IPv6 address in brackets, [::1]:port",
                          address);
    }
    size_t length = (size_t)(end - host);
    if (length >= sizeof parts->host || memchr(host, '[', length) || memchr(host, ']', length))
        return kvtel_fail(error, KVTEL_E_ARGUMENT, 0, "address \"%s\": malformed host; write host:port", address);
    memcpy(parts->host, host, length);
    parts->host[length] = '\0';
    parts->port = colon + 1;
    size_t digits = strspn(parts->port, "0123456789");
    if (digits == 0 || digits > 5 || parts->port[digits] || atoi(parts->port) > 65535)
        return kvtel_fail(error, KVTEL_E_ARGUMENT, 0, "address \"%s\": the port is not a number from 0 to 65535",
                          address);
    return KVTEL_OK;
}

static bool is_loopback(const struct sockaddr_storage *address)
{
    const struct in6_addr *six = &((const struct sockaddr_in6 *)address)->sin6_addr;
    if (address->ss_family == AF_INET)
        return (ntohl(((const struct sockaddr_in *)address)->sin_addr.s_addr) >> 24) == 127;
    return address->ss_family == AF_INET6 &&
           (IN6_IS_ADDR_LOOPBACK(six) || (IN6_IS_ADDR_V4MAPPED(six) && six->s6_addr[12] == 127));
}

/* Writes the bound address into the socket. */
static void describe(int fd, struct listen_socket *socket)
{
    struct sockaddr_storage bound = { 0 };
    socklen_t length = sizeof bound;
    char host[64], port[8];
    socket->fd = fd;
    socket->loopback = getsockname(fd, (struct sockaddr *)&bound, &length) == 0 && is_loopback(&bound);
    if (getnameinfo((struct sockaddr *)&bound, length, host, sizeof host, port, sizeof port,
                    NI_NUMERICHOST | NI_NUMERICSERV) != 0)
        snprintf(socket->address, sizeof socket->address, "socket %d", fd);
    else
        snprintf(socket->address, sizeof socket->address, bound.ss_family == AF_INET6 ? "[%s]:%s" : "%s:%s", host,
                 port);
}

const char *listen_advice(int error)
{
    switch (error) {
    case EADDRINUSE:
        return "; another program listens there: stop it, or choose another port";
    case EACCES:
        return "; ports below 1024 need CAP_NET_BIND_SERVICE: choose another port";
    case EADDRNOTAVAIL:
        return "; no interface of this host has that address";
    case EMFILE:
        return "; allow this process more (ulimit -n, LimitNOFILE=)";
    case ENFILE:
        return "; the whole system has no more (sysctl fs.file-max)";
    default:
        return "";
    }
}

/* Binds and listens. -1: see errno. `six_alone`: an IPv6 socket leaves IPv4 to another socket. */
static int open_socket(int family, const struct sockaddr *address, socklen_t length, bool six_alone)
{
    int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return -1;
    int on = 1, alone = six_alone;
    if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) == 0 &&
        (family != AF_INET6 || setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &alone, sizeof alone) == 0) &&
        bind(fd, address, length) == 0 && listen(fd, BACKLOG) == 0)
        return fd;
    int failure = errno;
    close(fd);
    errno = failure;
    return -1;
}

/* Opens a socket for all addresses: one for IPv6 that also accepts IPv4, or IPv4 only if the kernel lacks IPv6. */
static int open_all(const char *port)
{
    in_port_t number = htons((in_port_t)atoi(port));
    struct sockaddr_in6 six = { .sin6_family = AF_INET6, .sin6_port = number, .sin6_addr = in6addr_any };
    int fd = open_socket(AF_INET6, (struct sockaddr *)&six, sizeof six, false);
    if (fd >= 0 || (errno != EAFNOSUPPORT && errno != EADDRNOTAVAIL))
        return fd;
    struct sockaddr_in four = { .sin_family = AF_INET, .sin_port = number, .sin_addr = { htonl(INADDR_ANY) } };
    return open_socket(AF_INET, (struct sockaddr *)&four, sizeof four, false);
}

static enum kvtel_status open_host(const struct parts *parts, const char *address, bool six_alone, int *fd,
                                   struct kvtel_error *error)
{
    struct addrinfo hints = { .ai_socktype = SOCK_STREAM,
                              .ai_family = parts->bracketed ? AF_INET6 : AF_UNSPEC,
                              .ai_flags = AI_NUMERICSERV | (parts->bracketed ? AI_NUMERICHOST : 0) };
    struct addrinfo *found = NULL;
    int failed = getaddrinfo(parts->host, parts->port, &hints, &found);
    if (failed)
        return kvtel_fail(error, KVTEL_E_IO, 0, "address \"%s\": %s; write an address of this host", address,
                          gai_strerror(failed));
    const struct addrinfo *first = found;
    for (const struct addrinfo *each = found; each; each = each->ai_next)
        if (each->ai_family == AF_INET) {
            first = each;
            break;
        }
    *fd = open_socket(first->ai_family, first->ai_addr, first->ai_addrlen, six_alone);
    int failure = errno;
    freeaddrinfo(found);
    errno = failure;
    return KVTEL_OK;
}

/* -- Several addresses -- */

static bool is_all(const struct parts *parts, bool six)
{
    return !*parts->host || strcmp(parts->host, six ? "::" : "0.0.0.0") == 0;
}

/* Whether the list contains all IPv4 addresses as well as all IPv6 addresses with this port. */
static bool has_own_ipv4(const struct parts *all, size_t count, const struct parts *six)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(all[i].host, "0.0.0.0") == 0 && atoi(all[i].port) == atoi(six->port) && atoi(six->port) != 0)
            return true;
    return false;
}

/* The earlier address of the list that includes this one; NULL: none. */
static const char *covering(const struct parts *all, const char *const *addresses, size_t at)
{
    for (size_t i = 0; i < at; i++)
        if (atoi(all[i].port) == atoi(all[at].port) && atoi(all[at].port) != 0 &&
            (is_all(&all[i], true) || is_all(&all[i], false) || is_all(&all[at], true) || is_all(&all[at], false) ||
             strcmp(all[i].host, all[at].host) == 0))
            return addresses[i];
    return NULL;
}

static enum kvtel_status open_one(const struct parts *all, const char *const *addresses, size_t count, size_t at,
                                  struct listen_socket *socket, struct kvtel_error *error)
{
    const struct parts *parts = &all[at];
    int fd = -1;
    enum kvtel_status status = KVTEL_OK;
    if (*parts->host)
        status = open_host(parts, addresses[at], is_all(parts, true) && has_own_ipv4(all, count, parts), &fd, error);
    else if (parts->bracketed)
        return kvtel_fail(error, KVTEL_E_ARGUMENT, 0, "address \"%s\": nothing in the brackets; write [::]:port",
                          addresses[at]);
    else
        fd = open_all(parts->port);
    if (status != KVTEL_OK)
        return status;
    int failure = errno;
    const char *before = fd < 0 && failure == EADDRINUSE ? covering(all, addresses, at) : NULL;
    if (before)
        return kvtel_fail(error, KVTEL_E_ARGUMENT, 0,
                          "cannot listen on \"%s\" beside \"%s\": one has what the other has; leave one out",
                          addresses[at], before);
    if (fd < 0)
        return kvtel_fail(error, KVTEL_E_IO, 0, "cannot listen on \"%s\": %s%s", addresses[at], strerror(failure),
                          listen_advice(failure));
    describe(fd, socket);
    return KVTEL_OK;
}

enum kvtel_status listen_open(const char *const *addresses, size_t count, struct listen_socket *sockets,
                              struct kvtel_error *error)
{
    struct parts *all = calloc(count ? count : 1, sizeof *all);
    if (!all)
        return kvtel_fail(error, KVTEL_E_NOMEM, 0, "out of memory");
    enum kvtel_status status = KVTEL_OK;
    size_t opened = 0;
    for (size_t i = 0; i < count && status == KVTEL_OK; i++)
        status = split(addresses[i], &all[i], error);
    for (; opened < count && status == KVTEL_OK; opened += status == KVTEL_OK)
        status = open_one(all, addresses, count, opened, &sockets[opened], error);
    free(all);
    if (status != KVTEL_OK)
        listen_close(sockets, opened);
    return status;
}

/* Number of file descriptors that systemd passed to this process; 0: none. */
static int systemd_count(void)
{
    const char *pid = getenv("LISTEN_PID"), *count = getenv("LISTEN_FDS");
    char *end;
    if (!pid || !count || strtol(pid, &end, 10) != getpid() || *end)
        return 0;
    long number = strtol(count, &end, 10);
    return !*end && number > 0 && number <= MOST_SYSTEMD_FDS ? (int)number : 0;
}

static enum kvtel_status take_over(int fd, struct listen_socket *socket, struct kvtel_error *error)
{
    int type = 0, listening = 0;
    socklen_t type_size = sizeof type, listening_size = sizeof listening;
    if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &type_size) != 0 ||
        getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listening, &listening_size) != 0 || type != SOCK_STREAM ||
        !listening)
        return kvtel_fail(error, KVTEL_E_IO, 0,
                          "file descriptor %d from systemd is not a listening stream socket; use ListenStream= in "
                          "the socket unit, with Accept=no",
                          fd);
    int flags = fcntl(fd, F_GETFL);
    if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) != 0 || fcntl(fd, F_SETFD, FD_CLOEXEC) != 0)
        return kvtel_fail(error, KVTEL_E_IO, 0, "file descriptor %d from systemd: %s", fd, strerror(errno));
    describe(fd, socket);
    return KVTEL_OK;
}

enum kvtel_status listen_systemd(struct listen_socket **sockets, size_t *count, struct kvtel_error *error)
{
    int number = systemd_count();
    unsetenv("LISTEN_PID");
    unsetenv("LISTEN_FDS");
    unsetenv("LISTEN_FDNAMES");
    if (number == 0)
        return kvtel_fail(error, KVTEL_E_IO, 0,
                          "systemd handed over no sockets; start it by a socket unit, or give --web.listen-address");
    struct listen_socket *taken = calloc((size_t)number, sizeof *taken);
    if (!taken)
        return kvtel_fail(error, KVTEL_E_NOMEM, 0, "out of memory");
    enum kvtel_status status = KVTEL_OK;
    for (int i = 0; i < number && status == KVTEL_OK; i++)
        status = take_over(FIRST_SYSTEMD_FD + i, &taken[i], error);
    if (status != KVTEL_OK) {
        free(taken);
        return status;
    }
    *sockets = taken;
    *count = (size_t)number;
    return KVTEL_OK;
}

void listen_close(const struct listen_socket *sockets, size_t count)
{
    for (size_t i = 0; i < count; i++)
        close(sockets[i].fd);
}
