//! Remote write 2.0: series refer to a table of texts.
//!
//! The table's texts stand on the wire with their lengths in front, as `base::Labels` packs them, so that the labels of a series are
//! put together from slices of the request.

use base::{Error, METRIC_NAME, Metadata, MetricType, Result};
use rustc_hash::FxHashMap;

use super::labels::{self, Pair};
use super::{Request, exemplar, histogram, metadata};
use crate::decoded::{Stop, family, nothing_like};
use crate::limits::{EXEMPLAR_LABELS, LABEL_SET_BYTES, REFUSALS_QUOTED, SYMBOLS_PER_REQUEST};
use crate::protobuf::{Malformed, Reader, Value, varints};

/// References of one series that an error quotes.
const QUOTED_REFS: usize = 32;

/// A text of the table, with its length in front as it stands in the message. Small, as there may be a million.
#[derive(Clone, Copy)]
struct Symbol {
    at: u32,
    len: u32,
}

/// The texts of a request.
struct Symbols<'a> {
    message: &'a [u8],
    table: Vec<Symbol>,
}

impl<'a> Symbols<'a> {
    fn read(message: &'a [u8]) -> Result<Self, Stop> {
        let mut table = Vec::new();
        let mut reader = Reader::new(message);
        // A request is bounded far below 4 GiB.
        let at = |rest: &[u8]| (message.len() - rest.len()) as u32;
        loop {
            let before = reader.rest();
            let Some((number, value)) = reader.field()? else { break };
            if number != 4 {
                continue;
            }
            if table.len() == SYMBOLS_PER_REQUEST {
                return Err(Stop::Limit("symbols_per_request", SYMBOLS_PER_REQUEST));
            }
            value.bytes()?;
            let begin = at(before) + 1 + before.iter().take_while(|b| **b >= 0x80).count() as u32;
            table.push(Symbol { at: begin, len: at(reader.rest()) - begin });
        }
        Ok(Self { message, table })
    }

    fn text(&self, reference: u32) -> Option<&'a [u8]> {
        self.both(reference).map(|(_, text)| text)
    }

    /// The text with its length in front, as it came, and without.
    #[inline]
    fn both(&self, reference: u32) -> Option<(&'a [u8], &'a [u8])> {
        let symbol = self.table.get(reference as usize)?;
        let packed = self.message.get(symbol.at as usize..)?.get(..symbol.len as usize)?;
        let [0..0x80, text @ ..] = packed else { return Some((packed, after_length(packed))) };
        Some((packed, text))
    }

    /// Names and values behind references. The words are Prometheus'.
    fn pairs(&self, refs: &[u32], pairs: &mut Vec<Pair<'a>>) -> Result<()> {
        pairs.clear();
        let (chunks, rest) = refs.as_chunks::<2>();
        if !rest.is_empty() {
            return Err(Error::invalid(format!("invalid labelRefs length {}", refs.len())));
        }
        for [name, value] in chunks {
            let (Some(n), Some(v)) = (self.text(*name), self.text(*value)) else {
                return Err(Error::invalid(format!(
                    "labelRefs {name} (name) = {value} (value) outside of symbols table (size {})",
                    self.table.len()
                )));
            };
            pairs.push((n, v));
        }
        Ok(())
    }

    fn metadata(&self, found: &Described) -> Result<Metadata> {
        let text = |what: &str, reference: u32| match self.text(reference) {
            Some(text) => {
                std::str::from_utf8(text).map_err(|_| Error::invalid(format!("metadata {what} is not UTF-8")))
            }
            None => Err(Error::invalid(format!(
                "metadata {what}_ref {reference} outside of symbols table (size {})",
                self.table.len()
            ))),
        };
        let (unit, help) = (text("unit", found.unit)?, text("help", found.help)?);
        Ok(Metadata { metric_type: found.metric_type, help: help.into(), unit: unit.into() })
    }
}

/// What follows a length of several bytes.
#[cold]
fn after_length(packed: &[u8]) -> &[u8] {
    let length = packed.iter().take_while(|b| **b >= 0x80).count() + 1;
    packed.get(length..).unwrap_or_default()
}

/// A `Metadata` message.
#[derive(Default)]
struct Described {
    metric_type: MetricType,
    help: u32,
    unit: u32,
}

impl Described {
    fn read(message: &[u8]) -> Result<Self, Malformed> {
        let mut found = Self::default();
        let mut reader = Reader::new(message);
        while let Some((number, value)) = reader.field()? {
            match number {
                1 => found.metric_type = metadata::type_of(value.varint()?),
                3 => found.help = value.varint()? as u32,
                4 => found.unit = value.varint()? as u32,
                _ => {}
            }
        }
        Ok(found)
    }
}

