/* SPDX-License-Identifier: Apache-2.0 */
/* The members of the generic metrics, shared by the code that makes them and the code that observes with them. */
#ifndef KVTEL_VLLM_PROM_GENERIC_H
#define KVTEL_VLLM_PROM_GENERIC_H

#include "connectors/learned.h"
#include "vllm/prom/prom_metrics.h"

enum { LABELS_MAX = 16 };

struct metric {
    /* The members that an observation of columns reads are next to each other. */
    size_t field_count;
    /* KVTEL_PAYLOAD_COLUMNS: indexes of its fields; -1: the table does not have the key */
    int columns[KVTEL_METRIC_FIELDS];
    enum kvtel_metric_type type;
    uint32_t up_front; /* number of children of one engine made up front: 0, 1, or one for each of `values` */
    void **children;   /* up_front children of the first engine, then of the second, ... */

    const struct kvtel_metric *table;
    void *family;
    const char *const *values; /* values of its only label for which children are made up front */
    size_t own_labels;
};

/* Metrics that payloads describe. They are made when a payload first has them, or when their descriptor is seen. */
struct described_metrics {
    struct metric *metrics;
    size_t count, capacity;
    const struct kvtel_descriptor *descriptor; /* whose series were made; NULL: none */
};

struct generic_metrics {
    struct kvtel_prom_metrics base;
    struct kvtel_metric_types types;
    struct kvtel_diagnostics *diagnostics;
    struct kvtel_engine_table engines;
    struct metric *metrics;
    size_t metric_count;
    char **labelnames; /* engines.label_count of them */
    struct described_metrics described;
    char *awaited; /* name of the connector whose open table is not made yet; NULL: base.connector is the table */
};

extern const struct kvtel_prom_metrics_vtable kvtel_prom_generic;

/* feed.c */
/* Counts `lost` values as refused, because a child could not be made. */
void kvtel_prom_refuse_child(const struct generic_metrics *self, const struct kvtel_metric *metric,
                             enum kvtel_status status, uint64_t lost);
/* Looks up the columns that every observation uses. */
void kvtel_prom_find_columns(struct metric *metric, const struct kvtel_connector *connector);
/* Finds or makes a child with own label values that was not made up front. NULL: refused, and `lost` values are
 * counted. */
void *kvtel_prom_labelled_child(struct generic_metrics *self, const struct metric *metric, size_t engine,
                                const char *const *own, uint64_t lost);
/* Feeds a column into a child as the metric's input requires. */
void kvtel_prom_feed(struct generic_metrics *self, const struct metric *metric, void *child,
                     const struct kvtel_column *column);
/* Feeds each label set of a typed metric. */
void kvtel_prom_feed_typed(struct generic_metrics *self, const struct metric *metric,
                           const struct kvtel_column_set *set, size_t engine);

/* family.c: makes the family of a table's metric. Status: KVTEL_OK; KVTEL_E_MISMATCH: the name is taken, which was
 * said; what kvtel_metric_types.family() returns. */
enum kvtel_status kvtel_prom_make_family(const struct generic_metrics *self, struct metric *metric,
                                         const struct kvtel_metric *table);

/* described.c */
/* Makes the series of the connector's descriptor for each engine, if there is one that was not seen yet.
 * Status: KVTEL_OK, KVTEL_E_NOMEM. */
enum kvtel_status kvtel_prom_make_described(struct generic_metrics *self);
/* Records a content of metrics that the payload described. */
void kvtel_prom_observe_described(struct generic_metrics *self, const struct kvtel_content *content, size_t engine);
void kvtel_prom_described_free(struct generic_metrics *self);

#endif
