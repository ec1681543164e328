/* SPDX-License-Identifier: Apache-2.0 */
/* The families of libkvtel_nixl.so. */
#include "nixl/transfers.h"

#include <stddef.h>

#include "connectors/buckets.h"
#include "nixl/telemetry.h"

#define OUTCOME_LABELS         \
    {                          \
        "direction", "outcome" \
    }
#define DIRECTION_LABEL \
    {                   \
        "direction"     \
    }

#define TRANSFER_COUNTERS                                                                                           \
    { .name = "nixl_transfers",                                                                                     \
      .type = KVTEL_COUNTER,                                                                                        \
      .help =                                                                                                       \
          "NIXL transfers that ended, counted by the agent that posted them: tx writes, rx reads. `outcome` is as " \
          "far as the plug-in is told: a completion that a look found, and by the application or NIXL's events "    \
          "one within the posting call; a failure by the application only.",                                        \
      .fields = { "duration" },                                                                                     \
      .input = KVTEL_INPUT_COUNT,                                                                                   \
      .labels = OUTCOME_LABELS },                                                                                   \
    {                                                                                                               \
        .name = "nixl_transfer_bytes", .type = KVTEL_COUNTER,                                                       \
        .help = "Bytes that NIXL transfers were posted for, by how the transfers ended: those of a completed one "  \
                "were moved, of others any part may have been.",                                                    \
        .fields = { "bytes" }, .labels = OUTCOME_LABELS, .unit = KVTEL_UNIT_BYTES                                   \
    }

#define ROW_FIELDS                                                                                         \
    KVTEL_FIELDS({ .key = "duration", .kind = KVTEL_FIELD_SAMPLES, .unit = KVTEL_UNIT_SECONDS, .row = 1 }, \
                 { .key = "bytes", .kind = KVTEL_FIELD_SAMPLES, .unit = KVTEL_UNIT_BYTES, .row = 1 },      \
                 { .key = "outcome", .kind = KVTEL_FIELD_TEXT, .unit = KVTEL_UNIT_COUNT, .row = 1 })

const char *kvtel_nixl_outcome_text(enum kvtel_nixl_outcome outcome)
{
    static const char *const texts[] = {
#define X(name, text) text,
        KVTEL_NIXL_OUTCOME_LIST(X)
#undef X
    };
    return (unsigned)outcome < KVTEL_NIXL_OUTCOMES ? texts[outcome] : NULL;
}

const struct kvtel_connector kvtel_nixl_posts = {
    .names = KVTEL_NAMES({ .name = "NIXL posts" }),
    .payload_kind = KVTEL_PAYLOAD_ROWS,
    .fields = KVTEL_FIELDS({ .key = "post", .kind = KVTEL_FIELD_SAMPLES, .unit = KVTEL_UNIT_SECONDS, .row = 1 }),
    .metrics = KVTEL_METRICS(
        { .name = "nixl_posts",
          .type = KVTEL_COUNTER,
          .help = "Calls that post a NIXL transfer, counted when they return; those that fail and those that NIXL "
                  "refuses, too.",
          .fields = { "post" },
          .input = KVTEL_INPUT_COUNT,
          .labels = DIRECTION_LABEL },
        { .name = "nixl_post_seconds",
          .type = KVTEL_HISTOGRAM,
          .help =
              "Seconds that a call which posts a NIXL transfer took. One value per call, failed calls too; the whole "
              "transfer is in it where NIXL completes it at once, as over shared memory.",
          .fields = { "post" },
          .labels = DIRECTION_LABEL,
          .buckets = KVTEL_NIXL_TIME_BUCKETS,
          .unit = KVTEL_UNIT_SECONDS }),
    .flows = KVTEL_FLOWS({ .name = "*", .time = "post" }),
};

