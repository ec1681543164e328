/* SPDX-License-Identifier: Apache-2.0 */
/* Headers in which a client lists what it takes, each element with parameters and a weight: Accept and Accept-Encoding
 * (RFC 9110, section 12.4). */
#ifndef KVTEL_SERVE_WEB_ACCEPT_H
#define KVTEL_SERVE_WEB_ACCEPT_H

#include <stdbool.h>
#include <stddef.h>

enum { ACCEPT_MOST = 1000 };

/* One element. The texts are borrowed from the header. */
struct accept_element {
    const char *name; /* "text/plain", "gzip", "*" */
    size_t name_size;
    const char *parameters; /* from the first ';' on */
    const char *end;
    int weight; /* in thousandths: 0 means that the client refuses it; 0 also where the weight cannot be read */
};

/* Reads the element at *at, and moves *at behind it. Empty elements are skipped. False: there is no further one. */
bool accept_next(const char **at, struct accept_element *element);

/* Whether the element's name is `name`, in any case. */
bool accept_is(const struct accept_element *element, const char *name);

/* Whether the element has the parameter `name` (in any case) with exactly this value, quoted or not. Where a parameter
 * stands twice, the first counts. */
bool accept_has(const struct accept_element *element, const char *name, const char *value);

/* Whether the element has the parameter, with any value. */
bool accept_names(const struct accept_element *element, const char *name);

#endif
