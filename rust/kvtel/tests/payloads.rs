// SPDX-License-Identifier: Apache-2.0
//! Payloads that no engine should send, connectors without a table, and what is read of a store.
#![cfg(feature = "payloads")]

mod recording;

use kvtel::{ConnectorMetrics, Exemplar, Format, LogStyle, Recorder, Snapshot, Status, Store, Transfer};
use recording::{Recording, Step};
use std::sync::{Arc, Mutex};
use std::time::Duration;

const NIXL: &str = r#"{"kv_connector": "NixlConnector"}"#;

fn page_of(metrics: &mut ConnectorMetrics) -> String {
    let mut page = Vec::new();
    metrics.encode(Format::Text, &mut page).expect("a page");
    String::from_utf8(page).expect("UTF-8")
}

#[test]
fn configurations_that_cannot_be() {
    let refused = |config: &str| ConnectorMetrics::new(config, "m", &[0]).expect_err(config);
    assert_eq!(refused("{\"kv_connector\": ").status(), Status::Truncated);
    assert_eq!(refused("{\"kv_connector\": 7}").status(), Status::Type);
    assert_eq!(refused("[]").status(), Status::Type);
    assert_eq!(refused(&"[".repeat(100_000)).status(), Status::Depth);
    assert_eq!(ConnectorMetrics::new(NIXL, "a\0b", &[0]).expect_err("a NUL").status(), Status::Argument);
    assert!(ConnectorMetrics::new(NIXL, "m", &[]).is_ok());
}

/// Cut at each byte, or with any byte changed, a payload is taken or refused, and the next one is taken all the same.
#[test]
fn payloads_that_are_malformed() {
    let recording = Recording::of("golden/nixl_basic");
    let mut metrics = ConnectorMetrics::new(NIXL, "m", &[0]).expect("metrics");
    let Some(Step::Payloads(engine, payloads)) = recording.steps().next() else { panic!("a payload") };
    let payload = payloads[0];
    for cut in 0..payload.len() {
        assert!(metrics.observe(engine, &payload[..cut]).is_err(), "cut at {cut}");
    }
    for at in 0..payload.len() {
        for byte in [0x00, 0xc1, 0xdf, 0xff] {
            let mut changed = payload.to_vec();
            changed[at] = byte;
            let _ = metrics.observe_workers(engine, &[payload, &changed]);
        }
    }
    assert_eq!(metrics.observe(engine, &vec![0x91; 100_000]).expect_err("deep").status(), Status::Depth);
    assert_eq!(metrics.observe(99, payload).expect_err("not declared").status(), Status::Engine);
    assert!(metrics.refused().contains(&("unknown_engine", 1)), "{:?}", metrics.refused());
    metrics.observe(engine, payload).expect("a payload that is whole");
    assert!(metrics.observe_workers(engine, &[]).is_ok());
}

/// A connector without a table: typed payloads are measured, others refused and said once.
#[test]
fn connectors_without_a_table() {
    let said = Arc::new(Mutex::new(Vec::new()));
    let kept = Arc::clone(&said);
    let options = ConnectorMetrics::options().on_warning(move |warning| {
        kept.lock().unwrap().push(warning.to_owned());
        panic!("not through C");
    });
    let config = r#"{"kv_connector": "RustTypedConnector"}"#;
    let mut metrics = options.make(config, "m", &[3]).expect("metrics");
    // {"types": {"vllm:rust_moved_bytes": "counter"}, "data": {"vllm:rust_moved_bytes": {[]: 4096}}}
    let mut typed = b"\x82\xa5types\x81\xb5vllm:rust_moved_bytes\xa7counter\xa4data\x81".to_vec();
    typed.extend(b"\xb5vllm:rust_moved_bytes\x81\x90\xcd\x10\x00");
    metrics.observe(3, &typed).expect("it says what it holds");
    assert_eq!(metrics.observe(3, b"\x81\xa1x\x01").expect_err("it does not").status(), Status::Unknown);
    assert_eq!(metrics.observe(3, b"\x81\xa1x\x01").expect_err("it does not").status(), Status::Unknown);
    let page = page_of(&mut metrics);
    assert!(page.contains("vllm:rust_moved_bytes_total{engine=\"3\",model_name=\"m\"} 4096.0"), "{page}");
    assert_eq!(said.lock().unwrap().len(), 1, "{said:?}");
    assert_eq!(metrics.refused(), [("unknown_connector", 2)]);
}

