//! Series selectors: a name, and matchers in braces.

use std::sync::Arc;

use base::{METRIC_NAME, MatchOp, Matcher};

use super::{Parsed, Parser, Unwind};
use crate::ast::{BinaryOp, Expr, ExprKind, Span, VectorSelector};
use crate::lexer::{Token, TokenKind};

/// What messages about the inside of braces call it.
const CONTEXT: &str = "label matching";

impl<'a> Parser<'a> {
    /// A selector whose name, if any, has been read. Without a name, an opening brace is next.
    pub(super) fn selector(&mut self, name: Option<Token<'a>>) -> Parsed<Expr> {
        let mut span = name.map_or_else(Span::default, |t| t.span());
        let mut matchers = Vec::new();
        if self.peek().kind == TokenKind::LeftBrace {
            let open = self.shift();
            matchers = self.matchers()?;
            span.start = name.map_or(open.start, |t| t.start);
            span.end = self.last.span().end;
        }
        matchers.extend(name.map(|t| Matcher::equal(METRIC_NAME, t.text)));
        self.height = 1;
        let selector = VectorSelector {
            name: name.map(|t| Arc::from(t.text)),
            matchers,
            offset: None,
            at: None,
            anchored: false,
            smoothed: false,
        };
        Ok(Expr { kind: ExprKind::Vector(Box::new(selector)), span })
    }

    /// A selector that stands alone.
    pub(super) fn bare_selector(&mut self) -> Parsed<Vec<Matcher>> {
        let name = loop {
            match self.peek().kind {
                TokenKind::LeftBrace => break None,
                kind if kind.is_metric_name() => break Some(self.shift()),
                _ => self.misfit()?,
            }
        };
        match self.selector(name)?.kind {
            ExprKind::Vector(selector) => Ok(selector.matchers),
            _ => unreachable!("a selector makes a vector"),
        }
    }

    /// Matchers after the opening brace, to the closing one.
    fn matchers(&mut self) -> Parsed<Vec<Matcher>> {
        let mut matchers = Vec::new();
        if self.accept(TokenKind::RightBrace) {
            return Ok(matchers);
        }
        matchers.extend(self.matcher()?);
        loop {
            match self.peek().kind {
                TokenKind::RightBrace => {
                    self.shift();
                    return Ok(matchers);
                }
                TokenKind::Comma => {
                    self.shift();
                    if self.accept(TokenKind::RightBrace) {
                        return Ok(matchers);
                    }
                    matchers.extend(self.matcher()?);
                }
                _ => {
                    let skipped = self.misfit();
                    self.recover(skipped, CONTEXT, "\",\" or \"}\"")?;
                }
            }
        }
    }

    /// One matcher; `None` after a mistake.
    fn matcher(&mut self) -> Parsed<Option<Matcher>> {
        let name = loop {
            match self.peek().kind {
                TokenKind::Identifier | TokenKind::String => break self.shift(),
                _ => match self.misfit() {
                    Ok(()) => {}
                    wrong => {
                        self.recover(wrong, CONTEXT, "identifier or \"}\"")?;
                        return Ok(None);
                    }
                },
            }
        };
        let quoted = name.kind == TokenKind::String;
        let label = if quoted { self.unquoted(name) } else { name.text.to_string() };
        let op = match self.match_operator(quoted) {
            Ok(Some(op)) => op,
            Ok(None) => return Ok(Some(Matcher::equal(METRIC_NAME, label))),
            Err(wrong) => {
                self.recover(Err::<(), _>(wrong), CONTEXT, "label matching operator")?;
                return Ok(None);
            }
        };
        let value = self.expect(TokenKind::String);
        let Some(value) = self.recover(value, CONTEXT, "string")? else { return Ok(None) };
        let text = self.unquoted(value);
        match self.regexes.matcher(label, op, text) {
            Ok(matcher) => Ok(Some(matcher)),
            Err(e) => {
                let span = Span { start: name.start, end: value.span().end };
                self.error(span, e.message());
                Ok(None)
            }
        }
    }

    /// The operator after a label's name; `None` if there is none after a quoted name, which then is the metric's.
    fn match_operator(&mut self, quoted: bool) -> Result<Option<MatchOp>, Unwind> {
        loop {
            let op = match self.peek().kind {
                TokenKind::Assign => MatchOp::Equal,
                TokenKind::Op(BinaryOp::Ne) => MatchOp::NotEqual,
                TokenKind::RegexEqual => MatchOp::Regex,
                TokenKind::RegexNotEqual => MatchOp::NotRegex,
                _ if quoted => return Ok(None),
                _ => {
                    self.misfit()?;
                    continue;
                }
            };
            self.shift();
            return Ok(Some(op));
        }
    }
}
