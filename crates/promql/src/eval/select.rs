//! Instant vectors: at each step the newest sample that is not older than the lookback.

use std::sync::Arc;

use base::{CounterResetHint, Histogram, is_stale};
use serde::{Deserialize, Serialize};

use super::annotation::AnnotationSet;
use super::column::{ABSENT, Histograms, is_present};
use super::plan::Window;
use super::steps::Steps;
use crate::ast::Span;
use crate::functions::extended::interpolate_histograms;
use crate::functions::windows::SameTimes;
use crate::usage::Parts;
use crate::{Columns, HistogramColumns};

/// What of the chosen sample is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Want {
    Value,
    /// Its time, in milliseconds.
    Time,
    /// When its counting began, in milliseconds; 0 if that is not known.
    Start,
}

/// What the steps see.
#[derive(Debug, Default)]
pub(crate) struct Picked {
    pub(crate) values: Vec<f64>,
    pub(crate) histograms: Histograms,
}

impl Picked {
    fn append(&mut self, later: Self) {
        if !self.histograms.is_empty() || !later.histograms.is_empty() {
            self.histograms.resize(self.values.len(), None);
            self.histograms.extend(later.histograms);
        }
        self.values.extend(later.values);
        if !self.histograms.is_empty() {
            self.histograms.resize(self.values.len(), None);
        }
    }
}

/// The newest sample in the window of each step; nothing where that one marks the series as stale.
pub(crate) fn pick(
    columns: &Columns,
    window: &Window,
    steps: Steps,
    want: Want,
    same: &mut SameTimes,
) -> Picked {
    let Some(coarse) = &columns.coarse else { return pick_samples(columns, window, steps, want, same) };
    let (before, after) = steps.split(coarse.steps(window, steps));
    let newest = Columns { histograms: columns.histograms.clone(), ..coarse.newest() };
    let mut out = pick_samples(&newest, &coarse.lookback(window, before), before, want, same);
    out.append(pick_samples(columns, window, after, want, same));
    out
}

fn pick_samples(
    columns: &Columns,
    window: &Window,
    steps: Steps,
    want: Want,
    same: &mut SameTimes,
) -> Picked {
    if !columns.histograms.is_empty() {
        return pick_mixed(columns, window, steps, want);
    }
    let times = &columns.timestamps_ms[..];
    let values = &columns.values[..times.len()];
    let windows = same.windows(times, window, steps, false);
    // The marker of staleness and absence are one bit pattern.
    let newest = |i: usize| match want {
        Want::Value => values[i],
        Want::Time if is_present(values[i]) => times[i] as f64,
        Want::Start if is_present(values[i]) => columns.starts_ms.get(i).map_or(0.0, |t| *t as f64),
        Want::Time | Want::Start => ABSENT,
    };
    Picked { values: windows.values(|_, to, _| newest(to - 1)), histograms: Histograms::new() }
}

/// As [`pick_samples`] of a series that has native histograms; the later sample counts, of either kind.
fn pick_mixed(columns: &Columns, window: &Window, steps: Steps, want: Want) -> Picked {
    let (times, histograms) = (&columns.timestamps_ms, &columns.histograms);
    let mut out = Picked { values: vec![ABSENT; steps.count], histograms: vec![None; steps.count] };
    let (mut next, mut next_histogram) = (0, 0);
    for (step, t) in steps.times().enumerate() {
        let end = window.end_ms(t);
        while next < times.len() && times[next] <= end {
            next += 1;
        }
        while next_histogram < histograms.timestamps_ms.len()
            && histograms.timestamps_ms[next_histogram] <= end
        {
            next_histogram += 1;
        }
        let is_seen = |t: i64| t > end.saturating_sub(window.range_ms);
        let float = next.checked_sub(1).filter(|i| is_seen(times[*i]));
        let histogram = next_histogram.checked_sub(1).filter(|i| {
            let t = histograms.timestamps_ms[*i];
            is_seen(t) && float.is_none_or(|f| times[f] < t)
        });
        let start = |starts: &[i64], i: usize| starts.get(i).map_or(0.0, |t| *t as f64);
        if let Some(i) = histogram {
            let h = &histograms.values[i];
            match want {
                _ if h.is_stale() => {}
                Want::Value => out.histograms[step] = Some(Arc::clone(h)),
                Want::Time => out.values[step] = histograms.timestamps_ms[i] as f64,
                Want::Start => out.values[step] = start(&histograms.starts_ms, i),
            }
        } else if let Some(i) = float.filter(|i| is_present(columns.values[*i])) {
            out.values[step] = match want {
                Want::Value => columns.values[i],
                Want::Time => times[i] as f64,
                Want::Start => start(&columns.starts_ms, i),
            };
        }
    }
    if want != Want::Value {
        out.histograms.clear();
    }
    out
}

