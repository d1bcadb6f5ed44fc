//! Native histograms: a side of them on the wire, wider buckets, and runs of those that are not empty.

use base::{EXPONENTIAL_SCHEMAS, Histogram, Span};

use crate::limits::HISTOGRAM_BUCKETS;
use crate::protobuf::{Malformed, Reader, Value, zigzag};

/// Schemas finer than those that are stored, which senders may use: each of their buckets lies in one of a coarser schema.
const FINER_SCHEMAS: std::ops::RangeInclusive<i32> = *EXPONENTIAL_SCHEMAS.end() + 1..=52;

/// Empty buckets that are written out between others rather than a new run begun, as Prometheus' clients do.
const FILLED_GAP: u32 = 2;

/// The positive or the negative buckets of a histogram as messages of Prometheus have them, read field by field. Holds one of
/// each more than [`HISTOGRAM_BUCKETS`] at most, if it is asked after each field.
#[derive(Debug, Default, Clone)]
pub struct Side {
    spans: Vec<Span>,
    deltas: Vec<i64>,
    counts: Vec<f64>,
}

impl Side {
    /// Forgets everything and keeps the memory.
    pub fn clear(&mut self) {
        self.spans.clear();
        self.deltas.clear();
        self.counts.clear();
    }

    /// Reads a field with a span.
    pub fn span(&mut self, value: Value<'_>) -> Result<(), Malformed> {
        let mut span = Span { offset: 0, length: 0 };
        let mut reader = Reader::new(value.bytes()?);
        while let Some((number, value)) = reader.field()? {
            match number {
                1 => span.offset = value.sint32()?,
                2 => span.length = value.varint()? as u32,
                _ => {}
            }
        }
        self.spans.push(span);
        Ok(())
    }

    /// Reads a field with differences between whole counts, packed or one by one.
    pub fn deltas(&mut self, value: Value<'_>) -> Result<(), Malformed> {
        if let Value::Varint(n) = value {
            self.deltas.push(zigzag(n));
            return Ok(());
        }
        let mut packed = Reader::new(value.bytes()?);
        // One too many is enough to be refused.
        while !packed.rest().is_empty() && self.deltas.len() <= HISTOGRAM_BUCKETS {
            self.deltas.push(zigzag(packed.varint()?));
        }
        Ok(())
    }

    /// Reads a field with counts that may be fractions, likewise.
    pub fn counts(&mut self, value: Value<'_>) -> Result<(), Malformed> {
        doubles(value, &mut self.counts)
    }

    /// Whether there are more than are taken.
    pub fn has_too_many(&self) -> bool {
        [self.spans.len(), self.deltas.len(), self.counts.len()].into_iter().any(|n| n > HISTOGRAM_BUCKETS)
    }

    /// Whether there is a span, which may be an empty one.
    pub fn has_spans(&self) -> bool {
        !self.spans.is_empty()
    }

    /// The counts of buckets, of the kind that is asked for, and which buckets there are.
    pub fn absolute(&self, float: bool) -> (Vec<f64>, Vec<Span>) {
        if float {
            return (self.counts.clone(), self.spans.clone());
        }
        let sum = |at: &mut i64, delta: &i64| {
            *at = at.wrapping_add(*delta);
            Some(*at as f64)
        };
        (self.deltas.iter().scan(0, sum).collect(), self.spans.clone())
    }
}

/// Reads a field of `double`s, packed or one by one; not many more than [`HISTOGRAM_BUCKETS`].
pub(crate) fn doubles(value: Value<'_>, out: &mut Vec<f64>) -> Result<(), Malformed> {
    if let Value::Fixed64(bits) = value {
        out.push(f64::from_bits(bits));
        return Ok(());
    }
    let (chunks, rest) = value.bytes()?.as_chunks::<8>();
    if !rest.is_empty() {
        return Err(Malformed::CutShort);
    }
    let room = (HISTOGRAM_BUCKETS + 1).saturating_sub(out.len());
    out.extend(chunks.iter().take(room).map(|c| f64::from_le_bytes(*c)));
    Ok(())
}

/// Collects buckets in ascending order of their indexes, of which several may be equal. Empty ones are left out.
#[derive(Debug)]
pub(crate) struct Runs {
    pub(crate) spans: Vec<Span>,
    pub(crate) counts: Vec<f64>,
    next: i64,
    filled_gap: u32,
}

impl Default for Runs {
    fn default() -> Self {
        Self::filling(FILLED_GAP)
    }
}

