//! The newest exemplars in memory, a bounded number: a new one takes the place of the one that came first.

use std::cmp::Ordering;
use std::collections::VecDeque;

use base::{Exemplar, Labels, Matcher, TimeRange};
use rustc_hash::FxHashMap;

use super::ExemplarSeries;

/// What is known of an exemplar that comes in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It is to be stored.
    New,
    /// It is stored.
    Repeated,
    /// It comes too late.
    OutOfOrder,
}

/// An exemplar and its number in the order of coming.
#[derive(Debug)]
struct Numbered {
    number: u64,
    exemplar: Exemplar,
}

/// The newest exemplars, by series.
#[derive(Debug)]
pub(super) struct Ring {
    capacity: usize,
    /// In order of time.
    series: FxHashMap<Labels, VecDeque<Numbered>>,
    /// In order of coming; the first has the number `first`.
    order: VecDeque<Labels>,
    first: u64,
    /// All exemplars from this time on are here.
    complete_from_ms: i64,
}

impl Ring {
    /// An empty ring. All exemplars from `complete_from_ms` on are or will be put into it.
    pub(super) fn new(capacity: usize, complete_from_ms: i64) -> Self {
        Self { capacity, series: FxHashMap::default(), order: VecDeque::new(), first: 0, complete_from_ms }
    }

    /// How many there may be.
    pub(super) fn capacity(&self) -> usize {
        self.capacity
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.order.len()
    }

    /// How many series have some.
    pub(super) fn series_len(&self) -> usize {
        self.series.len()
    }

    /// The time of the exemplar that goes next.
    pub(super) fn next_to_go_ms(&self) -> Option<i64> {
        let labels = self.order.front()?;
        let of = self.series.get(labels)?;
        of.iter().find(|n| n.number == self.first).map(|n| n.exemplar.t_ms)
    }

    /// Whether every exemplar of a range is here.
    pub(super) fn has_all_of(&self, range: TimeRange) -> bool {
        range.start_ms >= self.complete_from_ms
    }

    /// What is to be done with an exemplar. Those of one time are stored in order of value and labels, so that of a histogram each bucket's
    /// is stored once.
    pub(super) fn judge(&self, series: &Labels, e: &Exemplar, out_of_order_ms: i64) -> Verdict {
        let Some(of) = self.series.get(series) else { return Verdict::New };
        let Some(newest) = of.back().map(|n| &n.exemplar) else { return Verdict::New };
        let late = match e.t_ms.cmp(&newest.t_ms) {
            Ordering::Greater => return Verdict::New,
            Ordering::Less => e.t_ms <= newest.t_ms.saturating_sub(out_of_order_ms),
            Ordering::Equal => match e.value.total_cmp(&newest.value) {
                Ordering::Equal if e.labels == newest.labels => return Verdict::Repeated,
                Ordering::Equal => e.labels < newest.labels,
                order => order == Ordering::Less,
            },
        };
        if late {
            return Verdict::OutOfOrder;
        }
        let at = of.partition_point(|n| n.exemplar.t_ms < e.t_ms);
        match of.get(at) {
            // Another of the same time among earlier ones: it came this way before.
            Some(n) if n.exemplar.t_ms == e.t_ms && e.t_ms < newest.t_ms => Verdict::Repeated,
            _ => Verdict::New,
        }
    }

    /// Puts an exemplar in.
    pub(super) fn insert(&mut self, series: Labels, exemplar: Exemplar) {
        if self.capacity == 0 {
            return;
        }
        while self.order.len() >= self.capacity {
            self.remove_first();
        }
        let number = self.first + self.order.len() as u64;
        let of = self.series.entry(series.clone()).or_default();
        let at = of.partition_point(|n| n.exemplar.t_ms <= exemplar.t_ms);
        of.insert(at, Numbered { number, exemplar });
        self.order.push_back(series);
    }

    fn remove_first(&mut self) {
        let Some(labels) = self.order.pop_front() else { return };
        let number = self.first;
        self.first += 1;
        let Some(of) = self.series.get_mut(&labels) else { return };
        if let Some(at) = of.iter().position(|n| n.number == number) {
            let gone_ms = of.remove(at).map_or(i64::MIN, |gone| gone.exemplar.t_ms);
            self.complete_from_ms = self.complete_from_ms.max(gone_ms.saturating_add(1));
        }
        if of.is_empty() {
            self.series.remove(&labels);
        }
    }

    /// Changes how many there may be.
    pub(super) fn resize(&mut self, capacity: usize) {
        self.capacity = capacity;
        while self.order.len() > capacity {
            self.remove_first();
        }
    }

