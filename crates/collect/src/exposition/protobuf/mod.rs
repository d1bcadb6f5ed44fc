//! The parser of Prometheus' protobuf messages: `io.prometheus.client.MetricFamily`, each after its length.
//!
//! Owns the order in which a metric becomes samples, and the names that these have: one metric of this format may be a native histogram,
//! many samples of a classic one, or both. Labels are not copied but for the bytes that tell series apart. What is accepted is what
//! Prometheus accepts.

mod metric;

use base::MetricType;
use ingest::protobuf::{Malformed, Reader};

use super::classic::Classic;
use super::quote::quote;
use super::{
    Escaped, Escapes, Event, Exemplar, Histograms, LabelSpan, Native, NativeExemplar, ParseError, Series,
    Span,
};
use metric::{Metric, double, time_ms};

/// Between the name of a series and its bound; no UTF-8 has it.
const SEPARATOR: u8 = 0xff;

/// The type of a family.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Kind {
    #[default]
    Counter,
    Gauge,
    Summary,
    Untyped,
    Histogram,
    GaugeHistogram,
}

impl Kind {
    fn of(number: u64) -> Option<Self> {
        // Higher bits are cut off, as protobuf does with a number for a narrower field.
        Some(match number as u32 {
            0 => Self::Counter,
            1 => Self::Gauge,
            2 => Self::Summary,
            3 => Self::Untyped,
            4 => Self::Histogram,
            5 => Self::GaugeHistogram,
            _ => return None,
        })
    }

    fn metric_type(self) -> MetricType {
        match self {
            Self::Counter => MetricType::Counter,
            Self::Gauge => MetricType::Gauge,
            Self::Summary => MetricType::Summary,
            Self::Untyped => MetricType::Unknown,
            Self::Histogram => MetricType::Histogram,
            Self::GaugeHistogram => MetricType::GaugeHistogram,
        }
    }

    /// The field of a metric that has its numbers.
    fn field(self) -> u64 {
        match self {
            Self::Gauge => 2,
            Self::Counter => 3,
            Self::Summary => 4,
            Self::Untyped => 5,
            Self::Histogram | Self::GaugeHistogram => 7,
        }
    }
}

/// Why a body is refused.
#[derive(Debug)]
enum Fault {
    Wire(Malformed),
    Text(String),
}

impl From<Malformed> for Fault {
    fn from(m: Malformed) -> Self {
        Self::Wire(m)
    }
}

/// What is said of a family.
#[derive(Debug, Default)]
struct Family<'a> {
    name: &'a [u8],
    help: &'a [u8],
    unit: &'a [u8],
    kind: Kind,
}

/// What comes next.
#[derive(Debug, Clone, Copy)]
enum Next {
    Family,
    Unit,
    Type,
    Metric,
    /// The only sample of a metric.
    Number,
    /// A sample of a summary or of a classic histogram: the count, the sum, then quantiles or buckets.
    Part(usize),
    /// A native histogram as the target counts it.
    Native,
    /// One with custom buckets, made of a classic one.
    Custom,
    End,
}

/// Reads the events of one body.
#[derive(Debug)]
pub(super) struct ProtobufParser<'a> {
    body: &'a [u8],
    histograms: Histograms,
    /// Where the next family begins.
    next_family: usize,
    next: Next,
    /// Where what is being read lies, for messages.
    at: usize,
    family: Family<'a>,
    /// What follows of the family.
    metrics: Reader<'a>,
    metric: Metric<'a>,
    labels: Vec<LabelSpan>,
    exemplar_labels: Vec<LabelSpan>,
    /// What tells series apart: the labels as the target wrote them, a zero, the name, and the bound.
    key: Vec<u8>,
    /// How much of that is the same for all samples of a metric.
    key_labels: usize,
    native: Native,
    classic: Classic,
}

impl<'a> ProtobufParser<'a> {
    pub(super) fn new(body: &'a [u8], histograms: Histograms) -> Self {
        Self {
            body,
            histograms,
            next_family: 0,
            next: Next::Family,
            at: 0,
            family: Family::default(),
            metrics: Reader::new(&[]),
            metric: Metric::default(),
            labels: Vec::new(),
            exemplar_labels: Vec::new(),
            key: Vec::new(),
            key_labels: 0,
            native: Native::default(),
            classic: Classic::default(),
        }
    }

