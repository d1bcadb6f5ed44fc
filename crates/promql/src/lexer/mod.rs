//! The lexer: bytes of a query to tokens, one at a time, on demand.
//!
//! What a character means depends on the brackets around it: braces hold label names and matchers, square brackets
//! hold durations. So the lexer keeps track of brackets and complains of those that do not pair. Errors are
//! Prometheus' to the letter and the byte; they span from where reading began to the end of the input.

mod number;
mod string;
mod token;

pub(crate) use number::{parse_duration_seconds, parse_number};
pub(crate) use token::{Keyword, Preprocessor, Token, TokenKind};

use crate::ast::BinaryOp;
use crate::quote::quote_char;

/// Why the lexer gave up.
#[derive(Debug)]
pub(crate) struct LexError {
    /// Where what could not be read begins.
    pub(crate) start: usize,
    pub(crate) message: String,
}

type Lexed<'a> = Result<Token<'a>, LexError>;

/// See the module.
#[derive(Debug)]
pub(crate) struct Lexer<'a> {
    input: &'a [u8],
    /// The next byte to read.
    pos: usize,
    /// First byte of the token being read.
    start: usize,
    /// Width of the character read last.
    width: usize,
    paren_depth: usize,
    brace_open: bool,
    bracket_open: bool,
    /// Directly after `[`, before the first number: only duration arithmetic may follow.
    at_duration: bool,
    /// A colon was read since the last `[`.
    got_colon: bool,
    /// A number was read directly after some `[`.
    got_duration: bool,
}

impl<'a> Lexer<'a> {
    /// A lexer at the start of the input, which need not be UTF-8.
    pub(crate) fn new(input: &'a [u8]) -> Self {
        Self {
            input,
            pos: 0,
            start: 0,
            width: 0,
            paren_depth: 0,
            brace_open: false,
            bracket_open: false,
            at_duration: false,
            got_colon: false,
            got_duration: false,
        }
    }

