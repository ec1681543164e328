/* SPDX-License-Identifier: Apache-2.0 */
/* Names and bounds that Prometheus accepts, and names of types. */
#ifndef KVTEL_BASE_METRIC_H
#define KVTEL_BASE_METRIC_H

#include <kvtel/metric.h>

/* Whether Prometheus accepts this name for a metric (`colons` true) or for a label (false). */
bool kvtel_is_name(const char *name, bool colons);
/* Whether `bound` may follow `before` as upper bound of a bucket. `before` -1: it is the first bound. */
bool kvtel_is_bound(double bound, double before);

/* "counter", "gauge" or "histogram". Static. */
const char *kvtel_metric_type_name(enum kvtel_metric_type type);

#endif
