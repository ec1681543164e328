// SPDX-License-Identifier: Apache-2.0
// The page: asks for the summary, keeps its history, and shows both.

import { EVERY_SECONDS, RENEW_SECONDS, History, octaves, quantiles } from "./history.js";
import { at, element, setText, share, showTables, words } from "./tables.js";
import { makeFigure, number, paintAll, showHistogram, showLines, showNone } from "./charts.js";

const HUES = ["s1", "s2", "s3", "s4", "s5", "s6", "s7", "s8"];
const TREND_SECONDS = 120, RATE_SECONDS = 10, LONGEST_WAIT_SECONDS = 15, ANSWER_SECONDS = 10, FILTER_FROM = 9, PAGE_ROWS = 100, PART = 256;

const history = new History();
const rows = new Map(); // entry key: {body, cells by flow}
let summary = null, chosen = null, windowSeconds = 300;
let asked = { filter: "", offset: 0 }; // which part of the summary; only an exporter with more than a summary shows is asked for a part
let timer = 0, failures = 0, lastAnswer = null, sinceAskedPast = Infinity, firstRow = 0, shownRows = 0;

// Names are anybody's: what turns text around, hides or breaks lines is shown as an escape.
const UNSEEN = /[\u0000-\u001f\u007f-\u009f\u00ad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb]|[\u{e0000}-\u{e007f}]/gu;

function escaped(text) {
  return text.replace(UNSEEN, (one) => "\\u{" + one.codePointAt(0).toString(16) + "}");
}

function clean(value) {
  if (typeof value === "string") return escaped(value);
  if (Array.isArray(value)) return typeof value[0] === "number" || Array.isArray(value[0]) ? value : value.map(clean);
  if (value === null || typeof value !== "object") return value;
  return Object.fromEntries(Object.entries(value).map(([key, one]) => [escaped(key), clean(one)]));
}

// Figures

const charts = at("charts");
paintAll();
const figures = {
  transfers: makeFigure(charts, "transfers", "Transfers per second", "line", number.count),
  bytes: makeFigure(charts, "bytes", "Bytes per second", "line", number.rate),
  time: makeFigure(charts, "time", "Transfer time", "quantiles", number.seconds),
  post: makeFigure(charts, "post", "Post time", "quantiles", number.seconds),
  sizes: makeFigure(charts, "sizes", "Transfer sizes", "histogram", number.whole),
  failed: makeFigure(charts, "failed", "Failures by class", "bars", number.whole),
};

// "engine 0 · model"; the model only where there are several.
function place(entry) {
  return [entry.engine !== "" && "engine " + entry.engine, models().length > 1 && entry.model].filter(Boolean).join(" · ");
}

function models() {
  return [...new Set([...history.entries.values()].map(({ model }) => model))].filter(Boolean);
}

// Beside the title stand the quantiles of the whole window.
function quantileLines(flow, key) {
  if (!flow || !flow.measures[key]) return [];
  const now = quantiles(flow.grown(key, history, windowSeconds));
  return ["P50", "P90", "P99"].map((label, q) => ({ label, hue: "q" + (q + 1), values: flow[key][q], now: now[q] }));
}

function flowLines(entry, key) {
  return [...entry.flows.values()]
    .map((flow, i) => ({ label: flow.name, hue: HUES[i % HUES.length], values: flow[key], measured: flow.measures[key] }))
    .filter(({ measured }) => measured).slice(0, HUES.length);
}

// Of which flow times are shown: the chosen one, else the first that measures some.
function timedFlow(entry) {
  const flows = [...entry.flows.values()].filter(({ measures }) => measures.time || measures.post);
  const select = at("flow"), names = flows.map(({ name }) => name);
  if (names.join("\n") !== [...select.options].map(({ value }) => value).join("\n"))
    select.replaceChildren(...names.map((name) => new Option(name, name)));
  at("flow-box").hidden = flows.length < 2;
  return flows.find(({ name }) => name === select.value) || flows[0];
}

function showDetail(entry) {
  at("detail").hidden = !entry;
  if (!entry) return;
  setText(at("detail-title"), [entry.connector, place(entry)].filter(Boolean).join(" · "));
  const flow = timedFlow(entry);
  showLines(figures.transfers, history, windowSeconds, flowLines(entry, "transfers"));
  showLines(figures.bytes, history, windowSeconds, flowLines(entry, "bytes"));
  setText(figures.time.root.querySelector("h3"), "Transfer time" + (flow && entry.flows.size > 1 ? ": " + flow.name : ""));
  for (const key of ["time", "post"]) showLines(figures[key], history, windowSeconds, quantileLines(flow, key));
  const sized = [...entry.flows.values()].map((one, i) => ({ one, i })).filter(({ one }) => one.measures.size);
  showHistogram(figures.sizes, sized.slice(0, HUES.length).map(({ one, i }) => (
    { label: one.name, hue: HUES[i % HUES.length], octaves: octaves(one.grown("size", history, windowSeconds)) })));
  const classes = [...entry.failures].slice(0, HUES.length);
  showLines(figures.failed, history, windowSeconds, classes.map(([label, { values }], i) => ({ label: words(label), hue: HUES[(i + 5) % HUES.length], values })));
  if (classes.length === 0) showNone(figures.failed, "none so far");
  else setText(figures.failed.now, classes.map(([label, { total }]) => words(label) + " " + number.whole(total)).join(" · ") + " since the start");
}

