//! Histograms with bounds: series of a classic histogram, or a native one with custom buckets.

use base::{CUSTOM_BUCKETS_SCHEMA, CounterResetHint, Error, Histogram, METRIC_NAME, format_float};

use super::metric::Described;
use super::point::{Bounded, Fields, Point, Times, fixed64s, too_many_buckets};
use super::resource::Context;
use super::{Bad, Request};
use crate::decoded::nothing_like;
use crate::limits::HISTOGRAM_BUCKETS;
use crate::native::Runs;
use crate::protobuf::{Malformed, Value};

const EXEMPLARS: u64 = 8;
const FIELDS: Fields = Fields { attributes: 9, flags: 10, exemplars: Some(EXEMPLARS) };

impl<'a> Request<'a, '_> {
    pub(super) fn histogram(
        &mut self,
        message: &'a [u8],
        described: &Described,
        context: &Context,
    ) -> Result<(), Bad> {
        let mut point: Point<Bounded> = self.point(message, &FIELDS, read)?;
        if point.value.counts.len().max(point.value.bounds.len()) > HISTOGRAM_BUCKETS {
            return Err(too_many_buckets().into());
        }
        self.add_up(described, context, &mut point)?;
        if self.settings.convert_histograms_to_nhcb {
            self.custom(message, described, &point)
        } else {
            self.classic(message, described, &point)
        }
    }

    /// The series `_sum`, `_count` and `_bucket`; exemplars go with the bucket that they are in.
    fn classic(
        &mut self,
        message: &'a [u8],
        described: &Described,
        point: &Point<Bounded>,
    ) -> Result<(), Bad> {
        let Point { times, stale, value: h } = point;
        let (times, stale, name) = (*times, *stale, &described.name);
        let starts = !described.stored_deltas(&self.settings.deltas);
        let one = |request: &mut Self, others: &[(&str, &str)], value: f64| -> Result<(), Bad> {
            request.sample(others, times, value, stale)?;
            if starts { request.start_zero(times) } else { Ok(()) }
        };
        if let Some(sum) = h.sum {
            one(self, &[(METRIC_NAME, &format!("{name}_sum"))], sum)?;
        }
        one(self, &[(METRIC_NAME, &format!("{name}_count"))], h.count as f64)?;
        let mut exemplars = Vec::new();
        self.exemplars(message, EXEMPLARS, |_, exemplar| {
            exemplars.push(exemplar);
            Ok(())
        })?;
        let mut exemplars = exemplars.into_iter().peekable();
        let bucket = format!("{name}_bucket");
        let (mut below, mut le) = (0u64, String::new());
        for (bound, count) in h.bounds.iter().zip(&h.counts) {
            below = below.saturating_add(*count);
            le.clear();
            format_float(*bound, &mut le);
            one(self, &[(METRIC_NAME, &bucket), ("le", &le)], below as f64)?;
            // Both come in ascending order.
            while let Some(exemplar) = exemplars.next_if(|e| e.value <= *bound) {
                self.intake.exemplar(exemplar);
            }
        }
        one(self, &[(METRIC_NAME, &bucket), ("le", "+Inf")], h.count as f64)?;
        exemplars.for_each(|exemplar| self.intake.exemplar(exemplar));
        Ok(())
    }

    fn custom(
        &mut self,
        message: &'a [u8],
        described: &Described,
        point: &Point<Bounded>,
    ) -> Result<(), Bad> {
        let Point { times, stale, value } = point;
        let native = if *stale { Histogram::stale() } else { custom_buckets(value) };
        if !stale && value.count == 0 && native.sum != 0.0 {
            let warnings = &mut self.intake.out.warnings;
            warnings.histogram_zero_count_non_zero_sum += 1;
            warnings
                .note(|| format!("histogram data point has zero count, but non-zero sum: {:.6}", native.sum));
        }
        self.native(described, *times, native)?;
        self.exemplars(message, EXEMPLARS, |request, exemplar| {
            request.intake.exemplar(exemplar);
            Ok(())
        })
    }

    /// Adds a native histogram of the metric.
    pub(super) fn native(
        &mut self,
        described: &Described,
        times: Times,
        mut h: Histogram,
    ) -> Result<(), Bad> {
        let stored_delta = described.stored_deltas(&self.settings.deltas);
        if stored_delta && !h.is_stale() {
            h.counter_reset_hint = CounterResetHint::Gauge;
        }
        h.validate()
            .map_err(|e| Error::new(e.kind(), format!("{} (metric {:?})", e.message(), described.name)))?;
        self.begin(&Self::named(described))?;
        self.intake.count_buckets(&h)?;
        if !h.is_stale() && !stored_delta && self.starts(times) {
            self.intake.out.implied.begin_packed(&self.packed)?;
            self.intake.out.implied.histogram(times.start_ms(), nothing_like(&h));
        }
        let start_ms = if h.is_stale() { 0 } else { self.stored_start_ms(times) };
        self.intake.out.batch.histogram_since(times.end_ms(), h, start_ms);
        Ok(())
    }
}

fn read(own: &mut Bounded, number: u64, value: Value<'_>) -> Result<(), Malformed> {
    match number {
        4 => own.count = value.fixed64()?,
        5 => own.sum = Some(value.double()?),
        6 => fixed64s(value, &mut own.counts, |bits| bits)?,
        7 => fixed64s(value, &mut own.bounds, f64::from_bits)?,
        _ => {}
    }
    Ok(())
}

/// A native histogram with the same buckets. One without any has all its observations in one, which has no bound.
fn custom_buckets(h: &Bounded) -> Histogram {
    let all = [h.count];
    let counts: &[u64] = if h.counts.is_empty() && h.bounds.is_empty() { &all } else { &h.counts };
    let mut runs = Runs::default();
    for (index, count) in (0..).zip(counts) {
        runs.push(index, *count as f64);
    }
    // Prometheus' last bound is implied.
    let bounds: Vec<f64> = match h.bounds.as_slice() {
        [bounds @ .., last] if *last == f64::INFINITY => bounds.to_vec(),
        bounds => bounds.to_vec(),
    };
    Histogram {
        schema: CUSTOM_BUCKETS_SCHEMA,
        count: h.count as f64,
        sum: h.sum.unwrap_or(0.0),
        positive_spans: runs.spans,
        positive: runs.counts,
        custom_bounds: bounds.into(),
        ..Histogram::default()
    }
}
