//! Chores of the repository: `cargo xtask tidy` checks its structure, `cargo xtask ci` checks everything, `cargo xtask
//! bench` compares with other servers.

#![allow(clippy::disallowed_macros, reason = "a chore talks to the person who started it")]

mod bench;
mod ci;
mod count;
mod tidy;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

fn main() -> ExitCode {
    let command = std::env::args().nth(1).unwrap_or_default();
    let done = match command.as_str() {
        "tidy" => tidy::run(&root()),
        "ci" => ci::run(&root()),
        "bench" => bench::run(&root(), std::env::args_os().skip(2).collect()),
        _ => {
            println!("cargo xtask tidy   check the structure of the repository");
            println!("cargo xtask ci     check everything: format, lints, structure, tests");
            println!(
                "cargo xtask bench  measure against Prometheus and VictoriaMetrics; see bench/README.md"
            );
            return if command.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE };
        }
    };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(e) => {
            eprintln!("error: {e:#}");
            ExitCode::FAILURE
        }
    }
}

/// The repository: the folder above this crate.
fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().unwrap_or(here).to_owned()
}
