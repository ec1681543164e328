/* SPDX-License-Identifier: Apache-2.0 */
/* The web configuration file while it is in use. The file is read again when it or a file that it names changes. If
 * the changed files are invalid nobody is served until they are mended; the former configuration is not used. */
#ifndef KVTEL_SERVE_WEB_WATCH_H
#define KVTEL_SERVE_WEB_WATCH_H

#include "serve/web/config.h"

enum web_log_level { WEB_LOG_DEBUG, WEB_LOG_INFO, WEB_LOG_WARN, WEB_LOG_ERROR };

/* The receiver of messages. `write` may be NULL; it is called from any thread. */
struct web_log {
    void (*write)(void *context, enum web_log_level level, const char *message);
    void *context;
};
void web_log_printf(const struct web_log *log, enum web_log_level level, const char *format, ...) KVTEL_PRINTF(3, 4);

struct web_tls;
struct web_watch;

/* The files' contents at one time. Immutable, shared by reference count. */
struct web_state;
const struct web_config *web_state_config(const struct web_state *state);
/* The TLS credentials; NULL: plain HTTP. */
const struct web_tls *web_state_tls(const struct web_state *state);
void web_state_release(struct web_state *state);

/* Reads the file and the certificates that it names. `path` NULL: an empty configuration that never changes.
 * @return owned; NULL: `error->message` says why, with the file's name, line and column */
struct web_watch *web_watch_open(const char *path, const struct web_log *log, struct kvtel_error *error);
/* Frees the watch; all states must have been released. NULL is allowed. */
void web_watch_close(struct web_watch *watch);

/* The current state; release it with web_state_release(). Reads the files at most once a second. NULL: the files are
 * invalid. Any thread. */
struct web_state *web_watch_current(struct web_watch *watch);
/* The same, but reads the files now. */
struct web_state *web_watch_look(struct web_watch *watch);
/* The last valid state, even while the files are invalid: for the headers of refusals. Release it with
 * web_state_release(). Does not read the files. Any thread. */
struct web_state *web_watch_last(struct web_watch *watch);

#endif
