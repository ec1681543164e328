// SPDX-License-Identifier: Apache-2.0
// The fleet, by model and by machine. It reads recorded series, and few others, so it stays quick with thousands of machines.
local grafana = import '../lib/grafana.libsonnet';
local g = grafana;
local V = grafana.variables;

function(config)
  local where = 'cluster=~"$cluster", namespace=~"$namespace", model_name=~"$model"';
  local page = 'cluster=~"$cluster", namespace=~"$namespace"';
  local model(record, labels) = 'sum by (%s) (model:%s{%s})' % [std.join(', ', labels), record, where];
  local engine(record) = 'instance_model_engine:%s{%s}' % [record, where];
  local legend = '{{model_name}} {{connector}}';
  g.dashboard(
    config,
    'overview',
    'KV transfers: overview',
    'All machines, by model and by machine. Needs the recording rules of kvtel (rules.yml).',
    [
      V.datasource,
      V.query('cluster', 'Cluster', 'label_values(kvtel_build_info, cluster)'),
      V.query('namespace', 'Namespace', 'label_values(kvtel_build_info{cluster=~"$cluster"}, namespace)'),
      V.query('model', 'Model', 'label_values(model:kv_transfers:sum{cluster=~"$cluster", namespace=~"$namespace"}, model_name)'),
    ],
    [
      g.stat('Machines', 'short', 'count(kvtel_build_info{%s})' % page, 'Exporters that answer.'),
      g.stat('Engines', 'short', 'count(count by (cluster, namespace, instance, model_name, engine) (%s))' % engine('kv_transfers:rate5m'), 'Engines that recorded at least one transfer since they are known to their exporter.'),
      g.stat('Transfers', 'ops', 'sum(model:kv_transfers:rate5m{%s})' % where, 'Finished transfers of all connectors in a second. Each rank of an engine counts its own, so with tensor parallel 8 a request is 8 transfers.'),
      g.stat('Moved', 'binBps', 'sum(model:kv_bytes:rate5m{%s})' % where, 'Bytes of finished transfers, over the clock.'),
      g.stat('Failures, 10 min', 'short', 'sum(instance_model_engine:kv_failures:increase10m{%s, class!="notification"})' % where, 'Without notifications, which NIXL counts among its failures as well.', 1),
      g.stat('Expired, 15 min', 'short', 'sum(model:kv_expired:increase15m{%s})' % where, 'Requests whose blocks were freed before anyone fetched them.', 1),
      g.stat('Open now', 'short', 'sum(kvtel_open_transfers{%s}) or vector(0)' % where, 'Transfers that began and have not ended, of writers that show them.'),
      g.stat('Alerts', 'short', 'count(ALERTS{alertname=~"KV.+|Kvtel.+", alertstate="firing", %s}) or vector(0)' % page, 'Alerts of kvtel that fire.', 1),

      'By model',
      g.timeseries('Moved', 'binBps', [g.target(model('kv_bytes:rate5m', ['model_name', 'connector', 'operation']), legend + ' {{operation}}')], 'Bytes over the clock: rate() of the sum of bytes. The line that vLLM logs as throughput divides by the summed time of transfers and is higher when transfers overlap.'),
      g.timeseries('Transfers', 'ops', [g.target(model('kv_transfers:rate5m', ['model_name', 'connector', 'operation']), legend + ' {{operation}}')]),
      g.timeseries('Time of a transfer, P50 and P99', 's', [
        g.target('model:kv_transfer_seconds:p50_5m{%s}' % where, 'P50 ' + legend),
        g.target('model:kv_transfer_seconds:p99_5m{%s}' % where, 'P99 ' + legend),
      ], 'Over all machines: of the sum of their buckets, native ones where Prometheus scrapes them.'),
      g.timeseries('Failures in 10 minutes, by class', 'short', [g.target(model('kv_failures:increase10m', ['model_name', 'connector', 'class']), legend + ' {{class}}')], "NIXL's class `any` includes its class `notification`."),
      g.timeseries('Share of failed transfers, worst engine', 'percentunit', [g.target('max by (model_name, connector) (%s)' % engine('kv_failures:share10m'), legend)]),
      g.timeseries('Expired requests in 15 minutes', 'short', [g.target(model('kv_expired:increase15m', ['model_name', 'connector']), legend)]),

      'By machine',
      g.timeseries('Moved, ten busiest', 'binBps', [g.target('topk(10, sum by (instance) (%s))' % engine('kv_bytes:rate5m'), '{{instance}}')]),
      g.timeseries('P99, ten slowest engines', 's', [g.target('topk(10, max by (instance, engine) (%s))' % engine('kv_transfer_seconds:p99_5m'), '{{instance}} engine {{engine}}')]),
      g.table('Failures, ten worst engines', 'short', 'topk(10, sum by (instance, model_name, engine, connector, class) (%s))' % engine('kv_failures:increase10m')),
      g.table('Since the beginning', 'short', model('kv_transfers:sum', ['model_name', 'connector', 'operation']), 'Transfers of all exporters together. An exporter keeps the numbers of engines that ended.') + g.sized(12, 8),
      g.table('Bytes since the beginning', 'bytes', model('kv_bytes:sum', ['model_name', 'connector', 'operation'])) + g.sized(12, 8),
    ]
  )
