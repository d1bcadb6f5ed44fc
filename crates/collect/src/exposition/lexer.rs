//! Tokens of both text formats.
//!
//! Owns where a token starts and ends, in each state a line can be in. The parser always knows the state, so there is
//! one method per state. Which bytes a token takes, and where one that fits nothing stops, decides the text of errors;
//! both follow Prometheus' lexers.

use base::MetricType;

/// Kind of a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Token {
    Invalid,
    Eof,
    Linebreak,
    Help,
    Type,
    Unit,
    EofWord,
    Text,
    Comment,
    MetricName,
    Quoted,
    BraceOpen,
    BraceClose,
    LabelName,
    LabelValue,
    Comma,
    Equal,
    Timestamp,
    Value,
}

impl Token {
    /// The name that error messages give it.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Invalid => "INVALID",
            Self::Eof => "EOF",
            Self::Linebreak => "LINEBREAK",
            Self::Help => "HELP",
            Self::Type => "TYPE",
            Self::Unit => "UNIT",
            Self::EofWord => "EOFWORD",
            Self::Text => "TEXT",
            Self::Comment => "COMMENT",
            Self::MetricName => "MNAME",
            Self::Quoted => "QSTRING",
            Self::BraceOpen => "BOPEN",
            Self::BraceClose => "BCLOSE",
            Self::LabelName => "LNAME",
            Self::LabelValue => "LVALUE",
            Self::Comma => "COMMA",
            Self::Equal => "EQUAL",
            Self::Timestamp => "TIMESTAMP",
            Self::Value => "VALUE",
        }
    }
}

const NAME_START: u8 = 1;
const DIGIT: u8 = 2;
const COLON: u8 = 4;
/// Ends an unquoted value or timestamp in both formats.
const VALUE_END: u8 = 8;
/// Needs a look inside a quoted string: its end, an escape, a line's end, a NUL.
const QUOTED_STOP: u8 = 16;
const BLANK: u8 = 32;

const CLASS: [u8; 256] = {
    let mut table = [0u8; 256];
    let mut b = 0;
    while b < 256 {
        let c = b as u8;
        if c.is_ascii_alphabetic() || c == b'_' {
            table[b] |= NAME_START;
        }
        if c.is_ascii_digit() {
            table[b] |= DIGIT;
        }
        if c == b':' {
            table[b] |= COLON;
        }
        if matches!(c, b' ' | b'\n' | 0) {
            table[b] |= VALUE_END;
        }
        if matches!(c, b'"' | b'\\' | b'\n' | 0) {
            table[b] |= QUOTED_STOP;
        }
        if matches!(c, b' ' | b'\t') {
            table[b] |= BLANK;
        }
        b += 1;
    }
    table
};

#[inline(always)]
fn is(byte: u8, class: u8) -> bool {
    CLASS[usize::from(byte)] & class != 0
}

/// A position in a body. `OM` chooses OpenMetrics; otherwise blanks separate tokens, and the body counts as ending with
/// one more newline, whether it has one or not.
#[derive(Debug)]
pub(super) struct Lexer<'a, const OM: bool> {
    bytes: &'a [u8],
    /// First byte after the token.
    pub(super) at: usize,
    /// First byte of the token.
    pub(super) start: usize,
}

