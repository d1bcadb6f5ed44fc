//! What is kept, and how long: pure decisions.

use std::time::Duration;

use base::{Labels, Matcher};
use lake::Disk;

use crate::store::millis;

/// How long samples are kept, and within how much space.
#[derive(Debug, Clone, PartialEq)]
pub struct Retention {
    /// Age beyond which samples go that no entry of [`Retention::by_matcher`] concerns.
    pub age: Duration,
    /// Bytes of all segments of the tenant beyond which the oldest go; `None` for no bound.
    pub size_bytes: Option<u64>,
    /// The same in percent of the disk that the segments lie on, where that is known.
    pub disk_percentage: Option<f64>,
    /// Ages of their own for the series that satisfy all matchers of an entry. The shortest counts if there are several.
    pub by_matcher: Vec<(Vec<Matcher>, Duration)>,
}

impl Default for Retention {
    /// Fifteen days, as Prometheus.
    fn default() -> Self {
        Self::of_age(Duration::from_secs(15 * 86_400))
    }
}

impl Retention {
    /// Samples of an age, whatever their space.
    pub fn of_age(age: Duration) -> Self {
        Self { age, size_bytes: None, disk_percentage: None, by_matcher: Vec::new() }
    }

    /// The time before which samples of a series go.
    pub fn cutoff_ms(&self, labels: &Labels, now_ms: i64) -> i64 {
        let own =
            self.by_matcher.iter().filter(|(matchers, _)| matchers.iter().all(|m| m.matches_labels(labels)));
        let age = own.map(|(_, age)| *age).min().unwrap_or(self.age);
        now_ms.saturating_sub(millis(age))
    }

    /// The time before which no series has samples.
    pub fn oldest_ms(&self, now_ms: i64) -> i64 {
        now_ms.saturating_sub(millis(self.longest()))
    }

    /// The age beyond which no series has samples.
    pub fn longest(&self) -> Duration {
        self.by_matcher.iter().map(|(_, age)| *age).fold(self.age, Duration::max)
    }

    /// Bytes that all segments may have, from both bounds of space.
    pub(crate) fn bound_bytes(&self, disk: &dyn Disk) -> Option<u64> {
        let of_disk = self.disk_percentage.and_then(|percent| match disk.space() {
            Ok(space) => space.map(|space| (space.total_bytes as f64 * percent / 100.0) as u64),
            Err(error) => {
                tracing::warn!(%error, "cannot tell the size of the disk, so the bound in percent is not applied");
                None
            }
        });
        match (self.size_bytes, of_disk) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        }
    }
}
