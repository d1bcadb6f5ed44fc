//! Expressions: operators by precedence, and operands.

use std::sync::Arc;

use super::{Parsed, Parser, stand_in};
use crate::Function;
use crate::ast::{Binary, BinaryOp, Expr, ExprKind, Span};
use crate::lexer::{Keyword, Preprocessor, Token, TokenKind, parse_duration_seconds, parse_number};
use crate::quote::{quote, unquote};

/// Binds tightest of the binary operators, and tighter than a sign.
pub(super) const POWER: u8 = 6;

/// How tight an operator binds; 0 is looser than all.
pub(super) fn binding(op: BinaryOp) -> u8 {
    use BinaryOp as B;
    match op {
        B::Or => 1,
        B::And | B::Unless => 2,
        B::Eq | B::Ne | B::Lt | B::Le | B::Gt | B::Ge | B::TrimUpper | B::TrimLower => 3,
        B::Add | B::Sub => 4,
        B::Mul | B::Div | B::Mod | B::Atan2 => 5,
        B::Pow => POWER,
    }
}

/// The binding that operators have to the right of this one to belong to its right operand: all group to the left,
/// except powers.
pub(super) fn right_binding(op: BinaryOp) -> u8 {
    if op == BinaryOp::Pow { POWER } else { binding(op) + 1 }
}

impl<'a> Parser<'a> {
    /// An expression of operators that bind at least so tight.
    pub(super) fn expression(&mut self, min_binding: u8) -> Parsed<Expr> {
        self.nested(|p| {
            let operand = p.operand()?;
            p.operators(operand, min_binding)
        })
    }

    /// What follows an operand: modifiers, then operators that bind at least so tight.
    pub(super) fn operators(&mut self, operand: Expr, min_binding: u8) -> Parsed<Expr> {
        let mut lhs = self.postfix(operand)?;
        while let TokenKind::Op(op) = self.peek().kind {
            if binding(op) < min_binding {
                break;
            }
            let op_span = self.shift().span();
            let lhs_height = self.height;
            let modifiers = self.binary_modifiers()?;
            let rhs = self.expression(right_binding(op))?;
            self.grow(lhs_height)?;
            let span = Span { start: lhs.span.start, end: rhs.span.end };
            if !self.options.fill_modifiers
                && (modifiers.matching.fill_left.is_some() || modifiers.matching.fill_right.is_some())
            {
                self.error(span, "binop fill modifiers are experimental and not enabled");
            }
            let binary = Binary {
                op,
                op_span,
                lhs,
                rhs,
                return_bool: modifiers.return_bool,
                matching: Some(modifiers.matching),
            };
            lhs = Expr { kind: ExprKind::Binary(Box::new(binary)), span };
        }
        Ok(lhs)
    }

    fn operand(&mut self) -> Parsed<Expr> {
        loop {
            let token = self.peek();
            match token.kind {
                TokenKind::Op(op @ (BinaryOp::Add | BinaryOp::Sub)) => {
                    self.shift();
                    return self.signed(op == BinaryOp::Sub, token.start);
                }
                TokenKind::LeftParen => return self.paren(),
                _ if token.kind.starts_operand() => break,
                _ => self.misfit()?,
            }
        }
        let token = self.peek();
        if token.kind == TokenKind::LeftBrace {
            return self.selector(None);
        }
        self.shift();
        self.height = 1;
        match token.kind {
            TokenKind::Number | TokenKind::Duration => {
                let (value, is_duration) = self.number(token);
                Ok(Expr { kind: ExprKind::Number { value, is_duration }, span: token.span() })
            }
            TokenKind::String => {
                let text = self.unquoted(token);
                Ok(Expr { kind: ExprKind::String(Arc::from(text)), span: token.span() })
            }
            TokenKind::Aggregate(op)
                if matches!(
                    self.peek().kind,
                    TokenKind::LeftParen | TokenKind::Keyword(Keyword::By | Keyword::Without)
                ) =>
            {
                self.aggregate(op, token)
            }
            TokenKind::Identifier | TokenKind::Preprocessor(_)
                if self.peek().kind == TokenKind::LeftParen =>
            {
                self.call(token)
            }
            _ => self.selector(Some(token)),
        }
    }

