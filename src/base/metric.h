/* SPDX-License-Identifier: Apache-2.0 */
/* What a connector's table says of a metric. */
#ifndef KVTEL_BASE_METRIC_H
#define KVTEL_BASE_METRIC_H

#include <kvtel/connector.h>

/* How many labels of its own it has. */
size_t kvtel_metric_label_count(const struct kvtel_metric *metric);

/* Its family's name: a counter's without _total, which prometheus_client strips and adds back when it prints. `out` may be used. */
const char *kvtel_metric_family_name(const struct kvtel_metric *metric, char *out, size_t size);

/* Whether Prometheus takes this as a name of a metric (`colons`) or of a label. */
bool kvtel_is_name(const char *name, bool colons);
/* Whether buckets may have this bound behind that one; -1: it is the first. */
bool kvtel_is_bound(double bound, double before);

/* "counter", "gauge" or "histogram". Static. */
const char *kvtel_metric_type_name(enum kvtel_metric_type type);

#endif
