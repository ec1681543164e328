/* SPDX-License-Identifier: Apache-2.0 */
#include "demo/address.h"

#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* Splits "host:port" and removes the brackets of an IPv6 address. */
static bool split(const char *address, char *host, size_t size, const char **port)
{
    const char *colon = strrchr(address, ':');
    if (!colon || colon == address)
        return false;
    bool bracketed = address[0] == '[' && colon[-1] == ']';
    size_t length = (size_t)(colon - address) - (bracketed ? 2 : 0);
    if (length == 0 || length >= size || (!bracketed && memchr(address, ':', length)))
        return false;
    memcpy(host, address + bracketed, length);
    host[length] = 0;
    *port = colon + 1;
    return **port != 0;
}

static bool bind_once(const struct addrinfo *found, struct sockaddr_storage *own)
{
    socklen_t size = sizeof *own;
    int fd = socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return false;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &(int){ 1 }, sizeof(int));
    bool good = bind(fd, found->ai_addr, found->ai_addrlen) == 0 && getsockname(fd, (struct sockaddr *)own, &size) == 0;
    int problem = errno;
    close(fd);
    errno = problem;
    return good;
}

bool demo_address_probe(const char *address, char *bound, size_t bound_size, char *wrong, size_t wrong_size)
{
    char host[96], numeric[64];
    const char *port;
    const struct addrinfo hints = { .ai_flags = AI_NUMERICHOST | AI_NUMERICSERV | AI_PASSIVE,
                                    .ai_socktype = SOCK_STREAM };
    struct addrinfo *found = NULL;
    if (!split(address, host, sizeof host, &port) || getaddrinfo(host, port, &hints, &found) != 0) {
        snprintf(wrong, wrong_size, "\"%s\" is not an address: write ip:port, such as 127.0.0.1:9466", address);
        return false;
    }
    struct sockaddr_storage own;
    bool good = bind_once(found, &own);
    if (!good)
        snprintf(wrong, wrong_size, "%s: %s", address, strerror(errno));
    else if (getnameinfo((struct sockaddr *)&own, found->ai_addrlen, NULL, 0, numeric, sizeof numeric,
                         NI_NUMERICSERV) != 0)
        good = false;
    else
        snprintf(bound, bound_size, own.ss_family == AF_INET6 ? "[%s]:%s" : "%s:%s", host, numeric);
    freeaddrinfo(found);
    return good;
}
