// SPDX-License-Identifier: Apache-2.0
// What may differ from one site to the next. docs/dashboards.md describes each key.
{
  _config:: {
    // The exporter's --metrics.prefix. Dashboards have a variable for it, which starts with this value.
    prefix: 'vllm:',
    // An alert's annotation runbook_url; %s is its name in lower case. The default is the page's place in the repository.
    runbookURLPattern: 'docs/alerts.md#%s',
    // Labels that tell one scraped page from another, and labels that tell one engine from another.
    pageLabels: ['cluster', 'namespace', 'job', 'instance'],
    engineLabels: ['cluster', 'namespace', 'instance', 'model_name', 'engine'],
    modelLabels: ['cluster', 'namespace', 'model_name'],
    // Requests that an engine works on now: vLLM's own page, whatever kvtel's prefix is.
    requestsRunning: 'vllm:num_requests_running',

    // Thresholds of alerts.
    slowSeconds: 1,  // P99 of a transfer between engines
    slowFor: '10m',
    failureShare: 0.05,
    openSeconds: 60,  // age of the oldest open transfer
    idleFor: '15m',  // requests run, and no transfer ends
    downFor: '5m',

    dashboards: { tags: ['kvtel'], refresh: '30s', from: 'now-1h', uid: 'kvtel-%s' },
  },
}
