//! The tokens of a template. Text runs to the next `{{`; inside an action, words, numbers, quotes and marks.
//!
//! Positions are bytes. The first error ends the tokens: it is the last of them.

use crate::format::{quote, rune_form};

/// What a token is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Error,
    Bool,
    Char,
    CharConstant,
    Complex,
    Assign,
    Declare,
    Eof,
    Field,
    Identifier,
    LeftDelim,
    LeftParen,
    Number,
    Pipe,
    RawString,
    RightDelim,
    RightParen,
    Space,
    String,
    Text,
    Variable,
    Dot,
    Block,
    Break,
    Continue,
    Define,
    Else,
    End,
    If,
    Nil,
    Range,
    Template,
    With,
}

/// A piece of a template: its kind, where it starts, and its text.
#[derive(Clone, Debug)]
pub(crate) struct Token {
    pub(crate) kind: Kind,
    pub(crate) pos: usize,
    pub(crate) line: usize,
    pub(crate) text: String,
}

impl Token {
    fn is_keyword(&self) -> bool {
        use Kind::{Block, Break, Continue, Define, Dot, Else, End, If, Nil, Range, Template, With};
        matches!(
            self.kind,
            Dot | Block | Break | Continue | Define | Else | End | If | Nil | Range | Template | With
        )
    }

    /// How errors name the token.
    pub(crate) fn describe(&self) -> String {
        match self.kind {
            Kind::Eof => "EOF".into(),
            Kind::Error => self.text.clone(),
            _ if self.is_keyword() => format!("<{}>", self.text),
            _ if self.text.len() > 10 => {
                format!("{}...", quote(&self.text.chars().take(10).collect::<String>()))
            }
            _ => quote(&self.text),
        }
    }
}

struct Lexer<'a> {
    input: &'a str,
    pos: usize,
    start: usize,
    /// Line of `counted`, so that lines are counted in one pass.
    line: usize,
    counted: usize,
    paren_depth: usize,
    tokens: Vec<Token>,
}

/// Ends lexing: the error is already among the tokens.
struct Stop;

/// All tokens of a template; the last is the end or an error.
pub(crate) fn lex(input: &str) -> Vec<Token> {
    let mut lexer =
        Lexer { input, pos: 0, start: 0, line: 1, counted: 0, paren_depth: 0, tokens: Vec::new() };
    // A stop has left its error as the last token.
    let _ = lexer.run();
    lexer.tokens
}

fn is_space(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\r' | '\n')
}

fn is_alphanumeric(c: char) -> bool {
    c == '_' || c.is_alphanumeric()
}

/// The text starts with `- `: what stands before is trimmed.
fn has_left_trim(rest: &str) -> bool {
    let mut chars = rest.chars();
    chars.next() == Some('-') && chars.next().is_some_and(is_space)
}

/// The text starts with ` -`.
fn has_right_trim(rest: &str) -> bool {
    let mut chars = rest.chars();
    chars.next().is_some_and(is_space) && chars.next() == Some('-')
}