#[test]
fn connectors_of_a_file() {
    let file = recording::data().join("../../examples/any-connector/examplefs.json");
    kvtel::load_connector(&file).expect("a connector file");
    assert_eq!(kvtel::load_connector("/nonexistent.json").expect_err("no file").status(), Status::Io);
    let error = kvtel::parse_connector("{\"kvtel_connector\": 1, \"names\": 7}").expect_err("no names");
    assert!(error.offset() > 0 && !error.to_string().is_empty(), "{error:?}");
    let store = Store::options().in_heap().expect("a store");
    let recorder = Recorder::new(&store, "ExampleFSConnector").expect("a table");
    assert!(recorder.operation("load").expect("a flow").record(&Transfer::new().bytes(1)));
}

/// The numbers go into a store that others have, too, and are read without the object.
#[test]
fn metrics_in_a_store_of_ones_own() {
    let recording = Recording::of("golden/nixl_ranks");
    let store = Store::options().in_heap().expect("a store");
    let options = ConnectorMetrics::options().store(&store).log_style(LogStyle::Kvtel);
    let mut metrics =
        options.make(&recording.config(), &recording.model_name(), &recording.engines()).expect("metrics");
    for step in recording.steps() {
        if let Step::Payloads(engine, payloads) = step {
            metrics.observe_workers(engine, &payloads).expect("taken");
        }
    }
    let line = metrics.log_line().expect("lines").expect("lines");
    assert!(line.lines().count() > 1 && line.contains("NixlConnector"), "{line}");
    assert_eq!(metrics.log_line().expect("no line"), None);
    let page = page_of(&mut metrics);
    drop(metrics);
    let mut again = Vec::new();
    Snapshot::of(&store).expect("a snapshot").encode(Format::Text, &mut again).expect("a page");
    assert_eq!(page.as_bytes(), again);
    recording::compare("nixl_ranks", &page);
}

#[test]
fn exemplars_are_in_openmetrics() {
    let store = Store::options().model_name("m").in_heap().expect("a store");
    let recorder = Recorder::options().exemplars().engine("7").make(&store, "NixlConnector").expect("a recorder");
    let mut exemplar = Exemplar::new();
    exemplar.add("request_id", "r-1").expect("a label");
    let operation = recorder.first_operation().expect("an operation");
    assert!(operation.record_with(&Transfer::new().duration(Duration::from_millis(3)), &exemplar));
    exemplar = Exemplar::new();
    exemplar.add("request_id", "r-2").expect("a label");
    assert!(operation.begin(1, "").end_with_exemplar(&Transfer::new().duration(Duration::from_millis(80)), &exemplar));
    let mut snapshot = Snapshot::of(&store).expect("a snapshot");
    for (format, shown) in [(Format::OpenMetrics, true), (Format::Text, false), (Format::Protobuf, true)] {
        let mut page = b"before".to_vec();
        snapshot.encode(format, &mut page).expect("a page");
        assert!(page.starts_with(b"before"));
        for label in [b"r-1", b"r-2"] {
            assert_eq!(page.windows(3).any(|bytes| bytes == label), shown, "{format:?}");
        }
    }
    let reading = store.read("vllm:nixl_xfer_time_seconds", &["m", "7"]).expect("a series");
    assert_eq!((reading.count, reading.sum), (2, 0.083));
    assert_eq!(store.read("vllm:no_such_family", &[]).expect_err("no family").status(), Status::Unknown);
}
