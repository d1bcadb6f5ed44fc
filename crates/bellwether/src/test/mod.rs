//! `bellwether test`: tests that users write for their queries and rules.

pub mod args;
mod promql;
mod rules;

use base::Result;

use crate::features::Features;
use crate::report::Report;
use args::{Test, What};

/// Runs the tests. `features` say what rules and the expressions of their tests may hold; scripts may hold everything.
pub fn run(options: &Test, features: &Features) -> Result<Report> {
    match &options.what {
        What::Promql(o) => Ok(promql::run(o)),
        What::Rules(o) => rules::run(o, features),
    }
}
