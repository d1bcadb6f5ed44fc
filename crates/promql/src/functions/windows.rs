//! Where the windows of all steps begin and end among the samples of a series.
//!
//! The series of one target are sampled at the same times, so that what is found for one of them holds for those after it: the next
//! series costs a comparison of its times instead of a search per step. Owns finding and keeping; what is done with the samples of a
//! window is the functions' business.

use std::cell::OnceCell;
use std::ops::Range;

use super::rate::Reach;
use super::rollup::Rolled;
use crate::eval::column::{ABSENT, Histograms};
use crate::eval::plan::Window;
use crate::eval::steps::Steps;
use crate::eval::tally::{StepTally, Tally};

/// The windows of all steps.
#[derive(Debug)]
pub(crate) struct Windows {
    /// Number of steps, and the first whose window has a sample.
    steps: usize,
    first: usize,
    /// From that one to the last whose window has a sample, the first sample and the end (excluded).
    ends: Vec<(usize, usize)>,
    /// The lengths of all windows.
    pub(crate) tally: Tally,
    /// Length of the longest window.
    pub(crate) widest: u64,
    /// How far differences reach in these steps, for a rate and not, once a function has asked.
    reaches: [OnceCell<Vec<Reach>>; 2],
}

impl Windows {
    /// Both ends of the window are indexes that only move forward, so a series costs its samples once, and no step before or after them.
    pub(crate) fn of(times: &[i64], window: &Window, steps: Steps, counts_steps: bool) -> Self {
        let bounds = |step: usize| window.bounds(steps.at(step));
        let (first, end) = match times {
            [] => (0, 0),
            [first_ms, ..] => {
                let last_ms = times[times.len() - 1];
                let first = steps.partition_point(|step| bounds(step).1 < *first_ms);
                (first, steps.partition_point(|step| bounds(step).0 < last_ms).max(first))
            }
        };
        let mut ends = Vec::with_capacity(end - first);
        let (mut tally, mut widest) = (Tally::of_steps(if counts_steps { steps.count } else { 0 }), 0);
        let (mut from, mut to) = (0, 0);
        let (mut open, mut close) = bounds(first);
        let advance_ms = if window.at_ms.is_some() { 0 } else { steps.step_ms };
        // Unless the ends of time are met, each window is as much later than the one before.
        let way_ms = advance_ms.wrapping_mul(end.saturating_sub(first + 1) as i64);
        let is_even = open > i64::MIN
            && close < i64::MAX
            && bounds(end.saturating_sub(1)) == (open.wrapping_add(way_ms), close.wrapping_add(way_ms));
        for step in first..end {
            if step > first {
                (open, close) = if is_even { (open + advance_ms, close + advance_ms) } else { bounds(step) };
            }
            while from < times.len() && times[from] <= open {
                from += 1;
            }
            to = to.max(from);
            let seen = to;
            while to < times.len() && times[to] <= close {
                to += 1;
            }
            let (used, read) = ((to - from) as u64, (to - seen) as u64);
            tally.used += used;
            tally.read += read;
            if let Some(at) = tally.steps.get_mut(step) {
                *at = StepTally { used, read };
            }
            widest = widest.max(used);
            ends.push((from, to));
        }
        Self { steps: steps.count, first, ends, tally, widest, reaches: Default::default() }
    }

    /// The windows of a series that has only these of the samples.
    fn within(&self, samples: Range<usize>) -> Self {
        let begin = self.ends.partition_point(|(_, to)| *to <= samples.start);
        let end = self.ends.partition_point(|(from, _)| *from < samples.end).max(begin);
        let (first, counts_steps) = (self.first + begin, self.tally.counts_steps());
        let mut tally = Tally::of_steps(if counts_steps { self.steps } else { 0 });
        let (mut widest, mut seen) = (0, samples.start);
        let clipped = self.ends[begin..end].iter().enumerate().map(|(at, (from, to))| {
            let (from, to) = ((*from).max(samples.start), (*to).min(samples.end));
            let (used, read) = ((to - from) as u64, (to - from.max(seen)) as u64);
            seen = to;
            tally.used += used;
            tally.read += read;
            if let Some(at) = tally.steps.get_mut(first + at) {
                *at = StepTally { used, read };
            }
            widest = widest.max(used);
            (from - samples.start, to - samples.start)
        });
        let ends = clipped.collect();
        Self { steps: self.steps, first, ends, tally, widest, reaches: Default::default() }
    }

