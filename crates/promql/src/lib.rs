//! PromQL: parse, check, plan and evaluate.
//!
//! Knows no store and does no I/O: samples come through [`SeriesSource`], which the caller implements, and every
//! evaluation works on whole columns, one value per step of the query's grid.

mod aggregate;
pub mod ast;
mod binary;
mod check;
mod eval;
mod function;
mod functions;
pub mod histogram;
pub mod leaf;
mod lexer;
pub mod limits;
mod number;
mod output;
mod parse_error;
mod parser;
mod print;
mod quote;
pub mod script;
mod source;
mod usage;

pub use ast::Expr;
pub use eval::{
    EvalOptions, Grid, Interrupt, PlanNode, Read, evaluate_instant, evaluate_range, explain_instant,
    explain_range, selections,
};
pub use function::{Function, ValueType};
pub use functions::time::rfc3339;
pub use number::format_g;
pub use output::{
    Annotations, HistogramSample, QueryOutput, QueryStats, Series, StepStats, Value, VectorSample,
};
pub use parse_error::{ParseError, ParseErrors};
pub use parser::{ParseOptions, parse, parse_bytes, parse_metric_selector, parse_metric_selector_with};
pub use print::{pretty, pretty_within};
pub use source::{Coarse, Columns, HistogramColumns, Selection, SeriesSet, SeriesSource};
pub use usage::{Need, Usage};
