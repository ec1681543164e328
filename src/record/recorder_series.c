/* SPDX-License-Identifier: Apache-2.0 */
/* The families and series of a recorder, as the connector's table describes them. */
#include "record/recorder.h"
#include "connectors/table.h"

#include <string.h>

static const char *const no_labels[KVTEL_METRIC_LABELS];

void kvtel_recorder_warn_no_room(struct kvtel_store *store, enum kvtel_status status)
{
    kvtel_store_warn_of(store, KVTEL_WARN_SERIES, status, "no further family or series could be made");
}

void kvtel_recorder_make_families(struct kvtel_recorder *recorder, const struct kvtel_transfer_config *config)
{
    const struct kvtel_metric *metric = recorder->connector->metrics;
    for (; metric && metric->name; metric++) {
        char name[256];
        const char *labels[2 + KVTEL_METRIC_LABELS] = { "model_name", "engine" };
        memcpy(labels + 2, metric->labels, sizeof(metric->labels));
        const struct kvtel_family_spec spec = {
            .name = kvtel_metric_family_name(metric, name, sizeof(name)),
            .type = metric->type,
            .help = metric->help,
            .labelnames = labels,
            .label_count = 2 + kvtel_metric_label_count(metric),
            .buckets = metric->buckets,
            .unit = metric->unit,
        };
        struct kvtel_family_handle *handle = &recorder->families[recorder->family_count];
        if (!kvtel_metric_is_exported(metric, config))
            continue;
        handle->metric = metric;
        enum kvtel_status status = kvtel_store_family(recorder->store, &spec, &handle->family);
        if (status == KVTEL_OK)
            recorder->family_count++;
        else
            kvtel_recorder_warn_no_room(recorder->store, status);
    }
}

bool kvtel_recorder_bare_series(struct kvtel_recorder *recorder, uint32_t family, const char *const *own,
                                size_t own_count, bool exemplars, uint32_t *series)
{
    const char *values[2 + KVTEL_METRIC_LABELS] = { recorder->store->header->model_name, recorder->engine };
    for (size_t i = 0; i < own_count; i++)
        values[2 + i] = own[i];
    const struct kvtel_series_request request = {
        .family = family, .values = values, .count = 2 + own_count, .exemplars = exemplars
    };
    enum kvtel_status status = kvtel_store_bare_series(recorder->store, &request, series);
    if (status != KVTEL_OK)
        kvtel_recorder_warn_no_room(recorder->store, status);
    return status == KVTEL_OK;
}

const char *const *kvtel_recorder_table_labels(const struct kvtel_metric *metric, size_t i)
{
    return metric->values[0] ? &metric->values[i] : no_labels;
}

static bool is_typed(const struct kvtel_recorder *recorder)
{
    return recorder->connector->payload_kind == KVTEL_PAYLOAD_TYPED;
}

int kvtel_recorder_field(const struct kvtel_recorder *recorder, const struct kvtel_metric *metric, const char *key)
{
    if (!metric->fields[0] && is_typed(recorder))
        return strcmp(metric->name, key) == 0 ? 0 : -1;
    for (int i = 0; i < KVTEL_METRIC_FIELDS && metric->fields[i]; i++) {
        if (strcmp(metric->fields[i], key) == 0)
            return i;
    }
    return -1;
}

/* Whether a histogram takes the field. */
static bool has_histogram(const struct kvtel_recorder *recorder, const char *key)
{
    for (size_t i = 0; key && i < recorder->family_count; i++)
        if (recorder->families[i].metric->type == KVTEL_HISTOGRAM &&
            kvtel_recorder_field(recorder, recorder->families[i].metric, key) >= 0)
            return true;
    return false;
}

/* The field of a flow that is the value of an exemplar: the time, or the size where no histogram takes the time. */
static const char *exemplar_key(const struct kvtel_recorder *recorder, const struct kvtel_flow *flow)
{
    return has_histogram(recorder, flow->time) ? flow->time : flow->sizes ? flow->sizes : flow->bytes;
}

/* Whether the series of a metric have places for exemplars. */
static bool has_exemplars(const struct kvtel_recorder *recorder, const struct kvtel_metric *metric)
{
    if (!recorder->exemplars || metric->type != KVTEL_HISTOGRAM)
        return false;
    for (const struct kvtel_flow *flow = recorder->connector->flows; flow && flow->name; flow++) {
        const char *key = exemplar_key(recorder, flow);
        if (key && kvtel_recorder_field(recorder, metric, key) >= 0)
            return true;
    }
    return false;
}

bool kvtel_recorder_series(struct kvtel_recorder *recorder, const struct kvtel_family_handle *handle,
                           const char *const *own, size_t own_count, uint32_t *series)
{
    return kvtel_recorder_bare_series(recorder, handle->family, own, own_count, has_exemplars(recorder, handle->metric),
                                      series);
}

void kvtel_recorder_make_idle_series(struct kvtel_recorder *recorder)
{
    for (size_t i = 0; i < recorder->family_count; i++) {
        const struct kvtel_metric *metric = recorder->families[i].metric;
        size_t label_count = kvtel_metric_label_count(metric);
        uint32_t series;
        if (!metric->values[0] && (label_count > 0 || is_typed(recorder)))
            continue;
        for (size_t v = 0; v == 0 || (v < KVTEL_METRIC_FIELDS && metric->values[v]); v++)
            (void)kvtel_recorder_series(recorder, &recorder->families[i], kvtel_recorder_table_labels(metric, v),
                                        label_count, &series);
    }
}
