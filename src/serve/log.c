/* SPDX-License-Identifier: Apache-2.0 */
/* The exporter's log. */
#include "serve/log.h"

#include "base/buffer.h"
#include "value/value.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

static const char *const level_names[] = { "debug", "info", "warn", "error" };

bool serve_log_level(const char *name, enum web_log_level *level)
{
    for (size_t i = 0; i < sizeof level_names / sizeof *level_names; i++)
        if (strcmp(level_names[i], name) == 0) {
            *level = (enum web_log_level)i;
            return true;
        }
    return false;
}

bool serve_log_init(struct serve_log *log)
{
    *log = (struct serve_log){ .level = WEB_LOG_INFO, .writer = log_writer_start(STDERR_FILENO) };
    if (!log->writer)
        return false;
    pthread_mutex_init(&log->lock, NULL);
    return true;
}

void serve_log_close(struct serve_log *log)
{
    log_writer_stop(log->writer);
    pthread_mutex_destroy(&log->lock);
    kvtel_buffer_free(&log->line);
}

static void time_text(char *out, size_t size)
{
    struct timespec now;
    struct tm utc;
    clock_gettime(CLOCK_REALTIME, &now);
    gmtime_r(&now.tv_sec, &utc);
    size_t length = strftime(out, size, "%Y-%m-%dT%H:%M:%S", &utc);
    snprintf(out + length, size - length, ".%03ldZ", now.tv_nsec / 1000000);
}

/* Appends a logfmt value. A value with special characters is written as a JSON string, in which everything but ASCII
 * is escaped. */
static enum kvtel_status append_value(struct kvtel_buffer *line, const char *value)
{
    bool plain = *value != '\0';
    for (const char *c = value; *c && plain; c++)
        plain = *c > ' ' && *c < 0x7f && *c != '"' && *c != '=' && *c != '\\';
    if (plain)
        return kvtel_buffer_append_text(line, value);
    struct kvtel_writer writer;
    kvtel_writer_init(&writer, KVTEL_JSON, line);
    kvtel_writer_text(&writer, value);
    return kvtel_writer_finish(&writer);
}

static enum kvtel_status append_pair(struct kvtel_buffer *line, const char *key, const char *value)
{
    enum kvtel_status status = kvtel_buffer_printf(line, "%s%s=", line->size > 0 ? " " : "", key);
    return status == KVTEL_OK ? append_value(line, value) : status;
}

static enum kvtel_status write_json(struct kvtel_buffer *line, const char *const head[][2], const char *const *pairs)
{
    struct kvtel_writer writer;
    size_t count = 3;
    for (size_t i = 0; pairs && pairs[i]; i += 2)
        count++;
    kvtel_writer_init(&writer, KVTEL_JSON, line);
    kvtel_writer_map(&writer, count);
    for (size_t i = 0; i < 3; i++) {
        kvtel_writer_text(&writer, head[i][0]);
        kvtel_writer_text(&writer, head[i][1]);
    }
    for (size_t i = 0; pairs && pairs[i]; i++)
        kvtel_writer_text(&writer, pairs[i]);
    return kvtel_writer_finish(&writer);
}

static enum kvtel_status write_logfmt(struct kvtel_buffer *line, const char *const head[][2], const char *const *pairs)
{
    enum kvtel_status status = KVTEL_OK;
    for (size_t i = 0; i < 3 && status == KVTEL_OK; i++)
        status = append_pair(line, head[i][0], head[i][1]);
    for (size_t i = 0; pairs && pairs[i] && status == KVTEL_OK; i += 2)
        status = append_pair(line, pairs[i], pairs[i + 1]);
    return status;
}

/* Writes a line. The lock is held. */
static void put_line(struct serve_log *log, enum web_log_level level, const char *message, const char *const *pairs)
{
    char now[40];
    time_text(now, sizeof now);
    const char *const head[][2] = { { "ts", now }, { "level", level_names[level] }, { "msg", message } };
    log->line.size = 0;
    enum kvtel_status status = log->json ? write_json(&log->line, head, pairs) : write_logfmt(&log->line, head, pairs);
    if (status == KVTEL_OK && kvtel_buffer_append_byte(&log->line, '\n') == KVTEL_OK)
        (void)log_writer_put(log->writer, log->line.bytes, log->line.size);
}

/* Once lines can be written again, logs how many were dropped. */
static void say_dropped(struct serve_log *log)
{
    char lines[24];
    uint64_t dropped = log_writer_dropped(log->writer);
    if (dropped == log->dropped_said || !log_writer_flows(log->writer))
        return;
    snprintf(lines, sizeof lines, "%llu", (unsigned long long)(dropped - log->dropped_said));
    log->dropped_said = dropped;
    const char *const pairs[] = { "lines", lines, NULL };
    put_line(log, WEB_LOG_WARN, "lines of this log were dropped: they could not be written in time", pairs);
}

void serve_log_write(struct serve_log *log, enum web_log_level level, const char *message, const char *const *pairs)
{
    if (level < log->level)
        return;
    pthread_mutex_lock(&log->lock);
    say_dropped(log);
    put_line(log, level, message, pairs);
    pthread_mutex_unlock(&log->lock);
}

void serve_log_printf(struct serve_log *log, enum web_log_level level, const char *format, ...)
{
    char *message;
    va_list arguments;
    if (level < log->level)
        return;
    va_start(arguments, format);
    int length = vasprintf(&message, format, arguments);
    va_end(arguments);
    if (length < 0)
        return;
    serve_log_write(log, level, message, NULL);
    free(message);
}

static void write_for_web(void *context, enum web_log_level level, const char *message)
{
    serve_log_write(context, level, message, NULL);
}

struct web_log serve_log_for_web(struct serve_log *log)
{
    return (struct web_log){ .write = write_for_web, .context = log };
}
