/* SPDX-License-Identifier: Apache-2.0 */
/* Offloading of KV to host memory and on to further tiers, including the names and payloads of older versions of
 * vLLM. */
#include <kvtel/connector.h>

#define SIZE_BYTES KVTEL_BUCKETS(1e6, 5e6, 10e6, 20e6, 40e6, 60e6, 80e6, 100e6, 150e6, 200e6)
#define SYNC_SECONDS KVTEL_BUCKETS(1e-5, 5e-5, 1e-4, 5e-4, 0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1)
#define ASYNC_SECONDS KVTEL_BUCKETS(1e-4, 5e-4, 0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 10)

/* Help text shared by the tables that have this family. */
#define HELP_TOTAL_BYTES                                                                                              \
    "Bytes moved between device and host memory, by direction: an older name of load_bytes and store_bytes. Counted " \
    "by each rank."
#define HELP_TOTAL_TIME                                                                                               \
    "Seconds that transfers between device and host memory took, added up, by direction: an older name of load_time " \
    "and "                                                                                                            \
    "store_time. Counted by each rank."
#define HELP_SIZE                                                                                                     \
    "Bytes of one transfer between device and host memory, by direction: an older name of load_size and store_size. " \
    "One value "                                                                                                      \
    "per transfer of a rank."

/* The configuration is tiered. Every other spec_name exports the same metrics as the CPU spec. */
#define IS_TIERING .setting = "spec_name", .is = "TieringOffloadingSpec"
#define HAS_EXAMPLE_TIER IS_TIERING, .tier = "example"

static const struct kvtel_log_rules before_typed_log = {
    .reduce = KVTEL_REDUCE({ .key = "_total_bytes", .kind = KVTEL_REDUCE_TOTAL, .fields = { "op_size" } },
                           { .key = "_total_time", .kind = KVTEL_REDUCE_TOTAL, .fields = { "op_time" } }),
    .arithmetic = KVTEL_PLAIN,
};

/* {"CPU_to_GPU": [{"op_size": bytes, "op_time": seconds}], "GPU_to_CPU": [...]} */
static const struct kvtel_connector before_typed = {
    .names = KVTEL_NAMES({ .name = "OffloadingConnector" }),
    .payload_kind = KVTEL_PAYLOAD_ROWS,
    .fields = KVTEL_FIELDS({ .key = "op_size", .kind = KVTEL_FIELD_SAMPLES, .unit = KVTEL_UNIT_BYTES, .row = 1 },
                           { .key = "op_time", .kind = KVTEL_FIELD_SAMPLES, .unit = KVTEL_UNIT_SECONDS, .row = 1 }),
    .metrics = KVTEL_METRICS(
        {
            .name = "vllm:kv_offload_total_bytes",
            .type = KVTEL_COUNTER,
            .help = HELP_TOTAL_BYTES,
            .fields = { "op_size" },
            .labels = { "transfer_type" },
            .unit = KVTEL_UNIT_BYTES,
        },
        {
            .name = "vllm:kv_offload_total_time",
            .type = KVTEL_COUNTER,
            .help = HELP_TOTAL_TIME,
            .fields = { "op_time" },
            .labels = { "transfer_type" },
            .unit = KVTEL_UNIT_SECONDS,
        },
        {
            .name = "vllm:kv_offload_size",
            .type = KVTEL_HISTOGRAM,
            .help = HELP_SIZE,
            .fields = { "op_size" },
            .labels = { "transfer_type" },
            .buckets = SIZE_BYTES,
            .unit = KVTEL_UNIT_BYTES,
        }),
    .flows = KVTEL_FLOWS({ .name = "*", .time = "op_time", .bytes = "op_size" }),
    .log = &before_typed_log,
};

static const struct kvtel_log_rules vllm_log = {
    .arithmetic = KVTEL_PLAIN,
};

