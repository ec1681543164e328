/* SPDX-License-Identifier: Apache-2.0 */
/* One recording's way through stats, Prometheus metrics and the log: what a frontend of vLLM does with its payloads. */
#ifndef KVTEL_RECORDING_SESSION_H
#define KVTEL_RECORDING_SESSION_H

#include "recording/recording.h"
#include <kvtel/logging.h>
#include <kvtel/prom.h>

struct kvtel_session;

/* Takes header->config over, also on failure. `types` and `diagnostics` (may be NULL) outlive the session.
 * @return KVTEL_OK, or as kvtel_prom_create() */
enum kvtel_status kvtel_session_create(const struct kvtel_record *header, const struct kvtel_metric_types *types,
                                       enum kvtel_log_style style, struct kvtel_diagnostics *diagnostics,
                                       struct kvtel_session **session);
void kvtel_session_destroy(struct kvtel_session *session);
/* NULL when nobody knows the connector. */
const struct kvtel_connector *kvtel_session_connector(const struct kvtel_session *session);
const char *kvtel_session_connector_name(const struct kvtel_session *session);

/* Aggregates a record's payloads in order, and records the result. Payloads that cannot be used are counted in the
 * diagnostics.
 * @param stats out, borrowed until the next call; NULL when there is nothing: a connector without stats, an engine not
 * declared, no usable payload. @return KVTEL_OK, KVTEL_E_NOMEM (nothing recorded) */
enum kvtel_status kvtel_session_observe(struct kvtel_session *session, const struct kvtel_record *record,
                                        const struct kvtel_stats **stats);
/* Of the last record's payloads those that were of use: not refused whole, nor so in each part. An empty one is of use.
 */
size_t kvtel_session_used(const struct kvtel_session *session);
/* For who never ends an interval: else all that is observed is kept for the next line. */
void kvtel_session_without_log(struct kvtel_session *session);
/* Ends a logging interval, as kvtel_logging_log(). */
enum kvtel_status kvtel_session_log(struct kvtel_session *session, kvtel_log_fn sink, void *context);

#endif
