//! `bellwether`: reads the command line and hands over.

use std::io::Write;
use std::process::ExitCode;

use bellwether::cli::{Cli, Command};
use bellwether::features::Features;
use bellwether::report::Report;
use bellwether::{
    check, debug, export, import, lake_commands, promql_commands, push_metrics, query, serve, test,
    tsdb_commands,
};
use clap::Parser;

fn main() -> ExitCode {
    let cli = Cli::parse();
    let features = match Features::of(cli.enable_feature.iter().map(String::as_str)) {
        Ok(features) => features,
        Err(e) => return fail(&e.to_string()),
    };
    if !matches!(cli.command, Command::Serve(_)) {
        features.notices().iter().for_each(|text| warn(text));
    }
    match cli.command {
        Command::Serve(options) => match serve::run(*options, features) {
            Ok(()) => ExitCode::SUCCESS,
            Err(e) => fail(&e.to_string()),
        },
        Command::Check(options) => say(check::run(&options, &features, &serve::environment)),
        Command::Test(options) => say(test::run(&options, &features)),
        Command::Query(options) => say(query::run(&options)),
        Command::Push(options) => say(push_metrics::run(&options)),
        Command::Debug(options) => say(debug::run(&options)),
        Command::Promql(options) => say(promql_commands::run(&options)),
        Command::Tsdb(options) => match tsdb_commands::run(&options, &features) {
            Ok(true) => ExitCode::SUCCESS,
            Ok(false) => ExitCode::FAILURE,
            Err(e) => fail(&e.to_string()),
        },
        Command::Import(options) => match import::run(&options, &features) {
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
fn warn(message: &str) {
    eprintln!("warning: {message}");
}

#[expect(clippy::disallowed_macros, reason = "this is where the command line speaks to its user")]
fn fail(message: &str) -> ExitCode {
    eprintln!("error: {message}");
    ExitCode::FAILURE
}
