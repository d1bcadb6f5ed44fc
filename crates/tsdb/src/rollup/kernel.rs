//! Buckets from samples, and from finer buckets.
//!
//! Pure. A bucket knows nothing of its neighbours: what a counter gained from the last sample of one to the first of the next
//! follows from the two, so that buckets add up to what the samples would give and each can be made alone.

use base::{Bucket, Buckets, NO_TIME, is_stale};

use super::bucket_end;

/// Rolls samples up, which ascend in time, and appends their buckets, which are later than those in `out`.
pub fn roll(timestamps: &[i64], values: &[f64], resolution_ms: i64, out: &mut Buckets) {
    let values = &values[..timestamps.len()];
    let mut from = 0;
    while from < timestamps.len() {
        let end_ms = bucket_end(timestamps[from], resolution_ms);
        let length = timestamps[from..].partition_point(|t| *t <= end_ms);
        let to = from + length;
        out.push(bucket_of(end_ms, &timestamps[from..to], &values[from..to], out.last.last().copied()));
        from = to;
    }
}

/// The bucket of samples, of which there is at least one. `before` fills fields without a meaning.
fn bucket_of(end_ms: i64, timestamps: &[i64], values: &[f64], before: Option<f64>) -> Bucket {
    let mut bucket = nothing(end_ms, before);
    let mut compensation = 0.0;
    for (t, v) in timestamps.iter().zip(values) {
        if is_stale(*v) {
            bucket.stale_ms = *t;
            continue;
        }
        bucket.stale_ms = NO_TIME;
        if bucket.count == 0 {
            (bucket.min, bucket.max, bucket.first, bucket.first_ms) = (*v, *v, *v, *t);
        } else {
            bucket.min = least(bucket.min, *v);
            bucket.max = greatest(bucket.max, *v);
            if *v < bucket.last {
                bucket.resets += bucket.last;
            }
        }
        (bucket.last, bucket.last_ms) = (*v, *t);
        (bucket.sum, compensation) = add(bucket.sum, *v, compensation);
        bucket.count += 1;
    }
    bucket.sum = settle(bucket.sum, compensation);
    bucket
}

/// Joins buckets to ones of a multiple of their length, and appends these.
pub fn coarsen(fine: &Buckets, resolution_ms: i64, out: &mut Buckets) {
    let mut from = 0;
    while from < fine.len() {
        let end_ms = bucket_end(fine.ends_ms[from], resolution_ms);
        let to = from + fine.ends_ms[from..].partition_point(|t| *t <= end_ms);
        let mut whole = nothing(end_ms, out.last.last().copied());
        let mut compensation = 0.0;
        for part in (from..to).map(|i| fine.get(i)) {
            whole.stale_ms = part.stale_ms;
            if part.count == 0 {
                continue;
            }
            if whole.count == 0 {
                (whole.min, whole.max) = (part.min, part.max);
                (whole.first, whole.first_ms) = (part.first, part.first_ms);
            } else {
                whole.min = least(whole.min, part.min);
                whole.max = greatest(whole.max, part.max);
                if part.first < whole.last {
                    whole.resets += whole.last;
                }
            }
            whole.resets += part.resets;
            (whole.last, whole.last_ms) = (part.last, part.last_ms);
            (whole.sum, compensation) = add(whole.sum, part.sum, compensation);
            whole.count = whole.count.saturating_add(part.count);
        }
        whole.sum = settle(whole.sum, compensation);
        out.push(whole);
        from = to;
    }
}

/// The buckets of both; where both have one, that of more samples, for it has seen what the other has not.
pub fn unite(a: &Buckets, b: &Buckets) -> Buckets {
    let mut out = Buckets::default();
    let (mut i, mut j) = (0, 0);
    while i < a.len() || j < b.len() {
        let left = a.ends_ms.get(i).copied().unwrap_or(i64::MAX);
        let right = b.ends_ms.get(j).copied().unwrap_or(i64::MAX);
        let take_left = left < right || (left == right && i < a.len() && more(a, i, b, j));
        out.push(if take_left { a.get(i) } else { b.get(j) });
        i += usize::from(left <= right);
        j += usize::from(right <= left);
    }
    out
}

