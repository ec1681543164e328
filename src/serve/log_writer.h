/* SPDX-License-Identifier: Apache-2.0 */
/* Writes lines to a file descriptor in a thread of its own, so that no caller waits for the reader: for a pipe that
 * is not emptied, a stopped terminal, a full disk. */
#ifndef KVTEL_SERVE_LOG_WRITER_H
#define KVTEL_SERVE_LOG_WRITER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct log_writer;

/* Starts the thread. `fd` is borrowed until log_writer_stop(). Its blocking mode is not changed, because other
 * processes share its file description.
 * @return owned; NULL: no memory, or the thread cannot be started */
struct log_writer *log_writer_start(int fd);
/* Queues a line, with its newline. Does not wait for the file. False: too many lines are queued; the line was
 * dropped and counted. Any thread. */
bool log_writer_put(struct log_writer *writer, const char *line, size_t size);
/* Number of lines that were dropped or written in part. Any thread. */
uint64_t log_writer_dropped(const struct log_writer *writer);
/* Whether the last attempt to write a line succeeded. Any thread. */
bool log_writer_flows(const struct log_writer *writer);
/* Allows half a second to write the queued lines, and drops the rest. NULL is allowed. */
void log_writer_stop(struct log_writer *writer);

#endif
