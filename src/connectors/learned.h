/* SPDX-License-Identifier: Apache-2.0 */
/* Open tables: tables without a list of metrics, which learn their metrics from payloads. A connector without a table
 * has one; a connector with a table has one beside it once a payload described further metrics.
 *
 * Like registered tables they are global, are never removed, and their number is bounded. Any thread. */
#ifndef KVTEL_CONNECTORS_LEARNED_H
#define KVTEL_CONNECTORS_LEARNED_H

#include <stdatomic.h>

#include <kvtel/connector.h>

enum {
    KVTEL_LEARNED_TABLES = 128,
    KVTEL_LEARNED_METRICS = 256,  /* metrics of one open table */
    KVTEL_LEARNED_ENTRIES = 1024, /* entries of one descriptor */
    KVTEL_LEARNED_HELP = 1024     /* bytes of a metric's help */
};

/* How an entry of a descriptor reads its samples. */
enum kvtel_sample_kind {
    KVTEL_INC_BY_U64,
    KVTEL_INC_BY_SUM_U64,
    KVTEL_INC_BY_F64,
    KVTEL_SET_U64,
    KVTEL_SET_F64,
    KVTEL_OBSERVE_EACH_F64,
    KVTEL_OBSERVE_EACH_U64_AS_F64
};

/* An entry of a descriptor: one series, or the definition of a family whose series the payload labels. */
struct kvtel_described {
    const struct kvtel_metric *metric;
    const char *labels; /* values of the metric's labels, each followed by a NUL */
    size_t labels_size;
    uint32_t label_count;
    bool is_definition; /* the samples are read as those of a typed metric, with the payload's label sets */
    const char *path;   /* keys with dots between them */
    enum kvtel_sample_kind kind;
    double scale;
};

/* What a payload's _metrics_descriptor said. Immutable. */
struct kvtel_descriptor {
    uint64_t hash;
    size_t count;
    struct kvtel_described entries[];
};

struct kvtel_learned {
    struct kvtel_connector table; /* KVTEL_PAYLOAD_TYPED */
    struct kvtel_connector_name names[2];
    const struct kvtel_connector *base; /* the table that this one is beside; NULL: the connector has none */
    atomic_size_t metric_count;
    const struct kvtel_metric *metrics[KVTEL_LEARNED_METRICS];
    _Atomic(const struct kvtel_descriptor *) descriptor; /* NULL: none was seen */
    atomic_uint_least64_t bad_hash;                      /* hash of the descriptor that was refused last */
};

/* The open table that a table is; NULL: it is not one. */
static inline struct kvtel_learned *kvtel_learned_of(const struct kvtel_connector *table)
{
    return (struct kvtel_learned *)(uintptr_t)table->reserved[0];
}

/* An open table that is not among the global ones: to learn from a payload of which nobody knows yet whether it teaches
 * anything. NULL: no memory. */
struct kvtel_learned *kvtel_learned_make(const char *name, const struct kvtel_connector *base);
void kvtel_learned_free(struct kvtel_learned *open);
/* The open table of a connector, made at its first use. `base`: the connector's own table, or NULL. NULL: there are
 * KVTEL_LEARNED_TABLES already, the name is not one, or no memory. */
struct kvtel_learned *kvtel_learned_get(const char *name, const struct kvtel_connector *base);
/* The open table of a connector without a table (or without stats in it), if there is one already; NULL: none. */
struct kvtel_learned *kvtel_learned_find(const char *name);
/* The open table of a connector without a table, if payloads described its metrics; NULL: none. */
struct kvtel_learned *kvtel_learned_described(const char *name);
/* The open table beside a table; NULL: none. */
struct kvtel_learned *kvtel_learned_beside(const struct kvtel_connector *base);

/* The metric of a name, searched from the place `near`; NULL: none. */
const struct kvtel_metric *kvtel_learned_metric(const struct kvtel_learned *open, const char *name, size_t near);
/* Adds a copy of a metric, or finds the one of its name. A family that another table has is taken as that table
 * defines it. `metric` out; `why` out: the reason of a refusal, static.
 * Status: KVTEL_OK, KVTEL_E_ARGUMENT (a name, a label or a bound is not valid, or the name is one of kvtel's own),
 * KVTEL_E_MISMATCH (the family is there with another type or other labels), KVTEL_E_LIMIT, KVTEL_E_NOMEM. */
enum kvtel_status kvtel_learned_add(struct kvtel_learned *open, const struct kvtel_metric *draft,
                                    const struct kvtel_metric **metric, const char **why);
/* Sets the descriptor if there was none. Its memory must be from malloc(); it is freed if another one was there, which
 * is returned. */
const struct kvtel_descriptor *kvtel_learned_describe(struct kvtel_learned *open, struct kvtel_descriptor *descriptor);

/* The unit that a metric's name tells by one of its words: seconds, bytes, ratio or perc; else a count. */
enum kvtel_unit kvtel_learned_unit(const char *name);
/* Buckets for a histogram whose bounds nobody gave. Static. */
const struct kvtel_buckets *kvtel_learned_buckets(enum kvtel_unit unit);

#endif