    /// Those of a range whose series satisfy all matchers of any of the sets, in order of labels.
    pub(super) fn select(&self, sets: &[Vec<Matcher>], range: TimeRange) -> Vec<ExemplarSeries> {
        let mut found: Vec<ExemplarSeries> = Vec::new();
        for (labels, of) in self.series.iter().filter(|(labels, _)| matches_any(sets, labels)) {
            let wanted = of.iter().filter(|n| range.contains(n.exemplar.t_ms));
            let exemplars: Vec<Exemplar> = wanted.map(|n| n.exemplar.clone()).collect();
            if !exemplars.is_empty() {
                found.push(ExemplarSeries { labels: labels.clone(), exemplars });
            }
        }
        found.sort_unstable_by(|a, b| a.labels.cmp(&b.labels));
        found
    }
}

/// Whether a series satisfies all matchers of any of the sets.
pub(super) fn matches_any(sets: &[Vec<Matcher>], labels: &Labels) -> bool {
    sets.iter().any(|set| set.iter().all(|m| m.matches_labels(labels)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn series(name: &str) -> Labels {
        Labels::from_pairs([("__name__", name)])
    }

    fn exemplar(t_ms: i64, value: f64, id: &str) -> Exemplar {
        Exemplar { labels: Labels::from_pairs([("trace_id", id)]), value, t_ms }
    }

    #[test]
    fn what_is_stored_and_what_comes_too_late_is_not_taken() {
        let mut ring = Ring::new(10, i64::MIN);
        ring.insert(series("a"), exemplar(10, 2.0, "x"));
        ring.insert(series("a"), exemplar(20, 2.0, "x"));
        let check = |e: Exemplar, window, want| {
            assert_eq!(ring.judge(&series("a"), &e, window), want, "{e:?} {window}");
        };
        check(exemplar(20, 2.0, "x"), 0, Verdict::Repeated);
        check(exemplar(20, 1.0, "x"), 0, Verdict::OutOfOrder);
        check(exemplar(20, 3.0, "x"), 0, Verdict::New);
        check(exemplar(20, 2.0, "w"), 0, Verdict::OutOfOrder);
        check(exemplar(20, 2.0, "y"), 0, Verdict::New);
        check(exemplar(21, 0.0, "a"), 0, Verdict::New);
        check(exemplar(15, 2.0, "x"), 0, Verdict::OutOfOrder);
        check(exemplar(15, 2.0, "x"), 6, Verdict::New);
        check(exemplar(10, 9.0, "x"), 100, Verdict::Repeated);
        assert_eq!(ring.judge(&series("b"), &exemplar(1, 1.0, "x"), 0), Verdict::New);
    }

    #[test]
    fn the_one_that_came_first_goes_first() {
        let mut ring = Ring::new(3, i64::MIN);
        for (name, t) in [("a", 5), ("b", 1), ("a", 7), ("a", 6)] {
            ring.insert(series(name), exemplar(t, 1.0, "x"));
        }
        let all = [Vec::new()];
        let times = |ring: &Ring, range| -> Vec<(String, Vec<i64>)> {
            let found = ring.select(&all, range).into_iter();
            found
                .map(|s| (s.labels.metric().to_owned(), s.exemplars.iter().map(|e| e.t_ms).collect()))
                .collect()
        };
        assert_eq!(times(&ring, TimeRange::ALL), [("a".into(), vec![6, 7]), ("b".into(), vec![1])]);
        assert!(!ring.has_all_of(TimeRange::new(5, 9)) && ring.has_all_of(TimeRange::new(6, 9)));
        assert_eq!(ring.next_to_go_ms(), Some(1));
        ring.resize(1);
        assert_eq!(times(&ring, TimeRange::ALL), [("a".into(), vec![6])]);
        assert_eq!((ring.len(), ring.series_len()), (1, 1));
        ring.resize(0);
        ring.insert(series("a"), exemplar(9, 1.0, "x"));
        assert_eq!((ring.len(), ring.series_len()), (0, 0));
    }

    #[test]
    fn any_set_of_matchers_is_enough() {
        let mut ring = Ring::new(10, i64::MIN);
        ring.insert(series("a"), exemplar(1, 1.0, "x"));
        ring.insert(series("b"), exemplar(1, 1.0, "x"));
        let sets = [vec![Matcher::equal("__name__", "b")], vec![Matcher::equal("__name__", "c")]];
        let found = ring.select(&sets, TimeRange::ALL);
        assert_eq!(found.iter().map(|s| s.labels.metric()).collect::<Vec<_>>(), ["b"]);
    }
}
