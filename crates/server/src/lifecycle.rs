//! `/-/healthy`, `/-/ready`, `/-/reload`, and what is answered before there is anything else to answer.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use base::{Error, Result};

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
    let process = Arc::clone(&state.process);
    match to_its_end(async move { process.reload().await }).await {
        Ok(()) => (StatusCode::OK, String::new()),
        Err(e) => (StatusCode::INTERNAL_SERVER_ERROR, format!("failed to reload config: {e}\n")),
    }
}

/// Runs to its end also when the client leaves meanwhile: a reload that stopped halfway would leave pools and rule groups
/// that nobody runs any more.
async fn to_its_end(work: impl Future<Output = Result<()>> + Send + 'static) -> Result<()> {
    let ended = tokio::spawn(work).await;
    ended.unwrap_or_else(|e| Err(Error::internal(format!("the reload ended by a defect: {e}"))))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test]
    async fn a_client_that_leaves_does_not_stop_a_reload_halfway() {
        let (done, reloaded) = tokio::sync::oneshot::channel();
        let reload = async move {
            tokio::time::sleep(Duration::from_millis(50)).await;
            done.send(()).map_err(|()| Error::internal("nobody waits"))
        };
        let answer = tokio::time::timeout(Duration::from_millis(1), to_its_end(reload)).await;
        assert!(answer.is_err());
        tokio::time::timeout(Duration::from_secs(100), reloaded).await.unwrap().unwrap();
    }
}
