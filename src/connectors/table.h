/* SPDX-License-Identifier: Apache-2.0 */
/* Reading a connector's table. */
#ifndef KVTEL_CONNECTORS_TABLE_H
#define KVTEL_CONNECTORS_TABLE_H

#include <kvtel/connector.h>

/* The table's rules for a log line; never NULL: without rules of its own a table has empty ones. */
const struct kvtel_log_rules *kvtel_table_log(const struct kvtel_connector *table);

/* Whether a configuration decides if the metric is exported; and what it decides. */
bool kvtel_metric_is_conditional(const struct kvtel_metric *metric);
bool kvtel_metric_is_exported(const struct kvtel_metric *metric, const struct kvtel_transfer_config *config);

/* Number of a metric's own labels. */
size_t kvtel_metric_label_count(const struct kvtel_metric *metric);

/* The name of a metric's family. For a counter, _total is removed, as prometheus_client does, which adds it back in
 * the exposition. The result is the table's text or `out`. */
const char *kvtel_metric_family_name(const struct kvtel_metric *metric, char *out, size_t size);

/* Number of fields of a table. */
size_t kvtel_table_field_count(const struct kvtel_connector *table);
/* Index of a field of the table; -1: there is none with this key. */
int kvtel_table_field(const struct kvtel_connector *table, const char *key);
/* The same for a payload's key. The search begins at `near`, because payloads keep the order of the table. */
int kvtel_table_field_near(const struct kvtel_connector *table, const char *key, size_t near);
/* The metric of a name; NULL: none. */
const struct kvtel_metric *kvtel_table_metric(const struct kvtel_connector *table, const char *name);

#endif
