/* SPDX-License-Identifier: Apache-2.0 */
/* What was moved, in the terms of an operator, whatever the connector: flows, failures by class, quantiles and rates.
 * Made from stats (vllm/logging/) or from two states of the metrics (snapshot_summary.h). Feeds kvtel's own log line,
 * the page's JSON and the summary of a replay. */
#ifndef KVTEL_REPORT_SUMMARY_H
#define KVTEL_REPORT_SUMMARY_H

#include "base/buffer.h"
#include <kvtel/connector.h>

/* Names are borrowed from what the summary was made of, and from its table: valid until that changes. */

/* Of samples; linear between neighbours. */
struct kvtel_quantiles {
    bool known;
    double p50, p90, p99, max;
};

struct kvtel_failure_count {
    const char *label; /* class of failure, or the status that an operation ended with */
    uint64_t count;
};

struct kvtel_failure_counts {
    struct kvtel_failure_count *entries;
    size_t count;
};

/* One kind of transfer. What the connector does not measure is not `has_...`. */
struct kvtel_flow_summary {
    const char *name; /* "transfer", "load", or an operation of a store */
    bool has_transfers, has_failed, has_bytes, has_descriptors, has_seconds;
    uint64_t transfers; /* that ended well */
    uint64_t failed;
    double bytes, descriptors;
    double failed_descriptors; /* pieces (keys of a store) that failed; 0 where it is not measured */
    double seconds;            /* transfer times added up */
    double rate; /* bytes over `seconds`: of one transfer while it lasts; 0 where one of the two is 0 or not known */
    struct kvtel_quantiles time, post;
    struct kvtel_failure_counts failures; /* by status, where the operations of a store have one */
};

/* A number that belongs to no flow: a level, or a counter of something else. */
struct kvtel_other_value {
    const char *name;
    const char *labels; /* label_count texts, each with its NUL */
    uint32_t label_count;
    enum kvtel_unit unit;
    double value;
};

struct kvtel_summary {
    const char *class_name; /* of a MultiConnector's child; NULL at the top */
    bool is_empty;          /* nothing was observed, by the connector's own rule */
    uint64_t failed;        /* all failures */
    struct kvtel_failure_counts failures;
    struct kvtel_flow_summary *flows;
    size_t flow_count;
    struct kvtel_other_value *others;
    size_t other_count;
    struct kvtel_summary *children; /* of a MultiConnector, which has nothing else */
    size_t child_count;
};

void kvtel_summary_close(struct kvtel_summary *summary);

/* Adds to the count of a class, which is made if it is new. 0 adds nothing. @return KVTEL_OK, KVTEL_E_NOMEM */
enum kvtel_status kvtel_summary_add_failures(struct kvtel_failure_counts *failures, const char *label, uint64_t count);
/* Whether a field of the table is one of its classes of failures. */
bool kvtel_summary_counts_class(const struct kvtel_connector *table, const char *field);
/* Whether a key is already said: in a flow, as a failure, or hidden. */
bool kvtel_summary_tells(const struct kvtel_connector *table, const char *key);

/* Whose numbers a line holds. */
struct kvtel_summary_context {
    const char *connector;
    uint32_t engine;
    uint32_t ranks;          /* 0: not known */
    double interval;         /* seconds of wall clock; 0: not known, no wall-clock rate is given */
    const char *engine_name; /* in place of the number; "": there is none. NULL: the number */
    const char *model_name;  /* NULL: not said */
};
/* Appends one line without newline; children are left out. @return KVTEL_OK, KVTEL_E_NOMEM */
enum kvtel_status kvtel_summary_line(const struct kvtel_summary *summary, const struct kvtel_summary_context *context,
                                     struct kvtel_buffer *buffer);

#endif