    /// The whole input.
    pub(crate) fn input(&self) -> &'a [u8] {
        self.input
    }

    /// The next token; [`TokenKind::Eof`] at the end. Not to be called again after an error or the end.
    pub(crate) fn next_token(&mut self) -> Lexed<'a> {
        loop {
            while self.peek().is_some_and(is_space) {
                self.next();
            }
            self.start = self.pos;
            if self.peek() != Some('#') || self.at_duration {
                break;
            }
            while self.peek().is_some_and(|c| c != '\n' && c != '\r') {
                self.next();
            }
        }
        match () {
            () if self.at_duration => self.after_left_bracket(),
            () if self.brace_open => self.inside_braces(),
            () => self.outside_braces(),
        }
    }

    /// Reads a character; one that is no UTF-8 counts as U+FFFD.
    fn next(&mut self) -> Option<char> {
        let (c, width) = decode(&self.input[self.pos..])?;
        self.width = width;
        self.pos += width;
        Some(c)
    }

    /// Unreads the character that [`Self::next`] returned last.
    fn backup(&mut self) {
        self.pos -= self.width;
        self.width = 0;
    }

    fn peek(&self) -> Option<char> {
        decode(&self.input[self.pos..]).map(|(c, _)| c)
    }

    /// Reads the next character if it is that one.
    fn accept(&mut self, c: char) -> bool {
        let found = self.peek() == Some(c);
        if found {
            self.next();
        }
        found
    }

    /// What has been read of the token.
    fn text(&self) -> &'a str {
        std::str::from_utf8(&self.input[self.start..self.pos])
            .expect("broken UTF-8 was refused when it was decoded")
    }

    fn emit(&mut self, kind: TokenKind) -> Lexed<'a> {
        let token = Token { kind, start: self.start, text: self.text() };
        self.start = self.pos;
        Ok(token)
    }

    fn fail(&self, message: impl Into<String>) -> Lexed<'a> {
        Err(LexError { start: self.start, message: message.into() })
    }

    fn unexpected(&self, what: &str, c: char) -> Lexed<'a> {
        self.fail(format!("unexpected {what} {}", quote_char(c)))
    }

    fn outside_braces(&mut self) -> Lexed<'a> {
        use {BinaryOp as B, TokenKind as T};
        let Some(c) = self.next() else {
            return match () {
                () if self.paren_depth != 0 => self.fail("unclosed left parenthesis"),
                () if self.bracket_open => self.fail("unclosed left bracket"),
                () => self.emit(T::Eof),
            };
        };
        if let Some(op) = arithmetic(c) {
            return self.emit(T::Op(op));
        }
        match c {
            ',' => self.emit(T::Comma),
            '@' => self.emit(T::At),
            '=' if self.accept('=') => self.emit(T::Op(B::Eq)),
            '=' if self.peek() == Some('~') => self.fail("unexpected character after '=': '~'"),
            '=' => self.emit(T::Assign),
            '!' => match self.next() {
                Some('=') => self.emit(T::Op(B::Ne)),
                other => self.fail(format!("unexpected character after '!': {}", quote_or_end(other))),
            },
            '<' if self.accept('=') => self.emit(T::Op(B::Le)),
            '<' if self.accept('/') => self.emit(T::Op(B::TrimUpper)),
            '<' => self.emit(T::Op(B::Lt)),
            '>' if self.accept('=') => self.emit(T::Op(B::Ge)),
            '>' if self.accept('/') => self.emit(T::Op(B::TrimLower)),
            '>' => self.emit(T::Op(B::Gt)),
            '0'..='9' => self.number_or_duration(),
            '.' if self.peek().is_some_and(|c| c.is_ascii_digit()) => self.number_or_duration(),
            '"' | '\'' => self.quoted_string(c),
            '`' => self.raw_string(),
            '(' => self.left_paren(),
            ')' => self.right_paren(),
            '{' => {
                self.brace_open = true;
                self.emit(T::LeftBrace)
            }
            '[' if self.bracket_open => self.unexpected("left bracket", c),
            '[' => {
                self.bracket_open = true;
                self.got_colon = false;
                self.at_duration = true;
                self.emit(T::LeftBracket)
            }
            ']' if !self.bracket_open => self.unexpected("right bracket", c),
            ']' => {
                self.bracket_open = false;
                self.emit(T::RightBracket)
            }
            ':' if self.bracket_open && self.got_colon => self.unexpected("colon", c),
            ':' if self.bracket_open => {
                self.got_colon = true;
                self.emit(T::Colon)
            }
            _ if self.bracket_open && is_alpha(c) => match self.duration_word(c) {
                Some(kind) => self.emit(kind),
                None => self.fail(format!("unexpected character: {}, expected ':'", quote_char(c))),
            },
            _ if is_alpha(c) || c == ':' => self.word(),
            _ => self.fail(format!("unexpected character: {}", quote_char(c))),
        }
    }

    /// A parenthesis that closes nothing is refused only after it, as Prometheus places it.
    fn right_paren(&mut self) -> Lexed<'a> {
        let token = self.emit(TokenKind::RightParen);
        match self.paren_depth.checked_sub(1) {
            Some(depth) => self.paren_depth = depth,
            None => return self.unexpected("right parenthesis", ')'),
        }
        token
    }

    fn left_paren(&mut self) -> Lexed<'a> {
        self.paren_depth += 1;
        self.emit(TokenKind::LeftParen)
    }

    fn after_left_bracket(&mut self) -> Lexed<'a> {
        let Some(c) = self.next() else {
            return self.fail("unexpected end of input in duration expression");
        };
        if let Some(op) = arithmetic(c) {
            return self.emit(TokenKind::Op(op));
        }
        match c {
            ']' => {
                (self.bracket_open, self.got_colon, self.at_duration) = (false, false, false);
                self.emit(TokenKind::RightBracket)
            }
            ':' => {
                let token = self.emit(TokenKind::Colon);
                if !self.got_duration {
                    return self.fail("unexpected colon before duration in duration expression");
                }
                if std::mem::replace(&mut self.got_colon, true) {
                    return self.fail("unexpected repeated colon in duration expression");
                }
                token
            }
            '(' => self.left_paren(),
            ')' => self.right_paren(),
            ',' => self.emit(TokenKind::Comma),
            _ if c.is_ascii_digit() || (c == '.' && self.peek().is_some_and(|c| c.is_ascii_digit())) => {
                self.at_duration = false;
                self.got_duration = true;
                self.number_or_duration()
            }
            _ => match self.duration_word(c) {
                Some(kind) => self.emit(kind),
                None => self.fail(format!("unexpected character in duration expression: {}", quote_char(c))),
            },
        }
    }

    fn inside_braces(&mut self) -> Lexed<'a> {
        use TokenKind as T;
        let Some(c) = self.next() else { return self.fail("unexpected end of input inside braces") };
        match c {
            ',' => self.emit(T::Comma),
            '"' | '\'' => self.quoted_string(c),
            '`' => self.raw_string(),
            '=' if self.accept('~') => self.emit(T::RegexEqual),
            '=' => self.emit(T::Assign),
            '!' => match self.next() {
                Some('~') => self.emit(T::RegexNotEqual),
                Some('=') => self.emit(T::Op(BinaryOp::Ne)),
                other => self
                    .fail(format!("unexpected character after '!' inside braces: {}", quote_or_end(other))),
            },
            '{' => self.unexpected("left brace", c),
            '}' => {
                self.brace_open = false;
                self.emit(T::RightBrace)
            }
            _ if is_alpha(c) => {
                while self.peek().is_some_and(is_alphanumeric) {
                    self.next();
                }
                self.emit(T::Identifier)
            }
            _ => self.fail(format!("unexpected character inside braces: {}", quote_char(c))),
        }
    }

    /// A keyword or an identifier, its first character read.
    fn word(&mut self) -> Lexed<'a> {
        while self.peek().is_some_and(|c| is_alphanumeric(c) || c == ':') {
            self.next();
        }
        let plain =
            if self.text().contains(':') { TokenKind::MetricIdentifier } else { TokenKind::Identifier };
        let kind = match TokenKind::of_word(self.text()) {
            // These came late to the language: as names of metrics they stay usable everywhere else.
            Some(TokenKind::Keyword(Keyword::Fill | Keyword::FillLeft | Keyword::FillRight))
                if !self.followed_by_left_paren() =>
            {
                plain
            }
            kind => kind.unwrap_or(plain),
        };
        self.emit(kind)
    }

    /// A word that stands for a duration, its first character `c` read; `None` if it is another.
    fn duration_word(&mut self, c: char) -> Option<TokenKind> {
        use Preprocessor as P;
        if !matches!(c.to_ascii_lowercase(), 's' | 'r' | 'm') {
            return None;
        }
        while self.peek().is_some_and(is_alpha) {
            self.next();
        }
        match TokenKind::of_word(self.text()) {
            Some(kind @ TokenKind::Preprocessor(P::Step | P::Range | P::MaxOf | P::MinOf)) => Some(kind),
            _ => None,
        }
    }

    fn followed_by_left_paren(&self) -> bool {
        self.input[self.pos..].iter().find(|b| !is_space(char::from(**b))) == Some(&b'(')
    }
}

