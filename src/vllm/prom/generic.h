/* SPDX-License-Identifier: Apache-2.0 */
/* The inside of the generic metrics: what making them and observing with them share. */
#ifndef KVTEL_VLLM_PROM_GENERIC_H
#define KVTEL_VLLM_PROM_GENERIC_H

#include "vllm/prom/prom_metrics.h"

enum { LABELS_MAX = 16 };

struct metric {
    /* What an observation of columns reads stands together. */
    size_t field_count;
    /* KVTEL_SHAPE_COLUMNS: where its fields are; -1: the table has none of this key */
    int columns[KVTEL_METRIC_FIELDS];
    enum kvtel_metric_type type;
    uint32_t up_front; /* children of one engine that are made up front: 0, 1, or one for each of `values` */
    void **children;   /* up_front of engine 0, of engine 1, ... */

    const struct kvtel_metric *table;
    void *family;
    const char *const *values; /* of its only label, up front */
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

/* Counts `lost` values of a child that could not be made. */
void kvtel_prom_refuse_child(const struct generic_metrics *self, const struct kvtel_metric *metric,
                             enum kvtel_status status, uint64_t lost);
/* Looks up once what every observation needs. */
void kvtel_prom_find_columns(struct metric *metric, const struct kvtel_connector *connector);

#endif
