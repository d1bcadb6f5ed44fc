//! Operators between numbers, and between a vector and a number.

use base::{Error, Result};

use super::value::{self, Operand};
use crate::ValueType;
use crate::ast::{Binary, BinaryOp, Span};
use crate::eval::annotation::AnnotationSet;
use crate::eval::column::{ABSENT, Column, is_present};
use crate::eval::evaluator::{Evaluator, Sink};
use crate::eval::plan::Node;
use crate::functions::elementwise;

/// What an operator does with two floats.
#[derive(Clone, Copy)]
pub(crate) enum Operation {
    Arithmetic(fn(f64, f64) -> f64),
    Comparison(fn(f64, f64) -> bool),
    /// Trims histograms, which floats are not.
    Trim,
}

/// The operation of an operator that is no set operator.
pub(crate) fn operation(op: BinaryOp) -> Result<Operation> {
    use Operation::{Arithmetic, Comparison, Trim};
    Ok(match op {
        BinaryOp::Add => Arithmetic(|a, b| a + b),
        BinaryOp::Sub => Arithmetic(|a, b| a - b),
        BinaryOp::Mul => Arithmetic(|a, b| a * b),
        BinaryOp::Div => Arithmetic(|a, b| a / b),
        BinaryOp::Mod => Arithmetic(|a, b| a % b),
        BinaryOp::Pow => Arithmetic(f64::powf),
        BinaryOp::Atan2 => Arithmetic(f64::atan2),
        BinaryOp::Eq => Comparison(|a, b| a == b),
        BinaryOp::Ne => Comparison(|a, b| a != b),
        BinaryOp::Lt => Comparison(|a, b| a < b),
        BinaryOp::Le => Comparison(|a, b| a <= b),
        BinaryOp::Gt => Comparison(|a, b| a > b),
        BinaryOp::Ge => Comparison(|a, b| a >= b),
        BinaryOp::TrimUpper | BinaryOp::TrimLower => Trim,
        BinaryOp::And | BinaryOp::Or | BinaryOp::Unless => {
            return Err(Error::internal(format!("cannot compute with the set operator {:?}", op.as_str())));
        }
    })
}

/// `a op b` of numbers.
pub(crate) fn apply(op: BinaryOp, a: f64, b: f64) -> Result<f64> {
    match operation(op)? {
        Operation::Arithmetic(f) => Ok(f(a, b)),
        Operation::Comparison(f) => Ok(f64::from(u8::from(f(a, b)))),
        Operation::Trim => {
            Err(Error::invalid(format!("operator {:?} not allowed for Scalar operations", op.as_str())))
        }
    }
}

/// Whether the result of an operator is no longer of the metric that went in.
pub(crate) fn changes_schema(op: BinaryOp) -> bool {
    !op.is_comparison() && !op.is_set() && !matches!(op, BinaryOp::TrimUpper | BinaryOp::TrimLower)
}

/// An operator between the values of a vector and a number.
pub(crate) struct Against<'a> {
    pub(crate) op: BinaryOp,
    pub(crate) return_bool: bool,
    /// The number at each step.
    pub(crate) numbers: &'a [f64],
    /// Whether the number stands on the right.
    pub(crate) vector_left: bool,
    pub(crate) span: Span,
}

