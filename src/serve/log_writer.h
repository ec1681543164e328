/* SPDX-License-Identifier: Apache-2.0 */
/* Lines that a thread of their own writes to a file descriptor, so that nobody waits for who reads it: a pipe that
 * nobody empties, a terminal that was stopped, a full disk. */
#ifndef KVTEL_SERVE_LOG_WRITER_H
#define KVTEL_SERVE_LOG_WRITER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct log_writer;

/* `fd` is borrowed until log_writer_stop(); whether it blocks is not changed, as other processes share its file
 * description.
 * @return NULL: there is no memory, or no thread */
struct log_writer *log_writer_start(int fd);
/* Takes a line, with its newline. Never waits for the file. False: it was dropped, and counted, as too many lines wait.
 * Any thread.
 */
bool log_writer_put(struct log_writer *writer, const char *line, size_t size);
/* Lines that were not written, or not whole. Any thread. */
uint64_t log_writer_dropped(const struct log_writer *writer);
/* Whether the last line that it tried to write was written. Any thread. */
bool log_writer_flows(const struct log_writer *writer);
/* Gives the lines that wait half a second to be written, and drops the rest. NULL is fine. */
void log_writer_stop(struct log_writer *writer);

#endif
