//! The data of a script: series in memory.

use std::collections::BTreeMap;

use base::{Labels, METRIC_NAME, Matcher, Result};

use super::parse::Load;
use super::sequence::Point;
use crate::{Columns, Selection, SeriesCursor, SeriesSource};

/// Series in memory, in order of their labels.
#[derive(Debug, Clone, Default)]
pub struct MemorySource {
    series: BTreeMap<Labels, Stored>,
}

#[derive(Debug, Clone, Default)]
struct Stored {
    samples: BTreeMap<i64, f64>,
    has_histograms: bool,
    has_start_timestamps: bool,
}

impl MemorySource {
    /// Adds a sample; one of the same series and time is replaced.
    pub fn insert(&mut self, labels: &Labels, t_ms: i64, value: f64) {
        self.stored(labels).samples.insert(t_ms, value);
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        self.series.clear();
    }

    fn stored(&mut self, labels: &Labels) -> &mut Stored {
        if !self.series.contains_key(labels) {
            self.series.insert(labels.clone(), Stored::default());
        }
        self.series.get_mut(labels).expect("the series was inserted if it was missing")
    }

    /// Adds what a `load` command spells, the first point at the epoch.
    pub(super) fn load(&mut self, load: &Load) {
        for (line, has_start_timestamps) in &load.series {
            let stored = self.stored(&line.labels);
            stored.has_start_timestamps |= has_start_timestamps;
            for (i, point) in line.points.iter().enumerate() {
                match point {
                    Point::Omitted => {}
                    Point::Float(v) => {
                        stored.samples.insert(load.step_ms * i as i64, *v);
                    }
                    Point::Histogram => stored.has_histograms = true,
                }
            }
            if load.with_nhcb
                && let Some(labels) = native_name(&line.labels)
            {
                self.stored(&labels).has_histograms = true;
            }
        }
    }

    /// Why the matchers select more than floats, if they do.
    pub(super) fn beyond_floats(&self, matchers: &[Matcher]) -> Option<&'static str> {
        let mut selected = self.series.iter().filter(|(l, _)| matches(matchers, l)).map(|(_, s)| s);
        selected.find_map(|s| match (s.has_histograms, s.has_start_timestamps) {
            (true, _) => Some("reads native histograms"),
            (_, true) => Some("reads start timestamps"),
            _ => None,
        })
    }
}

/// The series that `load_with_nhcb` makes of those of a classic histogram.
fn native_name(labels: &Labels) -> Option<Labels> {
    let metric = labels.metric();
    let base = ["_bucket", "_count", "_sum"].iter().find_map(|suffix| metric.strip_suffix(suffix))?;
    let mut native = labels.to_builder();
    native.set(METRIC_NAME, base).remove("le");
    Some(native.build())
}

fn matches(matchers: &[Matcher], labels: &Labels) -> bool {
    matchers.iter().all(|m| m.matches_labels(labels))
}

impl SeriesSource for MemorySource {
    fn select(&self, selection: &Selection) -> Result<Box<dyn SeriesCursor + '_>> {
        let selection = selection.clone();
        let rows = self.series.iter().filter(move |(l, _)| matches(&selection.matchers, l));
        Ok(Box::new(Cursor { rows, range: selection.range }))
    }
}

struct Cursor<I> {
    rows: I,
    range: base::TimeRange,
}

impl<'s, I: Iterator<Item = (&'s Labels, &'s Stored)>> SeriesCursor for Cursor<I> {
    fn next(&mut self, columns: &mut Columns) -> Result<Option<Labels>> {
        let Some((labels, stored)) = self.rows.next() else { return Ok(None) };
        columns.clear();
        if self.range.start_ms <= self.range.end_ms {
            for (t, v) in stored.samples.range(self.range.start_ms..=self.range.end_ms) {
                columns.timestamps_ms.push(*t);
                columns.values.push(*v);
            }
        }
        Ok(Some(labels.clone()))
    }
}

#[cfg(test)]
mod tests {
    use base::TimeRange;

    use super::*;

    #[test]
    fn a_selection_gets_its_series_and_its_range() {
        let mut data = MemorySource::default();
        for (name, t) in [("b", 1), ("a", 1), ("a", 2), ("a", 3), ("a", 4)] {
            data.insert(&Labels::from_pairs([("__name__", "x"), ("l", name)]), t, t as f64);
        }
        let matchers = vec![Matcher::equal("__name__", "x")];
        let range = TimeRange::new(2, 3);
        let mut columns = Columns::default();
        let mut cursor = data.select(&Selection { matchers, range, usages: Vec::new() }).unwrap();
        assert_eq!(cursor.next(&mut columns).unwrap().unwrap().get("l"), Some("a"));
        assert_eq!(columns.timestamps_ms, [2, 3]);
        assert_eq!(cursor.next(&mut columns).unwrap().unwrap().get("l"), Some("b"));
        assert!(columns.values.is_empty());
        assert!(cursor.next(&mut columns).unwrap().is_none());
    }
}