impl<'a, const OM: bool> Lexer<'a, OM> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0, start: 0 }
    }

    /// The bytes of the token.
    #[inline]
    pub(super) fn token(&self) -> &'a [u8] {
        self.slice(self.start, self.at)
    }

    /// A stretch of the body; positions past its end, which the newline that is not there has, count as the end.
    #[inline]
    pub(super) fn slice(&self, start: usize, end: usize) -> &'a [u8] {
        let end = end.min(self.bytes.len());
        &self.bytes[start.min(end)..end]
    }

    /// Length of the body as error messages count it.
    pub(super) fn len(&self) -> usize {
        self.bytes.len() + usize::from(!OM)
    }

    #[inline(always)]
    fn peek(&self) -> u8 {
        match self.bytes.get(self.at) {
            Some(&b) => b,
            None if !OM && self.at == self.bytes.len() => b'\n',
            None => 0,
        }
    }

    #[inline(always)]
    fn at_end(&self) -> bool {
        self.at >= self.len()
    }

    #[inline(always)]
    fn take(&mut self, token: Token) -> Token {
        self.at += 1;
        token
    }

    #[inline(always)]
    fn skip(&mut self, class: u8) {
        while let Some(&b) = self.bytes.get(self.at)
            && is(b, class)
        {
            self.at += 1;
        }
    }

    /// Goes to the start of the next token. OpenMetrics has no blanks between tokens.
    #[inline(always)]
    fn begin(&mut self) {
        if !OM {
            self.skip(BLANK);
        }
        self.start = self.at;
    }

    /// At the start of a line.
    #[inline]
    pub(super) fn line_start(&mut self) -> Token {
        if !OM {
            self.skip(BLANK);
        }
        if self.at_end() {
            return Token::Eof;
        }
        self.start = self.at;
        match self.peek() {
            b if is(b, NAME_START | COLON) => {
                self.skip(NAME_START | DIGIT | COLON);
                Token::MetricName
            }
            b'{' => self.take(Token::BraceOpen),
            b'#' if OM => self.openmetrics_comment(),
            b'#' => self.prometheus_comment(),
            b'\n' if !OM => self.take(Token::Linebreak),
            _ => Token::Invalid,
        }
    }

    fn prometheus_comment(&mut self) -> Token {
        self.at += 1;
        let blanks = self.at;
        self.skip(BLANK);
        if self.at > blanks {
            for (word, token) in [(&b"HELP"[..], Token::Help), (b"TYPE", Token::Type)] {
                let rest = &self.bytes[self.at..];
                if rest.starts_with(word) && rest.get(word.len()).is_some_and(|b| is(*b, BLANK)) {
                    self.at += word.len();
                    self.skip(BLANK);
                    return token;
                }
            }
        }
        self.skip_to_line_end();
        Token::Comment
    }

    fn openmetrics_comment(&mut self) -> Token {
        self.at += 1;
        if self.peek() != b' ' {
            return Token::Invalid;
        }
        self.at += 1;
        let words = [
            (&b"HELP "[..], Token::Help),
            (b"TYPE ", Token::Type),
            (b"UNIT ", Token::Unit),
            (b"EOF", Token::EofWord),
        ];
        let rest = &self.bytes[self.at..];
        let common = |word: &[u8]| word.iter().zip(rest).take_while(|(a, b)| a == b).count();
        let mut longest = 0;
        for (word, token) in words {
            let matched = common(word);
            if matched == word.len() {
                self.at += matched;
                if token == Token::EofWord && self.peek() == b'\n' {
                    self.at += 1;
                }
                return token;
            }
            longest = longest.max(matched);
        }
        self.at += longest;
        Token::Invalid
    }

    fn skip_to_line_end(&mut self) {
        let rest = &self.bytes[self.at..];
        self.at += memchr::memchr(b'\n', rest).unwrap_or(rest.len());
    }

    /// After `HELP`, `TYPE` or `UNIT`.
    pub(super) fn meta_name(&mut self) -> Token {
        if OM && self.at_end() {
            return Token::Eof;
        }
        self.begin();
        match self.peek() {
            b'"' if self.quoted::<false, true>() => Token::MetricName,
            b if is(b, NAME_START | COLON) => {
                self.skip(NAME_START | DIGIT | COLON);
                Token::MetricName
            }
            _ => Token::Invalid,
        }
    }

    /// After the name in a metadata line. In OpenMetrics the token starts with a space and ends with the newline.
    pub(super) fn meta_text(&mut self) -> Token {
        self.start = self.at;
        if OM && self.peek() != b' ' {
            return if self.at_end() { Token::Eof } else { Token::Invalid };
        }
        self.skip_to_line_end();
        if OM {
            if self.at_end() {
                return Token::Invalid;
            }
            self.at += 1;
        }
        Token::Text
    }

    /// Takes the newline that ends a metadata or comment line of Prometheus text.
    pub(super) fn newline(&mut self) {
        self.start = self.at;
        self.at += 1;
    }

    /// Within braces, where a name is expected or what follows one. `IN_EXEMPLAR` forbids newlines in quotes.
    #[inline]
    pub(super) fn label<const IN_EXEMPLAR: bool>(&mut self) -> Token {
        if OM && self.at_end() {
            return Token::Eof;
        }
        self.begin();
        match self.peek() {
            b if is(b, NAME_START) => {
                self.skip(NAME_START | DIGIT);
                Token::LabelName
            }
            b'=' => self.take(Token::Equal),
            b',' => self.take(Token::Comma),
            b'}' => self.take(Token::BraceClose),
            b'"' if (if IN_EXEMPLAR {
                self.quoted::<false, false>()
            } else {
                self.quoted::<true, false>()
            }) =>
            {
                Token::Quoted
            }
            _ => Token::Invalid,
        }
    }

    /// After `=` within braces.
    #[inline]
    pub(super) fn label_value<const IN_EXEMPLAR: bool>(&mut self) -> Token {
        if OM && self.at_end() {
            return Token::Eof;
        }
        self.begin();
        match self.peek() {
            b'"' => {
                let ok = match (OM, IN_EXEMPLAR) {
                    (false, _) => self.quoted::<true, true>(),
                    (true, false) => self.quoted::<false, true>(),
                    (true, true) => self.quoted::<false, false>(),
                };
                if ok { Token::LabelValue } else { Token::Invalid }
            }
            b' ' if IN_EXEMPLAR => self.spaced(Token::Value),
            _ => Token::Invalid,
        }
    }

    /// After a metric's name or its labels.
    #[inline]
    pub(super) fn value(&mut self) -> Token {
        if OM {
            if self.at_end() {
                return Token::Eof;
            }
            self.start = self.at;
            return match self.peek() {
                b' ' => self.spaced(Token::Value),
                b'{' => self.take(Token::BraceOpen),
                _ => Token::Invalid,
            };
        }
        self.begin();
        if self.peek() == b'{' {
            return self.take(Token::BraceOpen);
        }
        while let Some(&b) = self.bytes.get(self.at)
            && !is(b, VALUE_END | BLANK)
            && b != b'{'
        {
            self.at += 1;
        }
        if self.at > self.start { Token::Value } else { Token::Invalid }
    }

    /// After a value or a timestamp.
    #[inline]
    pub(super) fn timestamp(&mut self) -> Token {
        if OM {
            if self.at_end() {
                return Token::Eof;
            }
            self.start = self.at;
            return match self.peek() {
                b'\n' => self.take(Token::Linebreak),
                b' ' if self.bytes[self.at..].starts_with(b" # {") => {
                    self.at += 4;
                    Token::Comment
                }
                b' ' => self.spaced(Token::Timestamp),
                _ => Token::Invalid,
            };
        }
        self.begin();
        match self.peek() {
            b'\n' => self.take(Token::Linebreak),
            b if is(b, DIGIT) => {
                self.skip(DIGIT);
                Token::Timestamp
            }
            _ => Token::Invalid,
        }
    }

    /// After the labels of an exemplar.
    pub(super) fn exemplar_value(&mut self) -> Token {
        if self.at_end() {
            return Token::Eof;
        }
        self.start = self.at;
        match self.peek() {
            b' ' => self.spaced(Token::Value),
            _ => Token::Invalid,
        }
    }

    /// After the value or the timestamp of an exemplar.
    pub(super) fn exemplar_timestamp(&mut self) -> Token {
        if self.at_end() {
            return Token::Eof;
        }
        self.start = self.at;
        match self.peek() {
            b'\n' => self.take(Token::Linebreak),
            b' ' => self.spaced(Token::Timestamp),
            _ => Token::Invalid,
        }
    }

    /// One space and what follows up to the next space or newline.
    #[inline]
    fn spaced(&mut self, token: Token) -> Token {
        self.at += 1;
        let first = self.at;
        while let Some(&b) = self.bytes.get(self.at)
            && !is(b, VALUE_END)
        {
            self.at += 1;
        }
        if self.at > first { token } else { Token::Invalid }
    }

    /// Takes a quoted string; `false` leaves the position at the byte that cannot be in it.
    #[inline]
    fn quoted<const NEWLINE: bool, const NUL: bool>(&mut self) -> bool {
        self.at += 1;
        loop {
            while let Some(&b) = self.bytes.get(self.at)
                && !is(b, QUOTED_STOP)
            {
                self.at += 1;
            }
            match self.bytes.get(self.at) {
                Some(b'"') => {
                    self.at += 1;
                    return true;
                }
                Some(b'\\') => {
                    self.at += 1;
                    match self.bytes.get(self.at) {
                        Some(b'\n') | None => return false,
                        Some(0) if !NUL => return false,
                        Some(_) => self.at += 1,
                    }
                }
                Some(b'\n') if NEWLINE => self.at += 1,
                Some(0) if NUL => self.at += 1,
                Some(_) => return false,
                None => {
                    self.at = if NEWLINE { self.len() } else { self.bytes.len() };
                    return false;
                }
            }
        }
    }
}

/// The type that a `TYPE` line names, if the format has it.
pub(super) fn metric_type<const OM: bool>(name: &[u8]) -> Option<MetricType> {
    Some(match name {
        b"counter" => MetricType::Counter,
        b"gauge" => MetricType::Gauge,
        b"histogram" => MetricType::Histogram,
        b"summary" => MetricType::Summary,
        b"untyped" if !OM => MetricType::Unknown,
        b"unknown" if OM => MetricType::Unknown,
        b"gaugehistogram" if OM => MetricType::GaugeHistogram,
        b"info" if OM => MetricType::Info,
        b"stateset" if OM => MetricType::Stateset,
        _ => return None,
    })
}
