//! Exponential histograms: native ones, whose buckets have other indexes and are no finer than Prometheus has them.

use base::{EXPONENTIAL_SCHEMAS, Error, Histogram, Span};

use super::metric::Described;
use super::point::{Exponential, Fields, Point, too_many_buckets};
use super::resource::Context;
use super::{Bad, Request};
use crate::limits::HISTOGRAM_BUCKETS;
use crate::native::Runs;
use crate::protobuf::{Malformed, Reader, Value, varints, zigzag};

const EXEMPLARS: u64 = 11;
const FIELDS: Fields = Fields { attributes: 1, flags: 10, exemplars: Some(EXEMPLARS) };

/// Half the width of the bucket around zero where a sender says nothing of it, as in Prometheus.
const DEFAULT_ZERO_THRESHOLD: f64 = 1e-128;

/// An exponential histogram that is being read.
#[derive(Default)]
struct Reading {
    histogram: Exponential,
    /// The index of one bucket or another is beyond 32 bits, or there are too many of them.
    out_of_range: bool,
}

impl<'a> Request<'a, '_> {
    pub(super) fn exponential(
        &mut self,
        message: &'a [u8],
        described: &Described,
        context: &Context,
    ) -> Result<(), Bad> {
        let Point { times, stale, value } = self.point(message, &FIELDS, read)?;
        if value.out_of_range {
            return Err(too_many_buckets().into());
        }
        let mut point = Point { times, stale, value: value.histogram };
        self.add_up(described, context, &mut point)?;
        let native = if point.stale { Histogram::stale() } else { native(&point.value)? };
        if !point.stale && point.value.count == 0 && native.sum != 0.0 {
            let warnings = &mut self.intake.out.warnings;
            warnings.histogram_zero_count_non_zero_sum += 1;
            warnings.note(|| {
                format!(
                    "exponential histogram data point has zero count, but non-zero sum: {:.6}",
                    native.sum
                )
            });
        }
        self.native(described, point.times, native)?;
        self.exemplars(message, EXEMPLARS, |request, exemplar| {
            request.intake.exemplar(exemplar);
            Ok(())
        })
    }
}

fn read(own: &mut Reading, number: u64, value: Value<'_>) -> Result<(), Malformed> {
    let h = &mut own.histogram;
    match number {
        4 => h.count = value.fixed64()?,
        5 => h.sum = Some(value.double()?),
        6 => h.scale = value.sint32()?,
        7 => h.zero_count = value.fixed64()?,
        8 => own.out_of_range |= buckets(value.bytes()?, &mut h.positive)?,
        9 => own.out_of_range |= buckets(value.bytes()?, &mut h.negative)?,
        14 => h.zero_threshold = value.double()?,
        _ => {}
    }
    Ok(())
}

/// Reads the buckets that are not empty; true if they are out of range.
fn buckets(message: &[u8], out: &mut Vec<(i32, u64)>) -> Result<bool, Malformed> {
    out.clear();
    let (mut offset, mut position, mut counts) = (0i32, 0i64, Vec::new());
    let mut reader = Reader::new(message);
    while let Some((number, value)) = reader.field()? {
        match number {
            1 => offset = zigzag(value.varint()?) as i32,
            2 => varints(value, |count| {
                if count != 0 && counts.len() <= HISTOGRAM_BUCKETS {
                    counts.push((position, count));
                }
                position += 1;
            })?,
            _ => {}
        }
    }
    let mut out_of_range = counts.len() > HISTOGRAM_BUCKETS;
    for (position, count) in counts {
        match i32::try_from(i64::from(offset) + position) {
            // One is added to it on the way to Prometheus.
            Ok(index) if index < i32::MAX => out.push((index, count)),
            _ => out_of_range = true,
        }
    }
    Ok(out_of_range)
}

fn native(h: &Exponential) -> Result<Histogram, Error> {
    let (least, most) = (*EXPONENTIAL_SCHEMAS.start(), *EXPONENTIAL_SCHEMAS.end());
    if h.scale < least {
        return Err(Error::invalid(format!(
            "cannot convert exponential to native histogram. Scale must be >= {least}, was {}",
            h.scale
        )));
    }
    // More than 32 halvings leave one bucket of each side of 1.
    let down = h.scale.saturating_sub(most).clamp(0, 32) as u32;
    let (positive_spans, positive) = side(&h.positive, down);
    let (negative_spans, negative) = side(&h.negative, down);
    let zero_threshold = if h.zero_threshold > 0.0 && h.zero_threshold.is_finite() {
        h.zero_threshold
    } else {
        DEFAULT_ZERO_THRESHOLD
    };
    Ok(Histogram {
        schema: h.scale.min(most),
        zero_threshold,
        zero_count: h.zero_count as f64,
        count: h.count as f64,
        sum: h.sum.unwrap_or(0.0),
        positive_spans,
        negative_spans,
        positive,
        negative,
        ..Histogram::default()
    })
}

fn side(buckets: &[(i32, u64)], down: u32) -> (Vec<Span>, Vec<f64>) {
    let mut runs = Runs::default();
    for (index, count) in buckets {
        // OpenTelemetry numbers a bucket by its lower bound, Prometheus by its upper one.
        let index = (i64::from(*index) >> down) + 1;
        runs.push(i32::try_from(index).expect("indexes below the largest were read"), *count as f64);
    }
    (runs.spans, runs.counts)
}
