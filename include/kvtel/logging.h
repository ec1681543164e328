/* SPDX-License-Identifier: Apache-2.0 */
/** @file
 * vLLM's KVConnectorLogging: the log line of an interval.
 *
 * libkvtel_record does not have its functions.
 */
#ifndef KVTEL_LOGGING_H
#define KVTEL_LOGGING_H

#include <kvtel/log_line.h>
#include <kvtel/stats.h>
#include <kvtel/transfer_config.h>

KVTEL_BEGIN_DECLS

/** Accumulates stats between two log calls. Opaque. Single owner. */
struct kvtel_logging;

/** @param config borrowed for the life of the object. @param diagnostics borrowed likewise, may be NULL: an unknown
 * connector, or one without stats, is warned about once, ever, and logs nothing. @return owned, or NULL without memory
 */
KVTEL_API struct kvtel_logging *kvtel_logging_create(const struct kvtel_transfer_config *config,
                                                     enum kvtel_log_style style, struct kvtel_diagnostics *diagnostics);
/** NULL is fine. */
KVTEL_API void kvtel_logging_destroy(struct kvtel_logging *logging);

/** Facts about a payload that are not in its content. A member whose fact is not known is 0. */
struct kvtel_observation {
    uint32_t engine;      /**< index of the engine inside the deployment */
    uint32_t ranks;       /**< workers that the payload was aggregated from; 0: not known */
    double timestamp;     /**< seconds, of any clock that all observations of this object share; 0: not known */
    uint64_t reserved[4]; /**< must be 0 */
};

/** Adds stats to the interval; `stats` stays as it is. @param observation may be NULL (engine 0).
 * @return KVTEL_OK, KVTEL_E_NO_STATS (the connector has no stats, or no table has its name), KVTEL_E_MISMATCH,
 * KVTEL_E_LIMIT (an engine past the 4,096th), KVTEL_E_NOMEM */
KVTEL_API enum kvtel_status kvtel_logging_observe(struct kvtel_logging *logging, const struct kvtel_stats *stats,
                                                  const struct kvtel_observation *observation);
/** The same from a payload's bytes. @return also what kvtel_stats_decode() returns; error may be NULL */
KVTEL_API enum kvtel_status kvtel_logging_observe_payload(struct kvtel_logging *logging, enum kvtel_format format,
                                                          const void *bytes, size_t size,
                                                          const struct kvtel_observation *observation,
                                                          struct kvtel_error *error);

/** Ends the interval: gives its lines to `sink` (none when nothing was observed) and resets. In the style
 * KVTEL_LOG_VLLM a MultiConnector's children appear in the next line even if they observed nothing, as in vLLM.
 * @param interval_seconds wall-clock length of the interval, for the wall-clock rate; 0: from the observations'
 * timestamps
 * @return KVTEL_OK, KVTEL_E_NOMEM (no line, the interval is kept) */
KVTEL_API enum kvtel_status kvtel_logging_log(struct kvtel_logging *logging, double interval_seconds, kvtel_log_fn sink,
                                              void *context);
/** Forgets the interval without a line. */
KVTEL_API void kvtel_logging_reset(struct kvtel_logging *logging);

KVTEL_END_DECLS
#endif
