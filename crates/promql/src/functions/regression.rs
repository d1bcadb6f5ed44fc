//! Trends of a series: `deriv`, `predict_linear`, `double_exponential_smoothing`.

use base::{Error, Result};

use super::rollup::{Rolled, Series};
use crate::eval::column::ABSENT;
use crate::number::kahan_add;

/// `deriv`: the slope of the line through the samples.
pub(crate) fn deriv(series: &Series<'_>) -> Rolled {
    series.slide(|from, to, _| {
        if to - from < 2 {
            return ABSENT;
        }
        line(&series.times[from..to], &series.values[from..to], series.times[from]).0
    })
}

/// `predict_linear`: where that line is some seconds after the step.
pub(crate) fn predict_linear(series: &Series<'_>, seconds: &[f64]) -> Rolled {
    series.slide(|from, to, step| {
        if to - from < 2 {
            return ABSENT;
        }
        let t_ms = series.steps.at(step);
        let (slope, intercept) = line(&series.times[from..to], &series.values[from..to], t_ms);
        slope * seconds[step] + intercept
    })
}

/// The least-squares line through the samples: its slope per second, and its value at `origin_ms`.
fn line(times: &[i64], values: &[f64], origin_ms: i64) -> (f64, f64) {
    if values.iter().all(|v| *v == values[0]) {
        return if values[0].is_infinite() { (f64::NAN, f64::NAN) } else { (0.0, values[0]) };
    }
    let mut sums = [(0.0, 0.0); 4];
    for (t, y) in times.iter().zip(values) {
        let x = (t - origin_ms) as f64 / 1000.0;
        for ((sum, compensation), v) in sums.iter_mut().zip([x, *y, x * y, x * x]) {
            (*sum, *compensation) = kahan_add(v, *sum, *compensation);
        }
    }
    let n = values.len() as f64;
    let [x, y, xy, xx] = sums.map(|(sum, compensation)| sum + compensation);
    let slope = (xy - x * y / n) / (xx - x * x / n);
    (slope, y / n - slope * x / n)
}

/// `double_exponential_smoothing`, with the smoothing and the trend factor per step.
pub(crate) fn double_exponential_smoothing(
    series: &Series<'_>,
    smoothing: &[f64],
    trend: &[f64],
) -> Result<Rolled> {
    let mut failed = None;
    let rolled = series.slide(|from, to, step| {
        let (sf, tf) = (smoothing[step], trend[step]);
        for (what, symbol, v) in [("smoothing", "sf", sf), ("trend", "tf", tf)] {
            if v <= 0.0 || v >= 1.0 {
                failed.get_or_insert_with(|| {
                    Error::invalid(format!("invalid {what} factor. Expected: 0 < {symbol} < 1, got: {v:.6}"))
                });
                return ABSENT;
            }
        }
        if to - from < 2 { ABSENT } else { smooth(&series.values[from..to], sf, tf) }
    });
    failed.map_or(Ok(rolled), Err)
}

fn smooth(values: &[f64], smoothing: f64, trend_factor: f64) -> f64 {
    let (mut before, mut level, mut trend) = (0.0, values[0], values[1] - values[0]);
    for (i, v) in values.iter().enumerate().skip(1) {
        if i > 1 {
            trend = trend_factor * (level - before) + (1.0 - trend_factor) * trend;
        }
        let next = smoothing * v + (1.0 - smoothing) * (level + trend);
        (before, level) = (level, next);
    }
    level
}

#[cfg(test)]
mod tests {
    use super::super::rollup::roll_seconds;
    use super::*;
    use crate::eval::column::is_present;

    #[test]
    fn a_straight_line_is_found() {
        let out = roll_seconds(&[1.0, 3.0, 5.0], 9000, deriv);
        assert!(!is_present(out[0]));
        assert_eq!(out[1..], [2.0, 2.0]);
        let out = roll_seconds(&[1.0, 3.0, 5.0], 9000, |s| predict_linear(s, &[10.0; 3]));
        assert_eq!(out[2], 25.0);
    }

    #[test]
    fn smoothing_refuses_factors_out_of_range() {
        roll_seconds(&[1.0, 2.0], 9000, |s| {
            let e = double_exponential_smoothing(s, &[0.5; 2], &[1.5; 2]).err().unwrap();
            assert_eq!(e.message(), "invalid trend factor. Expected: 0 < tf < 1, got: 1.500000");
            double_exponential_smoothing(s, &[0.5; 2], &[0.5; 2]).unwrap()
        });
        assert_eq!(smooth(&[1.0, 2.0, 3.0], 0.5, 0.5), 3.0);
    }
}
