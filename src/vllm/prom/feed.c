/* SPDX-License-Identifier: Apache-2.0 */
/* Feeding columns into the children of a metric, and making the children. */
#include "base/diagnostics.h"
#include "vllm/prom/generic.h"

#include <math.h>
#include <string.h>

enum { CHUNK = 512 };

void kvtel_prom_refuse_child(const struct generic_metrics *self, const struct kvtel_metric *metric,
                             enum kvtel_status status, uint64_t lost)
{
    kvtel_diagnostics_refuse(
        self->diagnostics, status == KVTEL_E_NOMEM ? KVTEL_REFUSED_NO_MEMORY : KVTEL_REFUSED_SERIES_LIMIT, lost,
        metric->name, "%s: no further label set could be made: %s", metric->name, kvtel_status_text(status));
}

/* Finds or makes a child with own label values that was not made up front. NULL: refused, and `lost` values are
 * counted. */
void *kvtel_prom_labelled_child(struct generic_metrics *self, const struct metric *metric, size_t engine,
                                const char *const *own, uint64_t lost)
{
    const char *values[LABELS_MAX];
    void *child = NULL;
    size_t base = self->engines.label_count;
    for (size_t i = 0; i < base; i++)
        values[i] = self->engines.rows[engine].values[i];
    for (size_t i = 0; i < metric->own_labels; i++)
        values[base + i] = own[i];
    enum kvtel_status status =
        self->types.child(self->types.context, metric->family, values, base + metric->own_labels, &child);
    if (status == KVTEL_OK)
        return child;
    kvtel_prom_refuse_child(self, metric->table, status, lost);
    return NULL;
}

/* Feeds a column into a child as the metric's input requires. */
void kvtel_prom_feed(struct generic_metrics *self, const struct metric *metric, void *child,
                     const struct kvtel_column *column)
{
    double chunk[CHUNK], sum = 0;
    if (!column || column->count == 0)
        return;
    switch (metric->type) {
    case KVTEL_GAUGE:
        self->types.set(self->types.context, child, kvtel_column_number(column, column->count - 1));
        return;
    case KVTEL_COUNTER:
        for (size_t i = 0; i < column->count; i++)
            sum += kvtel_column_number(column, i);
        if (!isfinite(sum)) {
            kvtel_diagnostics_refuse(self->diagnostics, KVTEL_REFUSED_NOT_FINITE, column->count, metric->table->name,
                                     "%s: the sum of its values is not a finite number", metric->table->name);
            return;
        }
        self->types.increase(self->types.context, child,
                             metric->table->input == KVTEL_INPUT_COUNT ? (double)column->count : sum);
        return;
    case KVTEL_HISTOGRAM:
        break;
    }
    if (column->type == KVTEL_COLUMN_DOUBLES) {
        self->types.observe(self->types.context, child, &column->values[0].number, column->count);
        return;
    }
    for (size_t i = 0; i < column->count; i += CHUNK) {
        size_t n = column->count - i < CHUNK ? column->count - i : CHUNK;
        for (size_t k = 0; k < n; k++)
            chunk[k] = kvtel_column_number(column, i + k);
        self->types.observe(self->types.context, child, chunk, n);
    }
}

/* Looks up the columns that every observation uses. */
void kvtel_prom_find_columns(struct metric *metric, const struct kvtel_connector *connector)
{
    metric->field_count = 0;
    for (size_t f = 0; f < KVTEL_METRIC_FIELDS && metric->table->fields[f]; f++)
        metric->columns[metric->field_count++] = kvtel_table_field(connector, metric->table->fields[f]);
}

void kvtel_prom_feed_typed(struct generic_metrics *self, const struct metric *metric,
                           const struct kvtel_column_set *set, size_t engine)
{
    for (size_t c = 0; c < set->column_count; c++) {
        const struct kvtel_column *column = &set->columns[c];
        const char *own[KVTEL_METRIC_LABELS] = { 0 }, *label = column->labels;
        for (uint32_t i = 0; i < column->label_count; i++) {
            own[i] = label;
            label += strlen(label) + 1;
        }
        for (size_t i = column->label_count; i < metric->own_labels; i++)
            own[i] = ""; /* to Prometheus the same as no label */
        void *child = kvtel_prom_labelled_child(self, metric, engine, own, column->count);
        if (child)
            kvtel_prom_feed(self, metric, child, column);
    }
}
