/* SPDX-License-Identifier: Apache-2.0 */
/* Label values of each engine. */
#include "vllm/prom/prom_metrics.h"

#include <stdlib.h>
#include <string.h>

enum kvtel_status kvtel_engine_table_init(struct kvtel_engine_table *table, const struct kvtel_prom_options *options)
{
    memset(table, 0, sizeof *table);
    table->label_count = options->label_count;
    table->rows = calloc(options->engine_count + 1, sizeof *table->rows);
    if (!table->rows)
        return KVTEL_E_NOMEM;
    for (size_t e = 0; e < options->engine_count; e++) {
        struct kvtel_engine_row *row = &table->rows[table->count++];
        row->engine = options->engines[e].engine;
        row->values = calloc(options->label_count + 1, sizeof *row->values);
        for (size_t i = 0; row->values && i < options->label_count; i++) {
            row->values[i] = strdup(options->engines[e].values[i]);
            if (!row->values[i])
                break;
        }
        if (!row->values || (options->label_count > 0 && !row->values[options->label_count - 1])) {
            kvtel_engine_table_free(table);
            return KVTEL_E_NOMEM;
        }
    }
    return KVTEL_OK;
}

void kvtel_engine_table_free(struct kvtel_engine_table *table)
{
    for (size_t e = 0; e < table->count; e++) {
        for (size_t i = 0; table->rows[e].values && i < table->label_count; i++)
            free(table->rows[e].values[i]);
        free(table->rows[e].values);
    }
    free(table->rows);
    memset(table, 0, sizeof *table);
}

size_t kvtel_engine_table_find(const struct kvtel_engine_table *table, uint32_t engine)
{
    /* Engines are usually 0, 1, 2, ... */
    if (engine < table->count && table->rows[engine].engine == engine)
        return engine;
    for (size_t e = 0; e < table->count; e++)
        if (table->rows[e].engine == engine)
            return e;
    return SIZE_MAX;
}