    /// A value by step: what `f` makes of the first sample and the end (excluded) of its window; absent where that has no sample.
    #[inline]
    pub(crate) fn values(&self, mut f: impl FnMut(usize, usize, usize) -> f64) -> Vec<f64> {
        let mut values = Vec::with_capacity(self.steps);
        values.resize(self.first, ABSENT);
        let value = |(at, (from, to)): (usize, &(usize, usize))| {
            if from == to { ABSENT } else { f(*from, *to, self.first + at) }
        };
        values.extend(self.ends.iter().enumerate().map(value));
        values.resize(self.steps, ABSENT);
        values
    }

    /// Calls `f` for each step whose window has samples, with first, end (excluded) and step.
    #[inline]
    pub(crate) fn map(&self, f: impl FnMut(usize, usize, usize) -> f64) -> Rolled {
        let values = self.values(f);
        Rolled { values, histograms: Histograms::new(), tally: self.tally.clone(), widest: self.widest }
    }

    /// How far differences reach, beginning with the first step that has samples; `of` tells of one step whose window has at least two.
    pub(crate) fn reaches(&self, is_rate: bool, of: impl Fn(usize, usize, usize) -> Reach) -> Reaches<'_> {
        let reaches = self.reaches[usize::from(is_rate)].get_or_init(|| {
            let reach = |(at, (from, to)): (usize, &(usize, usize))| {
                if to - from < 2 { Reach::default() } else { of(*from, *to, self.first + at) }
            };
            self.ends.iter().enumerate().map(reach).collect()
        });
        Reaches { first: self.first, reaches }
    }
}

/// How far differences reach by step.
pub(crate) struct Reaches<'a> {
    first: usize,
    reaches: &'a [Reach],
}

impl Reaches<'_> {
    /// That of a step whose window has samples.
    #[inline]
    pub(crate) fn of(&self, step: usize) -> &Reach {
        &self.reaches[step - self.first]
    }
}

/// The windows of series before, for those sampled at the same times, or at some of them in a row: a target's series begin and end by
/// themselves.
#[derive(Debug, Default)]
pub(crate) struct SameTimes {
    /// Of a series whose windows were found by themselves.
    whole: Option<Known>,
    /// Of a part of its samples.
    part: Option<Known>,
}

#[derive(Debug)]
struct Known {
    times: Vec<i64>,
    window: Window,
    steps: Steps,
    counts_steps: bool,
    windows: Windows,
}

