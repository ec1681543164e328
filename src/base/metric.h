/* SPDX-License-Identifier: Apache-2.0 */
/* Names of what a metric is. */
#ifndef KVTEL_BASE_METRIC_H
#define KVTEL_BASE_METRIC_H

#include <kvtel/metric.h>

/* Whether Prometheus takes this as a name of a metric (`colons`) or of a label. */
bool kvtel_is_name(const char *name, bool colons);
/* Whether buckets may have this bound behind that one; -1: it is the first. */
bool kvtel_is_bound(double bound, double before);

/* "counter", "gauge" or "histogram". Static. */
const char *kvtel_metric_type_name(enum kvtel_metric_type type);

#endif
