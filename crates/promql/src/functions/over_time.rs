//! Aggregation over time: `*_over_time`.

use std::collections::VecDeque;

use base::{Error, Result};

use super::prefix::PrefixSums;
use super::rollup::{Rolled, Series};
use crate::Function;
use crate::number::{self, kahan_add};

/// Evaluates a `*_over_time` function without numbers.
pub(crate) fn roll(function: Function, series: &Series<'_>) -> Result<Rolled> {
    let (times, values) = (series.times, series.values);
    Ok(match function {
        Function::SumOverTime => match PrefixSums::of(series) {
            Some(prefixes) => series.slide(|from, to, _| prefixes.sum(from, to).0),
            None => series.slide(|from, to, _| sum(&values[from..to])),
        },
        Function::AvgOverTime => match PrefixSums::of(series) {
            Some(prefixes) => series.slide(|from, to, _| {
                let ((sum, rest), count) = (prefixes.sum(from, to), (to - from) as f64);
                sum / count + rest / count
            }),
            None => series.slide(|from, to, _| average(&values[from..to])),
        },
        Function::CountOverTime => series.slide(|from, to, _| (to - from) as f64),
        Function::PresentOverTime | Function::AbsentOverTime => series.slide(|_, _, _| 1.0),
        Function::FirstOverTime => series.slide(|from, _, _| values[from]),
        Function::LastOverTime => series.slide(|_, to, _| values[to - 1]),
        Function::MaxOverTime => extreme(series, |candidate, best| candidate >= best),
        Function::MinOverTime => extreme(series, |candidate, best| candidate <= best),
        Function::StddevOverTime => series.slide(|from, to, _| variance(&values[from..to]).sqrt()),
        Function::StdvarOverTime => series.slide(|from, to, _| variance(&values[from..to])),
        Function::MadOverTime => {
            let mut scratch = Vec::new();
            series.slide(|from, to, _| median_deviation(&values[from..to], &mut scratch))
        }
        Function::TsOfFirstOverTime => series.slide(|from, _, _| times[from] as f64 / 1000.0),
        Function::TsOfLastOverTime => series.slide(|_, to, _| times[to - 1] as f64 / 1000.0),
        Function::TsOfMaxOverTime => {
            series.slide(|from, to, _| time_of(&times[from..to], &values[from..to], |v, best| v >= best))
        }
        Function::TsOfMinOverTime => {
            series.slide(|from, to, _| time_of(&times[from..to], &values[from..to], |v, best| v <= best))
        }
        other => {
            return Err(Error::internal(format!("cannot evaluate {}() over a range", other.name())));
        }
    })
}

/// `quantile_over_time`, and the quantiles asked for that are not between 0 and 1.
pub(crate) fn quantile(series: &Series<'_>, quantiles: &[f64]) -> (Rolled, Vec<f64>) {
    let mut scratch = Vec::new();
    let mut invalid: Vec<f64> = Vec::new();
    let rolled = series.slide(|from, to, step| {
        let q = quantiles[step];
        if !(0.0..=1.0).contains(&q) && invalid.last().is_none_or(|last| last.to_bits() != q.to_bits()) {
            invalid.push(q);
        }
        scratch.clear();
        scratch.extend_from_slice(&series.values[from..to]);
        number::quantile(q, &mut scratch)
    });
    (rolled, invalid)
}

fn sum(values: &[f64]) -> f64 {
    let (sum, compensation) = values.iter().fold((0.0, 0.0), |(s, c), v| kahan_add(*v, s, c));
    if sum.is_infinite() { sum } else { sum + compensation }
}

/// The mean; computed from the sum unless that overflows, and incrementally from there on.
fn average(values: &[f64]) -> f64 {
    let (mut sum, mut compensation, mut mean) = (values[0], 0.0, None);
    let mut count = 1.0;
    for v in &values[1..] {
        count += 1.0;
        let so_far = match mean {
            Some(mean) => mean,
            None => {
                let (new_sum, new_compensation) = kahan_add(*v, sum, compensation);
                if !new_sum.is_infinite() {
                    (sum, compensation) = (new_sum, new_compensation);
                    continue;
                }
                compensation /= count - 1.0;
                sum / (count - 1.0)
            }
        };
        let share = (count - 1.0) / count;
        let (new_mean, new_compensation) = kahan_add(v / count, share * so_far, share * compensation);
        (mean, compensation) = (Some(new_mean), new_compensation);
    }
    mean.map_or_else(|| sum / count + compensation / count, |mean| mean + compensation)
}

