/* SPDX-License-Identifier: Apache-2.0 */
/* What the metrics of a connector and of a MultiConnector share. */
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
/* Row of an engine; SIZE_MAX when it was not declared. */
size_t kvtel_engine_table_find(const struct kvtel_engine_table *table, uint32_t engine);

/* Whether nothing is missing that the metrics would call or read. */
bool kvtel_prom_options_are_whole(const struct kvtel_prom_options *options);

/* The metrics of a MultiConnector: each child class its own. */
enum kvtel_status kvtel_prom_metrics_create_multi(const struct kvtel_prom_options *options,
                                                  struct kvtel_prom_metrics **metrics);

#endif
