//! The parser: tokens to a checked syntax tree, or to every error that Prometheus finds, in its order.
//!
//! Operators are parsed by precedence climbing ([`expr`]). After an error the parser goes on as Prometheus' generated
//! one does, since the errors that follow are part of its answer: [`Unwind::Syntax`] unwinds to the innermost construct
//! that has words of its own for the mistake, which reports it and stands in for itself; tokens that do not fit there
//! are skipped until one does.

mod aggregate;
mod duration;
mod expr;
mod grouping;
mod postfix;
mod selector;

use base::{Matcher, Regexes};

use crate::ast::{Expr, ExprKind, Span};
use crate::check;
use crate::lexer::{Lexer, Token, TokenKind};
use crate::limits::MAX_QUERY_DEPTH;
use crate::parse_error::{ParseError, ParseErrors};

/// Parts of the language that are off unless asked for, as in Prometheus.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ParseOptions {
    /// Experimental functions and aggregations: `info`, `limitk` and so on.
    pub experimental_functions: bool,
    /// `anchored` and `smoothed`.
    pub extended_range_selectors: bool,
    /// `fill`, `fill_left` and `fill_right`.
    pub fill_modifiers: bool,
}

impl ParseOptions {
    /// The whole language.
    pub fn all() -> Self {
        Self { experimental_functions: true, extended_range_selectors: true, fill_modifiers: true }
    }
}

/// Parses a query and checks its types.
pub fn parse(input: &str, options: &ParseOptions) -> Result<Expr, ParseErrors> {
    parse_bytes(input.as_bytes(), options)
}

/// As [`parse`], of a query that may not be UTF-8, which is refused with the position of the first broken byte.
pub fn parse_bytes(input: &[u8], options: &ParseOptions) -> Result<Expr, ParseErrors> {
    let mut p = Parser::new(input, *options);
    let expr = p.query();
    p.finish(expr, check::check)
}

/// Parses a series selector, as the `match[]` parameters of the HTTP API have it. It may match everything: that is for
/// the caller to refuse.
pub fn parse_metric_selector(input: &str) -> Result<Vec<Matcher>, ParseErrors> {
    parse_metric_selector_with(input, &mut Regexes::default())
}

/// As [`parse_metric_selector`], of one of the selectors of a request, whose regular expressions have a bound together.
pub fn parse_metric_selector_with(input: &str, regexes: &mut Regexes) -> Result<Vec<Matcher>, ParseErrors> {
    let mut p = Parser::new(input.as_bytes(), ParseOptions::default());
    p.regexes = std::mem::take(regexes);
    let matchers = p.whole(Parser::bare_selector);
    *regexes = std::mem::take(&mut p.regexes);
    p.finish(matchers, |_, _| {})
}

/// Why a construct was given up.
#[derive(Debug)]
enum Unwind {
    /// A token that does not fit: the innermost construct that can name the mistake takes over.
    Syntax,
    /// Nothing sensible can follow.
    Abort,
}

type Parsed<T> = Result<T, Unwind>;

struct Parser<'a> {
    lexer: Lexer<'a>,
    options: ParseOptions,
    /// Read, but not yet used.
    lookahead: Option<Token<'a>>,
    /// The token read last, used or not: errors are placed there.
    last: Token<'a>,
    /// End of the last closing bracket or number that was read, used or not: some constructs end there.
    last_closing: usize,
    errors: Vec<ParseError>,
    /// So many tokens have to fit before mistakes are reported again.
    recovering: u8,
    /// How deep the parser has recursed.
    depth: usize,
    /// Height of the tree that was parsed last.
    height: usize,
    /// Where a range was given to something else than a selector. The nodes there are stand-ins.
    ranges_of_no_selector: Vec<Span>,
    /// What the query's regular expressions take.
    regexes: Regexes,
}

/// As many tokens have to fit after a mistake before the next one counts as another mistake.
const TOKENS_TO_RECOVER: u8 = 3;

impl<'a> Parser<'a> {
    fn new(input: &'a [u8], options: ParseOptions) -> Self {
        Self {
            lexer: Lexer::new(input),
            options,
            lookahead: None,
            last: Token { kind: TokenKind::Eof, start: 0, text: "" },
            last_closing: 0,
            errors: Vec::new(),
            recovering: 0,
            depth: 0,
            height: 0,
            ranges_of_no_selector: Vec::new(),
            regexes: Regexes::default(),
        }
    }

    fn query(&mut self) -> Option<Expr> {
        if self.peek().kind == TokenKind::Eof {
            self.error(Span::default(), "no expression found in input");
            return None;
        }
        self.whole(|p| p.expression(0))
    }

    /// Parses the whole input; what follows the construct is an error.
    fn whole<T>(&mut self, construct: impl FnOnce(&mut Self) -> Parsed<T>) -> Option<T> {
        let result = construct(self);
        let at_end = |p: &mut Self| matches!(p.peek().kind, TokenKind::Eof | TokenKind::Error);
        match &result {
            Err(Unwind::Abort) => return None,
            Ok(_) if self.recovering == TOKENS_TO_RECOVER || at_end(self) => {}
            _ => self.unexpected("", ""),
        }
        // The rest is read all the same: it may hold errors of the lexer.
        while !at_end(self) {
            self.lookahead = None;
        }
        result.ok()
    }

