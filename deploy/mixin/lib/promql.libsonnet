// SPDX-License-Identifier: Apache-2.0
// Expressions that are equal for explicit buckets and native histograms: each half returns nothing where the other kind was scraped,
// and where Prometheus keeps both, the native one is taken. Texts are joined by +: std.format is slow in jsonnet.
{
  local by(labels) = std.join(', ', labels),
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

  // What a counter grew by, as lines. A counter that was not there before its first events grew by its value: increase() needs two
  // samples.
  grown(name, window, labels, config)::
    local increase = $.sum(labels, $.ofKvtel('increase(' + name + '[' + window + '])', config));
    local page = by(config.pageLabels);
    [
      increase + ' > 0',
      '  or',
      'sum by (' + by(labels) + ') (',
      '  (' + name + ' unless ' + name + ' offset ' + window + ')',
      '    and on (' + page + ') (up offset ' + window + ' == 1)',
      '    and on (' + page + ') kvtel_build_info',
      ')',
      '  or',
      increase,
    ],

  // A rule's expression of several lines.
  lines(lines):: { expr: std.join('\n', lines), lines:: lines },
}
