// SPDX-License-Identifier: Apache-2.0
// Alerts. Each has a paragraph of its name in docs/alerts.md.
local promql = import 'lib/promql.libsonnet';

{
  local config = $._config,
  local alert(name, severity, expr, summary, description, wait='') = {
    alert: name,
    [if wait != '' then 'for']: wait,
    labels: { severity: severity },
    annotations: { summary: summary, description: description, runbook_url: config.runbookURLPattern % std.asciiLower(name) },
  } + (if std.isArray(expr) then promql.lines(expr) else { expr: expr }),
  local engine = 'engine {{ $labels.engine }} of {{ $labels.model_name }} at {{ $labels.instance }}',
  local M = std.join(', ', config.modelLabels),
  local page = std.join(', ', config.pageLabels),

  prometheusAlerts+:: {
    groups+: [
      {
        name: 'kvtel transfers',
        rules: [
          alert(
            'KVTransfersFail',
            'warning',
            'instance_model_engine:kv_failures:increase10m > 0',
            'KV transfers fail: {{ $labels.connector }}, ' + engine + '.',
            'In 10 minutes {{ printf "%.0f" $value }} failures of class {{ $labels.class }}. With kv_load_failure_policy="fail", vLLM\'s default, the requests end with an error; with "recompute" they are prefilled again.'
          ),
          alert(
            'KVTransfersFailOften',
            'critical',
            'instance_model_engine:kv_failures:share10m > %g' % config.failureShare,
            'Many KV transfers fail: {{ $labels.connector }}, ' + engine + '.',
            '{{ $value | humanizePercentage }} of the transfers of the last 10 minutes failed.'
          ),
          alert(
            'KVBlocksExpire',
            'warning',
            'instance_model_engine:kv_expired:increase15m > 0',
            'KV blocks were freed before anyone fetched them: {{ $labels.connector }}, ' + engine + '.',
            '{{ printf "%.0f" $value }} requests in 15 minutes. The decode side prefills them again, or they fail.'
          ),
          alert(
            'KVDataMayBeWrong',
            'critical',
            promql.above(0, promql.grew(config.prefix + 'nixl_num_notifications_after_expiry_total', '15m', config.engineLabels, config)),
            'KV blocks were fetched after their lease had ended: ' + engine + '.',
            "The blocks may have held another request's data when they were read."
          ),
          alert(
            'KVTransfersStall',
            'warning',
            'increase(kvtel_stalled_transfers_total[10m]) > 0 or kvtel_oldest_open_seconds > %g' % config.openSeconds,
            'KV transfers hang: {{ $labels.connector }}, ' + engine + '.',
            "A transfer has been open for longer than the exporter's --stalled.after, or for more than %g s. The exporter's log and its page name the peer." % config.openSeconds
          ),
          alert(
            'KVTransfersSlow',
            'warning',
            'instance_model_engine:kv_transfer_seconds:p99_5m > %g' % config.slowSeconds,
            'KV transfers are slow: {{ $labels.connector }}, ' + engine + '.',
            'P99 of the last 5 minutes is {{ $value | humanizeDuration }}; the bound is %g s.' % config.slowSeconds,
            config.slowFor
          ),
          alert(
            'KVNoTransfers',
            'warning',
            [
              'sum by (%s) (%s) > 0' % [M, config.requestsRunning],
              '  and on (%s)' % M,
              'sum by (%s) (model:kv_transfers:rate5m{operation="transfer"}) == 0' % M,
              '  and on (%s)' % M,
              'sum by (%s) (model:kv_transfers:sum{operation="transfer"}) > 0' % M,
            ],
            'Requests of {{ $labels.model_name }} run, and no KV transfer ends.',
            '{{ printf "%.0f" $value }} requests run. Transfers ended before, and none has for more than ' + config.idleFor
            + ': engines prefill everything themselves, or wait.',
            config.idleFor
          ),
        ],
      },
      {
        name: 'kvtel itself',
        rules: [
          alert(
            'KvtelDown',
            'critical',
            'up == 0 and on (%s) last_over_time(kvtel_build_info[6h])' % page,
            'The exporter at {{ $labels.instance }} does not answer.',
            'Prometheus could not scrape it for %s. Counters go on in the stores, so nothing is lost while the machine runs.' % config.downFor,
            config.downFor
          ),
          alert(
            'KvtelWriterKilled',
            'warning',
            'increase(kvtel_writers_unclosed_total[10m]) > 0',
            'A process that recorded KV transfers at {{ $labels.instance }} was killed or crashed.',
            "The exporter's log names it."
          ),
          alert(
            'KvtelStoresRefused',
            'warning',
            'kvtel_stores{state="refused"} > 0',
            'The exporter at {{ $labels.instance }} cannot read a store.',
            '{{ $value }} stores are refused; the log names each, with the reason. Their numbers are missing.',
            '5m'
          ),
          alert(
            'KvtelStoresUnread',
            'warning',
            'kvtel_stores_stale > 0 or kvtel_stores_postponed > 0',
            'The exporter at {{ $labels.instance }} runs short of descriptors or memory.',
            '{{ $value }} stores could not be read for 5 minutes; the page shows what they held before, or nothing of them.',
            '5m'
          ),
          alert(
            'KvtelRingFull',
            'warning',
            [
              'increase(kvtel_nixl_ring_full_total[10m]) > 0 or increase(nixl_events_dropped_total[10m]) > 0',
              '  or',
            ] + promql.above(0, promql.appeared('nixl_events_dropped_total', '10m', config)),
            'NIXL drops telemetry at {{ $labels.instance }}.',
            'A ring was full, or an agent says that it dropped events: numbers of nixl_* are too low.'
          ),
          alert(
            'KvtelRingContended',
            'warning',
            'increase(kvtel_nixl_ring_contended_total[10m]) > 0',
            "Another program reads NIXL's rings at {{ $labels.instance }}.",
            'Each event goes to one of the two readers, so both show too little.'
          ),
          alert(
            'KvtelSeriesLimit',
            'warning',
            'increase(kvtel_totals_label_sets_folded_total[1h]) > 0 or kvtel_store_series_dropped > 0 or increase(kvtel_refused_total{reason="series_limit"}[1h]) > 0',
            'The exporter at {{ $labels.instance }} has more label sets than it keeps.',
            'New label sets are summed as "other", or left out. Usually a label has a value that is new at each start.'
          ),
          alert(
            'KvtelRecordsDropped',
            'warning',
            'delta(kvtel_store_records_dropped[10m]) > 0 or delta(kvtel_store_values_refused[10m]) > 0',
            'Writers at {{ $labels.instance }} record what cannot be counted.',
            'Records found no lane or no series, or values were negative, not finite or absurd.'
          ),
          alert(
            'KvtelTotalsFail',
            'critical',
            'increase(kvtel_totals_writes_failed_total[10m]) > 0 or kvtel_totals_damaged_total > 0',
            'The exporter at {{ $labels.instance }} cannot keep the totals of ended engines.',
            'The directory is full or cannot be written, or the file of totals was damaged and set aside.'
          ),
          alert(
            'KvtelPushFails',
            'warning',
            'increase(kvtel_otlp_pushes_failed_total[10m]) > 0 or increase(kvtel_otlp_points_rejected_total[10m]) > 0',
            'The exporter at {{ $labels.instance }} cannot push by OTLP.',
            'Pushes failed, or the receiver rejected points; the log has the reason.',
            '5m'
          ),
        ],
      },
    ],
  },
}