    /// What follows a sign. It binds as tight as a multiplication does, and is part of a number.
    fn signed(&mut self, negative: bool, start: usize) -> Parsed<Expr> {
        let mut expr = self.expression(POWER)?;
        if let ExprKind::Number { value, .. } = &mut expr.kind {
            if negative {
                *value = -*value;
            }
            expr.span.start = start;
            return Ok(expr);
        }
        self.grow(0)?;
        let span = Span { start, end: expr.span.end };
        Ok(Expr { kind: ExprKind::Unary { negative, expr: Box::new(expr) }, span })
    }

    fn paren(&mut self) -> Parsed<Expr> {
        let open = self.shift();
        let mut expr = self.expression(0)?;
        while self.peek().kind != TokenKind::RightParen {
            self.misfit()?;
            expr = self.operators(expr, 0)?;
        }
        let close = self.shift();
        self.grow(0)?;
        let span = Span { start: open.start, end: close.span().end };
        Ok(Expr { kind: ExprKind::Paren(Box::new(expr)), span })
    }

    /// The call of a function whose name has been read.
    fn call(&mut self, name: Token<'a>) -> Parsed<Expr> {
        let args = self.arguments()?;
        self.grow(0)?;
        let span = Span { start: name.start, end: self.last_closing };
        let Some(function) = Function::by_name(name.text) else {
            self.error(name.span(), format!("unknown function with name {}", quote(name.text)));
            return Ok(stand_in(span));
        };
        if function.is_experimental() && !self.options.experimental_functions {
            self.error(name.span(), format!("function {} is not enabled", quote(name.text)));
        }
        Ok(Expr { kind: ExprKind::Call { function, args }, span })
    }

    /// Arguments in parentheses.
    pub(super) fn arguments(&mut self) -> Parsed<Vec<Expr>> {
        self.expect(TokenKind::LeftParen)?;
        let mut args = Vec::new();
        self.height = 0;
        if self.accept(TokenKind::RightParen) {
            return Ok(args);
        }
        args.push(self.expression(0)?);
        loop {
            let token = self.peek();
            match token.kind {
                TokenKind::RightParen => {
                    self.shift();
                    return Ok(args);
                }
                TokenKind::Comma => {
                    self.shift();
                    if self.peek().kind.starts_operand() {
                        let height = self.height;
                        args.push(self.expression(0)?);
                        self.height = self.height.max(height);
                    } else {
                        self.error(token.span(), "trailing commas not allowed in function call args");
                    }
                }
                _ => self.misfit()?,
            }
        }
    }

    /// The value of a number or duration, and whether it is a duration, which then counts in seconds.
    pub(super) fn number(&mut self, token: Token<'a>) -> (f64, bool) {
        let is_duration = token.kind == TokenKind::Duration;
        let value = if is_duration {
            parse_duration_seconds(token.text).map_err(|message| (0.0, message))
        } else {
            parse_number(token.text)
        };
        let value = value.unwrap_or_else(|(nearest, message)| {
            self.error(token.span(), message);
            nearest
        });
        (value, is_duration)
    }

    /// The value of a string literal.
    pub(super) fn unquoted(&mut self, token: Token<'a>) -> String {
        unquote(token.text).unwrap_or_else(|| {
            let message = format!("error unquoting string {}: invalid syntax", quote(token.text));
            self.error(token.span(), message);
            String::new()
        })
    }
}

impl Preprocessor {
    /// Whether it is the name of an extreme of two durations, and then whether of the larger.
    pub(super) fn extreme(self) -> Option<bool> {
        match self {
            Self::MaxOf => Some(true),
            Self::MinOf => Some(false),
            _ => None,
        }
    }
}
