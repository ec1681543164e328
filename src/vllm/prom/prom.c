/* SPDX-License-Identifier: Apache-2.0 */
/* vLLM's KVConnectorProm: the metrics of the configured connector, if it has any. */
#include "base/diagnostics.h"
#include "vllm/prom/prom_metrics.h"

#include <stdlib.h>

struct kvtel_prom {
    struct kvtel_prom_metrics *metrics; /* NULL: the connector does not have metrics */
    struct kvtel_diagnostics *diagnostics;
};

enum kvtel_status kvtel_prom_create(const struct kvtel_prom_options *options, struct kvtel_prom **prom)
{
    if (!kvtel_prom_options_are_whole(options))
        return KVTEL_E_ARGUMENT;
    const char *name = kvtel_transfer_config_connector_name(options->config);
    struct kvtel_prom *self = calloc(1, sizeof *self);
    if (!self)
        return KVTEL_E_NOMEM;
    self->diagnostics = options->diagnostics;
    enum kvtel_status status = kvtel_connector_build_any_metrics(options, &self->metrics);
    if (status == KVTEL_E_UNKNOWN)
        kvtel_diagnostics_refuse(options->diagnostics, KVTEL_REFUSED_UNKNOWN_CONNECTOR, 0, name,
                                 "unknown connector \"%.64s\": none of its stats become metrics", name);
    if (status != KVTEL_OK && status != KVTEL_E_UNKNOWN && status != KVTEL_E_NO_STATS) {
        free(self);
        return status;
    }
    *prom = self;
    return KVTEL_OK;
}

enum kvtel_status kvtel_prom_observe(struct kvtel_prom *prom, const struct kvtel_stats *stats, uint32_t engine)
{
    enum kvtel_status status = prom->metrics ? prom->metrics->vtable->observe(prom->metrics, stats, engine) : KVTEL_OK;
    if (status == KVTEL_E_ENGINE)
        kvtel_diagnostics_refuse(prom->diagnostics, KVTEL_REFUSED_UNKNOWN_ENGINE, 1, "engine",
                                 "these metrics were not made for engine %u: a payload of it is not in them", engine);
    else if (status == KVTEL_E_MISMATCH)
        kvtel_diagnostics_refuse(prom->diagnostics, KVTEL_REFUSED_UNKNOWN_CONNECTOR, 1, stats->connector->names[0].name,
                                 "stats of %s came to the metrics of another connector",
                                 stats->connector->names[0].name);
    return status;
}

void kvtel_prom_destroy(struct kvtel_prom *prom)
{
    if (!prom)
        return;
    kvtel_prom_metrics_destroy(prom->metrics);
    free(prom);
}
