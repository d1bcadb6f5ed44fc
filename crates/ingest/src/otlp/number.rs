//! Gauges and sums.

use super::metric::{Data, Described};
use super::point::{Fields, Number, Point};
use super::resource::Context;
use super::{Bad, Request};

const EXEMPLARS: u64 = 5;
const FIELDS: Fields = Fields { attributes: 7, flags: 8, exemplars: Some(EXEMPLARS) };

impl<'a> Request<'a, '_> {
    pub(super) fn number(
        &mut self,
        message: &'a [u8],
        described: &Described,
        context: &Context,
    ) -> Result<(), Bad> {
        let mut point: Point<Number> = self.point(message, &FIELDS, |own: &mut Number, number, value| {
            match number {
                4 => *own = Number::Double(value.double()?),
                6 => *own = Number::Int(value.fixed64()? as i64),
                _ => {}
            }
            Ok(())
        })?;
        self.add_up(described, context, &mut point)?;
        // A gauge does not count, and what it measures has no exemplars in Prometheus.
        if described.data == Data::Gauge {
            point.times.start_ns = 0;
        }
        self.sample(&Self::named(described), point.times, point.value.value(), point.stale)?;
        if described.data == Data::Gauge {
            return Ok(());
        }
        if described.monotonic && !described.stored_deltas(&self.settings.deltas) {
            self.start_zero(point.times)?;
        }
        self.exemplars(message, EXEMPLARS, |request, exemplar| {
            request.intake.exemplar(exemplar);
            Ok(())
        })
    }
}
