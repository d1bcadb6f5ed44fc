//! What the targets page and the metadata API show: plain values, taken at one moment.

use std::sync::Arc;
use std::time::Duration;

use base::{Labels, Metadata};

/// How the last scrape of a target ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Health {
    /// Not scraped yet.
    #[default]
    Unknown,
    /// Well.
    Up,
    /// With an error.
    Down,
}

impl Health {
    /// The name in Prometheus' API.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Up => "up",
            Self::Down => "down",
        }
    }
}

/// A target that is scraped.
#[derive(Debug, Clone, PartialEq)]
pub struct ActiveTarget {
    /// Labels before relabelling.
    pub discovered_labels: Labels,
    /// Labels that its series get.
    pub labels: Labels,
    /// Name of the scrape configuration.
    pub scrape_pool: String,
    /// The URL; [`crate::target::global_url`] makes it one that others reach.
    pub scrape_url: Arc<str>,
    /// What went wrong in the last scrape, or the empty string.
    pub last_error: String,
    /// Start of the last scrape in milliseconds since the epoch; `None` before the first.
    pub last_scrape_ms: Option<i64>,
    /// How long the last scrape took.
    pub last_scrape_duration: Duration,
    /// How the last scrape ended.
    pub health: Health,
    /// Time between two scrapes.
    pub scrape_interval: Duration,
    /// How long a scrape may take.
    pub scrape_timeout: Duration,
}

/// A target that relabelling dropped.
#[derive(Debug, Clone, PartialEq)]
pub struct DroppedTarget {
    /// Labels before relabelling.
    pub discovered_labels: Labels,
    /// Name of the scrape configuration.
    pub scrape_pool: String,
}

/// Targets of one pool, in number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PoolTargets {
    /// Name of the scrape configuration.
    pub scrape_pool: String,
    /// Targets that are scraped.
    pub active: usize,
    /// Targets that relabelling dropped, those that are not remembered included.
    pub dropped: usize,
}

/// All targets at one moment.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct TargetsSnapshot {
    /// Targets that are scraped, by pool, then by URL.
    pub active: Vec<ActiveTarget>,
    /// Targets that were dropped, by pool; of each pool a bounded number.
    pub dropped: Vec<DroppedTarget>,
    /// The pools, by name.
    pub pools: Vec<PoolTargets>,
}

/// What one target says of one metric family.
#[derive(Debug, Clone, PartialEq)]
pub struct TargetMetadata {
    /// Labels of the target.
    pub target: Labels,
    /// Name of the metric family.
    pub metric: Arc<str>,
    /// Type, help and unit.
    pub metadata: Metadata,
}
