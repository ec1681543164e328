/* SPDX-License-Identifier: Apache-2.0 */
/* Reading a connector's table. */
#ifndef KVTEL_CONNECTORS_TABLE_H
#define KVTEL_CONNECTORS_TABLE_H

#include <kvtel/connector.h>

/* Number of a metric's own labels. */
size_t kvtel_metric_label_count(const struct kvtel_metric *metric);

/* The name of a metric's family. For a counter, _total is removed, as prometheus_client does, which adds it back in
 * the exposition. The result is the table's text or `out`. */
const char *kvtel_metric_family_name(const struct kvtel_metric *metric, char *out, size_t size);

#endif
