/* SPDX-License-Identifier: Apache-2.0 */
/* Listening sockets: from --web.listen-address, or handed over by systemd. */
#ifndef KVTEL_SERVE_WEB_LISTEN_H
#define KVTEL_SERVE_WEB_LISTEN_H

#include <kvtel/base.h>

#include <stdbool.h>

struct listen_socket {
    int fd;           /* non-blocking, close-on-exec */
    char address[96]; /* as bound: "127.0.0.1:9400", "[::]:9400" */
    bool loopback;    /* only this machine reaches it */
};

/* Opens what each of `addresses` says into `sockets` (as many): ":port" (all addresses, IPv6 and IPv4), "ip:port",
 * "[ipv6]:port", "host:port" (its first address, IPv4 before IPv6). Port 0 takes a free one. "0.0.0.0:port" and
 * "[::]:port" together are one socket for each family. @return KVTEL_OK; else no socket is open, and `error->message`
 * names the address and what to do */
enum kvtel_status listen_open(const char *const *addresses, size_t count, struct listen_socket *sockets,
                              struct kvtel_error *error);

/* What to do about an errno of opening a socket or another descriptor, as the end of a message; "" for most. */
const char *listen_advice(int error);

/* Takes the sockets that systemd handed over (LISTEN_FDS), and forgets the variables.
 * @return KVTEL_OK with an array that the caller frees; KVTEL_E_IO: there are none, or one is no listening stream
 * socket */
enum kvtel_status listen_systemd(struct listen_socket **sockets, size_t *count, struct kvtel_error *error);

/* Closes the sockets and frees nothing else. */
void listen_close(const struct listen_socket *sockets, size_t count);

#endif
