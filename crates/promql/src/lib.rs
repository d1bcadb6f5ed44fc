//! PromQL: parse, check, plan and evaluate.
//!
//! Knows no store and does no I/O: samples come through [`SeriesSource`], which the caller implements, and every
//! evaluation works on whole columns, one value per step of the query's grid.

pub mod ast;
mod function;
mod output;
mod source;

pub use ast::Expr;
pub use function::{Function, ValueType};
pub use output::{Annotations, QueryOutput, QueryStats, Series, Value, VectorSample};
pub use source::{Columns, Selection, SeriesCursor, SeriesSource};
