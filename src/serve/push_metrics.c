/* SPDX-License-Identifier: Apache-2.0 */
/* kvtel_otlp_*. */
#include "serve/push_metrics.h"

void push_metrics_set(struct metric_set *set, struct otlp_push *push)
{
    struct otlp_push_counts counts = otlp_push_counts(push);
    const struct {
        const char *name, *help;
        double value;
    } counters[] = {
        { "kvtel_otlp_pushes", "Pushes of metrics that the endpoint took.", (double)counts.taken },
        { "kvtel_otlp_pushes_failed",
          "Pushes that the endpoint refused, or that were not delivered until the next one was due.",
          (double)counts.failed },
        { "kvtel_otlp_retries", "Pushes that were sent again.", (double)counts.retries },
        { "kvtel_otlp_points_rejected", "Data points of pushes that the endpoint said it did not take.",
          (double)counts.rejected },
        { "kvtel_otlp_sent_bytes", "Bytes of pushes, as they were sent.", (double)counts.bytes },
    };
    for (size_t i = 0; i < sizeof counters / sizeof *counters; i++)
        metric_set_counter(set, counters[i].name, counters[i].help, NULL, NULL, counters[i].value);
    metric_set_gauge(set, "kvtel_otlp_push_duration_seconds", "Time from the beginning of the last push to its answer.",
                     NULL, NULL, counts.seconds);
    metric_set_gauge(set, "kvtel_otlp_last_push_timestamp_seconds",
                     "When the endpoint took the last push, since the Unix epoch; 0: not yet.", NULL, NULL,
                     counts.last_success);
}
