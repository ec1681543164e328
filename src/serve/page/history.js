// SPDX-License-Identifier: Apache-2.0
// What the page remembers: rings of fixed length, filled from the differences of one summary and the next, and before them the points that
// the exporter kept of the time before.

export const EVERY_SECONDS = 2;
export const CAPACITY = 450; // fifteen minutes
const PAST = 224; // points of the exporter's, behind the ring
export const RENEW_SECONDS = 600; // sooner than the ring is full
const MARK_SECONDS = 30, MARKS = 32;
const QUANTILES = [0.5, 0.9, 0.99];
// From the upper bound of a bin to its middle: bins of the summary are 1/64 of an octave wide, those of the history 1/8.
const HALF_BIN = 2 ** (-1 / 128), HALF_OLD_BIN = 2 ** (-1 / 16);

function ring() {
  return new Float32Array(CAPACITY + PAST).fill(NaN);
}

// Bins as two flat arrays, which is a tenth of what nested ones take.
function packed(histogram, half = HALF_BIN) {
  const count = histogram ? histogram.bins.length : 0;
  const bins = { bounds: new Float64Array(count), counts: new Float64Array(count), count: histogram ? histogram.count : 0, half };
  for (let i = 0; i < count; i++) {
    bins.bounds[i] = histogram.bins[i][0] ?? Infinity;
    bins.counts[i] = histogram.bins[i][1];
  }
  return bins;
}

// What came between two cumulative states, as [{bound, middle, count}].
function between(earlier, later) {
  const list = [];
  let k = 0;
  for (let i = 0; i < later.bounds.length; i++) {
    while (k < earlier.bounds.length && earlier.bounds[k] < later.bounds[i]) k++;
    const before = k < earlier.bounds.length && earlier.bounds[k] === later.bounds[i] ? earlier.counts[k] : 0;
    if (later.counts[i] > before) list.push({ bound: later.bounds[i], middle: later.bounds[i] * later.half, count: later.counts[i] - before });
  }
  return list;
}

// The middle of the bin that holds each quantile; NaN when nothing came.
export function quantiles(grown) {
  const found = QUANTILES.map(() => NaN), total = grown.reduce((sum, { count }) => sum + count, 0);
  let below = 0, last = NaN;
  for (const { middle, count } of grown) {
    below += count;
    if (middle < Infinity) last = middle;
    for (let q = 0; q < found.length; q++)
      if (Number.isNaN(found[q]) && below >= QUANTILES[q] * total * (1 - 1e-9)) found[q] = last;
  }
  return found;
}

// Counts by power of two: [{from, to, count}].
export function octaves(grown) {
  const counts = new Map();
  for (const { bound, count } of grown) {
    const octave = bound < Infinity ? Math.ceil(Math.log2(bound) - 1e-4) : Infinity;
    counts.set(octave, (counts.get(octave) || 0) + count);
  }
  const known = [...counts.keys()].filter(Number.isFinite);
  const list = [];
  for (let octave = Math.min(...known); octave <= Math.max(...known); octave++)
    list.push({ from: 2 ** (octave - 1), to: 2 ** octave, count: Math.round(counts.get(octave) || 0) });
  return list;
}

class Flow {
  constructor(name) {
    this.name = name;
    this.transfers = ring();
    this.bytes = ring();
    this.time = QUANTILES.map(ring);
    this.post = QUANTILES.map(ring);
    this.marks = []; // bins at times in the past, {time, bins}
    this.bands = []; // what came before, by stretches of time
    this.was = null;
  }

  take(raw, slot, seconds, time) {
    const now = { transfers: raw.transfers ?? NaN, bytes: raw.bytes ?? NaN, time: packed(raw.time), post: packed(raw.post), size: packed(raw.size) };
    this.measures = { transfers: raw.transfers !== undefined, bytes: raw.bytes !== undefined, time: !!raw.time, post: !!raw.post, size: !!raw.size };
    this.failed = raw.failed;
    const was = this.was, rate = (key) => (was && now[key] >= was[key] ? (now[key] - was[key]) / seconds : NaN);
    this.transfers[slot] = rate("transfers");
    this.bytes[slot] = rate("bytes");
    for (const key of ["time", "post"]) {
      const found = was && was[key] ? quantiles(between(was[key], now[key])) : [];
      this[key].forEach((values, q) => { values[slot] = found[q] ?? NaN; });
    }
    const newest = this.marks[this.marks.length - 1];
    if (!newest || time - newest.time >= MARK_SECONDS) {
      this.marks.push({ time, bins: now });
      if (this.marks.length > MARKS) this.marks.shift();
    }
    this.was = now;
  }