impl SameTimes {
    /// The windows of a series.
    pub(crate) fn windows(
        &mut self,
        times: &[i64],
        window: &Window,
        steps: Steps,
        counts_steps: bool,
    ) -> &Windows {
        let fits = |k: &Known| k.steps == steps && k.counts_steps == counts_steps && k.window == *window;
        let known = |windows| Known { times: times.to_vec(), window: *window, steps, counts_steps, windows };
        let of_whole = self.whole.as_ref().filter(|whole| fits(whole)).and_then(|whole| {
            let first = whole.times.partition_point(|t| Some(t) < times.first());
            (whole.times.get(first..first + times.len())? == times).then_some((whole, first))
        });
        match of_whole {
            Some((whole, _)) if whole.times.len() == times.len() => {}
            Some((whole, first)) => {
                let is_same = |part: &Known| fits(part) && part.times == times;
                let part = self.part.take().filter(is_same);
                let part = part.unwrap_or_else(|| known(whole.windows.within(first..first + times.len())));
                return &self.part.insert(part).windows;
            }
            None => self.whole = None,
        }
        let whole = self.whole.take();
        let whole = whole.unwrap_or_else(|| known(Windows::of(times, window, steps, counts_steps)));
        &self.whole.insert(whole).windows
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const WINDOW: Window = Window { range_ms: 20, offset_ms: 0, at_ms: None, before_ms: 0, after_ms: 0 };

    fn ends(windows: &Windows) -> Vec<(usize, usize)> {
        let mut ends = vec![(0, 0); windows.steps];
        windows.values(|from, to, step| {
            ends[step] = (from, to);
            0.0
        });
        ends
    }

    #[test]
    fn steps_before_and_after_all_samples_have_none() {
        let steps = Steps::between(0, 100, 10);
        let windows = Windows::of(&[40, 41, 60], &WINDOW, steps, true);
        let seen = [(0, 0), (0, 0), (0, 0), (0, 0), (0, 1), (0, 2), (1, 3), (2, 3), (0, 0), (0, 0), (0, 0)];
        assert_eq!(ends(&windows), seen);
        let read: Vec<u64> = windows.tally.steps.iter().map(|s| s.read).collect();
        assert_eq!(read, [0, 0, 0, 0, 1, 1, 1, 0, 0, 0, 0]);
        assert_eq!((windows.tally.used, windows.tally.read, windows.widest), (6, 3, 2));
        assert_eq!(windows.values(|_, _, _| 1.0).len(), 11);
        // A fixed time is the same for all steps.
        let fixed = Window { at_ms: Some(50), ..WINDOW };
        assert_eq!(ends(&Windows::of(&[40, 41, 60], &fixed, steps, false)), [(0, 2); 11]);
        assert_eq!(ends(&Windows::of(&[10, 60], &fixed, steps, false)), [(0, 0); 11]);
        assert_eq!(ends(&Windows::of(&[], &WINDOW, steps, false)), [(0, 0); 11]);
        assert_eq!(ends(&Windows::of(&[500], &WINDOW, steps, false)), [(0, 0); 11]);
        assert_eq!(ends(&Windows::of(&[-500], &WINDOW, steps, false)), [(0, 0); 11]);
    }

    /// What there is to know of windows.
    fn facts(w: &Windows) -> (Vec<(usize, usize)>, &Tally, u64) {
        (ends(w), &w.tally, w.widest)
    }

    proptest! {
        #[test]
        fn windows_of_a_part_are_those_of_its_samples(
            gaps in prop::collection::vec(1i64..30, 0..60),
            (cut, length) in (0usize..60, 0usize..60),
            (range_ms, step_ms, count) in (1i64..100, 1i64..40, 0usize..60),
            (at_ms, counts_steps) in (prop::option::of(0i64..500), any::<bool>()),
        ) {
            let times: Vec<i64> = gaps.iter().scan(0, |t, gap| { *t += gap; Some(*t) }).collect();
            let first = cut.min(times.len());
            let part = &times[first..(first + length).min(times.len())];
            let (window, steps) = (Window { range_ms, at_ms, ..WINDOW }, Steps { start_ms: 0, step_ms, count });
            let mut same = SameTimes::default();
            for times in [&times[..], part, part, &times[..]] {
                let want = Windows::of(times, &window, steps, counts_steps);
                let got = same.windows(times, &window, steps, counts_steps);
                prop_assert_eq!(facts(got), facts(&want));
            }
        }
    }

    #[test]
    fn what_is_known_is_found_but_once() {
        let steps = Steps::between(0, 100, 10);
        let (mut same, times) = (SameTimes::default(), [0, 10, 20, 30]);
        let mut is_known = |times: &[i64]| {
            let windows = same.windows(times, &WINDOW, steps, false);
            let was_seen = windows.reaches[0].get().is_some();
            windows.reaches(false, |_, _, _| Reach::default());
            was_seen
        };
        assert!(!is_known(&times) && is_known(&times));
        assert!(!is_known(&times[1..3]) && is_known(&times[1..3]));
        assert!(is_known(&times) && is_known(&times[1..3]), "a part does not replace the whole");
        assert!(!is_known(&times[1..]) && !is_known(&times[1..3]), "one part is kept");
        assert!(!is_known(&[5, 10]) && is_known(&[5, 10]) && !is_known(&times));
    }

    #[test]
    fn windows_are_found_anew_for_other_times_steps_and_ranges() {
        let steps = Steps::between(0, 40, 10);
        let mut same = SameTimes::default();
        let mut seen = |times: &[i64], window: &Window, steps, counts| {
            let found = same.windows(times, window, steps, counts);
            assert_eq!(found.tally.counts_steps(), counts);
            let anew = Windows::of(times, window, steps, counts);
            assert_eq!(facts(found), facts(&anew));
            ends(found)
        };
        let first = seen(&[0, 10, 20], &WINDOW, steps, false);
        assert_eq!(first, [(0, 1), (0, 2), (1, 3), (2, 3), (0, 0)]);
        assert_eq!(seen(&[0, 10, 20], &WINDOW, steps, false), first);
        assert_eq!(seen(&[0, 10, 21], &WINDOW, steps, false)[2], (1, 2));
        assert_eq!(seen(&[0, 10], &WINDOW, steps, false)[2], (1, 2));
        assert_eq!(seen(&[0, 10], &Window { range_ms: 10, ..WINDOW }, steps, false)[1], (1, 2));
        assert_eq!(seen(&[0, 10], &WINDOW, Steps::between(10, 40, 10), false)[0], (0, 2));
        assert_eq!(seen(&[0, 10], &WINDOW, steps, true)[0], (0, 1));
    }
}
