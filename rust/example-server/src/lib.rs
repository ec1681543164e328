// SPDX-License-Identifier: Apache-2.0
//! What a frontend in Rust does with the `kv_connector_stats` of its engines: it hands each payload to kvtel, and
//! serves kvtel's page.

use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::header::{HeaderMap, ACCEPT, CONTENT_TYPE};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::Router;
use kvtel::{ConnectorMetrics, Error, Format, Snapshot, Status, Store};
use std::sync::{Arc, Mutex, PoisonError};

#[derive(Clone)]
struct App {
    metrics: Arc<Mutex<ConnectorMetrics>>,
    /// Read by scrapes, which so do not wait for payloads.
    store: Store,
}

/// `POST /payloads/ENGINE` with a payload in MessagePack, and `GET /metrics`.
pub fn app(metrics: ConnectorMetrics) -> Router {
    let store = metrics.store().clone();
    let app = App { metrics: Arc::new(Mutex::new(metrics)), store };
    Router::new().route("/payloads/{engine}", post(take)).route("/metrics", get(show)).with_state(app)
}

async fn take(State(app): State<App>, Path(engine): Path<u32>, payload: Bytes) -> Response {
    let mut metrics = app.metrics.lock().unwrap_or_else(PoisonError::into_inner);
    match metrics.observe(engine, &payload) {
        Ok(()) => StatusCode::NO_CONTENT.into_response(),
        Err(error) => (code_of(&error), format!("{error}\n")).into_response(),
    }
}

async fn show(State(app): State<App>, headers: HeaderMap) -> Response {
    let accepted = headers.get(ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let format = if accepted.contains("application/openmetrics-text") { Format::OpenMetrics } else { Format::Text };
    let mut page = Vec::new();
    match Snapshot::of(&app.store).and_then(|mut snapshot| snapshot.encode(format, &mut page)) {
        Ok(()) => ([(CONTENT_TYPE, format.content_type())], page).into_response(),
        Err(error) => (code_of(&error), format!("{error}\n")).into_response(),
    }
}

fn code_of(error: &Error) -> StatusCode {
    match error.status() {
        Status::Engine => StatusCode::NOT_FOUND,
        _ if error.is_passing() => StatusCode::SERVICE_UNAVAILABLE,
        _ => StatusCode::BAD_REQUEST,
    }
}
