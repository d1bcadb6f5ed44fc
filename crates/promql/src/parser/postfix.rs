//! What may follow an operand: `offset`, `@`, ranges, subqueries, `anchored` and `smoothed`.

use super::duration::{duration_value, is_set};
use super::{Parsed, Parser};
use crate::ast::{
    AtModifier, BinaryOp, DurationExpr, DurationValue, Expr, ExprKind, Span, Subquery, VectorSelector,
};
use crate::lexer::{Keyword, Preprocessor, Token, TokenKind};

/// What a duration may be, as messages have it.
const A_DURATION: &str = "number, duration, step(), or range()";

/// The offset and the `@` of an expression that takes them.
type Modifiers<'e> = (&'e mut Option<DurationValue>, &'e mut Option<AtModifier>);

impl<'a> Parser<'a> {
    /// The operand with everything that modifies it.
    pub(super) fn postfix(&mut self, mut expr: Expr) -> Parsed<Expr> {
        loop {
            match self.peek().kind {
                TokenKind::Keyword(Keyword::Offset) => self.offset(&mut expr)?,
                TokenKind::At => self.at(&mut expr)?,
                TokenKind::LeftBracket => expr = self.brackets(expr)?,
                TokenKind::Keyword(k @ (Keyword::Anchored | Keyword::Smoothed)) => {
                    self.shift();
                    self.extend_range(&mut expr, k == Keyword::Anchored);
                }
                _ => return Ok(expr),
            }
        }
    }

    fn offset(&mut self, expr: &mut Expr) -> Parsed<()> {
        self.shift();
        let height = self.height;
        let duration = self.offset_duration();
        let Some(duration) = self.recover(duration, "offset", A_DURATION)? else { return Ok(()) };
        self.height = self.height.max(height);
        // Prometheus lets NaN through, to mean what the processor makes of it.
        if let DurationExpr::Number { value, span, .. } = &duration
            && value.is_nan()
        {
            self.error(*span, "duration out of range");
        }
        let span = expr.span;
        match self.modifiers(expr, "offset") {
            Ok((offset, _)) => {
                if offset.as_ref().is_some_and(is_set) {
                    self.error(span, "offset may not be set multiple times");
                } else {
                    *offset = Some(duration_value(duration));
                }
                expr.span.end = self.last_closing;
            }
            Err(message) => self.error(span, message),
        }
        Ok(())
    }

    fn at(&mut self, expr: &mut Expr) -> Parsed<()> {
        self.shift();
        let at = self.at_time(expr.span);
        let Some(at) = self.recover(at, "@", "timestamp")? else { return Ok(()) };
        let span = expr.span;
        match self.modifiers(expr, "@") {
            Ok((_, target)) if target.is_none() => {
                *target = Some(at);
                expr.span.end = self.last_closing;
            }
            Ok(_) => self.error(span, "@ <timestamp> may not be set multiple times"),
            Err(message) => self.error(span, message),
        }
        Ok(())
    }

    /// The time after an `@`.
    fn at_time(&mut self, span: Span) -> Parsed<AtModifier> {
        let mut sign = None;
        loop {
            match self.peek().kind {
                TokenKind::Number | TokenKind::Duration => break,
                TokenKind::Op(op @ (BinaryOp::Add | BinaryOp::Sub)) if sign.is_none() => {
                    self.shift();
                    sign = Some(op);
                }
                TokenKind::Preprocessor(p @ (Preprocessor::Start | Preprocessor::End)) if sign.is_none() => {
                    self.shift();
                    self.expect(TokenKind::LeftParen)?;
                    self.expect(TokenKind::RightParen)?;
                    return Ok(if p == Preprocessor::Start { AtModifier::Start } else { AtModifier::End });
                }
                _ => self.misfit()?,
            }
        }
        let token = self.shift();
        let (value, _) = self.number(token);
        let seconds = if sign == Some(BinaryOp::Sub) { -value } else { value };
        if !seconds.is_finite() || seconds >= i64::MAX as f64 || seconds <= i64::MIN as f64 {
            let shown = match seconds {
                _ if seconds.is_nan() => "NaN".to_string(),
                f64::INFINITY => "+Inf".into(),
                f64::NEG_INFINITY => "-Inf".into(),
                _ => format!("{seconds:.6}"),
            };
            self.error(span, format!("timestamp out of bounds for @ modifier: {shown}"));
        }
        Ok(AtModifier::At((seconds * 1000.0).round() as i64))
    }

