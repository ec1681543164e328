/* SPDX-License-Identifier: Apache-2.0 */
/* How many file descriptors each part of the exporter may have, so that clients who hold connections take none from
 * stores. */
#ifndef KVTEL_SERVE_DESCRIPTORS_H
#define KVTEL_SERVE_DESCRIPTORS_H

#include <stddef.h>

struct descriptors {
    unsigned connections; /* of clients, at most */
    size_t rings;         /* kept open, at most */
    size_t stores;        /* kept open, at most; others are opened to be read and closed again */
};

/* Raises the process's soft limit to the hard one, and shares it out. */
struct descriptors descriptors_share(void);

#endif
