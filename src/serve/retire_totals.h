/* SPDX-License-Identifier: Apache-2.0 */
/* The totals of ended stores in memory, and their file. For retire.c, in the one thread that retires. */
#ifndef KVTEL_SERVE_RETIRE_TOTALS_H
#define KVTEL_SERVE_RETIRE_TOTALS_H

#include "serve/log.h"
#include "serve/retire.h"

/* Time until something that failed is tried again. */
#define RETIRE_RETRY_NS UINT64_C(10000000000)

/* Makes sure that the file and the totals in memory are equal: writes the file again, or adopts totals that somebody
 * put there. False: the file cannot be read or written now. */
bool retire_totals_look(struct store_dir *dir, pthread_mutex_t *lock, uint64_t now_ns);
/* Replaces the file, not the totals in memory. When the disk is full, memory of ended stores that contains zeros only
 * is freed first.
 * @return KVTEL_OK; else `error` says why. The file is the old one, or, where it could be replaced but not synced, the
 * new one: then its identity is another. */
enum kvtel_status retire_totals_write(struct store_dir *dir, const struct kvtel_buffer *content,
                                      struct kvtel_error *error);
/* Reserves room for the next totals, while there is some. */
void retire_totals_reserve(struct store_dir *dir);
/* Logs a message about the directory, with its reason. */
void retire_say(struct store_dir *dir, enum web_log_level level, const char *message, const char *reason);

#endif
