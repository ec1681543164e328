// SPDX-License-Identifier: Apache-2.0
//! The golden cases through the crate: metrics as prometheus_client prints them, log lines and aggregated payloads as
//! vLLM makes them.
#![cfg(feature = "payloads")]

mod recording;

use kvtel::{ConnectorMetrics, Error, Format, Status};
use recording::{cases, compare, golden, Recording, Step};

fn metrics_of(recording: &Recording) -> ConnectorMetrics {
    let options = ConnectorMetrics::options().cache_metrics(recording.cache_metrics());
    options.make(&recording.config(), &recording.model_name(), &recording.engines()).expect("metrics")
}

fn page_of(metrics: &mut ConnectorMetrics) -> String {
    let mut page = Vec::new();
    metrics.encode(Format::Text, &mut page).expect("a page");
    String::from_utf8(page).expect("UTF-8")
}

/// What has no stats is refused payload by payload; in every other case all is taken.
fn check_taken(case: &str, result: Result<(), Error>) {
    match result {
        Ok(()) => assert_ne!(case, "no_stats_connector"),
        Err(error) => {
            assert_eq!((case, error.status()), ("no_stats_connector", Status::Unknown), "{error}");
        }
    }
}

#[test]
fn pages_and_log_lines() {
    for case in cases() {
        let recording = Recording::of(&format!("golden/{case}"));
        let mut metrics = metrics_of(&recording);
        let mut lines = String::new();
        for step in recording.steps() {
            match step {
                Step::Payloads(engine, payloads) => match payloads[..] {
                    [payload] => check_taken(&case, metrics.observe(engine, payload)),
                    _ => check_taken(&case, metrics.observe_workers(engine, &payloads)),
                },
                Step::Log => {
                    if let Some(line) = metrics.log_line().expect("a line") {
                        lines += &line;
                        lines += "\n";
                    }
                }
            }
        }
        compare(&case, &page_of(&mut metrics));
        assert_eq!(lines.trim_end(), golden(&case, "log").trim_end(), "{case}");
    }
}

/// A payload that was aggregated is worth as much as those that it came from.
#[test]
fn aggregated_payloads() {
    for case in cases() {
        let recording = Recording::of(&format!("golden/{case}"));
        let (mut metrics, mut worker) = (metrics_of(&recording), metrics_of(&recording));
        for step in recording.steps() {
            let Step::Payloads(engine, payloads) = step else { continue };
            match worker.aggregate(&payloads) {
                Ok(payload) => metrics.observe(engine, &payload).unwrap_or_else(|error| panic!("{case}: {error}")),
                Err(error) => check_taken(&case, Err(error)),
            }
        }
        compare(&case, &page_of(&mut metrics));
    }
}