impl Runs {
    /// With so many empty buckets written out between others at most.
    fn filling(filled_gap: u32) -> Self {
        Self { spans: Vec::new(), counts: Vec::new(), next: 0, filled_gap }
    }

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
            Some(run) if gap <= i64::from(self.filled_gap) => {
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
pub fn reduce(h: &mut Histogram) {
    if FINER_SCHEMAS.contains(&h.schema) {
        rebuild(h, (h.schema - EXPONENTIAL_SCHEMAS.end()) as u32, FILLED_GAP);
    }
}

/// Makes the buckets of a histogram as wide as a schema has them, if they are exponential and finer, and leaves out empty ones.
pub fn reduce_to(h: &mut Histogram, schema: i32) {
    let exponential = FINER_SCHEMAS.contains(&h.schema) || EXPONENTIAL_SCHEMAS.contains(&h.schema);
    if exponential && h.schema > schema {
        rebuild(h, (h.schema - schema) as u32, 0);
    }
}

/// Leaves out empty buckets, and joins the runs that touch each other. Up to `filled_gap` of them between others stay.
pub fn compact(h: &mut Histogram, filled_gap: u32) {
    let compact = |spans: &[Span], counts: &[f64]| {
        spans
            .iter()
            .enumerate()
            .all(|(i, s)| s.length > 0 && (i == 0 || i64::from(s.offset) > filled_gap.into()))
            && counts.iter().all(|c| *c != 0.0)
    };
    if !(compact(&h.positive_spans, &h.positive) && compact(&h.negative_spans, &h.negative)) {
        rebuild(h, 0, filled_gap);
    }
}

fn rebuild(h: &mut Histogram, by: u32, filled_gap: u32) {
    (h.positive_spans, h.positive) = rebuilt(&h.positive_spans, &h.positive, by, filled_gap);
    (h.negative_spans, h.negative) = rebuilt(&h.negative_spans, &h.negative, by, filled_gap);
    h.schema -= by as i32;
}

fn rebuilt(spans: &[Span], counts: &[f64], by: u32, filled_gap: u32) -> (Vec<Span>, Vec<f64>) {
    let total: u64 = spans.iter().map(|s| u64::from(s.length)).sum();
    if total != counts.len() as u64 || spans.iter().skip(1).any(|s| s.offset < 0) {
        // Contradicts itself, which validation will say.
        return (spans.to_vec(), counts.to_vec());
    }
    let (mut runs, mut index, mut counts) = (Runs::filling(filled_gap), 0i64, counts.iter());
    for span in spans {
        index += i64::from(span.offset);
        for count in counts.by_ref().take(span.length as usize) {
            let bounded = i32::try_from(index).unwrap_or(i32::MAX);
            runs.push(if by == 0 { bounded } else { coarser(bounded, by) }, *count);
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

    #[test]
    fn empty_buckets_are_left_out() {
        let sparse = Histogram {
            schema: 3,
            count: 10.0,
            positive_spans: vec![
                Span { offset: -2, length: 4 },
                Span { offset: 0, length: 0 },
                Span { offset: 0, length: 1 },
                Span { offset: 4, length: 2 },
            ],
            positive: vec![0.0, 1.0, 0.0, 2.0, 3.0, 0.0, 4.0],
            negative_spans: vec![Span { offset: 0, length: 0 }],
            ..Histogram::default()
        };
        let mut h = sparse.clone();
        compact(&mut h, 0);
        let spans =
            [Span { offset: -1, length: 1 }, Span { offset: 1, length: 2 }, Span { offset: 5, length: 1 }];
        assert_eq!(
            (h.positive_spans.as_slice(), h.positive.as_slice()),
            (&spans[..], &[1.0, 2.0, 3.0, 4.0][..])
        );
        assert!(h.negative_spans.is_empty() && h.schema == 3);
        h.validate().unwrap();
        let once = h.clone();
        compact(&mut h, 0);
        assert_eq!(h, once);
        let mut filled = sparse;
        compact(&mut filled, 2);
        assert_eq!(filled.positive, [1.0, 0.0, 2.0, 3.0, 4.0]);
        // By schema 2, each bucket has two of schema 3: -1 and 0, 1 and 2, 7 and 8.
        reduce_to(&mut h, 2);
        assert_eq!((h.schema, h.positive.as_slice()), (2, &[1.0, 5.0, 4.0][..]));
        let before = h.clone();
        reduce_to(&mut h, 2);
        assert_eq!(h, before);
    }

    #[test]
    fn indexes_at_the_ends_of_their_range_do_no_harm() {
        let edge = Span { offset: i32::MAX, length: 2 };
        let mut h = Histogram {
            positive_spans: vec![edge, edge, Span { offset: i32::MAX, length: 1 }],
            positive: vec![1.0, 0.0, 2.0, 3.0, 4.0],
            count: 10.0,
            ..Histogram::default()
        };
        compact(&mut h, 0);
        reduce_to(&mut h, -4);
        let _ = h.validate();
    }
}
