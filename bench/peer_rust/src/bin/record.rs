// SPDX-License-Identifier: Apache-2.0
//! Rust's prometheus-client, and tikv's prometheus with its unsynchronised local histograms: the same transfers as bench_record.c into four
//! histograms with classic buckets.

use peer_rust::report_peer;
use prometheus::local::LocalHistogram;
use prometheus_client::metrics::histogram::Histogram;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Barrier, Mutex};
use std::time::{Duration, Instant};

const VALUES: usize = 64;
const WINDOW: usize = 50_000;
const WINDOWS: usize = 201;
const ENOUGH: Duration = Duration::from_secs(3);

const SECONDS: &[f64] = &[0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.2, 0.3, 0.5, 0.75, 1.0, 5.0];
const POST: &[f64] = &[0.001, 0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.2, 0.3, 0.5, 0.75, 1.0, 5.0];
const BYTES: &[f64] = &[
    2048.0, 8192.0, 32768.0, 131072.0, 524288.0, 2097152.0, 8388608.0, 33554432.0, 134217728.0, 536870912.0, 2147483648.0, 8589934592.0,
];
const DESCRIPTORS: &[f64] = &[10.0, 20.0, 30.0, 50.0, 75.0, 100.0, 200.0, 400.0, 1000.0, 2000.0, 4000.0, 10000.0, 20000.0, 50000.0];
const BUCKETS: [&[f64]; 4] = [SECONDS, POST, BYTES, DESCRIPTORS];

struct Draw(u64);

impl Draw {
    fn uniform(&mut self) -> f64 {
        self.0 = self.0.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        ((self.0 >> 11) as f64 + 0.5) / (1u64 << 53) as f64
    }
    fn normal(&mut self) -> f64 {
        let radius = (-2.0 * self.uniform().ln()).sqrt();
        radius * (std::f64::consts::TAU * self.uniform()).cos()
    }
}

fn transfers() -> Vec<[f64; 4]> {
    let mut draw = Draw(1);
    (0..VALUES)
        .map(|_| {
            [
                (3e6 * (0.5 * draw.normal()).exp()).floor() / 1e9,
                (3e5 * (0.3 * draw.normal()).exp()).floor() / 1e9,
                262144.0 * (1.0 + (64.0 * draw.uniform()).floor()),
                1.0 + (512.0 * draw.uniform()).floor(),
            ]
        })
        .collect()
}

/// How long this thread waited for a processor so far.
fn waited_ns() -> u64 {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    text.split(' ').nth(1).and_then(|field| field.parse().ok()).unwrap_or(0)
}

struct Window {
    start: Instant,
    end: Instant,
    waited: bool,
}

/// The slowest thread's nanoseconds; None when they did not really run at once.
fn window_ns(windows: &[Window]) -> Option<f64> {
    let first = windows.iter().map(|window| window.start).min()?;
    let last = windows.iter().map(|window| window.end).max()?;
    let from = windows.iter().map(|window| window.start).max()?;
    let to = windows.iter().map(|window| window.end).min()?;
    let together = to.checked_duration_since(from)?.as_secs_f64() > 0.8 * (last - first).as_secs_f64();
    let slowest = windows.iter().map(|window| (window.end - window.start).as_nanos()).max()? as f64;
    (together && !windows.iter().any(|window| window.waited)).then_some(slowest)
}

/// Nanoseconds per transfer and thread, as record_median_ns() of record_load.h.
fn median_ns<F: FnMut(&[f64; 4])>(threads: usize, make: impl Fn() -> F + Sync) -> Option<f64> {
    let (barrier, values) = (Barrier::new(threads), transfers());
    let (current, medians) = (Mutex::new(Vec::new()), Mutex::new(Vec::new()));
    let (until, stop) = (Instant::now() + ENOUGH, AtomicBool::new(false));
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                let mut record = make();
                while !stop.load(Ordering::Relaxed) {
                    barrier.wait();
                    let waited = waited_ns();
                    let start = Instant::now();
                    for i in 0..WINDOW {
                        record(&values[i % VALUES]);
                    }
                    let window = Window { start, end: Instant::now(), waited: waited_ns() != waited };
                    current.lock().unwrap().push(window);
                    if barrier.wait().is_leader() {
                        let windows = std::mem::take(&mut *current.lock().unwrap());
                        let mut medians = medians.lock().unwrap();
                        medians.extend(window_ns(&windows).map(|ns| ns / WINDOW as f64));
                        stop.store(medians.len() == WINDOWS || Instant::now() > until, Ordering::Relaxed);
                    }
                    barrier.wait();
                }
            });
        }
    });
    let mut medians = medians.into_inner().unwrap();
    medians.sort_by(f64::total_cmp);
    medians.get(medians.len() / 2).copied()
}

fn report(peer: &str, threads: usize, ns: Option<f64>) {
    let name = format!("record a NIXL transfer, {threads} thread{}", if threads > 1 { "s" } else { "" });
    if let Some(ns) = ns {
        report_peer(&name, peer, ns, "ns");
    }
}

/// The same on one thread, with numbers that are stored right before each call.
fn report_filled<F: FnMut(&[f64; 4])>(peer: &str, make: impl Fn() -> F + Sync) {
    let filled = || {
        let mut record = make();
        move |from: &[f64; 4]| {
            let values = std::hint::black_box([from[0], from[1], from[2], from[3]]);
            record(&values);
        }
    };
    if let Some(ns) = median_ns(1, filled) {
        report_peer("record a NIXL transfer, struct filled before each call", peer, ns, "ns");
    }
}

fn main() {
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    let shared: Vec<Histogram> = BUCKETS.iter().map(|buckets| Histogram::new(buckets.iter().copied())).collect();
    let tikv: Vec<prometheus::Histogram> = BUCKETS
        .iter()
        .map(|buckets| prometheus::Histogram::with_opts(prometheus::HistogramOpts::new("h", "h").buckets(buckets.to_vec())).unwrap())
        .collect();
    let mut threads = 1;
    while threads <= processors.min(16) {
        let of_shared = || {
            |values: &[f64; 4]| {
                for (histogram, value) in shared.iter().zip(values) {
                    histogram.observe(*value);
                }
            }
        };
        report("prometheus-client (Rust)", threads, median_ns(threads, of_shared));
        let of_local = || {
            let local: Vec<LocalHistogram> = tikv.iter().map(|histogram| histogram.local()).collect();
            move |values: &[f64; 4]| {
                for (histogram, value) in local.iter().zip(values) {
                    histogram.observe(*value);
                }
            }
        };
        report("tikv prometheus, local()", threads, median_ns(threads, of_local));
        if threads == 1 {
            report_filled("prometheus-client (Rust)", of_shared);
            report_filled("tikv prometheus, local()", of_local);
        }
        threads *= 2;
    }
}