const struct kvtel_connector kvtel_nixl_transfers = {
    .names = KVTEL_NAMES({ .name = "NIXL transfers" }),
    .payload_kind = KVTEL_PAYLOAD_ROWS,
    .fields = ROW_FIELDS,
    .metrics = KVTEL_METRICS(
        TRANSFER_COUNTERS,
        { .name = "nixl_transfer_seconds",
          .type = KVTEL_HISTOGRAM,
          .help =
              "Seconds from the call that posts a NIXL transfer until a look found it done, the application's pauses "
              "between two looks included; where it was done in the call, until the call returned. One value per "
              "completed transfer.",
          .fields = { "duration" },
          .labels = OUTCOME_LABELS,
          .buckets = KVTEL_NIXL_TIME_BUCKETS,
          .unit = KVTEL_UNIT_SECONDS },
        { .name = "nixl_transfer_size_bytes",
          .type = KVTEL_HISTOGRAM,
          .help = "Bytes of a NIXL transfer, all its descriptors together. One value per completed transfer.",
          .fields = { "bytes" },
          .labels = OUTCOME_LABELS,
          .buckets = KVTEL_BUCKETS_TRANSFER_BYTES,
          .unit = KVTEL_UNIT_BYTES }),
    .flows = KVTEL_FLOWS({ .name = "*", .time = "duration", .bytes = "bytes", .status = "outcome" }),
};

const struct kvtel_connector kvtel_nixl_endings = {
    .names = KVTEL_NAMES({ .name = "NIXL endings" }),
    .payload_kind = KVTEL_PAYLOAD_ROWS,
    .fields = ROW_FIELDS,
    .metrics = KVTEL_METRICS(TRANSFER_COUNTERS),
    .flows = KVTEL_FLOWS({ .name = "*", .time = "duration", .bytes = "bytes", .status = "outcome" }),
};

static const char *const failure_labels[] = { "direction", "status" };
static const char *const peer_labels[] = { "direction", "peer", "outcome" };
static const char *const source_labels[] = { "source" };

const struct kvtel_family_spec kvtel_nixl_plugin_families[KVTEL_NIXL_PLUGIN_FAMILIES] = {
    [KVTEL_NIXL_FAILURES] = { .name = "nixl_transfer_failures",
                              .type = KVTEL_COUNTER,
                              .help =
                                  "NIXL transfers whose application told of an error, by NIXL's status: of the call "
                                  "that posted the transfer, or of a look at it.",
                              .labelnames = failure_labels,
                              .label_count = 2,
                              .unit = KVTEL_UNIT_COUNT },
    [KVTEL_NIXL_PEER_TRANSFERS] = { .name = "nixl_peer_transfers",
                                    .type = KVTEL_COUNTER,
                                    .help =
                                        "NIXL transfers that ended, by peer: the first 64 of a process by name, all "
                                        "others as other.",
                                    .labelnames = peer_labels,
                                    .label_count = 3,
                                    .unit = KVTEL_UNIT_COUNT },
    [KVTEL_NIXL_PEER_BYTES] = { .name = "nixl_peer_transfer_bytes",
                                .type = KVTEL_COUNTER,
                                .help = "Bytes of NIXL transfers that completed, by peer: the first 64 of a process by "
                                        "name, all others as other.",
                                .labelnames = peer_labels,
                                .label_count = 2,
                                .unit = KVTEL_UNIT_BYTES },
    [KVTEL_NIXL_OUTCOME_SOURCE] = { .name = "kvtel_nixl_outcome_source",
                                    .type = KVTEL_GAUGE,
                                    .help = "1 for the source from which the plug-in last took outcomes that no look "
                                            "finds, else 0: application (it tells them all), exporter (NIXL's events: "
                                            "completions within a post), none (the outcome of such a transfer is "
                                            "unknown).",
                                    .labelnames = source_labels,
                                    .label_count = 1,
                                    .unit = KVTEL_UNIT_COUNT },
    [KVTEL_NIXL_UNTRACKED] = { .name = "kvtel_nixl_untracked",
                               .type = KVTEL_COUNTER,
                               .help = "NIXL transfers whose end the plug-in cannot tell because too many were open: "
                                       "their outcome is unknown.",
                               .unit = KVTEL_UNIT_COUNT },
    [KVTEL_NIXL_UNMATCHED] = { .name = "kvtel_nixl_unmatched",
                               .type = KVTEL_COUNTER,
                               .help =
                                   "Completions of NIXL transfers whose post the plug-in does not know; they are in "
                                   "no other number.",
                               .unit = KVTEL_UNIT_COUNT },
};
