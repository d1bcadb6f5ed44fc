//! The encoding of native histograms, appended one by one: each says how it differs from the one before.
//!
//! Times are kept apart. `docs/format/chunk.md` is the specification.

use base::{CounterResetHint, Histogram, Result, Span};

use super::{corrupt, put_varint, take_varint, unzigzag, zigzag};
use crate::limits::SEGMENT_CHUNK_SAMPLES;

/// The histogram brings schema, spans and bounds of its own; without it those of the one before hold.
const LAYOUT: u8 = 1;
/// The histogram counts in fractions.
const IS_FLOAT: u8 = 2;
/// Its counts are written as floating-point numbers, for they do not fit into 53 bits or are fractions.
const FLOAT_COUNTS: u8 = 4;
/// Two bits from here on are the counter reset hint.
const HINT_SHIFT: u8 = 3;

/// Integers up to here are the same as floating-point numbers.
const EXACT: f64 = 9_007_199_254_740_992.0;

/// Appends histograms to a chunk.
#[derive(Debug, Clone, Default)]
pub struct HistogramEncoder {
    bytes: Vec<u8>,
    last: Histogram,
    count: u16,
}

impl HistogramEncoder {
    /// Appends a histogram, whose spans and buckets fit together.
    pub fn push(&mut self, h: &Histogram) {
        let same = self.count > 0 && same_layout(h, &self.last);
        let float_counts = counts(h).any(|c| !is_whole(c));
        let hint = match h.counter_reset_hint {
            CounterResetHint::Unknown => 0,
            CounterResetHint::Reset => 1,
            CounterResetHint::NotReset => 2,
            CounterResetHint::Gauge => 3,
        };
        let flag = |set: bool, bit: u8| if set { bit } else { 0 };
        self.bytes.push(
            flag(!same, LAYOUT)
                | flag(h.is_float, IS_FLOAT)
                | flag(float_counts, FLOAT_COUNTS)
                | hint << HINT_SHIFT,
        );
        if !same {
            put_layout(&mut self.bytes, h);
            self.last = Histogram::default();
        }
        put_varint(&mut self.bytes, h.sum.to_bits() ^ self.last.sum.to_bits());
        let before = counts(&self.last).chain(std::iter::repeat(0.0));
        for (count, before) in counts(h).zip(before) {
            if float_counts {
                put_varint(&mut self.bytes, (count.to_bits() ^ before.to_bits()).swap_bytes());
            } else {
                // Counts that were fractions are not subtracted from: they count as none.
                put_varint(&mut self.bytes, zigzag(count as i64 - whole(before)));
            }
        }
        self.last = h.clone();
        self.count += 1;
    }

    /// The encoded histograms.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Number of histograms.
    pub fn count(&self) -> u16 {
        self.count
    }

    /// The last histogram.
    pub fn last(&self) -> &Histogram {
        &self.last
    }
}

/// Encodes histograms as one.
pub fn encode<'a>(histograms: impl IntoIterator<Item = &'a Histogram>) -> Vec<u8> {
    let mut encoder = HistogramEncoder::default();
    histograms.into_iter().for_each(|h| encoder.push(h));
    encoder.bytes
}

/// Appends the `count` histograms of a chunk. Takes any bytes.
pub fn decode(bytes: &[u8], count: usize, out: &mut Vec<Histogram>) -> Result<()> {
    if count == 0 || count > SEGMENT_CHUNK_SAMPLES {
        return Err(corrupt("the number of histograms is out of range"));
    }
    let mut rest = bytes;
    let mut last = Histogram::default();
    for i in 0..count {
        let flags = take_byte(&mut rest)?;
        let first = i == 0;
        if flags & LAYOUT != 0 {
            last = take_layout(&mut rest)?;
        } else if first {
            return Err(corrupt("the first histogram has no layout"));
        }
        last.is_float = flags & IS_FLOAT != 0;
        last.counter_reset_hint = match flags >> HINT_SHIFT {
            0 => CounterResetHint::Unknown,
            1 => CounterResetHint::Reset,
            2 => CounterResetHint::NotReset,
            3 => CounterResetHint::Gauge,
            _ => return Err(corrupt("a histogram has unknown flags")),
        };
        last.sum = f64::from_bits(last.sum.to_bits() ^ take_varint(&mut rest)?);
        let float_counts = flags & FLOAT_COUNTS != 0;
        let Histogram { count, zero_count, positive, negative, .. } = &mut last;
        for c in [count, zero_count].into_iter().chain(positive).chain(negative) {
            let n = take_varint(&mut rest)?;
            *c = if float_counts {
                f64::from_bits(c.to_bits() ^ n.swap_bytes())
            } else {
                whole(*c).wrapping_add(unzigzag(n)) as f64
            };
        }
        out.push(last.clone());
    }
    if rest.is_empty() {
        return Ok(());
    }
    Err(corrupt("bytes are left behind the last histogram"))
}

