/* SPDX-License-Identifier: Apache-2.0 */
/* The members of the generic metrics, shared by the code that makes them and the code that observes with them. */
#ifndef KVTEL_VLLM_PROM_GENERIC_H
#define KVTEL_VLLM_PROM_GENERIC_H

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

struct generic_metrics {
    struct kvtel_prom_metrics base;
    struct kvtel_metric_types types;
    struct kvtel_diagnostics *diagnostics;
    struct kvtel_engine_table engines;
    struct metric *metrics;
    size_t metric_count;
};

extern const struct kvtel_prom_metrics_vtable kvtel_prom_generic;

/* Counts `lost` values as refused, because a child could not be made. */
void kvtel_prom_refuse_child(const struct generic_metrics *self, const struct kvtel_metric *metric,
                             enum kvtel_status status, uint64_t lost);
/* Looks up the columns that every observation uses. */
void kvtel_prom_find_columns(struct metric *metric, const struct kvtel_connector *connector);

#endif
