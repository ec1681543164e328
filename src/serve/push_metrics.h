/* SPDX-License-Identifier: Apache-2.0 */
/* The exporter's own metrics of its push. */
#ifndef KVTEL_SERVE_PUSH_METRICS_H
#define KVTEL_SERVE_PUSH_METRICS_H

#include "otlp/push.h"
#include "serve/metric_set.h"

void push_metrics_set(struct metric_set *set, struct otlp_push *push);

#endif
