/* SPDX-License-Identifier: Apache-2.0 */
/* A MultiConnector's metrics: one set for each child class, fed by the child's key in the payload. */
#include "base/diagnostics.h"
#include "vllm/prom/prom_metrics.h"

#include <stdlib.h>
#include <string.h>

struct multi_child {
    char *class_name;
    struct kvtel_prom_metrics *metrics; /* NULL: the child does not report stats */
};

struct multi_metrics {
    struct kvtel_prom_metrics base;
    struct kvtel_diagnostics *diagnostics;
    struct kvtel_engine_table engines;
    struct multi_child *children;
    size_t child_count;
};

/* Finds the child of a payload's key: the class, or another name of the class that older versions of vLLM use. */
static struct multi_child *find_child(struct multi_metrics *self, const char *key)
{
    const char *class_name = kvtel_connector_class(key);
    for (size_t i = 0; i < self->child_count; i++)
        if (strcmp(self->children[i].class_name, class_name) == 0)
            return &self->children[i];
    return NULL;
}

static enum kvtel_status multi_observe(struct kvtel_prom_metrics *metrics, const struct kvtel_stats *stats,
                                       uint32_t engine)
{
    struct multi_metrics *self = (struct multi_metrics *)metrics;
    if (stats->connector != self->base.connector)
        return KVTEL_E_MISMATCH;
    if (kvtel_engine_table_find(&self->engines, engine) == SIZE_MAX)
        return KVTEL_E_ENGINE;
    if (kvtel_stats_is_summarised(stats))
        return KVTEL_E_SUMMARISED;
    enum kvtel_status status = KVTEL_OK;
    for (size_t i = 0; i < stats->content.child_count; i++) {
        const struct kvtel_child *from = &stats->content.children[i];
        struct multi_child *child = find_child(self, from->class_name);
        if (!child)
            kvtel_diagnostics_refuse(
                self->diagnostics, KVTEL_REFUSED_UNKNOWN_CONNECTOR, 1, from->class_name,
                "MultiConnector: \"%.64s\" is not a child of this configuration; it is not recorded", from->class_name);
        if (!child || !child->metrics)
            continue;
        enum kvtel_status observed = child->metrics->vtable->observe(child->metrics, from->stats, engine);
        if (status == KVTEL_OK)
            status = observed; /* the first failure is returned; the other children are still recorded */
    }
    return status;
}

static void multi_destroy(struct kvtel_prom_metrics *metrics)
{
    struct multi_metrics *self = (struct multi_metrics *)metrics;
    for (size_t i = 0; i < self->child_count; i++) {
        kvtel_prom_metrics_destroy(self->children[i].metrics);
        free(self->children[i].class_name);
    }
    free(self->children);
    kvtel_engine_table_free(&self->engines);
    free(self);
}

static enum kvtel_status add_child(struct multi_metrics *self, const struct kvtel_prom_options *options,
                                   const struct kvtel_transfer_config *config, kvtel_build_prom_metrics_fn build)
{
    struct kvtel_prom_options child_options = *options;
    const char *class_name = kvtel_connector_class(kvtel_transfer_config_connector_name(config));
    if (find_child(self, class_name))
        return KVTEL_OK; /* in a payload two children of one class are one entry */
    struct multi_child *child = &self->children[self->child_count];
    child->class_name = strdup(class_name);
    if (!child->class_name)
        return KVTEL_E_NOMEM;
    self->child_count++;
    child_options.config = config;
    enum kvtel_status status = build(&child_options, &child->metrics);
    if (status == KVTEL_E_UNKNOWN)
        kvtel_diagnostics_refuse(options->diagnostics, KVTEL_REFUSED_UNKNOWN_CONNECTOR, 0, class_name,
                                 "MultiConnector: unknown child \"%.64s\": none of its stats become metrics",
                                 class_name);
    return status == KVTEL_E_NO_STATS || status == KVTEL_E_UNKNOWN ? KVTEL_OK : status;
}

enum kvtel_status kvtel_prom_metrics_make_multi(const struct kvtel_prom_options *options,
                                                kvtel_build_prom_metrics_fn build, struct kvtel_prom_metrics **metrics)
{
    static const struct kvtel_prom_metrics_vtable vtable = { .observe = multi_observe, .destroy = multi_destroy };
    size_t count = kvtel_transfer_config_child_count(options->config);
    struct multi_metrics *self = calloc(1, sizeof *self);
    if (!self)
        return KVTEL_E_NOMEM;
    self->base =
        (struct kvtel_prom_metrics){ .vtable = &vtable, .connector = kvtel_transfer_config_connector(options->config) };
    self->diagnostics = options->diagnostics;
    self->children = calloc(count + 1, sizeof *self->children);
    enum kvtel_status status = self->children ? kvtel_engine_table_init(&self->engines, options) : KVTEL_E_NOMEM;
    for (size_t i = 0; i < count && status == KVTEL_OK; i++)
        status = add_child(self, options, kvtel_transfer_config_child(options->config, i), build);
    if (status != KVTEL_OK) {
        multi_destroy(&self->base);
        return status;
    }
    *metrics = &self->base;
    return KVTEL_OK;
}
