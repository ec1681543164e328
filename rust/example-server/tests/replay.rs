// SPDX-License-Identifier: Apache-2.0
//! The recordings of the golden cases, posted payload by payload: the page is the golden one.

#[path = "../../kvtel/tests/recording/mod.rs"]
mod recording;

use kvtel::ConnectorMetrics;
use recording::{cases, compare, Recording, Step};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// A server of these metrics in a thread of its own, which ends with the test's process.
fn serve(metrics: ConnectorMetrics) -> SocketAddr {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    listener.set_nonblocking(true).expect("a socket");
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build().expect("a runtime");
        runtime.block_on(async {
            let listener = tokio::net::TcpListener::from_std(listener).expect("a socket");
            axum::serve(listener, kvtel_example_server::app(metrics)).await.expect("it serves");
        });
    });
    address
}

/// Status and body of a request. The server closes the connection behind its answer.
fn request(to: SocketAddr, head: &str, body: &[u8]) -> (u16, String) {
    let mut stream = TcpStream::connect(to).expect("it listens");
    stream.set_read_timeout(Some(Duration::from_secs(60))).expect("a socket");
    write!(stream, "{head} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {}\r\n\r\n", body.len())
        .unwrap();
    stream.write_all(body).expect("it reads");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("it answers");
    let (head, body) = answer.split_once("\r\n\r\n").expect("an answer");
    (head.split(' ').nth(1).and_then(|code| code.parse().ok()).expect("a status"), body.to_owned())
}

#[test]
fn pages_are_the_golden_ones() {
    for case in cases() {
        let recording = Recording::of(&format!("golden/{case}"));
        let make = || {
            let options = ConnectorMetrics::options().cache_metrics(recording.cache_metrics());
            options.make(&recording.config(), &recording.model_name(), &recording.engines()).expect("metrics")
        };
        // Workers' payloads are aggregated before they leave an engine.
        let (address, mut worker) = (serve(make()), make());
        for step in recording.steps() {
            let Step::Payloads(engine, payloads) = step else { continue };
            let payload = worker.aggregate(&payloads).unwrap_or_else(|_| payloads[0].to_vec());
            let (status, message) = request(address, &format!("POST /payloads/{engine}"), &payload);
            assert_eq!(status, if case == "no_stats_connector" { 400 } else { 204 }, "{case}: {message}");
        }
        let (status, page) = request(address, "GET /metrics", b"");
        assert_eq!(status, 200);
        compare(&case, &page);
    }
}

#[test]
fn payloads_that_are_refused() {
    let address = serve(ConnectorMetrics::new(r#"{"kv_connector": "NixlConnector"}"#, "m", &[0]).expect("metrics"));
    assert_eq!(request(address, "POST /payloads/0", b"\x91").0, 400);
    assert_eq!(request(address, "POST /payloads/5", b"\x80").0, 404);
    assert_eq!(request(address, "POST /payloads/x", b"\x80").0, 400);
    assert_eq!(request(address, "POST /payloads/0", b"\x80").0, 204);
}
