//! Data points as they are read, and added up where they say what was added.

use base::{Error, METRIC_NAME, Result, STALE_NAN};
use xxhash_rust::xxh3::Xxh3;

use super::labels::{Origin, bad_value};
use super::metric::Described;
use super::resource::{Context, gather, hash_attributes, sort};
use super::{Bad, Deltas, Request};
use crate::decoded::Stop;
use crate::limits::HISTOGRAM_BUCKETS;
use crate::protobuf::{Malformed, Reader, Value};

/// When a data point was taken, and since when it counts; nanoseconds, 0 if nobody said.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Times {
    pub(super) start_ns: u64,
    pub(super) end_ns: u64,
}

impl Times {
    pub(super) fn end_ms(self) -> i64 {
        // As Prometheus has it, beyond the year 2262 too.
        self.end_ns as i64 / 1_000_000
    }

    pub(super) fn start_ms(self) -> i64 {
        self.start_ns as i64 / 1_000_000
    }
}

/// What all kinds of data points have, with what each has of its own.
#[derive(Debug, Clone, Default)]
pub(super) struct Point<T> {
    pub(super) times: Times,
    /// There was nothing to measure: the series ends.
    pub(super) stale: bool,
    pub(super) value: T,
}

/// A number as sent.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Number {
    Int(i64),
    Double(f64),
}

impl Default for Number {
    fn default() -> Self {
        Self::Double(0.0)
    }
}

impl Number {
    pub(super) fn value(self) -> f64 {
        match self {
            Self::Int(n) => n as f64,
            Self::Double(v) => v,
        }
    }
}

/// A histogram with bounds.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Bounded {
    pub(super) count: u64,
    pub(super) sum: Option<f64>,
    /// One more than bounds.
    pub(super) counts: Vec<u64>,
    /// Inclusive upper bounds.
    pub(super) bounds: Vec<f64>,
}

/// A histogram with exponential buckets.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Exponential {
    pub(super) count: u64,
    pub(super) sum: Option<f64>,
    pub(super) scale: i32,
    pub(super) zero_count: u64,
    pub(super) zero_threshold: f64,
    /// Counts of the buckets that are not empty, by ascending index: bucket i is (2^(i/2^scale), 2^((i+1)/2^scale)].
    pub(super) positive: Vec<(i32, u64)>,
    /// The same of negative values.
    pub(super) negative: Vec<(i32, u64)>,
}

/// Numbers of the fields that all kinds of data points have.
pub(super) struct Fields {
    pub(super) attributes: u64,
    pub(super) flags: u64,
    pub(super) exemplars: Option<u64>,
}

impl<'a> Request<'a, '_> {
    /// Reads what a data point has in common with others, and its labels; `own` takes its other fields. The labels are settled then.
    pub(super) fn point<T: Default>(
        &mut self,
        message: &'a [u8],
        fields: &Fields,
        mut own: impl FnMut(&mut T, u64, Value<'a>) -> Result<(), Malformed>,
    ) -> Result<Point<T>, Bad> {
        let mut point = Point::<T>::default();
        let mut reader = Reader::new(message);
        while let Some((number, value)) = reader.field()? {
            match number {
                2 => point.times.start_ns = value.fixed64()?,
                3 => point.times.end_ns = value.fixed64()?,
                n if n == fields.flags => point.stale = value.varint()? & 1 == 1,
                n if n == fields.attributes || Some(n) == fields.exemplars => {}
                n => own(&mut point.value, n, value)?,
            }
        }
        let mut attributes = std::mem::take(&mut self.attributes);
        attributes.clear();
        let gathered = gather(message, fields.attributes, &mut attributes, self.limits.labels);
        let pushed = gathered.and_then(|()| {
            sort(&mut attributes);
            attributes.retain(|(name, _)| *name != METRIC_NAME);
            attributes.iter().try_for_each(|attribute| {
                self.labels.push_attribute("", *attribute, self.settings, Origin::Attribute)
            })
        });
        if pushed.is_ok() {
            self.settle(&attributes, "data point");
        }
        self.attributes = attributes;
        pushed?;
        Ok(point)
    }

    /// Begins a series with the settled labels and others, which are in order of their names.
    pub(super) fn begin(&mut self, others: &[(&str, &str)]) -> Result<(), Bad> {
        self.labels.pack(others, self.limits, &mut self.packed)?;
        self.intake.out.batch.begin_packed(&self.packed)?;
        self.intake.count_series(1)?;
        self.intake.count_labels(&self.packed)?;
        Ok(())
    }

    /// Adds a sample of a series that is begun with the settled labels and others. What ends has no value.
    pub(super) fn sample(
        &mut self,
        others: &[(&str, &str)],
        times: Times,
        value: f64,
        stale: bool,
    ) -> Result<(), Bad> {
        self.begin(others)?;
        let value = if stale { f64::from_bits(STALE_NAN) } else { value };
        let start_ms = if stale { 0 } else { self.stored_start_ms(times) };
        self.intake.out.batch.sample_since(times.end_ms(), value, start_ms);
        Ok(())
    }

    /// When counting began, if that is to be stored; else 0.
    pub(super) fn stored_start_ms(&self, times: Times) -> i64 {
        if self.settings.starts { times.start_ms() } else { 0 }
    }

    /// Whether a zero is to be stored where the series begun last started.
    pub(super) fn starts(&mut self, times: Times) -> bool {
        let start_ms = times.start_ms();
        let Some(known) = &self.settings.start_zeros else { return false };
        start_ms != 0
            && start_ms < times.end_ms()
            && self.intake.out.starts.is_new(known, &self.packed, start_ms)
    }

    /// Stores a zero where the series begun last started, if that is wanted.
    pub(super) fn start_zero(&mut self, times: Times) -> Result<(), Bad> {
        if self.starts(times) {
            self.intake.out.implied.begin_packed(&self.packed)?;
            self.intake.out.implied.sample(times.start_ms(), 0.0);
        }
        Ok(())
    }

    /// Adds a data point up, if it says what was added and that is wanted.
    pub(super) fn add_up<T: super::delta::Addend>(
        &mut self,
        described: &Described,
        context: &Context,
        point: &mut Point<T>,
    ) -> Result<(), Bad> {
        let Deltas::AddUp(accumulator) = &self.settings.deltas else { return Ok(()) };
        if !described.delta || point.stale {
            return Ok(());
        }
        let mut identity: Xxh3 = context.identity.clone();
        described.hash(&mut identity);
        hash_attributes(&mut identity, &self.attributes);
        accumulator.add(identity.digest128(), &mut point.times, &mut point.value, self.now_ms)?;
        Ok(())
    }

    /// Takes the exemplars of a data point in turn.
    pub(super) fn exemplars(
        &mut self,
        message: &'a [u8],
        field: u64,
        mut take: impl FnMut(&mut Self, base::Exemplar) -> Result<(), Stop>,
    ) -> Result<(), Bad> {
        let mut reader = Reader::new(message);
        while let Some((number, value)) = reader.field()? {
            if number == field {
                self.intake.count_exemplars(1)?;
                match exemplar(value.bytes()?)? {
                    Ok(exemplar) => take(self, exemplar)?,
                    Err(why) => {
                        self.intake.out.refused.exemplars += 1;
                        self.intake.out.warnings.note(|| why.message().to_owned());
                    }
                }
            }
        }
        Ok(())
    }
}

