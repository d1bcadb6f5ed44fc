//! Operators between numbers, and between a vector and a number.

use base::{Error, Result};

use super::value::{self, Operand};
use crate::ValueType;
use crate::ast::{Binary, BinaryOp};
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

/// Evaluates an operator between a vector and a number.
pub(crate) fn stream(
    ev: &mut Evaluator<'_>,
    node: &Node<'_>,
    ast: &Binary,
    lhs: &Node<'_>,
    rhs: &Node<'_>,
    sink: &mut Sink<'_>,
) -> Result<()> {
    let vector_left = lhs.ty == ValueType::Vector;
    let (vector, number) = if vector_left { (lhs, rhs) } else { (rhs, lhs) };
    let numbers = ev.scalar(number)?;
    let operation = operation(ast.op)?;
    let mut compute = |ev: &mut Evaluator<'_>, column: &mut Column| {
        let histograms = std::mem::take(&mut column.histograms);
        for (v, n) in column.values.iter_mut().zip(&numbers).filter(|(v, _)| is_present(**v)) {
            let (a, b) = if vector_left { (*v, *n) } else { (*n, *v) };
            *v = match operation {
                Operation::Arithmetic(f) => f(a, b),
                Operation::Comparison(f) if ast.return_bool => f64::from(u8::from(f(a, b))),
                // A filter: what remains is the vector's value, on whichever side it stands.
                Operation::Comparison(f) => {
                    if f(a, b) {
                        *v
                    } else {
                        ABSENT
                    }
                }
                Operation::Trim => {
                    ev.annotations.incompatible_types("float", ast.op.as_str(), "float", node.span);
                    ABSENT
                }
            };
        }
        for (step, h) in histograms.iter().enumerate() {
            let Some(h) = h else { continue };
            let (vector, number) = (Operand::Histogram(h), Operand::Float(numbers[step]));
            let (a, b) = if vector_left { (vector, number) } else { (number, vector) };
            if let Some(item) = value::apply(ast.op, a, b, &mut ev.annotations, node.span) {
                column.set(step, item);
            }
        }
        Ok(())
    };
    if changes_schema(ast.op) || ast.return_bool {
        return elementwise::stream(ev, vector, sink, &mut compute);
    }
    ev.stream(vector, &mut |ev, mut column| {
        compute(ev, &mut column)?;
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