impl Lexer<'_> {
    fn run(&mut self) -> Result<(), Stop> {
        loop {
            let Some(at) = self.input[self.pos..].find("{{") else {
                self.pos = self.input.len();
                if self.pos > self.start {
                    self.emit(Kind::Text);
                }
                self.emit(Kind::Eof);
                return Ok(());
            };
            self.text(at);
            self.left_delimiter()?;
        }
    }

    fn text(&mut self, length: usize) {
        let end = self.pos + length;
        let mut text = &self.input[self.start..end];
        if has_left_trim(&self.input[end + 2..]) {
            text = text.trim_end_matches(is_space);
        }
        self.pos = self.start + text.len();
        if !text.is_empty() {
            self.emit(Kind::Text);
        }
        self.pos = end;
        self.start = end;
    }

    fn left_delimiter(&mut self) -> Result<(), Stop> {
        self.pos += 2;
        let marker = if has_left_trim(&self.input[self.pos..]) { 2 } else { 0 };
        if self.input[self.pos + marker..].starts_with("/*") {
            self.pos += marker;
            self.start = self.pos;
            return self.comment();
        }
        self.emit(Kind::LeftDelim);
        self.pos += marker;
        self.start = self.pos;
        self.paren_depth = 0;
        self.action()
    }

    fn comment(&mut self) -> Result<(), Stop> {
        let Some(end) = self.input[self.pos..].find("*/") else { return self.fail("unclosed comment") };
        self.pos += end + 2;
        let Some(trim) = self.at_right_delimiter() else {
            return self.fail("comment ends before closing delimiter");
        };
        self.pos += if trim { 4 } else { 2 };
        if trim {
            self.trim_left();
        }
        self.start = self.pos;
        Ok(())
    }

    fn trim_left(&mut self) {
        let rest = &self.input[self.pos..];
        self.pos += rest.len() - rest.trim_start_matches(is_space).len();
    }

    /// Whether an action ends here, and if so whether with a trim marker.
    fn at_right_delimiter(&self) -> Option<bool> {
        let rest = &self.input[self.pos..];
        if has_right_trim(rest) && rest[2..].starts_with("}}") {
            return Some(true);
        }
        rest.starts_with("}}").then_some(false)
    }

    fn right_delimiter(&mut self, trim: bool) {
        if trim {
            self.pos += 2;
            self.start = self.pos;
        }
        self.pos += 2;
        self.emit(Kind::RightDelim);
        if trim {
            self.trim_left();
        }
        self.start = self.pos;
    }

    /// The inside of an action up to and with its end.
    fn action(&mut self) -> Result<(), Stop> {
        loop {
            if let Some(trim) = self.at_right_delimiter() {
                if self.paren_depth > 0 {
                    return self.fail("unclosed left paren");
                }
                self.right_delimiter(trim);
                return Ok(());
            }
            let Some(c) = self.next() else { return self.fail("unclosed action") };
            match c {
                c if is_space(c) => self.space(),
                '=' => self.emit(Kind::Assign),
                ':' => {
                    if self.next() != Some('=') {
                        return self.fail("expected :=");
                    }
                    self.emit(Kind::Declare);
                }
                '|' => self.emit(Kind::Pipe),
                '"' => self.quoted('"', Kind::String, "unterminated quoted string")?,
                '`' => self.raw_quoted()?,
                '\'' => self.quoted('\'', Kind::CharConstant, "unterminated character constant")?,
                '$' => self.field_or_variable(Kind::Variable)?,
                '.' if !self.peek().is_some_and(|c| c.is_ascii_digit()) => {
                    self.field_or_variable(Kind::Field)?;
                }
                '.' | '+' | '-' | '0'..='9' => {
                    self.pos -= 1;
                    self.number()?;
                }
                c if is_alphanumeric(c) => self.identifier()?,
                '(' => {
                    self.emit(Kind::LeftParen);
                    self.paren_depth += 1;
                }
                ')' if self.paren_depth == 0 => return self.fail("unexpected right paren"),
                ')' => {
                    self.emit(Kind::RightParen);
                    self.paren_depth -= 1;
                }
                c if c.is_ascii_graphic() => self.emit(Kind::Char),
                c => return self.fail(&format!("unrecognized character in action: {}", rune_form(c))),
            }
        }
    }

    fn space(&mut self) {
        let mut before_last = self.start;
        while self.peek().is_some_and(is_space) {
            before_last = self.pos;
            self.pos += 1;
        }
        // The last space may belong to a closing trim marker, which has a minus after a space.
        let last = self.pos - 1;
        if has_right_trim(&self.input[last..]) && self.input[last + 2..].starts_with("}}") {
            self.pos = if self.pos - self.start == 1 { self.start } else { before_last };
            if self.pos == self.start {
                return;
            }
        }
        self.emit(Kind::Space);
    }

    fn identifier(&mut self) -> Result<(), Stop> {
        while self.peek().is_some_and(is_alphanumeric) {
            self.next();
        }
        self.check_terminator()?;
        let kind = match &self.input[self.start..self.pos] {
            "block" => Kind::Block,
            "break" => Kind::Break,
            "continue" => Kind::Continue,
            "define" => Kind::Define,
            "else" => Kind::Else,
            "end" => Kind::End,
            "if" => Kind::If,
            "nil" => Kind::Nil,
            "range" => Kind::Range,
            "template" => Kind::Template,
            "with" => Kind::With,
            "true" | "false" => Kind::Bool,
            _ => Kind::Identifier,
        };
        self.emit(kind);
        Ok(())
    }

    fn field_or_variable(&mut self, kind: Kind) -> Result<(), Stop> {
        if self.at_terminator() {
            self.emit(if kind == Kind::Field { Kind::Dot } else { kind });
            return Ok(());
        }
        while self.peek().is_some_and(is_alphanumeric) {
            self.next();
        }
        self.check_terminator()?;
        self.emit(kind);
        Ok(())
    }

    fn check_terminator(&mut self) -> Result<(), Stop> {
        if self.at_terminator() {
            return Ok(());
        }
        let c = self.peek().unwrap_or('\u{fffd}');
        self.fail(&format!("bad character {}", rune_form(c)))
    }

    fn at_terminator(&self) -> bool {
        match self.peek() {
            None => true,
            Some(c) => is_space(c) || matches!(c, '.' | ',' | '|' | ':' | ')' | '(' | '}'),
        }
    }

    fn quoted(&mut self, end: char, kind: Kind, unterminated: &str) -> Result<(), Stop> {
        loop {
            match self.next() {
                None | Some('\n') => return self.fail(unterminated),
                Some('\\') if matches!(self.next(), None | Some('\n')) => return self.fail(unterminated),
                Some(c) if c == end => break,
                Some(_) => {}
            }
        }
        self.emit(kind);
        Ok(())
    }

    fn raw_quoted(&mut self) -> Result<(), Stop> {
        match self.input[self.pos..].find('`') {
            None => self.fail("unterminated raw quoted string"),
            Some(end) => {
                self.pos += end + 1;
                self.emit(Kind::RawString);
                Ok(())
            }
        }
    }

    fn number(&mut self) -> Result<(), Stop> {
        let mut kind = Kind::Number;
        let mut good = self.scan_number();
        if good && matches!(self.peek(), Some('+' | '-')) {
            kind = Kind::Complex;
            good = self.scan_number() && self.input[..self.pos].ends_with('i');
        }
        if !good {
            let text = quote(&self.input[self.start..self.pos]);
            return self.fail(&format!("bad number syntax: {text}"));
        }
        self.emit(kind);
        Ok(())
    }

    /// Scans generously: what is wrong with a number is found when it is read.
    fn scan_number(&mut self) -> bool {
        self.accept("+-");
        let mut digits = "0123456789_";
        if self.accept("0") {
            if self.accept("xX") {
                digits = "0123456789abcdefABCDEF_";
            } else if self.accept("oO") {
                digits = "01234567_";
            } else if self.accept("bB") {
                digits = "01_";
            }
        }
        self.accept_run(digits);
        if self.accept(".") {
            self.accept_run(digits);
        }
        let decimal = digits.len() == 11;
        if (decimal && self.accept("eE")) || (digits.len() == 23 && self.accept("pP")) {
            self.accept("+-");
            self.accept_run("0123456789_");
        }
        self.accept("i");
        if self.peek().is_some_and(is_alphanumeric) {
            self.next();
            return false;
        }
        true
    }

    fn accept(&mut self, set: &str) -> bool {
        let found = self.peek().is_some_and(|c| set.contains(c));
        if found {
            self.pos += 1;
        }
        found
    }

    fn accept_run(&mut self, set: &str) {
        while self.accept(set) {}
    }

    fn peek(&self) -> Option<char> {
        self.input[self.pos..].chars().next()
    }

    fn next(&mut self) -> Option<char> {
        let c = self.peek()?;
        self.pos += c.len_utf8();
        Some(c)
    }

    fn start_line(&mut self) -> usize {
        self.line += self.input.as_bytes()[self.counted..self.start].iter().filter(|b| **b == b'\n').count();
        self.counted = self.start;
        self.line
    }

    fn emit(&mut self, kind: Kind) {
        let line = self.start_line();
        let text = self.input[self.start..self.pos].to_owned();
        self.tokens.push(Token { kind, pos: self.start, line, text });
        self.start = self.pos;
    }

    fn fail<T>(&mut self, message: &str) -> Result<T, Stop> {
        let line = self.start_line();
        self.tokens.push(Token { kind: Kind::Error, pos: self.start, line, text: message.into() });
        Err(Stop)
    }
}
