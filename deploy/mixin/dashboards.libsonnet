// SPDX-License-Identifier: Apache-2.0
{
  grafanaDashboards+:: {
    'overview.json': (import 'dashboards/overview.libsonnet')($._config),
    'engine.json': (import 'dashboards/engine.libsonnet')($._config),
    'peers.json': (import 'dashboards/peers.libsonnet')($._config),
    'offload.json': (import 'dashboards/offload.libsonnet')($._config),
    'exporter.json': (import 'dashboards/exporter.libsonnet')($._config),
  },
}
