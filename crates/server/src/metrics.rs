//! Counts and times requests by route, and failures of federation, under Prometheus' names.

use std::sync::Arc;

use axum::extract::{MatchedPath, Request, State};
use axum::middleware::Next;
use axum::response::Response;
use base::{Error, Result};
use prometheus::{HistogramOpts, HistogramVec, IntCounter, IntCounterVec, Opts, Registry};

use crate::state::ServerState;

/// Requests by route and status, how long they took, and federation that failed.
pub struct HttpMetrics {
    pub(crate) federation_errors: IntCounter,
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
        let federation_errors = IntCounter::new(
            "prometheus_web_federation_errors_total",
            "Total number of errors that occurred while sending federation responses.",
        )?;
        // What is selected here is there or fails, so that there is nothing to warn of; dashboards ask for the name.
        let federation_warnings = IntCounter::new(
            "prometheus_web_federation_warnings_total",
            "Total number of warnings that occurred while sending federation responses.",
        )?;
        registry.register(Box::new(federation_errors.clone()))?;
        registry.register(Box::new(federation_warnings))?;
        let metrics = Self {
            federation_errors,
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
