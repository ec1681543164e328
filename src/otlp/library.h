/* SPDX-License-Identifier: Apache-2.0 */
/* libcurl, loaded when something is to be pushed: docs/decisions/otlp.md says why not before. */
#ifndef KVTEL_OTLP_LIBRARY_H
#define KVTEL_OTLP_LIBRARY_H

#include <curl/curl.h>
#include <kvtel/base.h>

#define OTLP_CURL_FUNCTIONS(X) \
    X(easy_cleanup)            \
    X(easy_getinfo)            \
    X(easy_init)               \
    X(easy_setopt)             \
    X(easy_strerror)           \
    X(global_init)             \
    X(multi_add_handle)        \
    X(multi_cleanup)           \
    X(multi_info_read)         \
    X(multi_init)              \
    X(multi_perform)           \
    X(multi_poll)              \
    X(multi_remove_handle)     \
    X(multi_wakeup)            \
    X(slist_append)            \
    X(slist_free_all)

/* Its functions, by their names without curl_. */
struct otlp_curl {
#define MEMBER(name) __typeof__(curl_##name) *name;
    OTLP_CURL_FUNCTIONS(MEMBER)
#undef MEMBER
};

/* Loads and begins the library, once: it stays until the process ends. One thread. `what` needs it, for the message.
 * NULL: `error` says what is missing. */
const struct otlp_curl *otlp_curl_load(const char *what, struct kvtel_error *error);

#endif
