// SPDX-License-Identifier: Apache-2.0
// Figures: a heading, a chart that is updated in place, and the same numbers as a table.

/* global Chart */
const TABLE_ROWS = 12;
const figures = [];

export const number = {
  count(value) {
    if (!Number.isFinite(value)) return "–";
    if (value === 0) return "0";
    for (const [size, unit] of [[1e9, "G"], [1e6, "M"], [1e4, "k"]])
      if (value >= size) return (value / (unit === "k" ? 1e3 : size)).toFixed(1) + " " + unit;
    return value >= 100 ? value.toFixed(0) : value >= 0.095 ? value.toFixed(1) : value.toPrecision(1);
  },
  whole(value) {
    return Number.isFinite(value) ? value.toLocaleString("en-US", { maximumFractionDigits: 0 }) : "–";
  },
  bytes(value) {
    if (!Number.isFinite(value)) return "–";
    let unit = 0;
    for (; value >= 1023.5 && unit < 6; unit++) value /= 1024;
    return (unit === 0 || value >= 99.95 ? value.toFixed(0) : value.toFixed(1)).replace(/\.0$/, "") + " " + ["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"][unit];
  },
  rate(value) {
    return Number.isFinite(value) ? number.bytes(value) + "/s" : "–";
  },
  seconds(value) {
    if (!Number.isFinite(value)) return "–";
    const [scaled, unit] = value >= 1 ? [value, "s"] : value >= 1e-3 ? [value * 1e3, "ms"] : [value * 1e6, "µs"];
    return Number(scaled.toPrecision(3)) + " " + unit;
  },
  age(value) {
    const minutes = value / 60, hours = minutes / 60;
    if (hours >= 48) return Math.floor(hours / 24) + " d";
    return hours >= 1 ? Math.floor(hours) + " h " + (Math.floor(minutes) % 60) + " min" : minutes >= 1 ? Math.floor(minutes) + " min" : Math.floor(value) + " s";
  },
};

function color(name) {
  return getComputedStyle(document.documentElement).getPropertyValue("--" + name).trim();
}

function ago(value) {
  return value === 0 ? "now" : value >= 60 && value % 60 === 0 ? "−" + value / 60 + " min" : "−" + Math.round(value) + " s";
}

function element(name, properties, ...children) {
  const made = Object.assign(document.createElement(name), properties);
  made.append(...children);
  return made;
}

// A point between two gaps would not be seen in a line.
function lone(context) {
  const data = context.dataset.data, i = context.dataIndex;
  if (!data[i] || Number.isNaN(data[i].y)) return 0;
  const left = i > 0 && !Number.isNaN(data[i - 1].y), right = i + 1 < data.length && !Number.isNaN(data[i + 1].y);
  return left || right ? 0 : 1.6;
}

// Steps of 1, 2 or 5, also where the unit is a power of 1024.
function byteTicks(axis) {
  const unit = 1024 ** Math.max(0, Math.floor(Math.log2(axis.max / 2 || 1) / 10)), target = axis.max / unit / 4;
  const power = 10 ** Math.floor(Math.log10(target)), step = unit * power * [1, 2, 5, 10].find((n) => n * power >= target);
  axis.ticks = [];
  for (let i = 0; step > 0 && i * step <= axis.max; i++) axis.ticks.push({ value: i * step });
}

// 1, 2 and 5 of each decade; 1 alone where the axis has so many decades that their labels would overlap.
function decadeTicks(axis) {
  const shown = axis.max / axis.min > 500 ? /^1(\.0+)?e/ : /^[125](\.0+)?e/;
  axis.ticks = axis.ticks.filter(({ value }) => shown.test(value.toExponential(6)));
}

