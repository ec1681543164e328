// SPDX-License-Identifier: Apache-2.0
// What Prometheus loads: mixin/rules.yml and mixin/alerts.yml, and both in one file for each prefix. ../../run mixin writes them.
local yaml = import 'lib/yaml.libsonnet';
local mixin = import 'mixin.libsonnet';
local made = 'Made by ./run mixin from deploy/mixin/; change it there.';
local both(prefix, text) =
  local m = mixin { _config+:: { prefix: prefix } };
  yaml.groups(m.prometheusRules.groups + m.prometheusAlerts.groups, [
    'Recording rules, and alerts for each engine of each server: every server\'s first engine is "0", so that nothing is told apart',
    'without `instance`. docs/alerts.md explains each alert.',
    '',
  ] + text + ['', made]);

{
  'mixin/rules.yml': yaml.groups(mixin.prometheusRules.groups, ['Recording rules, for the prefix vllm:.', made]),
  'mixin/alerts.yml': yaml.groups(mixin.prometheusAlerts.groups, ['Alerts, for the prefix vllm:. They need rules.yml.', made]),
  'rules.yml': both('vllm:', [
    "These are the names of `vllm:`, the exporter's default; rules-kv.yml has those of `kvtel serve --metrics.prefix=kv_`. Load the file of",
    'your prefix, and that one alone: rules of names that nobody exports never fire, and nothing says so. For another prefix:',
    "sed '/vllm:num_requests_running/!s/vllm:/PREFIX/g' rules.yml.",
  ]),
  'rules-kv.yml': both('kv_', ['This is rules.yml for `kvtel serve --metrics.prefix=kv_`; load one of the two.']),
}
