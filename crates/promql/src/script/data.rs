//! The data of a script: series in memory.

use std::collections::BTreeMap;
use std::sync::Arc;

use base::{CounterResetHint, Histogram, Labels, Matcher, Result};

use super::classic;
use super::parse::Load;
use super::sequence::Point;
use crate::histogram::{is_reset, same_bounds};
use crate::{Columns, Selection, SeriesSet, SeriesSource};

/// Series in memory, in order of their labels.
#[derive(Debug, Clone, Default)]
pub struct MemorySource {
    series: BTreeMap<Labels, BTreeMap<i64, Stored>>,
}

/// A sample with its start timestamp, 0 if that is not known.
#[derive(Debug, Clone)]
struct Stored {
    value: Value,
    start_ms: i64,
}

#[derive(Debug, Clone)]
enum Value {
    Float(f64),
    Histogram(Arc<Histogram>),
}

impl MemorySource {
    /// Adds a sample; one of the same series and time is replaced.
    pub fn insert(&mut self, labels: &Labels, t_ms: i64, value: f64) {
        self.put(labels, t_ms, Stored { value: Value::Float(value), start_ms: 0 });
    }

    /// Adds a native histogram, likewise.
    pub fn insert_histogram(&mut self, labels: &Labels, t_ms: i64, histogram: Histogram) {
        self.put(labels, t_ms, Stored { value: Value::Histogram(Arc::new(histogram)), start_ms: 0 });
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        self.series.clear();
    }

    fn put(&mut self, labels: &Labels, t_ms: i64, stored: Stored) {
        match self.series.get_mut(labels) {
            Some(series) => series.insert(t_ms, stored),
            None => self.series.entry(labels.clone()).or_default().insert(t_ms, stored),
        };
    }

    /// Adds what a `load` command spells, the first point at the epoch; fails where classic histograms make no native ones.
    pub fn load(&mut self, load: &Load) -> Result<()> {
        for (line, starts) in &load.series {
            for (i, point) in line.points.iter().enumerate() {
                let value = match point {
                    Point::Omitted => continue,
                    Point::Float(v) => Value::Float(*v),
                    Point::Histogram { histogram, .. } => Value::Histogram(Arc::clone(histogram)),
                };
                let t_ms = load.step_ms * i as i64;
                let start_ms = starts.get(i).copied().flatten().map_or(0, |offset_ms| t_ms + offset_ms);
                self.put(&line.labels, t_ms, Stored { value, start_ms });
            }
        }
        if load.with_nhcb {
            for (labels, t_ms, histogram) in classic::natives(load)? {
                self.insert_histogram(&labels, t_ms, histogram);
            }
        }
        Ok(())
    }
}

/// What a store that compares each histogram with the one before when it is written knows of counter resets when it is read.
///
/// Prometheus keeps histograms in chunks without a reset, each of one layout. The first of a chunk may follow anything.
#[derive(Default)]
struct Hints {
    last: Option<Arc<Histogram>>,
}

impl Hints {
    fn settle(&mut self, h: &Arc<Histogram>) -> Arc<Histogram> {
        let last = self.last.replace(Arc::clone(h));
        let is_gauge = |h: &Histogram| h.counter_reset_hint == CounterResetHint::Gauge;
        if is_gauge(h) {
            return Arc::clone(h);
        }
        let continues = last.is_some_and(|last| {
            let same_layout = h.schema == last.schema
                && h.zero_threshold == last.zero_threshold
                && same_bounds(&h.custom_bounds, &last.custom_bounds);
            let counted = Histogram { counter_reset_hint: CounterResetHint::Unknown, ..(**h).clone() };
            !is_gauge(&last)
                && !last.is_stale()
                && same_layout
                && h.counter_reset_hint != CounterResetHint::Reset
                && !is_reset(&counted, &last)
        });
        let hint = if continues { CounterResetHint::NotReset } else { CounterResetHint::Unknown };
        if h.counter_reset_hint == hint {
            return Arc::clone(h);
        }
        Arc::new(Histogram { counter_reset_hint: hint, ..(**h).clone() })
    }

    /// A float came.
    fn interrupt(&mut self) {
        self.last = None;
    }
}

fn matches(matchers: &[Matcher], labels: &Labels) -> bool {
    matchers.iter().all(|m| m.matches_labels(labels))
}

impl SeriesSource for MemorySource {
    fn select(&self, selection: &Selection) -> Result<Box<dyn SeriesSet + '_>> {
        let rows = self.series.iter().filter(|(l, _)| matches(&selection.matchers, l)).collect();
        Ok(Box::new(Rows { rows, range: selection.range }))
    }
}

struct Rows<'s> {
    rows: Vec<(&'s Labels, &'s BTreeMap<i64, Stored>)>,
    range: base::TimeRange,
}

impl SeriesSet for Rows<'_> {
    fn count(&self) -> usize {
        self.rows.len()
    }

    fn samples(&self) -> u64 {
        self.rows.iter().map(|(_, stored)| stored.len() as u64).sum()
    }

    fn labels(&self, at: usize) -> Labels {
        self.rows[at].0.clone()
    }

    fn read(&self, at: usize, columns: &mut Columns) -> Result<Labels> {
        let (labels, stored) = self.rows[at];
        columns.clear();
        let mut hints = Hints::default();
        for (t, Stored { value, start_ms }) in stored.range(..=self.range.end_ms) {
            let is_wanted = *t >= self.range.start_ms;
            match value {
                Value::Float(v) => {
                    hints.interrupt();
                    if is_wanted {
                        columns.timestamps_ms.push(*t);
                        columns.values.push(*v);
                        columns.starts_ms.push(*start_ms);
                    }
                }
                Value::Histogram(h) => {
                    let h = hints.settle(h);
                    if is_wanted {
                        columns.histograms.timestamps_ms.push(*t);
                        columns.histograms.values.push(h);
                        columns.histograms.starts_ms.push(*start_ms);
                    }
                }
            }
        }
        for starts in [&mut columns.starts_ms, &mut columns.histograms.starts_ms] {
            if starts.iter().all(|t| *t == 0) {
                starts.clear();
            }
        }
        Ok(labels.clone())
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
        let set = data.select(&Selection { matchers, range, usages: Vec::new() }).unwrap();
        assert_eq!(set.read(0, &mut columns).unwrap().get("l"), Some("a"));
        assert_eq!(columns.timestamps_ms, [2, 3]);
        assert_eq!(set.read(1, &mut columns).unwrap().get("l"), Some("b"));
        assert!(columns.values.is_empty());
        assert_eq!(set.count(), 2);
    }

    #[test]
    fn resets_are_known_within_a_run_of_one_layout() {
        let h = |count: f64, counter_reset_hint| {
            Arc::new(Histogram { count, counter_reset_hint, ..Histogram::default() })
        };
        let (unknown, gauge) = (CounterResetHint::Unknown, CounterResetHint::Gauge);
        let mut hints = Hints::default();
        let got: Vec<_> = [
            h(1.0, unknown),
            h(2.0, unknown),
            h(1.0, CounterResetHint::NotReset),
            h(5.0, CounterResetHint::Reset),
            h(6.0, gauge),
            h(7.0, unknown),
        ]
        .iter()
        .map(|h| hints.settle(h).counter_reset_hint)
        .collect();
        assert_eq!(got, [unknown, CounterResetHint::NotReset, unknown, unknown, gauge, unknown]);
    }
}
