// SPDX-License-Identifier: Apache-2.0
// Open transfers of any connector, and what NIXL's plug-in and rings tell: peers, outcomes, errors.
local grafana = import '../lib/grafana.libsonnet';
local g = grafana;

function(config)
  local c = (import 'common.libsonnet')(config);
  local row = ['instance', 'connector', 'operation'], legend = '{{instance}} {{connector}} {{operation}}';
  // NIXL's rings have no model and no engine.
  local ring(name, labels=[]) = c.rate(name, labels, c.page);
  g.dashboard(
    config,
    'peers',
    'KV transfers: peers and open transfers',
    "Transfers that are open now, and NIXL's transfers by peer and outcome.",
    c.pages + c.engines,
    [
      'Open now: writers that show transfers from their begin on',
      g.timeseries('Open transfers', 'short', [g.target(c.gauge('kvtel_open_transfers', row), legend)]),
      g.timeseries('Open bytes', 'bytes', [g.target(c.gauge('kvtel_open_bytes', row), legend)]),
      g.timeseries('Age of the oldest', 's', [g.target(c.highest('kvtel_oldest_open_seconds', row), legend)], "A line that climbs by a second each second is a transfer that hangs. Its peer is in the exporter's log and on its page."),
      g.timeseries('Stalled', 'short', [g.target(c.grown('kvtel_stalled_transfers_total', row), legend)], "Open for longer than the exporter's --stalled.after, each counted once."),
      g.timeseries('Ended without completing', 'short', [g.target(c.grown('kvtel_unfinished_transfers_total', row + ['outcome']), legend + ' {{outcome}}')]),
      g.table('Oldest, ten engines', 's', 'topk(10, max by (instance, model_name, engine, connector, operation) (kvtel_oldest_open_seconds{%s}))' % c.engine),

      "NIXL's plug-in: outcomes",
      g.timeseries('Transfers by outcome', 'ops', [g.target(c.rate('nixl_transfers_total', ['direction', 'outcome']), '{{direction}} {{outcome}}')], 'completed_in_post: done when the posting call returned. unknown: nobody told the plug-in.'),
      g.timeseries('Posts', 'ops', [g.target(c.rate('nixl_posts_total', ['direction']), '{{direction}}')], 'Calls that post, those that fail as well.'),
      g.timeseries('Failures by status', 'short', [g.target(c.grown('nixl_transfer_failures_total', ['direction', 'status']), '{{direction}} {{status}}')], 'Only where the application tells outcomes: KVTEL_NIXL=1.'),
      c.quantiles('Time of a completed transfer', 's', 'nixl_transfer_seconds', 'From the posting call until a look found it done.', ['direction']),
      c.quantiles('Time of posting', 's', 'nixl_post_seconds', '', ['direction']),
      c.quantiles('Size of a completed transfer', 'bytes', 'nixl_transfer_size_bytes', '', ['direction']),
      g.timeseries('Bytes by outcome', 'binBps', [g.target(c.rate('nixl_transfer_bytes_total', ['direction', 'outcome']), '{{direction}} {{outcome}}')]),
      g.timeseries('Source of outcomes', 'short', [g.target(c.gauge('kvtel_nixl_outcome_source', ['source']), '{{source}}')], 'application tells all; exporter tells completions within a post; none: such outcomes are unknown.'),
      g.timeseries('What the plug-in cannot tell', 'short', [
        g.target(c.grown('kvtel_nixl_untracked_total'), 'untracked: too many open'),
        g.target(c.grown('kvtel_nixl_unmatched_total'), 'unmatched: unknown post'),
      ]),

      'Peers: exporters with --nixl.peer-label',
      g.timeseries('Bytes by peer, ten busiest', 'binBps', [g.target('topk(10, %s)' % c.rate('nixl_peer_transfer_bytes_total', ['instance', 'direction', 'peer']), '{{instance}} {{direction}} {{peer}}')], 'The first 64 peers of a process by name, further ones as other.'),
      g.timeseries('Not completed by peer, ten worst', 'ops', [g.target('topk(10, sum by (instance, peer, outcome) (rate(nixl_peer_transfers_total{%s, outcome!~"completed.*"}[$__rate_interval])))' % c.engine, '{{instance}} {{peer}} {{outcome}}')]),
      g.table('Transfers by peer', 'short', 'sum by (instance, direction, peer, outcome) (nixl_peer_transfers_total{%s})' % c.engine, 'Since the beginning.'),

      "NIXL's rings: all agents of a machine together",
      g.timeseries('Transfers', 'ops', [g.target(ring('nixl_requests_total', ['instance', 'direction']), '{{instance}} {{direction}}')], 'The agent that posts counts: tx writes, rx reads. A transfer whose peer died is in no number of a ring.'),
      g.timeseries('Bytes', 'binBps', [g.target(ring('nixl_bytes_total', ['instance', 'direction']), '{{instance}} {{direction}}')]),
      c.quantiles('Time of a transfer', 's', 'nixl_xfer_time_seconds', 'Until the application saw the end.', [], c.page),
      c.quantiles('Time of posting', 's', 'nixl_post_time_seconds', '', [], c.page),
      c.quantiles('Size of a transfer', 'bytes', 'nixl_xfer_size_bytes', '', ['direction'], c.page),
      g.timeseries('Errors by status', 'short', [g.target(c.grown('nixl_errors_total', ['instance', 'status'], c.page), '{{instance}} {{status}}')]),
      g.timeseries('Memory registered', 'bytes', [g.target(c.gauge('nixl_memory_bytes', ['instance'], c.page), '{{instance}}')]),
      g.timeseries('Registered and deregistered', 'binBps', [
        g.target(ring('nixl_memory_registered_bytes_total', ['instance']), '{{instance}} registered'),
        g.target(ring('nixl_memory_deregistered_bytes_total', ['instance']), '{{instance}} deregistered'),
      ]),
      g.timeseries('Dropped', 'short', [
        g.target(c.grown('nixl_events_dropped_total', ['instance'], c.page), '{{instance}} events that agents dropped'),
        g.target(c.grown('kvtel_nixl_ring_full_total', ['instance'], c.page), '{{instance}} rings found full'),
      ], 'All other numbers of the rings lack these events.'),
    ]
  )
