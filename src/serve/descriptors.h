/* SPDX-License-Identifier: Apache-2.0 */
/* The number of file descriptors that each part of the exporter may use, so that clients that keep connections open
 * do not take descriptors from stores. */
#ifndef KVTEL_SERVE_DESCRIPTORS_H
#define KVTEL_SERVE_DESCRIPTORS_H

#include <stddef.h>

struct descriptors {
    unsigned connections; /* of clients, at most */
    size_t rings;         /* kept open, at most */
    size_t stores;        /* kept open, at most; other stores are opened for each read and closed again */
};

/* Raises the process's soft limit to the hard limit and divides it. */
struct descriptors descriptors_share(void);

#endif
