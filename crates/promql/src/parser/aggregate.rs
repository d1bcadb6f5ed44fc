//! Aggregations.

use std::sync::Arc;

use super::{Parsed, Parser, stand_in};
use crate::ast::{Aggregate, AggregateOp, Expr, ExprKind, Span};
use crate::lexer::{Keyword, Token, TokenKind};

/// What stands around the operator.
#[derive(Default)]
struct Parts {
    args: Vec<Expr>,
    grouping: Vec<Arc<str>>,
    without: bool,
    /// Whether a token after the aggregation had to be read to see that it ends.
    overread: bool,
}

impl<'a> Parser<'a> {
    /// An aggregation whose operator has been read.
    pub(super) fn aggregate(&mut self, op: AggregateOp, token: Token<'a>) -> Parsed<Expr> {
        let parts = self.aggregate_parts();
        let mut parts = self.recover(parts, "aggregation", "")?.unwrap_or_default();
        self.grow(0)?;
        let end = if parts.overread { self.end_before_last() } else { self.last_closing };
        let span = Span { start: token.start, end };
        if let Some(message) = self.wrong_arguments(op, parts.args.len()) {
            self.error(span, message);
            return Ok(stand_in(span));
        }
        let expr = parts.args.pop().expect("an aggregation has an argument");
        let aggregate =
            Aggregate { op, expr, param: parts.args.pop(), grouping: parts.grouping, without: parts.without };
        Ok(Expr { kind: ExprKind::Aggregate(Box::new(aggregate)), span })
    }

    fn wrong_arguments(&self, op: AggregateOp, count: usize) -> Option<String> {
        if count == 0 {
            return Some("no arguments for aggregate expression provided".into());
        }
        if op.is_experimental() && !self.options.experimental_functions {
            let feature = "--enable-feature=promql-experimental-functions";
            return Some(format!("{}() is experimental and must be enabled with {feature}", op.as_str()));
        }
        let wanted = if op.takes_parameter() { 2 } else { 1 };
        (count != wanted).then(|| {
            format!(
                "wrong number of arguments for aggregate expression provided, expected {wanted}, got {count}"
            )
        })
    }

    fn aggregate_parts(&mut self) -> Parsed<Parts> {
        let mut parts = Parts::default();
        let first = self.aggregate_labels(&mut parts)?;
        parts.args = self.arguments()?;
        parts.overread = !first && !self.aggregate_labels(&mut parts)?;
        Ok(parts)
    }

    /// `by (…)` or `without (…)`, if it is next.
    fn aggregate_labels(&mut self, parts: &mut Parts) -> Parsed<bool> {
        let TokenKind::Keyword(k @ (Keyword::By | Keyword::Without)) = self.peek().kind else {
            return Ok(false);
        };
        self.shift();
        let height = self.height;
        parts.grouping = self.grouping_labels()?;
        parts.without = k == Keyword::Without;
        self.height = height;
        Ok(true)
    }

    /// Where an aggregation ends after which a token was read: if that token is a closing parenthesis, after the one
    /// before it, with only white space between them.
    fn end_before_last(&self) -> usize {
        let (input, last) = (self.lexer.input(), self.last.start);
        if self.last_closing == 0 || last == 0 || input.get(last) != Some(&b')') {
            return self.last_closing;
        }
        match input[1..last].iter().rposition(|b| !b.is_ascii_whitespace() || *b == b'\x0c') {
            Some(at) if input[1 + at] == b')' => 1 + at + 1,
            _ => self.last_closing,
        }
    }
}
