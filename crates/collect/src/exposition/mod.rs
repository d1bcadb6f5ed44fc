//! The exposition formats: Prometheus text (0.0.4 and, with quoted names, 1.0.0), OpenMetrics 1.0, and Prometheus' protobuf messages.
//!
//! Owns parsing bytes into events that borrow from them; nothing is allocated for a sample but the buckets of a native histogram. What is accepted, and the
//! text of an error, are those of Prometheus' own parser, so that a target behaves the same with both. The OpenMetrics
//! specification forbids more than that parser does; [`validate`] checks the rest. Does not build label sets unless
//! asked, and knows nothing of targets or time.

mod classic;
mod collector;
mod lexer;
mod lint;
mod number;
mod protobuf;
mod quote;
mod stream;
mod text;
pub mod validate;
mod write;

use std::fmt;

use base::{Histogram, LabelsBuilder, METRIC_NAME, MetricType};

pub(crate) use collector::Collector;
pub use lint::{Cardinality, Problem, cardinality, lint};
pub use number::format_openmetrics_float;
pub use stream::{StreamSample, read_openmetrics};
pub use write::{OPENMETRICS_EOF, openmetrics_series, put_openmetrics_sample};

use protobuf::ProtobufParser;
use text::TextParser;

/// An exposition format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Format {
    /// `text/plain`, version 0.0.4 or 1.0.0.
    Prometheus,
    /// `application/openmetrics-text`.
    OpenMetrics,
    /// `application/vnd.google.protobuf`: `io.prometheus.client.MetricFamily` messages, each after its length.
    Protobuf,
}

impl Format {
    /// The format that a `Content-Type` names, if it is one of these.
    pub fn from_content_type(content_type: &str) -> Option<Self> {
        let media_type = content_type.split(';').next().unwrap_or_default().trim();
        if media_type.eq_ignore_ascii_case("text/plain") {
            Some(Self::Prometheus)
        } else if media_type.eq_ignore_ascii_case("application/openmetrics-text") {
            Some(Self::OpenMetrics)
        } else if media_type.eq_ignore_ascii_case("application/vnd.google.protobuf") {
            Some(Self::Protobuf)
        } else {
            None
        }
    }
}

/// What becomes of histograms, of which a target may expose buckets with `le`, native ones, or both.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Histograms {
    /// Native ones are taken, rather than the classic ones beside them. Only protobuf has any.
    pub native: bool,
    /// Classic ones are taken even where there is a native one.
    pub always_classic: bool,
    /// Classic ones without a native one become native ones with custom buckets.
    pub to_custom_buckets: bool,
}

/// What a body could not be parsed for, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParseError {
    /// Line of the body, from 1; 0 of protobuf, which has none: the sentence says the byte.
    pub line: usize,
    /// The sentence, worded as Prometheus words it.
    pub message: String,
}

impl fmt::Display for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.line == 0 {
            return f.write_str(&self.message);
        }
        write!(f, "line {}: {}", self.line, self.message)
    }
}

impl std::error::Error for ParseError {}

impl From<ParseError> for base::Error {
    fn from(e: ParseError) -> Self {
        Self::invalid(e.to_string())
    }
}

/// One line of a body, or one sample.
#[derive(Debug)]
pub enum Event<'p> {
    /// `# HELP`: metric and help text.
    Help {
        /// Name of the metric family.
        metric: Escaped<'p>,
        /// The help text.
        text: Escaped<'p>,
    },
    /// `# TYPE`: metric and type.
    Type {
        /// Name of the metric family.
        metric: Escaped<'p>,
        /// Its type.
        metric_type: MetricType,
    },
    /// `# UNIT`: metric and unit; not in Prometheus text.
    Unit {
        /// Name of the metric family.
        metric: Escaped<'p>,
        /// Its unit.
        unit: Escaped<'p>,
    },
    /// Any other line that starts with `#`; Prometheus text only.
    Comment(&'p [u8]),
    /// A sample.
    Series(Series<'p>),
    /// A sample that is a native histogram, which may be taken out of its place; its [`Series::value`] says nothing. Protobuf only.
    Histogram(Series<'p>, &'p mut Native),
}

/// A native histogram as exposed.
#[derive(Debug, Default)]
pub struct Native {
    /// The histogram, sound in itself.
    pub histogram: Histogram,
    exemplars: Vec<NativeExemplar>,
    exemplar_labels: Vec<LabelSpan>,
}

impl Native {
    /// Forgets everything and keeps the memory of exemplars.
    fn clear(&mut self) {
        self.histogram = Histogram::default();
        self.exemplars.clear();
        self.exemplar_labels.clear();
    }
}

/// An exemplar without what it borrows.
#[derive(Debug, Clone, Copy)]
struct NativeExemplar {
    /// Which of the labels of all exemplars are its own.
    labels: (usize, usize),
    value: f64,
    timestamp_ms: i64,
}

/// Which backslash escapes there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Escapes {
    /// None: protobuf.
    None,
    /// `\\` and `\n`: the help of Prometheus text.
    Lines,
    /// These and `\"`.
    Quotes,
}

