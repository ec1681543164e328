// SPDX-License-Identifier: Apache-2.0
// Recording rules: for each engine, then for each model over all machines. Their names are the same for every prefix.
local families = import 'families.libsonnet';
local promql = import 'lib/promql.libsonnet';

{
  local config = $._config,
  local E = config.engineLabels,
  local M = config.modelLabels,
  local own(vector) = promql.ofKvtel(vector, config),
  local name(row, metric) = (if std.get(row, 'own', false) then '' else config.prefix) + metric,
  local sums(record, labels, of) = { record: record, expr: promql.sum(labels, of) },
  local counted = [
    { connector: row.connector, operation: 'transfer', count: row.time, moved: row.bytes }
    for row in families.transports
  ] + families.moves,

  local transfers(row) =
    if std.objectHas(row, 'counter') then
      [{ rate: promql.counterRate(name(row, row.counter), '', '5m', E, own), total: promql.sum(E, own(name(row, row.counter))) }]
    else if std.objectHas(row, 'count') then
      [{
        rate: promql.histogramRate('count', name(row, row.count), '', '5m', E, own),
        total: promql.histogramTotal('count', name(row, row.count), E, own),
      }]
    else [],
  local bytes(row) =
    if std.objectHas(row, 'bytes') then
      [{ rate: promql.counterRate(name(row, row.bytes), '', '5m', E, own), total: promql.sum(E, own(name(row, row.bytes))) }]
    else if std.objectHas(row, 'moved') then
      [{
        rate: promql.histogramRate('sum', name(row, row.moved), '', '5m', E, own),
        total: promql.histogramTotal('sum', name(row, row.moved), E, own),
      }]
    else [],
  local labelled(row) = { connector: row.connector, operation: row.operation },

  prometheusRules+:: {
    groups+: [
      {
        name: 'kvtel engines',
        rules:
          [
            { record: 'instance_model_engine:kv_transfers:rate5m', labels: labelled(row), expr: found.rate }
            for row in counted
            for found in transfers(row)
          ]
          + [
            { record: 'instance_model_engine:kv_bytes:rate5m', labels: labelled(row), expr: found.rate }
            for row in counted
            for found in bytes(row)
          ]
          + [
            {
              record: 'instance_model_engine:kv_transfer_seconds:p' + q + '_5m',
              labels: { connector: row.connector },
              expr: promql.quantile('0.' + q, name(row, row.time), '', '5m', E, own),
            }
            for row in families.transports
            for q in ['50', '99']
          ]
          + [
            {
              record: 'instance_model_engine:kv_failures:increase10m',
              labels: { connector: row.connector, class: row.class },
            } + promql.lines(promql.grown(name(row, row.counter), '10m', E, config))
            for row in families.failures
          ]
          + [
            {
              record: 'instance_model_engine:kv_failures:share10m',
              labels: { connector: row.connector },
              expr:
                local failed = promql.counterRate(name(row, row.failed), '', '10m', E, own);
                local moved = promql.histogramRate('count', name(row, row.time), '', '10m', E, own);
                failed + ' / (' + moved + ' + ' + failed + ')',
            }
            for row in families.transports
          ]
          + [
            {
              record: 'instance_model_engine:kv_expired:increase15m',
              labels: { connector: row.connector },
            } + promql.lines(promql.grown(name(row, row.counter), '15m', E, config))
            for row in families.expired
          ],
      },
      {
        name: 'kvtel models',
        rules:
          [
            sums('model:kv_transfers:rate5m', M + ['connector', 'operation'], 'instance_model_engine:kv_transfers:rate5m'),
            sums('model:kv_bytes:rate5m', M + ['connector', 'operation'], 'instance_model_engine:kv_bytes:rate5m'),
            sums('model:kv_failures:increase10m', M + ['connector', 'class'], 'instance_model_engine:kv_failures:increase10m'),
            sums('model:kv_expired:increase15m', M + ['connector'], 'instance_model_engine:kv_expired:increase15m'),
          ]
          + [
            {
              record: 'model:kv_transfer_seconds:p' + q + '_5m',
              labels: { connector: row.connector },
              expr: promql.quantile('0.' + q, name(row, row.time), '', '5m', M, own),
            }
            for row in families.transports
            for q in ['50', '99']
          ]
          + [
            {
              record: 'model:kv_transfers:sum',
              labels: labelled(row),
              expr: promql.sum(M, found.total),
            }
            for row in counted
            for found in transfers(row)
          ]
          + [
            {
              record: 'model:kv_bytes:sum',
              labels: labelled(row),
              expr: promql.sum(M, found.total),
            }
            for row in counted
            for found in bytes(row)
          ],
      },
    ],
  },
}
