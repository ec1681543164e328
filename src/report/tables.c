/* SPDX-License-Identifier: Apache-2.0 */
/* The tables by which a report reads families, and one for families that do not belong to a connector's table: there
 * each histogram is a flow, all others are shown by themselves. */
#include "collect/series.h"
#include "report/tables.h"

#include <string.h>

#include "base/metric.h"
#include "connectors/table.h"
#include "nixl/telemetry.h"

const struct kvtel_connector *kvtel_snapshot_table(size_t i)
{
    const struct kvtel_connector *table = kvtel_connector_at(i);
    return table || (i > 0 && !kvtel_connector_at(i - 1)) ? table : &kvtel_nixl_telemetry;
}

static bool begins_with(const char *text, const char *prefix)
{
    return strncmp(text, prefix, strlen(prefix)) == 0;
}

/* Whether another table has the family. Families of kvtel itself and of its process count as known: they describe
 * kvtel's work, not the transfers of an engine. */
static bool is_known(const struct kvtel_snapshot_family *family)
{
    const struct kvtel_connector *table;
    if (begins_with(family->name, "kvtel_") || begins_with(family->name, "process_"))
        return true;
    for (size_t i = 0; (table = kvtel_snapshot_table(i)); i++) {
        for (const struct kvtel_metric *metric = table->metrics; metric && metric->name; metric++) {
            char name[256];
            if (metric->type == family->type &&
                strcmp(kvtel_metric_family_name(metric, name, sizeof(name)), family->name) == 0)
                return true;
        }
    }
    return false;
}

static const char *short_name(const char *name)
{
    return begins_with(name, "vllm:") ? name + strlen("vllm:") : name;
}

static struct kvtel_metric describe(const struct kvtel_snapshot_family *family)
{
    struct kvtel_metric metric = {
        .name = family->name, .type = family->type, .help = family->help, .unit = family->unit
    };
    size_t own = 0;
    for (size_t i = 0; i < family->label_count && own < KVTEL_METRIC_LABELS; i++) {
        const char *label = family->labelnames[i];
        if (strcmp(label, "model_name") != 0 && strcmp(label, "engine") != 0)
            metric.labels[own++] = label;
    }
    return metric;
}

static struct kvtel_flow describe_flow(const struct kvtel_snapshot_family *family)
{
    struct kvtel_flow flow = { .name = short_name(family->name) };
    if (family->unit == KVTEL_UNIT_SECONDS)
        flow.time = family->name;
    else if (family->unit == KVTEL_UNIT_BYTES)
        flow.bytes = family->name;
    else
        flow.count = family->name;
    return flow;
}

enum kvtel_status kvtel_generic_table(const struct kvtel_snapshot *snapshot, struct kvtel_arena *arena,
                                      const struct kvtel_connector **made)
{
    static const struct kvtel_connector_name names[] = { { .name = "other metrics" }, { .name = NULL } };
    size_t all = kvtel_snapshot_family_count(snapshot), metric_count = 0, flow_count = 0;
    struct kvtel_metric *metrics = kvtel_arena_alloc(arena, (all + 1) * sizeof(*metrics));
    struct kvtel_flow *flows = kvtel_arena_alloc(arena, (all + 1) * sizeof(*flows));
    struct kvtel_connector *table = kvtel_arena_alloc(arena, sizeof(*table));
    if (!metrics || !flows || !table)
        return KVTEL_E_NOMEM;
    for (size_t i = 0; i < all; i++) {
        const struct kvtel_snapshot_family *family = kvtel_snapshot_family(snapshot, i);
        if (is_known(family))
            continue;
        metrics[metric_count++] = describe(family);
        if (family->type == KVTEL_HISTOGRAM)
            flows[flow_count++] = describe_flow(family);
    }
    metrics[metric_count] = (struct kvtel_metric){ .name = NULL };
    flows[flow_count] = (struct kvtel_flow){ .name = NULL };
    *table = (struct kvtel_connector){
        .names = names, .payload_kind = KVTEL_PAYLOAD_TYPED, .metrics = metrics, .flows = flows
    };
    *made = table;
    return KVTEL_OK;
}
