//! The parser of both text formats: tokens to events.

use base::MetricType;

use super::lexer::{Lexer, Token, metric_type};
use super::number::parse_value;
use super::quote::quote;
use super::{Escaped, Escapes, Event, Exemplar, LabelSpan, ParseError, Series, Span, escaped};

/// Reads the events of one body; `OM` chooses OpenMetrics.
#[derive(Debug)]
pub(super) struct TextParser<'a, const OM: bool> {
    body: &'a [u8],
    lexer: Lexer<'a, OM>,
    /// Whether the whole body is UTF-8, so that no part of it has to be looked at on its own.
    body_is_utf8: bool,
    /// First byte of the entry, for error messages.
    entry: usize,
    done: bool,
    family_type: MetricType,
    name: Option<Span>,
    labels: Vec<LabelSpan>,
    exemplar_labels: Vec<LabelSpan>,
}

impl<'a, const OM: bool> TextParser<'a, OM> {
    pub(super) fn new(body: &'a [u8]) -> Self {
        Self {
            body,
            lexer: Lexer::new(body),
            body_is_utf8: std::str::from_utf8(body).is_ok(),
            entry: 0,
            done: false,
            family_type: MetricType::Unknown,
            name: None,
            labels: Vec::new(),
            exemplar_labels: Vec::new(),
        }
    }