fn variance(values: &[f64]) -> f64 {
    let (mut mean, mut mean_c, mut aux, mut aux_c, mut count) = (0.0, 0.0, 0.0, 0.0, 0.0);
    for v in values {
        count += 1.0;
        let delta = v - (mean + mean_c);
        (mean, mean_c) = kahan_add(delta / count, mean, mean_c);
        (aux, aux_c) = kahan_add(delta * (v - (mean + mean_c)), aux, aux_c);
    }
    (aux + aux_c) / count
}

fn median_deviation(values: &[f64], scratch: &mut Vec<f64>) -> f64 {
    if values.iter().any(|v| v.is_nan()) {
        return f64::NAN;
    }
    scratch.clear();
    scratch.extend_from_slice(values);
    let median = number::quantile(0.5, scratch);
    scratch.iter_mut().for_each(|v| *v = (*v - median).abs());
    number::quantile(0.5, scratch)
}

/// Minimum or maximum of each window in constant time per sample: of the samples in the window those are kept that no
/// later one supersedes. NaN never is an extreme unless there is nothing else.
fn extreme(series: &Series<'_>, supersedes: fn(f64, f64) -> bool) -> Rolled {
    let values = series.values;
    let mut candidates: VecDeque<usize> = VecDeque::new();
    let mut next = 0;
    series.slide(|from, to, _| {
        next = next.max(from);
        while next < to {
            if !values[next].is_nan() {
                while candidates.back().is_some_and(|c| supersedes(values[next], values[*c])) {
                    candidates.pop_back();
                }
                candidates.push_back(next);
            }
            next += 1;
        }
        while candidates.front().is_some_and(|c| *c < from) {
            candidates.pop_front();
        }
        candidates.front().map_or(f64::NAN, |c| values[*c])
    })
}

/// Time in seconds of the last extreme.
fn time_of(times: &[i64], values: &[f64], supersedes: fn(f64, f64) -> bool) -> f64 {
    let mut best = 0;
    for i in 1..values.len() {
        if supersedes(values[i], values[best]) || values[best].is_nan() {
            best = i;
        }
    }
    times[best] as f64 / 1000.0
}

#[cfg(test)]
mod tests {
    use super::super::rollup::roll_seconds;
    use super::*;

    fn over(function: Function, values: &[f64], range_s: i64) -> Vec<f64> {
        roll_seconds(values, range_s * 1000, |s| roll(function, s).unwrap())
    }

    #[test]
    fn extremes_follow_the_window() {
        let v = [3.0, 1.0, f64::NAN, 2.0, 2.0];
        assert_eq!(over(Function::MaxOverTime, &v, 2), [3.0, 3.0, 1.0, 2.0, 2.0]);
        assert_eq!(over(Function::MinOverTime, &v, 3), [3.0, 1.0, 1.0, 1.0, 2.0]);
        assert!(over(Function::MinOverTime, &[f64::NAN], 3)[0].is_nan());
        assert_eq!(over(Function::TsOfMaxOverTime, &v, 9)[4], 1.0);
        assert_eq!(over(Function::TsOfMinOverTime, &v[3..], 9)[1], 2.0);
    }

    #[test]
    fn means_do_not_overflow() {
        assert_eq!(average(&[f64::MAX, f64::MAX]), f64::MAX);
        assert_eq!(average(&[1.0, 2.0, 6.0]), 3.0);
        assert_eq!(sum(&[f64::INFINITY, 1.0]), f64::INFINITY);
    }

    #[test]
    fn deviations() {
        assert_eq!(variance(&[2.0, 4.0, 4.0, 4.0, 5.0, 5.0, 7.0, 9.0]), 4.0);
        assert_eq!(median_deviation(&[4.0, 6.0, 2.0, 1.0, 999.0, 1.0, 2.0], &mut Vec::new()), 1.0);
    }
}
