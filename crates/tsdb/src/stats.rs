//! What is in the head, for people who wonder where their memory goes.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use base::{METRIC_NAME, TimeRange};

use crate::head::Head;

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

/// Statistics of the head. Lists are sorted by count, then name, and hold as many as were asked for.
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

pub(crate) fn of_head(head: &Head, entries: usize) -> StoreStats {
    let [mut values, mut bytes, mut pairs, mut metrics] = [(); 4].map(|()| Top::of(entries));
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
    for (metric, series) in head.postings().values(METRIC_NAME) {
        metrics.offer(series, || metric.to_owned());
    }
    StoreStats {
        head_series: head.series_count(),
        head_chunks: head.chunk_count(),
        label_pairs,
        head_time: head.time(),
        series_by_metric: metrics.sorted(),
        values_by_label: values.sorted(),
        bytes_by_label: bytes.sorted(),
        series_by_pair: pairs.sorted(),
    }
}

/// The largest entries seen so far, in a bounded number. Of equal ones those whose names come first in the alphabet.
struct Top {
    entries: usize,
    /// The least of them comes first.
    heap: BinaryHeap<Reverse<(u64, Reverse<String>)>>,
}

impl Top {
    fn of(entries: usize) -> Self {
        Self { entries, heap: BinaryHeap::new() }
    }

    fn offer(&mut self, count: u64, name: impl FnOnce() -> String) {
        let full = self.heap.len() >= self.entries;
        if full && self.heap.peek().is_none_or(|Reverse((least, _))| *least > count) {
            return;
        }
        self.heap.push(Reverse((count, Reverse(name()))));
        if full {
            self.heap.pop();
        }
    }

    fn sorted(self) -> Vec<NameCount> {
        let entries = self.heap.into_sorted_vec().into_iter();
        entries.map(|Reverse((count, Reverse(name)))| NameCount { name, count }).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_largest_stay_and_the_alphabet_decides_among_equals() {
        let check = |entries: usize, want: &[(&str, u64)]| {
            let mut top = Top::of(entries);
            for (name, count) in [("b", 2), ("d", 1), ("a", 2), ("c", 3), ("e", 2)] {
                top.offer(count, || name.to_owned());
            }
            let got: Vec<(String, u64)> = top.sorted().into_iter().map(|n| (n.name, n.count)).collect();
            let want: Vec<(String, u64)> = want.iter().map(|(n, c)| ((*n).to_owned(), *c)).collect();
            assert_eq!(got, want);
        };
        check(0, &[]);
        check(2, &[("c", 3), ("a", 2)]);
        check(9, &[("c", 3), ("a", 2), ("b", 2), ("e", 2), ("d", 1)]);
    }
}
