//! What is in the head, for people who wonder where their memory goes.

use base::{METRIC_NAME, TimeRange};

use crate::head::Head;
use crate::limits::STATS_ENTRIES;

/// A name and how much there is of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NameCount {
    /// A metric, a label, or `label=value`.
    pub name: String,
    /// Series, values or bytes.
    pub count: u64,
}

/// A segment of samples, which readers of other systems' API call a block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SegmentStats {
    /// Its path within the table.
    pub path: String,
    /// First and last millisecond.
    pub time: TimeRange,
    /// Chunks.
    pub chunks: u64,
    /// Bytes.
    pub size_bytes: u64,
}

/// Statistics of the head. Lists are sorted by count, then name, and hold the first ten.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoreStats {
    /// Series in the head.
    pub head_series: usize,
    /// Chunks in the head.
    pub head_chunks: usize,
    /// Distinct pairs of label and value.
    pub label_pairs: usize,
    /// First and last millisecond in the head.
    pub head_time: Option<TimeRange>,
    /// Series by metric.
    pub series_by_metric: Vec<NameCount>,
    /// Values by label.
    pub values_by_label: Vec<NameCount>,
    /// Bytes of the values by label, each counted once for every series.
    pub bytes_by_label: Vec<NameCount>,
    /// Series by label and value.
    pub series_by_pair: Vec<NameCount>,
}

pub(crate) fn of_head(head: &Head) -> StoreStats {
    let (mut values, mut bytes, mut pairs) = (Top::default(), Top::default(), Top::default());
    let mut label_pairs = 0;
    for (name, by_value) in head.postings().iter() {
        let (mut value_count, mut byte_count) = (0, 0);
        for (value, series) in by_value {
            value_count += 1;
            byte_count += value.len() as u64 * series;
            pairs.offer(series, || format!("{name}={value}"));
        }
        label_pairs += usize::try_from(value_count).unwrap_or(usize::MAX);
        values.offer(value_count, || name.to_owned());
        bytes.offer(byte_count, || name.to_owned());
    }
    let mut metrics = Top::default();
    for (metric, series) in head.postings().values(METRIC_NAME) {
        metrics.offer(series, || metric.to_owned());
    }
    StoreStats {
        head_series: head.series_count(),
        head_chunks: head.chunk_count(),
        label_pairs,
        head_time: head.time(),
        series_by_metric: metrics.0,
        values_by_label: values.0,
        bytes_by_label: bytes.0,
        series_by_pair: pairs.0,
    }
}

/// The largest entries seen so far, sorted.
#[derive(Default)]
struct Top(Vec<NameCount>);

impl Top {
    fn offer(&mut self, count: u64, name: impl FnOnce() -> String) {
        if self.0.len() == STATS_ENTRIES && self.0.last().is_some_and(|last| last.count > count) {
            return;
        }
        let entry = NameCount { name: name(), count };
        let before = |e: &NameCount| e.count > entry.count || (e.count == entry.count && e.name < entry.name);
        let at = self.0.partition_point(before);
        self.0.insert(at, entry);
        self.0.truncate(STATS_ENTRIES);
    }
}