/// What a first look at a series finds.
struct Found<'a> {
    /// The references, if they come as one packed field.
    refs: Option<&'a [u8]>,
    /// The last `Metadata` message, or nothing.
    metadata: &'a [u8],
    /// The fields from the first to the last that holds a sample or an exemplar.
    values: &'a [u8],
    samples: usize,
    exemplars: usize,
}

/// What is used for one series after the other.
#[derive(Default)]
struct Scratch<'a> {
    refs: Vec<u32>,
    /// The `Metadata` message that came last with a metric, by the reference of the metric's name: it is sound, and among what the request
    /// describes.
    described: FxHashMap<u32, &'a [u8]>,
}

impl<'a> Request<'a, '_> {
    /// Reads an `io.prometheus.write.v2.Request`.
    pub(super) fn read_v2(&mut self, message: &'a [u8]) -> Result<(), Stop> {
        let symbols = Symbols::read(message)?;
        let mut scratch = Scratch::default();
        let mut reader = Reader::new(message);
        while let Some((number, value)) = reader.field()? {
            if number == 5 {
                self.series_v2(value.bytes()?, &symbols, &mut scratch)?;
            }
        }
        Ok(())
    }

    fn series_v2(
        &mut self,
        message: &'a [u8],
        symbols: &Symbols<'a>,
        scratch: &mut Scratch<'a>,
    ) -> Result<(), Stop> {
        let found = look(message)?;
        self.intake.count_series(found.samples)?;
        self.intake.count_exemplars(found.exemplars)?;
        let name = found.refs.and_then(|refs| pack(refs, symbols, self.limits, self.packed));
        let described = name.and_then(|name| scratch.described.get(&name)).copied();
        let plain = name.is_some() && found.samples > 0 && !self.features.type_and_unit_labels;
        if plain
            && described == Some(found.metadata)
            && self.intake.out.batch.begin_packed(self.packed).is_ok()
        {
            self.intake.count_labels(self.packed)?;
            return self.samples_v2(&found, symbols, scratch);
        }
        gather(message, &mut scratch.refs)?;
        let metadata = match symbols.metadata(&Described::read(found.metadata)?) {
            // What is wrong with the labels is said first.
            Err(why) if symbols.pairs(&scratch.refs, &mut self.pairs).is_ok() => {
                let what = format!("parsing metadata for series {}", quoted(&scratch.refs));
                self.intake.out.refused.series += 1;
                self.intake.out.refused.samples += found.samples as u64;
                self.intake.out.refused.note(why.context(what));
                return Ok(());
            }
            metadata => metadata.ok(),
        };
        let typed = self.features.type_and_unit_labels
            && metadata.as_ref().is_some_and(|m| m.metric_type != MetricType::Unknown || !m.unit.is_empty());
        let plain = name.is_some() && !typed && found.samples > 0;
        if (!plain || self.intake.out.batch.begin_packed(self.packed).is_err())
            && let Err(why) =
                self.begin_v2(symbols, &scratch.refs, metadata.as_ref().filter(|_| typed), &found)
        {
            self.intake.out.refused.series(found.samples, why);
            return Ok(());
        }
        self.intake.count_labels(self.packed)?;
        if described != Some(found.metadata)
            && let Some(metadata) = metadata
        {
            if let Some(name) = name {
                scratch.described.insert(name, found.metadata);
            }
            self.describe_v2(symbols, &scratch.refs, metadata);
        }
        self.samples_v2(&found, symbols, scratch)
    }

    /// Begins a series whose labels are not as they should be, if they can be put in order.
    fn begin_v2(
        &mut self,
        symbols: &Symbols<'a>,
        refs: &[u32],
        typed: Option<&Metadata>,
        found: &Found<'_>,
    ) -> Result<()> {
        symbols
            .pairs(refs, &mut self.pairs)
            .map_err(|why| why.context(format!("parsing labels for series {}", quoted(refs))))?;
        let mut pairs = std::mem::take(&mut self.pairs);
        if let Some(metadata) = typed {
            pairs.retain(|(name, _)| *name != b"__type__" && *name != b"__unit__");
            let mut with: Vec<Pair<'_>> = pairs.clone();
            let metric_type = metadata.metric_type.as_str();
            if metadata.metric_type != MetricType::Unknown {
                with.push((b"__type__", metric_type.as_bytes()));
            }
            with.push((b"__unit__", metadata.unit.as_bytes()));
            with.retain(|(name, value)| *name != b"__unit__" || !value.is_empty());
            labels::pack_pairs(&mut with, self.limits, self.packed)?;
        } else {
            labels::pack_pairs(&mut pairs, self.limits, self.packed)?;
        }
        if found.samples == 0 {
            return Err(Error::invalid(format!(
                "TimeSeries must contain at least one sample or histogram for series {}",
                labels::quote(&pairs)
            )));
        }
        self.pairs = pairs;
        self.intake.out.batch.begin_packed(self.packed)
    }

    fn describe_v2(&mut self, symbols: &Symbols<'a>, refs: &[u32], metadata: Metadata) {
        let (chunks, _) = refs.as_chunks::<2>();
        let named = |[name, _]: &&[u32; 2]| symbols.text(*name) == Some(METRIC_NAME.as_bytes());
        let name = chunks.iter().find(named).and_then(|[_, value]| symbols.text(*value));
        if let Some(Ok(name)) = name.map(std::str::from_utf8) {
            self.intake.describe(family(name, metadata.metric_type), metadata);
        }
    }

    fn samples_v2(
        &mut self,
        found: &Found<'a>,
        symbols: &Symbols<'a>,
        scratch: &mut Scratch<'a>,
    ) -> Result<(), Stop> {
        let mut reader = Reader::new(found.values);
        let mut starts = self.features.start_zeros.as_ref();
        while let Some((number, value)) = reader.field()? {
            match number {
                2 => {
                    let sample = sample(value.bytes()?)?;
                    if sample.start_ms != 0
                        && sample.start_ms < sample.t_ms
                        && let Some(starts) = starts.take()
                        && self.intake.out.starts.is_new(starts, self.packed, sample.start_ms)
                    {
                        self.begin_implied();
                        self.intake.out.implied.sample(sample.start_ms, 0.0);
                    }
                    let start_ms = if self.features.starts { sample.start_ms } else { 0 };
                    self.intake.out.batch.sample_since(sample.t_ms, sample.value, start_ms);
                }
                3 => match histogram::read(value.bytes()?)? {
                    Ok(read) => {
                        self.intake.count_buckets(&read.histogram)?;
                        if read.start_ms != 0
                            && read.start_ms < read.t_ms
                            && let Some(starts) = starts.take()
                            && self.intake.out.starts.is_new(starts, self.packed, read.start_ms)
                        {
                            self.begin_implied();
                            let nothing = nothing_like(&read.histogram);
                            self.intake.out.implied.histogram(read.start_ms, nothing);
                        }
                        let start_ms = if self.features.starts { read.start_ms } else { 0 };
                        self.intake.out.batch.histogram_since(read.t_ms, read.histogram, start_ms);
                    }
                    Err(why) => {
                        self.intake.out.refused.samples += 1;
                        self.note_of_series(&why);
                    }
                },
                4 => match read_exemplar(value.bytes()?, symbols, &mut scratch.refs, &mut self.pairs)? {
                    Ok(exemplar) => self.intake.exemplar(exemplar),
                    Err(why) => {
                        self.intake.out.refused.exemplars += 1;
                        self.note_of_series(&why.context("parsing exemplar"));
                    }
                },
                _ => {}
            }
        }
        Ok(())
    }

    fn begin_implied(&mut self) {
        self.intake.out.implied.begin_packed(self.packed).expect("the batch has taken these labels");
    }

    /// Refuses something of the series begun last, whose labels are packed still.
    fn note_of_series(&mut self, why: &Error) {
        if self.intake.out.refused.errors.len() < REFUSALS_QUOTED {
            let series = self.intake.out.batch.series().last().map(|s| s.to_labels()).unwrap_or_default();
            self.intake
                .out
                .refused
                .note(Error::new(why.kind(), format!("{} for series {series}", why.message())));
        }
    }
}

