//! `/-/healthy`, `/-/ready`, `/-/reload`.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;

use crate::state::ServerState;

pub(crate) async fn healthy() -> &'static str {
    "Bellwether is Healthy.\n"
}

pub(crate) async fn ready(State(state): State<Arc<ServerState>>) -> (StatusCode, &'static str) {
    if state.readiness.get() {
        (StatusCode::OK, "Bellwether is Ready.\n")
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "Service Unavailable\n")
    }
}

pub(crate) async fn reload(State(state): State<Arc<ServerState>>) -> (StatusCode, String) {
    match state.process.reload().await {
        Ok(()) => (StatusCode::OK, String::new()),
        Err(e) => (StatusCode::INTERNAL_SERVER_ERROR, format!("failed to reload config: {e}\n")),
    }
}
