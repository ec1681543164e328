// SPDX-License-Identifier: Apache-2.0
// The whole: import it, and add to its _config.
(import 'config.libsonnet') + (import 'rules.libsonnet') + (import 'alerts.libsonnet') + (import 'dashboards.libsonnet')
