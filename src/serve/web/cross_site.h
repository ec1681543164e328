/* SPDX-License-Identifier: Apache-2.0 */
/* Whether a request that changes something may come from a web page that a user of this machine happens to view: the
 * browser sends such a request wherever the page says, and reaches what this machine reaches. Any thread. */
#ifndef KVTEL_SERVE_WEB_CROSS_SITE_H
#define KVTEL_SERVE_WEB_CROSS_SITE_H

#include <stdbool.h>
#include <stddef.h>

/* The headers of a request; NULL: missing. */
struct cross_site_request {
    const char *host;           /* Host, "name:port" */
    const char *origin;         /* Origin */
    const char *fetch_site;     /* Sec-Fetch-Site */
    const char *content_type;   /* Content-Type */
    const char *const *allowed; /* further names of this machine */
    size_t allowed_count;
    bool check_host; /* accept only names of this machine, its loopback addresses and `allowed` as Host */
};

enum cross_site {
    CROSS_SITE_NOT,
    CROSS_SITE_ORIGIN, /* sent by a page of another origin */
    CROSS_SITE_HOST,   /* Host is not a name of this machine: a page may have made its own name lead here */
    CROSS_SITE_FORM,   /* a content type that a form can send without asking first */
};

enum cross_site cross_site_check(const struct cross_site_request *request);

/* Whether `text` may be an element of `allowed`: a host's name or address without a port. */
bool cross_site_is_name(const char *text);

#endif
