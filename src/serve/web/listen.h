/* SPDX-License-Identifier: Apache-2.0 */
/* Listening sockets: from --web.listen-address, or passed by systemd. */
#ifndef KVTEL_SERVE_WEB_LISTEN_H
#define KVTEL_SERVE_WEB_LISTEN_H

#include <kvtel/base.h>

#include <stdbool.h>

struct listen_socket {
    int fd;           /* non-blocking, close-on-exec */
    char address[96]; /* as bound: "127.0.0.1:9400", "[::]:9400" */
    bool loopback;    /* only this machine can reach it */
};

/* Opens a socket for each of `addresses`: ":port" (all addresses, IPv6 and IPv4), "ip:port", "[ipv6]:port",
 * "host:port" (its first address, IPv4 before IPv6). Port 0 chooses a free port. "0.0.0.0:port" together with
 * "[::]:port" makes one socket for each family. `sockets` has room for `count`.
 * @return KVTEL_OK; else no socket is open, and `error->message` gives the address and what to do */
enum kvtel_status listen_open(const char *const *addresses, size_t count, struct listen_socket *sockets,
                              struct kvtel_error *error);

/* Advice on the errno of a failed open, as the end of a message; "" for most. */
const char *listen_advice(int error);

/* Takes the sockets that systemd passed (LISTEN_FDS) and removes the variables from the environment.
 * @return KVTEL_OK with an array that the caller frees; KVTEL_E_IO: there are none, or one is not a listening stream
 * socket */
enum kvtel_status listen_systemd(struct listen_socket **sockets, size_t *count, struct kvtel_error *error);

/* Closes the sockets; frees nothing. */
void listen_close(const struct listen_socket *sockets, size_t count);

#endif
