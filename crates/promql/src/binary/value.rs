//! Operators between values of which at least one is a native histogram.

use std::sync::Arc;

use base::{CounterResetHint, Histogram};

use crate::ast::{BinaryOp, Span};
use crate::eval::annotation::{AnnotationSet, Bringing};
use crate::eval::column::Item;
use crate::histogram::{Incompatible, Noted, Side, add, compact, divide, is_equal, multiply, subtract, trim};

/// A value.
#[derive(Clone, Copy)]
pub(crate) enum Operand<'o> {
    Float(f64),
    Histogram(&'o Arc<Histogram>),
}

impl Operand<'_> {
    fn kind(self) -> &'static str {
        match self {
            Self::Float(_) => "float",
            Self::Histogram(_) => "histogram",
        }
    }
}

/// What an operator yields; `None` if it is a comparison that does not hold, or if it yields nothing, which is then told.
pub(crate) fn apply(
    op: BinaryOp,
    a: Operand<'_>,
    b: Operand<'_>,
    annotations: &mut AnnotationSet,
    span: Span,
) -> Option<Item> {
    let computed = |h: &Arc<Histogram>, f: &dyn Fn(&mut Histogram)| {
        let mut h = (**h).clone();
        f(&mut h);
        Some(Item::Histogram(Arc::new(h)))
    };
    let scaled = |h: &Arc<Histogram>, f: &dyn Fn(&mut Histogram)| {
        computed(h, &|h| {
            f(h);
            compact(h);
        })
    };
    match (op, a, b) {
        (BinaryOp::Mul, Operand::Histogram(h), Operand::Float(v))
        | (BinaryOp::Mul, Operand::Float(v), Operand::Histogram(h)) => scaled(h, &|h| multiply(h, v)),
        (BinaryOp::Div, Operand::Histogram(h), Operand::Float(v)) => scaled(h, &|h| divide(h, v)),
        (BinaryOp::TrimUpper, Operand::Histogram(h), Operand::Float(v)) => {
            computed(h, &|h| trim(h, v, Side::Upper))
        }
        (BinaryOp::TrimLower, Operand::Histogram(h), Operand::Float(v)) => {
            computed(h, &|h| trim(h, v, Side::Lower))
        }
        (BinaryOp::Eq, Operand::Histogram(x), Operand::Histogram(y)) => {
            is_equal(x, y).then(|| Item::Histogram(Arc::clone(x)))
        }
        (BinaryOp::Ne, Operand::Histogram(x), Operand::Histogram(y)) => {
            (!is_equal(x, y)).then(|| Item::Histogram(Arc::clone(x)))
        }
        (BinaryOp::Add, Operand::Histogram(x), Operand::Histogram(y)) => {
            let mut h = (**x).clone();
            let noted = add(&mut h, y);
            together(op, h, noted, Bringing::Addition, annotations, span)
        }
        (BinaryOp::Sub, Operand::Histogram(x), Operand::Histogram(y)) => {
            let mut h = (**x).clone();
            let noted = subtract(&mut h, y);
            h.counter_reset_hint = CounterResetHint::Gauge;
            together(op, h, noted, Bringing::Subtraction, annotations, span)
        }
        _ => {
            annotations.incompatible_types(a.kind(), op.as_str(), b.kind(), span);
            None
        }
    }
}

/// The result of an addition or a subtraction, of which conflicting resets leave nothing.
fn together(
    op: BinaryOp,
    mut h: Histogram,
    noted: Result<Noted, Incompatible>,
    how: Bringing,
    annotations: &mut AnnotationSet,
    span: Span,
) -> Option<Item> {
    match noted {
        Ok(noted) if noted.collision => {
            annotations.brought_together(Noted { reconciled: false, ..noted }, how, span);
            None
        }
        Ok(noted) => {
            annotations.brought_together(noted, how, span);
            compact(&mut h);
            Some(Item::Histogram(Arc::new(h)))
        }
        Err(Incompatible) => {
            annotations.incompatible_layout(op.as_str(), span);
            None
        }
    }
}

/// Whether the operator yields something for values of these kinds, or tells what is wrong.
pub(crate) fn is_defined(op: BinaryOp, a: Operand<'_>, b: Operand<'_>) -> bool {
    match (a, b) {
        (Operand::Float(_), Operand::Float(_)) => !matches!(op, BinaryOp::TrimUpper | BinaryOp::TrimLower),
        (Operand::Histogram(_), Operand::Histogram(_)) => {
            matches!(op, BinaryOp::Add | BinaryOp::Sub | BinaryOp::Eq | BinaryOp::Ne)
        }
        (Operand::Histogram(_), Operand::Float(_)) => {
            matches!(op, BinaryOp::Mul | BinaryOp::Div | BinaryOp::TrimUpper | BinaryOp::TrimLower)
        }
        (Operand::Float(_), Operand::Histogram(_)) => op == BinaryOp::Mul,
    }
}
