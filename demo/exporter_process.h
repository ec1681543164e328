/* SPDX-License-Identifier: Apache-2.0 */
/* Runs `kvtel serve` as a child process, and fetches its metrics over HTTP. */
#ifndef KVTEL_DEMO_EXPORTER_PROCESS_H
#define KVTEL_DEMO_EXPORTER_PROCESS_H

#include <kvtel/buffer.h>
#include <signal.h>
#include <sys/types.h>

/* Start from {0}. */
struct demo_exporter {
    pid_t pid; /* 0: none */
    char address[96];
    char program[4096]; /* path of kvtel */
    char log[512];      /* path of the file for its log */
};

/* Starts the exporter and waits until it answers. `dir`: directory for its log.
 * @return an exit code, after printing a message unless it is EXIT_GOOD: EXIT_USAGE for an invalid address */
int demo_exporter_start(struct demo_exporter *exporter, const char *address, const char *store_dir, const char *dir);
/* Replaces `text` by the answer to GET /metrics. False, after printing a message: the answer is not good. */
bool demo_exporter_metrics(const struct demo_exporter *exporter, struct kvtel_buffer *text);
/* Ends the exporter. False, after printing a message: it did not end well. */
bool demo_exporter_stop(struct demo_exporter *exporter);

#endif