/// Whether a count is the same as an integer. The zero with a sign is not.
fn is_whole(count: f64) -> bool {
    count.fract() == 0.0 && (0.0..EXACT).contains(&count) && count.is_sign_positive()
}

/// A count as an integer, 0 if it is none.
fn whole(count: f64) -> i64 {
    if is_whole(count) { count as i64 } else { 0 }
}

fn counts(h: &Histogram) -> impl Iterator<Item = f64> + '_ {
    [h.count, h.zero_count].into_iter().chain(h.positive.iter().copied()).chain(h.negative.iter().copied())
}

fn same_layout(a: &Histogram, b: &Histogram) -> bool {
    a.schema == b.schema
        && a.zero_threshold.to_bits() == b.zero_threshold.to_bits()
        && a.positive_spans == b.positive_spans
        && a.negative_spans == b.negative_spans
        && a.custom_bounds.len() == b.custom_bounds.len()
        && a.custom_bounds.iter().zip(b.custom_bounds.iter()).all(|(a, b)| a.to_bits() == b.to_bits())
}

fn put_layout(out: &mut Vec<u8>, h: &Histogram) {
    put_varint(out, zigzag(i64::from(h.schema)));
    out.extend_from_slice(&h.zero_threshold.to_le_bytes());
    for spans in [&h.positive_spans, &h.negative_spans] {
        put_varint(out, spans.len() as u64);
        for span in spans {
            put_varint(out, zigzag(i64::from(span.offset)));
            put_varint(out, u64::from(span.length));
        }
    }
    put_varint(out, h.custom_bounds.len() as u64);
    h.custom_bounds.iter().for_each(|b| out.extend_from_slice(&b.to_le_bytes()));
}

/// A histogram without observations whose buckets are those of a layout.
fn take_layout(rest: &mut &[u8]) -> Result<Histogram> {
    let narrow = || corrupt("a number of a histogram's layout is out of range");
    let schema = i32::try_from(unzigzag(take_varint(rest)?)).map_err(|_| narrow())?;
    let zero_threshold = take_float(rest)?;
    let mut sides = [Vec::new(), Vec::new()];
    let mut buckets = [0usize; 2];
    for (spans, buckets) in sides.iter_mut().zip(&mut buckets) {
        for _ in 0..take_len(rest, 2)? {
            let offset = i32::try_from(unzigzag(take_varint(rest)?)).map_err(|_| narrow())?;
            let length = u32::try_from(take_varint(rest)?).map_err(|_| narrow())?;
            *buckets = buckets.checked_add(length as usize).ok_or_else(narrow)?;
            spans.push(Span { offset, length });
        }
    }
    let custom_bounds =
        (0..take_len(rest, 8)?).map(|_| take_float(rest)).collect::<Result<Vec<f64>>>()?.into();
    // Each bucket takes a byte at least, which bounds what a damaged length can ask for.
    if buckets[0].saturating_add(buckets[1]) > rest.len() {
        return Err(corrupt("a histogram has more buckets than bytes"));
    }
    let [positive_spans, negative_spans] = sides;
    Ok(Histogram {
        schema,
        zero_threshold,
        positive: vec![0.0; buckets[0]],
        negative: vec![0.0; buckets[1]],
        positive_spans,
        negative_spans,
        custom_bounds,
        ..Histogram::default()
    })
}

