//! `bellwether`: reads the command line and hands over.

use std::io::Write;
use std::process::ExitCode;

use bellwether::cli::{Check, CheckWhat, Cli, Command};
use bellwether::{check, export, import, lake_commands, serve};
use clap::Parser;

fn main() -> ExitCode {
    match Cli::parse().command {
        Command::Serve(options) => match serve::run(options) {
            Ok(()) => ExitCode::SUCCESS,
            Err(e) => fail(&e.to_string()),
        },
        Command::Check(Check { what: CheckWhat::Config(options) }) => {
            let report = check::check_config(&options, &serve::environment);
            match std::io::stdout().write_all(report.text.as_bytes()) {
                Ok(()) if report.ok => ExitCode::SUCCESS,
                Ok(()) => ExitCode::FAILURE,
                Err(e) => fail(&format!("cannot write the report: {e}")),
            }
        }
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

#[expect(clippy::disallowed_macros, reason = "this is where the command line speaks to its user")]
fn fail(message: &str) -> ExitCode {
    eprintln!("error: {message}");
    ExitCode::FAILURE
}
