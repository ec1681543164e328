/* SPDX-License-Identifier: Apache-2.0 */
/** @file
 * What could not be used: counted by reason, warned about once, never in the way of the rest.
 *
 * libkvtel_record has its functions.
 */
#ifndef KVTEL_DIAGNOSTICS_H
#define KVTEL_DIAGNOSTICS_H

#include <kvtel/base.h>

KVTEL_BEGIN_DECLS

/** Every reason to refuse something: name, value of the `reason` label, what it means.
 * What one count stands for (a payload, a field, a row, a value) is part of the meaning. */
#define KVTEL_REFUSAL_LIST(X)                                                                                   \
    X(KVTEL_REFUSED_MALFORMED, "malformed", "objects that are malformed, or no part of a recording")            \
    X(KVTEL_REFUSED_UNKNOWN_CONNECTOR, "unknown_connector", "payloads of a connector that kvtel does not know") \
    X(KVTEL_REFUSED_NO_STATS, "no_stats", "payloads of a connector that has no stats")                          \
    X(KVTEL_REFUSED_UNKNOWN_ENGINE, "unknown_engine", "payloads of an engine that was not declared")            \
    X(KVTEL_REFUSED_UNKNOWN_KEY, "unknown_key", "fields that the connector does not have")                      \
    X(KVTEL_REFUSED_UNKNOWN_METRIC, "unknown_metric", "typed metrics that the connector does not have")         \
    X(KVTEL_REFUSED_WRONG_TYPE, "wrong_type", "fields or values of the wrong type")                             \
    X(KVTEL_REFUSED_NOT_FINITE, "not_finite", "rows or values that are NaN or infinite")                        \
    X(KVTEL_REFUSED_NEGATIVE, "negative", "rows or values below zero where none can be")                        \
    X(KVTEL_REFUSED_IMPLAUSIBLE, "implausible", "rows or values past what any clock measures (2^62 ns)")        \
    X(KVTEL_REFUSED_UNEQUAL_COLUMNS, "unequal_columns", "rows that some column of a transfer lacks")            \
    X(KVTEL_REFUSED_LABEL_COUNT, "label_count", "values with a wrong number of label values")                   \
    X(KVTEL_REFUSED_SERIES_LIMIT, "series_limit", "values whose label set came after a family's cap")           \
    X(KVTEL_REFUSED_NO_MEMORY, "no_memory", "values for which no memory was left")                              \
    X(KVTEL_REFUSED_LONG_TEXT, "long_text", "values whose name or label is longer than 1,024 bytes")            \
    X(KVTEL_REFUSED_DESCRIPTOR, "descriptor", "metrics that a payload describes in a way that cannot be used")

/** Why something was refused: one of KVTEL_REFUSAL_LIST. */
enum kvtel_refusal {
#define X(name, label, meaning) name,
    KVTEL_REFUSAL_LIST(X)
#undef X
        KVTEL_REFUSAL_COUNT
};

/** Value of the `reason` label, e.g. "unknown_key". Static; NULL outside the list. Any thread. */
KVTEL_API const char *kvtel_refusal_label(enum kvtel_refusal reason);
/** What one count of this reason stands for. Static; NULL outside the list. Any thread. */
KVTEL_API const char *kvtel_refusal_meaning(enum kvtel_refusal reason);

/** Called once for each subject, with a complete sentence without newline. `subject` is the connector, field or metric
 * that the sentence is about, as it was received, but cut to the length that is remembered. Both texts are borrowed
 * until the function returns. */
typedef void (*kvtel_warn_fn)(void *context, enum kvtel_refusal reason, const char *subject, const char *message);

/** Counts what was refused, and remembers which warnings were given. Opaque. Single owner, or any thread under the
 * caller's lock. */
struct kvtel_diagnostics;

/** @param warn NULL: count only. @return owned, or NULL without memory. */
KVTEL_API struct kvtel_diagnostics *kvtel_diagnostics_create(kvtel_warn_fn warn, void *context);
/** NULL is fine. */
KVTEL_API void kvtel_diagnostics_destroy(struct kvtel_diagnostics *diagnostics);

/** Forgets which warnings were given: each subject is warned about once more. The counts stay. NULL is fine. */
KVTEL_API void kvtel_diagnostics_forget(struct kvtel_diagnostics *diagnostics);

/** How often `reason` was counted. 0 for NULL. */
KVTEL_API uint64_t kvtel_diagnostics_count(const struct kvtel_diagnostics *diagnostics, enum kvtel_refusal reason);

KVTEL_END_DECLS
#endif