/// A number of things of which each takes `bytes` at least.
fn take_len(rest: &mut &[u8], bytes: usize) -> Result<usize> {
    let len = usize::try_from(take_varint(rest)?).unwrap_or(usize::MAX);
    if len > rest.len() / bytes {
        return Err(corrupt("a histogram's layout is longer than the chunk"));
    }
    Ok(len)
}

fn take_byte(rest: &mut &[u8]) -> Result<u8> {
    let (&byte, tail) = rest.split_first().ok_or_else(|| corrupt("it ends within a histogram"))?;
    *rest = tail;
    Ok(byte)
}

fn take_float(rest: &mut &[u8]) -> Result<f64> {
    let (bytes, tail) = rest.split_first_chunk().ok_or_else(|| corrupt("it ends within a histogram"))?;
    *rest = tail;
    Ok(f64::from_le_bytes(*bytes))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn any_histogram() -> impl Strategy<Value = Histogram> {
        let side = || prop::collection::vec((-3i32..9, 0u32..4), 0..4);
        let counts = prop_oneof![
            (0u32..2000).prop_map(f64::from),
            any::<f64>(),
            Just(EXACT),
            Just(f64::NAN),
            Just(0.5)
        ];
        (side(), side(), prop::collection::vec(counts, 32), any::<f64>(), 0u8..4, any::<bool>(), -4i32..9)
            .prop_map(|(pos, neg, counts, sum, hint, is_float, schema)| {
                let spans = |s: &[(i32, u32)]| -> Vec<Span> {
                    s.iter().map(|(offset, length)| Span { offset: *offset, length: *length }).collect()
                };
                let len = |s: &[(i32, u32)]| s.iter().map(|(_, l)| *l as usize).sum::<usize>();
                Histogram {
                    counter_reset_hint: [
                        CounterResetHint::Unknown,
                        CounterResetHint::Reset,
                        CounterResetHint::NotReset,
                        CounterResetHint::Gauge,
                    ][usize::from(hint)],
                    is_float,
                    schema,
                    zero_threshold: 0.5,
                    zero_count: counts[0],
                    count: counts[1],
                    sum,
                    positive: counts[2..2 + len(&pos)].to_vec(),
                    negative: counts[16..16 + len(&neg)].to_vec(),
                    positive_spans: spans(&pos),
                    negative_spans: spans(&neg),
                    custom_bounds: if hint == 1 { [1.0, 2.5].into() } else { [].into() },
                }
            })
    }

    proptest! {
        #[test]
        fn histograms_read_back_bit_by_bit(all in prop::collection::vec(any_histogram(), 1..12)) {
            let twice: Vec<&Histogram> = all.iter().flat_map(|h| [h, h]).collect();
            let bytes = encode(twice.iter().copied());
            let mut got = Vec::new();
            decode(&bytes, twice.len(), &mut got).unwrap();
            prop_assert_eq!(got.iter().collect::<Vec<_>>(), twice);
            prop_assert!(decode(&bytes[..bytes.len() - 1], all.len() * 2, &mut got).is_err());
        }

        #[test]
        fn any_bytes_decode_or_are_refused(bytes in prop::collection::vec(any::<u8>(), 0..200), count in 0usize..9) {
            decode(&bytes, count, &mut Vec::new()).ok();
        }
    }

    #[test]
    fn a_histogram_that_grows_takes_a_byte_a_bucket() {
        let mut h = Histogram {
            schema: 3,
            positive_spans: vec![Span { offset: 0, length: 20 }],
            positive: vec![1000.0; 20],
            count: 20_000.0,
            ..Histogram::default()
        };
        let mut encoder = HistogramEncoder::default();
        encoder.push(&h);
        let first = encoder.bytes().len();
        h.count += 20.0;
        h.positive.iter_mut().for_each(|c| *c += 1.0);
        encoder.push(&h);
        assert_eq!(encoder.bytes().len() - first, 1 + 1 + 2 + 20);
    }
}
