//! `bellwether test`: tests that users write for their queries and rules.

pub mod args;
mod promql;
mod rules;

use base::Result;

use crate::report::Report;
use args::{Test, What};

/// Runs the tests.
pub fn run(options: &Test) -> Result<Report> {
    match &options.what {
        What::Promql(o) => Ok(promql::run(o)),
        What::Rules(o) => rules::run(o),
    }
}
