// SPDX-License-Identifier: Apache-2.0
// What the dashboards of raw metrics share: variables, and expressions over what the variables choose.
local grafana = import '../lib/grafana.libsonnet';
local promql = import '../lib/promql.libsonnet';
local V = grafana.variables;

function(config) {
  local page = 'cluster=~"$cluster", namespace=~"$namespace", instance=~"$instance"',
  local window = '$__rate_interval',
  local perPage(part, name, labels, selector) =
    promql.sum(labels, promql.histogramRate(part, name, selector, window, ['instance'] + [label for label in labels if label != 'instance'])),

  page: page,
  engine: page + ', model_name=~"$model", engine=~"$engine"',
  // The label `instance` has the values of kvtel's own pages alone, so that a page of vLLM with the same names is left out.
  pages: [
    V.datasource,
    V.query('cluster', 'Cluster', 'label_values(kvtel_build_info, cluster)'),
    V.query('namespace', 'Namespace', 'label_values(kvtel_build_info{cluster=~"$cluster"}, namespace)'),
    V.listed('instance', 'Exporter', 'label_values(kvtel_build_info{cluster=~"$cluster", namespace=~"$namespace"}, instance)'),
  ],
  prefix: V.custom('prefix', 'Names', ['vllm:', 'kv_'], config.prefix),
  engines: [
    V.query('model', 'Model', 'label_values({instance=~"$instance", model_name!=""}, model_name)'),
    V.query('engine', 'Engine', 'label_values({instance=~"$instance", model_name=~"$model", engine!=""}, engine)'),
  ],

  // Each by `labels`, over what the variables choose; per page first, because some pages may have native histograms and others not.
  rate(name, labels=[], selector=$.engine):: promql.counterRate(name, selector, window, labels),
  count(name, labels=[], selector=$.engine)::
    perPage('count', name, labels, selector),
  sum(name, labels=[], selector=$.engine)::
    perPage('sum', name, labels, selector),
  mean(name, labels=[], selector=$.engine):: $.sum(name, labels, selector) + ' / ' + $.count(name, labels, selector),
  quantile(q, name, labels=[], selector=$.engine):: promql.quantile(q, name, selector, window, labels),
  gauge(name, labels=[], selector=$.engine):: promql.sum(labels, name + '{' + selector + '}'),
  highest(name, labels=[], selector=$.engine):: 'max by (' + std.join(', ', labels) + ') (' + name + '{' + selector + '})',
  grown(name, labels=[], selector=$.engine)::
    promql.sum(labels, 'increase(' + name + '{' + selector + '}[' + window + '])'),

  // P50, P90 and P99 in one panel.
  quantiles(title, unit, name, description='', labels=[], selector=$.engine)::
    local legend = std.join('', [' {{' + label + '}}' for label in labels]);
    grafana.timeseries(
      title,
      unit,
      [
        grafana.target($.quantile(q, name, labels, selector), 'P' + q[2:] + legend)
        for q in ['0.50', '0.90', '0.99']
      ],
      description
    ),
}
