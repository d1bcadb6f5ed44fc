//! Filters: what a leaf keeps of its values because of how they compare with a number.

use std::fmt;

use base::Result;
use serde::{Deserialize, Serialize};

use super::{Numbers, Told};
use crate::ast::{BinaryOp, Span};
use crate::binary::scalar::Against;
use crate::eval::column::Column;

/// A comparison that values have to pass.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Filter {
    pub(crate) op: BinaryOp,
    /// What they are compared with, at each step.
    pub(crate) numbers: Numbers,
    /// Whether the number stands on the right.
    pub(crate) vector_left: bool,
    /// Where annotations point to.
    pub(crate) span: Span,
}

impl Filter {
    /// Removes the values of a series that do not pass.
    pub(crate) fn apply(&self, column: &mut Column, told: &mut Told) -> Result<()> {
        let Self { op, numbers, vector_left, span } = self;
        let against =
            Against { op: *op, return_bool: false, numbers, vector_left: *vector_left, span: *span };
        against.compute(column, &mut told.annotations)
    }
}

impl fmt::Display for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let first = self.numbers.first().copied().unwrap_or(f64::NAN);
        let number = match self.numbers.iter().all(|n| n.to_bits() == first.to_bits()) {
            true => crate::print::number(first, false),
            false => "scalar".to_owned(),
        };
        let op = self.op.as_str();
        if self.vector_left { write!(f, "{op} {number}") } else { write!(f, "{number} {op}") }
    }
}