/// Looks at every field of a series.
fn look(message: &[u8]) -> Result<Found<'_>, Malformed> {
    let mut found = Found { refs: None, metadata: &[], values: &[], samples: 0, exemplars: 0 };
    let (mut lists, mut first, mut after) = (0, None, 0);
    let mut reader = Reader::new(message);
    loop {
        let before = reader.rest();
        let Some((number, value)) = reader.field()? else { break };
        match number {
            1 => {
                lists += 1;
                found.refs = value.bytes().ok().filter(|_| lists == 1);
            }
            2..=4 => {
                found.samples += usize::from(number != 4);
                found.exemplars += usize::from(number == 4);
                first.get_or_insert(before);
                after = reader.rest().len();
            }
            5 => found.metadata = value.bytes()?,
            _ => {}
        }
    }
    if let Some(values) = first {
        found.values = &values[..values.len() - after];
    }
    Ok(found)
}

/// The references of a series, however they come.
fn gather(message: &[u8], refs: &mut Vec<u32>) -> Result<(), Malformed> {
    refs.clear();
    let mut reader = Reader::new(message);
    while let Some((number, value)) = reader.field()? {
        if number == 1 {
            take_refs(value, refs)?;
        }
    }
    Ok(())
}

fn take_refs(value: Value<'_>, refs: &mut Vec<u32>) -> Result<(), Malformed> {
    varints(value, |n| {
        // As many as no label set can have are enough to be refused.
        if refs.len() < LABEL_SET_BYTES {
            // Higher bits are cut off, as protobuf does with a number for a narrower field.
            refs.push(n as u32);
        }
    })
}