// The table of engines

function trendPath(values) {
  let path = "", pen = "M", top = 0;
  history.inWindow(TREND_SECONDS, (slot) => { top = Math.max(top, values[slot] || 0); });
  history.inWindow(TREND_SECONDS, (slot, ago) => {
    if (Number.isNaN(values[slot])) { pen = "M"; return; }
    path += pen + (120 - ago).toFixed(1) + " " + (17 - (top > 0 ? values[slot] / top : 0) * 15).toFixed(1);
    pen = "L";
  });
  return path;
}

function makeRow(name) {
  const line = element("tr"), cells = {};
  cells.name = element("td", "flow", name);
  cells.trend = element("td", "trend");
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("viewBox", "0 0 120 18");
  svg.setAttribute("preserveAspectRatio", "none");
  svg.setAttribute("aria-hidden", "true");
  cells.path = svg.appendChild(document.createElementNS("http://www.w3.org/2000/svg", "path"));
  cells.trend.append(svg);
  for (const key of ["transfers", "bytes", "p50", "p90", "p99", "post"]) cells[key] = element("td");
  line.append(cells.name, cells.trend, cells.transfers, cells.bytes, cells.p50, cells.p90, cells.p99, cells.post);
  return { line, cells };
}

function makeBody(entry) {
  const body = element("tbody"), head = element("th"), button = element("button"), failed = element("td", "failures");
  failed.append(element("div"), element("div", "total"));
  head.scope = "rowgroup";
  button.type = "button";
  const where = place(entry);
  button.append(element("strong", "", entry.connector), " ", element("span", "", where));
  const sends = element("span", "note-sends");
  button.append(sends);
  button.addEventListener("click", () => choose(entry.key, true));
  head.append(button);
  const flows = new Map([...entry.flows.keys()].map((name) => [name, makeRow(name)]));
  if (flows.size === 0) flows.set("", makeRow("–"));
  for (const { line } of flows.values()) body.append(line);
  head.rowSpan = failed.rowSpan = flows.size;
  body.firstChild.prepend(head);
  body.firstChild.append(failed);
  return { body, button, sends, failed, flows, where };
}

// What the filter looks at, here and in the exporter.
function searched(entry) {
  return [entry.connector, entry.engine && "engine " + entry.engine, entry.model].filter(Boolean).join(" ").toLowerCase();
}

function isPart() {
  return asked.filter !== "" || asked.offset > 0 || summary.connectors_total > summary.connectors.length;
}

// Asks for another part of the summary. The page remembers one part at a time; of what came before, the exporter's history says more.
function askFor(filter, offset) {
  asked = { filter, offset };
  firstRow = 0;
  history.clear();
  sinceAskedPast = Infinity;
  failures = 0;
  ask();
}

// From one page of rows to the next, or to the next part.
function turn(rowsOn) {
  const next = firstRow + rowsOn;
  if (next >= shownRows) askFor(asked.filter, asked.offset + PART);
  else if (next < 0) askFor(asked.filter, Math.max(0, asked.offset - PART));
  firstRow = next >= shownRows ? 0 : next < 0 ? Infinity : next; // Infinity: the part's last page
  show();
}

function classText(counts) {
  const list = counts.filter(([, count]) => count > 0).map(([label, count]) => words(label) + " " + number.whole(count));
  return list.length > 0 ? " (" + list.join(", ") + ")" : "";
}

// "5 min", or how much of that was seen.
function windowName() {
  const seen = history.watched(windowSeconds);
  return number.age(seen >= 0.95 * windowSeconds ? windowSeconds : Math.round(seen));
}