    /// The result, if there is one without errors, after a last look at it.
    fn finish<T>(
        mut self,
        result: Option<T>,
        check: impl FnOnce(&mut T, &mut Checking<'_>),
    ) -> Result<T, ParseErrors> {
        let input = self.lexer.input();
        let mut result = result;
        if self.errors.is_empty() {
            match &mut result {
                Some(value) => check(value, &mut Checking { input, errors: &mut self.errors }),
                None => self.error(self.last.span(), "unexpected error"),
            }
        }
        match (ParseErrors::new(input, self.errors), result) {
            (None, Some(value)) => Ok(value),
            (Some(errors), _) => Err(errors),
            (None, None) => unreachable!("a missing result was noted as an error"),
        }
    }

    fn error(&mut self, span: Span, message: impl Into<String>) {
        self.errors.push(ParseError { span, message: message.into() });
    }

    /// The next token, without using it. After the end, or an error of the lexer, it stays the next one.
    fn peek(&mut self) -> Token<'a> {
        if let Some(token) = self.lookahead {
            return token;
        }
        let token = self.lexer.next_token().unwrap_or_else(|e| {
            let end = self.lexer.input().len();
            self.error(Span { start: e.start, end }, e.message);
            Token { kind: TokenKind::Error, start: e.start, text: "" }
        });
        use TokenKind as T;
        if matches!(token.kind, T::RightBrace | T::RightParen | T::RightBracket | T::Duration | T::Number) {
            self.last_closing = token.span().end;
        }
        self.last = token;
        self.lookahead = Some(token);
        token
    }

    /// Uses the next token.
    fn shift(&mut self) -> Token<'a> {
        let token = self.peek();
        self.lookahead = None;
        self.recovering = self.recovering.saturating_sub(1);
        token
    }

    /// Uses the next token if it is of that kind.
    fn accept(&mut self, kind: TokenKind) -> bool {
        let found = self.peek().kind == kind;
        if found {
            self.shift();
        }
        found
    }

    /// Uses the next token, which has to be of that kind.
    fn expect(&mut self, kind: TokenKind) -> Parsed<Token<'a>> {
        while self.peek().kind != kind {
            self.misfit()?;
        }
        Ok(self.shift())
    }

    /// The next token fits nowhere here. Directly after another mistake it is skipped, and the caller looks again.
    fn misfit(&mut self) -> Parsed<()> {
        if self.recovering < TOKENS_TO_RECOVER {
            self.recovering = TOKENS_TO_RECOVER;
            return Err(Unwind::Syntax);
        }
        if matches!(self.peek().kind, TokenKind::Eof | TokenKind::Error) {
            return Err(Unwind::Abort);
        }
        self.lookahead = None;
        Ok(())
    }

    /// Takes over from a mistake within a construct, in this context; `None` if there was one.
    fn recover<T>(&mut self, result: Parsed<T>, context: &str, expected: &str) -> Parsed<Option<T>> {
        match result {
            Ok(value) => Ok(Some(value)),
            Err(Unwind::Abort) => Err(Unwind::Abort),
            Err(Unwind::Syntax) => {
                self.unexpected(context, expected);
                Ok(None)
            }
        }
    }

    /// Reports the token that was read last as unexpected.
    fn unexpected(&mut self, context: &str, expected: &str) {
        if self.last.kind == TokenKind::Error {
            return; // Reported when it was read.
        }
        let mut message = format!("unexpected {}", self.last.describe());
        if !context.is_empty() {
            message = format!("{message} in {context}");
        }
        if !expected.is_empty() {
            message = format!("{message}, expected {expected}");
        }
        self.error(self.last.span(), message);
    }

    /// Recurses, if not too deep already.
    fn nested<T>(&mut self, parse: impl FnOnce(&mut Self) -> Parsed<T>) -> Parsed<T> {
        self.bound(self.depth + 1)?;
        self.depth += 1;
        let result = parse(self);
        self.depth -= 1;
        result
    }

    /// Notes that the tree parsed last stands below another node, beside one of the given height.
    fn grow(&mut self, other_height: usize) -> Parsed<()> {
        self.height = self.height.max(other_height) + 1;
        self.bound(self.height)
    }

    fn bound(&mut self, depth: usize) -> Parsed<()> {
        if depth <= MAX_QUERY_DEPTH {
            return Ok(());
        }
        let message = format!("cannot parse query: it is nested deeper than {MAX_QUERY_DEPTH} levels");
        self.error(self.last.span(), message);
        Err(Unwind::Abort)
    }
}

/// What the checks of a parsed query need.
pub(crate) struct Checking<'a> {
    pub(crate) input: &'a [u8],
    pub(crate) errors: &'a mut Vec<ParseError>,
}

/// A node in place of one that cannot be built. The errors noted with it keep it from being returned.
fn stand_in(span: Span) -> Expr {
    let inner = Expr { kind: ExprKind::Number { value: 0.0, is_duration: false }, span };
    Expr { kind: ExprKind::Paren(Box::new(inner)), span }
}
