// SPDX-License-Identifier: Apache-2.0
// Expressions that are equal for explicit buckets and native histograms: each half returns nothing where the other kind was scraped,
// and where Prometheus keeps both, the native one is taken. Texts are joined by +: std.format is slow in jsonnet.
{
  local by(labels) = std.join(', ', labels),
  local indented(lines) = ['  ' + line for line in lines],
  local increase(name, window, labels, config) = $.sum(labels, $.ofKvtel('increase(' + name + '[' + window + '])', config)),
  local braces(selector) = if selector == '' then '' else '{' + selector + '}',

  // A vector of kvtel's pages alone: another page may have series of the same names, vLLM's own for instance.
  ofKvtel(vector, config):: vector + ' and on (' + by(config.pageLabels) + ') kvtel_build_info',

  // Empty labels: all in one.
  sum(labels, vector):: (if std.length(labels) == 0 then 'sum(' else 'sum by (' + by(labels) + ') (') + vector + ')',

  // The rate of a histogram's count or sum: `part`. `filter` is applied to each vector of rates.
  histogramRate(part, name, selector, window, labels, filter=function(vector) vector)::
    local range = braces(selector) + '[' + window + ']';
    '(' + $.sum(labels, filter('histogram_' + part + '(rate(' + name + range + '))'))
    + ' or ' + $.sum(labels, filter('rate(' + name + '_' + part + range + ')')) + ')',

  // Its count or sum since the begin.
  histogramTotal(part, name, labels, filter=function(vector) vector)::
    $.sum(labels, filter('histogram_' + part + '(' + name + ')')) + ' or ' + $.sum(labels, filter(name + '_' + part)),

  // `q` as text, because 0.9 has no end in binary.
  quantile(q, name, selector, window, labels, filter=function(vector) vector)::
    local range = braces(selector) + '[' + window + ']';
    'histogram_quantile(' + q + ', ' + $.sum(labels, filter('rate(' + name + range + ')'))
    + ') or histogram_quantile(' + q + ', ' + $.sum(labels + ['le'], filter('rate(' + name + '_bucket' + range + ')')) + ')',

  counterRate(name, selector, window, labels, filter=function(vector) vector)::
    $.sum(labels, filter('rate(' + name + braces(selector) + '[' + window + '])')),

  // Counters that were not there a window ago, though their page was, as lines: increase() needs two samples, and so misses their first
  // value.
  appeared(name, window, config):: [
    '(' + name + ' unless ' + name + ' offset ' + window + ')',
    '  and on (' + by(config.pageLabels) + ') (up offset ' + window + ' == 1)',
  ],

  // What counters grew by, as lines. One that was not there before its first events grew by its value.
  grew(name, window, labels, config):: [
    increase(name, window, labels, config) + ' > 0',
    '  or',
    'sum by (' + by(labels) + ') (',
  ] + indented($.appeared(name, window, config)) + [
    '    and on (' + by(config.pageLabels) + ') kvtel_build_info',
    ')',
  ],

  // The same, with counters that did not grow.
  grown(name, window, labels, config)::
    $.grew(name, window, labels, config) + ['  or', increase(name, window, labels, config)],

  // The values of an expression of several lines that are above a bound.
  above(bound, lines):: ['('] + indented(lines) + [') > ' + bound],

  // A rule's expression of several lines.
  lines(lines):: { expr: std.join('\n', lines), lines:: lines },
}
