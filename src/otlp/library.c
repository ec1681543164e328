/* SPDX-License-Identifier: Apache-2.0 */
/* libcurl at run time. */
#include "otlp/library.h"

#include "base/error.h"

#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>

/* The form with GnuTLS, which the exporter has anyway, then the others that distributions name. */
static void *open_library(void)
{
    static const char *const names[] = { "libcurl-gnutls.so.4", "libcurl.so.4" };
    void *library = NULL;
    for (size_t i = 0; i < sizeof names / sizeof *names && !library; i++)
        library = dlopen(names[i], RTLD_NOW | RTLD_LOCAL);
    return library;
}

const struct otlp_curl *otlp_curl_load(const char *what, struct kvtel_error *error)
{
#define NAME(name) "curl_" #name,
    static const char *const names[] = { OTLP_CURL_FUNCTIONS(NAME) };
#undef NAME
    static struct otlp_curl curl;
    static bool loaded;
    void *library = loaded ? NULL : open_library();
    if (loaded)
        return &curl;
    if (!library) {
        kvtel_fail(error, KVTEL_E_IO, 0,
                   "%s needs libcurl, which cannot be loaded: install it (Debian: libcurl3-gnutls)", what);
        return NULL;
    }
    void *functions[sizeof names / sizeof *names];
    _Static_assert(sizeof functions == sizeof curl, "each member is one function");
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        functions[i] = dlsym(library, names[i]);
        if (!functions[i]) {
            kvtel_fail(error, KVTEL_E_IO, 0, "libcurl is too old for %s: it has no %s()", what, names[i]);
            return NULL;
        }
    }
    memcpy(&curl, functions, sizeof curl);
    if (curl.global_init(CURL_GLOBAL_ALL) != CURLE_OK) {
        kvtel_fail(error, KVTEL_E_NOMEM, 0, "libcurl cannot begin");
        return NULL;
    }
    loaded = true;
    return &curl;
}
