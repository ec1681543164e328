/* SPDX-License-Identifier: Apache-2.0 */
/* Passes one recording through stats, Prometheus metrics and the log, as a frontend of vLLM passes its payloads. One
 * thread at a time. */
#ifndef KVTEL_RECORDING_SESSION_H
#define KVTEL_RECORDING_SESSION_H

#include "recording/recording.h"
#include <kvtel/logging.h>
#include <kvtel/prom.h>

struct kvtel_session;

/* Makes a session. It owns header->config from now on, also on failure. `types` and `diagnostics` (may be NULL) must
 * outlive the session.
 * @return KVTEL_OK, or the status of kvtel_prom_create() */
enum kvtel_status kvtel_session_create(const struct kvtel_record *header, const struct kvtel_metric_types *types,
                                       enum kvtel_log_style style, struct kvtel_diagnostics *diagnostics,
                                       struct kvtel_session **session);
void kvtel_session_destroy(struct kvtel_session *session);
/* The connector's table; NULL: the connector is unknown. */
const struct kvtel_connector *kvtel_session_connector(const struct kvtel_session *session);
const char *kvtel_session_connector_name(const struct kvtel_session *session);

/* Aggregates a record's payloads in order and records the result. Unusable payloads are counted in the diagnostics.
 * @param stats out, borrowed until the next call; NULL: the connector does not report stats, the header does not
 * list the engine, or no payload was usable
 * @return KVTEL_OK; KVTEL_E_NOMEM: nothing was recorded */
enum kvtel_status kvtel_session_observe(struct kvtel_session *session, const struct kvtel_record *record,
                                        const struct kvtel_stats **stats);
/* Number of usable payloads in the last record: those not refused as a whole and not refused in all their parts. An
 * empty payload is usable. */
size_t kvtel_session_used(const struct kvtel_session *session);
/* For callers that never end an interval: without this call, all observations are kept for the next log line. */
void kvtel_session_without_log(struct kvtel_session *session);
/* Ends a logging interval, like kvtel_logging_log(). */
enum kvtel_status kvtel_session_log(struct kvtel_session *session, kvtel_log_fn sink, void *context);

#endif
