//! Which spans are to be rolled up: pure.
//!
//! A rollup's segment names the segments that it was made of, so that one made before, by whichever process, before whichever
//! crash, is known as done, and one whose samples have changed since is known as outdated.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use base::TimeRange;
use lake::limits::COMPACTION_INPUTS;

use crate::limits::ROLLUP_INPUT_SPANS;

/// A segment that rollups are made of.
#[derive(Debug, Clone)]
pub(super) struct Input {
    pub(super) path: String,
    pub(super) time: TimeRange,
}

/// A segment of rollups.
#[derive(Debug, Clone)]
pub(super) struct Done {
    pub(super) path: String,
    /// The beginning of its span.
    pub(super) start_ms: i64,
    /// The paths of what it was made of.
    pub(super) sources: Arc<HashSet<String>>,
    /// Whether it has buckets with samples that have been deleted since.
    pub(super) has_deleted: bool,
}

/// What does not change from round to round.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rules {
    /// The length of a span.
    pub(super) span_ms: i64,
    /// How long after its end a span is waited for: until late samples are sealed and the span compacted.
    pub(super) settle_ms: i64,
    /// The first time that is not in segments yet: spans that it lies in or before are waited for, should sealing be late.
    pub(super) unsealed_ms: i64,
    /// The age at which rollups go.
    pub(super) age_ms: i64,
}

/// A span to roll up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Job {
    /// The span's beginning, which is no part of it.
    pub(super) start_ms: i64,
    /// The span's end.
    pub(super) end_ms: i64,
    /// The paths of what it is made of.
    pub(super) inputs: Vec<String>,
    /// The segments that it replaces. Their buckets stay where the inputs have not as many samples: retention takes these at its
    /// own time, of some series sooner than of others.
    pub(super) replaces: Vec<String>,
}

/// The spans whose rollup is missing or outdated, the oldest first.
pub(super) fn decide(rules: &Rules, inputs: &[Input], done: &[Done], now_ms: i64) -> Vec<Job> {
    let mut spans: BTreeMap<i64, Vec<&Input>> = BTreeMap::new();
    for input in inputs {
        for start_ms in spans_of(input.time, rules.span_ms) {
            spans.entry(start_ms).or_default().push(input);
        }
    }
    // A sample right on the border belongs to the span that ends there. It is read with that span whoever has it; but a segment that
    // begins with one does not count for it, or each day's first would outdate the day before, unless there is no other.
    for input in inputs.iter().filter(|i| i.time.start_ms.rem_euclid(rules.span_ms) == 0) {
        let touched = spans.entry(input.time.start_ms - rules.span_ms).or_default();
        if touched.iter().all(|i| i.time.start_ms == input.time.start_ms) {
            touched.push(input);
        }
    }
    for rollup in done {
        spans.entry(rollup.start_ms).or_default();
    }
    let mut jobs = Vec::new();
    for (start_ms, inputs) in spans {
        let end_ms = start_ms + rules.span_ms;
        let settled = end_ms.saturating_add(rules.settle_ms) <= now_ms && end_ms < rules.unsealed_ms;
        let expired = end_ms < now_ms.saturating_sub(rules.age_ms);
        if !settled || expired {
            continue;
        }
        let made: Vec<&Done> = done.iter().filter(|d| d.start_ms == start_ms).collect();
        if let [one] = made[..]
            && !one.has_deleted
            && inputs.iter().all(|i| one.sources.contains(&i.path))
        {
            continue;
        }
        jobs.push(Job {
            start_ms,
            end_ms,
            inputs: inputs.iter().map(|i| i.path.clone()).collect(),
            // The others become one with it in later rounds.
            replaces: made.iter().take(COMPACTION_INPUTS).map(|d| d.path.clone()).collect(),
        });
    }
    jobs
}

/// The beginning of the span that a segment of rollups covers.
pub(super) fn span_start(t_min_ms: i64, span_ms: i64) -> i64 {
    t_min_ms.saturating_sub(1).div_euclid(span_ms) * span_ms
}

/// The beginnings of the spans that a segment has samples of. One whose statistics are lost has none: nobody knows.
pub(super) fn spans_of(time: TimeRange, span_ms: i64) -> impl Iterator<Item = i64> {
    let known = time.start_ms <= time.end_ms && time.end_ms.saturating_sub(time.start_ms) < i64::MAX;
    let first = time.start_ms.div_euclid(span_ms);
    let last = time.end_ms.saturating_sub(1).div_euclid(span_ms).max(first);
    let count = if known { last.saturating_sub(first) + 1 } else { 0 };
    (0..count.min(ROLLUP_INPUT_SPANS)).map(move |i| (first + i) * span_ms)
}

