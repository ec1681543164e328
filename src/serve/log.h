/* SPDX-License-Identifier: Apache-2.0 */
/* The exporter's log on standard error, one line for each message, as logfmt or JSON. No caller waits for the
 * output: a line that cannot be written is dropped and counted. */
#ifndef KVTEL_SERVE_LOG_H
#define KVTEL_SERVE_LOG_H

#include "serve/log_writer.h"
#include "serve/web/watch.h"

#include <kvtel/buffer.h>
#include <pthread.h>

struct serve_log {
    enum web_log_level level; /* messages below this level are not written */
    bool json;
    pthread_mutex_t lock;
    struct kvtel_buffer line; /* kept to reuse its memory */
    struct log_writer *writer;
    uint64_t dropped_said; /* number of dropped lines already reported */
};

/* Parses a level. False: `name` is not one of debug, info, warn, error. */
bool serve_log_level(const char *name, enum web_log_level *level);
/* False: no memory, or the thread cannot be started. */
bool serve_log_init(struct serve_log *log);
/* Writes the waiting lines if this takes less than half a second, and frees the log. */
void serve_log_close(struct serve_log *log);
/* Writes a line with ts, level, msg, and the pairs of key and value up to a NULL key. Any thread. Without memory the
 * message is lost. */
void serve_log_write(struct serve_log *log, enum web_log_level level, const char *message, const char *const *pairs);
/* The same without pairs, formatted. */
void serve_log_printf(struct serve_log *log, enum web_log_level level, const char *format, ...) KVTEL_PRINTF(3, 4);
/* For the HTTP server. */
struct web_log serve_log_for_web(struct serve_log *log);

#endif
