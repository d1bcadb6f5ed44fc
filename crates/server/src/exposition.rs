//! `/metrics`, the program's own metrics, and `/node/metrics`, those of the host.

use std::sync::Arc;

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use prometheus::{Encoder, Registry, TextEncoder};

use crate::state::ServerState;

const TEXT_FORMAT: &str = "text/plain; version=0.0.4; charset=utf-8";

pub(crate) async fn own(State(state): State<Arc<ServerState>>) -> Response {
    state.engine.update_gauges();
    of(&state.registry)
}

/// The metrics of a registry.
pub(crate) fn of(registry: &Registry) -> Response {
    let mut body = Vec::new();
    match TextEncoder::new().encode(&registry.gather(), &mut body) {
        Ok(()) => ([(header::CONTENT_TYPE, TEXT_FORMAT)], body).into_response(),
        Err(e) => {
            (StatusCode::INTERNAL_SERVER_ERROR, format!("cannot encode own metrics: {e}\n")).into_response()
        }
    }
}

pub(crate) async fn node(State(state): State<Arc<ServerState>>) -> Response {
    match state.process.node_exposition().await {
        Ok(body) => ([(header::CONTENT_TYPE, TEXT_FORMAT)], body).into_response(),
        Err(e) => {
            (StatusCode::INTERNAL_SERVER_ERROR, format!("cannot collect node metrics: {e}\n")).into_response()
        }
    }
}
