//! Native histograms with exponential buckets: fewer and wider buckets, and runs of those that are not empty.

use base::{EXPONENTIAL_SCHEMAS, Histogram, Span};

/// Schemas finer than those that are stored, which senders may use: each of their buckets lies in one of a coarser schema.
const FINER_SCHEMAS: std::ops::RangeInclusive<i32> = *EXPONENTIAL_SCHEMAS.end() + 1..=52;

/// Empty buckets that are written out between others rather than a new run begun, as Prometheus' clients do.
const FILLED_GAP: i32 = 2;

/// Collects buckets in ascending order of their indexes, of which several may be equal. Empty ones are left out.
#[derive(Debug, Default)]
pub(crate) struct Runs {
    pub(crate) spans: Vec<Span>,
    pub(crate) counts: Vec<f64>,
    next: i64,
}

impl Runs {
    pub(crate) fn push(&mut self, index: i32, count: f64) {
        if count == 0.0 {
            return;
        }
        let gap = i64::from(index) - self.next;
        match self.spans.last_mut() {
            Some(_) if gap < 0 => {
                // The index of the last bucket, once more.
                *self.counts.last_mut().expect("a run has a bucket") += count;
                return;
            }
            Some(run) if gap <= FILLED_GAP.into() => {
                run.length += gap as u32 + 1;
                self.counts.extend(std::iter::repeat_n(0.0, gap as usize));
            }
            // A gap from one end of the numbers to the other is none that a sum of counts can have; it saturates.
            Some(_) => self.spans.push(Span { offset: i32::try_from(gap).unwrap_or(i32::MAX), length: 1 }),
            None => self.spans.push(Span { offset: index, length: 1 }),
        }
        self.counts.push(count);
        self.next = i64::from(index) + 1;
    }
}

/// The index of the bucket that holds another after `by` halvings of the resolution.
pub(crate) fn coarser(index: i32, by: u32) -> i32 {
    // Bucket i ends at 2^(i · 2^-schema): the last of each pair keeps its end.
    let from_zero = i64::from(index) - 1;
    i32::try_from((from_zero >> by.min(62)) + 1).expect("halving does not leave the range")
}

/// Makes the buckets of a histogram as wide as the finest that are stored, if they are finer.
pub(crate) fn reduce(h: &mut Histogram) {
    if !FINER_SCHEMAS.contains(&h.schema) {
        return;
    }
    let by = (h.schema - EXPONENTIAL_SCHEMAS.end()) as u32;
    (h.positive_spans, h.positive) = reduced(&h.positive_spans, &h.positive, by);
    (h.negative_spans, h.negative) = reduced(&h.negative_spans, &h.negative, by);
    h.schema = *EXPONENTIAL_SCHEMAS.end();
}

fn reduced(spans: &[Span], counts: &[f64], by: u32) -> (Vec<Span>, Vec<f64>) {
    let total: u64 = spans.iter().map(|s| u64::from(s.length)).sum();
    if total != counts.len() as u64 || spans.iter().skip(1).any(|s| s.offset < 0) {
        // Contradicts itself, which validation will say.
        return (spans.to_vec(), counts.to_vec());
    }
    let (mut runs, mut index, mut counts) = (Runs::default(), 0i64, counts.iter());
    for span in spans {
        index += i64::from(span.offset);
        for count in counts.by_ref().take(span.length as usize) {
            let bounded = i32::try_from(index).unwrap_or(i32::MAX);
            runs.push(coarser(bounded, by), *count);
            index += 1;
        }
    }
    (runs.spans, runs.counts)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_leave_out_what_is_empty() {
        let mut runs = Runs::default();
        for (index, count) in
            [(-4, 0.0), (-3, 1.0), (-3, 1.0), (0, 2.0), (1, 0.0), (4, 3.0), (5, 4.0), (6, 0.0)]
        {
            runs.push(index, count);
        }
        assert_eq!(runs.spans, [Span { offset: -3, length: 4 }, Span { offset: 3, length: 2 }]);
        assert_eq!(runs.counts, [2.0, 0.0, 0.0, 2.0, 3.0, 4.0]);
    }

    #[test]
    fn a_wider_bucket_has_those_that_lie_in_it() {
        // By schema 9, (2^(3/512), 2^(4/512)] is in the second half of (2^(1/256), 2^(2/256)].
        assert_eq!([-1, 0, 1, 2, 3, 4].map(|i| coarser(i, 1)), [0, 0, 1, 1, 2, 2]);
        assert_eq!((coarser(i32::MIN, 60), coarser(i32::MAX, 44)), (0, 1));
        let mut h = Histogram {
            schema: 10,
            count: 10.0,
            positive_spans: vec![Span { offset: 0, length: 3 }, Span { offset: 5, length: 1 }],
            positive: vec![1.0, 2.0, 3.0, 4.0],
            ..Histogram::default()
        };
        reduce(&mut h);
        // Indexes 0, 1, 2 and 8 by schema 10 are 0, 1, 1 and 2 by schema 8.
        assert_eq!((h.schema, h.positive_spans.as_slice()), (8, &[Span { offset: 0, length: 3 }][..]));
        assert_eq!(h.positive, [1.0, 5.0, 4.0]);
        h.validate().unwrap();
    }
}