    /// Where an expression keeps its offset and its `@`, if it takes the modifier of that name.
    fn modifiers<'e>(&self, expr: &'e mut Expr, name: &str) -> Result<Modifiers<'e>, String> {
        match &mut expr.kind {
            ExprKind::Matrix { .. } if self.ranges_of_no_selector.contains(&expr.span) => {
                Err(NO_SELECTOR.into())
            }
            ExprKind::Vector(selector) | ExprKind::Matrix { selector, .. } => {
                Ok((&mut selector.offset, &mut selector.at))
            }
            ExprKind::Subquery(subquery) => Ok((&mut subquery.offset, &mut subquery.at)),
            _ => Err(format!(
                "{name} modifier must be preceded by an instant vector selector or range vector selector \
                 or a subquery"
            )),
        }
    }

    /// `anchored` or `smoothed`, which has been read.
    fn extend_range(&mut self, expr: &mut Expr, anchored: bool) {
        let word = if anchored { "anchored" } else { "smoothed" };
        if !self.options.extended_range_selectors {
            return self.error(expr.span, format!("{word} modifier is experimental and not enabled"));
        }
        let selector = match &mut expr.kind {
            ExprKind::Vector(selector) => selector,
            ExprKind::Matrix { .. } if self.ranges_of_no_selector.contains(&expr.span) => return,
            ExprKind::Matrix { selector, .. } => selector,
            ExprKind::Subquery(_) => {
                return self.error(expr.span, format!("{word} modifier is not supported for subqueries"));
            }
            _ => return self.error(expr.span, format!("{word} modifier not implemented")),
        };
        *(if anchored { &mut selector.anchored } else { &mut selector.smoothed }) = true;
        if selector.anchored && selector.smoothed {
            self.error(expr.span, "anchored and smoothed modifiers cannot be used together");
        }
    }

    /// A range or a subquery.
    fn brackets(&mut self, expr: Expr) -> Parsed<Expr> {
        let open = self.shift();
        let height = self.height;
        let range = self.positive_duration();
        let Some(range) = self.recover(range, "subquery or range selector", A_DURATION)? else {
            return Ok(expr);
        };
        self.grow(height)?;
        loop {
            match self.peek().kind {
                TokenKind::RightBracket => {
                    let close = self.shift();
                    return Ok(self.matrix(expr, range, Span { start: open.start, end: close.span().end }));
                }
                TokenKind::Colon => {
                    self.shift();
                    return self.subquery(expr, range);
                }
                _ => match self.misfit() {
                    Ok(()) => {}
                    wrong => {
                        self.recover(wrong, "subquery or range", "\":\" or \"]\"")?;
                        return Ok(expr);
                    }
                },
            }
        }
    }

    fn matrix(&mut self, expr: Expr, range: DurationExpr, brackets: Span) -> Expr {
        let span = Span { start: expr.span.start, end: self.last_closing };
        let (selector, wrong) = match expr.kind {
            ExprKind::Vector(selector) => {
                let wrong = match () {
                    () if selector.offset.as_ref().is_some_and(is_set) => {
                        Some("no offset modifiers allowed before range")
                    }
                    () if selector.at.is_some() => Some("no @ modifiers allowed before range"),
                    () => None,
                };
                (selector, wrong)
            }
            _ => {
                self.ranges_of_no_selector.push(span);
                let none = VectorSelector {
                    name: None,
                    matchers: Vec::new(),
                    offset: None,
                    at: None,
                    anchored: false,
                    smoothed: false,
                };
                (Box::new(none), Some(NO_SELECTOR))
            }
        };
        if let Some(message) = wrong {
            self.error(brackets, message);
        }
        let kind = ExprKind::Matrix { selector, selector_span: expr.span, range: duration_value(range) };
        Expr { kind, span }
    }

    /// A subquery after its colon.
    fn subquery(&mut self, expr: Expr, range: DurationExpr) -> Parsed<Expr> {
        let mut step = None;
        let close: Token<'_>;
        if self.peek().kind == TokenKind::RightBracket {
            close = self.shift();
        } else {
            let height = self.height;
            let duration = self.positive_duration();
            let expected = "number, duration, step(), range(), or \"]\"";
            step = self.recover(duration, "subquery selector", expected)?;
            if step.is_none() {
                return Ok(expr);
            }
            self.height = self.height.max(height);
            let end = self.expect(TokenKind::RightBracket);
            match self.recover(end, "subquery selector", "\"]\"")? {
                Some(token) => close = token,
                None => return Ok(expr),
            }
        }
        let span = Span { start: expr.span.start, end: close.span().end };
        let subquery = Subquery {
            expr,
            range: duration_value(range),
            step: step.map(duration_value),
            offset: None,
            at: None,
        };
        Ok(Expr { kind: ExprKind::Subquery(Box::new(subquery)), span })
    }
}

const NO_SELECTOR: &str = "ranges only allowed for vector selectors";
