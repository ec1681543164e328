/* SPDX-License-Identifier: Apache-2.0 */
/* Reading a connector's table. */
#ifndef KVTEL_CONNECTORS_TABLE_H
#define KVTEL_CONNECTORS_TABLE_H

#include <kvtel/connector.h>

/* How many labels of its own a metric has. */
size_t kvtel_metric_label_count(const struct kvtel_metric *metric);

/* The name of a metric's family: a counter's without _total, which prometheus_client strips and adds back when it
 * prints. `out` may be used. */
const char *kvtel_metric_family_name(const struct kvtel_metric *metric, char *out, size_t size);

#endif
