// SPDX-License-Identifier: Apache-2.0
// Groups of rules as YAML that people read. Expressions and annotations are blocks, in which nothing must be escaped.
{
  local optional(r, name, lines) = if std.objectHas(r, name) then lines(r[name]) else [],
  local rule(r) =
    [if std.objectHas(r, 'alert') then '      - alert: ' + r.alert else '      - record: ' + r.record, '        expr: |-']
    + ['          ' + line for line in std.get(r, 'lines', [r.expr], true)]
    + optional(r, 'for', function(time) ['        for: ' + time])
    + optional(r, 'labels', function(labels) ['        labels: ' + labels])
    + optional(
      r, 'annotations', function(texts)
        ['        annotations:']
        + std.flattenArrays([
          ['          ' + name + ': >-', '            ' + texts[name]]
          for name in std.objectFields(texts)
        ])
    ),

  // jsonnet -S ends the text with a newline.
  groups(groups, comment)::
    std.join('\n', (
      [if line == '' then '#' else '# ' + line for line in ['SPDX-License-Identifier: Apache-2.0'] + comment]
      + ['groups:']
      + std.flattenArrays([
        ['  - name: ' + group.name, '    rules:'] + std.flattenArrays([rule(r) for r in group.rules])
        for group in groups
      ])
    )),
}