/// Where to tell about a series.
pub(crate) struct Notes<'n> {
    pub(crate) annotations: &'n mut AnnotationSet,
    pub(crate) metric: &'n str,
    pub(crate) span: Span,
}

/// The value at each step, interpolated between the samples before and after it.
pub(crate) fn smooth(columns: &Columns, window: &Window, steps: Steps, notes: &mut Notes<'_>) -> Picked {
    let Some(coarse) = &columns.coarse else { return smooth_samples(columns, window, steps, notes) };
    let (before, after) = steps.split(coarse.steps(window, steps));
    let mut out =
        smooth_samples(&coarse.stand_in(Parts::Ends), &coarse.lookback(window, before), before, notes);
    out.append(smooth_samples(columns, window, after, notes));
    out
}

fn smooth_samples(columns: &Columns, window: &Window, steps: Steps, notes: &mut Notes<'_>) -> Picked {
    let (times, values) = (&columns.timestamps_ms[..], &columns.values[..]);
    let mut out = Vec::with_capacity(steps.count);
    let mut next = 0;
    for t in steps.times() {
        let at = window.end_ms(t);
        while next < times.len() && times[next] < at {
            next += 1;
        }
        let (before, after) = around(times, next, at, window);
        out.push(match (before, after) {
            (_, Some(i)) if times[i] == at => values[i],
            (Some(a), Some(b)) => {
                values[a] + (values[b] - values[a]) * (at - times[a]) as f64 / (times[b] - times[a]) as f64
            }
            (Some(a), None) => values[a],
            (None, _) => ABSENT,
        });
    }
    let mut out = Picked { values: out, histograms: Histograms::new() };
    if !columns.histograms.is_empty() {
        smooth_histograms(columns, window, steps, &mut out, notes);
    }
    out
}

/// The samples before and after a time that a step sees; `next` is the first that is not before it.
fn around(times: &[i64], next: usize, at: i64, window: &Window) -> (Option<usize>, Option<usize>) {
    let before = next.checked_sub(1).filter(|i| times[*i] > at.saturating_sub(window.range_ms));
    let after = (next < times.len() && times[next] <= at.saturating_add(window.after_ms)).then_some(next);
    (before, after)
}

/// Puts histograms into the steps that see any.
fn smooth_histograms(
    columns: &Columns,
    window: &Window,
    steps: Steps,
    out: &mut Picked,
    notes: &mut Notes<'_>,
) {
    let HistogramColumns { timestamps_ms: times, values, .. } = &columns.histograms;
    out.histograms = vec![None; steps.count];
    for (step, t) in steps.times().enumerate() {
        let at = window.end_ms(t);
        let (before, after) = around(times, times.partition_point(|t| *t < at), at, window);
        if before.is_none() && after.is_none() {
            continue;
        }
        let floats =
            around(&columns.timestamps_ms, columns.timestamps_ms.partition_point(|t| *t < at), at, window);
        if floats != (None, None) {
            notes.annotations.mixed_range(notes.metric, notes.span);
            out.values[step] = ABSENT;
            continue;
        }
        out.histograms[step] = match (before, after) {
            (_, Some(i)) if times[i] == at => Some(Arc::clone(&values[i])),
            (Some(a), Some(b)) => {
                let is_gauge = |h: &Histogram| h.counter_reset_hint == CounterResetHint::Gauge;
                let is_counter = !is_gauge(&values[a]) || !is_gauge(&values[b]);
                let ends = [(times[a], &*values[a]), (times[b], &*values[b])];
                interpolate_histograms(ends, at, is_counter, notes).map(Arc::new)
            }
            (Some(a), None) => {
                // A hint is about two samples, and this is not the second.
                let counter_reset_hint = CounterResetHint::Unknown;
                Some(Arc::new(Histogram { counter_reset_hint, ..(*values[a]).clone() }))
            }
            (None, _) => None,
        };
    }
}

