// SPDX-License-Identifier: Apache-2.0
// The tables of the page but that of engines, each a view of the latest summary.

import { number } from "./charts.js";

const SLOWEST = 10;

export const at = (id) => document.getElementById(id);

export function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

export function element(name, className, text) {
  const made = document.createElement(name);
  if (className) made.className = className;
  if (text !== undefined) made.textContent = text;
  return made;
}

// Names of classes and reasons, for people.
export function words(name) {
  return name.replaceAll("_", " ");
}

// Of all transfers that ended, how many failed.
export function share(failed, good) {
  if (!(failed > 0) || !(good > 0)) return "";
  const percent = 100 * failed / (failed + good);
  return percent < 0.01 ? ", less than 0.01 % of transfers" : ", " + Number(percent.toPrecision(2)) + " % of transfers";
}

function fillRows(body, lists) {
  while (body.rows.length > lists.length) body.deleteRow(-1);
  lists.forEach((cells, i) => {
    const line = body.rows[i] || body.insertRow();
    cells.forEach(([text, className], k) => {
      const cell = line.cells[k] || line.insertCell();
      if (cell.className !== (className || "")) cell.className = className || "";
      setText(cell, text);
    });
  });
}

function more(id, missing, text) {
  at(id).hidden = missing <= 0;
  setText(at(id), number.whole(missing) + text);
}

function showSources(summary) {
  const order = { refused: 0, live: 1, ended: 2 };
  const list = [...summary.sources].sort((a, b) => (order[a.state] ?? 1) - (order[b.state] ?? 1));
  at("sources").hidden = list.length === 0;
  fillRows(at("source-rows"), list.map((source) => {
    const isKnown = source.pid > 0, kept = ["live", "ended", "refused"].includes(source.state) ? source.state : source.reason ? "refused" : "live";
    return [[source.state, "text state-" + kept], [source.kind, "text"], [source.name, "name"], [source.connector, "text"],
      [isKnown ? String(source.engine) : ""], [isKnown ? String(source.rank) : ""], [isKnown ? String(source.pid) : ""],
      [source.age_seconds > 0 ? number.age(source.age_seconds) : ""], [source.reason || "", "text reason"]];
  }));
  more("more-sources", summary.sources_total - list.length, " more are not shown.");
}

function showWriters(summary) {
  const list = [...summary.writers].sort((a, b) => (a.live > 0) - (b.live > 0));
  at("writers").hidden = list.length === 0;
  fillRows(at("writer-rows"), list.map((one) => [
    one.live > 0 ? [one.live > 1 ? one.live + " record" : "records", "text state-live"] : ["gone", "text state-refused"],
    [one.connector, "text"], [one.model_name, "name"], [String(one.engine)], [String(one.rank)], [String(one.pid)],
    [one.live > 0 ? "now" : number.age(one.last_seen_seconds) + " ago"], [number.whole(one.restarts)],
    [number.whole(one.unclosed), one.unclosed > 0 ? "bad" : ""]]));
  more("more-writers", summary.writers_total - list.length, " more are not shown.");
}

function showOpen(summary) {
  const list = summary.oldest_open || [], count = (summary.open || []).reduce((sum, row) => sum + row.open, 0);
  at("open-transfers").hidden = list.length === 0;
  fillRows(at("open-rows"), list.map((one) => [
    one.stalled ? ["stalls", "text state-refused"] : ["open", "text state-live"],
    [one.connector, "text"], [one.engine], [one.operation, "text"], [one.peer, "name"],
    [one.bytes === null ? "" : number.bytes(one.bytes)], [number.age(one.age_seconds)], [String(one.pid)]]));
  more("more-open", count - list.length, " more are open.");
}

function showPeers(summary) {
  const list = summary.peers || [];
  at("peers").hidden = list.length === 0;
  fillRows(at("peer-rows"), list.map((one) => [
    [one.peer, "name"], [number.whole(one.transfers)], [number.bytes(one.bytes)],
    [number.whole(one.failed) + share(one.failed, one.transfers), one.failed > 0 ? "text bad" : "text"], [number.whole(one.unseen)],
    [number.whole(one.open)], [one.open > 0 ? number.age(one.oldest_seconds) : ""]]));
  more("more-peers", (summary.peers_total || 0) - list.length, " more are not shown.");
}

const UNITS = { seconds: number.seconds, bytes: number.bytes, ratio: (value) => number.count(value * 100) + " %", count: number.count };

// Exemplars: what a writer says about single transfers.
function showSlowest(summary, told) {
  const flows = told ? told.flows : [];
  const list = flows.flatMap((flow) => (flow.slowest || []).map((one) => ({ ...one, flow: flow.name })));
  list.sort((a, b) => b.seconds - a.seconds);
  at("slowest").hidden = list.length === 0;
  fillRows(at("slowest-rows"), list.slice(0, SLOWEST).map((one) => [[number.seconds(one.seconds)],
    [number.age(Math.max(0, summary.time - one.time)) + " ago"], [one.flow, "text"],
    [Object.entries(one.labels).map(([name, value]) => name + "=" + value).join(", "), "name"]]));
}

function showOthers(told) {
  const list = told ? told.others : [];
  at("others").hidden = list.length === 0;
  fillRows(at("other-rows"), list.map((one) => [[one.name, "name"], [one.labels.join(", "), "text"], [UNITS[one.unit](one.value)]]));
  more("more-others", told ? told.others_total - list.length : 0, " more are not shown here; the metrics contain them.");
}

function showRefused(summary) {
  const list = Object.entries(summary.refused);
  at("refused").hidden = list.length === 0;
  fillRows(at("refused-rows"), list.map(([reason, count]) => [[words(reason), "text"], [number.whole(count)]]));
}

// What the classes of failure of the chosen connector and engine mean: those that it has counted.
function showMeanings(summary, told) {
  const counted = told ? Object.entries(told.failures).filter(([, count]) => count > 0) : [];
  const rest = told ? told.failed - counted.reduce((sum, [, count]) => sum + count, 0) : 0;
  const texts = summary.failure_texts || {}, classes = [...counted.map(([label]) => label), ...(rest > 0 ? ["other"] : [])];
  const list = classes.map((label) => [words(label), (texts[label] || []).join("; or ")]);
  at("meanings").hidden = list.length === 0;
  fillRows(at("meaning-rows"), list.map(([label, text]) => [[label, "text"], [text || "the connector's own class", "text meaning"]]));
}

// `told`: of the chosen connector and engine, if there is one.
export function showTables(summary, told) {
  showMeanings(summary, told);
  showSlowest(summary, told);
  showOthers(told);
  showOpen(summary);
  showPeers(summary);
  showWriters(summary);
  showSources(summary);
  showRefused(summary);
}
