//! What the server asks of the process it runs in. The binary implements these traits.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use base::{Labels, Metadata, Result};

/// The scrape targets, as of the moment of the call.
pub trait Targets: Send + Sync {
    /// Every target that is scraped, and those that relabelling dropped.
    fn targets(&self) -> TargetsView;

    /// What the targets say of their metrics: the target's labels, the metric's name, and its metadata.
    fn metadata(&self) -> Vec<(Labels, Arc<str>, Metadata)>;

    /// A scrape configuration as YAML, secrets blanked; `None` if there is none of that name.
    fn pool_yaml(&self, pool: &str) -> Option<String>;

    /// What each rule of a scrape configuration makes of a target's labels; `None` if there is none of that name.
    fn relabel_steps(&self, pool: &str, labels: &Labels) -> Option<Vec<RelabelStep>>;
}

/// A rule, and what it makes of the labels that the ones before it left.
#[derive(Debug, Clone)]
pub struct RelabelStep {
    /// The rule.
    pub rule: RelabelRule,
    /// The labels after it; none if the target is dropped.
    pub output: Labels,
    /// Whether the target is still there.
    pub keep: bool,
}

/// A relabelling rule as a configuration states it.
#[derive(Debug, Clone)]
pub struct RelabelRule {
    /// Labels whose values are joined.
    pub source_labels: Vec<String>,
    /// What stands between them.
    pub separator: String,
    /// What they have to match.
    pub regex: String,
    /// Divisor of a hash.
    pub modulus: u64,
    /// Label to write.
    pub target_label: String,
    /// What to write.
    pub replacement: String,
    /// What to do.
    pub action: &'static str,
}

/// The process around the server.
#[async_trait]
pub trait Process: Send + Sync {
    /// Reads the configuration again and applies it; on an error the old one stays.
    async fn reload(&self) -> Result<()>;

    /// The configuration in force, as YAML, secrets blanked.
    fn config_yaml(&self) -> String;

    /// The command line's settings, by name.
    fn flags(&self) -> BTreeMap<String, String>;

    /// Facts for `/api/v1/status/runtimeinfo`.
    fn runtime(&self) -> RuntimeInfo;

    /// Labels that tell this server's series from another's.
    fn external_labels(&self) -> Labels;

    /// What an operator should know now.
    fn notifications(&self) -> Vec<Notification>;

    /// What the program can do apart from this API and the query language, and whether it is on, by Prometheus' categories and names.
    fn features(&self) -> BTreeMap<String, BTreeMap<String, bool>>;

    /// The endpoints that samples are sent on to.
    fn remote_write(&self) -> Vec<RemoteWriteEndpoint>;

    /// The built-in node collector's exposition, whether or not it is scraped.
    async fn node_exposition(&self) -> Result<Vec<u8>>;

    /// Looks after stored data as an operator asks for it. Called for one request at a time.
    async fn look_after_lake(&self, request: &LakeRequest) -> Result<LakeReply>;
}

/// What an operator wants of stored data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LakeRequest {
    /// What to do.
    pub task: LakeTask,
    /// Only with this table.
    pub table: Option<String>,
    /// Whether the report is JSON, and not text for people.
    pub as_json: bool,
}

/// What can be done with stored data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LakeTask {
    /// List what is stored.
    Ls {
        /// Each segment.
        segments: bool,
    },
    /// Say what takes the space.
    Stat,
    /// Check every segment.
    Verify,
    /// Merge segments until nothing is left to merge.
    Compact,
    /// Delete files that nothing refers to.
    Vacuum {
        /// Say which, and delete nothing.
        dry_run: bool,
    },
}

/// What became of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LakeReply {
    /// Whether everything is as it should be.
    pub in_order: bool,
    /// What there is to say, in the form that was asked for.
    pub report: String,
}

/// An endpoint that samples are sent on to.
#[derive(Debug, Clone, PartialEq)]
pub struct RemoteWriteEndpoint {
    /// Its name in metrics.
    pub name: String,
    /// Its address, without a password.
    pub url: String,
    /// Requests under way at the same time.
    pub shards: i64,
    /// Samples that wait to be sent.
    pub pending: i64,
    /// Samples that were refused for good.
    pub failed: u64,
    /// How much older the newest sample that was sent is than the newest there is; `None` if none was sent.
    pub behind_seconds: Option<f64>,
    /// Why something was last not taken, and when, in milliseconds since 1970.
    pub last_error: Option<(i64, String)>,
}

/// The scrape targets.
#[derive(Debug, Clone, Default)]
pub struct TargetsView {
    /// Those that are scraped, in order of pool and labels.
    pub active: Vec<ActiveTarget>,
    /// Those that relabelling dropped; at most so many as the collector keeps.
    pub dropped: Vec<DroppedTarget>,
    /// How many relabelling dropped, by pool.
    pub dropped_counts: BTreeMap<String, usize>,
}

/// A target that is scraped.
#[derive(Debug, Clone)]
pub struct ActiveTarget {
    /// Labels before relabelling.
    pub discovered_labels: Labels,
    /// Labels after it, which all its series carry.
    pub labels: Labels,
    /// Name of the scrape configuration.
    pub scrape_pool: String,
    /// Where it is scraped.
    pub scrape_url: String,
    /// The same, as seen from elsewhere.
    pub global_url: String,
    /// Why the last scrape failed; empty if it did not.
    pub last_error: String,
    /// When it was scraped last, in milliseconds since the epoch.
    pub last_scrape_ms: Option<i64>,
    /// How long that took, in seconds.
    pub last_scrape_duration_seconds: f64,
    /// How it is.
    pub health: TargetHealth,
    /// The interval, as Prometheus writes durations.
    pub scrape_interval: String,
    /// The timeout, likewise.
    pub scrape_timeout: String,
}

/// How a target is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TargetHealth {
    /// Not scraped yet.
    Unknown,
    /// The last scrape succeeded.
    Up,
    /// The last scrape failed.
    Down,
}

impl TargetHealth {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Up => "up",
            Self::Down => "down",
        }
    }
}

/// A target that relabelling dropped.
#[derive(Debug, Clone)]
pub struct DroppedTarget {
    /// Labels before relabelling.
    pub discovered_labels: Labels,
    /// Name of the scrape configuration.
    pub scrape_pool: String,
}

/// Something that an operator should know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notification {
    /// The sentence.
    pub text: String,
    /// Since when it holds, in milliseconds since the epoch.
    pub since_ms: i64,
}

/// Facts about the running process.
#[derive(Debug, Clone)]
pub struct RuntimeInfo {
    /// When it started, in milliseconds since the epoch.
    pub start_ms: i64,
    /// Its working directory.
    pub working_directory: String,
    /// The host's name.
    pub hostname: String,
    /// Whether the last reload succeeded.
    pub reload_succeeded: bool,
    /// When the configuration was last applied, in milliseconds since the epoch.
    pub last_config_ms: i64,
    /// Threads that run tasks.
    pub worker_threads: usize,
    /// How long samples are kept, as Prometheus writes durations.
    pub storage_retention: String,
}
