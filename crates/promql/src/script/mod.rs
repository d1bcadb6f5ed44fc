//! Test scripts for queries, in the language of Prometheus' `promqltest`: `load` data, `eval` queries, `expect` results.
//!
//! Owns the language, its checks and the data in memory that scripts load.

mod check;
mod classic;
mod data;
mod literal;
mod parse;
mod run;
mod sequence;

pub use data::MemorySource;
pub use parse::{Command, Eval, Expectation, Load, Script, When};
pub use run::{Case, Outcome, Report, options, run};
pub use sequence::{Point, SeriesLine};
