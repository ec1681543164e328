// SPDX-License-Identifier: Apache-2.0
// What the page remembers: rings of fixed length, filled from the differences of one summary and the next.

export const EVERY_SECONDS = 2;
export const CAPACITY = 450; // fifteen minutes
const MARK_SECONDS = 30, MARKS = 32;
const QUANTILES = [0.5, 0.9, 0.99];
const HALF_BIN = 2 ** (-1 / 128); // bins are 1/64 of an octave wide: from the upper bound to the middle

function ring() {
  return new Float32Array(CAPACITY).fill(NaN);
}

// Bins as two flat arrays, which is a tenth of what nested ones take.
function packed(histogram) {
  const count = histogram ? histogram.bins.length : 0;
  const bins = { bounds: new Float64Array(count), counts: new Float64Array(count), count: histogram ? histogram.count : 0 };
  for (let i = 0; i < count; i++) {
    bins.bounds[i] = histogram.bins[i][0] ?? Infinity;
    bins.counts[i] = histogram.bins[i][1];
  }
  return bins;
}

// Calls each(bound, count) for what came between two cumulative states.
function between(earlier, later, each) {
  let k = 0;
  for (let i = 0; i < later.bounds.length; i++) {
    while (k < earlier.bounds.length && earlier.bounds[k] < later.bounds[i]) k++;
    const before = k < earlier.bounds.length && earlier.bounds[k] === later.bounds[i] ? earlier.counts[k] : 0;
    if (later.counts[i] > before) each(later.bounds[i], later.counts[i] - before);
  }
}

// The middle of the bin that holds each quantile; NaN when nothing came.
export function quantiles(earlier, later) {
  const found = QUANTILES.map(() => NaN), total = later.count - earlier.count;
  let below = 0, last = NaN;
  if (!(total > 0)) return found;
  between(earlier, later, (bound, count) => {
    below += count;
    if (bound < Infinity) last = bound * HALF_BIN;
    for (let q = 0; q < found.length; q++)
      if (Number.isNaN(found[q]) && below >= QUANTILES[q] * total) found[q] = last;
  });
  return found;
}

// Counts by power of two: [{from, to, count}].
export function octaves(earlier, later) {
  const counts = new Map();
  between(earlier, later, (bound, count) => {
    const octave = bound < Infinity ? Math.ceil(Math.log2(bound) - 1e-9) : Infinity;
    counts.set(octave, (counts.get(octave) || 0) + count);
  });
  const known = [...counts.keys()].filter(Number.isFinite);
  const list = [];
  for (let octave = Math.min(...known); octave <= Math.max(...known); octave++)
    list.push({ from: 2 ** (octave - 1), to: 2 ** octave, count: counts.get(octave) || 0 });
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
      const found = was ? quantiles(was[key], now[key]) : [];
      this[key].forEach((values, q) => { values[slot] = found[q] ?? NaN; });
    }
    const newest = this.marks[this.marks.length - 1];
    if (!newest || time - newest.time >= MARK_SECONDS) {
      this.marks.push({ time, bins: now });
      if (this.marks.length > MARKS) this.marks.shift();
    }
    this.was = now;
  }

  // Bins at the beginning of the window, as near as they are remembered.
  since(time) {
    let best = this.marks[0];
    for (const mark of this.marks) if (mark.time <= time) best = mark;
    return best.bins;
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
      failure.values[slot] = Math.max(0, total - failure.total);
      failure.total = total;
    }
    this.seen = true;
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
    this.times = new Float64Array(CAPACITY).fill(NaN);
    this.taken = 0;
    this.entries = new Map();
    this.order = []; // keys, as the newest summary has them
    this.uptime = -1;
    this.now = NaN;
  }

  // Adds a summary. One of another exporter (it was started again) begins anew.
  take(summary) {
    if (summary.uptime_seconds < this.uptime) this.clear();
    const slot = this.taken % CAPACITY, seconds = summary.time - this.now;
    if (seconds <= 0) return;
    this.times[slot] = this.now = summary.time;
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
  }

  // Calls each(slot, seconds ago) for the window, oldest first.
  inWindow(seconds, each) {
    const held = Math.min(this.taken, CAPACITY);
    for (let i = this.taken - held; i < this.taken; i++) {
      const slot = i % CAPACITY, ago = this.now - this.times[slot];
      if (ago <= seconds) each(slot, ago);
    }
  }

  // How much of the window was seen.
  watched(seconds) {
    let longest = 0;
    this.inWindow(seconds, (slot, ago) => { longest = Math.max(longest, ago); });
    return longest;
  }

  // Mean of what is known of the last `seconds`; NaN when nothing is.
  mean(values, seconds) {
    let sum = 0, count = 0;
    for (let i = Math.max(0, this.taken - 1); i >= 0 && i > this.taken - CAPACITY && this.now - this.times[i % CAPACITY] <= seconds; i--)
      if (!Number.isNaN(values[i % CAPACITY])) { sum += values[i % CAPACITY]; count++; }
    return count > 0 ? sum / count : NaN;
  }

  sum(values, seconds) {
    let sum = 0;
    this.inWindow(seconds, (slot) => { sum += values[slot] || 0; });
    return sum;
  }
}