fn more(a: &Buckets, i: usize, b: &Buckets, j: usize) -> bool {
    j >= b.len() || a.get(i).count >= b.get(j).count
}

/// A bucket without samples. Fields that mean nothing have what compresses best.
fn nothing(end_ms: i64, before: Option<f64>) -> Bucket {
    let filler = before.unwrap_or(0.0);
    Bucket {
        end_ms,
        count: 0,
        sum: 0.0,
        min: filler,
        max: filler,
        first: filler,
        last: filler,
        resets: 0.0,
        first_ms: end_ms,
        last_ms: end_ms,
        stale_ms: NO_TIME,
    }
}

fn least(a: f64, b: f64) -> f64 {
    if b < a || a.is_nan() { b } else { a }
}

fn greatest(a: f64, b: f64) -> f64 {
    if b > a || a.is_nan() { b } else { a }
}

/// One step of Neumaier's summation, as PromQL sums.
fn add(sum: f64, v: f64, compensation: f64) -> (f64, f64) {
    let total = sum + v;
    let lost = if total.is_infinite() {
        0.0
    } else if sum.abs() >= v.abs() {
        (sum - total) + v
    } else {
        (v - total) + sum
    };
    (total, compensation + lost)
}

fn settle(sum: f64, compensation: f64) -> f64 {
    if sum.is_infinite() { sum } else { sum + compensation }
}

#[cfg(test)]
mod tests {
    use base::STALE_NAN;
    use proptest::prelude::*;

    use super::*;

    const STALE: f64 = f64::from_bits(STALE_NAN);

    fn rolled(samples: &[(i64, f64)], resolution_ms: i64) -> Buckets {
        let (t, v): (Vec<i64>, Vec<f64>) = samples.iter().copied().unzip();
        let mut out = Buckets::default();
        roll(&t, &v, resolution_ms, &mut out);
        out
    }

    /// Buckets by definition: of each bucket the samples, and each field from them alone.
    fn naive(samples: &[(i64, f64)], resolution_ms: i64) -> Vec<Bucket> {
        let mut ends: Vec<i64> = samples.iter().map(|(t, _)| bucket_end(*t, resolution_ms)).collect();
        ends.dedup();
        ends.into_iter()
            .map(|end_ms| {
                let inside: Vec<(i64, f64)> = samples
                    .iter()
                    .copied()
                    .filter(|(t, _)| end_ms - resolution_ms < *t && *t <= end_ms)
                    .collect();
                let real: Vec<(i64, f64)> = inside.iter().copied().filter(|(_, v)| !is_stale(*v)).collect();
                let falls = real.windows(2).filter(|w| w[1].1 < w[0].1).map(|w| w[0].1);
                let (t, v) = inside[inside.len() - 1];
                let at = |i: Option<&(i64, f64)>| i.copied().unwrap_or((end_ms, 0.0));
                Bucket {
                    end_ms,
                    count: u32::try_from(real.len()).unwrap(),
                    sum: real.iter().map(|(_, v)| v).sum(),
                    min: real.iter().map(|(_, v)| *v).fold(f64::NAN, f64::min),
                    max: real.iter().map(|(_, v)| *v).fold(f64::NAN, f64::max),
                    first: at(real.first()).1,
                    last: at(real.last()).1,
                    resets: falls.sum(),
                    first_ms: at(real.first()).0,
                    last_ms: at(real.last()).0,
                    stale_ms: if is_stale(v) { t } else { NO_TIME },
                }
            })
            .collect()
    }

    fn same(a: &Bucket, b: &Bucket) -> bool {
        let number = |x: f64, y: f64| x == y || (x.is_nan() && y.is_nan());
        let meaning = a.count == 0
            || (number(a.sum, b.sum)
                && number(a.min, b.min)
                && number(a.max, b.max)
                && number(a.first, b.first)
                && number(a.last, b.last));
        meaning
            && number(a.resets, b.resets)
            && (a.end_ms, a.count, a.first_ms, a.last_ms, a.stale_ms)
                == (b.end_ms, b.count, b.first_ms, b.last_ms, b.stale_ms)
    }