  // Takes what the exporter kept: columns into the slots behind the ring, bands, and what was counted at the last point.
  preload(raw, past, isFirst) {
    const columns = [[this.transfers, raw.transfers, true], [this.bytes, raw.bytes, true]];
    for (const key of ["time", "post"])
      ["p50", "p90", "p99"].forEach((name, q) => columns.push([this[key][q], raw[key] && raw[key][name], false]));
    for (const [values, column, isCount] of columns) {
      values.fill(NaN, CAPACITY);
      for (let i = 0; column && i < past.count; i++)
        values[CAPACITY + i] = column[past.first + i] === null ? NaN : column[past.first + i] / (isCount ? past.seconds[i] : 1);
    }
    this.bands = raw.bands.map((band) => ({ time: packed(band.time, HALF_OLD_BIN), post: packed(band.post, HALF_OLD_BIN), size: packed(band.size, HALF_OLD_BIN) }));
    if (isFirst && raw.at_end) this.was = { transfers: raw.at_end.transfers ?? NaN, bytes: raw.at_end.bytes ?? NaN };
  }

  forget() {
    for (const values of [this.transfers, this.bytes, ...this.time, ...this.post]) values.fill(NaN, CAPACITY);
    this.bands = [];
  }

  // What came in the window, as between() has it: what the page saw, and of the time before by bands. A band that is in the window in part
  // counts in part.
  grown(key, history, seconds) {
    const since = history.now - seconds, { past } = history;
    let best = this.marks[0];
    for (const mark of this.marks) if (mark.time <= since) best = mark;
    const list = between(best.bins[key], this.was[key]);
    let end = past.at;
    this.bands.forEach((band, i) => {
      const begin = Math.max(past.at - past.edges[i], past.begin), from = Math.max(begin, since), to = Math.min(end, best.time);
      const share = end > begin ? Math.max(0, to - from) / (end - begin) : 0, { bounds, counts, half } = band[key];
      for (let k = 0; share > 0 && k < bounds.length; k++) list.push({ bound: bounds[k], middle: bounds[k] * half, count: counts[k] * share });
      end = begin;
    });
    return list.sort((a, b) => a.bound - b.bound);
  }

  miss(slot) {
    for (const values of [this.transfers, this.bytes, ...this.time, ...this.post]) values[slot] = NaN;
  }
}

class Entry {
  constructor(key, raw) {
    this.key = key;
    this.connector = raw.connector;
    this.engine = raw.engine;
    this.model = raw.model_name;
    this.flows = new Map();
    this.failures = new Map(); // class: {values, total}
  }

  take(raw, slot, seconds, time) {
    const there = new Set(raw.flows.map(({ name }) => name));
    for (const name of [...this.flows.keys()]) if (!there.has(name)) this.flows.delete(name);
    for (const flow of raw.flows) {
      if (!this.flows.has(flow.name)) this.flows.set(flow.name, new Flow(flow.name));
      this.flows.get(flow.name).take(flow, slot, seconds, time);
    }
    this.failed = raw.failed;
    const classes = Object.entries(raw.failures), rest = classes.reduce((sum, [, total]) => sum - total, raw.failed);
    if (rest > 0) classes.push(["other", rest]);
    for (const [name, total] of classes) {
      const isNew = !this.failures.has(name);
      if (isNew) this.failures.set(name, { values: ring(), total: this.seen ? 0 : total });
      const failure = this.failures.get(name);
      failure.values[slot] = total > failure.total ? total - failure.total : 0;
      failure.total = total;
    }
    this.seen = true;
  }

  // Drops what the exporter said earlier of the time before.
  forget() {
    for (const flow of this.flows.values()) flow.forget();
    for (const { values } of this.failures.values()) values.fill(NaN, CAPACITY);
  }

  preload(raw, past, isFirst) {
    for (const flow of raw.flows) {
      if (isFirst) this.flows.set(flow.name, new Flow(flow.name));
      this.flows.get(flow.name)?.preload(flow, past, isFirst);
    }
    for (const [name, column] of Object.entries(raw.failures)) {
      if (!this.failures.has(name)) this.failures.set(name, { values: ring(), total: NaN });
      const failure = this.failures.get(name);
      for (let i = 0; i < past.count; i++) failure.values[CAPACITY + i] = column[past.first + i];
      if (isFirst && raw.failures_at_end) failure.total = raw.failures_at_end[name];
    }
    if (isFirst && raw.failures_at_end) this.seen = true;
  }

  miss(slot) {
    for (const flow of this.flows.values()) flow.miss(slot);
    for (const failure of this.failures.values()) failure.values[slot] = NaN;
  }
}

