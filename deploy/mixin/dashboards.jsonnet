// SPDX-License-Identifier: Apache-2.0
// One file of JSON for each dashboard. ../../run mixin writes them.
(import 'mixin.libsonnet').grafanaDashboards
