// SPDX-License-Identifier: Apache-2.0
//! kvtel: KV-cache transfer telemetry for LLM inference.
//!
//! Two things are here. [`Store`], [`Recorder`] and [`Operation`] record transfers natively: a call takes nanoseconds,
//! allocates nothing, takes no lock and makes no system call, and `kvtel serve` finds the numbers in a file, however the
//! process ends. [`ConnectorMetrics`] turns the payloads that an engine of vLLM sends (`kv_connector_stats`) into
//! Prometheus metrics and log lines, for each connector that kvtel has a table or a description of.
//!
//! ```
//! use kvtel::{Format, Recorder, Snapshot, Store, Transfer};
//! use std::time::Duration;
//!
//! let store = Store::options().model_name("llama-70b").connector("NixlConnector").in_heap()?;
//! let transfers = Recorder::new(&store, "NixlConnector")?.first_operation()?;
//! transfers.record(&Transfer::new().duration(Duration::from_millis(4)).bytes(3 << 20).descriptors(48));
//!
//! let mut page = Vec::new();
//! Snapshot::of(&store)?.encode(Format::Text, &mut page)?;
//! assert!(String::from_utf8_lossy(&page).contains("vllm:nixl_bytes_transferred_sum"));
//! # Ok::<(), kvtel::Error>(())
//! ```
//!
//! No call panics, and a panic of a closure that is given to this crate ends in the call that ran it.
//!
//! After `fork()` recording is off in the child: calls return `false` at once and are counted. The child makes a store
//! of its own.
#![deny(missing_docs, unsafe_op_in_unsafe_fn)]

mod error;
mod exemplar;
mod open;
mod recorder;
mod store;
mod text;
mod transfer;

#[cfg(feature = "payloads")]
mod connector;
#[cfg(feature = "payloads")]
mod connector_metrics;
#[cfg(feature = "payloads")]
mod snapshot;

pub use error::{Error, Status};
pub use exemplar::Exemplar;
pub use open::OpenTransfer;
pub use recorder::{Failure, Instrument, Operation, Recorder, RecorderOptions};
pub use store::{Store, StoreInfo, StoreOptions};
pub use transfer::{now_ns, Transfer};

#[cfg(feature = "payloads")]
pub use connector::{load_connector, parse_connector};
#[cfg(feature = "payloads")]
pub use connector_metrics::{ConnectorMetrics, ConnectorMetricsOptions, LogStyle};
#[cfg(feature = "payloads")]
pub use snapshot::{Format, Reading, Snapshot};

/// The declarations of C, for what this crate has no face of.
pub use kvtel_sys as sys;

/// Version of the C library, `MAJOR.MINOR.PATCH`.
pub fn version() -> &'static str {
    // SAFETY: static text, NUL-terminated.
    unsafe { text::borrowed(sys::kvtel_version()) }
}

#[cfg(all(doctest, feature = "payloads"))]
#[doc = include_str!("../../../docs/rust.md")]
mod guide {}