// What grew in the window, and below it what there was since the start.
function showFailures(entry, cell) {
  const grown = [...entry.failures].map(([label, { values }]) => [label, history.sum(values, windowSeconds)]);
  const sum = grown.reduce((total, [, count]) => total + count, 0);
  const flows = [...entry.flows.values()].filter(({ measures }) => measures.transfers);
  const inWindow = flows.reduce((total, flow) => total + history.total(flow.transfers, windowSeconds), 0);
  const everything = flows.reduce((total, { was }) => total + (was.transfers || 0), 0);
  setText(cell.firstChild, number.whole(sum) + " in " + windowName() + share(sum, inWindow) + classText(grown));
  setText(cell.lastChild, entry.failed
    ? number.whole(entry.failed) + " since the start" + share(entry.failed, everything) + classText([...entry.failures].map(([label, { total }]) => [label, total]))
    : "none since the start");
  cell.className = "failures" + (sum > 0 ? " grew" : entry.failed ? " some" : "");
}

// A window that is not full.
function showWatched() {
  const seen = history.watched(windowSeconds), isPart = seen < 0.95 * windowSeconds;
  at("watched").hidden = !isPart;
  setText(at("watched"), isPart ? "seen: " + windowName() + " of " + number.age(windowSeconds) : "");
}

function fillBody(entry, row) {
  for (const flow of entry.flows.values()) {
    const { cells } = row.flows.get(flow.name), [p50, p90, p99] = quantiles(flow.grown("time", history, windowSeconds));
    setText(cells.transfers, flow.measures.transfers ? number.count(history.mean(flow.transfers, RATE_SECONDS)) : "");
    setText(cells.bytes, flow.measures.bytes ? number.rate(history.mean(flow.bytes, RATE_SECONDS)) : "");
    [["p50", p50], ["p90", p90], ["p99", p99]].forEach(([key, value]) => setText(cells[key], flow.measures.time ? number.seconds(value) : ""));
    setText(cells.post, flow.measures.post ? number.seconds(quantiles(flow.grown("post", history, windowSeconds))[1]) : "");
    cells.path.setAttribute("d", trendPath(flow.measures.transfers ? flow.transfers : flow.bytes));
  }
  const flows = [...entry.flows.values()], isStill = flows.length > 0 && flows.every(({ was }) => was.transfers === 0);
  setText(row.sends, isStill && entry.connector.startsWith("Nixl") ? "no transfers: the engine that receives counts them, so one that only sends has none" : "");
  showFailures(entry, row.failed);
}

// Which of the entries that the filter lets through are on this page.
function showPages(count) {
  firstRow = Math.max(0, Math.min(firstRow, PAGE_ROWS * Math.floor((count - 1) / PAGE_ROWS)));
  shownRows = count;
  const before = asked.offset, all = isPart() ? summary.connectors_total : count;
  at("pages").hidden = all <= PAGE_ROWS;
  at("back").disabled = firstRow === 0 && before === 0;
  at("forth").disabled = firstRow + PAGE_ROWS >= count && before + summary.connectors.length >= all;
  setText(at("place"), (before + firstRow + 1) + " to " + (before + Math.min(count, firstRow + PAGE_ROWS)) + " of " + all);
}

function showEngines() {
  const table = at("engines"), filter = at("filter").value.trim().toLowerCase();
  const texts = new Map(history.order.map((key) => [key, searched(history.entries.get(key))]));
  const passed = history.order.filter((key) => texts.get(key).includes(filter));
  showPages(passed.length);
  const shown = new Set(passed.slice(firstRow, firstRow + PAGE_ROWS));
  for (const [key, row] of rows)
    if (!history.entries.has(key)) { row.body.remove(); rows.delete(key); }
  const held = [...rows.keys()].find((key) => rows.get(key).button === document.activeElement);
  let made = false;
  for (const [key, entry] of history.entries) {
    let row = rows.get(key);
    if (!row || row.where !== place(entry) || (row.flows.size !== entry.flows.size && entry.flows.size > 0)) {
      if (row) row.body.remove();
      rows.set(key, row = makeBody(entry));
      made = true;
    }
    row.body.hidden = !shown.has(key);
    row.body.classList.toggle("chosen", key === chosen);
    row.button.setAttribute("aria-pressed", String(key === chosen));
    if (!row.body.hidden) fillBody(entry, row);
  }
  if (made) {
    for (const key of history.order) table.append(rows.get(key).body);
    if (held) rows.get(held)?.button.focus({ preventScroll: true });
  }
  setText(at("model"), models().length === 1 ? models()[0] : "");
  at("filter-box").hidden = history.entries.size < FILTER_FROM && !isPart();
}

function choose(key, byHand) {
  chosen = key;
  if (byHand) {
    window.history.replaceState(null, "", "#" + encodeURIComponent(key));
    show();
  }
}

// The one that the address names, else the busiest; rather one whose times are known.
function chooseFirst() {
  const wanted = decodeURIComponent(location.hash.slice(1));
  if (history.entries.has(chosen)) return;
  const total = (entry) => [...entry.flows.values()].reduce((sum, { was }) => sum + (was.transfers || 0) * (was.time.count > 0 ? 1e6 : 1), 0);
  const busiest = [...history.entries.values()].sort((a, b) => total(b) - total(a))[0];
  choose(history.entries.has(wanted) ? wanted : busiest ? busiest.key : null, false);
}

