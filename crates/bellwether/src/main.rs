//! `bellwether`: reads the command line and hands over.

use std::io::Write;
use std::process::ExitCode;

use bellwether::cli::{Cli, Command};
use bellwether::report::Report;
use bellwether::{
    check, debug, export, import, lake_commands, promql_commands, push_metrics, query, serve, test,
    tsdb_commands,
};
use clap::Parser;

fn main() -> ExitCode {
    match Cli::parse().command {
        Command::Serve(options) => match serve::run(options) {
            Ok(()) => ExitCode::SUCCESS,
            Err(e) => fail(&e.to_string()),
        },
        Command::Check(options) => say(check::run(&options, &serve::environment)),
        Command::Test(options) => say(test::run(&options)),
        Command::Query(options) => say(query::run(&options)),
        Command::Push(options) => say(push_metrics::run(&options)),
        Command::Debug(options) => say(debug::run(&options)),
        Command::Promql(options) => say(promql_commands::run(&options)),
        Command::Tsdb(options) => match tsdb_commands::run(&options) {
            Ok(true) => ExitCode::SUCCESS,
            Ok(false) => ExitCode::FAILURE,
            Err(e) => fail(&e.to_string()),
        },
        Command::Import(options) => match import::run(&options) {
            Ok(true) => ExitCode::SUCCESS,
            Ok(false) => ExitCode::FAILURE,
            Err(e) => fail(&e.to_string()),
        },
        Command::Export(options) => match export::run(&options) {
            Ok(true) => ExitCode::SUCCESS,
            Ok(false) => ExitCode::FAILURE,
            Err(e) => fail(&e.to_string()),
        },
        Command::Lake(options) => match lake_commands::run(&options) {
            Ok(true) => ExitCode::SUCCESS,
            Ok(false) => ExitCode::FAILURE,
            Err(e) => fail(&e.to_string()),
        },
        Command::Version => match writeln!(std::io::stdout(), "bellwether {}", bellwether::version_line()) {
            Ok(()) => ExitCode::SUCCESS,
            Err(e) => fail(&format!("cannot write the version: {e}")),
        },
    }
}

/// Writes what a command has to say, and exits as it wants.
fn say(report: base::Result<Report>) -> ExitCode {
    match report {
        Err(e) => fail(&e.to_string()),
        Ok(report) => match report.write() {
            Ok(()) => ExitCode::from(report.code),
            Err(e) => fail(&format!("cannot write the report: {e}")),
        },
    }
}

#[expect(clippy::disallowed_macros, reason = "this is where the command line speaks to its user")]
fn fail(message: &str) -> ExitCode {
    eprintln!("error: {message}");
    ExitCode::FAILURE
}
