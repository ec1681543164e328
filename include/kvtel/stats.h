/* SPDX-License-Identifier: Apache-2.0 */
/** @file
 * vLLM's KVConnectorStats: what one connector observed since the last reset.
 *
 * libkvtel_record does not have its functions.
 */
#ifndef KVTEL_STATS_H
#define KVTEL_STATS_H

#include <kvtel/connector.h>
#include <kvtel/diagnostics.h>

KVTEL_BEGIN_DECLS

/** Interval container of one connector. Opaque. Single owner: calls on one object are not concurrent. */
struct kvtel_stats;

/** Samples kept before they are summarised, over all columns of one object. */
#define KVTEL_SAMPLE_LIMIT 1000000

/** Empty stats.
 * @param connector   a table with stats; borrowed for the life of the stats
 * @param diagnostics borrowed for the life of the stats; NULL: what is refused is not counted
 * @return owned: kvtel_stats_destroy(); NULL without memory or when the connector has no stats */
KVTEL_API struct kvtel_stats *kvtel_stats_create(const struct kvtel_connector *connector,
                                                 struct kvtel_diagnostics *diagnostics);
/** NULL is fine. */
KVTEL_API void kvtel_stats_destroy(struct kvtel_stats *stats);
/** The table that the stats were created with. Never NULL. */
KVTEL_API const struct kvtel_connector *kvtel_stats_connector(const struct kvtel_stats *stats);

/** Caps the samples kept (default KVTEL_SAMPLE_LIMIT; 0 summarises at once). Past it each list becomes a distribution:
 * counts and sums stay exact, quantiles are within 1 %, the list itself can no longer be encoded. Decoding never
 * summarises. */
KVTEL_API void kvtel_stats_set_sample_limit(struct kvtel_stats *stats, size_t limit);
/** Whether some list has become a distribution. */
KVTEL_API bool kvtel_stats_is_summarised(const struct kvtel_stats *stats);

/** Forgets all observations. A MultiConnector's children stay, each reset, as vLLM's do. */
KVTEL_API void kvtel_stats_reset(struct kvtel_stats *stats);
/** Whether nothing was observed, by the connector's own rule. */
KVTEL_API bool kvtel_stats_is_empty(const struct kvtel_stats *stats);

/** Adds `other` to `stats`; `other` stays as it is. Unchanged on failure.
 * @return KVTEL_OK, KVTEL_E_MISMATCH (another connector or kind of payload), KVTEL_E_NOMEM */
KVTEL_API enum kvtel_status kvtel_stats_aggregate(struct kvtel_stats *stats, const struct kvtel_stats *other);

/** Moves what was observed into a new object and leaves `stats` empty (a worker's delta).
 * @param delta out, owned. @return KVTEL_OK, KVTEL_E_NOMEM (nothing moved) */
KVTEL_API enum kvtel_status kvtel_stats_clone_and_reset(struct kvtel_stats *stats, struct kvtel_stats **delta);

/** Replaces the content by a payload. Fields and rows that cannot be used are refused one by one, counted in the stats'
 * diagnostics, and the rest is applied. On failure the content stays as it was.
 * @param error may be NULL
 * @return KVTEL_OK; KVTEL_E_SYNTAX, _TRUNCATED, _TRAILING, _DEPTH, _TYPE (not a map), _NOMEM; KVTEL_E_UNKNOWN: the
 * table is an open one (kvtel_connector_open()), and the payload does not describe itself, which the diagnostics count
 */
KVTEL_API enum kvtel_status kvtel_stats_decode(struct kvtel_stats *stats, enum kvtel_format format, const void *bytes,
                                               size_t size, struct kvtel_error *error);
/** Writes the payload; what was decoded comes out equal. Of an open table it is a typed payload. What a descriptor
 * described beside a table is left out.
 * @param bytes out, owned, free() it; NUL-terminated past `size`. @return KVTEL_OK, KVTEL_E_SUMMARISED, KVTEL_E_NOMEM
 */
KVTEL_API enum kvtel_status kvtel_stats_encode(const struct kvtel_stats *stats, enum kvtel_format format, char **bytes,
                                               size_t *size);

