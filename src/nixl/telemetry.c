/* SPDX-License-Identifier: Apache-2.0 */
/* The families of NIXL's rings as a connector's table, for code that reads metrics by tables. */
#include "nixl/telemetry.h"

#include "connectors/buckets.h"

/* clang-format off */
#define BY_DIRECTION .labels = { "direction" }, .values = { "tx", "rx" }
/* clang-format on */

static const struct kvtel_metric metrics[] = {
    [KVTEL_NIXL_FAMILY_XFER_TIME] = { .name = "nixl_xfer_time_seconds",
                                      .type = KVTEL_HISTOGRAM,
                                      .help = "Seconds from posting a NIXL transfer until the application saw its "
                                              "completion, so the "
                                              "application's pauses between two looks are in it. One value per "
                                              "finished transfer of an agent.",
                                      .fields = { "xfer_time" },
                                      .buckets = KVTEL_NIXL_TIME_BUCKETS,
                                      .unit = KVTEL_UNIT_SECONDS },
    [KVTEL_NIXL_FAMILY_POST_TIME] = { .name = "nixl_post_time_seconds",
                                      .type = KVTEL_HISTOGRAM,
                                      .help = "Seconds that the call which posts a NIXL transfer took, a part of its "
                                              "transfer time. One value per"
                                              " finished transfer of an agent.",
                                      .fields = { "post_time" },
                                      .buckets = KVTEL_NIXL_TIME_BUCKETS,
                                      .unit = KVTEL_UNIT_SECONDS },
    /* the next family again, for a key that both directions feed together */
    [KVTEL_NIXL_FAMILY_ALL_BYTES] = { .name = "nixl_bytes",
                                      .type = KVTEL_COUNTER,
                                      .fields = { "bytes" },
                                      .unit = KVTEL_UNIT_BYTES },
    [KVTEL_NIXL_FAMILY_BYTES] = { .name = "nixl_bytes",
                                  .type = KVTEL_COUNTER,
                                  .help = "Bytes of finished NIXL transfers, counted "
                                          "by the agent that posted them: tx "
                                          "it wrote to a peer or "
                                          "to storage, rx it read from there.",
                                  .fields = { "tx_bytes", "rx_bytes" },
                                  BY_DIRECTION,
                                  .unit = KVTEL_UNIT_BYTES },
    [KVTEL_NIXL_FAMILY_SIZES] = { .name = "nixl_xfer_size_bytes",
                                  .type = KVTEL_HISTOGRAM,
                                  .help = "Bytes of a NIXL transfer, all its "
                                          "descriptors together. One value per "
                                          "finished transfer of the "
                                          "agent that posted it.",
                                  .fields = { "tx_sizes", "rx_sizes" },
                                  BY_DIRECTION,
                                  .buckets = KVTEL_BUCKETS_TRANSFER_BYTES,
                                  .unit = KVTEL_UNIT_BYTES },
    [KVTEL_NIXL_FAMILY_REQUESTS] = { .name = "nixl_requests",
                                     .type = KVTEL_COUNTER,
                                     .help = "Finished NIXL transfers, counted by "
                                             "the agent that posted them: tx "
                                             "writes, rx reads.",
                                     .fields = { "tx_requests", "rx_requests" },
                                     BY_DIRECTION,
                                     .unit = KVTEL_UNIT_COUNT },
    [KVTEL_NIXL_FAMILY_ERRORS] = { .name = "nixl_errors",
                                   .type = KVTEL_COUNTER,
                                   .help = "Errors that calls to a NIXL agent "
                                           "returned, by NIXL's status. A transfer "
                                           "whose peer died leaves "
                                           "none.",
                                   .fields = { "errors" },
                                   .labels = { "status" },
                                   .unit = KVTEL_UNIT_COUNT },
    [KVTEL_NIXL_FAMILY_MEMORY] = { .name = "nixl_memory_bytes",
                                   .type = KVTEL_GAUGE,
                                   .help = "Bytes of memory registered now, as far "
                                           "as kvtel read the registrations. An "
                                           "agent that ended counts"
                                           " until its ring is removed or taken over "
                                           "by the next one.",
                                   .fields = { "memory" },
                                   .unit = KVTEL_UNIT_BYTES },
    [KVTEL_NIXL_FAMILY_DROPPED] = { .name = "nixl_events_dropped",
                                    .type = KVTEL_COUNTER,
                                    .help = "Events that agents say they dropped "
                                            "before these reached their ring. "
                                            "Every other number here lacks"
                                            " them. Events dropped because a ring "
                                            "was full are in no number.",
                                    .fields = { "events_dropped" },
                                    .unit = KVTEL_UNIT_COUNT },
    [KVTEL_NIXL_FAMILY_REGISTERED] = { .name = "nixl_memory_registered_bytes",
                                       .type = KVTEL_COUNTER,
                                       .help = "Bytes of memory that agents registered.",
                                       .fields = { "registered" },
                                       .unit = KVTEL_UNIT_BYTES },
    [KVTEL_NIXL_FAMILY_DEREGISTERED] = { .name = "nixl_memory_deregistered_bytes",
                                         .type = KVTEL_COUNTER,
                                         .help = "Bytes of memory that agents "
                                                 "deregistered.",
                                         .fields = { "deregistered" },
                                         .unit = KVTEL_UNIT_BYTES },
    [KVTEL_NIXL_FAMILIES] = { .name = NULL },
};

