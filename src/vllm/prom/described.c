/* SPDX-License-Identifier: Apache-2.0 */
/* Metrics that payloads describe: families and series are made while payloads come. */
#include "base/diagnostics.h"
#include "vllm/prom/generic.h"

#include <stdlib.h>
#include <string.h>

/* Finds or makes the metric. A metric whose family could not be made stays, with the family NULL. NULL: no memory. */
static struct metric *find_metric(struct generic_metrics *self, const struct kvtel_metric *table)
{
    struct described_metrics *described = &self->described;
    for (size_t i = 0; i < described->count; i++)
        if (described->metrics[i].table == table)
            return &described->metrics[i];
    struct metric *metrics =
        kvtel_content_grow(described->metrics, described->count, &described->capacity, sizeof *metrics);
    if (!metrics)
        return NULL;
    described->metrics = metrics;
    struct metric *metric = &metrics[described->count++];
    if (kvtel_prom_make_family(self, metric, table) != KVTEL_OK)
        metric->family = NULL;
    return metric;
}

static void make_series(struct generic_metrics *self, const struct kvtel_described *entry, const struct metric *metric)
{
    const char *own[KVTEL_METRIC_LABELS], *label = entry->labels;
    for (uint32_t i = 0; i < entry->label_count; i++) {
        own[i] = label;
        label += strlen(label) + 1;
    }
    for (size_t e = 0; e < self->engines.count; e++)
        (void)kvtel_prom_labelled_child(self, metric, e, own, 0);
}

static struct kvtel_learned *open_of(const struct generic_metrics *self)
{
    struct kvtel_learned *open = kvtel_learned_of(self->base.connector);
    return open ? open : kvtel_learned_beside(self->base.connector);
}

enum kvtel_status kvtel_prom_make_described(struct generic_metrics *self)
{
    struct kvtel_learned *open = open_of(self);
    const struct kvtel_descriptor *descriptor = open ? atomic_load(&open->descriptor) : NULL;
    if (!descriptor || descriptor == self->described.descriptor)
        return KVTEL_OK;
    for (size_t i = 0; i < descriptor->count; i++) {
        const struct kvtel_described *entry = &descriptor->entries[i];
        const struct metric *metric = find_metric(self, entry->metric);
        if (!metric)
            return KVTEL_E_NOMEM;
        if (metric->family && !entry->is_definition)
            make_series(self, entry, metric);
    }
    self->described.descriptor = descriptor;
    return KVTEL_OK;
}

static uint64_t count_values(const struct kvtel_column_set *set)
{
    uint64_t count = 0;
    for (size_t c = 0; c < set->column_count; c++)
        count += set->columns[c].count;
    return count;
}

void kvtel_prom_observe_described(struct generic_metrics *self, const struct kvtel_content *content, size_t engine)
{
    enum kvtel_status made = kvtel_prom_make_described(self); /* without memory it is tried again next time */
    (void)made;
    for (size_t g = 0; g < content->set_count; g++) {
        const struct kvtel_column_set *set = &content->sets[g];
        const struct metric *metric = find_metric(self, set->metric);
        if (!metric)
            kvtel_prom_refuse_child(self, set->metric, KVTEL_E_NOMEM, count_values(set));
        else if (metric->family)
            kvtel_prom_feed_typed(self, metric, set, engine);
        else
            kvtel_prom_refuse_child(self, set->metric, KVTEL_E_LIMIT, count_values(set));
    }
}

void kvtel_prom_described_free(struct generic_metrics *self)
{
    free(self->described.metrics);
    for (size_t i = 0; self->labelnames && i < self->engines.label_count; i++)
        free(self->labelnames[i]);
    free(self->labelnames);
}
