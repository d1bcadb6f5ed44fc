//! Range functions over buckets instead of samples.
//!
//! Over windows of whole buckets the results are those of the samples: exactly, but for sums that are added up in another order.
//! Other windows are widened to whole buckets, and what grows with the window is scaled back.

use super::over_time;
use super::rate::Ends;
use super::rollup::{Rolled, Series};
use crate::eval::column::ABSENT;
use crate::eval::plan::Window;
use crate::eval::steps::Steps;
use crate::number::kahan_add;
use crate::usage::{Parts, parts};
use crate::{Coarse, Function};

/// The column of a function, if buckets answer it.
pub(crate) fn roll(
    function: Function,
    coarse: &Coarse,
    window: &Window,
    steps: Steps,
    counts_steps: bool,
) -> Option<Rolled> {
    let parts = parts(function);
    if parts == Parts::Ends || parts == Parts::Means {
        return None;
    }
    let filled = Filled::of(coarse, counts_steps);
    let range_ms = whole_buckets(window.range_ms, coarse.bucket_ms);
    let wide = Window { range_ms, before_ms: 0, after_ms: 0, ..*window };
    let plain =
        |function, values: &[f64]| over_time::roll(function, &filled.series(values, &wide, steps)).ok();
    let mut rolled = match parts {
        Parts::Counts if function == Function::CountOverTime => plain(Function::SumOverTime, &filled.count),
        Parts::Counts => plain(Function::PresentOverTime, &filled.count),
        Parts::Sums => plain(Function::SumOverTime, &filled.column(&coarse.buckets.sum)),
        Parts::Averages => {
            let sums = filled.column(&coarse.buckets.sum);
            let series = filled.series(&sums, &wide, steps);
            Some(series.slide(|from, to, _| average(&sums[from..to], &filled.count[from..to])))
        }
        Parts::Least => plain(function, &filled.column(&coarse.buckets.min)),
        Parts::Greatest => plain(function, &filled.column(&coarse.buckets.max)),
        Parts::First => plain(function, &filled.column(&coarse.buckets.first)),
        Parts::Last => plain(function, &filled.column(&coarse.buckets.last)),
        Parts::FirstTimes => {
            plain(Function::FirstOverTime, &seconds(&filled.column(&coarse.buckets.first_ms)))
        }
        Parts::LastTimes => plain(Function::LastOverTime, &seconds(&filled.column(&coarse.buckets.last_ms))),
        Parts::Extremes => {
            let is_max = function == Function::TsOfMaxOverTime;
            let values = filled.column(if is_max { &coarse.buckets.max } else { &coarse.buckets.min });
            let times = filled.column(&coarse.buckets.last_ms);
            let series = Series::new(&times, &values, &wide, steps).counting(counts_steps);
            over_time::roll(function, &series).ok()
        }
        Parts::Differences => Some(differences(function, &filled, coarse, &wide, steps)),
        Parts::Ends | Parts::Means => None,
    }?;
    let grows = matches!(
        function,
        Function::SumOverTime | Function::CountOverTime | Function::Increase | Function::Delta
    );
    if grows && range_ms != window.range_ms {
        rolled.scale(window.range_ms as f64 / range_ms as f64);
    }
    Some(rolled)
}

/// The least multiple of a bucket's length, at least one, that is not below a range.
fn whole_buckets(range_ms: i64, bucket_ms: i64) -> i64 {
    range_ms.saturating_add(bucket_ms - 1).div_euclid(bucket_ms).max(1).saturating_mul(bucket_ms)
}

/// The buckets that have samples.
struct Filled {
    at: Vec<usize>,
    ends_ms: Vec<i64>,
    count: Vec<f64>,
    counts_steps: bool,
}

impl Filled {
    fn of(coarse: &Coarse, counts_steps: bool) -> Self {
        let buckets = &coarse.buckets;
        let at: Vec<usize> = (0..buckets.len()).filter(|i| buckets.count[*i] > 0).collect();
        let ends_ms = at.iter().map(|i| buckets.ends_ms[*i]).collect();
        let count = at.iter().map(|i| f64::from(buckets.count[*i])).collect();
        Self { at, ends_ms, count, counts_steps }
    }

    fn series<'c>(&'c self, values: &'c [f64], window: &'c Window, steps: Steps) -> Series<'c> {
        Series::new(&self.ends_ms, values, window, steps).counting(self.counts_steps)
    }

    /// Their values in a column.
    fn column<T: Copy>(&self, column: &[T]) -> Vec<T> {
        self.at.iter().map(|i| column[*i]).collect()
    }
}

fn seconds(times_ms: &[i64]) -> Vec<f64> {
    times_ms.iter().map(|t| *t as f64 / 1000.0).collect()
}

fn average(sums: &[f64], counts: &[f64]) -> f64 {
    let (sum, compensation) = sums.iter().fold((0.0, 0.0), |(s, c), v| kahan_add(*v, s, c));
    let count: f64 = counts.iter().sum();
    if sum.is_infinite() { sum / count } else { sum / count + compensation / count }
}

/// `rate`, `increase` and `delta`, as of the samples: their first and last ones are known, and what was lost by resets.
fn differences(
    function: Function,
    filled: &Filled,
    coarse: &Coarse,
    window: &Window,
    steps: Steps,
) -> Rolled {
    let buckets = &coarse.buckets;
    let (first, last) = (filled.column(&buckets.first), filled.column(&buckets.last));
    let (first_ms, last_ms) = (filled.column(&buckets.first_ms), filled.column(&buckets.last_ms));
    let resets = filled.column(&buckets.resets);
    let is_counter = function != Function::Delta;
    let series = filled.series(&last, window, steps);
    series.slide(|from, to, step| {
        let samples = filled.count[from..to].iter().sum::<f64>() as usize;
        if samples < 2 {
            return ABSENT;
        }
        let mut result = last[to - 1] - first[from];
        if is_counter {
            for i in from..to {
                if i > from && first[i] < last[i - 1] {
                    result += last[i - 1];
                }
                if resets[i] != 0.0 {
                    result += resets[i];
                }
            }
        }
        // The buckets of the window end with the last whole one.
        let end_ms = series.range(step).1.div_euclid(coarse.bucket_ms) * coarse.bucket_ms;
        let start_ms = end_ms.saturating_sub(window.range_ms);
        let (first_ms, last_ms) = (first_ms[from], last_ms[to - 1]);
        let ends = Ends { start_ms, end_ms, first_ms, last_ms, samples, begun_ms: None };
        let factor = ends.factor(is_counter.then_some((first[from], result)));
        let is_rate = function == Function::Rate;
        result * if is_rate { factor / (window.range_ms as f64 / 1000.0) } else { factor }
    })
}