/** Adds one transfer. `flow` is the kind ("transfer", "load", ...); NULL: the connector's first. A number that was not
 * measured (KVTEL_UNMEASURED) is 0 in a row of vLLM's payload, which has a value of each field, and no sample where
 * samples stand alone.
 * @return KVTEL_OK, KVTEL_E_UNKNOWN (no such flow), KVTEL_E_ARGUMENT (a number above KVTEL_TRANSFER_LIMIT;
 * counted in the diagnostics), KVTEL_E_LIMIT (as kvtel_stats_record_operation()), KVTEL_E_NOMEM. Nothing is added on
 * failure. */
KVTEL_API enum kvtel_status kvtel_stats_record_transfer(struct kvtel_stats *stats, const char *flow,
                                                        const struct kvtel_transfer *transfer);
/** Adds one failure. @return KVTEL_OK, KVTEL_E_UNKNOWN (the connector does not count this class), KVTEL_E_NOMEM */
KVTEL_API enum kvtel_status kvtel_stats_record_failure(struct kvtel_stats *stats, enum kvtel_failure failure);
/** Adds one operation of a store (KVTEL_PAYLOAD_ROWS) with its status, or counts it (KVTEL_PAYLOAD_COUNTS; status "ok"
 * completes).
 * @return KVTEL_OK, KVTEL_E_UNKNOWN (the connector has no operations, or its flow does not name all fields of a row),
 * KVTEL_E_ARGUMENT (as kvtel_stats_record_transfer()), KVTEL_E_LIMIT (10,000 operations or statuses), KVTEL_E_NOMEM */
KVTEL_API enum kvtel_status kvtel_stats_record_operation(struct kvtel_stats *stats, const char *operation,
                                                         const char *status, const struct kvtel_transfer *transfer);
/** Records a level (a field of kind LEVEL, or a typed gauge), adds to a total or typed counter, or adds a sample: by
 * `key`.
 * @param labels values of the metric's own labels (KVTEL_PAYLOAD_TYPED), 512 bytes in all
 * @return KVTEL_OK, KVTEL_E_UNKNOWN, KVTEL_E_ARGUMENT (labels, or a value that is not finite, below 0 where it is no
 * level, or a time of more than 2^62 ns, which the diagnostics count), KVTEL_E_LIMIT (10,000 label sets of a metric),
 * KVTEL_E_NOMEM */
KVTEL_API enum kvtel_status kvtel_stats_record_value(struct kvtel_stats *stats, const char *key,
                                                     const char *const *labels, size_t label_count, double value);

/** What an entry of a reduced dict holds. */
enum kvtel_reduced_kind {
    KVTEL_REDUCED_INTEGER, /**< a Python int */
    KVTEL_REDUCED_DOUBLE,  /**< a Python float */
    KVTEL_REDUCED_DICT     /**< the reduced dict of a MultiConnector's child */
};

/** vLLM's reduced dict: entries in the order that vLLM prints them. Opaque. Owned by the caller of
 * kvtel_stats_reduce().
 */
struct kvtel_reduced;

/** An entry of a reduced dict: integers and doubles are kept apart. Made by the library, which may append members. */
struct kvtel_reduced_entry {
    const char *key;                  /**< UTF-8, NUL-terminated */
    enum kvtel_reduced_kind kind;     /**< which of the next three is filled */
    int64_t integer;                  /**< KVTEL_REDUCED_INTEGER */
    double number;                    /**< KVTEL_REDUCED_DOUBLE */
    const struct kvtel_reduced *dict; /**< KVTEL_REDUCED_DICT */
};

/** vLLM's reduce(): the interval's observations as a few representative values, in vLLM's keys, order and rounding.
 * @param reduced out, owned: kvtel_reduced_destroy(). @return KVTEL_OK, KVTEL_E_NOMEM */
KVTEL_API enum kvtel_status kvtel_stats_reduce(const struct kvtel_stats *stats, struct kvtel_reduced **reduced);
/** Frees the entries and the dicts in them. NULL is fine. */
KVTEL_API void kvtel_reduced_destroy(struct kvtel_reduced *reduced);
/** How many entries. */
KVTEL_API size_t kvtel_reduced_count(const struct kvtel_reduced *reduced);
/** The i-th entry, or NULL past the end. Borrowed until kvtel_reduced_destroy(). */
KVTEL_API const struct kvtel_reduced_entry *kvtel_reduced_at(const struct kvtel_reduced *reduced, size_t i);
/** The entry of a key, or NULL. Borrowed likewise. */
KVTEL_API const struct kvtel_reduced_entry *kvtel_reduced_find(const struct kvtel_reduced *reduced, const char *key);

KVTEL_END_DECLS
#endif
