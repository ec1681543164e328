/* SPDX-License-Identifier: Apache-2.0 */
/* A request's target (RFC 9112, 3.2), and its path in the normal form that is compared (RFC 3986, 6.2.2). Any
 * thread. */
#ifndef KVTEL_SERVE_WEB_TARGET_H
#define KVTEL_SERVE_WEB_TARGET_H

#include <stdbool.h>

struct target {
    char *path;            /* normalised; "*" for the server as a whole */
    const char *query;     /* the part after '?', as sent; "": none */
    const char *authority; /* "host:port" of an absolute target; NULL: see the Host header */
};

/* Splits a target: "/path?query", "http://host/path?query" or "*". Changes `text`, into which `target` then points.
 * False: malformed. */
bool target_parse(char *text, struct target *target);

/* Normalises a path in place: an encoded letter, digit, '-', '.', '_' or '~' becomes the character, and any other
 * encoded byte gets capital digits. Dot segments stay, because clients remove them before sending. False: a '%' is
 * not followed by two digits. */
bool target_normalise(char *path);

#endif
