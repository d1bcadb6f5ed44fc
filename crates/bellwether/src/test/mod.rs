//! `bellwether test`: tests that users write for their queries and rules.

pub mod args;
mod promql;
mod rules;

use base::{Error, Result};

use crate::features::Features;
use crate::report::Report;
use args::{Rules, Test, What};

/// Runs the tests. `features` say what rules and the expressions of their tests may hold; scripts may hold everything.
pub fn run(options: &Test, features: &Features) -> Result<Report> {
    match &options.what {
        What::Promql(_) if options.junit.is_some() => {
            Err(Error::invalid("cannot write scripts' results as JUnit: only those of rules"))
        }
        What::Promql(o) => Ok(promql::run(o)),
        What::Rules(o) => {
            let junit = o.junit.clone().or_else(|| options.junit.clone());
            rules::run(&Rules { junit, ..o.clone() }, features)
        }
    }
}