function axes(kind, format) {
  const callback = (value) => format(value).replace(/\.0+$/, "");
  const y = kind === "quantiles" ? { type: "logarithmic", ticks: { callback, autoSkip: false }, afterBuildTicks: decadeTicks }
    : kind === "line" ? { beginAtZero: true, ticks: { callback, maxTicksLimit: 5 }, afterBuildTicks: format === number.rate ? byteTicks : undefined }
      : { beginAtZero: true, suggestedMax: 4, ticks: { callback, maxTicksLimit: 5, precision: 0 }, stacked: kind === "bars" };
  const x = kind === "histogram" ? { type: "category", grid: { display: false }, ticks: { maxRotation: 0, autoSkipPadding: 10 } }
    : { type: "linear", reverse: true, offset: false, min: 0, grid: { display: false }, ticks: { callback: ago, maxRotation: 0 }, stacked: kind === "bars" };
  return { x, y };
}

// kind: line, quantiles (logarithmic), bars (stacked over time), histogram (labels along x).
export function makeFigure(parent, id, title, kind, format) {
  const canvas = element("canvas", { id: "chart-" + id });
  const now = element("span", { className: "now" });
  const none = element("p", { className: "none", hidden: true });
  const table = element("table");
  const details = element("details", {}, element("summary", { textContent: "as a table" }), table);
  const plot = element("div", { className: "plot" }, canvas);
  const heading = element("h3", { textContent: title });
  const root = element("figure", { id }, element("figcaption", {}, heading, now), plot, none, details);
  canvas.setAttribute("role", "img");
  parent.append(root);
  const chart = new Chart(canvas, {
    type: kind === "bars" || kind === "histogram" ? "bar" : "line",
    data: { labels: [], datasets: [] },
    options: {
      animation: false, parsing: kind === "histogram" ? undefined : false, normalized: true, responsive: true, maintainAspectRatio: false, spanGaps: 11,
      interaction: { mode: "index", intersect: false },
      scales: axes(kind, format),
      plugins: {
        legend: { align: "start", labels: { boxWidth: 10, boxHeight: kind === "line" || kind === "quantiles" ? 1 : 8, padding: 8 } },
        tooltip: { animation: false, callbacks: {
          title: (items) => (items.length === 0 ? "" : kind === "histogram" ? items[0].label : ago(items[0].parsed.x)),
          label: (item) => item.dataset.label + "  " + format(item.parsed.y),
        } },
      },
    },
  });
  const figure = { root, chart, kind, format, title, now, none, plot, details, table, canvas };
  details.addEventListener("toggle", () => fillTable(figure));
  figures.push(figure);
  paint(figure);
  return figure;
}

// Colors of the theme that holds now.
function paint(figure) {
  const { chart } = figure, soft = color("soft"), grid = color("grid");
  for (const axis of Object.values(chart.options.scales)) {
    axis.ticks.color = soft;
    axis.grid = { ...axis.grid, color: grid, borderColor: color("rule"), tickLength: 4 };
  }
  chart.options.plugins.legend.labels.color = color("ink");
  chart.data.datasets.forEach((dataset) => style(figure, dataset));
  chart.update("none");
}

export function paintAll() {
  Chart.defaults.font.family = getComputedStyle(document.body).fontFamily;
  Chart.defaults.font.size = Math.round(parseFloat(getComputedStyle(document.body).fontSize) * 11 / 13);
  figures.forEach(paint);
}

function style(figure, dataset) {
  const ink = color(dataset.hue);
  const isBar = figure.kind === "bars" || figure.kind === "histogram";
  Object.assign(dataset, {
    borderColor: ink, backgroundColor: ink, pointBackgroundColor: ink, borderWidth: isBar ? 0 : 1.4, pointRadius: lone, pointHoverRadius: 3,
    barPercentage: 1, categoryPercentage: figure.kind === "histogram" ? 0.86 : 1, minBarLength: figure.kind === "histogram" ? 2 : 0,
    maxBarThickness: figure.kind === "bars" ? 6 : undefined, borderJoinStyle: "round",
  });
}

// Makes the datasets those of `list` ([{label, hue}]); those that stay keep their points.
function adopt(figure, list) {
  const { datasets } = figure.chart.data;
  datasets.length = Math.min(datasets.length, list.length);
  list.forEach((wanted, i) => {
    if (!datasets[i]) datasets[i] = { data: [] };
    if (datasets[i].label === wanted.label && datasets[i].hue === wanted.hue) return;
    datasets[i].label = wanted.label;
    datasets[i].hue = wanted.hue;
    style(figure, datasets[i]);
  });
  figure.chart.options.plugins.legend.display = list.length > 1;
}

