/* SPDX-License-Identifier: Apache-2.0 */
/* Whether a request that changes something may come from a web page that somebody happens to look at: a browser sends
 * it wherever the page says, with this machine's reach. */
#ifndef KVTEL_SERVE_WEB_CROSS_SITE_H
#define KVTEL_SERVE_WEB_CROSS_SITE_H

#include <stdbool.h>
#include <stddef.h>

/* What a request says of itself; NULL: nothing. */
struct cross_site_request {
    const char *host;           /* to whom it is addressed, "name:port" */
    const char *origin;         /* Origin */
    const char *fetch_site;     /* Sec-Fetch-Site */
    const char *content_type;   /* Content-Type */
    const char *const *allowed; /* names that stand for this machine besides its own */
    size_t allowed_count;
    bool check_host; /* only this machine's names, its loopback addresses and `allowed` are taken */
};

enum cross_site {
    CROSS_SITE_NOT,
    CROSS_SITE_ORIGIN, /* a page of another origin sends it */
    CROSS_SITE_HOST,   /* the name is no name of this machine: a name that now leads here may be a page's own */
    CROSS_SITE_FORM,   /* what a form can send without asking first */
};

enum cross_site cross_site_check(const struct cross_site_request *request);

/* Whether `text` can be one of `allowed`: a host's name or address without a port. */
bool cross_site_is_name(const char *text);

#endif
