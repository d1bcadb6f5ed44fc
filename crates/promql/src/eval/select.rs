//! Instant vectors: at each step the newest sample that is not older than the lookback.

use base::{Result, is_stale};

use super::column::{ABSENT, Column, is_present};
use super::evaluator::{Evaluator, Sink};
use super::plan::{Selector, Window};
use super::steps::Steps;
use crate::Columns;
use crate::usage::Parts;

/// What of the chosen sample is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Want {
    Value,
    /// Its time, in milliseconds.
    Time,
}

/// Hands out the columns of a selector.
pub(crate) fn stream(
    ev: &mut Evaluator<'_>,
    selector: &Selector<'_>,
    steps: Steps,
    sink: &mut Sink<'_>,
) -> Result<()> {
    let smoothed = selector.ast.smoothed;
    ev.read(selector.selection, &mut |ev, labels, columns| {
        let values = if smoothed {
            drop_stale(columns);
            smooth(columns, &selector.window, steps)
        } else {
            pick(columns, &selector.window, steps, Want::Value)
        };
        let column = Column { labels, drop_name: false, values };
        let present = column.count_present();
        if present == 0 {
            return Ok(());
        }
        ev.count_used(present as u64);
        sink(ev, column)
    })
}

/// The newest sample in the window of each step; nothing where that one marks the series as stale.
pub(crate) fn pick(columns: &Columns, window: &Window, steps: Steps, want: Want) -> Vec<f64> {
    let Some(coarse) = &columns.coarse else { return pick_samples(columns, window, steps, want) };
    let (before, after) = steps.split(coarse.steps(window, steps));
    let mut out = pick_samples(&coarse.newest(), &coarse.lookback(window, before), before, want);
    out.extend(pick_samples(columns, window, after, want));
    out
}

fn pick_samples(columns: &Columns, window: &Window, steps: Steps, want: Want) -> Vec<f64> {
    let times = &columns.timestamps_ms[..];
    let values = &columns.values[..times.len()];
    let mut out = Vec::with_capacity(steps.count);
    let mut next = 0;
    for t in steps.times() {
        let end = window.end_ms(t);
        while next < times.len() && times[next] <= end {
            next += 1;
        }
        // The marker of staleness and absence are one bit pattern.
        out.push(match next.checked_sub(1) {
            Some(i) if times[i] > end.saturating_sub(window.range_ms) => match want {
                Want::Value => values[i],
                Want::Time if is_present(values[i]) => times[i] as f64,
                Want::Time => ABSENT,
            },
            _ => ABSENT,
        });
    }
    out
}

/// The value at each step, interpolated between the samples before and after it.
fn smooth(columns: &Columns, window: &Window, steps: Steps) -> Vec<f64> {
    let Some(coarse) = &columns.coarse else { return smooth_samples(columns, window, steps) };
    let (before, after) = steps.split(coarse.steps(window, steps));
    let mut out = smooth_samples(&coarse.stand_in(Parts::Ends), &coarse.lookback(window, before), before);
    out.extend(smooth_samples(columns, window, after));
    out
}

fn smooth_samples(columns: &Columns, window: &Window, steps: Steps) -> Vec<f64> {
    let (times, values) = (&columns.timestamps_ms[..], &columns.values[..]);
    let mut out = Vec::with_capacity(steps.count);
    let mut next = 0;
    for t in steps.times() {
        let at = window.end_ms(t);
        while next < times.len() && times[next] < at {
            next += 1;
        }
        let before = next.checked_sub(1).filter(|i| times[*i] > at.saturating_sub(window.range_ms));
        let after = (next < times.len() && times[next] <= at.saturating_add(window.after_ms)).then_some(next);
        out.push(match (before, after) {
            (_, Some(i)) if times[i] == at => values[i],
            (Some(a), Some(b)) => {
                values[a] + (values[b] - values[a]) * (at - times[a]) as f64 / (times[b] - times[a]) as f64
            }
            (Some(a), None) => values[a],
            (None, _) => ABSENT,
        });
    }
    out
}

/// Removes the markers of staleness.
pub(crate) fn drop_stale(columns: &mut Columns) {
    let Some(first) = columns.values.iter().position(|v| is_stale(*v)) else { return };
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

#[cfg(test)]
mod tests {
    use base::STALE_NAN;

    use super::*;

    fn columns(samples: &[(i64, f64)]) -> Columns {
        Columns {
            timestamps_ms: samples.iter().map(|s| s.0).collect(),
            values: samples.iter().map(|s| s.1).collect(),
            coarse: None,
        }
    }

    const WINDOW: Window = Window { range_ms: 300, offset_ms: 0, at_ms: None, before_ms: 0, after_ms: 0 };

    #[test]
    fn a_sample_exactly_as_old_as_the_lookback_is_gone() {
        let c = columns(&[(0, 1.0)]);
        let out = pick(&c, &WINDOW, Steps::between(299, 300, 1), Want::Value);
        assert_eq!((out[0], is_present(out[1])), (1.0, false));
    }

    #[test]
    fn a_stale_marker_ends_the_series() {
        let c = columns(&[(0, 1.0), (10, f64::from_bits(STALE_NAN)), (20, 3.0)]);
        let out = pick(&c, &WINDOW, Steps::between(0, 20, 10), Want::Value);
        assert_eq!((out[0], is_present(out[1]), out[2]), (1.0, false, 3.0));
        let out = pick(&c, &WINDOW, Steps::between(0, 20, 10), Want::Time);
        assert_eq!((out[0], is_present(out[1]), out[2]), (0.0, false, 20.0));
        let mut c = c;
        drop_stale(&mut c);
        assert_eq!(c, columns(&[(0, 1.0), (20, 3.0)]));
    }

    #[test]
    fn smoothing_interpolates_and_carries_forward() {
        let c = columns(&[(10, 1.0), (20, 3.0)]);
        let window = Window { after_ms: 300, ..WINDOW };
        let out = smooth(&c, &window, Steps::between(5, 25, 5));
        assert!(!is_present(out[0]));
        assert_eq!(out[1..], [1.0, 2.0, 3.0, 3.0]);
    }
}
