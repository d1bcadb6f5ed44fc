//! Sums and means of many histograms, with what rounding takes from each of their numbers.

use base::Histogram;

use super::arithmetic::{
    Incompatible, Noted, apart, check, divide, filled, is_same_layout, multiply, same_bounds, settle_hint,
    side_of, side_of_mut, starts_beyond,
};
use super::bucket::outwards;
use super::layout::{beyond_zero, common_bounds, merged, onto_bounds, reduced};
use super::zero::reconcile;
use crate::number::kahan_add;

/// What rounding took from the numbers of a histogram, bucket by bucket.
#[derive(Debug, Clone, Default)]
pub(super) struct Lost {
    pub(super) zero_count: f64,
    count: f64,
    sum: f64,
    pub(super) positive: Vec<f64>,
    pub(super) negative: Vec<f64>,
}

impl Lost {
    /// Removes the empty buckets of a histogram from which nothing was taken either.
    pub(super) fn compact(&mut self, h: &mut Histogram) {
        for positive in [true, false] {
            let lost = if positive { &mut self.positive } else { &mut self.negative };
            let (spans, counts) = side_of_mut(h, positive);
            let kept: Vec<_> = paired(outwards(spans, counts), lost)
                .filter(|(_, (count, lost))| *count != 0.0 || *lost != 0.0)
                .collect();
            ((*spans, *counts), *lost) = apart(&kept);
        }
    }
}

/// A sum of histograms.
#[derive(Debug, Clone)]
pub(crate) struct Sum {
    total: Histogram,
    lost: Lost,
}

type Pair = (f64, f64);

fn paired<'l>(
    buckets: impl Iterator<Item = (i32, f64)> + 'l,
    lost: &'l [f64],
) -> impl Iterator<Item = (i32, Pair)> + 'l {
    buckets.zip(lost).map(|((index, count), lost)| (index, (count, *lost)))
}

fn add_pair((sum, lost): Pair, (count, count_lost): Pair) -> Pair {
    let (sum, lost) = kahan_add(count, sum, lost);
    if count_lost == 0.0 { (sum, lost) } else { kahan_add(count_lost, sum, lost) }
}

impl Sum {
    pub(crate) fn new(h: &Histogram) -> Self {
        let lost = Lost {
            positive: vec![0.0; h.positive.len()],
            negative: vec![0.0; h.negative.len()],
            ..Lost::default()
        };
        Self { total: h.clone(), lost }
    }

    /// Adds a histogram, in the coarser of both layouts. After an error the sum is as it was.
    pub(crate) fn add(&mut self, other: &Histogram) -> Result<Noted, Incompatible> {
        let Self { total: h, lost } = self;
        check(h, other)?;
        let collision = settle_hint(h, other);
        h.is_float = true;
        let custom = h.has_custom_bounds();
        if !custom {
            let zero_count = reconcile(h, Some(lost), other);
            (h.zero_count, lost.zero_count) = kahan_add(zero_count, h.zero_count, lost.zero_count);
        }
        (h.count, lost.count) = kahan_add(other.count, h.count, lost.count);
        (h.sum, lost.sum) = kahan_add(other.sum, h.sum, lost.sum);
        if custom && !same_bounds(&h.custom_bounds, &other.custom_bounds) {
            self.add_onto_common_bounds(other);
            return Ok(Noted { collision, reconciled: true });
        }
        let (from, schema, threshold) = (h.schema, h.schema.min(other.schema), h.zero_threshold);
        for positive in [true, false] {
            let (spans, counts) = side_of(other, positive);
            let lost = if positive { &mut lost.positive } else { &mut lost.negative };
            let own = side_of_mut(h, positive);
            let beyond = custom || starts_beyond(spans, schema, threshold);
            if from == other.schema && is_same_layout(own.0, spans) && beyond {
                for ((sum, lost), count) in own.1.iter_mut().zip(lost).zip(counts) {
                    (*sum, *lost) = kahan_add(*count, *sum, *lost);
                }
                continue;
            }
            let plain = outwards(spans, counts).map(|(index, count)| (index, (count, 0.0)));
            let sum = if custom {
                merged(paired(outwards(own.0, own.1), lost), plain, add_pair)
            } else {
                let a = reduced(paired(outwards(own.0, own.1), lost), from, schema, add_pair);
                let b = reduced(plain, other.schema, schema, add_pair);
                merged(a, beyond_zero(b, schema, threshold), add_pair)
            };
            ((*own.0, *own.1), *lost) = apart(&sum);
        }
        if !custom {
            h.schema = schema;
        }
        Ok(Noted { collision, reconciled: false })
    }