export class History {
  constructor() {
    this.clear();
  }

  clear() {
    this.times = new Float64Array(CAPACITY + PAST).fill(NaN);
    this.spans = new Float64Array(CAPACITY + PAST).fill(NaN); // how many seconds a slot covers
    this.past = { count: 0, first: 0, at: NaN, begin: NaN, edges: [], seconds: [] };
    this.taken = 0;
    this.entries = new Map();
    this.order = []; // keys, as the newest summary has them
    this.uptime = -1;
    this.now = NaN;
  }

  // Takes the exporter's history: the first time, so that the next summary follows its last point; later, in place of what it said then.
  preload(told) {
    const isFirst = this.taken === 0, first = Math.max(0, told.end.length - PAST), count = told.end.length - first;
    const seconds = told.seconds.slice(first), begin = count > 0 ? told.end[first] - seconds[0] : NaN;
    this.past = { count, first, seconds, begin, at: told.time, edges: told.bands };
    for (let i = 0; i < count; i++) {
      this.times[CAPACITY + i] = told.end[first + i];
      this.spans[CAPACITY + i] = seconds[i];
    }
    if (isFirst && count > 0) this.now = told.end[told.end.length - 1];
    for (const entry of this.entries.values()) entry.forget();
    for (const raw of told.connectors) {
      const key = JSON.stringify([raw.connector, raw.model_name, raw.engine]);
      if (isFirst) this.entries.set(key, new Entry(key, raw));
      this.entries.get(key)?.preload(raw, this.past, isFirst);
    }
  }

  // Adds a summary. One of another exporter (it was started again) begins anew: true.
  take(summary) {
    const isAnew = summary.uptime_seconds < this.uptime;
    if (isAnew) this.clear();
    const slot = this.taken % CAPACITY, seconds = summary.time - this.now;
    if (seconds <= 0) return isAnew;
    this.times[slot] = this.now = summary.time;
    this.spans[slot] = this.taken > 0 || this.past.count > 0 ? seconds : NaN;
    this.uptime = summary.uptime_seconds;
    for (const entry of this.entries.values()) entry.miss(slot);
    this.order = [];
    for (const raw of summary.connectors) {
      const key = JSON.stringify([raw.connector, raw.model_name, raw.engine]);
      this.order.push(key);
      if (!this.entries.has(key)) this.entries.set(key, new Entry(key, raw));
      this.entries.get(key).take(raw, slot, seconds, summary.time);
    }
    const present = new Set(this.order);
    for (const key of [...this.entries.keys()]) if (!present.has(key)) this.entries.delete(key);
    this.taken++;
    return isAnew;
  }

  // Calls each(slot, seconds ago) for the window, oldest first: the exporter's points from before the page looked, then the page's own.
  inWindow(seconds, each) {
    const held = Math.min(this.taken, CAPACITY), first = this.taken > 0 ? this.times[(this.taken - held) % CAPACITY] : Infinity;
    for (let i = 0; i < this.past.count; i++) {
      const ago = this.now - this.times[CAPACITY + i];
      if (ago <= seconds && this.times[CAPACITY + i] < first) each(CAPACITY + i, ago);
    }
    for (let i = this.taken - held; i < this.taken; i++) {
      const slot = i % CAPACITY, ago = this.now - this.times[slot];
      if (ago <= seconds) each(slot, ago);
    }
  }

  // How much of the window was seen.
  watched(seconds) {
    let longest = 0;
    this.inWindow(seconds, (slot, ago) => { longest = Math.max(longest, ago + (this.spans[slot] || 0)); });
    return Math.min(longest, seconds);
  }

  // How many seconds the longest slot in the window covers.
  coarsest(seconds) {
    let longest = 0;
    this.inWindow(seconds, (slot) => { longest = Math.max(longest, this.spans[slot] || 0); });
    return longest;
  }

  // Mean of what is known of the last `seconds`; NaN when nothing is.
  mean(values, seconds) {
    let sum = 0, count = 0;
    this.inWindow(seconds, (slot) => { if (!Number.isNaN(values[slot])) { sum += values[slot]; count++; } });
    return count > 0 ? sum / count : NaN;
  }

  sum(values, seconds) {
    let sum = 0;
    this.inWindow(seconds, (slot) => { sum += values[slot] || 0; });
    return sum;
  }

  // The same of a rate.
  total(rates, seconds) {
    let sum = 0;
    this.inWindow(seconds, (slot) => { sum += rates[slot] * this.spans[slot] || 0; });
    return sum;
  }
}