    /// Samples with steps from one to hundreds of milliseconds, whole numbers so that sums are exact, NaN and markers.
    fn samples() -> impl Strategy<Value = Vec<(i64, f64)>> {
        let value = prop_oneof![
            8 => (0i32..50).prop_map(f64::from),
            1 => Just(STALE),
            1 => Just(f64::NAN),
        ];
        (-500i64..500, prop::collection::vec((1i64..120, value), 1..80)).prop_map(|(start, steps)| {
            let mut t = start;
            steps
                .into_iter()
                .map(|(step, v)| {
                    t += step;
                    (t, v)
                })
                .collect()
        })
    }

    proptest! {
        #[test]
        fn buckets_are_what_their_samples_say(samples in samples()) {
            let (got, want) = (rolled(&samples, 100), naive(&samples, 100));
            prop_assert_eq!(got.len(), want.len());
            for (i, want) in want.iter().enumerate() {
                prop_assert!(same(&got.get(i), want), "{:?} is not {want:?}", got.get(i));
            }
        }

        #[test]
        fn coarser_buckets_do_not_depend_on_the_way(samples in samples()) {
            let direct = rolled(&samples, 400);
            let mut coarse = Buckets::default();
            coarsen(&rolled(&samples, 100), 400, &mut coarse);
            prop_assert_eq!(coarse.len(), direct.len());
            for i in 0..direct.len() {
                prop_assert!(same(&coarse.get(i), &direct.get(i)), "{:?}, {:?}", coarse.get(i), direct.get(i));
            }
        }

        #[test]
        fn increases_add_up_over_any_run_of_buckets(samples in samples(), from in 0usize..6, length in 1usize..9) {
            let samples: Vec<(i64, f64)> = samples.into_iter().filter(|(_, v)| !v.is_nan()).collect();
            let buckets = rolled(&samples, 100);
            let run = from.min(buckets.len())..(from + length).min(buckets.len());
            prop_assume!(!run.is_empty());
            let (open, close) = (buckets.ends_ms[run.start] - 100, buckets.ends_ms[run.end - 1]);
            let inside: Vec<f64> =
                samples.iter().filter(|(t, _)| open < *t && *t <= close).map(|(_, v)| *v).collect();
            let want: f64 = inside.windows(2).map(|w| if w[1] < w[0] { w[1] } else { w[1] - w[0] }).sum();
            let parts: Vec<Bucket> = run.map(|i| buckets.get(i)).collect();
            let within: f64 = parts.iter().map(|b| b.last - b.first + b.resets).sum();
            let between: f64 = parts
                .windows(2)
                .map(|w| if w[1].first < w[0].last { w[1].first } else { w[1].first - w[0].last })
                .sum();
            prop_assert_eq!(within + between, want);
        }

        #[test]
        fn united_buckets_are_the_fuller_ones(samples in samples(), kept in prop::collection::vec(any::<bool>(), 80)) {
            let part: Vec<(i64, f64)> =
                samples.iter().zip(&kept).filter(|(_, kept)| **kept).map(|(s, _)| *s).collect();
            let (whole, some) = (rolled(&samples, 100), rolled(&part, 100));
            for united in [unite(&whole, &some), unite(&some, &whole)] {
                prop_assert_eq!(&united.ends_ms, &whole.ends_ms);
                prop_assert_eq!(&united.count, &whole.count);
            }
        }
    }

    #[test]
    fn a_sample_on_the_border_belongs_to_the_bucket_that_ends_there() {
        let b = rolled(&[(100, 1.0), (101, 2.0), (200, 3.0)], 100);
        assert_eq!(
            (&b.ends_ms[..], &b.count[..], &b.sum[..]),
            (&[100, 200][..], &[1, 2][..], &[1.0, 5.0][..])
        );
    }

    #[test]
    fn a_marker_alone_is_a_bucket_and_one_before_a_sample_is_none() {
        let b = rolled(&[(10, 1.0), (110, STALE), (210, STALE), (220, 4.0)], 100);
        assert_eq!(b.count, [1, 0, 1]);
        assert_eq!(b.stale_ms, [NO_TIME, 110, NO_TIME]);
    }
}