/// Reads an exemplar; the inner error says why it cannot be taken.
fn exemplar(message: &[u8]) -> Result<Result<base::Exemplar>, Malformed> {
    let (mut time_ns, mut value, mut trace, mut span) = (0, None, &[][..], &[][..]);
    let mut reader = Reader::new(message);
    while let Some((number, field)) = reader.field()? {
        match number {
            2 => time_ns = field.fixed64()?,
            3 => value = Some(field.double()?),
            4 => span = field.bytes()?,
            5 => trace = field.bytes()?,
            6 => value = Some(field.fixed64()? as i64 as f64),
            _ => {}
        }
    }
    let Some(value) = value else {
        return Ok(Err(Error::invalid("cannot take exemplar: it has no value")));
    };
    let mut pairs: Vec<(String, String)> = Vec::new();
    for (name, id) in [("trace_id", trace), ("span_id", span)] {
        if id.len() <= LONGEST_ID && id.iter().any(|b| *b != 0) {
            let hex: String = id.iter().map(|b| format!("{b:02x}")).collect();
            pairs.push((name.into(), hex));
        }
    }
    let own = pairs.len();
    let mut attributes = Vec::new();
    if let Err(why) = gather(message, 7, &mut attributes, base::EXEMPLAR_LABEL_CHARS) {
        return Ok(Err(why.context("cannot take exemplar")));
    }
    for (name, attribute) in attributes {
        let mut text = String::new();
        if let Err(why) = super::value::write(attribute, &mut text) {
            return Ok(Err(bad_value(name, why)));
        }
        pairs.push((name.into(), text));
    }
    // What was filtered is left out where all of it does not fit.
    let chars: usize = pairs.iter().map(|(n, v)| n.chars().count() + v.chars().count()).sum();
    if chars > base::EXEMPLAR_LABEL_CHARS {
        pairs.truncate(own);
    }
    let t_ms = time_ns as i64 / 1_000_000;
    Ok(Ok(base::Exemplar { labels: base::Labels::from_pairs(pairs), value, t_ms }))
}

/// Bytes of a trace's id; a span's has half as many.
const LONGEST_ID: usize = 16;

/// Numbers of eight bytes, packed or one by one, no more than a histogram may have buckets and one.
pub(super) fn fixed64s<T>(
    value: Value<'_>,
    out: &mut Vec<T>,
    of: impl Fn(u64) -> T,
) -> Result<(), Malformed> {
    let room = (HISTOGRAM_BUCKETS + 1).saturating_sub(out.len());
    if let Value::Fixed64(bits) = value {
        out.extend((room > 0).then(|| of(bits)));
        return Ok(());
    }
    let (chunks, rest) = value.bytes()?.as_chunks::<8>();
    if !rest.is_empty() {
        return Err(Malformed::CutShort);
    }
    out.extend(chunks.iter().take(room).map(|c| of(u64::from_le_bytes(*c))));
    Ok(())
}

/// The error of a histogram with too many buckets.
pub(super) fn too_many_buckets() -> Error {
    Error::limit(format!(
        "cannot take histogram: it has more than {HISTOGRAM_BUCKETS} buckets (limit histogram_buckets)"
    ))
}
