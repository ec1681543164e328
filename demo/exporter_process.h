/* SPDX-License-Identifier: Apache-2.0 */
/* `kvtel serve` as a child, and what it says over HTTP. */
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
    char log[512];      /* path of the file that takes its log */
};

/* Starts it and waits until it answers. `dir`: for its log.
 * @return an exit code, with a message unless it is EXIT_GOOD: EXIT_USAGE for an address that cannot be one */
int demo_exporter_start(struct demo_exporter *exporter, const char *address, const char *store_dir, const char *dir);
/* Replaces `text` by what it answers to GET /metrics. False, with a message, when that is not a good answer. */
bool demo_exporter_metrics(const struct demo_exporter *exporter, struct kvtel_buffer *text);
/* Ends it. False, with a message, when it did not end well. */
bool demo_exporter_stop(struct demo_exporter *exporter);

#endif