function toldOfChosen() {
  return summary.connectors.find((raw) => JSON.stringify([raw.connector, raw.model_name, raw.engine]) === chosen);
}

// The exporter may be well while nobody records: that is told apart from it.
function showRecording() {
  const count = summary.recording, began = summary.connectors.length > 0 || isPart() || summary.writers.length > 0;
  at("recording").hidden = false;
  at("recording").dataset.state = count > 0 ? "live" : began ? "none" : "wait";
  setText(at("recording"), count > 0 ? number.whole(count) + (count === 1 ? " source records" : " sources record") : began ? "nobody records" : "nobody has recorded yet");
}

function show() {
  if (!summary || history.taken === 0) return;
  const isEmpty = summary.connectors.length === 0 && !isPart();
  chooseFirst();
  at("empty").hidden = !isEmpty;
  at("overview").hidden = isEmpty;
  showWatched();
  showEngines();
  showDetail(history.entries.get(chosen));
  showTables(summary, toldOfChosen());
  showRecording();
  const sources = number.whole(summary.sources_total) + (summary.sources_total === 1 ? " source" : " sources");
  setText(at("about"), "version " + summary.version + " · up " + number.age(summary.uptime_seconds) + " · " + sources);
}

// Asking

function setState(state, text) {
  at("state").dataset.state = state;
  setText(at("state"), text);
  at("lost").hidden = state !== "lost";
  document.body.classList.toggle("lost", state === "lost");
}

function lose(reason) {
  const wait = Math.min(LONGEST_WAIT_SECONDS, EVERY_SECONDS * 2 ** failures);
  failures++;
  setState("lost", "connection lost");
  const since = lastAnswer ? " The numbers are from " + lastAnswer.toLocaleTimeString() + "." : "";
  setText(at("lost-text"), "The exporter does not answer (" + reason + ")." + since + " The page asks again every few seconds.");
  return wait;
}

// The exporter's own history of the time before. One without has a page all the same.
async function askPast() {
  if ((sinceAskedPast += EVERY_SECONDS) < RENEW_SECONDS) return;
  sinceAskedPast = RENEW_SECONDS - 60; // one that fails is asked for again in a minute
  const response = await fetch("api/v1/history", { cache: "no-store", signal: AbortSignal.timeout(ANSWER_SECONDS * 1000) });
  if (response.status === 404) sinceAskedPast = 0;
  if (!response.ok) return;
  const told = clean(await response.json());
  if (told.format === 1) history.preload(told);
  sinceAskedPast = 0;
}

function address() {
  const query = new URLSearchParams(Object.entries(asked).filter(([, value]) => value));
  return "api/v1/summary" + (String(query) && "?" + query);
}

async function ask() {
  clearTimeout(timer);
  let wait = EVERY_SECONDS;
  try {
    await askPast().catch(() => {}); // a page without a past is one all the same
    const from = address(), response = await fetch(from, { cache: "no-store", signal: AbortSignal.timeout(ANSWER_SECONDS * 1000) });
    if (!response.ok) throw new Error("status " + response.status);
    const told = clean(await response.json());
    if (from !== address()) return; // another part is asked for meanwhile
    summary = told;
    if (history.take(summary)) sinceAskedPast = Infinity;
    if (asked.offset > 0 && summary.connectors.length === 0) asked.offset = 0; // there are fewer now
    failures = 0;
    lastAnswer = new Date();
    setState("live", "exporter reachable");
    if (!document.hidden) show(); // a page in the background remembers, and draws when it is looked at
  } catch (error) {
    wait = lose(error.name === "TimeoutError" ? "no answer in time" : error instanceof TypeError ? "no connection" : error.message);
  }
  clearTimeout(timer);
  timer = setTimeout(ask, wait * 1000);
}

at("retry").addEventListener("click", ask);
at("filter").addEventListener("input", (event) => {
  firstRow = 0;
  if (summary && isPart()) askFor(event.target.value.trim().slice(0, 60), 0);
  else show();
});
at("back").addEventListener("click", () => turn(-PAGE_ROWS));
at("forth").addEventListener("click", () => turn(PAGE_ROWS));
at("flow").addEventListener("change", show);
at("window").addEventListener("change", (event) => { windowSeconds = Number(event.target.value); show(); });
document.addEventListener("visibilitychange", () => { if (!document.hidden) show(); });
window.addEventListener("hashchange", () => { chosen = null; show(); });
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => { paintAll(); show(); });
setText(at("post-address"), location.origin);
ask();