    fn add_onto_common_bounds(&mut self, other: &Histogram) {
        let Self { total: h, lost } = self;
        let bounds = common_bounds(&h.custom_bounds, &other.custom_bounds);
        let mut counts = vec![(0.0, 0.0); bounds.len() + 1];
        let mut taken = lost.positive.iter();
        onto_bounds(outwards(&h.positive_spans, &h.positive), &h.custom_bounds, &bounds, |at, count| {
            let (sum, lost) = counts[at];
            let (sum, lost) = kahan_add(count, sum, lost);
            counts[at] = kahan_add(taken.next().copied().unwrap_or(0.0), sum, lost);
        });
        let buckets = outwards(&other.positive_spans, &other.positive);
        onto_bounds(buckets, &other.custom_bounds, &bounds, |at, count| {
            let (sum, lost) = counts[at];
            counts[at] = kahan_add(count, sum, lost);
        });
        let kept: Vec<_> = filled(&counts).collect();
        ((h.positive_spans, h.positive), lost.positive) = apart(&kept);
        h.custom_bounds = bounds.into();
    }

    fn scale(&mut self, f: impl Fn(f64) -> f64) {
        let Lost { zero_count, count, sum, positive, negative } = &mut self.lost;
        for v in [zero_count, count, sum].into_iter().chain(positive).chain(negative) {
            *v = f(*v);
        }
    }

    fn multiply(&mut self, factor: f64) {
        multiply(&mut self.total, factor);
        self.scale(|v| v * factor);
    }

    fn divide(&mut self, divisor: f64) {
        divide(&mut self.total, divisor);
        self.scale(|v| v / divisor);
    }

    fn has_overflow(&self) -> bool {
        let h = &self.total;
        [h.zero_count, h.count, h.sum]
            .iter()
            .chain(&h.positive)
            .chain(&h.negative)
            .chain(&*h.custom_bounds)
            .any(|v| v.is_infinite())
    }

    /// The sum.
    pub(crate) fn finish(self) -> Histogram {
        let Self { total: mut h, lost } = self;
        h.zero_count += lost.zero_count;
        h.count += lost.count;
        h.sum += lost.sum;
        h.positive.iter_mut().zip(lost.positive).for_each(|(c, lost)| *c += lost);
        h.negative.iter_mut().zip(lost.negative).for_each(|(c, lost)| *c += lost);
        h
    }
}

/// A mean of histograms: made of their sum unless that overflows, and incrementally from there on.
#[derive(Debug, Clone)]
pub(crate) struct Mean {
    /// Of all, or their mean.
    sum: Sum,
    count: f64,
    incremental: bool,
}

impl Mean {
    pub(crate) fn new(h: &Histogram) -> Self {
        Self { sum: Sum::new(h), count: 1.0, incremental: false }
    }

    /// Adds a histogram, in the coarser of both layouts.
    pub(crate) fn add(&mut self, other: &Histogram) -> Result<Noted, Incompatible> {
        self.count += 1.0;
        if !self.incremental {
            let mut next = self.sum.clone();
            let noted = next.add(other)?;
            if !next.has_overflow() {
                self.sum = next;
                return Ok(noted);
            }
            self.incremental = true;
            self.sum.divide(self.count - 1.0);
        }
        self.sum.multiply((self.count - 1.0) / self.count);
        let mut share = other.clone();
        divide(&mut share, self.count);
        self.sum.add(&share)
    }

    /// The mean.
    pub(crate) fn finish(mut self) -> Histogram {
        if !self.incremental {
            self.sum.divide(self.count);
        }
        self.sum.finish()
    }
}

#[cfg(test)]
mod tests {
    use base::Span;

    use super::*;

    fn histogram(offset: i32, counts: &[f64]) -> Histogram {
        Histogram {
            count: counts.iter().sum(),
            positive_spans: vec![Span { offset, length: counts.len() as u32 }],
            positive: counts.to_vec(),
            ..Histogram::default()
        }
    }

    #[test]
    fn sums_recover_what_rounding_lost() {
        let mut sum = Sum::new(&histogram(0, &[1.0]));
        for h in [histogram(0, &[1e100, 3.0]), histogram(-1, &[5.0, 1.0]), histogram(0, &[-1e100])] {
            sum.add(&h).unwrap();
        }
        assert_eq!(sum.finish().positive, [5.0, 2.0, 3.0]);
    }

    #[test]
    fn means_do_not_overflow() {
        let mut mean = Mean::new(&histogram(0, &[f64::MAX]));
        mean.add(&histogram(0, &[f64::MAX])).unwrap();
        mean.add(&histogram(0, &[f64::MAX])).unwrap();
        let h = mean.finish();
        assert!((h.positive[0] / f64::MAX - 1.0).abs() < 1e-9, "{h:?}");
    }
}
