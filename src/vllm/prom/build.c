/* SPDX-License-Identifier: Apache-2.0 */
/* Chooses the metrics of a connector: its own, those of a MultiConnector, or the generic ones. */
#include "vllm/prom/generic.h"

#include <string.h>

static bool are_texts(const char *const *texts, size_t count)
{
    if (!texts)
        return count == 0;
    for (size_t i = 0; i < count; i++)
        if (!texts[i])
            return false;
    return true;
}

bool kvtel_prom_options_are_whole(const struct kvtel_prom_options *options)
{
    if (!options || !options->config)
        return false;
    const struct kvtel_metric_types *types = &options->types;
    if (!types->family || !types->child || !types->increase || !types->set || !types->observe ||
        options->label_count > LABELS_MAX - KVTEL_METRIC_LABELS ||
        !are_texts(options->labelnames, options->label_count) || (!options->engines && options->engine_count > 0))
        return false;
    for (size_t i = 0; i < options->engine_count; i++)
        if (!are_texts(options->engines[i].values, options->label_count))
            return false;
    return true;
}

enum kvtel_status kvtel_prom_metrics_create_generic(const struct kvtel_connector *connector,
                                                    const struct kvtel_prom_options *options,
                                                    struct kvtel_prom_metrics **metrics)
{
    if (!connector)
        return KVTEL_E_ARGUMENT;
    if (connector->payload_kind == KVTEL_PAYLOAD_NONE)
        return KVTEL_E_NO_STATS;
    if (!kvtel_prom_options_are_whole(options))
        return KVTEL_E_ARGUMENT;
    if (connector->payload_kind == KVTEL_PAYLOAD_MULTI)
        return kvtel_prom_metrics_make_multi(options, kvtel_connector_build_any_metrics, metrics);
    return kvtel_prom_metrics_make_generic(connector, options, metrics);
}

enum kvtel_status kvtel_connector_build_prom_metrics(const struct kvtel_prom_options *options,
                                                     struct kvtel_prom_metrics **metrics)
{
    if (!options || !options->config)
        return KVTEL_E_ARGUMENT;
    const struct kvtel_connector *connector = kvtel_transfer_config_connector(options->config);
    if (!connector)
        return KVTEL_E_UNKNOWN;
    return connector->build_prom_metrics ? connector->build_prom_metrics(connector, options, metrics)
                                         : kvtel_prom_metrics_create_generic(connector, options, metrics);
}

enum kvtel_status kvtel_connector_build_any_metrics(const struct kvtel_prom_options *options,
                                                    struct kvtel_prom_metrics **metrics)
{
    enum kvtel_status status = kvtel_connector_build_prom_metrics(options, metrics);
    if (status != KVTEL_E_UNKNOWN && status != KVTEL_E_NO_STATS)
        return status;
    const char *name = kvtel_transfer_config_connector_name(options->config);
    const struct kvtel_learned *open = kvtel_learned_find(name);
    if (!*name || strlen(name) > KVTEL_TEXT_LIMIT)
        return status;
    if (!kvtel_prom_options_are_whole(options))
        return KVTEL_E_ARGUMENT;
    return open ? kvtel_prom_metrics_make_generic(&open->table, options, metrics)
                : kvtel_prom_metrics_make_awaiting(name, options, metrics);
}
