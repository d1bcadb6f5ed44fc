//! Lists of labels, and the modifiers of binary operators that have them.

use std::sync::Arc;

use super::{Parsed, Parser};
use crate::ast::{BinaryOp, Cardinality, VectorMatching};
use crate::lexer::{Keyword, TokenKind};
use crate::quote::quote;

/// What messages about lists of labels call them.
const CONTEXT: &str = "grouping opts";

/// What stands between a binary operator and its right operand.
pub(super) struct BinaryModifiers {
    pub(super) return_bool: bool,
    pub(super) matching: VectorMatching,
}

impl Parser<'_> {
    pub(super) fn binary_modifiers(&mut self) -> Parsed<BinaryModifiers> {
        let mut matching = VectorMatching {
            cardinality: Cardinality::OneToOne,
            labels: Vec::new(),
            on: false,
            include: Vec::new(),
            fill_left: None,
            fill_right: None,
        };
        let return_bool = self.accept(TokenKind::Keyword(Keyword::Bool));
        if let TokenKind::Keyword(k @ (Keyword::On | Keyword::Ignoring)) = self.peek().kind {
            self.shift();
            matching.labels = self.grouping_labels()?;
            matching.on = k == Keyword::On;
            if let TokenKind::Keyword(k @ (Keyword::GroupLeft | Keyword::GroupRight)) = self.peek().kind {
                self.shift();
                matching.cardinality = match k {
                    Keyword::GroupLeft => Cardinality::ManyToOne,
                    _ => Cardinality::OneToMany,
                };
                // What begins the right operand, or fills it in, ends a list that is not there.
                let next = self.peek().kind;
                if next == TokenKind::LeftParen || !next.starts_operand() {
                    matching.include = self.grouping_labels()?;
                }
            }
        }
        match self.peek().kind {
            TokenKind::Keyword(Keyword::Fill) => {
                matching.fill_left = Some(self.fill_value()?);
                matching.fill_right = matching.fill_left;
            }
            TokenKind::Keyword(Keyword::FillLeft) => {
                matching.fill_left = Some(self.fill_value()?);
                if self.peek().kind == TokenKind::Keyword(Keyword::FillRight) {
                    matching.fill_right = Some(self.fill_value()?);
                }
            }
            TokenKind::Keyword(Keyword::FillRight) => {
                matching.fill_right = Some(self.fill_value()?);
                if self.peek().kind == TokenKind::Keyword(Keyword::FillLeft) {
                    matching.fill_left = Some(self.fill_value()?);
                }
            }
            _ => {}
        }
        Ok(BinaryModifiers { return_bool, matching })
    }

    /// `fill`, or one of its kind, and its number in parentheses.
    fn fill_value(&mut self) -> Parsed<f64> {
        self.shift();
        self.expect(TokenKind::LeftParen)?;
        let mut negative = false;
        if let TokenKind::Op(op @ (BinaryOp::Add | BinaryOp::Sub)) = self.peek().kind {
            self.shift();
            negative = op == BinaryOp::Sub;
        }
        while !matches!(self.peek().kind, TokenKind::Number | TokenKind::Duration) {
            self.misfit()?;
        }
        let token = self.shift();
        let (value, _) = self.number(token);
        self.expect(TokenKind::RightParen)?;
        Ok(if negative { -value } else { value })
    }

    /// Labels in parentheses.
    pub(super) fn grouping_labels(&mut self) -> Parsed<Vec<Arc<str>>> {
        let mut labels = Vec::new();
        let open = self.expect(TokenKind::LeftParen);
        if self.recover(open, CONTEXT, "\"(\"")?.is_none() || self.accept(TokenKind::RightParen) {
            return Ok(labels);
        }
        labels.extend(self.grouping_label()?);
        loop {
            match self.peek().kind {
                TokenKind::RightParen => {
                    self.shift();
                    return Ok(labels);
                }
                TokenKind::Comma => {
                    self.shift();
                    if self.accept(TokenKind::RightParen) {
                        return Ok(labels);
                    }
                    labels.extend(self.grouping_label()?);
                }
                _ => {
                    let skipped = self.misfit();
                    self.recover(skipped, CONTEXT, "\",\" or \")\"")?;
                }
            }
        }
    }

    /// One label; `None` after a mistake.
    fn grouping_label(&mut self) -> Parsed<Option<Arc<str>>> {
        loop {
            let token = self.peek();
            let name = match token.kind {
                TokenKind::String => {
                    self.shift();
                    self.unquoted(token)
                }
                kind if kind.is_label_name() => {
                    self.shift();
                    token.text.to_string()
                }
                _ => match self.misfit() {
                    Ok(()) => continue,
                    wrong => {
                        self.recover(wrong, CONTEXT, "label")?;
                        return Ok(None);
                    }
                },
            };
            if name.is_empty() {
                self.error(token.span(), format!("invalid label name for grouping: {}", quote(&name)));
            }
            return Ok(Some(Arc::from(name)));
        }
    }
}
