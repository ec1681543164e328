/* SPDX-License-Identifier: Apache-2.0 */
/* Mooncake's shared store: each call for a batch of keys is a row under the operation's name. */
#include <kvtel/connector.h>

#define OPERATION_AND_STATUS  \
    {                         \
        "operation", "status" \
    }

static const struct kvtel_log_rules vllm_log = {
    .reduce = KVTEL_REDUCE(
        { .key = "_count", .kind = KVTEL_REDUCE_COUNT, .fields = { "duration_seconds" } },
        { .key = "_avg_ms", .kind = KVTEL_REDUCE_MEAN, .fields = { "duration_seconds" }, .scale = 1e3, .digits = 3 },
        { .key = "_p90_ms", .kind = KVTEL_REDUCE_P90, .fields = { "duration_seconds" }, .scale = 1e3, .digits = 3 },
        { .key = "_total_keys", .kind = KVTEL_REDUCE_TOTAL, .fields = { "num_keys" } },
        { .key = "_total_bytes", .kind = KVTEL_REDUCE_TOTAL, .fields = { "num_bytes" } },
        { .key = "_failed_keys", .kind = KVTEL_REDUCE_TOTAL, .fields = { "num_failed_keys" } },
        { .key = "_error_count", .kind = KVTEL_REDUCE_MATCHES, .fields = { "status" }, .match = "error" }),
    .sorted = true,
    .arithmetic = KVTEL_EXACT,
};

KVTEL_CONNECTOR(mooncake_store) = {
    .names = KVTEL_NAMES({ .name = "MooncakeStoreConnector" }),
    .payload_kind = KVTEL_PAYLOAD_ROWS,
    .fields =
        KVTEL_FIELDS({ .key = "duration_seconds", .kind = KVTEL_FIELD_SAMPLES, .unit = KVTEL_UNIT_SECONDS, .row = 1 },
                     { .key = "num_keys", .kind = KVTEL_FIELD_SAMPLES, .unit = KVTEL_UNIT_COUNT, .row = 1 },
                     { .key = "num_bytes", .kind = KVTEL_FIELD_SAMPLES, .unit = KVTEL_UNIT_BYTES, .row = 1 },
                     { .key = "status", .kind = KVTEL_FIELD_TEXT, .unit = KVTEL_UNIT_COUNT, .row = 1 },
                     { .key = "num_failed_keys", .kind = KVTEL_FIELD_SAMPLES, .unit = KVTEL_UNIT_COUNT, .row = 1 }),
    .metrics = KVTEL_METRICS(
        {
            .name = "vllm:mooncake_store_operation_time_seconds",
            .type = KVTEL_HISTOGRAM,
            .help = "Seconds from calling the Mooncake store until it answered. One value per call of a rank, "
                    "a call being a batch of keys; failed calls too.",
            .fields = { "duration_seconds" },
            .labels = OPERATION_AND_STATUS,
            .buckets = KVTEL_BUCKETS(0.001, 0.005, 0.01, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.75, 1, 1.5, 2, 3, 4),
            .unit = KVTEL_UNIT_SECONDS,
        },
        {
            .name = "vllm:mooncake_store_operation_total",
            .type = KVTEL_COUNTER,
            .help = "Calls to the Mooncake store, a call being a batch of keys. Counted by each rank.",
            .fields = { "duration_seconds" },
            .input = KVTEL_INPUT_COUNT,
            .labels = OPERATION_AND_STATUS,
        },
        {
            .name = "vllm:mooncake_store_operation_keys_total",
            .type = KVTEL_COUNTER,
            .help = "Keys that calls to the Mooncake store asked for, those that failed too. Counted by each rank.",
            .fields = { "num_keys" },
            .labels = OPERATION_AND_STATUS,
        },
        {
            .name = "vllm:mooncake_store_operation_bytes_total",
            .type = KVTEL_COUNTER,
            .help = "Bytes that calls to the Mooncake store moved, 0 for those that only ask whether keys exist. "
                    "Counted by each rank.",
            .fields = { "num_bytes" },
            .labels = OPERATION_AND_STATUS,
            .unit = KVTEL_UNIT_BYTES,
        },
        {
            .name = "vllm:mooncake_store_operation_failed_keys_total",
            .type = KVTEL_COUNTER,
            .help = "Keys that failed in calls to the Mooncake store, by the status of the whole call. Counted by each "
                    "rank.",
            .fields = { "num_failed_keys" },
            .labels = OPERATION_AND_STATUS,
        }),
    .flows = KVTEL_FLOWS({ .name = "*",
                           .time = "duration_seconds",
                           .bytes = "num_bytes",
                           .descriptors = "num_keys",
                           .failed = "num_failed_keys",
                           .status = "status" }),
    .log = &vllm_log,
};
