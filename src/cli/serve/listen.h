/* SPDX-License-Identifier: Apache-2.0 */
/* Listening sockets: from --web.listen-address, or handed over by systemd. */
#ifndef KVTEL_SERVE_LISTEN_H
#define KVTEL_SERVE_LISTEN_H

#include <kvtel/base.h>

struct listen_socket {
    int fd;           /* non-blocking, close-on-exec */
    char address[96]; /* as bound: "127.0.0.1:9400", "[::]:9400" */
};

/* Opens what `address` says: ":port" (all addresses, IPv6 and IPv4), "ip:port", "[ipv6]:port", "host:port" (its first address, IPv4
 * before IPv6). Port 0 takes a free one. @return KVTEL_OK; else `error->message` names the address and what to do */
enum kvtel_status listen_open(const char *address, struct listen_socket *socket, struct kvtel_error *error);

/* Takes the sockets that systemd handed over (LISTEN_FDS), and forgets the variables.
 * @return KVTEL_OK with an array that the caller frees; KVTEL_E_IO: there are none, or one is no listening stream socket */
enum kvtel_status listen_systemd(struct listen_socket **sockets, size_t *count, struct kvtel_error *error);

/* Closes the sockets and frees nothing else. */
void listen_close(const struct listen_socket *sockets, size_t count);

#endif
