// SPDX-License-Identifier: Apache-2.0
// The exporters themselves.
local grafana = import '../lib/grafana.libsonnet';
local g = grafana;

function(config)
  local c = (import 'common.libsonnet')(config);
  local I = ['instance'];
  local gauge(name, legend='{{instance}}', labels=I) = g.target(c.gauge(name, labels, c.page), legend);
  local grown(name, legend='{{instance}}', labels=I) = g.target(c.grown(name, labels, c.page), legend);
  local rate(name, legend='{{instance}}', labels=I) = g.target(c.rate(name, labels, c.page), legend);
  g.dashboard(
    config,
    'exporter',
    'kvtel itself',
    'How the exporters work: stores, scrapes, totals, what was left out, memory.',
    c.pages,
    [
      g.stat('Exporters', 'short', 'count(kvtel_build_info{%s})' % c.page),
      g.stat('Down', 'short', 'count(up{%s} == 0) or vector(0)' % c.page, 'Pages that Prometheus cannot scrape.', 1),
      g.stat('Live stores', 'short', 'sum(kvtel_stores{%s, state="live"})' % c.page),
      g.stat('Refused stores', 'short', 'sum(kvtel_stores{%s, state="refused"})' % c.page, '', 1),
      g.stat('Killed writers, 1 h', 'short', 'sum(increase(kvtel_writers_unclosed_total{%s}[1h]))' % c.page, '', 1),
      g.stat('Memory', 'bytes', 'max(process_resident_memory_bytes{%s})' % c.page, 'The largest exporter.'),
      g.table('Versions', 'short', 'count by (version) (kvtel_build_info{%s})' % c.page) + g.sized(6, 4),

      'Sources',
      g.timeseries('Stores by state', 'short', [gauge('kvtel_stores', '{{state}}', ['state'])]),
      g.timeseries('Not read now', 'short', [gauge('kvtel_stores_stale', '{{instance}} stale'), gauge('kvtel_stores_postponed', '{{instance}} postponed')], 'Descriptors or memory are short, or a disk fails.'),
      g.timeseries('Ended, and how', 'short', [
        grown('kvtel_stores_retired_total', '{{instance}} into the totals'),
        grown('kvtel_writers_unclosed_total', '{{instance}} killed or crashed'),
        grown('kvtel_stores_deleted_total', '{{instance}} file removed by somebody'),
        grown('kvtel_own_stores_renewed_total', '{{instance}} own store renewed'),
      ]),
      g.timeseries("NIXL's rings by state", 'short', [gauge('kvtel_nixl_rings', '{{instance}} {{state}}', ['instance', 'state'])]),
      g.timeseries("NIXL's rings: events", 'ops', [rate('kvtel_nixl_events_total')]),
      g.timeseries("NIXL's rings: trouble", 'short', [
        grown('kvtel_nixl_ring_full_total', '{{instance}} full'),
        grown('kvtel_nixl_ring_restarts_total', '{{instance}} begun anew'),
        grown('kvtel_nixl_ring_contended_total', '{{instance}} another reader'),
        grown('kvtel_nixl_events_unrecognised_total', '{{instance}} unknown events'),
      ]),
      g.timeseries("NIXL's folder can be listed", 'short', [gauge('kvtel_nixl_folder_readable')]),

      'What was left out',
      g.timeseries('Label sets and records without room', 'short', [gauge('kvtel_store_series_dropped', '{{instance}} label sets'), gauge('kvtel_store_records_dropped', '{{instance}} records')]),
      g.timeseries('Values and tokens that were refused', 'short', [
        gauge('kvtel_store_values_refused', '{{instance}} values'),
        gauge('kvtel_store_tokens_refused', '{{instance}} tokens'),
        gauge('kvtel_store_transfers_untracked', '{{instance}} begun without room'),
      ]),
      g.timeseries('Lines of the log that were dropped', 'short', [grown('kvtel_log_lines_dropped_total')]),

      'Posts',
      g.timeseries('Payloads', 'ops', [rate('kvtel_payloads_accepted_total', '{{instance}} accepted'), rate('kvtel_payloads_repeated_total', '{{instance}} repeated')]),
      g.timeseries('Samples', 'ops', [rate('kvtel_samples_accepted_total')]),
      g.timeseries('Refused', 'short', [grown('kvtel_refused_total', '{{reason}}', ['reason']), grown('kvtel_posts_rejected_total', 'whole posts', [])]),

      'Scrapes and pushes',
      g.timeseries('Scrapes', 'ops', [rate('kvtel_scrapes_total'), rate('kvtel_scrapes_failed_total', '{{instance}} failed'), rate('kvtel_scrapes_repeated_total', '{{instance}} repeated')]),
      g.timeseries('Time of the last scrape', 's', [gauge('kvtel_scrape_duration_seconds')]),
      g.timeseries('Pushes by OTLP', 'ops', [
        rate('kvtel_otlp_pushes_total'),
        rate('kvtel_otlp_pushes_failed_total', '{{instance}} failed'),
        rate('kvtel_otlp_retries_total', '{{instance}} retries'),
        rate('kvtel_otlp_points_rejected_total', '{{instance}} points rejected'),
      ]),
      g.timeseries('Time of the last push', 's', [gauge('kvtel_otlp_push_duration_seconds')]),
      g.timeseries('Bytes pushed', 'binBps', [rate('kvtel_otlp_sent_bytes_total')]),
      g.timeseries('Since the last push', 's', [g.target('time() - max by (instance) (kvtel_otlp_last_push_timestamp_seconds{%s})' % c.page, '{{instance}}')]),

      'Totals of ended stores',
      g.timeseries('Label sets', 'short', [gauge('kvtel_totals_label_sets')]),
      g.timeseries('Size of the file', 'bytes', [gauge('kvtel_totals_bytes')]),
      g.timeseries('Writes', 'short', [
        grown('kvtel_totals_writes_total', '{{instance}} writes'),
        grown('kvtel_totals_writes_failed_total', '{{instance}} failed'),
        grown('kvtel_totals_label_sets_folded_total', '{{instance}} label sets summed as other'),
      ]),
      g.timeseries('Damaged files, bytes written', 'short', [gauge('kvtel_totals_damaged_total', '{{instance}} damaged'), rate('kvtel_totals_written_bytes_total', '{{instance}} bytes/s')]),

      'Process',
      g.timeseries('CPU', 'percentunit', [rate('process_cpu_seconds_total')], 'Share of one core.'),
      g.timeseries('Resident memory', 'bytes', [gauge('process_resident_memory_bytes')]),
      g.timeseries('Descriptors, share of the limit', 'percentunit', [g.target('max by (instance) (process_open_fds{%s} / process_max_fds{%s})' % [c.page, c.page], '{{instance}}')]),
    ]
  )
