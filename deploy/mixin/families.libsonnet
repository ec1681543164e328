// SPDX-License-Identifier: Apache-2.0
// The metrics of each connector that rules add up, without the prefix. A new connector needs one more row here.
{
  // Transfers between engines. `time`, `bytes`, `post`: histograms. `failed`: the counter of which the share of failures is made.
  transports: [
    {
      connector: 'nixl',
      time: 'nixl_xfer_time_seconds',
      bytes: 'nixl_bytes_transferred',
      failed: 'nixl_num_failed_transfers_total',
    },
    {
      connector: 'mooncake',
      time: 'mooncake_xfer_time_seconds',
      bytes: 'mooncake_bytes_transferred',
      failed: 'mooncake_num_failed_transfers_total',
    },
    {
      connector: 'moriio',
      time: 'moriio_xfer_time_seconds',
      bytes: 'moriio_bytes_transferred',
      failed: 'moriio_num_failed_transfers_total',
    },
  ],
  // Further moves: `count` and `bytes` name either a histogram, or with `counter: true` a counter.
  moves: [
    { connector: 'offloading', operation: 'load', count: 'kv_offload_load_size', bytes: 'kv_offload_load_bytes_total' },
    { connector: 'offloading', operation: 'store', count: 'kv_offload_store_size', bytes: 'kv_offload_store_bytes_total' },
    { connector: 'mooncake_store', operation: 'call', count: 'mooncake_store_operation_time_seconds', bytes: 'mooncake_store_operation_bytes_total' },
    { connector: 'hf3fs', operation: 'save', count: 'hf3fs_save_duration_seconds' },
    { connector: 'hf3fs', operation: 'load', count: 'hf3fs_load_duration_seconds' },
    { connector: 'umbp', operation: 'call', counter: 'umbp_transfer_completed_total', bytes: 'umbp_transfer_bytes_total' },
    { connector: 'hisparse', operation: 'load', bytes: 'hisparse_host_to_device_bytes_total' },
  ],
  // Failures by class. NIXL's class `any` includes handshakes and notifications, so classes are not to be added up.
  failures: [
    { connector: 'nixl', class: 'any', counter: 'nixl_num_failed_transfers_total' },
    { connector: 'nixl', class: 'notification', counter: 'nixl_num_failed_notifications_total' },
    { connector: 'mooncake', class: 'send', counter: 'mooncake_num_failed_transfers_total' },
    { connector: 'mooncake', class: 'receive', counter: 'mooncake_num_failed_recvs_total' },
    { connector: 'moriio', class: 'transfer', counter: 'moriio_num_failed_transfers_total' },
    { connector: 'moriio', class: 'notification', counter: 'moriio_num_failed_notifications_total' },
    { connector: 'hf3fs', class: 'save', counter: 'hf3fs_num_failed_save_total' },
    { connector: 'hf3fs', class: 'load', counter: 'hf3fs_num_failed_load_total' },
    { connector: 'mooncake_store', class: 'keys', counter: 'mooncake_store_operation_failed_keys_total' },
    { connector: 'umbp', class: 'transfer', counter: 'umbp_transfer_failed_total' },
    { connector: 'offloading', class: 'allocation', counter: 'kv_offload_allocation_failure_total' },
    { connector: 'offloading', class: 'promotion', counter: 'kv_offload_tiering_promotion_job_failures_total' },
    { connector: 'offloading', class: 'cascade', counter: 'kv_offload_tiering_cascade_job_failures_total' },
    { connector: 'nixl_agent', class: 'transfer', counter: 'nixl_transfer_failures_total', own: true },
  ],
  expired: [
    { connector: 'nixl', counter: 'nixl_num_kv_expired_reqs_total' },
    { connector: 'mooncake', counter: 'mooncake_num_kv_expired_reqs_total' },
    { connector: 'moriio', counter: 'moriio_num_kv_expired_reqs_total' },
  ],
}