#[cfg(test)]
mod tests {
    use super::*;

    const RULES: Rules = Rules { span_ms: 100, settle_ms: 20, unsealed_ms: i64::MAX, age_ms: 1000 };

    fn input(path: &str, start_ms: i64, end_ms: i64) -> Input {
        Input { path: path.into(), time: TimeRange::new(start_ms, end_ms) }
    }

    fn done(path: &str, start_ms: i64, sources: &[&str]) -> Done {
        Done {
            path: path.into(),
            start_ms,
            sources: Arc::new(sources.iter().map(|s| (*s).to_owned()).collect()),
            has_deleted: false,
        }
    }

    fn spans(inputs: &[Input], done: &[Done], now_ms: i64) -> Vec<(i64, Vec<String>)> {
        decide(&RULES, inputs, done, now_ms).into_iter().map(|j| (j.start_ms, j.inputs)).collect()
    }

    #[test]
    fn a_span_is_rolled_up_once_it_has_settled() {
        let inputs = [input("a", 101, 149), input("b", 150, 199), input("c", 200, 260)];
        assert_eq!(spans(&inputs, &[], 219), []);
        let ab = vec!["a".to_owned(), "b".to_owned()];
        assert_eq!(spans(&inputs, &[], 220), [(100, ab.clone())]);
        assert_eq!(decide(&Rules { unsealed_ms: 200, ..RULES }, &inputs, &[], 220), []);
        assert_eq!(spans(&inputs, &[done("r", 100, &["a", "b"])], 220), []);
        assert_eq!(spans(&inputs, &[done("r", 100, &["a"])], 220), [(100, ab)]);
        assert_eq!(spans(&inputs, &[], 1201).len(), 1, "what is too old to be kept is not made");
    }

    #[test]
    fn samples_that_went_are_no_news_and_samples_that_came_are() {
        let done = [done("r", 100, &["a", "b"])];
        assert_eq!(spans(&[input("b", 150, 199)], &done, 220), []);
        let jobs = decide(&RULES, &[input("b", 150, 199), input("late", 120, 130)], &done, 220);
        assert!(jobs.len() == 1 && jobs[0].replaces == ["r"]);
    }

    #[test]
    fn a_sample_on_the_border_counts_for_the_span_before_if_nothing_else_does() {
        assert_eq!(
            spans(&[input("b", 100, 150), input("c", 160, 170)], &[], 130),
            [(0, vec!["b".to_owned()])]
        );
        let inputs = [input("a", 60, 70), input("b", 100, 150)];
        assert_eq!(spans(&inputs, &[], 130), [(0, vec!["a".to_owned()])]);
    }

    #[test]
    fn a_rollup_with_deleted_samples_is_made_again_also_when_its_samples_are_gone() {
        let deleted = |path, start_ms| Done { has_deleted: true, ..done(path, start_ms, &["a"]) };
        assert_eq!(spans(&[], &[done("r", 100, &["a"])], 220), []);
        let jobs = decide(&RULES, &[], &[deleted("r", 100), deleted("s", 200)], 250);
        assert_eq!(jobs.len(), 1, "a span that has not settled waits");
        assert_eq!(
            (jobs[0].start_ms, jobs[0].inputs.len(), &jobs[0].replaces[..]),
            (100, 0, &["r".to_owned()][..])
        );
    }

    #[test]
    fn two_rollups_of_a_span_become_one() {
        let twice = [done("r", 100, &["a"]), done("s", 100, &["a"])];
        let jobs = decide(&RULES, &[input("a", 101, 149)], &twice, 220);
        assert_eq!(jobs[0].replaces, ["r", "s"]);
    }

    #[test]
    fn a_segment_of_several_spans_counts_for_each_and_one_of_unknown_times_for_none() {
        let of = |start_ms, end_ms| spans_of(TimeRange::new(start_ms, end_ms), 100).collect::<Vec<_>>();
        assert_eq!(of(50, 250), [0, 100, 200]);
        assert_eq!(of(100, 200), [100]);
        assert_eq!(of(200, 200), [200]);
        assert!(of(i64::MIN, i64::MAX).is_empty());
        assert!(of(5, 4).is_empty());
        assert_eq!(of(0, i64::MAX / 2).len() as i64, ROLLUP_INPUT_SPANS);
    }

    #[test]
    fn a_rollups_span_is_that_of_its_first_bucket() {
        assert_eq!([span_start(1, 100), span_start(100, 100), span_start(101, 100)], [0, 0, 100]);
    }
}
