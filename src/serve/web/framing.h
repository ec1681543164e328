/* SPDX-License-Identifier: Apache-2.0 */
/* Where a request ends, and whether everybody would say so: what another program on the way could understand otherwise
 * is malformed. */
#ifndef KVTEL_SERVE_WEB_FRAMING_H
#define KVTEL_SERVE_WEB_FRAMING_H

#include <microhttpd.h>
#include <stdbool.h>
#include <stdint.h>

struct framing {
    unsigned lengths, encodings, hosts, authorizations; /* how often each header is there */
    uint64_t length;
    bool chunked;
    bool malformed; /* to be answered 400, and the connection closed */
};

/* Looks at the headers, before the body is read. */
struct framing framing_of(struct MHD_Connection *connection, const char *version);

#endif
