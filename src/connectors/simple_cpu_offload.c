/* SPDX-License-Identifier: Apache-2.0 */
/* The simple CPU offload: counters and gauges of blocks kept in host memory. */
#include <kvtel/connector.h>

static const struct kvtel_log_rules vllm_log = {
    .arithmetic = KVTEL_PLAIN,
    .hidden = KVTEL_KEYS("vllm:simple_kv_offload_info"),
};

KVTEL_CONNECTOR(simple_cpu_offload) = {
    .names = KVTEL_NAMES({ .name = "SimpleCPUOffloadConnector" }),
    .payload_kind = KVTEL_PAYLOAD_TYPED,
    .metrics = KVTEL_METRICS(
        {
            .name = "vllm:simple_kv_offload_save_outcomes_total",
            .type = KVTEL_COUNTER,
            .help = "Blocks considered for saving to host memory, by what became of them. Counted by the engine's "
                    "scheduler.",
            .labels = { "outcome" },
        },
        {
            .name = "vllm:simple_kv_offload_load_blocks_total",
            .type = KVTEL_COUNTER,
            .help = "Blocks loaded from host memory back to the device. Counted by the engine's scheduler.",
        },
        {
            .name = "vllm:simple_kv_offload_used_blocks",
            .type = KVTEL_GAUGE,
            .help = "Blocks of host memory in use at the engine's latest report.",
        },
        {
            .name = "vllm:simple_kv_offload_pending_store_blocks",
            .type = KVTEL_GAUGE,
            .help = "Blocks whose store to host memory was started and not finished at the engine's latest report.",
        },
        {
            .name = "vllm:simple_kv_offload_info",
            .type = KVTEL_GAUGE,
            .help = "How the offload is configured, in the labels. The value is always 1.",
            .labels = { "backend", "page_cache", "lazy_offload", "capacity_blocks" },
        }),
    .flows = KVTEL_FLOWS({ .name = "load", .descriptors = "vllm:simple_kv_offload_load_blocks_total" }),
    .log = &vllm_log,
};