    pub(super) fn next_event(&mut self) -> Result<Option<Event<'_>>, ParseError> {
        loop {
            match self.next {
                Next::End => return Ok(None),
                Next::Family => {
                    if self.step(Self::read_family)? {
                        let text = raw(self.family.help);
                        return Ok(Some(Event::Help { metric: raw(self.family.name), text }));
                    }
                }
                Next::Unit => {
                    self.next = Next::Type;
                    if !self.family.unit.is_empty() {
                        let unit = raw(self.family.unit);
                        return Ok(Some(Event::Unit { metric: raw(self.family.name), unit }));
                    }
                }
                Next::Type => {
                    self.next = Next::Metric;
                    let metric_type = self.family.kind.metric_type();
                    return Ok(Some(Event::Type { metric: raw(self.family.name), metric_type }));
                }
                Next::Metric => self.step(Self::read_metric)?,
                Next::Number => {
                    self.next = Next::Metric;
                    let (value, exemplar) = (self.metric.value, self.metric.exemplar);
                    let exemplar = self.step(|p| p.exemplar(exemplar))?;
                    return Ok(Some(Event::Series(self.series("", None, value, exemplar))));
                }
                Next::Part(position) => {
                    if let Some(part) = self.part(position) {
                        let exemplar = self.step(|p| p.exemplar(part.exemplar))?;
                        let series = self.series(part.suffix, part.bound, part.value, exemplar);
                        return Ok(Some(Event::Series(series)));
                    }
                }
                Next::Native | Next::Custom => {
                    self.step(Self::read_native)?;
                    return Ok(Some(self.histogram()));
                }
            }
        }
    }

    /// Does a step; after a failure there is nothing more.
    fn step<T>(&mut self, step: impl FnOnce(&mut Self) -> Result<T, Fault>) -> Result<T, ParseError> {
        step(self).map_err(|fault| self.error(fault))
    }

    #[cold]
    fn error(&mut self, fault: Fault) -> ParseError {
        self.next = Next::End;
        let cause = match fault {
            Fault::Wire(malformed) => malformed.cause().to_owned(),
            Fault::Text(text) => text,
        };
        let (family, at) = (quote(self.family.name), self.at);
        ParseError { line: 0, message: format!("cannot read metric family {family} at byte {at}: {cause}") }
    }

    /// Goes to the next family that has a metric. Returns whether there is one.
    fn read_family(&mut self) -> Result<bool, Fault> {
        loop {
            self.at = self.next_family;
            self.family = Family::default();
            let mut reader = Reader::new(&self.body[self.at..]);
            if reader.rest().is_empty() {
                self.next = Next::End;
                return Ok(false);
            }
            let message = reader.bytes()?;
            self.next_family = self.offset(reader.rest());
            if self.read_head(message)? {
                break;
            }
        }
        let name = self.family.name;
        if name.is_empty() || std::str::from_utf8(name).is_err() {
            return Err(Fault::Text(format!("invalid metric name: {}", quote(name))));
        }
        for (what, text) in [("help", self.family.help), ("unit", self.family.unit)] {
            if std::str::from_utf8(text).is_err() {
                return Err(Fault::Text(format!("invalid {what} for metric: {}", quote(text))));
            }
        }
        self.next = Next::Unit;
        Ok(true)
    }

    /// Reads what is said of a family, and notes where its metrics are. Returns whether there are any.
    fn read_head(&mut self, message: &'a [u8]) -> Result<bool, Fault> {
        let (mut kind, mut has_metrics) = (0, false);
        let mut reader = Reader::new(message);
        self.metrics = reader;
        loop {
            self.at = self.offset(reader.rest());
            let Some((number, value)) = reader.field()? else { break };
            match number {
                1 => self.family.name = value.bytes()?,
                2 => self.family.help = value.bytes()?,
                3 => kind = value.varint()?,
                4 => has_metrics |= value.bytes().map(|_| true)?,
                5 => self.family.unit = value.bytes()?,
                _ => {}
            }
        }
        if has_metrics {
            let unknown = || Fault::Text(format!("unknown metric type {}", kind as i32));
            self.family.kind = Kind::of(kind).ok_or_else(unknown)?;
        }
        Ok(has_metrics)
    }

    /// Reads the next metric of the family and decides what it becomes.
    fn read_metric(&mut self) -> Result<(), Fault> {
        let message = loop {
            match self.metrics.field()? {
                None => {
                    self.next = Next::Family;
                    return Ok(());
                }
                Some((4, value)) => break value.bytes()?,
                Some(_) => {}
            }
        };
        self.metric.clear();
        self.labels.clear();
        self.key.clear();
        let kind = self.family.kind;
        let mut reader = Reader::new(message);
        loop {
            let before = reader.rest();
            self.at = self.offset(before);
            let Some((number, value)) = reader.field()? else { break };
            match number {
                1 => {
                    let label = self.label(value.bytes()?)?;
                    self.labels.push(label);
                    self.key.extend_from_slice(&before[..before.len() - reader.rest().len()]);
                }
                2..=5 | 7 => {
                    let message = value.bytes()?;
                    if number == kind.field() {
                        self.metric.read(kind, message)?;
                    }
                }
                6 => self.metric.timestamp_ms = value.int64()?,
                _ => {}
            }
        }
        self.key.push(0);
        self.key_labels = self.key.len();
        self.at = self.offset(message);
        self.next = self.first_sample();
        Ok(())
    }

    fn first_sample(&self) -> Next {
        let h = self.histograms;
        match self.family.kind {
            Kind::Counter | Kind::Gauge | Kind::Untyped => Next::Number,
            Kind::Summary => Next::Part(0),
            Kind::Histogram | Kind::GaugeHistogram if h.native && self.metric.is_native() => Next::Native,
            Kind::Histogram | Kind::GaugeHistogram if h.to_custom_buckets && !h.always_classic => {
                Next::Custom
            }
            Kind::Histogram | Kind::GaugeHistogram => Next::Part(0),
        }
    }

    fn offset(&self, part: &[u8]) -> usize {
        part.as_ptr().addr() - self.body.as_ptr().addr()
    }

    fn span(&self, part: &[u8]) -> Span {
        let start = self.offset(part);
        Span { start, end: start + part.len() }
    }

    fn label(&self, message: &'a [u8]) -> Result<LabelSpan, Fault> {
        // What is left out is the empty text.
        let (mut name, mut value) = (&message[..0], &message[..0]);
        let mut reader = Reader::new(message);
        while let Some((number, field)) = reader.field()? {
            match number {
                1 => name = field.bytes()?,
                2 => value = field.bytes()?,
                _ => {}
            }
        }
        if name.is_empty() || std::str::from_utf8(name).is_err() {
            return Err(Fault::Text(format!("invalid label name: {}", quote(name))));
        }
        if std::str::from_utf8(value).is_err() {
            return Err(Fault::Text(format!("invalid label value: {}", quote(value))));
        }
        Ok(LabelSpan { name: self.span(name), value: self.span(value) })
    }

    /// The sample at a position of a summary or classic histogram, and what comes after it; `None` at the end.
    fn part(&mut self, position: usize) -> Option<Part<'a>> {
        self.next = Next::Part(position + 1);
        let part = Part { suffix: "_count", value: self.metric.count(), bound: None, exemplar: None };
        let Some(at) = position.checked_sub(2) else {
            return Some(if position == 0 {
                part
            } else {
                Part { suffix: "_sum", value: self.metric.sum, ..part }
            });
        };
        let point = self.metric.points.get(at).copied();
        if self.family.kind == Kind::Summary {
            if point.is_none() {
                self.next = Next::Metric;
            }
            return point.map(|q| Part { suffix: "", value: q.value, bound: Some(q.bound), exemplar: None });
        }
        // The last bucket may be left out, and nothing comes after it.
        let point =
            point.unwrap_or(metric::Point { bound: f64::INFINITY, value: part.value, exemplar: None });
        if point.bound == f64::INFINITY {
            let h = self.histograms;
            let converted = h.to_custom_buckets && !(h.native && self.metric.is_native());
            self.next = if converted { Next::Custom } else { Next::Metric };
        }
        Some(Part {
            suffix: "_bucket",
            value: point.value,
            bound: Some(point.bound),
            exemplar: point.exemplar,
        })
    }

    /// Makes the histogram of the metric, and decides what comes after it.
    fn read_native(&mut self) -> Result<(), Fault> {
        let kind = self.family.kind;
        self.native.clear();
        let made = if matches!(self.next, Next::Custom) {
            self.next = Next::Metric;
            self.metric.to_custom(kind, &mut self.classic)
        } else {
            let classic_too = self.histograms.always_classic && !self.metric.points.is_empty();
            self.next = if classic_too { Next::Part(0) } else { Next::Metric };
            self.metric.to_native(kind)
        };
        self.native.histogram = made.map_err(Fault::Text)?;
        let mut labels = std::mem::take(&mut self.native.exemplar_labels);
        for message in self.metric.exemplars() {
            let from = labels.len();
            let read = self.read_exemplar(message, &mut labels)?;
            // Without a time it could not be told from the one that was exposed before; Prometheus leaves it out, too.
            match read.timestamp_ms {
                None => labels.truncate(from),
                Some(timestamp_ms) => self.native.exemplars.push(NativeExemplar {
                    labels: (from, labels.len()),
                    value: read.value,
                    timestamp_ms,
                }),
            }
        }
        self.native.exemplar_labels = labels;
        self.native.exemplars.sort_by_key(|e| e.timestamp_ms);
        Ok(())
    }

    /// Reads the exemplar of a single sample, if it has one.
    fn exemplar(&mut self, message: Option<&'a [u8]>) -> Result<Option<ReadExemplar>, Fault> {
        let mut labels = std::mem::take(&mut self.exemplar_labels);
        labels.clear();
        let read = message.map(|m| self.read_exemplar(m, &mut labels)).transpose();
        self.exemplar_labels = labels;
        read
    }

    fn read_exemplar(&self, message: &'a [u8], labels: &mut Vec<LabelSpan>) -> Result<ReadExemplar, Fault> {
        let mut read = ReadExemplar { value: 0.0, timestamp_ms: None };
        let mut reader = Reader::new(message);
        while let Some((number, value)) = reader.field()? {
            match number {
                1 => labels.push(self.label(value.bytes()?)?),
                2 => read.value = double(value)?,
                3 => read.timestamp_ms = Some(time_ms(value.bytes()?)?),
                _ => {}
            }
        }
        Ok(read)
    }

    fn series(
        &mut self,
        suffix: &str,
        bound: Option<f64>,
        value: f64,
        exemplar: Option<ReadExemplar>,
    ) -> Series<'_> {
        let name_end = self.put_key(suffix);
        if let Some(bound) = bound {
            self.key.push(SEPARATOR);
            self.key.extend_from_slice(&bound.to_bits().to_le_bytes());
        }
        let exemplar = exemplar.map(|e| Exemplar {
            body: self.body,
            labels: &self.exemplar_labels,
            escapes: Escapes::None,
            value: e.value,
            timestamp_ms: e.timestamp_ms,
        });
        Series {
            bytes: &self.key,
            name: &self.key[self.key_labels..name_end],
            body: self.body,
            labels: &self.labels,
            escapes: Escapes::None,
            family_type: self.family.kind.metric_type(),
            bound,
            value,
            timestamp_ms: self.metric.timestamp(),
            start_ms: self.metric.start_ms,
            exemplar,
        }
    }

    fn histogram(&mut self) -> Event<'_> {
        let name_end = self.put_key("");
        // The same name and labels may have numbers, too.
        self.key.push(SEPARATOR);
        let series = Series {
            bytes: &self.key,
            name: &self.key[self.key_labels..name_end],
            body: self.body,
            labels: &self.labels,
            escapes: Escapes::None,
            family_type: self.family.kind.metric_type(),
            bound: None,
            value: 0.0,
            timestamp_ms: self.metric.timestamp(),
            start_ms: self.metric.start_ms,
            exemplar: None,
        };
        Event::Histogram(series, &mut self.native)
    }

    /// Puts the name of a sample behind the labels. Returns where it ends.
    fn put_key(&mut self, suffix: &str) -> usize {
        self.key.truncate(self.key_labels);
        self.key.extend_from_slice(self.family.name);
        self.key.extend_from_slice(suffix.as_bytes());
        self.key.len()
    }
}

/// A sample of a summary or a classic histogram.
struct Part<'a> {
    suffix: &'static str,
    value: f64,
    bound: Option<f64>,
    exemplar: Option<&'a [u8]>,
}

#[derive(Clone, Copy)]
struct ReadExemplar {
    value: f64,
    timestamp_ms: Option<i64>,
}

/// Text as protobuf has it.
fn raw(text: &[u8]) -> Escaped<'_> {
    Escaped { raw: text, escapes: Escapes::None }
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
