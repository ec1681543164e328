// SPDX-License-Identifier: Apache-2.0
// KV blocks that move to host memory, disks and stores.
local grafana = import '../lib/grafana.libsonnet';
local g = grafana;

function(config)
  local c = (import 'common.libsonnet')(config);
  local v(name) = '${prefix}' + name;
  local offload(name) = v('kv_offload_' + name), tier(name) = v('kv_offload_tiering_' + name);
  local rate(name, legend, labels=[]) = g.target(c.rate(name, labels), legend);
  local quotient(a, b, labels=[]) = '%s / %s' % [c.rate(a, labels), c.rate(b, labels)];
  g.dashboard(
    config,
    'offload',
    'KV transfers: offload and tiers',
    'OffloadingConnector with its tiers, SimpleCPUOffload, MooncakeStore, LMCache, 3FS, HiSparse, UMBP and AscendStore.',
    c.pages + [c.prefix] + c.engines,
    [
      'OffloadingConnector: device and host memory',
      g.timeseries('Moved', 'binBps', [rate(offload('load_bytes_total'), 'load: host to device'), rate(offload('store_bytes_total'), 'store: device to host')], 'Over the clock.'),
      g.timeseries('While moving', 'binBps', [
        g.target(quotient(offload('load_bytes_total'), offload('load_time_total')), 'load'),
        g.target(quotient(offload('store_bytes_total'), offload('store_time_total')), 'store'),
      ], 'Bytes by the summed time of transfers, which may overlap.'),
      g.timeseries('Transfers', 'ops', [g.target(c.count(offload('load_size')), 'load'), g.target(c.count(offload('store_size')), 'store')]),
      c.quantiles('Size of a load', 'bytes', offload('load_size')),
      c.quantiles('Size of a store', 'bytes', offload('store_size')),
      g.timeseries('Share of the CPU cache in use', 'percentunit', [
        g.target(c.highest(offload('cpu_cache_usage_perc'), ['instance', 'engine']), '{{instance}} engine {{engine}}'),
        g.target(c.highest(offload('cpu_cache_read_usage_perc'), ['instance', 'engine']), '{{instance}} engine {{engine}} read'),
        g.target(c.highest(offload('cpu_cache_write_usage_perc'), ['instance', 'engine']), '{{instance}} engine {{engine}} write'),
      ], 'What transfers under way hold. What is cached and idle does not count.'),
      c.quantiles('Lookups that keep the scheduler waiting', 's', offload('lookup_sync_delay_seconds')),
      c.quantiles('Lookups that are answered later', 's', offload('lookup_async_delay_seconds')),
      g.timeseries('Given up, and skipped', 'short', [
        g.target(c.grown(offload('allocation_failure_total')), 'no room'),
        g.target(c.grown(offload('stores_skipped_total')), 'asked for too seldom'),
      ]),
      g.timeseries('Chunks of an allocation, mean', 'short', [g.target(c.mean(offload('cpu_allocation_size')), 'chunks')]),
      g.table('Configuration', 'short', '%s{%s}' % [offload('config_info'), c.engine]) + g.sized(16, 8),

      'Tiers below the CPU cache',
      g.timeseries('Read and written', 'binBps', [rate(tier('read_bytes_total'), 'read {{tier}}', ['tier']), rate(tier('write_bytes_total'), 'write {{tier}}', ['tier'])]),
      g.timeseries('While moving', 'binBps', [
        g.target(quotient(tier('read_bytes_total'), tier('read_time_total'), ['tier']), 'read {{tier}}'),
        g.target(quotient(tier('write_bytes_total'), tier('write_time_total'), ['tier']), 'write {{tier}}'),
      ]),
      g.timeseries('Hits', 'percentunit', [g.target(quotient(tier('chunk_hits_total'), tier('chunk_queries_total'), ['tier']), '{{tier}}')], 'Chunks that were found, of those looked for.'),
      c.quantiles('Promotions', 's', tier('promotion_latency_seconds'), 'Bringing chunks from a tier into the CPU cache.', ['tier']),
      c.quantiles('Lookups that keep the scheduler waiting', 's', tier('lookup_sync_delay_seconds'), '', ['tier']),
      c.quantiles('Lookups that are answered later', 's', tier('lookup_async_delay_seconds'), '', ['tier']),
      g.timeseries('Jobs under way', 'short', [
        g.target(c.gauge(tier('active_promotion_jobs'), ['tier']), 'promotions {{tier}}'),
        g.target(c.gauge(tier('active_cascade_jobs'), ['tier']), 'cascades {{tier}}'),
      ]),
      g.timeseries('Failures', 'short', [
        g.target(c.grown(tier('promotion_job_failures_total'), ['tier']), 'promotions {{tier}}'),
        g.target(c.grown(tier('cascade_job_failures_total'), ['tier']), 'cascades {{tier}}'),
        g.target(c.grown(tier('promotion_allocation_failures_total')), 'no room for a promotion'),
      ]),
      g.timeseries('Held back: the tier is too slow', 'short', [
        g.target(c.grown(tier('backpressure_stores_dropped_total'), ['tier']), 'stores dropped {{tier}}'),
        g.target(c.grown(tier('backpressure_blocks_dropped_total'), ['tier']), 'blocks dropped {{tier}}'),
      ]),
      g.timeseries('Time of a store, moving mean', 's', [g.target(c.highest(tier('backpressure_store_latency_ema'), ['tier']), '{{tier}}')]),
      g.timeseries('CPU cache that jobs hold', 'percentunit', [
        g.target(c.highest(tier('primary_read_usage_perc'), ['tier']), 'read {{tier}}'),
        g.target(c.highest(tier('primary_write_usage_perc'), ['tier']), 'write {{tier}}'),
      ]),

      'SimpleCPUOffloadConnector',
      g.timeseries('Saves by outcome', 'ops', [rate(v('simple_kv_offload_save_outcomes_total'), '{{outcome}}', ['outcome'])], 'Blocks.'),
      g.timeseries('Blocks loaded', 'ops', [rate(v('simple_kv_offload_load_blocks_total'), 'loaded')]),
      g.timeseries('Blocks in use', 'short', [
        g.target(c.gauge(v('simple_kv_offload_used_blocks')), 'in use'),
        g.target(c.gauge(v('simple_kv_offload_pending_store_blocks')), 'being stored'),
      ]),

      'Stores and caches',
      c.quantiles('Mooncake store: time of a call', 's', v('mooncake_store_operation_time_seconds'), 'A call is a batch of keys.', ['operation']),
      g.timeseries('Mooncake store: moved', 'binBps', [rate(v('mooncake_store_operation_bytes_total'), '{{operation}} {{status}}', ['operation', 'status'])]),
      g.timeseries('Mooncake store: keys', 'ops', [
        rate(v('mooncake_store_operation_keys_total'), '{{operation}}', ['operation']),
        rate(v('mooncake_store_operation_failed_keys_total'), '{{operation}} failed', ['operation']),
      ]),
      c.quantiles('LMCache: time of a lookup', 's', v('lmcache_mp_lookup_duration_seconds')),
      c.quantiles('3FS: time of a save', 's', v('hf3fs_save_duration_seconds')),
      c.quantiles('3FS: time of a load', 's', v('hf3fs_load_duration_seconds')),
      g.timeseries('3FS: failures', 'short', [g.target(c.grown(v('hf3fs_num_failed_save_total')), 'save'), g.target(c.grown(v('hf3fs_num_failed_load_total')), 'load')]),
      g.timeseries('UMBP: transfers', 'ops', [
        rate(v('umbp_transfer_completed_total'), '{{operation}} completed', ['operation']),
        rate(v('umbp_transfer_failed_total'), '{{operation}} failed', ['operation']),
      ]),
      g.timeseries('UMBP: moved', 'binBps', [rate(v('umbp_transfer_bytes_total'), '{{operation}}', ['operation'])]),
      g.timeseries('HiSparse: hits', 'percentunit', [g.target('%s / (%s + %s)' % [c.rate(v('hisparse_cache_hits_total')), c.rate(v('hisparse_cache_hits_total')), c.rate(v('hisparse_cache_misses_total'))], 'hits')]),
      g.timeseries('HiSparse: host to device', 'binBps', [rate(v('hisparse_host_to_device_bytes_total'), 'moved')]),
      g.timeseries('HiSparse: host cache in use', 'percentunit', [g.target(c.highest(v('hisparse_host_cache_usage_perc'), ['instance', 'engine']), '{{instance}} engine {{engine}}')]),
      c.quantiles('AscendStore: time of a load', 's', v('ascend_store_load_get_duration_seconds')),
      g.timeseries('AscendStore: keys', 'ops', [rate(v('ascend_store_load_get_keys_total'), 'asked for')]),
      g.timeseries('AscendStore: blocks that wait for a save', 'short', [g.target(c.gauge(v('ascend_store_delayed_release_blocks')), 'blocks')]),
    ]
  )
