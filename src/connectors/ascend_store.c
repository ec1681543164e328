/* SPDX-License-Identifier: Apache-2.0 */
/* vllm-ascend's KV pool: loads from its backend, and blocks that wait for a save. Written from the connector's source,
 * not from a running engine. Where nothing was loaded, vLLM's line lacks the three values of loads that are 0 here. */
#include <kvtel/connector.h>

static const struct kvtel_log_rules vllm_log = {
    .reduce = KVTEL_REDUCE(
        { .key = "ascend_store_delayed_release_requests",
          .kind = KVTEL_REDUCE_TOTAL,
          .fields = { "delayed_release_requests" },
          .always = true },
        { .key = "ascend_store_delayed_release_blocks",
          .kind = KVTEL_REDUCE_TOTAL,
          .fields = { "delayed_release_blocks" },
          .always = true },
        { .key = "ascend_store_load_get_count", .kind = KVTEL_REDUCE_COUNT, .fields = { "load_get_duration_seconds" } },
        { .key = "ascend_store_load_get_avg_ms",
          .kind = KVTEL_REDUCE_MEAN,
          .fields = { "load_get_duration_seconds" },
          .scale = 1e3,
          .digits = 3 },
        { .key = "ascend_store_load_get_keys", .kind = KVTEL_REDUCE_TOTAL, .fields = { "load_get_keys" } }),
    .primary = "load_get_duration_seconds",
    .arithmetic = KVTEL_EXACT,
};

KVTEL_CONNECTOR(ascend_store) = {
    .names = KVTEL_NAMES({ .name = "AscendStoreConnector" },
                         { .name = "MooncakeConnectorStoreV1", .class_name = "AscendStoreConnector" }),
    .payload_kind = KVTEL_PAYLOAD_COLUMNS,
    .fields =
        KVTEL_FIELDS({ .key = "load_get_duration_seconds", .kind = KVTEL_FIELD_SAMPLES, .unit = KVTEL_UNIT_SECONDS },
                     { .key = "load_get_keys", .kind = KVTEL_FIELD_TOTAL, .unit = KVTEL_UNIT_COUNT },
                     { .key = "delayed_release_requests", .kind = KVTEL_FIELD_READING, .unit = KVTEL_UNIT_COUNT },
                     { .key = "delayed_release_blocks", .kind = KVTEL_FIELD_READING, .unit = KVTEL_UNIT_COUNT }),
    .metrics = KVTEL_METRICS(
        {
            .name = "vllm:ascend_store_delayed_release_requests",
            .type = KVTEL_GAUGE,
            .help = "Finished requests whose KV blocks waited for an asynchronous save at the scheduler's latest "
                    "report.",
            .fields = { "delayed_release_requests" },
        },
        {
            .name = "vllm:ascend_store_delayed_release_blocks",
            .type = KVTEL_GAUGE,
            .help = "KV blocks that waited for an asynchronous save at the scheduler's latest report.",
            .fields = { "delayed_release_blocks" },
        },
        {
            .name = "vllm:ascend_store_load_get_duration_seconds",
            .type = KVTEL_HISTOGRAM,
            .help = "Seconds from asking the pool's backend for a batch of keys until it answered. One value per batch "
                    "of a rank, without layer-wise loads.",
            .fields = { "load_get_duration_seconds" },
            .buckets = KVTEL_BUCKETS(0.001, 0.005, 0.01, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.75, 1, 1.5, 2, 3, 4),
            .unit = KVTEL_UNIT_SECONDS,
        },
        {
            .name = "vllm:ascend_store_load_get_keys_total",
            .type = KVTEL_COUNTER,
            .help = "Keys that loads asked the pool's backend for. Counted by each rank.",
            .fields = { "load_get_keys" },
        }),
    .flows = KVTEL_FLOWS({ .name = "load", .time = "load_get_duration_seconds", .descriptors = "load_get_keys" }),
    .log = &vllm_log,
};
