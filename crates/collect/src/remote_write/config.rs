//! The checked configuration of an endpoint that samples are sent to.

use std::time::Duration;

use crate::config::HttpConfig;
use crate::relabel::Rule;

/// One endpoint, with every default applied.
#[derive(Debug, Clone, PartialEq)]
pub struct RemoteWriteConfig {
    /// Where requests go.
    pub url: String,
    /// Tells endpoints apart in metrics and in the log's positions; the address does where it is empty.
    pub name: String,
    /// How long one request may take.
    pub timeout: Duration,
    /// Rules for the labels of series, after external labels were added.
    pub write_relabel_configs: Vec<Rule>,
    /// Whether exemplars are sent.
    pub send_exemplars: bool,
    /// Whether native histograms are sent.
    pub send_native_histograms: bool,
    /// The message that is sent.
    pub message: WriteMessage,
    /// Authentication, headers, TLS and redirects.
    pub http: HttpConfig,
    /// How samples wait and are sent.
    pub queue: QueueConfig,
    /// Whether descriptions of metrics are sent.
    pub metadata: MetadataConfig,
}

impl RemoteWriteConfig {
    /// An endpoint with Prometheus' defaults.
    pub fn new(url: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            name: String::new(),
            timeout: Duration::from_secs(30),
            write_relabel_configs: Vec::new(),
            send_exemplars: false,
            send_native_histograms: false,
            message: WriteMessage::V1,
            http: HttpConfig { enable_http2: false, ..HttpConfig::default() },
            queue: QueueConfig::default(),
            metadata: MetadataConfig::default(),
        }
    }
}

/// The message that is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WriteMessage {
    /// `prometheus.WriteRequest`, of remote write 1.0.
    V1,
    /// `io.prometheus.write.v2.Request`, of remote write 2.0.
    V2,
}

/// How samples wait and are sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueueConfig {
    /// Samples that wait in one shard before the log is not read any further.
    pub capacity: usize,
    /// Requests under way at the same time, at most.
    pub max_shards: usize,
    /// And at least.
    pub min_shards: usize,
    /// Samples of one request.
    pub max_samples_per_send: usize,
    /// How long a sample waits for others to be sent with.
    pub batch_send_deadline: Duration,
    /// The pause before the first repetition of a request; it doubles with each.
    pub min_backoff: Duration,
    /// The longest pause.
    pub max_backoff: Duration,
    /// Whether a request is repeated that was refused with status 429.
    pub retry_on_http_429: bool,
    /// Samples older than this are not sent; zero means any age.
    pub sample_age_limit: Duration,
}

impl Default for QueueConfig {
    fn default() -> Self {
        Self {
            capacity: 10_000,
            max_shards: 50,
            min_shards: 1,
            max_samples_per_send: 2000,
            batch_send_deadline: Duration::from_secs(5),
            min_backoff: Duration::from_millis(30),
            max_backoff: Duration::from_secs(5),
            retry_on_http_429: false,
            sample_age_limit: Duration::ZERO,
        }
    }
}

/// Whether descriptions of metrics are sent. Version 2 sends them along with samples, whatever this says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MetadataConfig {
    /// Whether they are.
    pub send: bool,
    /// How often.
    pub send_interval: Duration,
    /// How many in one request.
    pub max_samples_per_send: usize,
}

impl Default for MetadataConfig {
    fn default() -> Self {
        Self { send: true, send_interval: Duration::from_secs(60), max_samples_per_send: 2000 }
    }
}