/// Bytes of the body that may hold backslash escapes. They are UTF-8.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Escaped<'p> {
    raw: &'p [u8],
    escapes: Escapes,
}

impl<'p> Escaped<'p> {
    /// The bytes as the target wrote them.
    pub fn raw(self) -> &'p [u8] {
        self.raw
    }

    /// Appends the text with its escapes resolved: `\\`, `\n` and, except in the help of Prometheus text, `\"`. A
    /// backslash before anything else, and any in protobuf, stands for itself.
    pub fn append_to(self, out: &mut String) {
        if self.escapes == Escapes::None {
            out.push_str(std::str::from_utf8(self.raw).expect("the parser checks that text is UTF-8"));
            return;
        }
        let mut rest = std::str::from_utf8(self.raw).expect("the parser checks that text is UTF-8");
        while let Some(at) = rest.find('\\') {
            let resolved = match rest.as_bytes().get(at + 1) {
                Some(b'\\') => Some('\\'),
                Some(b'n') => Some('\n'),
                Some(b'"') if self.escapes == Escapes::Quotes => Some('"'),
                _ => None,
            };
            out.push_str(&rest[..at]);
            out.push(resolved.unwrap_or('\\'));
            rest = &rest[at + 1 + usize::from(resolved.is_some())..];
        }
        out.push_str(rest);
    }

    /// The text with its escapes resolved.
    pub fn to_text(self) -> String {
        let mut out = String::with_capacity(self.raw.len());
        self.append_to(&mut out);
        out
    }
}

/// A stretch of the body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Span {
    start: usize,
    end: usize,
}

impl Span {
    fn of(self, body: &[u8]) -> &[u8] {
        &body[self.start..self.end]
    }
}

/// Where a label's name and value lie, without quotes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct LabelSpan {
    name: Span,
    value: Span,
}

/// A sample as exposed. Borrows from the parser until the next event is asked for.
#[derive(Debug, Clone, Copy)]
pub struct Series<'p> {
    bytes: &'p [u8],
    name: &'p [u8],
    /// Where the labels lie.
    body: &'p [u8],
    labels: &'p [LabelSpan],
    escapes: Escapes,
    family_type: MetricType,
    /// The value of the label `le` or `quantile`, if the format has it apart from the labels.
    bound: Option<f64>,
    /// The value; every NaN is the same quiet one, never the staleness marker.
    pub value: f64,
    /// The target's own timestamp in milliseconds since the epoch.
    pub timestamp_ms: Option<i64>,
    /// When counting began, in milliseconds since the epoch; 0 if the sample does not say. Protobuf only.
    pub start_ms: i64,
    /// The exemplar; not in Prometheus text.
    pub exemplar: Option<Exemplar<'p>>,
}

