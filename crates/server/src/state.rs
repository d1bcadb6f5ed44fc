//! What the handlers share.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use alerting::{Notifier, RuleManager};
use base::{Clock, Matcher};
use engine::Engine;
use tokio::sync::Semaphore;

use crate::assets::Assets;
use crate::metrics::HttpMetrics;
use crate::otlp::OtlpReceiver;
use crate::process::{Process, Targets};
use crate::prometheus::{AdminApi, RemoteRead, WriteReceiver};
use crate::push::PushedMetadata;

/// What the handlers need; the binary fills it in once.
pub struct ServerState {
    /// Answers queries.
    pub engine: Arc<Engine>,
    /// Takes in what senders push; `None` unless that was asked for.
    pub write_receiver: Option<Arc<WriteReceiver>>,
    /// Takes in what OTLP senders push; `None` unless that was asked for.
    pub otlp_receiver: Option<Arc<OtlpReceiver>>,
    /// What senders say of their metrics.
    pub pushed_metadata: Arc<PushedMetadata>,
    /// Answers remote reads.
    pub remote_read: RemoteRead,
    /// Deletes series and takes snapshots; `None` unless that was asked for.
    pub admin: Option<AdminApi>,
    /// Knows the scrape targets.
    pub targets: Arc<dyn Targets>,
    /// Evaluates rules.
    pub rules: Arc<RuleManager>,
    /// Sends alerts.
    pub notifier: Arc<Notifier>,
    /// Knows the process.
    pub process: Arc<dyn Process>,
    /// Holds the pages.
    pub assets: Arc<dyn Assets>,
    /// Holds the program's own metrics.
    pub registry: prometheus::Registry,
    /// Requests by route.
    pub http_metrics: HttpMetrics,
    /// Whether the process is ready to serve.
    pub readiness: Arc<Readiness>,
    /// Origins whose scripts may read answers.
    pub cors_origin: Matcher,
    /// Places for those who follow the notifications.
    pub notification_places: Arc<Semaphore>,
    /// Tells the time.
    pub clock: Arc<dyn Clock>,
    /// The program's version.
    pub version: &'static str,
    /// The source's revision, or `unknown`.
    pub revision: &'static str,
}

/// Whether the process is ready: set when start-up is done, cleared when it stops.
#[derive(Debug, Default)]
pub struct Readiness(AtomicBool);

impl Readiness {
    /// Says that the process is ready, or no longer.
    pub fn set(&self, ready: bool) {
        self.0.store(ready, Ordering::SeqCst);
    }

    /// Whether the process is ready.
    pub fn get(&self) -> bool {
        self.0.load(Ordering::SeqCst)
    }
}
