/* SPDX-License-Identifier: Apache-2.0 */
/* A request's target (RFC 9112, 3.2) and its path in the one form that is compared (RFC 3986, 6.2.2). */
#ifndef KVTEL_SERVE_WEB_TARGET_H
#define KVTEL_SERVE_WEB_TARGET_H

#include <stdbool.h>

struct target {
    char *path;            /* normal; "*" for the server as a whole */
    const char *query;     /* behind '?', as sent; "" when there is none */
    const char *authority; /* of an absolute target, "host:port"; NULL: the Host header has it */
};

/* Takes a target apart: "/path?query", "http://host/path?query" or "*". Writes into `text`, which `target` then points
 * into. False: malformed. */
bool target_parse(char *text, struct target *target);

/* Makes a path normal, in place: an encoded letter, digit, '-', '.', '_' or '~' becomes the character, every other
 * encoded byte has capital digits. Dot segments stay: a client removes them before it sends. False: a '%' without two
 * digits. */
bool target_normalise(char *path);

#endif
