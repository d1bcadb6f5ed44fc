//! Where the windows of all steps begin and end among the samples of a series.
//!
//! The series of one target are sampled at the same times, so that what is found for one of them holds for those after it: the next
//! series costs a comparison of its times instead of a search per step. Owns finding and keeping; what is done with the samples of a
//! window is the functions' business.

use std::cell::OnceCell;

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

/// The windows of the series before, for those sampled at the same times.
#[derive(Debug, Default)]
pub(crate) struct SameTimes {
    known: Option<Known>,
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
        let holds = |k: &Known| {
            k.steps == steps && k.counts_steps == counts_steps && k.window == *window && k.times == times
        };
        let kept = self.known.take().filter(holds);
        let known = kept.unwrap_or_else(|| Known {
            times: times.to_vec(),
            window: *window,
            steps,
            counts_steps,
            windows: Windows::of(times, window, steps, counts_steps),
        });
        &self.known.insert(known).windows
    }
}

#[cfg(test)]
mod tests {
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

    #[test]
    fn windows_are_found_anew_for_other_times_steps_and_ranges() {
        let steps = Steps::between(0, 40, 10);
        let mut same = SameTimes::default();
        let mut seen = |times: &[i64], window: &Window, steps, counts| {
            let found = same.windows(times, window, steps, counts);
            assert_eq!(found.tally.counts_steps(), counts);
            let anew = Windows::of(times, window, steps, counts);
            assert_eq!((ends(found), &found.tally, found.widest), (ends(&anew), &anew.tally, anew.widest));
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
