/* SPDX-License-Identifier: Apache-2.0 */
/* UMBP's store: four totals under each operation's name. */
#include <kvtel/connector.h>

static const struct kvtel_log_rules vllm_log = {
    .reduce = KVTEL_REDUCE({ .key = "_submitted", .kind = KVTEL_REDUCE_TOTAL, .fields = { "submitted" } },
                           { .key = "_completed", .kind = KVTEL_REDUCE_TOTAL, .fields = { "completed" } },
                           { .key = "_failed", .kind = KVTEL_REDUCE_TOTAL, .fields = { "failed" } },
                           { .key = "_num_bytes", .kind = KVTEL_REDUCE_TOTAL, .fields = { "num_bytes" } }),
    .arithmetic = KVTEL_PLAIN,
};

KVTEL_CONNECTOR(umbp) = {
    .names = KVTEL_NAMES({ .name = "UMBPStoreConnector" }),
    .payload_kind = KVTEL_PAYLOAD_COUNTS,
    .fields = KVTEL_FIELDS({ .key = "submitted", .kind = KVTEL_FIELD_TOTAL, .unit = KVTEL_UNIT_COUNT },
                           { .key = "completed", .kind = KVTEL_FIELD_TOTAL, .unit = KVTEL_UNIT_COUNT },
                           { .key = "failed", .kind = KVTEL_FIELD_TOTAL, .unit = KVTEL_UNIT_COUNT },
                           { .key = "num_bytes", .kind = KVTEL_FIELD_TOTAL, .unit = KVTEL_UNIT_BYTES }),
    .metrics = KVTEL_METRICS(
        {
            .name = "vllm:umbp_transfer_submitted_total",
            .type = KVTEL_COUNTER,
            .help = "Transfers handed to the UMBP store, by operation. Counted by each rank.",
            .fields = { "submitted" },
            .labels = { "operation" },
        },
        {
            .name = "vllm:umbp_transfer_completed_total",
            .type = KVTEL_COUNTER,
            .help = "Transfers that the UMBP store finished well, by operation. Counted by each rank.",
            .fields = { "completed" },
            .labels = { "operation" },
        },
        {
            .name = "vllm:umbp_transfer_failed_total",
            .type = KVTEL_COUNTER,
            .help = "Transfers that the UMBP store could not finish, by operation. Counted by each rank.",
            .fields = { "failed" },
            .labels = { "operation" },
        },
        {
            .name = "vllm:umbp_transfer_bytes_total",
            .type = KVTEL_COUNTER,
            .help = "Bytes that transfers of the UMBP store moved, by operation. Counted by each rank.",
            .fields = { "num_bytes" },
            .labels = { "operation" },
            .unit = KVTEL_UNIT_BYTES,
        }),
    .flows = KVTEL_FLOWS(
        { .name = "*", .bytes = "num_bytes", .count = "completed", .started = "submitted", .failed = "failed" }),
    .log = &vllm_log,
};
