//! Summaries: quantiles that the source calculated.

use base::{METRIC_NAME, format_float};

use super::metric::Described;
use super::point::{Fields, Point};
use super::{Bad, Request};
use crate::limits::HISTOGRAM_BUCKETS;
use crate::protobuf::{Malformed, Reader};

const FIELDS: Fields = Fields { attributes: 7, flags: 8, exemplars: None };

#[derive(Default)]
struct Summary {
    count: u64,
    sum: f64,
    /// Quantiles and their values.
    quantiles: Vec<(f64, f64)>,
}

impl<'a> Request<'a, '_> {
    pub(super) fn summary(&mut self, message: &'a [u8], described: &Described) -> Result<(), Bad> {
        let point: Point<Summary> = self.point(message, &FIELDS, |own: &mut Summary, number, value| {
            match number {
                4 => own.count = value.fixed64()?,
                5 => own.sum = value.double()?,
                6 if own.quantiles.len() <= HISTOGRAM_BUCKETS => {
                    own.quantiles.push(quantile(value.bytes()?)?);
                }
                _ => {}
            }
            Ok(())
        })?;
        let Point { times, stale, value: summary } = point;
        if summary.quantiles.len() > HISTOGRAM_BUCKETS {
            return Err(super::point::too_many_buckets().into());
        }
        let name = &described.name;
        self.sample(&[(METRIC_NAME, &format!("{name}_sum"))], times, summary.sum, stale)?;
        self.start_zero(times)?;
        self.sample(&[(METRIC_NAME, &format!("{name}_count"))], times, summary.count as f64, stale)?;
        self.start_zero(times)?;
        for (quantile, value) in summary.quantiles {
            let mut text = String::new();
            format_float(quantile, &mut text);
            self.sample(&[(METRIC_NAME, name), ("quantile", &text)], times, value, stale)?;
        }
        Ok(())
    }
}

fn quantile(message: &[u8]) -> Result<(f64, f64), Malformed> {
    let (mut quantile, mut value) = (0.0, 0.0);
    let mut reader = Reader::new(message);
    while let Some((number, field)) = reader.field()? {
        match number {
            1 => quantile = field.double()?,
            2 => value = field.double()?,
            _ => {}
        }
    }
    Ok((quantile, value))
}