impl<'p> Series<'p> {
    /// Name and labels as the target wrote them: equal bytes are the same series of the same kind.
    pub fn bytes(&self) -> &'p [u8] {
        self.bytes
    }

    /// The metric's name.
    pub fn name(&self) -> Escaped<'p> {
        Escaped { raw: self.name, escapes: self.escapes }
    }

    /// The labels in the order of the exposition. Of protobuf, `le` of a histogram and `quantile` of a summary are not among them.
    pub fn labels(&self) -> LabelPairs<'p> {
        LabelPairs { body: self.body, spans: self.labels.iter(), escapes: self.escapes }
    }

    /// The exemplars of the native histogram that came with this series.
    pub fn exemplars_of<'n>(&self, native: &'n Native) -> impl Iterator<Item = Exemplar<'n>> + use<'n, 'p>
    where
        'p: 'n,
    {
        let (body, escapes) = (self.body, self.escapes);
        native.exemplars.iter().map(move |e| Exemplar {
            body,
            labels: &native.exemplar_labels[e.labels.0..e.labels.1],
            escapes,
            value: e.value,
            timestamp_ms: Some(e.timestamp_ms),
        })
    }

    /// Builds the label set, the metric's name included. `le` of a histogram and `quantile` of a summary are written as
    /// OpenMetrics writes them (`1.0`, not `1`), as Prometheus 3 does, so that both formats give the same series.
    pub fn to_builder(&self) -> LabelsBuilder {
        let mut out = LabelsBuilder::default();
        out.set(METRIC_NAME, &self.name().to_text());
        let float_label = match self.family_type {
            MetricType::Histogram => "le",
            MetricType::Summary => "quantile",
            _ => "",
        };
        for (name, value) in self.labels() {
            let mut text = value.to_text();
            if name.raw == float_label.as_bytes()
                && self.escapes != Escapes::None
                && let Some(float) = number::parse_go_float(text.as_bytes())
            {
                text = format_openmetrics_float(float);
            }
            out.set(&name.to_text(), &text);
        }
        if let Some(bound) = self.bound {
            let name = if self.family_type == MetricType::Summary { "quantile" } else { "le" };
            out.set(name, &format_openmetrics_float(bound));
        }
        out
    }
}

/// An exemplar of a sample.
#[derive(Debug, Clone, Copy)]
pub struct Exemplar<'p> {
    body: &'p [u8],
    labels: &'p [LabelSpan],
    escapes: Escapes,
    /// The value.
    pub value: f64,
    /// Its timestamp in milliseconds since the epoch.
    pub timestamp_ms: Option<i64>,
}

impl<'p> Exemplar<'p> {
    /// The labels in the order of the exposition.
    pub fn labels(&self) -> LabelPairs<'p> {
        LabelPairs { body: self.body, spans: self.labels.iter(), escapes: self.escapes }
    }
}

/// Iterates over names and values of labels.
#[derive(Debug, Clone)]
pub struct LabelPairs<'p> {
    body: &'p [u8],
    escapes: Escapes,
    spans: std::slice::Iter<'p, LabelSpan>,
}

impl<'p> Iterator for LabelPairs<'p> {
    type Item = (Escaped<'p>, Escaped<'p>);

    fn next(&mut self) -> Option<Self::Item> {
        let span = self.spans.next()?;
        let escaped = |span: Span| Escaped { raw: span.of(self.body), escapes: self.escapes };
        Some((escaped(span.name), escaped(span.value)))
    }
}

fn escaped(raw: &[u8]) -> Escaped<'_> {
    Escaped { raw, escapes: Escapes::Quotes }
}

/// Reads the events of one body. After an error there are no more.
#[derive(Debug)]
pub struct Parser<'a> {
    dialect: Dialect<'a>,
}

#[derive(Debug)]
enum Dialect<'a> {
    Prometheus(TextParser<'a, false>),
    OpenMetrics(TextParser<'a, true>),
    Protobuf(Box<ProtobufParser<'a>>),
}

impl<'a> Parser<'a> {
    /// A parser over a whole body, which ignores native histograms.
    pub fn new(format: Format, body: &'a [u8]) -> Self {
        Self::with_histograms(format, body, Histograms::default())
    }

    /// A parser over a whole body. The text formats know no native histograms; what is to become of their classic ones is up to who
    /// reads the events.
    pub fn with_histograms(format: Format, body: &'a [u8], histograms: Histograms) -> Self {
        let dialect = match format {
            Format::Prometheus => Dialect::Prometheus(TextParser::new(body)),
            Format::OpenMetrics => Dialect::OpenMetrics(TextParser::new(body)),
            Format::Protobuf => Dialect::Protobuf(Box::new(ProtobufParser::new(body, histograms))),
        };
        Self { dialect }
    }

    /// The next event, or `None` at the end of the body. What it returns is valid until the next call.
    #[expect(
        clippy::should_implement_trait,
        reason = "an event borrows from the parser, which an iterator cannot say"
    )]
    pub fn next(&mut self) -> Result<Option<Event<'_>>, ParseError> {
        match &mut self.dialect {
            Dialect::Prometheus(p) => p.next_event(),
            Dialect::OpenMetrics(p) => p.next_event(),
            Dialect::Protobuf(p) => p.next_event(),
        }
    }
}

#[cfg(test)]
#[path = "parser_tests.rs"]
mod tests;
