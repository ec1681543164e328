// SPDX-License-Identifier: Apache-2.0
// One engine: how long its transfers take, how large they are, and what fails.
local grafana = import '../lib/grafana.libsonnet';
local g = grafana;
local V = grafana.variables;

function(config)
  local c = (import 'common.libsonnet')(config);
  local metric(suffix) = '${prefix}${transport}_' + suffix;
  local time = metric('xfer_time_seconds'), post = metric('post_time_seconds'), bytes = metric('bytes_transferred'), pieces = metric('num_descriptors');
  local nixl(suffix) = '${prefix}nixl_' + suffix;
  local phase(name) = g.target(c.mean(name, ['connector', 'operation']), '{{connector}} {{operation}}');
  g.dashboard(
    config,
    'engine',
    'KV transfers: one engine',
    'Transfers between engines by NIXL, Mooncake or MoRI-IO.',
    c.pages + [c.prefix, V.custom('transport', 'Connector', ['nixl', 'mooncake', 'moriio'], 'nixl')] + c.engines,
    [
      g.stat('Transfers', 'ops', c.count(time)),
      g.stat('Moved', 'binBps', c.sum(bytes)),
      g.stat('P50', 's', c.quantile('0.50', time)),
      g.stat('P99', 's', c.quantile('0.99', time), '', config.slowSeconds),
      g.stat('Mean size', 'bytes', c.mean(bytes)),
      g.stat('Failures, 10 min', 'short', 'sum(instance_model_engine:kv_failures:increase10m{%s, connector="$transport", class!="notification"})' % c.engine, 'From the recording rules.', 1),
      g.stat('Expired, 15 min', 'short', 'sum(instance_model_engine:kv_expired:increase15m{%s, connector="$transport"})' % c.engine, 'From the recording rules.', 1),
      g.stat('Open now', 'short', 'sum(kvtel_open_transfers{%s}) or vector(0)' % c.engine),

      'Latency',
      c.quantiles('Time of a transfer', 's', time, 'From posting until the connector saw the end, the pauses between two looks included: a busy engine shows longer times than the wire took. From native histograms where Prometheus scrapes them (within 9 %), else from explicit buckets (within a bucket: between 5 and 10 ms there is no other bound).'),
      c.quantiles('Time of posting', 's', post, 'The call that posts a transfer: a part of the time of the transfer, not a time before it. NIXL and MoRI-IO alone.'),
      g.timeseries('Share of the time that is posting', 'percentunit', [g.target('%s / %s' % [c.sum(post), c.sum(time)], 'posting')], 'When this is high, the engine prepares transfers slowly: many small pieces, or a busy CPU. When it is low and transfers are slow, look at the network and at the peer.'),
      g.heatmap('Transfers by time', 's', 'sum by (le) (increase(%s_bucket{%s}[$__rate_interval]))' % [time, c.engine], 'Explicit buckets: empty where Prometheus keeps native ones alone.'),
      g.timeseries('Phases: until the first byte', 's', [phase('kvtel_transfer_first_byte_seconds')], 'Mean. Of connectors that record phases.'),
      g.timeseries('Phases: first to last byte', 's', [phase('kvtel_transfer_data_seconds')], 'Mean. Of connectors that record phases.'),

      'Sizes and rates',
      g.text('Reading the rates', |||
        - **Over the clock and while moving are two rates.** *Moved* divides bytes by seconds of the clock. *While moving* divides bytes by
          the summed time of the transfers; vLLM logs that as throughput. With four transfers at a time, *moved* can be four times as high
          as *while moving*; in an idle engine *moved* is near 0 and *while moving* is not.
        - **Ranks count.** Each rank of an engine counts its own transfers and its own bytes. With tensor parallel 8 one request is 8
          transfers; bytes add up to the whole request.
        - **One side counts.** The engine that pulls (decode, for NIXL) counts transfers and most failures; the other side counts expiries.
          An engine that only prefills shows no times at all.
        - **`rate()` misses first events.** A counter that appears with 5 shows 0: two samples are needed. The stats of failures above come
          from rules that count a new counter's first value.
        - **A payload comes with a step.** vLLM reports transfers when its scheduler steps, so rates over less than a few steps are uneven.
        - **`engine="0"` is in every server.** Never sum or compare by `engine` without `instance`.
      |||) + g.sized(24, 9),
      g.timeseries('Moved, and while moving', 'binBps', [
        g.target(c.sum(bytes), 'moved, over the clock'),
        g.target('%s / %s' % [c.sum(bytes), c.sum(time)], 'while moving'),
      ]),
      g.timeseries('Transfers', 'ops', [g.target(c.count(time, ['engine']), 'engine {{engine}}')]),
      g.timeseries('Transfers at a time, mean', 'short', [g.target(c.sum(time), 'in flight')], "Seconds of transfers in each second: by Little's law, how many are under way at a time."),
      c.quantiles('Size of a transfer', 'bytes', bytes),
      g.timeseries('Pieces of a transfer, mean', 'short', [g.target(c.mean(pieces), 'pieces')], 'Descriptors: contiguous pieces of memory. Many small ones cost time to post.'),
      g.timeseries('Bytes of a piece, mean', 'bytes', [g.target('%s / %s' % [c.sum(bytes), c.sum(pieces)], 'bytes')]),

      'Failures and expiry',
      g.timeseries('Failures by class', 'short', [
        g.target('sum by (class) (instance_model_engine:kv_failures:increase10m{%s, connector="$transport"})' % c.engine, '{{class}}'),
      ], "In 10 minutes, from the recording rules. NIXL's class `any` counts each step: handshake, transfer, notification. A notification that fails leaves the sender's blocks in place until their lease ends."),
      g.timeseries('Share of failed transfers', 'percentunit', [
        g.target('max(instance_model_engine:kv_failures:share10m{%s, connector="$transport"})' % c.engine, 'failed'),
      ]),
      g.timeseries('Expired requests', 'short', [
        g.target('sum by (engine) (instance_model_engine:kv_expired:increase15m{%s, connector="$transport"})' % c.engine, 'engine {{engine}}'),
      ], 'In 15 minutes. Of the side that holds the blocks: nobody fetched them before their lease ended.'),
      g.timeseries('Fetched after expiry', 'short', [g.target(c.grown(nixl('num_notifications_after_expiry_total')), 'late')], 'NIXL alone. The data that was fetched may be wrong: each one matters.'),
      g.timeseries('Open transfers', 'short', [g.target(c.gauge('kvtel_open_transfers', ['connector', 'operation']), '{{connector}} {{operation}}')], 'Of writers that show transfers from their begin on.'),
      g.timeseries('Ended without completing', 'short', [g.target(c.grown('kvtel_unfinished_transfers_total', ['outcome']), '{{outcome}}')], 'lost: the process was killed while they were open. abandoned: it ended in order.'),
    ]
  )
