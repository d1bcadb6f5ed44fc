//! The bucket around zero: bringing two of different width together.

use std::cmp::Ordering;

use base::Histogram;

use super::bucket::{negative, positive};
use super::layout::compact;
use super::sum::Lost;
use crate::number::kahan_add;

/// Widens the bucket around zero until it takes in that of `other` and ends in no bucket of either that holds anything; gives the
/// count that `other` has in such a bucket.
pub(super) fn reconcile(h: &mut Histogram, mut lost: Option<&mut Lost>, other: &Histogram) -> f64 {
    let (mut count, mut threshold) = (other.zero_count, other.zero_threshold);
    loop {
        match threshold.partial_cmp(&h.zero_threshold) {
            Some(Ordering::Less) => (count, threshold, _) = widened(other, None, h.zero_threshold),
            Some(Ordering::Greater) => {
                let (own, wide, own_lost) = widened(h, lost.as_deref(), threshold);
                (h.zero_count, h.zero_threshold) = (own, wide);
                if let Some(lost) = lost.as_deref_mut() {
                    lost.zero_count = own_lost;
                }
                take_in(h, lost.as_deref_mut());
            }
            // Also of what is no number, which nothing is wider than.
            Some(Ordering::Equal) | None => return count,
        }
    }
}

/// Count, width and lost digits of a bucket around zero that is at least so wide.
pub(super) fn widened(h: &Histogram, lost: Option<&Lost>, mut threshold: f64) -> (f64, f64, f64) {
    let own_lost = lost.map_or(0.0, |l| l.zero_count);
    if threshold == h.zero_threshold {
        return (h.zero_count, threshold, own_lost);
    }
    let taken = |lost: Option<&[f64]>, i: usize| lost.and_then(|l| l.get(i)).copied().unwrap_or(0.0);
    'wider: loop {
        let mut total = (h.zero_count, own_lost);
        for (i, bucket) in positive(h).enumerate().take_while(|(_, b)| b.lower < threshold) {
            total = kahan_add(bucket.count, total.0, total.1);
            total = kahan_add(taken(lost.map(|l| &*l.positive), i), total.0, total.1);
            if bucket.upper > threshold {
                if bucket.count != 0.0 {
                    threshold = bucket.upper;
                }
                break;
            }
        }
        for (i, bucket) in negative(h).enumerate().take_while(|(_, b)| b.upper > -threshold) {
            total = kahan_add(bucket.count, total.0, total.1);
            total = kahan_add(taken(lost.map(|l| &*l.negative), i), total.0, total.1);
            if bucket.lower < -threshold {
                if bucket.count != 0.0 {
                    threshold = -bucket.lower;
                    continue 'wider;
                }
                break;
            }
        }
        return (total.0, threshold, total.1);
    }
}

/// Removes the buckets that the one around zero has taken in.
fn take_in(h: &mut Histogram, lost: Option<&mut Lost>) {
    let positives = positive(h).take_while(|b| b.lower < h.zero_threshold).count();
    let negatives = negative(h).take_while(|b| b.upper > -h.zero_threshold).count();
    h.positive[..positives].fill(0.0);
    h.negative[..negatives].fill(0.0);
    match lost {
        None => compact(h),
        Some(lost) => {
            lost.positive[..positives].fill(0.0);
            lost.negative[..negatives].fill(0.0);
            lost.compact(h);
        }
    }
}
