/* SPDX-License-Identifier: Apache-2.0 */
/* The exporter's own metrics: a store in the heap that every collection fills anew from numbers kept elsewhere. */
#ifndef KVTEL_SERVE_METRIC_SET_H
#define KVTEL_SERVE_METRIC_SET_H

#include <kvtel/prom.h>
#include <kvtel/store.h>

/* What one metric shows, by name and at most one label. */
struct metric_set {
    struct kvtel_store *store;
    struct kvtel_metric_types types;
    double *shown; /* of each counter's series: what it was told last; indexed as `series` */
    void **series;
    size_t count, capacity;
};

/* False without memory. */
bool metric_set_init(struct metric_set *set);
void metric_set_close(struct metric_set *set);

/* Makes the family and the series on first use, then sets it to `value`: a gauge to what it is, a counter by the
 * increase since the last call. `label` and `label_value` NULL: no label. Without memory nothing happens. */
void metric_set_gauge(struct metric_set *set, const char *name, const char *help, const char *label,
                      const char *label_value, double value);
void metric_set_counter(struct metric_set *set, const char *name, const char *help, const char *label,
                        const char *label_value, double value);

/* The standard process_* metrics of this process. */
void metric_set_process(struct metric_set *set);

#endif
