//! Test scripts for queries, in the language of Prometheus' `promqltest`: `load` data, `eval` queries, `expect` results.
//!
//! Owns the language, its checks and the data in memory that scripts load. Native histograms are read as far as
//! knowing which series have them: a case that needs them and does not pass is counted as skipped, with the reason.

mod check;
mod data;
mod parse;
mod run;
mod sequence;

pub use data::MemorySource;
pub use parse::{Command, Eval, Expectation, Load, Script, When};
pub use run::{Case, Outcome, Report, run};
pub use sequence::{Point, SeriesLine};
