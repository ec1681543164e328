/* SPDX-License-Identifier: Apache-2.0 */
/* Payloads as JSON, of each kind. */
#ifndef KVTEL_TEST_EXAMPLE_PAYLOADS_H
#define KVTEL_TEST_EXAMPLE_PAYLOADS_H

#define NIXL                                                                                             \
    "{\"transfer_duration\": [0.5, 1], \"post_duration\": [0.25, 2], \"bytes_transferred\": [4096, 1], " \
    "\"num_descriptors\": [1, "                                                                          \
    "2]}"
#define MIXED "{\"transfer_duration\": [1, 0.5, 2], \"num_failed_handshakes\": [1, 1.0], \"num_kv_expired_reqs\": [1]}"
#define REFUSED "{\"transfer_duration\": [1, 0.5], \"bytes_transferred\": [1, 2]}"
#define STORE(operation, status)                                                                                       \
    "{\"" operation "\": [{\"duration_seconds\": 0.5, \"num_keys\": 1, \"num_bytes\": 1, \"status\": \"" status "\", " \
    "\"num_failed_keys\": 0}, {\"duration_seconds\": 1, \"num_keys\": 1.5, \"num_bytes\": 1, \"status\": \"ok\", "     \
    "\"num_failed_keys\": 0}]}"
#define OFFLOADING                                                                                                     \
    "{\"types\": {\"vllm:kv_offload_load_bytes\": \"counter\", "                                                       \
    "\"vllm:kv_offload_tiering_lookup_sync_delay_seconds\": "                                                          \
    "\"histogram\", \"vllm:kv_offload_cpu_cache_usage_perc\": \"gauge\"}, \"data\": {\"vllm:kv_offload_load_bytes\": " \
    "{\"[]\": 1}, \"vllm:kv_offload_tiering_lookup_sync_delay_seconds\": {\"[\\\"a\\\"]\": [1, 0.5], "                 \
    "\"[\\\"b\\\"]\": "                                                                                                \
    "[]}, \"vllm:kv_offload_cpu_cache_usage_perc\": {\"[]\": 0.5}}, \"info\": [{\"cpu_num_chunks\": 3, \"x\": "        \
    "\"text\"}]}"
#define OTHER_OFFLOADING                                                                                             \
    "{\"types\": {\"vllm:kv_offload_tiering_lookup_sync_delay_seconds\": \"histogram\", "                            \
    "\"vllm:kv_offload_store_bytes\": \"counter\"}, \"data\": "                                                      \
    "{\"vllm:kv_offload_tiering_lookup_sync_delay_seconds\": "                                                       \
    "{\"[\\\"b\\\"]\": [2], \"[\\\"c\\\"]\": [3, 0.5]}, \"vllm:kv_offload_store_bytes\": {\"[]\": 1.5}}, \"info\": " \
    "[{\"cpu_num_chunks\": 4}]}"
#define MULTI "{\"NixlPullConnector\": " NIXL ", \"OffloadingConnector\": " OFFLOADING "}"
#define OTHER_MULTI                                                                                      \
    "{\"MooncakeStoreConnector\": " STORE("get", "error") ", \"OffloadingConnector\": " OTHER_OFFLOADING \
                                                          ", \"NixlPullConnector\": " MIXED "}"

#endif
