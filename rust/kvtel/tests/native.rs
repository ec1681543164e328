// SPDX-License-Identifier: Apache-2.0
//! Native recording: what is recorded is what is read, by whichever thread, and what cannot be is refused.

use kvtel::{now_ns, Exemplar, Failure, Instrument, OpenTransfer, Operation, Recorder, Status, Store, Transfer};
use std::sync::{Arc, Mutex};
use std::time::Duration;

const MODEL: &str = "m";

fn store() -> Store {
    Store::options().model_name(MODEL).connector("NixlConnector").in_heap().expect("a store")
}

fn transfer() -> Transfer {
    Transfer::new().duration(Duration::from_millis(4)).post(Duration::from_micros(250)).bytes(3 << 20).descriptors(5)
}

#[test]
fn types_cross_threads() {
    fn cross<T: Send + Sync + 'static>() {}
    cross::<Store>();
    cross::<Recorder>();
    cross::<Operation>();
    cross::<Instrument>();
    cross::<OpenTransfer>();
    cross::<Transfer>();
    cross::<Exemplar>();
    cross::<kvtel::Error>();
}

/// A handle keeps its recorder and its store.
#[test]
fn handles_own_what_they_need() {
    let (operation, info) = {
        let store = store();
        let recorder = Recorder::new(&store, "NixlConnector").expect("a recorder");
        (recorder.first_operation().expect("an operation"), store)
    };
    let threads: Vec<_> = (0..4)
        .map(|_| {
            let operation = operation.clone();
            std::thread::spawn(move || (0..100).filter(|_| operation.record(&transfer())).count())
        })
        .collect();
    assert_eq!(threads.into_iter().map(|thread| thread.join().expect("it ends")).sum::<usize>(), 400);
    drop(operation);
    assert_eq!(info.info().records_dropped, 0);
}

#[test]
fn what_cannot_be_is_refused() {
    let warnings = Arc::new(Mutex::new(Vec::new()));
    let kept = Arc::clone(&warnings);
    let options = Store::options().on_warning(move |warning| kept.lock().unwrap().push(warning.to_owned()));
    let store = options.in_heap().expect("a store");
    for name in ["NoSuchConnector", "MultiConnector", ""] {
        assert_eq!(Recorder::new(&store, name).expect_err("nothing to record").status(), Status::Unknown, "{name}");
    }
    assert_eq!(Recorder::new(&store, "Nixl\0Connector").expect_err("a NUL").status(), Status::Argument);
    let recorder = Recorder::new(&store, "NixlConnector").expect("a recorder");
    assert_eq!(recorder.operation("store").expect_err("no such flow").status(), Status::Unknown);
    assert_eq!(recorder.instrument("no_such_field", &["x"]).expect_err("no such field").status(), Status::Unknown);
    let operation = recorder.first_operation().expect("an operation");
    assert!(!operation.record(&Transfer::new().duration(Duration::MAX)));
    assert!(!operation.record(&Transfer::new().bytes(u64::MAX)));
    assert_eq!(operation.record_transfers(&[transfer(), Transfer::new().bytes(u64::MAX), transfer()]), 2);
    assert_eq!(operation.record_transfers(&[]), 0);
    assert_eq!(store.info().values_refused, 3);
    assert!(!recorder.fail(Failure::Save));
    assert!(recorder.fail(Failure::Handshake));
    assert!(!warnings.lock().unwrap().is_empty());
}

/// A panic in a closure does not cross C.
#[test]
fn warnings_may_panic() {
    let store = Store::options().on_warning(|_| panic!("not through C")).in_heap().expect("a store");
    assert!(Recorder::new(&store, "NoSuchConnector").is_err());
    assert!(Recorder::new(&store, "NixlConnector").is_ok());
}

#[test]
fn exemplars_take_labels() {
    let mut exemplar = Exemplar::new();
    assert!(exemplar.add("request_id", "r-1").is_ok());
    assert!(exemplar.add("request_id", "r-2").is_err());
    assert!(exemplar.add("not a name", "x").is_err());
    assert!(exemplar.add("nul", "a\0b").is_err());
    assert!(exemplar.add("long", &"x".repeat(1 << 20)).is_err());
    assert!(exemplar.add_traceparent("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01").is_ok());
    assert!(exemplar.add_traceparent("nonsense").is_err());
    let shown = format!("{exemplar:?}");
    assert!(shown.contains("r-1") && shown.contains("4bf92f3577b34da6a3ce929d0e0e4736"), "{shown}");
}

/// Each way in which a transfer ends counts once.
#[test]
fn open_transfers_end_once() {
    let store = store();
    let recorder = Recorder::options().open_transfers(4).windows().make(&store, "NixlConnector").expect("a recorder");
    let operation = recorder.first_operation().expect("an operation");
    assert!(operation.begin(1 << 20, "10.0.0.7:5600").end());
    let open = operation.begin(0, "");
    let submitted = now_ns() - 3_000_000;
    let points = Transfer::new().submitted_at(submitted).posted_at(submitted + 1_000).first_byte_at(submitted + 2_000);
    assert!(std::thread::spawn(move || open.end_with(&points.done_at(now_ns()).bytes(77))).join().expect("it ends"));
    assert!(operation.begin(1, "a\0b").fail(Failure::Handshake));
    drop(operation.begin(1, "peer"));
    let panicking = operation.clone();
    let thread = std::thread::spawn(move || {
        let _open = panicking.begin(1, "peer");
        panic!("a transfer that is not ended");
    });
    assert!(thread.join().is_err());
    let beyond: Vec<OpenTransfer> = (0..6).map(|_| operation.begin(8, "peer")).collect();
    assert_eq!(beyond.into_iter().filter_map(|open| open.end().then_some(())).count(), 6);
    let info = store.info();
    assert_eq!((info.transfers_untracked, info.tokens_refused, info.values_refused), (2, 0, 0));
    #[cfg(feature = "payloads")]
    {
        let labels = [MODEL, "0"];
        let bytes = store.read("vllm:nixl_bytes_transferred", &labels).expect("bytes");
        assert_eq!((bytes.count, bytes.sum), (8, f64::from((1 << 20) + 77 + 6 * 8)));
        let failed = store.read("vllm:nixl_num_failed_transfers", &labels).expect("failures");
        assert_eq!(failed.value, 3.0); // vLLM adds the classes up
    }
}

/// In a file that another process finds.
#[test]
fn a_store_in_a_file() {
    let dir = std::env::temp_dir().join(format!("kvtel-rust-{}", std::process::id()));
    let store = Store::options().model_name(MODEL).dir(&dir).open().expect("a store");
    let path = store.path().expect("a file").to_owned();
    assert!(path.starts_with(&dir));
    assert!(Recorder::new(&store, "NixlConnector").unwrap().first_operation().unwrap().record(&transfer()));
    drop(store);
    assert!(path.exists(), "the file stays for its reader");
    std::fs::remove_dir_all(&dir).expect("it can be removed");
    let nul = Store::options().model_name("a\0b").in_heap().expect_err("a NUL");
    assert_eq!((nul.status(), nul.to_string()), (Status::Argument, "the model's name has a NUL".to_owned()));
}
