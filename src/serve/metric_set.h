/* SPDX-License-Identifier: Apache-2.0 */
/* The exporter's own metrics: a store in the heap. Each collection sets its values from numbers kept elsewhere. One
 * thread at a time. */
#ifndef KVTEL_SERVE_METRIC_SET_H
#define KVTEL_SERVE_METRIC_SET_H

#include <kvtel/prom.h>
#include <kvtel/store.h>

/* The store and its series, found by name and at most one label. */
struct metric_set {
    struct kvtel_store *store;
    struct kvtel_metric_types types;
    double *shown; /* for each counter: the value it was last set to; indexed like `series` */
    void **series;
    size_t count, capacity;
};

/* False: no memory. */
bool metric_set_init(struct metric_set *set);
void metric_set_close(struct metric_set *set);

/* Sets a metric to `value`; the family and the series are made on first use. A counter is increased by the growth
 * since the last call. `label` and `label_value` NULL: no label. Without memory nothing happens. */
void metric_set_gauge(struct metric_set *set, const char *name, const char *help, const char *label,
                      const char *label_value, double value);
void metric_set_counter(struct metric_set *set, const char *name, const char *help, const char *label,
                        const char *label_value, double value);

/* Sets the standard process_* metrics of this process. */
void metric_set_process(struct metric_set *set);

#endif
