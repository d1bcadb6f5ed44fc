//! Deletions: which samples of which series are not to be seen any more, until they are gone from the segments.
//! `docs/format/tombstone.md` is the specification of what is stored.

use base::{Labels, Matcher, TimeRange};

/// A deletion.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Tombstone {
    /// The object that it is stored as.
    pub(crate) name: String,
    pub(crate) tenant: String,
    pub(crate) created_ms: i64,
    range: TimeRange,
    matcher_sets: Vec<Vec<Matcher>>,
}

impl Tombstone {
    /// The times that are deleted.
    pub(crate) fn range(&self) -> TimeRange {
        self.range
    }

    /// Whether a series satisfies any of its sets of matchers.
    pub(crate) fn concerns(&self, labels: &Labels) -> bool {
        self.matcher_sets.iter().any(|set| set.iter().all(|m| m.matches_labels(labels)))
    }
}
