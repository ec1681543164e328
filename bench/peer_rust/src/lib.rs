// SPDX-License-Identifier: Apache-2.0
//! What bench.h gives the benchmarks in C, for those in Rust.

use std::time::{Duration, Instant};

const FEWEST_ROUNDS: usize = 11;
const MOST_ROUNDS: usize = 101;
const WARMUP_ROUNDS: usize = 3;
const ENOUGH: Duration = Duration::from_secs(1);

/// Nanoseconds of the median round, after some that are not counted.
pub fn median_ns(mut round: impl FnMut()) -> f64 {
    for _ in 0..WARMUP_ROUNDS {
        round();
    }
    let mut times = Vec::new();
    let mut spent = Duration::ZERO;
    while times.len() < FEWEST_ROUNDS || (times.len() < MOST_ROUNDS && spent < ENOUGH) {
        let start = Instant::now();
        round();
        let time = start.elapsed();
        spent += time;
        times.push(time.as_nanos());
    }
    times.sort_unstable();
    times[times.len() / 2] as f64
}

/// One JSON line for run.py.
pub fn report_peer(name: &str, peer: &str, value: f64, unit: &str) {
    println!("{{\"name\": \"{name}\", \"value\": {value:.6}, \"unit\": \"{unit}\", \"peer\": \"{peer}\"}}");
}

/// The same for a figure of kvtel's own.
pub fn report(name: &str, value: f64, unit: &str) {
    println!("{{\"name\": \"{name}\", \"value\": {value:.6}, \"unit\": \"{unit}\"}}");
}
