/* SPDX-License-Identifier: Apache-2.0 */
/* HiSparse: sparse attention that keeps hot KV on the device and the rest in host memory. */
#include <kvtel/connector.h>

#define RESIDENCY_SECONDS                                                                                             \
    KVTEL_BUCKETS(0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1200, \
                  1800)

static const struct kvtel_log_rules vllm_log = {
    .reduce = KVTEL_REDUCE(
        { .key = "HiSparse hot-buffer hits", .kind = KVTEL_REDUCE_TOTAL, .fields = { "cache_hits" } },
        { .key = "HiSparse hot-buffer misses", .kind = KVTEL_REDUCE_TOTAL, .fields = { "cache_misses" } },
        { .key = "HiSparse host-to-device bytes", .kind = KVTEL_REDUCE_TOTAL, .fields = { "host_to_device_bytes" } },
        { .key = "HiSparse host KV cache usage %",
          .kind = KVTEL_REDUCE_LAST,
          .fields = { "host_cache_usage_perc" },
          .scale = 100,
          .digits = 1 }),
    .arithmetic = KVTEL_PLAIN,
};

KVTEL_CONNECTOR(hisparse) = {
    .names = KVTEL_NAMES({ .name = "HiSparseConnector" }),
    .payload_kind = KVTEL_PAYLOAD_COLUMNS,
    .fields = KVTEL_FIELDS(
        { .key = "cache_hits", .kind = KVTEL_FIELD_EVENTS, .unit = KVTEL_UNIT_COUNT },
        { .key = "cache_misses", .kind = KVTEL_FIELD_EVENTS, .unit = KVTEL_UNIT_COUNT },
        { .key = "host_to_device_bytes", .kind = KVTEL_FIELD_EVENTS, .unit = KVTEL_UNIT_BYTES },
        { .key = "host_cache_usage_perc", .kind = KVTEL_FIELD_LEVEL, .unit = KVTEL_UNIT_RATIO },
        { .key = "pending_page_transfers", .kind = KVTEL_FIELD_LEVEL, .unit = KVTEL_UNIT_COUNT },
        { .key = "host_block_lifetime_seconds", .kind = KVTEL_FIELD_SAMPLES, .unit = KVTEL_UNIT_SECONDS },
        { .key = "host_block_idle_before_evict_seconds", .kind = KVTEL_FIELD_SAMPLES, .unit = KVTEL_UNIT_SECONDS },
        { .key = "host_block_reuse_gap_seconds", .kind = KVTEL_FIELD_SAMPLES, .unit = KVTEL_UNIT_SECONDS }),
    .metrics = KVTEL_METRICS(
        {
            .name = "vllm:hisparse_cache_hits",
            .type = KVTEL_COUNTER,
            .help = "Look-ups of KV entries that the hot buffer on the device could serve. Counted by each rank.",
            .fields = { "cache_hits" },
        },
        {
            .name = "vllm:hisparse_cache_misses",
            .type = KVTEL_COUNTER,
            .help = "Look-ups of KV entries that had to be fetched from host memory. Counted by each rank.",
            .fields = { "cache_misses" },
        },
        {
            .name = "vllm:hisparse_host_to_device_bytes",
            .type = KVTEL_COUNTER,
            .help = "Bytes of KV copied from host memory to the device. Counted by each rank.",
            .fields = { "host_to_device_bytes" },
            .unit = KVTEL_UNIT_BYTES,
        },
        {
            .name = "vllm:hisparse_host_cache_usage_perc",
            .type = KVTEL_GAUGE,
            .help = "Share of the KV cache in host memory that was in use at the engine's latest report, 0 to 1.",
            .fields = { "host_cache_usage_perc" },
            .unit = KVTEL_UNIT_RATIO,
        },
        {
            .name = "vllm:hisparse_pending_page_transfers",
            .type = KVTEL_GAUGE,
            .help = "Page transfers that were waiting or under way at the engine's latest report.",
            .fields = { "pending_page_transfers" },
        },
        {
            .name = "vllm:hisparse_host_block_lifetime_seconds",
            .type = KVTEL_HISTOGRAM,
            .help = "Seconds from the allocation of a KV block in host memory until its eviction. One value per "
                    "evicted block that was "
                    "sampled.",
            .fields = { "host_block_lifetime_seconds" },
            .buckets = RESIDENCY_SECONDS,
            .unit = KVTEL_UNIT_SECONDS,
            .condition = KVTEL_CONDITION(.cache_metrics = true),
        },
        {
            .name = "vllm:hisparse_host_block_idle_before_evict_seconds",
            .type = KVTEL_HISTOGRAM,
            .help = "Seconds from the last use of a KV block in host memory until its eviction. One value per evicted "
                    "block that was "
                    "sampled.",
            .fields = { "host_block_idle_before_evict_seconds" },
            .buckets = RESIDENCY_SECONDS,
            .unit = KVTEL_UNIT_SECONDS,
            .condition = KVTEL_CONDITION(.cache_metrics = true),
        },
        {
            .name = "vllm:hisparse_host_block_reuse_gap_seconds",
            .type = KVTEL_HISTOGRAM,
            .help = "Seconds from one use of a KV block in host memory until the next. One value per reuse of a block "
                    "that was "
                    "sampled.",
            .fields = { "host_block_reuse_gap_seconds" },
            .buckets = RESIDENCY_SECONDS,
            .unit = KVTEL_UNIT_SECONDS,
            .condition = KVTEL_CONDITION(.cache_metrics = true),
        }),
    .flows = KVTEL_FLOWS({ .name = "host_to_device", .bytes = "host_to_device_bytes" }),
    .log = &vllm_log,
};
