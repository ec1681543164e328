/* SPDX-License-Identifier: Apache-2.0 */
/* HF3FS: KV saved to and loaded from the 3FS file system. */
#include "connectors/buckets.h"

static const struct kvtel_log_rules vllm_log = {
    .reduce =
        KVTEL_REDUCE({ .key = "Num transfers task", .kind = KVTEL_REDUCE_TOTAL, .fields = { "num_transfer_task" } },
                     { .key = "Num save task success", .kind = KVTEL_REDUCE_COUNT, .fields = { "save_duration" } },
                     { .key = "Num save task failed", .kind = KVTEL_REDUCE_TOTAL, .fields = { "num_failed_save" } },
                     { .key = "Num load task success", .kind = KVTEL_REDUCE_COUNT, .fields = { "load_duration" } },
                     { .key = "Num load task failed", .kind = KVTEL_REDUCE_TOTAL, .fields = { "num_failed_load" } },
                     { .key = "Avg save duration (ms)",
                       .kind = KVTEL_REDUCE_MEAN,
                       .fields = { "save_duration" },
                       .scale = 1e3,
                       .digits = 3 },
                     { .key = "P90 save duration (ms)",
                       .kind = KVTEL_REDUCE_P90,
                       .fields = { "save_duration" },
                       .scale = 1e3,
                       .digits = 3 },
                     { .key = "Avg load duration (ms)",
                       .kind = KVTEL_REDUCE_MEAN,
                       .fields = { "load_duration" },
                       .scale = 1e3,
                       .digits = 3 },
                     { .key = "P90 load duration (ms)",
                       .kind = KVTEL_REDUCE_P90,
                       .fields = { "load_duration" },
                       .scale = 1e3,
                       .digits = 3 }),
    .primary = "num_transfer_task",
    .arithmetic = KVTEL_NUMPY,
};

KVTEL_CONNECTOR(hf3fs) = {
    .names = KVTEL_NAMES({ .name = "HF3FSKVConnector" }),
    .payload_kind = KVTEL_PAYLOAD_COLUMNS,
    .fields = KVTEL_FIELDS({ .key = "save_duration", .kind = KVTEL_FIELD_SAMPLES, .unit = KVTEL_UNIT_SECONDS },
                           { .key = "load_duration", .kind = KVTEL_FIELD_SAMPLES, .unit = KVTEL_UNIT_SECONDS },
                           { .key = "num_failed_save", .kind = KVTEL_FIELD_TOTAL, .unit = KVTEL_UNIT_COUNT },
                           { .key = "num_failed_load", .kind = KVTEL_FIELD_TOTAL, .unit = KVTEL_UNIT_COUNT },
                           { .key = "num_transfer_task", .kind = KVTEL_FIELD_TOTAL, .unit = KVTEL_UNIT_COUNT }),
    .metrics = KVTEL_METRICS(
        {
            .name = "vllm:hf3fs_save_duration_seconds",
            .type = KVTEL_HISTOGRAM,
            .help = "Seconds from the start of a task that saves KV to 3FS until it ended well. One value per task of "
                    "a rank.",
            .fields = { "save_duration" },
            .buckets = KVTEL_BUCKETS_POST_SECONDS,
            .unit = KVTEL_UNIT_SECONDS,
        },
        {
            .name = "vllm:hf3fs_load_duration_seconds",
            .type = KVTEL_HISTOGRAM,
            .help = "Seconds from the start of a task that loads KV from 3FS until it ended well. One value per task "
                    "of a rank.",
            .fields = { "load_duration" },
            .buckets = KVTEL_BUCKETS_POST_SECONDS,
            .unit = KVTEL_UNIT_SECONDS,
        },
        {
            .name = "vllm:hf3fs_num_failed_save",
            .type = KVTEL_COUNTER,
            .help = "Tasks that could not save KV to 3FS. Counted by each rank.",
            .fields = { "num_failed_save" },
        },
        {
            .name = "vllm:hf3fs_num_failed_load",
            .type = KVTEL_COUNTER,
            .help = "Tasks that could not load KV from 3FS. Counted by each rank.",
            .fields = { "num_failed_load" },
        }),
    .flows = KVTEL_FLOWS(
        { .name = "save", .time = "save_duration", .started = "num_transfer_task", .failed = "num_failed_save" },
        { .name = "load", .time = "load_duration", .started = "num_transfer_task", .failed = "num_failed_load" }),
    .failures = KVTEL_FAILURES({ .failure = KVTEL_FAILED_SAVE, .field = "num_failed_save" },
                               { .failure = KVTEL_FAILED_LOAD, .field = "num_failed_load" }),
    .content = KVTEL_KEYS("num_transfer_task"),
    .log = &vllm_log,
};
