/* SPDX-License-Identifier: Apache-2.0 */
/* vLLM's KVConnectorPromMetrics, the base: two calls that go through the vtable. */
#include "vllm/prom/prom_metrics.h"

enum kvtel_status kvtel_prom_metrics_observe(struct kvtel_prom_metrics *metrics, const struct kvtel_stats *stats,
                                             uint32_t engine)
{
    return metrics->vtable->observe(metrics, stats, engine);
}

void kvtel_prom_metrics_destroy(struct kvtel_prom_metrics *metrics)
{
    if (metrics)
        metrics->vtable->destroy(metrics);
}
