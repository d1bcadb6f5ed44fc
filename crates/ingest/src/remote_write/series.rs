//! The series of a `prometheus.WriteRequest`.

use base::Result;

use super::{Request, exemplar, histogram, labels};
use crate::decoded::Stop;
use crate::protobuf::{Malformed, Reader};

impl<'a> Request<'a, '_> {
    pub(super) fn series(&mut self, message: &'a [u8]) -> Result<(), Stop> {
        let found = labels::pack_as_sent(message, self.limits, self.packed)?;
        self.intake.count_series(found.samples)?;
        if (!found.packed || self.intake.out.batch.begin_packed(self.packed).is_err())
            && let Err(why) = self.begin_thoroughly(message)?
        {
            self.intake.out.refused.series(found.samples, why);
            return Ok(());
        }
        self.intake.count_labels(self.packed)?;
        self.samples(found.rest)
    }

    /// Begins a series whose labels are not as they should be, if they can be put in order.
    fn begin_thoroughly(&mut self, message: &'a [u8]) -> Result<Result<()>, Malformed> {
        let packed = labels::pack_any(message, self.limits, &mut self.pairs, self.packed)?;
        Ok(packed.and_then(|()| self.intake.out.batch.begin_packed(self.packed)))
    }

    fn samples(&mut self, fields: &'a [u8]) -> Result<(), Stop> {
        let mut reader = Reader::new(fields);
        while let Some((number, value)) = reader.field()? {
            match number {
                2 => {
                    let (t_ms, v) = sample(value.bytes()?)?;
                    self.intake.out.batch.sample(t_ms, v);
                }
                3 => {
                    self.intake.count_exemplars(1)?;
                    match exemplar::read(value.bytes()?)? {
                        Ok(exemplar) => self.intake.exemplar(exemplar),
                        Err(_) => self.intake.out.refused.exemplars += 1,
                    }
                }
                4 => match histogram::read(value.bytes()?)? {
                    Ok(read) => {
                        self.intake.count_buckets(&read.histogram)?;
                        self.intake.out.batch.histogram(read.t_ms, read.histogram);
                    }
                    Err(why) => {
                        self.intake.out.refused.samples += 1;
                        self.intake.out.refused.note(why);
                    }
                },
                _ => {}
            }
        }
        Ok(())
    }
}

fn sample(message: &[u8]) -> Result<(i64, f64), Malformed> {
    let (mut t_ms, mut v) = (0, 0.0);
    let mut reader = Reader::new(message);
    while let Some((number, value)) = reader.field()? {
        match number {
            1 => v = value.double()?,
            2 => t_ms = value.int64()?,
            _ => {}
        }
    }
    Ok((t_ms, v))
}
