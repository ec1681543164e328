// SPDX-License-Identifier: Apache-2.0
// Grafana's JSON: panels, variables, and dashboards that place their panels themselves.
{
  local datasource = { type: 'prometheus', uid: '${datasource}' },
  local letter(i) = std.char(65 + i),
  local panel(type, title, description, targets) = {
    type: type,
    title: title,
    description: description,
    datasource: datasource,
    targets: [targets[i] { refId: letter(i), datasource: datasource } for i in std.range(0, std.length(targets) - 1)],
    size:: { w: 8, h: 8 },
  },
  local units(unit) = { fieldConfig+: { defaults+: { unit: unit }, overrides: [] } },

  // Sizes are in Grafana's 24 columns.
  sized(w, h):: { size:: { w: w, h: h } },

  target(expr, legend=''):: { expr: expr, legendFormat: if legend == '' then '__auto' else legend, range: true },
  // The latest value alone, for a table.
  now(expr):: { expr: expr, format: 'table', instant: true, range: false },

  timeseries(title, unit, targets, description='')::
    panel('timeseries', title, description, targets) + units(unit) + {
      fieldConfig+: { defaults+: { min: 0, custom: { fillOpacity: 10, showPoints: 'never', lineWidth: 1 } } },
      options: { legend: { displayMode: 'list', placement: 'bottom' }, tooltip: { mode: 'multi', sort: 'desc' } },
    },
  // `bad`: the value from which it is red.
  stat(title, unit, expr, description='', bad=null)::
    panel('stat', title, description, [$.target(expr)]) + units(unit) + $.sized(3, 4) + {
      options: { reduceOptions: { calcs: ['lastNotNull'], fields: '', values: false }, colorMode: if bad == null then 'none' else 'value', graphMode: 'area' },
      fieldConfig+: {
        defaults+: {
          [if bad != null then 'thresholds']: { mode: 'absolute', steps: [{ color: 'green', value: null }, { color: 'red', value: bad }] },
        },
      },
    },
  table(title, unit, expr, description='')::
    panel('table', title, description, [$.now(expr)]) + units(unit) + {
      options: { showHeader: true, sortBy: [{ displayName: 'Value', desc: true }] },
      transformations: [{ id: 'organize', options: { excludeByName: { Time: true, __name__: true } } }],
    },
  heatmap(title, unit, expr, description='')::
    panel('heatmap', title, description, [$.target(expr, '{{le}}') { format: 'heatmap' }]) + {
      options: {
        calculate: false,
        yAxis: { unit: unit, axisPlacement: 'left' },
        color: { mode: 'scheme', scheme: 'Blues', steps: 64, exponent: 0.5 },
        cellGap: 1,
        legend: { show: true },
        tooltip: { mode: 'single', show: true, yHistogram: false },
      },
      fieldConfig: { defaults: {}, overrides: [] },
    },
  text(title, content):: {
    type: 'text',
    title: title,
    description: '',
    options: { mode: 'markdown', content: content },
    size:: { w: 24, h: 8 },
  },

  variables: {
    datasource:: { name: 'datasource', label: 'Data source', type: 'datasource', query: 'prometheus', current: {}, hide: 0, options: [], refresh: 1, regex: '' },
    // Labels that a series may lack, so that "All" matches those without, too.
    query(name, label, query):: {
      name: name,
      label: label,
      type: 'query',
      datasource: datasource,
      query: { query: query, refId: name },
      definition: query,
      refresh: 2,
      sort: 1,
      hide: 0,
      multi: true,
      includeAll: true,
      allValue: '.*',
      current: { text: ['All'], value: ['$__all'] },
      options: [],
      regex: '',
    },
    // "All" is the list of all values.
    listed(name, label, query):: $.variables.query(name, label, query) { allValue: null },
    custom(name, label, values, current):: {
      name: name,
      label: label,
      type: 'custom',
      query: std.join(',', values),
      multi: false,
      includeAll: false,
      hide: 0,
      current: { text: current, value: current },
      options: [{ text: value, value: value, selected: value == current } for value in values],
    },
  },

  // `rows`: lists of panels. A panel that does not fit beside those before it begins a new line; a string is the heading of a row.
  dashboard(config, uid, title, description, variables, rows)::
    local place(state, item) =
      if std.isString(item) then {
        local y = state.y + state.h,
        x: 0,
        y: y + 1,
        h: 0,
        panels: state.panels + [{ type: 'row', title: item, collapsed: false, panels: [], gridPos: { x: 0, y: y, w: 24, h: 1 } }],
      } else
        local wraps = state.x + item.size.w > 24;
        local x = if wraps then 0 else state.x, y = if wraps then state.y + state.h else state.y;
        {
          x: x + item.size.w,
          y: y,
          h: if wraps then item.size.h else std.max(state.h, item.size.h),
          panels: state.panels + [item { gridPos: { x: x, y: y, w: item.size.w, h: item.size.h } }],
        };
    local panels = std.foldl(place, rows, { x: 0, y: 0, h: 0, panels: [] }).panels;
    {
      uid: config.dashboards.uid % uid,
      title: title,
      description: description,
      tags: config.dashboards.tags,
      schemaVersion: 39,
      version: 1,
      editable: true,
      graphTooltip: 1,
      timezone: 'browser',
      refresh: config.dashboards.refresh,
      time: { from: config.dashboards.from, to: 'now' },
      annotations: { list: [] },
      links: [{ type: 'dashboards', title: 'kvtel', tags: config.dashboards.tags, asDropdown: true, includeVars: true, keepTime: true, targetBlank: false, icon: 'external link', url: '', tooltip: '' }],
      templating: { list: variables },
      panels: [panels[i] { id: i + 1 } for i in std.range(0, std.length(panels) - 1)],
    },
}
