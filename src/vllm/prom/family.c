/* SPDX-License-Identifier: Apache-2.0 */
/* Making the family of a metric. */
#include "base/diagnostics.h"
#include "vllm/prom/generic.h"

enum kvtel_status kvtel_prom_make_family(const struct generic_metrics *self, struct metric *metric,
                                         const struct kvtel_metric *table)
{
    char name[256];
    const char *labels[LABELS_MAX];
    size_t base = self->engines.label_count;
    metric->type = table->type;
    metric->table = table;
    metric->values = table->values;
    metric->own_labels = kvtel_metric_label_count(table);
    for (size_t i = 0; i < base; i++)
        labels[i] = self->labelnames[i];
    for (size_t i = 0; i < metric->own_labels; i++)
        labels[base + i] = table->labels[i];
    const struct kvtel_family_spec spec = {
        .name = kvtel_metric_family_name(table, name, sizeof name),
        .type = table->type,
        .help = table->help,
        .labelnames = labels,
        .label_count = base + metric->own_labels,
        .buckets = table->buckets,
        .unit = table->unit,
    };
    enum kvtel_status status = self->types.family(self->types.context, &spec, &metric->family);
    /* The name is taken, for example by another configuration of the same connector. */
    if (status == KVTEL_E_MISMATCH)
        kvtel_diagnostics_refuse(
            self->diagnostics, KVTEL_REFUSED_UNKNOWN_METRIC, 0, table->name,
            "%s: the name stands for a family with other labels or buckets already; it is not recorded here",
            table->name);
    return status;
}