KVTEL_CONNECTOR(offloading) = {
    .names = KVTEL_NAMES({ .name = "OffloadingConnector" }),
    .payload_kind = KVTEL_PAYLOAD_TYPED,
    .metrics = KVTEL_METRICS(
        {
            .name = "vllm:kv_offload_total_bytes",
            .type = KVTEL_COUNTER,
            .help = HELP_TOTAL_BYTES,
            .fields = { "vllm:kv_offload_load_bytes", "vllm:kv_offload_store_bytes" },
            .labels = { "transfer_type" },
            .values = { "CPU_to_GPU", "GPU_to_CPU" },
            .unit = KVTEL_UNIT_BYTES,
        },
        {
            .name = "vllm:kv_offload_total_time",
            .type = KVTEL_COUNTER,
            .help = HELP_TOTAL_TIME,
            .fields = { "vllm:kv_offload_load_time", "vllm:kv_offload_store_time" },
            .labels = { "transfer_type" },
            .values = { "CPU_to_GPU", "GPU_to_CPU" },
            .unit = KVTEL_UNIT_SECONDS,
        },
        {
            .name = "vllm:kv_offload_size",
            .type = KVTEL_HISTOGRAM,
            .help = HELP_SIZE,
            .fields = { "vllm:kv_offload_load_size", "vllm:kv_offload_store_size" },
            .labels = { "transfer_type" },
            .values = { "CPU_to_GPU", "GPU_to_CPU" },
            .buckets = SIZE_BYTES,
            .unit = KVTEL_UNIT_BYTES,
        },
        {
            .name = "vllm:kv_offload_cpu_cache_usage_perc",
            .type = KVTEL_GAUGE,
            .help =
                "Share of the CPU cache that transfers under way hold, 0 to 1, at the engine's latest report. What is "
                "cached and idle does not count.",
            .unit = KVTEL_UNIT_RATIO,
        },
        {
            .name = "vllm:kv_offload_cpu_cache_write_usage_perc",
            .type = KVTEL_GAUGE,
            .help = "Share of the CPU cache that writes under way hold, 0 to 1, at the engine's latest report.",
            .unit = KVTEL_UNIT_RATIO,
        },
        {
            .name = "vllm:kv_offload_cpu_cache_read_usage_perc",
            .type = KVTEL_GAUGE,
            .help = "Share of the CPU cache that reads under way hold, 0 to 1, at the engine's latest report.",
            .unit = KVTEL_UNIT_RATIO,
        },
        {
            .name = "vllm:kv_offload_cpu_allocation_size",
            .type = KVTEL_HISTOGRAM,
            .help = "Chunks of the CPU cache asked for by one allocation. One value per allocation of the engine's "
                    "scheduler.",
            .buckets = KVTEL_BUCKETS(1, 4, 16, 64, 256, 1024, 4096, 16384, 65536, 262144),
        },
        {
            .name = "vllm:kv_offload_stores_skipped",
            .type = KVTEL_COUNTER,
            .help =
                "Chunks not stored because they were not asked for often enough yet (store_threshold). Counted by the "
                "engine's scheduler.",
            .condition = KVTEL_CONDITION(.setting = "store_threshold", .at_least = 2),
        },
        {
            .name = "vllm:kv_offload_tiering_lookup_sync_delay_seconds",
            .type = KVTEL_HISTOGRAM,
            .help = "Seconds that a lookup of chunks in a tier kept the scheduler waiting. One value per lookup.",
            .labels = { "tier" },
            .buckets = SYNC_SECONDS,
            .unit = KVTEL_UNIT_SECONDS,
            .condition = KVTEL_CONDITION(IS_TIERING),
        },
        {
            .name = "vllm:kv_offload_tiering_lookup_async_delay_seconds",
            .type = KVTEL_HISTOGRAM,
            .help =
                "Seconds from the first lookup of a request in a tier until the tier had an answer, where it answers "
                "later. One value per request.",
            .labels = { "tier" },
            .buckets = ASYNC_SECONDS,
            .unit = KVTEL_UNIT_SECONDS,
            .condition = KVTEL_CONDITION(IS_TIERING),
        },
        {
            .name = "vllm:kv_offload_tiering_read_bytes",
            .type = KVTEL_COUNTER,
            .help = "Bytes read from a tier into the CPU cache (promotions). Counted when a job is done.",
            .labels = { "tier" },
            .unit = KVTEL_UNIT_BYTES,
            .condition = KVTEL_CONDITION(IS_TIERING),
        },
        {
            .name = "vllm:kv_offload_tiering_read_time",
            .type = KVTEL_COUNTER,
            .help = "Seconds that reads from a tier took, from the start of a job until it was done, added up over "
                    "jobs that "
                    "may overlap.",
            .labels = { "tier" },
            .unit = KVTEL_UNIT_SECONDS,
            .condition = KVTEL_CONDITION(IS_TIERING),
        },
        {
            .name = "vllm:kv_offload_tiering_write_bytes",
            .type = KVTEL_COUNTER,
            .help = "Bytes written from the CPU cache to a tier (cascades). Counted when a job is done.",
            .labels = { "tier" },
            .unit = KVTEL_UNIT_BYTES,
            .condition = KVTEL_CONDITION(IS_TIERING),
        },
        {
            .name = "vllm:kv_offload_tiering_write_time",
            .type = KVTEL_COUNTER,
            .help = "Seconds that writes to a tier took, from the start of a job until it was done, added up over jobs "
                    "that "
                    "may overlap.",
            .labels = { "tier" },
            .unit = KVTEL_UNIT_SECONDS,
            .condition = KVTEL_CONDITION(IS_TIERING),
        },
        {
            .name = "vllm:kv_offload_tiering_promotion_job_failures",
            .type = KVTEL_COUNTER,
            .help = "Jobs that could not bring chunks from a tier into the CPU cache.",
            .labels = { "tier" },
            .condition = KVTEL_CONDITION(IS_TIERING),
        },
        {
            .name = "vllm:kv_offload_tiering_cascade_job_failures",
            .type = KVTEL_COUNTER,
            .help = "Jobs that could not bring chunks from the CPU cache to a tier.",
            .labels = { "tier" },
            .condition = KVTEL_CONDITION(IS_TIERING),
        },
        {
            .name = "vllm:kv_offload_tiering_chunk_queries",
            .type = KVTEL_COUNTER,
            .help = "Chunks that were looked for in a tier.",
            .labels = { "tier" },
            .condition = KVTEL_CONDITION(IS_TIERING),
        },
        {
            .name = "vllm:kv_offload_tiering_chunk_hits",
            .type = KVTEL_COUNTER,
            .help = "Chunks that were looked for and found in a tier.",
            .labels = { "tier" },
            .condition = KVTEL_CONDITION(IS_TIERING),
        },
        {
            .name = "vllm:kv_offload_tiering_promotion_allocation_failures",
            .type = KVTEL_COUNTER,
            .help = "Promotions given up because the CPU cache had no room for the chunks.",
            .condition = KVTEL_CONDITION(IS_TIERING),
        },
        {
            .name = "vllm:kv_offload_tiering_primary_write_usage_perc",
            .type = KVTEL_GAUGE,
            .help =
                "Share of the CPU cache that a tier's promotions under way hold for writing, 0 to 1, at the engine's "
                "latest report.",
            .labels = { "tier" },
            .unit = KVTEL_UNIT_RATIO,
            .condition = KVTEL_CONDITION(IS_TIERING),
        },
        {
            .name = "vllm:kv_offload_tiering_primary_read_usage_perc",
            .type = KVTEL_GAUGE,
            .help = "Share of the CPU cache that a tier's cascades under way hold for reading, 0 to 1, at the engine's "
                    "latest "
                    "report.",
            .labels = { "tier" },
            .unit = KVTEL_UNIT_RATIO,
            .condition = KVTEL_CONDITION(IS_TIERING),
        },
        {
            .name = "vllm:kv_offload_tiering_active_promotion_jobs",
            .type = KVTEL_GAUGE,
            .help = "Jobs bringing chunks from a tier into the CPU cache at the engine's latest report.",
            .labels = { "tier" },
            .condition = KVTEL_CONDITION(IS_TIERING),
        },
        {
            .name = "vllm:kv_offload_tiering_active_cascade_jobs",
            .type = KVTEL_GAUGE,
            .help = "Jobs bringing chunks from the CPU cache to a tier at the engine's latest report.",
            .labels = { "tier" },
            .condition = KVTEL_CONDITION(IS_TIERING),
        },
        {
            .name = "vllm:kv_offload_tiering_promotion_latency_seconds",
            .type = KVTEL_HISTOGRAM,
            .help =
                "Seconds from the start of a promotion from a tier until it succeeded or failed. One value per job.",
            .labels = { "tier", "result" },
            .buckets = KVTEL_BUCKETS(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60),
            .unit = KVTEL_UNIT_SECONDS,
            .condition = KVTEL_CONDITION(IS_TIERING),
        },
        {
            .name = "vllm:kv_offload_tiering_backpressure_store_latency_ema",
            .type = KVTEL_GAUGE,
            .help = "Seconds that stores to a tier take, as the moving average by which stores are held back, at the "
                    "engine's "
                    "latest report.",
            .labels = { "tier" },
            .unit = KVTEL_UNIT_SECONDS,
            .condition = KVTEL_CONDITION(IS_TIERING),
        },
        {
            .name = "vllm:kv_offload_tiering_backpressure_stores_dropped",
            .type = KVTEL_COUNTER,
            .help = "Stores to a tier that were dropped because it was too slow.",
            .labels = { "tier" },
            .condition = KVTEL_CONDITION(IS_TIERING),
        },
        {
            .name = "vllm:kv_offload_tiering_backpressure_blocks_dropped",
            .type = KVTEL_COUNTER,
            .help = "Blocks in stores to a tier that were dropped because it was too slow.",
            .labels = { "tier" },
            .condition = KVTEL_CONDITION(IS_TIERING),
        },
        {
            .name = "vllm:kv_offload_load_bytes",
            .type = KVTEL_COUNTER,
            .help = "Bytes moved from host memory to the device. Counted by each rank when a transfer is done.",
            .unit = KVTEL_UNIT_BYTES,
        },
        {
            .name = "vllm:kv_offload_load_time",
            .type = KVTEL_COUNTER,
            .help = "Seconds that loads took, from the start of a transfer from host memory to the device until it was "
                    "done, "
                    "added up over transfers that may overlap. Counted by each rank.",
            .unit = KVTEL_UNIT_SECONDS,
        },
        {
            .name = "vllm:kv_offload_load_size",
            .type = KVTEL_HISTOGRAM,
            .help = "Bytes of one transfer from host memory to the device. One value per transfer of a rank.",
            .buckets = SIZE_BYTES,
            .unit = KVTEL_UNIT_BYTES,
        },
        {
            .name = "vllm:kv_offload_store_bytes",
            .type = KVTEL_COUNTER,
            .help = "Bytes moved from the device to host memory. Counted by each rank when a transfer is done.",
            .unit = KVTEL_UNIT_BYTES,
        },
        {
            .name = "vllm:kv_offload_store_time",
            .type = KVTEL_COUNTER,
            .help = "Seconds that stores took, from the start of a transfer from the device to host memory until it "
                    "was done, "
                    "added up over transfers that may overlap. Counted by each rank.",
            .unit = KVTEL_UNIT_SECONDS,
        },
        {
            .name = "vllm:kv_offload_store_size",
            .type = KVTEL_HISTOGRAM,
            .help = "Bytes of one transfer from the device to host memory. One value per transfer of a rank.",
            .buckets = SIZE_BYTES,
            .unit = KVTEL_UNIT_BYTES,
        },
        {
            .name = "vllm:kv_offload_lookup_sync_delay_seconds",
            .type = KVTEL_HISTOGRAM,
            .help = "Seconds that a lookup of a request's offloaded chunks kept the scheduler waiting. One value per "
                    "lookup.",
            .buckets = SYNC_SECONDS,
            .unit = KVTEL_UNIT_SECONDS,
        },
        {
            .name = "vllm:kv_offload_lookup_async_delay_seconds",
            .type = KVTEL_HISTOGRAM,
            .help = "Seconds from the first lookup of a request's offloaded chunks until there was an answer, where it "
                    "came "
                    "later. One value per request.",
            .buckets = ASYNC_SECONDS,
            .unit = KVTEL_UNIT_SECONDS,
        },
        {
            .name = "vllm:kv_offload_allocation_failure",
            .type = KVTEL_COUNTER,
            .help =
                "Stores given up because the offload had no room for the chunks. Counted by the engine's scheduler.",
        },
        {
            .name = "vllm:kv_offload_config_info",
            .type = KVTEL_GAUGE,
            .help = "How the offload is configured, in the labels. The value is always 1.",
            .input = KVTEL_INPUT_INFO,
            .labels = { "cpu_num_chunks", "cpu_blocks_per_chunk", "cpu_kv_cache_size_bytes",
                        "cpu_kv_cache_size_tokens" },
            .condition = KVTEL_CONDITION(HAS_EXAMPLE_TIER, .negated = true),
        },
        {
            .name = "vllm:kv_offload_config_info",
            .type = KVTEL_GAUGE,
            .help = "How the offload is configured, in the labels. The value is always 1.",
            .input = KVTEL_INPUT_INFO,
            .labels = { "cpu_num_chunks", "cpu_blocks_per_chunk", "cpu_kv_cache_size_bytes", "cpu_kv_cache_size_tokens",
                        "tier", "example_info" },
            .condition = KVTEL_CONDITION(HAS_EXAMPLE_TIER),
        }),
    .flows = KVTEL_FLOWS({ .name = "load",
                           .time = "vllm:kv_offload_load_time",
                           .bytes = "vllm:kv_offload_load_bytes",
                           .sizes = "vllm:kv_offload_load_size" },
                         { .name = "store",
                           .time = "vllm:kv_offload_store_time",
                           .bytes = "vllm:kv_offload_store_bytes",
                           .sizes = "vllm:kv_offload_store_size" }),
    .failures = KVTEL_FAILURES({ .failure = KVTEL_FAILED_ALLOCATION, .field = "vllm:kv_offload_allocation_failure" }),
    .has_info = true,
    .log = &vllm_log,
    .older = &before_typed,
};
