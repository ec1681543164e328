/* SPDX-License-Identifier: Apache-2.0 */
/* Parts shared by the metrics of a connector and those of a MultiConnector. */
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

/* Makes the metrics of a MultiConnector: one set for each child class. @param metrics out, owned @return KVTEL_OK,
 * KVTEL_E_NOMEM, or a child's error */
enum kvtel_status kvtel_prom_metrics_create_multi(const struct kvtel_prom_options *options,
                                                  struct kvtel_prom_metrics **metrics);

#endif