fn arithmetic(c: char) -> Option<BinaryOp> {
    Some(match c {
        '+' => BinaryOp::Add,
        '-' => BinaryOp::Sub,
        '*' => BinaryOp::Mul,
        '/' => BinaryOp::Div,
        '%' => BinaryOp::Mod,
        '^' => BinaryOp::Pow,
        _ => return None,
    })
}

/// The first character and its width in bytes; a byte that begins no UTF-8 sequence counts as U+FFFD.
fn decode(bytes: &[u8]) -> Option<(char, usize)> {
    let first = *bytes.first()?;
    if first < 0x80 {
        return Some((char::from(first), 1));
    }
    let window = &bytes[..bytes.len().min(4)];
    let valid = match std::str::from_utf8(window) {
        Ok(s) => s,
        Err(e) => std::str::from_utf8(&window[..e.valid_up_to()]).unwrap_or_default(),
    };
    Some(valid.chars().next().map_or((char::REPLACEMENT_CHARACTER, 1), |c| (c, c.len_utf8())))
}

fn quote_or_end(c: Option<char>) -> String {
    quote_char(c.unwrap_or(char::REPLACEMENT_CHARACTER))
}

fn is_space(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\n' | '\r')
}

fn is_alpha(c: char) -> bool {
    c == '_' || c.is_ascii_alphabetic()
}

fn is_alphanumeric(c: char) -> bool {
    is_alpha(c) || c.is_ascii_digit()
}
