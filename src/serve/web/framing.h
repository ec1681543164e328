/* SPDX-License-Identifier: Apache-2.0 */
/* Where a request ends. A request whose end another program on the way might understand differently is malformed. */
#ifndef KVTEL_SERVE_WEB_FRAMING_H
#define KVTEL_SERVE_WEB_FRAMING_H

#include <microhttpd.h>
#include <stdbool.h>
#include <stdint.h>

struct framing {
    unsigned lengths, encodings, hosts; /* number of times that each header occurs */
    unsigned once;                      /* a bit for each header found that may occur once; see framing.c */
    uint64_t length;
    bool chunked;
    bool malformed; /* answer 400 and close the connection */
};

/* Examines the headers; call it before the body is read. Any thread. */
struct framing framing_of(struct MHD_Connection *connection, const char *version);

#endif
