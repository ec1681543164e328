// SPDX-License-Identifier: Apache-2.0
//! Rust's prometheus-client: the same families, labels and values as bench_exposition.c.

use peer_rust::{median_ns, report_peer};
use prometheus_client::encoding::{text::encode, EncodeLabelSet};
use prometheus_client::metrics::{counter::Counter, family::Family, histogram::Histogram};
use prometheus_client::registry::Registry;

const ENGINES: u32 = 1000;
const TRANSFERS: u32 = 640;
const MODEL: &str = "meta-llama/Llama-3.1-70B-Instruct";
const HELP: &str = "Text about as long as a real help text is, with its unit and window, and what it counts";

const HISTOGRAMS: [(&str, &[f64]); 4] = [
    ("vllm:nixl_xfer_time_seconds", &[0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.2, 0.3, 0.5, 0.75, 1.0, 5.0]),
    ("vllm:nixl_post_time_seconds", &[0.001, 0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.2, 0.3, 0.5, 0.75, 1.0, 5.0]),
    (
        "vllm:nixl_bytes_transferred",
        &[
            2048.0, 8192.0, 32768.0, 131072.0, 524288.0, 2097152.0, 8388608.0, 33554432.0, 134217728.0, 536870912.0, 2147483648.0,
            8589934592.0,
        ],
    ),
    (
        "vllm:nixl_num_descriptors",
        &[10.0, 20.0, 30.0, 50.0, 75.0, 100.0, 200.0, 400.0, 1000.0, 2000.0, 4000.0, 10000.0, 20000.0, 50000.0],
    ),
];
const COUNTERS: [&str; 4] = [
    "vllm:nixl_num_failed_transfers",
    "vllm:nixl_num_failed_notifications",
    "vllm:nixl_num_kv_expired_reqs",
    "vllm:nixl_num_notifications_after_expiry",
];

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Labels {
    model_name: String,
    engine: String,
}

fn sample(histogram: usize, engine: u32, i: u32) -> f64 {
    let step = f64::from(1 + (engine * 31 + i * 17) % 101);
    match histogram {
        0 => 0.0013 * step,
        1 => 0.00011 * step,
        2 => 4096.0 * step * step,
        _ => 3.0 * step,
    }
}

fn labels(engine: u32) -> Labels {
    Labels { model_name: MODEL.to_owned(), engine: engine.to_string() }
}

fn main() {
    let mut registry = Registry::default();
    for (i, (name, buckets)) in HISTOGRAMS.into_iter().enumerate() {
        let family = Family::<Labels, Histogram, _>::new_with_constructor(move || Histogram::new(buckets.iter().copied()));
        for engine in 0..ENGINES {
            let histogram = family.get_or_create_owned(&labels(engine));
            for transfer in 0..TRANSFERS {
                histogram.observe(sample(i, engine, transfer));
            }
        }
        registry.register(name, HELP, family);
    }
    for (i, name) in (0..).zip(COUNTERS) {
        let family = Family::<Labels, Counter>::default();
        for engine in 0..ENGINES {
            family.get_or_create_owned(&labels(engine)).inc_by(u64::from((engine + i) % 7));
        }
        registry.register(name, HELP, family);
    }
    let mut text = String::new();
    let ns = median_ns(|| {
        text.clear();
        encode(&mut text, &registry).expect("encode");
    });
    let row = "text exposition of 67,000 series: snapshot and encode";
    report_peer(row, "Rust prometheus-client", ns / 1e6, "ms");
    report_peer(&format!("{row}, rate"), "Rust prometheus-client", text.len() as f64 / ns, "GB/s");
}
