/* SPDX-License-Identifier: Apache-2.0 */
/* The exporter's memory of the last hour: when it is added to, and its file beside the totals. */
#ifndef KVTEL_SERVE_EXPORTER_HISTORY_H
#define KVTEL_SERVE_EXPORTER_HISTORY_H

#include "serve/exporter.h"

/* Begins the history that the options ask for, and reads its file. The sources are open. A file that cannot be used is
 * logged, and the history begins empty. KVTEL_OK, KVTEL_E_NOMEM. */
enum kvtel_status exporter_history_open(struct exporter *exporter);
/* Adds a point when one is due, and writes the file when that is due. Main thread, without the lock.
 * @return ns until the next call is due; UINT64_MAX: there is no history */
uint64_t exporter_history_poll(struct exporter *exporter, uint64_t now_ns);
/* Writes the file and ends the history. The sources are still open. */
void exporter_history_close(struct exporter *exporter);

/* HTTP handler. `context` is the exporter. Any thread. */
void exporter_history(void *context, const struct http_request *request, struct http_response *response);

#endif