static const struct kvtel_log_rules log_rules = {
    .reduce = KVTEL_REDUCE(
        { .key = "Num successful transfers", .kind = KVTEL_REDUCE_COUNT, .fields = { "xfer_time" } },
        { .key = "Avg xfer time (ms)",
          .kind = KVTEL_REDUCE_MEAN,
          .fields = { "xfer_time" },
          .scale = 1e3,
          .digits = 3 },
        { .key = "P90 xfer time (ms)", .kind = KVTEL_REDUCE_P90, .fields = { "xfer_time" }, .scale = 1e3, .digits = 3 },
        { .key = "Avg post time (ms)",
          .kind = KVTEL_REDUCE_MEAN,
          .fields = { "post_time" },
          .scale = 1e3,
          .digits = 3 },
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
    .arithmetic = KVTEL_PLAIN,
    .hidden = KVTEL_KEYS("bytes", "errors", "registered", "deregistered"),
};

const struct kvtel_connector kvtel_nixl_telemetry = {
    .names = KVTEL_NAMES({ .name = "NIXL telemetry" }),
    .payload_kind = KVTEL_PAYLOAD_COLUMNS,
    .fields = KVTEL_FIELDS({ .key = "xfer_time", .kind = KVTEL_FIELD_SAMPLES, .unit = KVTEL_UNIT_SECONDS },
                           { .key = "post_time", .kind = KVTEL_FIELD_SAMPLES, .unit = KVTEL_UNIT_SECONDS },
                           { .key = "bytes", .kind = KVTEL_FIELD_TOTAL, .unit = KVTEL_UNIT_BYTES },
                           { .key = "tx_bytes", .kind = KVTEL_FIELD_TOTAL, .unit = KVTEL_UNIT_BYTES },
                           { .key = "rx_bytes", .kind = KVTEL_FIELD_TOTAL, .unit = KVTEL_UNIT_BYTES },
                           { .key = "tx_sizes", .kind = KVTEL_FIELD_SAMPLES, .unit = KVTEL_UNIT_BYTES },
                           { .key = "rx_sizes", .kind = KVTEL_FIELD_SAMPLES, .unit = KVTEL_UNIT_BYTES },
                           { .key = "tx_requests", .kind = KVTEL_FIELD_TOTAL, .unit = KVTEL_UNIT_COUNT },
                           { .key = "rx_requests", .kind = KVTEL_FIELD_TOTAL, .unit = KVTEL_UNIT_COUNT },
                           { .key = "errors", .kind = KVTEL_FIELD_TOTAL, .unit = KVTEL_UNIT_COUNT },
                           { .key = "memory", .kind = KVTEL_FIELD_LEVEL, .unit = KVTEL_UNIT_BYTES },
                           { .key = "events_dropped", .kind = KVTEL_FIELD_TOTAL, .unit = KVTEL_UNIT_COUNT },
                           { .key = "registered", .kind = KVTEL_FIELD_TOTAL, .unit = KVTEL_UNIT_BYTES },
                           { .key = "deregistered", .kind = KVTEL_FIELD_TOTAL, .unit = KVTEL_UNIT_BYTES }),
    .metrics = metrics,
    .flows = KVTEL_FLOWS({ .name = "transfer", .time = "xfer_time", .post = "post_time" },
                         { .name = "tx", .bytes = "tx_bytes", .sizes = "tx_sizes", .count = "tx_requests" },
                         { .name = "rx", .bytes = "rx_bytes", .sizes = "rx_sizes", .count = "rx_requests" }),
    .log = &log_rules,
};
