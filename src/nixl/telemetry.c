/* SPDX-License-Identifier: Apache-2.0 */
/* The families of NIXL's rings in the form of a connector's table: who reads metrics by tables reads these too. */
#include "nixl/telemetry.h"

/* clang-format off */
#define BY_DIRECTION .labels = { "direction" }, .values = { "tx", "rx" }
/* clang-format on */

const struct kvtel_connector kvtel_nixl_telemetry = {
    .names = KVTEL_NAMES({ "NIXL telemetry", NULL }),
    .shape = KVTEL_SHAPE_COLUMNS,
    .fields = KVTEL_FIELDS(
        { "xfer_time", KVTEL_FIELD_SAMPLES, KVTEL_UNIT_SECONDS, 0 }, { "post_time", KVTEL_FIELD_SAMPLES, KVTEL_UNIT_SECONDS, 0 },
        { "bytes", KVTEL_FIELD_TOTAL, KVTEL_UNIT_BYTES, 0 }, { "tx_bytes", KVTEL_FIELD_TOTAL, KVTEL_UNIT_BYTES, 0 },
        { "rx_bytes", KVTEL_FIELD_TOTAL, KVTEL_UNIT_BYTES, 0 }, { "tx_sizes", KVTEL_FIELD_SAMPLES, KVTEL_UNIT_BYTES, 0 },
        { "rx_sizes", KVTEL_FIELD_SAMPLES, KVTEL_UNIT_BYTES, 0 }, { "tx_requests", KVTEL_FIELD_TOTAL, KVTEL_UNIT_COUNT, 0 },
        { "rx_requests", KVTEL_FIELD_TOTAL, KVTEL_UNIT_COUNT, 0 }, { "errors", KVTEL_FIELD_TOTAL, KVTEL_UNIT_COUNT, 0 },
        { "memory", KVTEL_FIELD_LEVEL, KVTEL_UNIT_BYTES, 0 }, { "events_dropped", KVTEL_FIELD_TOTAL, KVTEL_UNIT_COUNT, 0 },
        { "registered", KVTEL_FIELD_TOTAL, KVTEL_UNIT_BYTES, 0 }, { "deregistered", KVTEL_FIELD_TOTAL, KVTEL_UNIT_BYTES, 0 }),
    .metrics = KVTEL_METRICS(
        { .name = "nixl_xfer_time_seconds", .type = KVTEL_HISTOGRAM, .fields = { "xfer_time" }, .unit = KVTEL_UNIT_SECONDS },
        { .name = "nixl_post_time_seconds", .type = KVTEL_HISTOGRAM, .fields = { "post_time" }, .unit = KVTEL_UNIT_SECONDS },
        { .name = "nixl_bytes", .type = KVTEL_COUNTER, .fields = { "bytes" }, .unit = KVTEL_UNIT_BYTES },
        { .name = "nixl_bytes",
          .type = KVTEL_COUNTER,
          .fields = { "tx_bytes", "rx_bytes" },
          BY_DIRECTION,
          .unit = KVTEL_UNIT_BYTES },
        { .name = "nixl_xfer_size_bytes",
          .type = KVTEL_HISTOGRAM,
          .fields = { "tx_sizes", "rx_sizes" },
          BY_DIRECTION,
          .unit = KVTEL_UNIT_BYTES },
        { .name = "nixl_requests", .type = KVTEL_COUNTER, .fields = { "tx_requests", "rx_requests" }, BY_DIRECTION },
        { .name = "nixl_errors", .type = KVTEL_COUNTER, .fields = { "errors" }, .labels = { "status" } },
        { .name = "nixl_memory_bytes", .type = KVTEL_GAUGE, .fields = { "memory" }, .unit = KVTEL_UNIT_BYTES },
        { .name = "nixl_events_dropped", .type = KVTEL_COUNTER, .fields = { "events_dropped" } },
        { .name = "nixl_memory_registered_bytes", .type = KVTEL_COUNTER, .fields = { "registered" }, .unit = KVTEL_UNIT_BYTES },
        { .name = "nixl_memory_deregistered_bytes",
          .type = KVTEL_COUNTER,
          .fields = { "deregistered" },
          .unit = KVTEL_UNIT_BYTES }),
    .reduce = KVTEL_REDUCE(
        { .key = "Num successful transfers", .kind = KVTEL_REDUCE_COUNT, .fields = { "xfer_time" } },
        { .key = "Avg xfer time (ms)", .kind = KVTEL_REDUCE_MEAN, .fields = { "xfer_time" }, .scale = 1e3, .digits = 3 },
        { .key = "P90 xfer time (ms)", .kind = KVTEL_REDUCE_P90, .fields = { "xfer_time" }, .scale = 1e3, .digits = 3 },
        { .key = "Avg post time (ms)", .kind = KVTEL_REDUCE_MEAN, .fields = { "post_time" }, .scale = 1e3, .digits = 3 },
        { .key = "P90 post time (ms)", .kind = KVTEL_REDUCE_P90, .fields = { "post_time" }, .scale = 1e3, .digits = 3 },
        { .key = "Throughput (MB/s)",
          .kind = KVTEL_REDUCE_RATE,
          .fields = { "bytes", "xfer_time" },
          .scale = 0x1p-20,
          .digits = 3,
          .finite = true },
        { .key = "Bytes written", .kind = KVTEL_REDUCE_TOTAL, .fields = { "tx_bytes" } },
        { .key = "Bytes read", .kind = KVTEL_REDUCE_TOTAL, .fields = { "rx_bytes" } },
        { .key = "Num errors", .kind = KVTEL_REDUCE_TOTAL, .fields = { "errors" }, .always = true }),
    .flows = KVTEL_FLOWS({ .name = "transfer", .time = "xfer_time", .post = "post_time" },
                         { .name = "tx", .bytes = "tx_bytes", .sizes = "tx_sizes", .count = "tx_requests" },
                         { .name = "rx", .bytes = "rx_bytes", .sizes = "rx_sizes", .count = "rx_requests" }),
    .hidden = KVTEL_KEYS("bytes", "errors", "registered", "deregistered"),
    .arithmetic = KVTEL_PLAIN,
};