// With a text in its place there is no chart.
export function showNone(figure, text) {
  figure.root.hidden = false;
  figure.none.textContent = text;
  figure.none.hidden = text === "";
  figure.plot.hidden = figure.details.hidden = text !== "";
  if (text) figure.now.textContent = "";
}

function finish(figure, words) {
  figure.now.textContent = words;
  figure.canvas.setAttribute("aria-label", figure.title + ": " + words + ". The same numbers are in the table below.");
  figure.chart.update("none");
  if (figure.details.open) fillTable(figure);
}

// `list`: [{label, hue, values, now}], values being rings of the history; now, if given, is told beside the title. What is not measured
// has no figure.
export function showLines(figure, history, seconds, list) {
  showNone(figure, "");
  figure.root.hidden = list.length === 0;
  if (list.length === 0) return;
  adopt(figure, list);
  figure.chart.options.scales.x.max = seconds;
  figure.chart.options.spanGaps = Math.max(11, 1.1 * history.coarsest(seconds));
  figure.chart.options.scales.x.ticks.stepSize = seconds > 120 ? seconds / 5 : 30;
  list.forEach(({ values }, d) => {
    const { data } = figure.chart.data.datasets[d];
    let count = 0;
    history.inWindow(seconds, (slot, x) => {
      if (!data[count]) data[count] = { x: 0, y: NaN };
      data[count].x = x;
      data[count].y = figure.kind === "quantiles" && values[slot] <= 0 ? NaN : values[slot];
      count++;
    });
    data.length = count;
  });
  finish(figure, list.map(({ label, values, now }) => (
    (list.length > 1 ? label + " " : "") + figure.format(now ?? history.mean(values, 10)))).join(" · "));
}

// `list`: [{label, hue, octaves}]
export function showHistogram(figure, list) {
  const all = list.flatMap(({ octaves }) => octaves);
  showNone(figure, all.length === 0 ? "no transfers in this window" : "");
  figure.root.hidden = list.length === 0;
  if (all.length === 0) return;
  adopt(figure, list);
  const first = Math.min(...all.map(({ to }) => to)), last = Math.max(...all.map(({ to }) => to));
  const { labels } = figure.chart.data;
  labels.length = 0;
  for (let to = first; to <= last; to *= 2) labels.push("≤ " + number.bytes(to));
  let total = 0;
  list.forEach(({ octaves }, d) => {
    const { data } = figure.chart.data.datasets[d];
    data.length = labels.length;
    data.fill(null); // a bar of 0 would be seen, as the least height of a bar is
    for (const { to, count } of octaves) {
      if (count > 0) data[Math.round(Math.log2(to / first))] = count;
      total += count;
    }
  });
  finish(figure, number.whole(total) + " transfers in the window");
}

function row(cell, texts) {
  const made = document.createElement("tr");
  texts.forEach((text, i) => {
    const one = document.createElement(i === 0 ? "th" : cell);
    one.scope = cell === "th" ? "col" : i === 0 ? "row" : "";
    one.textContent = text;
    made.append(one);
  });
  return made;
}

// The latest values, or all of a histogram.
function fillTable(figure) {
  if (!figure.details.open) {
    figure.table.replaceChildren();
    return;
  }
  const { labels, datasets } = figure.chart.data, isHistogram = figure.kind === "histogram";
  const rows = [row("th", [isHistogram ? "size" : "when", ...datasets.map(({ label }) => label)])];
  const length = datasets[0] ? datasets[0].data.length : 0;
  for (let i = isHistogram ? 0 : Math.max(0, length - TABLE_ROWS); i < length; i++) {
    const head = isHistogram ? labels[i] : ago(datasets[0].data[i].x);
    rows.push(row("td", [head, ...datasets.map(({ data }) => figure.format(isHistogram ? data[i] || 0 : data[i].y))]));
  }
  figure.table.replaceChildren(...rows);
}