    #[inline]
    pub(super) fn next_event(&mut self) -> Result<Option<Event<'_>>, ParseError> {
        if self.done {
            return Ok(None);
        }
        let token = loop {
            self.entry = self.lexer.at;
            match self.lexer.line_start() {
                Token::Linebreak => {}
                token => break token,
            }
        };
        // Set again below once the entry proves to be whole.
        self.done = true;
        match token {
            Token::MetricName | Token::BraceOpen => {
                let series = self.series(token)?;
                self.done = false;
                Ok(Some(Event::Series(series.borrow(self))))
            }
            Token::Help | Token::Type | Token::Unit => {
                let event = self.metadata(token)?;
                self.done = false;
                Ok(Some(event))
            }
            Token::Comment => {
                let text = self.lexer.token();
                self.lexer.newline();
                self.done = false;
                Ok(Some(Event::Comment(text)))
            }
            Token::EofWord if self.lexer.at < self.body.len() => {
                Err(self.error("unexpected data after # EOF".into()))
            }
            Token::EofWord => Ok(None),
            Token::Eof if OM => Err(self.error("data does not end with # EOF".into())),
            Token::Eof => Ok(None),
            other => Err(self.unexpected("expected a valid start token", other)),
        }
    }

    fn metadata(&mut self, kind: Token) -> Result<Event<'a>, ParseError> {
        let got = self.lexer.meta_name();
        if got != Token::MetricName {
            return Err(self.unexpected(&format!("expected metric name after {}", kind.as_str()), got));
        }
        let raw = self.lexer.token();
        let metric = match raw {
            [b'"', inner @ .., b'"'] => inner,
            _ => raw,
        };
        self.check_utf8(metric, |m| format!("invalid UTF-8 metric name: {}", quote(m)))?;
        let got = self.lexer.meta_text();
        if got != Token::Text {
            return Err(self.error(format!("expected text in {}", kind.as_str())));
        }
        let text = self.meta_text();
        if !OM {
            self.lexer.newline();
        }
        let metric = escaped(metric);
        match kind {
            Token::Type => {
                let metric_type = metric_type::<OM>(text)
                    .ok_or_else(|| self.error(format!("invalid metric type {}", quote(text))))?;
                self.family_type = metric_type;
                Ok(Event::Type { metric, metric_type })
            }
            Token::Help => {
                self.check_utf8(text, |t| format!("help text {} is not a valid utf8 string", quote(t)))?;
                Ok(Event::Help {
                    metric,
                    text: Escaped { raw: text, escapes: if OM { Escapes::Quotes } else { Escapes::Lines } },
                })
            }
            _ => {
                self.check_utf8(text, |t| format!("invalid UTF-8 unit: {}", quote(t)))?;
                let suffixed = metric.raw().strip_suffix(text).is_some_and(|rest| rest.ends_with(b"_"));
                if !text.is_empty() && !suffixed {
                    let (unit, metric) = (quote(text), quote(metric.raw()));
                    return Err(self.error(format!("unit {unit} not a suffix of metric {metric}")));
                }
                Ok(Event::Unit { metric, unit: escaped(text) })
            }
        }
    }

    /// The text of a metadata line without what separates it.
    fn meta_text(&self) -> &'a [u8] {
        let token = self.lexer.token();
        if OM {
            return &token[1..token.len() - 1];
        }
        // Blanks alone are no text; otherwise one blank separates, and more of them belong to the text.
        if token.iter().all(|b| matches!(b, b' ' | b'\t')) { &[] } else { &token[1..] }
    }

    #[inline]
    fn series(&mut self, first: Token) -> Result<ParsedSeries, ParseError> {
        self.labels.clear();
        let start = self.lexer.start;
        let token = if first == Token::MetricName {
            self.name = Some(Span { start, end: self.lexer.at });
            match self.lexer.value() {
                Token::BraceOpen => None,
                token => Some(token),
            }
        } else {
            self.name = None;
            None
        };
        let mut series = Span { start, end: self.lexer.at };
        let token = match token {
            Some(token) => {
                series.end = self.name.map_or(start, |n| n.end);
                token
            }
            None => {
                self.label_list::<false>()?;
                series.end = self.lexer.at;
                self.lexer.value()
            }
        };
        let Some(name) = self.name else {
            // As in Prometheus, the message includes the value.
            return Err(
                self.error(format!("metric name not set while parsing: {}", self.quote_entry(self.lexer.at)))
            );
        };
        let value = self.float(token, "metric")?;
        let (timestamp_ms, exemplar) =
            if OM { self.openmetrics_end()? } else { (self.prometheus_end()?, None) };
        Ok(ParsedSeries { series, name, value, timestamp_ms, exemplar })
    }

    fn prometheus_end(&mut self) -> Result<Option<i64>, ParseError> {
        match self.lexer.timestamp() {
            Token::Linebreak => Ok(None),
            Token::Timestamp => {
                let digits = self.lexer.token();
                let text = std::str::from_utf8(digits).expect("digits are UTF-8");
                let timestamp_ms = text.parse().map_err(|_| {
                    let why = format!("strconv.ParseInt: parsing {}: value out of range", quote(digits));
                    self.error(format!("{why} while parsing: {}", self.quote_entry(self.lexer.at)))
                })?;
                match self.lexer.timestamp() {
                    Token::Linebreak => Ok(Some(timestamp_ms)),
                    other => Err(self.unexpected("expected next entry after timestamp", other)),
                }
            }
            other => Err(self.unexpected("expected timestamp or new record", other)),
        }
    }

    fn openmetrics_end(&mut self) -> Result<(Option<i64>, Option<ParsedExemplar>), ParseError> {
        match self.lexer.timestamp() {
            Token::Linebreak => Ok((None, None)),
            Token::Comment => Ok((None, Some(self.exemplar()?))),
            Token::Timestamp => {
                let timestamp_ms = self.seconds("invalid timestamp")?;
                match self.lexer.timestamp() {
                    Token::Linebreak => Ok((Some(timestamp_ms), None)),
                    Token::Comment => Ok((Some(timestamp_ms), Some(self.exemplar()?))),
                    other => Err(self.unexpected("expected next entry after timestamp", other)),
                }
            }
            Token::Eof => Err(self.error("data does not end with # EOF".into())),
            other => Err(self.unexpected("expected timestamp or new record", other)),
        }
    }

    fn exemplar(&mut self) -> Result<ParsedExemplar, ParseError> {
        self.exemplar_labels.clear();
        self.label_list::<true>()?;
        let token = self.lexer.exemplar_value();
        let value = self.float(token, "exemplar labels")?;
        let timestamp_ms = match self.lexer.exemplar_timestamp() {
            Token::Linebreak => None,
            Token::Timestamp => {
                let timestamp_ms = self.seconds("invalid exemplar timestamp")?;
                match self.lexer.exemplar_timestamp() {
                    Token::Linebreak => Some(timestamp_ms),
                    other => {
                        return Err(self.unexpected("expected next entry after exemplar timestamp", other));
                    }
                }
            }
            Token::Eof => return Err(self.error("data does not end with # EOF".into())),
            other => return Err(self.unexpected("expected timestamp or comment", other)),
        };
        Ok(ParsedExemplar { value, timestamp_ms })
    }

    /// Reads a value token; OpenMetrics' has its leading space with it.
    #[inline]
    fn float(&mut self, token: Token, after: &str) -> Result<f64, ParseError> {
        if token != Token::Value {
            return Err(self.unexpected(&format!("expected value after {after}"), token));
        }
        self.number()
    }

    #[inline]
    fn number(&self) -> Result<f64, ParseError> {
        let text = self.lexer.slice(self.lexer.start + usize::from(OM), self.lexer.at);
        parse_value(text)
            .map_err(|why| self.error(format!("{why} while parsing: {}", self.quote_entry(self.lexer.at))))
    }

    /// Reads a timestamp of OpenMetrics, in seconds, as milliseconds.
    fn seconds(&self, problem: &str) -> Result<i64, ParseError> {
        let seconds = self.number()?;
        if seconds.is_finite() {
            return Ok((seconds * 1000.0) as i64);
        }
        let shown = if seconds.is_nan() {
            "NaN"
        } else if seconds > 0.0 {
            "+Inf"
        } else {
            "-Inf"
        };
        Err(self.error(format!("{problem} {shown}")))
    }

    /// Reads what stands between braces, the closing one included.
    #[inline]
    fn label_list<const IN_EXEMPLAR: bool>(&mut self) -> Result<(), ParseError> {
        let mut token = self.lexer.label::<IN_EXEMPLAR>();
        loop {
            let mut name = Span { start: self.lexer.start, end: self.lexer.at };
            match token {
                Token::BraceClose => return Ok(()),
                Token::LabelName => token = self.lexer.label::<IN_EXEMPLAR>(),
                Token::Quoted => {
                    name = Span { start: name.start + 1, end: name.end - 1 };
                    self.check_utf8(name.of(self.body), |n| {
                        format!("invalid UTF-8 label name: {}", quote(n))
                    })?;
                    token = self.lexer.label::<IN_EXEMPLAR>();
                    if matches!(token, Token::Comma | Token::BraceClose) {
                        // A quoted string on its own is the metric's name.
                        self.quoted_metric_name::<IN_EXEMPLAR>(name, token)?;
                        if token == Token::BraceClose {
                            return Ok(());
                        }
                        token = self.lexer.label::<IN_EXEMPLAR>();
                        continue;
                    }
                }
                other => return Err(self.unexpected("expected label name", other)),
            }
            if token != Token::Equal {
                return Err(self.unexpected("expected equal", token));
            }
            let got = self.lexer.label_value::<IN_EXEMPLAR>();
            if got != Token::LabelValue {
                return Err(self.unexpected("expected label value", got));
            }
            let value = Span { start: self.lexer.start + 1, end: self.lexer.at - 1 };
            if !self.body_is_utf8 {
                self.check_utf8(self.lexer.token(), |v| format!("invalid UTF-8 label value: {}", quote(v)))?;
            }
            let labels = if IN_EXEMPLAR { &mut self.exemplar_labels } else { &mut self.labels };
            labels.push(LabelSpan { name, value });
            token = self.lexer.label::<IN_EXEMPLAR>();
            if token == Token::Comma {
                token = self.lexer.label::<IN_EXEMPLAR>();
            } else if OM && token != Token::BraceClose {
                return Err(self.unexpected("expected comma or brace close", token));
            }
        }
    }

    fn quoted_metric_name<const IN_EXEMPLAR: bool>(
        &mut self,
        name: Span,
        token: Token,
    ) -> Result<(), ParseError> {
        if IN_EXEMPLAR {
            return Err(self.unexpected("expected label name", token));
        }
        if self.name.is_some() {
            let entry = self.quote_entry(self.lexer.at);
            return Err(self.error(format!("metric name already set while parsing: {entry}")));
        }
        self.name = Some(name);
        Ok(())
    }

    #[inline]
    fn check_utf8(&self, bytes: &[u8], message: impl FnOnce(&[u8]) -> String) -> Result<(), ParseError> {
        if self.body_is_utf8 || std::str::from_utf8(bytes).is_ok() {
            Ok(())
        } else {
            Err(self.error(message(bytes)))
        }
    }

    /// The error for a token that does not fit: it shows the token and the entry, each with one byte more.
    #[cold]
    fn unexpected(&self, expected: &str, got: Token) -> ParseError {
        let end = (self.lexer.at + 1).min(self.lexer.len());
        let shown = self.quote_range(self.lexer.start, end);
        let entry = self.quote_range(self.entry, end);
        self.error(format!("{expected}, got {shown} (\"{}\") while parsing: {entry}", got.as_str()))
    }

    #[cold]
    fn error(&self, message: String) -> ParseError {
        let before = &self.body[..self.entry.min(self.body.len())];
        ParseError { line: memchr::memchr_iter(b'\n', before).count() + 1, message }
    }

    fn quote_entry(&self, end: usize) -> String {
        self.quote_range(self.entry, end)
    }

    fn quote_range(&self, start: usize, end: usize) -> String {
        let mut bytes = self.lexer.slice(start, end).to_vec();
        if end > self.body.len() {
            bytes.push(b'\n');
        }
        quote(&bytes)
    }
}

/// A sample without what it borrows.
struct ParsedSeries {
    series: Span,
    name: Span,
    value: f64,
    timestamp_ms: Option<i64>,
    exemplar: Option<ParsedExemplar>,
}

struct ParsedExemplar {
    value: f64,
    timestamp_ms: Option<i64>,
}

impl ParsedSeries {
    #[inline]
    fn borrow<'p, const OM: bool>(self, parser: &'p TextParser<'_, OM>) -> Series<'p> {
        Series {
            bytes: self.series.of(parser.body),
            name: self.name.of(parser.body),
            body: parser.body,
            labels: &parser.labels,
            escapes: Escapes::Quotes,
            family_type: parser.family_type,
            bound: None,
            value: self.value,
            timestamp_ms: self.timestamp_ms,
            start_ms: 0,
            exemplar: self.exemplar.map(|e| Exemplar {
                body: parser.body,
                labels: &parser.exemplar_labels,
                escapes: Escapes::Quotes,
                value: e.value,
                timestamp_ms: e.timestamp_ms,
            }),
        }
    }
}
