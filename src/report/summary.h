/* SPDX-License-Identifier: Apache-2.0 */
/* What was moved, in an operator's terms, for any connector: flows, failures by class, quantiles and rates.
 * Summaries are made from stats (vllm/logging/) or from two states of the metrics (snapshot_summary.h). They feed
 * kvtel's own log line, the page's JSON and the summary of a replay. One thread at a time. */
#ifndef KVTEL_REPORT_SUMMARY_H
#define KVTEL_REPORT_SUMMARY_H

#include "base/buffer.h"
#include <kvtel/connector.h>

/* Names are borrowed from the source of the summary and from its table, and valid until these change. */

/* Quantiles of samples, linear between neighbours. */
struct kvtel_quantiles {
    bool known;
    double p50, p90, p99, max;
};

struct kvtel_failure_count {
    const char *label; /* class of failure, or status of an operation */
    uint64_t count;
};

struct kvtel_failure_counts {
    struct kvtel_failure_count *entries;
    size_t count;
};

/* One kind of transfer. `has_...` is false for what the connector does not measure. */
struct kvtel_flow_summary {
    const char *name; /* "transfer", "load", or an operation of a store */
    bool has_transfers, has_failed, has_bytes, has_descriptors, has_seconds;
    uint64_t transfers; /* successful ones */
    uint64_t failed;
    double bytes, descriptors;
    double failed_descriptors; /* pieces (keys of a store) that failed; 0: not measured */
    double seconds;            /* sum of the transfer times */
    /* bytes / seconds: the rate while a transfer runs; 0 if one of the two is 0 or not known. */
    double rate;
    struct kvtel_quantiles time, post;
    struct kvtel_failure_counts failures; /* by status, for operations that report one */
};

/* A number that does not belong to a flow: a gauge, or a counter of something else. */
struct kvtel_other_value {
    const char *name;
    const char *labels; /* label_count texts, each followed by a NUL */
    uint32_t label_count;
    enum kvtel_unit unit;
    double value;
};

struct kvtel_summary {
    const char *class_name; /* class of a MultiConnector's child; NULL: not a child */
    bool is_empty;          /* nothing was observed, by the rule of the connector's table */
    uint64_t failed;        /* number of all failures */
    struct kvtel_failure_counts failures;
    struct kvtel_flow_summary *flows;
    size_t flow_count;
    struct kvtel_other_value *others;
    size_t other_count;
    struct kvtel_summary *children; /* of a MultiConnector, for which the other members are not used */
    size_t child_count;
};

void kvtel_summary_close(struct kvtel_summary *summary);

/* Adds to the count of a class; a new class is added to the list. 0 adds nothing. @return KVTEL_OK, KVTEL_E_NOMEM */
enum kvtel_status kvtel_summary_add_failures(struct kvtel_failure_counts *failures, const char *label, uint64_t count);
/* The same for the summary's own list and number of failures. */
enum kvtel_status kvtel_summary_add_class(struct kvtel_summary *summary, const char *label, uint64_t count);
/* Adds the failures of the summary's flows, except those that a class of the table counts already. */
enum kvtel_status kvtel_summary_add_flow_failures(struct kvtel_summary *summary, const struct kvtel_connector *table);
/* Whether the summary already covers a key: in a flow, as a failure, or because the table hides it. */
bool kvtel_summary_covers(const struct kvtel_connector *table, const char *key);

/* The source of a line's numbers. */
struct kvtel_summary_context {
    const char *connector;
    uint32_t engine;
    uint32_t ranks;          /* 0: not known */
    double interval;         /* seconds of wall clock; 0: not known, so rates over time are left out */
    const char *engine_name; /* shown instead of the engine's number; "": no engine is shown; NULL: the number */
    const char *model_name;  /* NULL: not shown */
};
/* Appends one line, without newline and without the children. @return KVTEL_OK, KVTEL_E_NOMEM */
enum kvtel_status kvtel_summary_line(const struct kvtel_summary *summary, const struct kvtel_summary_context *context,
                                     struct kvtel_buffer *buffer);

#endif
