//! Counts and times requests by route, under Prometheus' names.

use std::sync::Arc;

use axum::extract::{MatchedPath, Request, State};
use axum::middleware::Next;
use axum::response::Response;
use base::{Error, Result};
use prometheus::{HistogramOpts, HistogramVec, IntCounterVec, Opts, Registry};

use crate::state::ServerState;

/// Requests by route and status, and how long they took.
pub struct HttpMetrics {
    requests: IntCounterVec,
    duration: HistogramVec,
}

impl HttpMetrics {
    /// Registers the metrics.
    pub fn register(registry: &Registry) -> Result<Self> {
        Self::try_register(registry)
            .map_err(|e| Error::internal(format!("cannot register HTTP metrics: {e}")))
    }

    fn try_register(registry: &Registry) -> prometheus::Result<Self> {
        let requests = Opts::new("prometheus_http_requests_total", "Counter of HTTP requests.");
        let duration = HistogramOpts::new(
            "prometheus_http_request_duration_seconds",
            "Histogram of latencies for HTTP requests.",
        )
        .buckets(vec![0.001, 0.005, 0.025, 0.1, 0.4, 1.0, 3.0, 8.0, 20.0, 60.0, 120.0]);
        let metrics = Self {
            requests: IntCounterVec::new(requests, &["handler", "code"])?,
            duration: HistogramVec::new(duration, &["handler"])?,
        };
        registry.register(Box::new(metrics.requests.clone()))?;
        registry.register(Box::new(metrics.duration.clone()))?;
        Ok(metrics)
    }
}

/// A route's pattern is its label, so that paths that clients invent make no new series.
pub(crate) async fn observe(State(state): State<Arc<ServerState>>, request: Request, next: Next) -> Response {
    let handler = request.extensions().get::<MatchedPath>().map_or("/", MatchedPath::as_str).to_string();
    let started = state.clock.monotonic();
    let response = next.run(request).await;
    let took = state.clock.monotonic().saturating_sub(started);
    let metrics = &state.http_metrics;
    metrics.requests.with_label_values(&[handler.as_str(), response.status().as_str()]).inc();
    metrics.duration.with_label_values(&[&handler]).observe(took.as_secs_f64());
    response
}
