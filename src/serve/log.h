/* SPDX-License-Identifier: Apache-2.0 */
/* The exporter's log on standard error, one line a message, as logfmt or JSON. Nobody waits for it to be written: a
 * line that cannot be is dropped and counted. */
#ifndef KVTEL_SERVE_LOG_H
#define KVTEL_SERVE_LOG_H

#include "serve/log_writer.h"
#include "serve/web/watch.h"

#include <kvtel/buffer.h>
#include <pthread.h>

struct serve_log {
    enum web_log_level level; /* less is not written */
    bool json;
    pthread_mutex_t lock;
    struct kvtel_buffer line; /* kept for its memory */
    struct log_writer *writer;
    uint64_t dropped_said; /* of the lines that were dropped */
};

/* False: `name` is none of debug, info, warn, error. */
bool serve_log_level(const char *name, enum web_log_level *level);
/* False: there is no memory, or no thread. */
bool serve_log_init(struct serve_log *log);
/* Lines that wait are written if that takes less than half a second. */
void serve_log_close(struct serve_log *log);
/* ts, level, msg; then pairs of key and value up to a NULL key. Any thread. A message that finds no memory is lost. */
void serve_log_write(struct serve_log *log, enum web_log_level level, const char *message, const char *const *pairs);
/* The same without pairs, formatted. */
void serve_log_printf(struct serve_log *log, enum web_log_level level, const char *format, ...) KVTEL_PRINTF(3, 4);
/* For the HTTP server. */
struct web_log serve_log_for_web(struct serve_log *log);

#endif
