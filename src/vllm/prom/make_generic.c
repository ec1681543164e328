/* SPDX-License-Identifier: Apache-2.0 */
/* Makes the metrics of one connector's table: families, and the children that exist from the start. */
#include "base/diagnostics.h"
#include "vllm/prom/generic.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* Writes the label values of a child that is made up front. Returns their number. */
static size_t up_front_labels(const struct generic_metrics *self, const struct metric *metric, size_t engine,
                              size_t value, const char **labels)
{
    size_t count = self->engines.label_count;
    for (size_t i = 0; i < count; i++)
        labels[i] = self->engines.rows[engine].values[i];
    if (metric->values[0])
        labels[count++] = metric->values[value];
    return count;
}

/* Makes a child of one engine up front. If the family is full, the child is missing and its values are refused. */
static enum kvtel_status make_up_front(struct generic_metrics *self, struct metric *metric, size_t engine, size_t value)
{
    const char *labels[LABELS_MAX];
    size_t count = up_front_labels(self, metric, engine, value, labels);
    enum kvtel_status status = self->types.child(self->types.context, metric->family, labels, count,
                                                 &metric->children[engine * metric->up_front + value]);
    if (status != KVTEL_E_LIMIT)
        return status;
    kvtel_prom_refuse_child(self, metric->table, status, 0);
    return KVTEL_OK;
}

static enum kvtel_status make_places(struct generic_metrics *self, struct metric *metric)
{
    uint32_t values = 0;
    while (values < KVTEL_METRIC_FIELDS && metric->values[values])
        values++;
    bool typed = self->base.connector->payload_kind == KVTEL_PAYLOAD_TYPED;
    metric->up_front = values > 0 ? values : !typed && metric->own_labels == 0;
    metric->children = calloc(self->engines.count * metric->up_front + 1, sizeof *metric->children);
    return metric->children ? KVTEL_OK : KVTEL_E_NOMEM;
}

/* The requested children of one engine. */
struct requests {
    struct kvtel_child_spec *specs;
    const char *(*values)[LABELS_MAX];
    size_t count;
};

/* Checks that all children of an engine exist or can be made, so that none is made without its siblings. */
static enum kvtel_status look_for_room(struct generic_metrics *self, size_t engine, struct requests *requests)
{
    size_t count = 0;
    if (!self->types.room)
        return KVTEL_OK;
    for (size_t m = 0; m < self->metric_count; m++) {
        const struct metric *metric = &self->metrics[m];
        for (size_t v = 0; v < metric->up_front; v++, count++) {
            size_t labels = up_front_labels(self, metric, engine, v, requests->values[count]);
            requests->specs[count] = (struct kvtel_child_spec){ .family = metric->family,
                                                                .values = requests->values[count],
                                                                .count = labels };
        }
    }
    return self->types.room(self->types.context, requests->specs, count);
}

static enum kvtel_status make_engine(struct generic_metrics *self, size_t engine, struct requests *requests)
{
    enum kvtel_status status = look_for_room(self, engine, requests);
    if (status == KVTEL_E_LIMIT) {
        kvtel_diagnostics_refuse(self->diagnostics, KVTEL_REFUSED_SERIES_LIMIT, requests->count, "engines",
                                 "%s: no room for the label sets of further engines; engine %" PRIu32 " has none",
                                 self->base.connector->names[0].name, self->engines.rows[engine].engine);
        return KVTEL_OK;
    }
    for (size_t m = 0; m < self->metric_count && status == KVTEL_OK; m++)
        for (size_t v = 0; v < self->metrics[m].up_front && status == KVTEL_OK; v++)
            status = make_up_front(self, &self->metrics[m], engine, v);
    return status;
}

static enum kvtel_status make_children(struct generic_metrics *self)
{
    struct requests requests = { 0 };
    for (size_t m = 0; m < self->metric_count; m++)
        requests.count += self->metrics[m].up_front;
    requests.specs = malloc((requests.count + 1) * sizeof *requests.specs);
    requests.values = malloc((requests.count + 1) * sizeof *requests.values);
    enum kvtel_status status = requests.specs && requests.values ? KVTEL_OK : KVTEL_E_NOMEM;
    for (size_t e = 0; e < self->engines.count && status == KVTEL_OK; e++)
        status = make_engine(self, e, &requests);
    free(requests.specs);
    free(requests.values);
    return status;
}

static enum kvtel_status make_metric(struct generic_metrics *self, const struct kvtel_metric *table)
{
    struct metric *metric = &self->metrics[self->metric_count];
    enum kvtel_status status = kvtel_prom_make_family(self, metric, table);
    if (status == KVTEL_E_MISMATCH)
        return KVTEL_OK; /* all other families are used */
    self->metric_count++;
    kvtel_prom_find_columns(metric, self->base.connector);
    return status == KVTEL_OK ? make_places(self, metric) : status;
}

static enum kvtel_status copy_labelnames(struct generic_metrics *self, const struct kvtel_prom_options *options)
{
    self->labelnames = calloc(options->label_count + 1, sizeof *self->labelnames);
    for (size_t i = 0; self->labelnames && i < options->label_count; i++)
        if (!(self->labelnames[i] = strdup(options->labelnames[i])))
            return KVTEL_E_NOMEM;
    return self->labelnames ? KVTEL_OK : KVTEL_E_NOMEM;
}

enum kvtel_status kvtel_prom_metrics_make_generic(const struct kvtel_connector *connector,
                                                  const struct kvtel_prom_options *options,
                                                  struct kvtel_prom_metrics **metrics)
{
    size_t count = 0;
    while (connector->metrics && connector->metrics[count].name)
        count++;
    struct generic_metrics *self = calloc(1, sizeof *self);
    if (!self)
        return KVTEL_E_NOMEM;
    self->base = (struct kvtel_prom_metrics){ .vtable = &kvtel_prom_generic, .connector = connector };
    self->types = options->types;
    self->diagnostics = options->diagnostics;
    self->metrics = calloc(count + 1, sizeof *self->metrics);
    enum kvtel_status status = self->metrics ? kvtel_engine_table_init(&self->engines, options) : KVTEL_E_NOMEM;
    if (status == KVTEL_OK)
        status = copy_labelnames(self, options);
    for (size_t i = 0; i < count && status == KVTEL_OK; i++)
        if (kvtel_metric_is_exported(&connector->metrics[i], options->config))
            status = make_metric(self, &connector->metrics[i]);
    if (status == KVTEL_OK)
        status = make_children(self);
    if (status == KVTEL_OK)
        status = kvtel_prom_make_described(self);
    if (status != KVTEL_OK) {
        kvtel_prom_metrics_destroy(&self->base);
        return status;
    }
    *metrics = &self->base;
    return KVTEL_OK;
}

enum kvtel_status kvtel_prom_metrics_make_awaiting(const char *name, const struct kvtel_prom_options *options,
                                                   struct kvtel_prom_metrics **metrics)
{
    static const struct kvtel_connector_name no_names[] = { { .name = "" }, { .name = NULL } };
    static const struct kvtel_connector no_table = { .names = no_names, .payload_kind = KVTEL_PAYLOAD_TYPED };
    struct kvtel_prom_metrics *made;
    enum kvtel_status status = kvtel_prom_metrics_make_generic(&no_table, options, &made);
    if (status != KVTEL_OK)
        return status;
    struct generic_metrics *self = (struct generic_metrics *)made;
    self->awaited = strdup(name);
    if (!self->awaited) {
        kvtel_prom_metrics_destroy(made);
        return KVTEL_E_NOMEM;
    }
    *metrics = made;
    return KVTEL_OK;
}
