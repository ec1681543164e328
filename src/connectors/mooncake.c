/* SPDX-License-Identifier: Apache-2.0 */
/* Mooncake, peer to peer: the prefill engine writes into the decode engine's memory. */
#include "connectors/buckets.h"

static const struct kvtel_log_rules vllm_log = {
    .reduce = KVTEL_REDUCE(
        { .key = "Num successful transfers", .kind = KVTEL_REDUCE_COUNT, .fields = { "transfer_duration" } },
        { .key = "Avg xfer time (ms)",
          .kind = KVTEL_REDUCE_MEAN,
          .fields = { "transfer_duration" },
          .scale = 1e3,
          .digits = 3 },
        { .key = "P90 xfer time (ms)",
          .kind = KVTEL_REDUCE_P90,
          .fields = { "transfer_duration" },
          .scale = 1e3,
          .digits = 3 },
        { .key = "Avg MB per transfer",
          .kind = KVTEL_REDUCE_MEAN,
          .fields = { "bytes_transferred" },
          .scale = 0x1p-20,
          .digits = 3 },
        { .key = "Throughput (MB/s)",
          .kind = KVTEL_REDUCE_RATE,
          .fields = { "bytes_transferred", "transfer_duration" },
          .scale = 0x1p-20,
          .digits = 3,
          .finite = true },
        { .key = "Avg number of descriptors", .kind = KVTEL_REDUCE_MEAN, .fields = { "num_descriptors" }, .digits = 1 },
        { .key = "Num failed transfers",
          .kind = KVTEL_REDUCE_COUNT,
          .fields = { "num_failed_transfers" },
          .always = true },
        { .key = "Num failed recvs", .kind = KVTEL_REDUCE_COUNT, .fields = { "num_failed_recvs" }, .always = true },
        { .key = "Num KV expired reqs",
          .kind = KVTEL_REDUCE_COUNT,
          .fields = { "num_kv_expired_reqs" },
          .always = true }),
    .primary = "transfer_duration",
    .arithmetic = KVTEL_NUMPY,
};

KVTEL_CONNECTOR(mooncake) = {
    /* The others are vllm-ascend's, whose class has the same name and reports the same stats: from its source, not from
     * a running engine. */
    .names = KVTEL_NAMES({ .name = "MooncakeConnector" },
                         { .name = "MooncakeConnectorV1", .class_name = "MooncakeConnector" },
                         { .name = "MooncakeConnectorV2", .class_name = "MooncakeConnector" },
                         { .name = "MooncakeHybridConnector", .class_name = "MooncakeConnector" },
                         { .name = "MooncakeD2RHConnectorV1", .class_name = "MooncakeConnector" }),
    .payload_kind = KVTEL_PAYLOAD_COLUMNS,
    .fields =
        KVTEL_FIELDS({ .key = "transfer_duration", .kind = KVTEL_FIELD_SAMPLES, .unit = KVTEL_UNIT_SECONDS, .row = 1 },
                     { .key = "bytes_transferred", .kind = KVTEL_FIELD_SAMPLES, .unit = KVTEL_UNIT_BYTES, .row = 1 },
                     { .key = "num_descriptors", .kind = KVTEL_FIELD_SAMPLES, .unit = KVTEL_UNIT_COUNT, .row = 1 },
                     { .key = "num_failed_transfers", .kind = KVTEL_FIELD_EVENTS, .unit = KVTEL_UNIT_COUNT },
                     { .key = "num_failed_recvs", .kind = KVTEL_FIELD_EVENTS, .unit = KVTEL_UNIT_COUNT },
                     { .key = "num_kv_expired_reqs", .kind = KVTEL_FIELD_EVENTS, .unit = KVTEL_UNIT_COUNT }),
    .metrics = KVTEL_METRICS(
        {
            .name = "vllm:mooncake_xfer_time_seconds",
            .type = KVTEL_HISTOGRAM,
            .help = "Seconds that a Mooncake transfer took, from the start of the blocking write until it returned. "
                    "One value per finished transfer of a rank.",
            .fields = { "transfer_duration" },
            .buckets = KVTEL_BUCKETS_TRANSFER_SECONDS,
            .unit = KVTEL_UNIT_SECONDS,
        },
        {
            .name = "vllm:mooncake_bytes_transferred",
            .type = KVTEL_HISTOGRAM,
            .help =
                "Bytes that a Mooncake transfer moved. One value per finished transfer of a rank, its own share only.",
            .fields = { "bytes_transferred" },
            .buckets = KVTEL_BUCKETS_TRANSFER_BYTES,
            .unit = KVTEL_UNIT_BYTES,
        },
        {
            .name = "vllm:mooncake_num_descriptors",
            .type = KVTEL_HISTOGRAM,
            .help = "Contiguous pieces of memory of a Mooncake transfer. One value per finished transfer of a rank.",
            .fields = { "num_descriptors" },
            .buckets = KVTEL_BUCKETS_DESCRIPTORS,
            .unit = KVTEL_UNIT_COUNT,
        },
        {
            .name = "vllm:mooncake_num_failed_transfers",
            .type = KVTEL_COUNTER,
            .help = "Mooncake transfers that the sending engine saw fail. Counted by each rank.",
            .fields = { "num_failed_transfers" },
        },
        {
            .name = "vllm:mooncake_num_failed_recvs",
            .type = KVTEL_COUNTER,
            .help = "Fetches that the receiving engine saw fail. Counted by each rank.",
            .fields = { "num_failed_recvs" },
        },
        {
            .name = "vllm:mooncake_num_kv_expired_reqs",
            .type = KVTEL_COUNTER,
            .help = "Requests whose KV blocks the prefill engine freed because nobody fetched them in time. Counted by "
                    "each rank.",
            .fields = { "num_kv_expired_reqs" },
        }),
    .flows = KVTEL_FLOWS({ .name = "transfer",
                           .time = "transfer_duration",
                           .bytes = "bytes_transferred",
                           .descriptors = "num_descriptors" }),
    .failures = KVTEL_FAILURES({ .failure = KVTEL_FAILED_TRANSFER, .field = "num_failed_transfers" },
                               { .failure = KVTEL_FAILED_RECEIVE, .field = "num_failed_recvs" },
                               { .failure = KVTEL_FAILED_EXPIRED, .field = "num_kv_expired_reqs" }),
    .content = KVTEL_KEYS("transfer_duration", "num_failed_transfers", "num_failed_recvs", "num_kv_expired_reqs"),
    .log = &vllm_log,
};