impl Against<'_> {
    /// Puts the results in place of a series' values.
    pub(crate) fn compute(&self, column: &mut Column, annotations: &mut AnnotationSet) -> Result<()> {
        let histograms = std::mem::take(&mut column.histograms);
        self.compute_floats(&mut column.values, annotations)?;
        for (step, h) in histograms.iter().enumerate() {
            let Some(h) = h else { continue };
            let (vector, number) = (Operand::Histogram(h), Operand::Float(self.numbers[step]));
            let (a, b) = if self.vector_left { (vector, number) } else { (number, vector) };
            if let Some(item) = value::apply(self.op, a, b, annotations, self.span) {
                column.set(step, item);
            }
        }
        Ok(())
    }

    fn compute_floats(&self, values: &mut [f64], annotations: &mut AnnotationSet) -> Result<()> {
        // The common ones are loops of their own, which the compiler can unroll.
        match self.op {
            BinaryOp::Add => self.arithmetic(values, |a, b| a + b),
            BinaryOp::Sub => self.arithmetic(values, |a, b| a - b),
            BinaryOp::Mul => self.arithmetic(values, |a, b| a * b),
            BinaryOp::Div => self.arithmetic(values, |a, b| a / b),
            BinaryOp::Eq => self.comparison(values, |a, b| a == b),
            BinaryOp::Ne => self.comparison(values, |a, b| a != b),
            BinaryOp::Lt => self.comparison(values, |a, b| a < b),
            BinaryOp::Le => self.comparison(values, |a, b| a <= b),
            BinaryOp::Gt => self.comparison(values, |a, b| a > b),
            BinaryOp::Ge => self.comparison(values, |a, b| a >= b),
            other => match operation(other)? {
                Operation::Arithmetic(f) => self.arithmetic(values, f),
                Operation::Comparison(f) => self.comparison(values, f),
                Operation::Trim => {
                    for v in values.iter_mut().filter(|v| is_present(**v)) {
                        annotations.incompatible_types("float", self.op.as_str(), "float", self.span);
                        *v = ABSENT;
                    }
                }
            },
        }
        Ok(())
    }

    fn arithmetic(&self, values: &mut [f64], f: impl Fn(f64, f64) -> f64) {
        for (v, n) in values.iter_mut().zip(self.numbers) {
            if is_present(*v) {
                *v = if self.vector_left { f(*v, *n) } else { f(*n, *v) };
            }
        }
    }

    fn comparison(&self, values: &mut [f64], f: impl Fn(f64, f64) -> bool) {
        for (v, n) in values.iter_mut().zip(self.numbers) {
            let holds = if self.vector_left { f(*v, *n) } else { f(*n, *v) };
            if self.return_bool {
                *v = if is_present(*v) { f64::from(u8::from(holds)) } else { ABSENT };
            } else {
                // A filter: what remains is the vector's value, on whichever side it stands.
                *v = if holds { *v } else { ABSENT };
            }
        }
    }
}

/// The vector and the number of an operator between the two; `None` if both sides are of one type.
pub(crate) fn sides<'n, 'e>(lhs: &'n Node<'e>, rhs: &'n Node<'e>) -> Option<(&'n Node<'e>, &'n Node<'e>)> {
    match (lhs.ty, rhs.ty) {
        (ValueType::Vector, ValueType::Scalar) => Some((lhs, rhs)),
        (ValueType::Scalar, ValueType::Vector) => Some((rhs, lhs)),
        _ => None,
    }
}

/// Whether an operator with a number keeps some of a vector's values as they are, and leaves out the others.
pub(crate) fn is_filter(ast: &Binary) -> bool {
    ast.op.is_comparison() && !ast.return_bool
}

/// Evaluates an operator between a vector and a number.
pub(crate) fn stream(
    ev: &mut Evaluator<'_>,
    node: &Node<'_>,
    ast: &Binary,
    (lhs, rhs): (&Node<'_>, &Node<'_>),
    sink: &mut Sink<'_>,
) -> Result<()> {
    let (vector, number) =
        sides(lhs, rhs).ok_or_else(|| Error::internal("cannot compute with a number: the query has none"))?;
    let numbers = &ev.scalar(number)?;
    let vector_left = lhs.ty == ValueType::Vector;
    let against = Against { op: ast.op, return_bool: ast.return_bool, numbers, vector_left, span: node.span };
    if changes_schema(ast.op) || ast.return_bool {
        let mut compute =
            |ev: &mut Evaluator<'_>, column: &mut Column| against.compute(column, &mut ev.annotations);
        return elementwise::stream(ev, vector, sink, &mut compute);
    }
    ev.stream(vector, &mut |ev, mut column| {
        against.compute(&mut column, &mut ev.annotations)?;
        if column.is_empty() { Ok(()) } else { sink(ev, column) }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_compute_and_compare() {
        assert_eq!(apply(BinaryOp::Mod, -7.0, 3.0), Ok(-1.0));
        assert_eq!(apply(BinaryOp::Pow, 2.0, 10.0), Ok(1024.0));
        assert_eq!(apply(BinaryOp::Ge, 1.0, 1.0), Ok(1.0));
        assert_eq!(apply(BinaryOp::Lt, f64::NAN, 1.0), Ok(0.0));
        assert!(apply(BinaryOp::And, 1.0, 1.0).is_err());
    }
}
