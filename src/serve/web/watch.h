/* SPDX-License-Identifier: Apache-2.0 */
/* The web configuration file while it is in use: read again when it or a file that it names changes. A bad change
 * closes the door until it is mended: nobody is served by what was good before. */
#ifndef KVTEL_SERVE_WEB_WATCH_H
#define KVTEL_SERVE_WEB_WATCH_H

#include "serve/web/config.h"

enum web_log_level { WEB_LOG_DEBUG, WEB_LOG_INFO, WEB_LOG_WARN, WEB_LOG_ERROR };

/* Where messages go. Called from any thread. `write` may be NULL. */
struct web_log {
    void (*write)(void *context, enum web_log_level level, const char *message);
    void *context;
};
void web_log_printf(const struct web_log *log, enum web_log_level level, const char *format, ...) KVTEL_PRINTF(3, 4);

struct web_tls;
struct web_watch;

/* What the files said at one time. Immutable, shared by reference. */
struct web_state;
const struct web_config *web_state_config(const struct web_state *state);
/* NULL: plain HTTP. */
const struct web_tls *web_state_tls(const struct web_state *state);
void web_state_release(struct web_state *state);

/* Reads the file and the certificates that it names. `path` NULL: an empty configuration that never changes.
 * @return owned; NULL: `error->message` says why, with the file's name, line and column */
struct web_watch *web_watch_open(const char *path, const struct web_log *log, struct kvtel_error *error);
/* No state may be retained any more. NULL is fine. */
void web_watch_close(struct web_watch *watch);

/* What holds now; release it with web_state_release. Looks at the files' contents at most once a second. NULL: they are
 * bad. Any thread. */
struct web_state *web_watch_current(struct web_watch *watch);
/* The same, and looks at the files' contents now. */
struct web_state *web_watch_look(struct web_watch *watch);
/* The last that was good, also while the files are bad: for the headers of the refusals. Release it as well. Looks at
 * no file. */
struct web_state *web_watch_last(struct web_watch *watch);

#endif
