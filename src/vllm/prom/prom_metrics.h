/* SPDX-License-Identifier: Apache-2.0 */
/* Parts shared by the metrics of a connector (generic.c) and those of a MultiConnector (multi.c). */
#ifndef KVTEL_VLLM_PROM_PROM_METRICS_H
#define KVTEL_VLLM_PROM_PROM_METRICS_H

#include "vllm/stats/stats.h"
#include <kvtel/prom.h>

/* A copy of per_engine_labelvalues. */
struct kvtel_engine_table {
    struct kvtel_engine_row {
        uint32_t engine;
        char **values;
    } * rows;
    size_t count, label_count;
};
enum kvtel_status kvtel_engine_table_init(struct kvtel_engine_table *table, const struct kvtel_prom_options *options);
void kvtel_engine_table_free(struct kvtel_engine_table *table);
/* The row of an engine; SIZE_MAX: the engine was not declared. */
size_t kvtel_engine_table_find(const struct kvtel_engine_table *table, uint32_t engine);

/* Whether the options contain everything that the metrics call or read. */
bool kvtel_prom_options_are_whole(const struct kvtel_prom_options *options);

/* Makes the metrics of one connector's table. The options were checked with kvtel_prom_options_are_whole().
 * @param metrics out, owned @return KVTEL_OK, KVTEL_E_NOMEM, KVTEL_E_LIMIT */
enum kvtel_status kvtel_prom_metrics_make_generic(const struct kvtel_connector *connector,
                                                  const struct kvtel_prom_options *options,
                                                  struct kvtel_prom_metrics **metrics);
/* The same for a connector without a table, none of whose payloads described metrics so far. The metrics take the open
 * table of that name when the first stats of it come: a name alone takes no place among the open tables. */
enum kvtel_status kvtel_prom_metrics_make_awaiting(const char *name, const struct kvtel_prom_options *options,
                                                   struct kvtel_prom_metrics **metrics);
/* kvtel_connector_build_prom_metrics(), and for a connector without a table, or without stats in it, metrics that its
 * payloads describe. */
enum kvtel_status kvtel_connector_build_any_metrics(const struct kvtel_prom_options *options,
                                                    struct kvtel_prom_metrics **metrics);
/* Makes the metrics of a MultiConnector: one set for each child class, which `build` makes. @param metrics out, owned
 * @return KVTEL_OK, KVTEL_E_NOMEM, or a child's error */
typedef enum kvtel_status (*kvtel_build_prom_metrics_fn)(const struct kvtel_prom_options *options,
                                                         struct kvtel_prom_metrics **metrics);
enum kvtel_status kvtel_prom_metrics_make_multi(const struct kvtel_prom_options *options,
                                                kvtel_build_prom_metrics_fn build, struct kvtel_prom_metrics **metrics);

#endif
