//! Spans and buckets: building, compacting and merging them.

use base::{Histogram, Span};

use super::bounds::exponential;
use super::bucket::outwards;

/// Spans and counts of one side.
pub(super) type Side = (Vec<Span>, Vec<f64>);

/// The spans of buckets with these ascending indexes.
pub(super) fn spans(indexes: impl Iterator<Item = i32>) -> Vec<Span> {
    let mut spans: Vec<Span> = Vec::new();
    let mut next = 0i32;
    for index in indexes {
        match spans.last_mut() {
            Some(span) if index == next => span.length += 1,
            _ => spans.push(Span { offset: index.wrapping_sub(next), length: 1 }),
        }
        next = index.wrapping_add(1);
    }
    spans
}

/// The side that has these buckets, in ascending order of their indexes.
pub(super) fn side(buckets: &[(i32, f64)]) -> Side {
    (spans(buckets.iter().map(|b| b.0)), buckets.iter().map(|b| b.1).collect())
}

/// Removes empty buckets, and joins neighbouring spans.
pub(crate) fn compact(h: &mut Histogram) {
    compact_side(&mut h.positive_spans, &mut h.positive);
    compact_side(&mut h.negative_spans, &mut h.negative);
}

fn compact_side(spans: &mut Vec<Span>, counts: &mut Vec<f64>) {
    let is_compact = counts.iter().all(|c| *c != 0.0)
        && spans.iter().all(|s| s.length > 0)
        && spans.iter().skip(1).all(|s| s.offset > 0);
    if !is_compact {
        let kept: Vec<(i32, f64)> = outwards(spans, counts).filter(|(_, c)| *c != 0.0).collect();
        (*spans, *counts) = side(&kept);
    }
}

/// The index of a bucket in a coarser schema.
pub(super) fn coarser(index: i32, from: i32, to: i32) -> i32 {
    (index.wrapping_sub(1) >> (from - to).clamp(0, 31)).wrapping_add(1)
}

/// The buckets of one side in a coarser schema, or the same, those of one index added up.
pub(super) fn reduced<'h, T: Copy + 'h>(
    buckets: impl Iterator<Item = (i32, T)> + 'h,
    from: i32,
    to: i32,
    add: impl Fn(T, T) -> T + 'h,
) -> impl Iterator<Item = (i32, T)> + 'h {
    let mut buckets = buckets.map(move |(index, count)| (coarser(index, from, to), count)).peekable();
    std::iter::from_fn(move || {
        let (index, mut count) = buckets.next()?;
        while let Some((_, more)) = buckets.next_if(|(next, _)| *next == index) {
            count = add(count, more);
        }
        Some((index, count))
    })
}

/// Both sides' buckets, those of one index added up.
pub(super) fn merged<T: Copy>(
    a: impl Iterator<Item = (i32, T)>,
    b: impl Iterator<Item = (i32, T)>,
    add: impl Fn(T, T) -> T,
) -> Vec<(i32, T)> {
    let (mut a, mut b) = (a.peekable(), b.peekable());
    let mut out = Vec::with_capacity(a.size_hint().0.max(b.size_hint().0));
    loop {
        let order = match (a.peek(), b.peek()) {
            (Some((i, _)), Some((j, _))) => i.cmp(j),
            (Some(_), None) => std::cmp::Ordering::Less,
            (None, Some(_)) => std::cmp::Ordering::Greater,
            (None, None) => return out,
        };
        let next = match order {
            std::cmp::Ordering::Less => a.next(),
            std::cmp::Ordering::Greater => b.next(),
            std::cmp::Ordering::Equal => {
                a.next().zip(b.next()).map(|((index, x), (_, y))| (index, add(x, y)))
            }
        };
        out.extend(next);
    }
}

/// The buckets without the first ones that lie in the bucket around zero, which are in its count already.
pub(super) fn beyond_zero<T>(
    buckets: impl Iterator<Item = (i32, T)>,
    schema: i32,
    threshold: f64,
) -> impl Iterator<Item = (i32, T)> {
    buckets.skip_while(move |(index, _)| exponential(*index, schema) <= threshold)
}

/// Buckets of custom bounds in fewer bounds: each goes to the first that is not below its own. `bounds` are part of `from`.
pub(super) fn onto_bounds(
    buckets: impl Iterator<Item = (i32, f64)>,
    from: &[f64],
    bounds: &[f64],
    mut add: impl FnMut(usize, f64),
) {
    for (index, count) in buckets {
        let own = usize::try_from(index).ok().and_then(|i| from.get(i));
        add(own.map_or(bounds.len(), |own| bounds.partition_point(|b| b < own)), count);
    }
}

/// The bounds that both have.
pub(super) fn common_bounds(a: &[f64], b: &[f64]) -> Vec<f64> {
    let mut rest = b;
    let mut common = Vec::new();
    for bound in a {
        rest = &rest[rest.partition_point(|other| other < bound)..];
        if rest.first() == Some(bound) {
            common.push(*bound);
        }
    }
    common
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn compacting_drops_what_is_empty() {
        let mut h = Histogram {
            positive_spans: vec![Span { offset: -1, length: 3 }, Span { offset: 0, length: 2 }],
            positive: vec![0.0, 1.0, 2.0, 3.0, 0.0],
            negative_spans: vec![Span { offset: 2, length: 3 }],
            negative: vec![1.0, 0.0, 2.0],
            ..Histogram::default()
        };
        compact(&mut h);
        assert_eq!((h.positive_spans, h.positive), side(&[(0, 1.0), (1, 2.0), (2, 3.0)]));
        assert_eq!(h.negative_spans, [Span { offset: 2, length: 1 }, Span { offset: 1, length: 1 }]);
    }

    #[test]
    fn coarser_schemas_merge_buckets() {
        let buckets = [(-1, 1.0), (0, 2.0), (1, 3.0), (2, 4.0), (3, 5.0)];
        let got: Vec<_> = reduced(buckets.into_iter(), 1, 0, |a, b| a + b).collect();
        assert_eq!(got, [(0, 3.0), (1, 7.0), (2, 5.0)]);
    }

    #[test]
    fn bounds_of_two_meet() {
        assert_eq!(common_bounds(&[1.0, 2.0, 4.0], &[0.5, 2.0, 3.0, 4.0]), [2.0, 4.0]);
        let mut counts = vec![0.0; 2];
        onto_bounds([(0, 1.0), (1, 2.0), (2, 4.0)].into_iter(), &[1.0, 2.0], &[2.0], |at, c| counts[at] += c);
        assert_eq!(counts, [3.0, 4.0]);
    }
}
