//! Durations, and arithmetic on them.

use super::expr::{POWER, binding, right_binding};
use super::{Parsed, Parser};
use crate::ast::{BinaryOp, DurationExpr, DurationValue, Span};
use crate::lexer::{Preprocessor, Token, TokenKind};

/// A duration in the tree: fixed if it is a plain number.
pub(super) fn duration_value(duration: DurationExpr) -> DurationValue {
    match duration {
        // Rounded to nanoseconds, then cut, as Prometheus does.
        DurationExpr::Number { value, .. } => DurationValue::Millis((value * 1e9).round() as i64 / 1_000_000),
        other => DurationValue::Expr(Box::new(other)),
    }
}

/// Whether an offset counts as given: a fixed one of nothing does not.
pub(super) fn is_set(offset: &DurationValue) -> bool {
    *offset != DurationValue::Millis(0)
}

/// In place of a duration that cannot be.
fn nothing() -> DurationExpr {
    DurationExpr::Number { value: 0.0, is_duration: false, span: Span::default() }
}

impl<'a> Parser<'a> {
    /// A duration that, if it is fixed, is more than nothing.
    pub(super) fn positive_duration(&mut self) -> Parsed<DurationExpr> {
        self.height = 0;
        let duration = self.duration(0)?;
        match &duration {
            DurationExpr::Number { value, span, .. } if *value <= 0.0 => {
                self.error(*span, "duration must be greater than 0");
                Ok(nothing())
            }
            _ => Ok(duration),
        }
    }

    /// A duration after `offset`. Without parentheses it ends after one number or call with its sign, so that
    /// `a offset 5m * 2` is a product; after parentheses arithmetic goes on.
    pub(super) fn offset_duration(&mut self) -> Parsed<DurationExpr> {
        self.height = 0;
        let token = self.peek();
        if let TokenKind::Op(op @ (BinaryOp::Add | BinaryOp::Sub)) = token.kind {
            self.shift();
            return self.signed_offset(op == BinaryOp::Sub, token);
        }
        let first = self.nested(Self::duration_operand)?;
        match token.kind {
            TokenKind::LeftParen => self.duration_operators(first, 0),
            _ => Ok(first),
        }
    }

    /// A duration after `offset` and a sign.
    fn signed_offset(&mut self, negative: bool, sign: Token<'a>) -> Parsed<DurationExpr> {
        let next = self.peek();
        let unary = |expr: DurationExpr| {
            let span = Span { start: sign.start, end: expr.span().end };
            DurationExpr::Unary { negative, expr: Box::new(expr), span }
        };
        match next.kind {
            TokenKind::Number | TokenKind::Duration => {
                self.shift();
                let (value, is_duration) = self.number(next);
                let value = if negative { -value } else { value };
                let span = Span { start: sign.start, end: next.span().end };
                Ok(self.fixed(value, is_duration, span, sign.span()))
            }
            TokenKind::Preprocessor(_) => {
                let inner = self.nested(Self::duration_call)?;
                self.grow(0)?;
                Ok(unary(inner))
            }
            TokenKind::LeftParen => {
                self.shift();
                let inner = self.nested(|p| p.duration(0))?;
                self.expect(TokenKind::RightParen)?;
                self.grow(1)?;
                let span = inner.span();
                let inner = in_parens(inner, span);
                Ok(if negative { unary(inner) } else { inner })
            }
            _ => {
                let inner = self.nested(|p| p.duration(POWER))?;
                let first = self.apply_sign(negative, sign, inner)?;
                self.duration_operators(first, 0)
            }
        }
    }

    /// Arithmetic of operators that bind at least so tight.
    fn duration(&mut self, min_binding: u8) -> Parsed<DurationExpr> {
        self.nested(|p| {
            let first = p.duration_operand()?;
            p.duration_operators(first, min_binding)
        })
    }

    fn duration_operators(&mut self, first: DurationExpr, min_binding: u8) -> Parsed<DurationExpr> {
        use BinaryOp as B;
        let mut lhs = first;
        while let TokenKind::Op(op @ (B::Add | B::Sub | B::Mul | B::Div | B::Mod | B::Pow)) = self.peek().kind
        {
            if binding(op) < min_binding {
                break;
            }
            let sign = self.shift();
            let height = self.height;
            let rhs = self.duration(right_binding(op))?;
            self.grow(height)?;
            let zero = matches!(rhs, DurationExpr::Number { value: 0.0, .. });
            lhs = match op {
                B::Div if zero => {
                    self.error(sign.span(), "division by zero");
                    nothing()
                }
                B::Mod if zero => {
                    self.error(sign.span(), "modulo by zero");
                    nothing()
                }
                _ => DurationExpr::Binary { op, lhs: Box::new(lhs), rhs: Box::new(rhs) },
            };
        }
        Ok(lhs)
    }

