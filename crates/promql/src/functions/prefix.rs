//! Sums of windows that overlap, from one pass over the samples: the sum up to the end of a window less the sum up to its
//! beginning. Sums are pairs of floats (T. J. Dekker, "A floating-point technique for extending the available precision", 1971),
//! and are kept only where such pairs hold them exactly, so that nothing is left of what cancels out.

use super::rollup::Series;

/// Windows that overlap less are summed one by one.
const LEAST_OVERLAP: i64 = 4;

/// Pairs of floats have 106 bits and a value 53: so many may lie between the least value and the sum of all, with some to spare.
const LARGEST_RATIO: f64 = (1u64 << 47) as f64;

/// Below this, parts of a pair would be subnormal.
const LEAST_VALUE: f64 = 1e-250;

/// The exact sum of all samples before each.
pub(crate) struct PrefixSums(Vec<(f64, f64)>);

impl PrefixSums {
    /// The sums of a series, if its windows overlap by enough and its samples can be summed exactly.
    pub(crate) fn of(series: &Series<'_>) -> Option<Self> {
        let overlap = series.window.range_ms / series.steps.step_ms.max(1);
        if series.steps.count < 2 || series.window.at_ms.is_some() || overlap < LEAST_OVERLAP {
            return None;
        }
        let (mut total, mut least) = (0.0, f64::MAX);
        for v in series.values {
            let magnitude = v.abs();
            total += magnitude;
            if magnitude < least && magnitude > 0.0 {
                least = magnitude;
            }
        }
        // False for what is not a number, too.
        let exact = total <= least.max(LEAST_VALUE) * LARGEST_RATIO && least >= LEAST_VALUE;
        exact.then(|| Self::new(series.values))
    }

    fn new(values: &[f64]) -> Self {
        let mut sums = Vec::with_capacity(values.len() + 1);
        let (mut high, mut low) = (0.0, 0.0);
        sums.push((high, low));
        for v in values {
            let (sum, error) = two_sum(high, *v);
            (high, low) = quick_two_sum(sum, error + low);
            sums.push((high, low));
        }
        Self(sums)
    }

    /// The sum of the samples from one to before another: its float, and what that leaves out.
    pub(crate) fn sum(&self, from: usize, to: usize) -> (f64, f64) {
        let ((high, low), (high_before, low_before)) = (self.0[to], self.0[from]);
        let (sum, error) = two_sum(high, -high_before);
        let (rest, rest_error) = two_sum(low, -low_before);
        let (sum, error) = quick_two_sum(sum, error + rest);
        quick_two_sum(sum, error + rest_error)
    }
}

/// The sum of two floats and what it leaves out (D. E. Knuth).
fn two_sum(a: f64, b: f64) -> (f64, f64) {
    let sum = a + b;
    let of_b = sum - a;
    (sum, (a - (sum - of_b)) + (b - of_b))
}

/// The same for `|a| >= |b|` (Dekker).
fn quick_two_sum(a: f64, b: f64) -> (f64, f64) {
    let sum = a + b;
    (sum, b - (sum - a))
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::super::rollup::roll_seconds;
    use super::*;
    use crate::number::kahan_add;

    fn one_by_one(values: &[f64]) -> f64 {
        let (sum, rest) = values.iter().fold((0.0, 0.0), |(s, c), v| kahan_add(*v, s, c));
        sum + rest
    }

    /// Sums over windows of ten values, and whether they came from prefixes.
    fn sums(values: &[f64]) -> (Vec<f64>, bool) {
        let from_prefixes = Cell::new(false);
        let sums = roll_seconds(values, 10_000, |series| {
            let prefixes = PrefixSums::of(series);
            from_prefixes.set(prefixes.is_some());
            series.slide(|from, to, _| match &prefixes {
                Some(prefixes) => prefixes.sum(from, to).0,
                None => one_by_one(&values[from..to]),
            })
        });
        (sums, from_prefixes.get())
    }

    fn expected(values: &[f64]) -> Vec<f64> {
        (0..values.len()).map(|i| one_by_one(&values[(i + 1).saturating_sub(10)..=i])).collect()
    }

    #[test]
    fn windows_are_summed_as_one_by_one() {
        let mut x = 1u64;
        let mut draw = || {
            x = x.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (x >> 11) as f64 / (1u64 << 53) as f64
        };
        for scale in [1e-9, 0.1, 1.0, 1e12] {
            let values: Vec<f64> =
                (0..500).map(|_| (draw() - 0.5) * scale * 10f64.powf(draw() * 6.0)).collect();
            let (got, from_prefixes) = sums(&values);
            assert!(from_prefixes);
            for (got, want) in got.iter().zip(expected(&values)) {
                assert!((got - want).abs() <= want.abs() * f64::EPSILON, "{got} is not {want}");
            }
        }
    }

    #[test]
    fn what_cancels_out_leaves_nothing() {
        let values: Vec<f64> = (0..100).map(|i| [1e9, 0.1, -1e9, -0.1][i % 4]).collect();
        let (got, from_prefixes) = sums(&values);
        assert!(from_prefixes);
        let four = |i: usize| values[i + 1 - 4..=i].iter().sum::<f64>();
        assert!(four(7).abs() < 1e-6);
        // Windows of ten are two rounds and two values.
        assert_eq!((got[11], got[13]), (-1e9 - 0.1, 1e9 + 0.1));
    }

    #[test]
    fn what_cannot_be_summed_exactly_is_summed_one_by_one() {
        for odd in [f64::NAN, f64::INFINITY, 1e40, 1e-300, f64::MAX] {
            let mut values = vec![1.0; 50];
            values[20] = odd;
            let (got, from_prefixes) = sums(&values);
            assert!(!from_prefixes, "{odd}");
            assert_eq!(got[40], 10.0);
        }
        assert!(sums(&[0.0; 30]).0.iter().all(|v| *v == 0.0));
    }
}
