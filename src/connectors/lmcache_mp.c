/* SPDX-License-Identifier: Apache-2.0 */
/* LMCache in a process of its own beside the engine. The table is for the class that LMCache provides; vLLM's own
 * class of this name does not report stats. */
#include <kvtel/connector.h>

static const struct kvtel_log_rules vllm_log = {
    .reduce = KVTEL_REDUCE(
        { .key = "LMCache MP lookup count", .kind = KVTEL_REDUCE_COUNT, .fields = { "lookup_duration_seconds" } },
        { .key = "LMCache MP lookup avg latency (ms)",
          .kind = KVTEL_REDUCE_MEAN,
          .fields = { "lookup_duration_seconds" },
          .scale = 1e3,
          .digits = 3 }),
    .primary = "lookup_duration_seconds",
    .silent_when_empty = true,
    .arithmetic = KVTEL_PLAIN,
};

KVTEL_CONNECTOR(lmcache_mp) = {
    .names = KVTEL_NAMES({ .name = "LMCacheMPConnector" }),
    .payload_kind = KVTEL_PAYLOAD_COLUMNS,
    .fields =
        KVTEL_FIELDS({ .key = "lookup_duration_seconds", .kind = KVTEL_FIELD_SAMPLES, .unit = KVTEL_UNIT_SECONDS }),
    .metrics = KVTEL_METRICS({
        .name = "vllm:lmcache_mp_lookup_duration_seconds",
        .type = KVTEL_HISTOGRAM,
        .help = "Seconds from asking LMCache which tokens of a request it holds until it answered. One value per "
                "lookup of a request.",
        .fields = { "lookup_duration_seconds" },
        .buckets = KVTEL_BUCKETS(0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10),
        .unit = KVTEL_UNIT_SECONDS,
    }),
    .flows = KVTEL_FLOWS({ .name = "lookup", .time = "lookup_duration_seconds" }),
    .log = &vllm_log,
};
