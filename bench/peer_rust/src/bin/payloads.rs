// SPDX-License-Identifier: Apache-2.0
//! kvtel's crate beside prometheus-client: the payloads of bench_pipeline.c into metrics, as a frontend in Rust does
//! it, and a transfer that the program recorded itself. The peer decodes by rmp-serde into a struct of the connector's
//! columns, as frontends do that are written for one connector.

use kvtel::{ConnectorMetrics, Recorder, Store, Transfer};
use peer_rust::{median_ns, report, report_peer};
use prometheus_client::metrics::{counter::Counter, histogram::Histogram};
use serde::{Deserialize, Serialize};
use std::hint::black_box;
use std::time::Duration;

const PAYLOADS: u64 = 16;
const TRANSFERS_A_ROUND: u64 = 16_000;
const PEER: &str = "prometheus-client (Rust)";

#[derive(Default, Serialize, Deserialize)]
#[serde(default)]
struct Payload {
    transfer_duration: Vec<f64>,
    post_duration: Vec<f64>,
    bytes_transferred: Vec<f64>,
    num_descriptors: Vec<f64>,
    num_failed_transfers: Vec<u64>,
    num_failed_notifications: Vec<u64>,
    num_failed_handshakes: Vec<u64>,
    num_kv_expired_reqs: Vec<u64>,
    num_notifications_after_expiry: Vec<u64>,
}

fn payload(number: u64, transfers: u64) -> Vec<u8> {
    let mut payload = Payload::default();
    for step in (0..transfers).map(|i| 1 + (number * 31 + i * 17) % 101) {
        payload.transfer_duration.push((1_300_000 * step) as f64 / 1e9);
        payload.post_duration.push((110_000 * step) as f64 / 1e9);
        payload.bytes_transferred.push((4096 * step * step) as f64);
        payload.num_descriptors.push((3 * step) as f64);
    }
    rmp_serde::to_vec_named(&payload).expect("a payload")
}

struct Peer {
    histograms: [Histogram; 4],
    counters: [Counter; 4],
}

impl Peer {
    fn new() -> Self {
        let seconds = [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.2, 0.3, 0.5, 0.75, 1.0, 5.0];
        let post = [0.001, 0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.2, 0.3, 0.5, 0.75, 1.0, 5.0];
        let bytes = (0..12).map(|i| 2048.0 * 4f64.powi(i));
        let descriptors = [10.0, 20.0, 30.0, 50.0, 75.0, 100.0, 200.0, 400.0, 1e3, 2e3, 4e3, 1e4, 2e4, 5e4];
        let histograms = [Histogram::new(seconds), Histogram::new(post), Histogram::new(bytes), Histogram::new(descriptors)];
        Self { histograms, counters: Default::default() }
    }

    fn observe(&self, msgpack: &[u8]) {
        let payload: Payload = rmp_serde::from_slice(msgpack).expect("a payload");
        let columns = [&payload.transfer_duration, &payload.post_duration, &payload.bytes_transferred, &payload.num_descriptors];
        for (histogram, column) in self.histograms.iter().zip(columns) {
            column.iter().for_each(|value| histogram.observe(*value));
        }
        let sum = |column: &[u64]| column.iter().sum::<u64>();
        let failed = sum(&payload.num_failed_transfers) + sum(&payload.num_failed_handshakes);
        self.counters[0].inc_by(failed + sum(&payload.num_failed_notifications));
        self.counters[1].inc_by(sum(&payload.num_failed_notifications));
        self.counters[2].inc_by(sum(&payload.num_kv_expired_reqs));
        self.counters[3].inc_by(sum(&payload.num_notifications_after_expiry));
    }
}

/// Nanoseconds of a round, by kvtel and by the peer.
fn observe_rounds(transfers: u64) -> (f64, f64) {
    let payloads: Vec<_> = (0..PAYLOADS).map(|number| payload(number, transfers)).collect();
    let all = || payloads.iter().cycle().take((TRANSFERS_A_ROUND / transfers) as usize);
    let mut metrics = ConnectorMetrics::new(r#"{"kv_connector": "NixlConnector"}"#, "m", &[0]).expect("metrics");
    let ours = median_ns(|| {
        all().for_each(|payload| metrics.observe(0, payload).expect("observed"));
        black_box(metrics.log_line().expect("a line"));
    });
    let peer = Peer::new();
    (ours, median_ns(|| all().for_each(|payload| peer.observe(payload))))
}

fn record_rounds() -> (f64, f64) {
    let store = Store::options().in_heap().expect("a store");
    let operation = Recorder::new(&store, "NixlConnector").and_then(|it| it.first_operation()).expect("an operation");
    let steps = || (0..TRANSFERS_A_ROUND).map(|i| black_box(1 + i * 17 % 101));
    let ours = median_ns(|| {
        for step in steps() {
            let transfer = Transfer::new().duration(Duration::from_nanos(1_300_000 * step)).bytes(4096 * step * step);
            operation.record(&transfer.post(Duration::from_nanos(110_000 * step)).descriptors(3 * step));
        }
    });
    let peer = Peer::new();
    let theirs = median_ns(|| {
        for step in steps() {
            peer.histograms[0].observe((1_300_000 * step) as f64 / 1e9);
            peer.histograms[1].observe((110_000 * step) as f64 / 1e9);
            peer.histograms[2].observe((4096 * step * step) as f64);
            peer.histograms[3].observe((3 * step) as f64);
        }
    });
    (ours, theirs)
}

fn main() {
    let of = |name: &str, (ours, peer): (f64, f64), count: u64, unit: &str| {
        report(name, ours / count as f64, unit);
        report_peer(name, PEER, peer / count as f64, unit);
    };
    let thousand = observe_rounds(1000);
    of("observe from Rust: payloads of 1,000 transfers", thousand, TRANSFERS_A_ROUND, "ns/transfer");
    of("observe from Rust: payloads of 1 transfer", observe_rounds(1), TRANSFERS_A_ROUND, "ns/payload");
    of("record a NIXL transfer from Rust, filled before each call", record_rounds(), TRANSFERS_A_ROUND, "ns");
}
