//! `/-/healthy`, `/-/ready`, `/-/reload`, and what is answered before there is anything else to answer.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};

use crate::state::ServerState;

pub(crate) async fn healthy() -> &'static str {
    "Bellwether is Healthy.\n"
}

pub(crate) async fn ready(State(state): State<Arc<ServerState>>) -> Response {
    match state.readiness.get() {
        true => "Bellwether is Ready.\n".into_response(),
        false => unavailable(true),
    }
}

/// The answer to everything while the process starts.
pub(crate) async fn starting() -> Response {
    unavailable(false)
}

fn unavailable(stopping: bool) -> Response {
    let header = [("X-Prometheus-Stopping", if stopping { "true" } else { "false" })];
    (StatusCode::SERVICE_UNAVAILABLE, header, "Service Unavailable").into_response()
}

pub(crate) async fn reload(State(state): State<Arc<ServerState>>) -> (StatusCode, String) {
    match state.process.reload().await {
        Ok(()) => (StatusCode::OK, String::new()),
        Err(e) => (StatusCode::INTERNAL_SERVER_ERROR, format!("failed to reload config: {e}\n")),
    }
}