    fn duration_operand(&mut self) -> Parsed<DurationExpr> {
        loop {
            let token = self.peek();
            match token.kind {
                TokenKind::Number | TokenKind::Duration => {
                    self.shift();
                    self.height = 1;
                    let (value, is_duration) = self.number(token);
                    return Ok(self.fixed(value, is_duration, token.span(), token.span()));
                }
                TokenKind::Op(op @ (BinaryOp::Add | BinaryOp::Sub)) => {
                    self.shift();
                    let inner = self.duration(POWER)?;
                    return self.apply_sign(op == BinaryOp::Sub, token, inner);
                }
                TokenKind::LeftParen => {
                    self.shift();
                    let inner = self.duration(0)?;
                    self.expect(TokenKind::RightParen)?;
                    self.grow(0)?;
                    let span = Span { start: token.start, end: inner.span().end };
                    return Ok(in_parens(inner, span));
                }
                TokenKind::Preprocessor(p) if !matches!(p, Preprocessor::Start | Preprocessor::End) => {
                    return self.duration_call();
                }
                _ => self.misfit()?,
            }
        }
    }

    /// `step()`, `range()`, `min_of(…, …)` or `max_of(…, …)`.
    fn duration_call(&mut self) -> Parsed<DurationExpr> {
        let name = loop {
            match self.peek().kind {
                TokenKind::Preprocessor(p) if !matches!(p, Preprocessor::Start | Preprocessor::End) => {
                    break p;
                }
                _ => self.misfit()?,
            }
        };
        let token = self.shift();
        self.expect(TokenKind::LeftParen)?;
        match name.extreme() {
            Some(max) => {
                let lhs = Box::new(self.duration(0)?);
                let height = self.height;
                self.expect(TokenKind::Comma)?;
                let rhs = Box::new(self.duration(0)?);
                self.expect(TokenKind::RightParen)?;
                self.grow(height)?;
                let span = Span { start: lhs.span().start, end: rhs.span().end };
                Ok(DurationExpr::Extreme { max, lhs, rhs, span })
            }
            None => {
                self.height = 1;
                let close = self.expect(TokenKind::RightParen)?;
                let span = Span { start: token.start, end: close.span().end };
                match name {
                    Preprocessor::Step => Ok(DurationExpr::Step { span }),
                    _ => Ok(DurationExpr::Range { span }),
                }
            }
        }
    }

    /// A number of seconds, if Prometheus' nanoseconds can hold it.
    fn fixed(&mut self, value: f64, is_duration: bool, span: Span, error_at: Span) -> DurationExpr {
        /// 2^63 nanoseconds.
        const MAX_SECONDS: f64 = 9_223_372_036.854_776;
        if value.abs() > MAX_SECONDS {
            self.error(error_at, "duration out of range");
            return nothing();
        }
        DurationExpr::Number { value, is_duration, span }
    }

    fn apply_sign(&mut self, negative: bool, sign: Token<'a>, inner: DurationExpr) -> Parsed<DurationExpr> {
        match inner {
            DurationExpr::Number { value, is_duration, span } => {
                let value = if negative { -value } else { value };
                Ok(DurationExpr::Number { value, is_duration, span: Span { start: sign.start, ..span } })
            }
            inner if negative => {
                self.grow(0)?;
                let span = Span { start: sign.start, end: inner.span().end };
                Ok(DurationExpr::Unary { negative, expr: Box::new(inner), span })
            }
            inner => Ok(inner),
        }
    }
}

/// A duration in parentheses; more than one pair is as good as one. `span` is where a plain number in them counts as
/// standing: anything else stands where it stands without them.
fn in_parens(inner: DurationExpr, span: Span) -> DurationExpr {
    match inner {
        DurationExpr::Paren { .. } => inner,
        DurationExpr::Number { .. } => DurationExpr::Paren { expr: Box::new(inner), span },
        _ => {
            let span = inner.span();
            DurationExpr::Paren { expr: Box::new(inner), span }
        }
    }
}
