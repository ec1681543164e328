/* SPDX-License-Identifier: Apache-2.0 */
/* Where summaries come from: this machine, or an exporter. One thread. */
#ifndef KVTEL_TOP_SOURCE_H
#define KVTEL_TOP_SOURCE_H

#include <kvtel/base.h>
#include <kvtel/buffer.h>
#include <poll.h>

enum top_reading { TOP_PENDING, TOP_DONE, TOP_FAILED };

struct top_source {
    void *context; /* owned: close() frees it */
    /* Begins to read a summary. One that is being read is given up. */
    void (*begin)(void *context);
    /* The same for the part of the summary that begins with the entry `offset`; NULL: a summary is always whole. */
    void (*begin_part)(void *context, size_t offset);
    /* The same for what happened before; NULL: nobody knows. */
    void (*begin_past)(void *context);
    /* Goes on reading. TOP_DONE: `json` is replaced by the answer; TOP_FAILED: `error` has a sentence that follows the
     * source's name. */
    enum top_reading (*go_on)(void *context, struct kvtel_buffer *json, struct kvtel_error *error);
    /* Waits until the reading can go on, one of `fds` is readable, which their `revents` say, or the time is over. */
    void (*wait)(void *context, struct pollfd *fds, size_t count, int timeout_ms);
    void (*close)(void *context);
};

struct top_local_options {
    const char *dir;      /* of stores */
    const char *nixl_dir; /* of NIXL's rings; NULL: none are read */
};
/* The stores in a directory, its totals, and the rings in another one. KVTEL_OK; KVTEL_E_IO: the directory is there but
 * cannot be read; KVTEL_E_NOMEM. */
enum kvtel_status top_local_open(const struct top_local_options *options, struct top_source *source,
                                 struct kvtel_error *error);

struct top_remote_options {
    const char *url;               /* of the summary */
    const char *past_url;          /* of the history; NULL: it is not asked for */
    const char *user, *password;   /* NULL: none */
    const char *authorities;       /* file of CA certificates; NULL: those of the system */
    const char *certificate, *key; /* files of the client's; NULL: none */
};
/* An exporter's /api/v1/summary. `options` are borrowed until close(). KVTEL_OK; KVTEL_E_IO: libcurl is missing;
 * KVTEL_E_ARGUMENT: it does not take the options; KVTEL_E_NOMEM. */
enum kvtel_status top_remote_open(const struct top_remote_options *options, struct top_source *source,
                                  struct kvtel_error *error);
/* The HTTP status of the last answer to such a source; 0: there was none. */
long top_remote_status(const struct top_source *source);

#endif