/// The next of packed references.
#[inline]
fn next_ref(packed: &mut &[u8]) -> Option<u32> {
    // References are small: the texts that come often stand first.
    match *packed {
        [byte @ 0..0x80, rest @ ..] => {
            *packed = rest;
            Some(u32::from(*byte))
        }
        [low, high @ 0..0x80, rest @ ..] => {
            *packed = rest;
            Some(u32::from(*low & 0x7f) | u32::from(*high) << 7)
        }
        _ => {
            let mut reader = Reader::new(packed);
            let n = reader.varint().ok()?;
            *packed = reader.rest();
            Some(n as u32)
        }
    }
}

/// Packs labels that are as they should be: named, within the limits. The batch finds out whether they are in order, none of them empty,
/// and UTF-8. Returns the reference of the metric's name.
fn pack(
    mut refs: &[u8],
    symbols: &Symbols<'_>,
    limits: crate::LabelLimits,
    packed: &mut Vec<u8>,
) -> Option<u32> {
    packed.clear();
    let (mut labels, mut metric, mut fits) = (0, None, true);
    while !refs.is_empty() {
        let (name_ref, value_ref) = (next_ref(&mut refs)?, next_ref(&mut refs)?);
        let ((packed_name, name), (packed_value, value)) =
            (symbols.both(name_ref)?, symbols.both(value_ref)?);
        if packed.len() > LABEL_SET_BYTES {
            return None;
        }
        labels += 1;
        fits &= name.len() <= limits.name_bytes && value.len() <= limits.value_bytes;
        // Eight bytes compare as one number.
        if name.len() == METRIC_NAME.len() && name.first_chunk::<8>() == Some(b"__name__") {
            metric = Some(value_ref);
        }
        packed.extend_from_slice(packed_name);
        packed.extend_from_slice(packed_value);
    }
    metric.filter(|_| fits && labels <= limits.labels && packed.len() <= LABEL_SET_BYTES)
}

/// A sample with its times.
struct Sample {
    t_ms: i64,
    value: f64,
    /// When counting started; 0 if nobody said.
    start_ms: i64,
}

fn sample(message: &[u8]) -> Result<Sample, Malformed> {
    let mut sample = Sample { t_ms: 0, value: 0.0, start_ms: 0 };
    let mut reader = Reader::new(message);
    while let Some((number, value)) = reader.field()? {
        match number {
            1 => sample.value = value.double()?,
            2 => sample.t_ms = value.int64()?,
            3 => sample.start_ms = value.int64()?,
            _ => {}
        }
    }
    Ok(sample)
}

fn read_exemplar<'a>(
    message: &'a [u8],
    symbols: &Symbols<'a>,
    refs: &mut Vec<u32>,
    pairs: &mut Vec<Pair<'a>>,
) -> Result<Result<base::Exemplar>, Malformed> {
    refs.clear();
    let (mut value, mut t_ms) = (0.0, 0);
    let mut reader = Reader::new(message);
    while let Some((number, field)) = reader.field()? {
        match number {
            1 => take_refs(field, refs)?,
            2 => value = field.double()?,
            3 => t_ms = field.int64()?,
            _ => {}
        }
    }
    if refs.len() > 2 * EXEMPLAR_LABELS {
        return Ok(Err(exemplar::too_many()));
    }
    let labels = symbols.pairs(refs, pairs).and_then(|()| exemplar::labels_of(pairs));
    Ok(labels.map(|labels| base::Exemplar { labels, value, t_ms }))
}

/// References as Go writes a list of numbers, cut where it gets long.
fn quoted(refs: &[u32]) -> String {
    let shown: Vec<String> = refs.iter().take(QUOTED_REFS).map(u32::to_string).collect();
    let more = if refs.len() > QUOTED_REFS { " …" } else { "" };
    format!("[{}{more}]", shown.join(" "))
}