/// Removes the markers of staleness.
pub(crate) fn drop_stale(columns: &mut Columns) {
    let h = &mut columns.histograms;
    if h.values.iter().any(|h| h.is_stale()) {
        let kept: Vec<bool> = h.values.iter().map(|h| !h.is_stale()).collect();
        retain(&mut h.timestamps_ms, &kept);
        retain(&mut h.values, &kept);
        retain(&mut h.starts_ms, &kept);
    }
    let Some(first) = columns.values.iter().position(|v| is_stale(*v)) else { return };
    if !columns.starts_ms.is_empty() {
        let kept: Vec<bool> = columns.values.iter().map(|v| !is_stale(*v)).collect();
        retain(&mut columns.starts_ms, &kept);
    }
    let mut kept = first;
    for i in first + 1..columns.values.len() {
        if !is_stale(columns.values[i]) {
            columns.values[kept] = columns.values[i];
            columns.timestamps_ms[kept] = columns.timestamps_ms[i];
            kept += 1;
        }
    }
    columns.values.truncate(kept);
    columns.timestamps_ms.truncate(kept);
}

fn retain<T>(column: &mut Vec<T>, kept: &[bool]) {
    let mut kept = kept.iter();
    column.retain(|_| kept.next().copied().unwrap_or(false));
}

#[cfg(test)]
mod tests {
    use base::STALE_NAN;

    use super::*;

    fn columns(samples: &[(i64, f64)]) -> Columns {
        Columns {
            timestamps_ms: samples.iter().map(|s| s.0).collect(),
            values: samples.iter().map(|s| s.1).collect(),
            ..Columns::default()
        }
    }

    const WINDOW: Window = Window { range_ms: 300, offset_ms: 0, at_ms: None, before_ms: 0, after_ms: 0 };

    #[test]
    fn a_sample_exactly_as_old_as_the_lookback_is_gone() {
        let c = columns(&[(0, 1.0)]);
        let out =
            pick(&c, &WINDOW, Steps::between(299, 300, 1), Want::Value, &mut SameTimes::default()).values;
        assert_eq!((out[0], is_present(out[1])), (1.0, false));
    }

    #[test]
    fn a_stale_marker_ends_the_series() {
        let c = columns(&[(0, 1.0), (10, f64::from_bits(STALE_NAN)), (20, 3.0)]);
        let out = pick(&c, &WINDOW, Steps::between(0, 20, 10), Want::Value, &mut SameTimes::default()).values;
        assert_eq!((out[0], is_present(out[1]), out[2]), (1.0, false, 3.0));
        let out = pick(&c, &WINDOW, Steps::between(0, 20, 10), Want::Time, &mut SameTimes::default()).values;
        assert_eq!((out[0], is_present(out[1]), out[2]), (0.0, false, 20.0));
        let mut c = c;
        drop_stale(&mut c);
        assert_eq!(c, columns(&[(0, 1.0), (20, 3.0)]));
    }

    #[test]
    fn smoothing_interpolates_and_carries_forward() {
        let c = columns(&[(10, 1.0), (20, 3.0)]);
        let window = Window { after_ms: 300, ..WINDOW };
        let mut annotations = AnnotationSet::default();
        let mut notes = Notes { annotations: &mut annotations, metric: "x", span: Span::default() };
        let out = smooth(&c, &window, Steps::between(5, 25, 5), &mut notes).values;
        assert!(!is_present(out[0]));
        assert_eq!(out[1..], [1.0, 2.0, 3.0, 3.0]);
    }

    #[test]
    fn the_later_of_float_and_histogram_counts() {
        let histogram = |sum| Arc::new(Histogram { sum, ..Histogram::default() });
        let mut c = columns(&[(0, 1.0), (20, 3.0)]);
        c.histograms.timestamps_ms = vec![10, 30, 40];
        c.histograms.values = vec![histogram(1.0), histogram(2.0), Arc::new(Histogram::stale())];
        let out = pick(&c, &WINDOW, Steps::between(0, 40, 10), Want::Value, &mut SameTimes::default());
        assert_eq!((out.values[0], out.values[2]), (1.0, 3.0));
        let sums: Vec<_> = out.histograms.iter().map(|h| h.as_ref().map(|h| h.sum)).collect();
        assert_eq!(sums, [None, Some(1.0), None, Some(2.0), None]);
        let times = pick(&c, &WINDOW, Steps::between(0, 30, 10), Want::Time, &mut SameTimes::default());
        assert_eq!(times.values, [0.0, 10.0, 20.0, 30.0]);
        drop_stale(&mut c);
        assert_eq!(c.histograms.timestamps_ms, [10, 30]);
    }
}
