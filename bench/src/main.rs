//! Reproducible comparisons: Bellwether, Prometheus and VictoriaMetrics on the same bytes in the same run.
//!
//! `cargo xtask bench NAME` builds Bellwether and calls this program. It speaks to the servers over HTTP only and knows
//! nothing of how Bellwether is made.

#![expect(clippy::disallowed_macros, reason = "a benchmark talks to the person who started it")]

mod clock;
mod data;
mod limits;
mod loader;
mod random;
mod report;
mod runs;
mod servers;
mod wire;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context as _, Result};
use clap::{Parser, ValueEnum};

use crate::report::{Machine, Report, update};
use crate::runs::{Setup, Sizes};
use crate::servers::{Kind, Programs};

/// Compares Bellwether with Prometheus and VictoriaMetrics on the same data.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask bench")]
struct Options {
    /// What to measure.
    #[arg(value_enum)]
    benchmark: Benchmark,

    /// Small sizes, one run, nothing written to the results: to see whether everything works.
    #[arg(long)]
    quick: bool,

    /// How often everything is measured; medians are reported [default: 3, with --quick 1].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u8).range(1..=99))]
    runs: Option<u8>,

    /// Whom to compare with; may be given twice [default: both].
    #[arg(long, value_enum, value_name = "PEER")]
    peer: Vec<Peer>,

    /// The Bellwether to measure. Without one only the peers are.
    #[arg(long, value_name = "FILE")]
    bellwether: Option<PathBuf>,

    /// Prometheus, where it is not the one in the path.
    #[arg(long, value_name = "FILE")]
    prometheus: Option<PathBuf>,

    /// VictoriaMetrics, where it is not the one in the path.
    #[arg(long, value_name = "FILE")]
    victoriametrics: Option<PathBuf>,

    /// How the figures are written.
    #[arg(long, value_enum, value_name = "FORMAT", default_value_t = Format::Text)]
    format: Format,

    /// Folder for the servers' data, on the disk that is to be measured [default: the system's temporary folder].
    #[arg(long, value_name = "DIR")]
    work: Option<PathBuf>,

    /// Document that a full run with Bellwether is written to.
    #[arg(long, value_name = "FILE")]
    results: Option<PathBuf>,

    /// `disk`: recorded pages of a real exporter, files in the text format called *.txt, one a second.
    #[arg(long, value_name = "DIR")]
    pages: Option<PathBuf>,

    /// TSBS: hosts, ten series each.
    #[arg(long, value_name = "N")]
    hosts: Option<usize>,

    /// TSBS: hours.
    #[arg(long, value_name = "N")]
    hours: Option<usize>,

    /// node_exporter: targets, about 1,200 series each.
    #[arg(long, value_name = "N")]
    targets: Option<usize>,

    /// node_exporter: minutes.
    #[arg(long, value_name = "N")]
    minutes: Option<usize>,

    /// Many series, as series x samples; may be given several times [default: 100000x60 and 1000000x8].
    #[arg(long, value_name = "NxM", value_parser = parse_wide)]
    series: Vec<(usize, usize)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Benchmark {
    /// CPU time and memory of taking remote writes.
    Ingest,
    /// Bytes per sample once everything is compacted.
    Disk,
    /// Resident memory per series that is being written.
    Memory,
    /// Time of TSBS queries, dashboard shapes and look-ups; their answers are compared.
    Queries,
    /// Time to ready after kill -9, and what is missing.
    Restart,
    /// Time of forty panels over a day, of all targets with a sample a minute.
    Dashboard,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Peer {
    Prometheus,
    Victoriametrics,
    /// Nobody: Bellwether by itself.
    None,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// Tables for people, in Markdown.
    Text,
    /// One JSON object.
    Json,
}

fn main() -> ExitCode {
    match run(&Options::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(e) => {
            eprintln!("error: {e:#}");
            ExitCode::FAILURE
        }
    }
}

/// Measures, prints, and keeps what a full run found; `true` if nothing is wrong.
fn run(options: &Options) -> Result<bool> {
    let setup = setup(options)?;
    let report = match options.benchmark {
        Benchmark::Ingest => runs::ingest::run(&setup)?,
        Benchmark::Disk => runs::disk::run(&setup)?,
        Benchmark::Memory => runs::memory::run(&setup)?,
        Benchmark::Queries => runs::queries::run(&setup)?,
        Benchmark::Restart => runs::restart::run(&setup)?,
        Benchmark::Dashboard => runs::dashboard::run(&setup)?,
    };
    let machine = Machine::this();
    let date = clock::today();
    let body = format!("{}\n{}", preamble(&setup, &machine, &date), report.text());
    match options.format {
        Format::Text => println!("{body}"),
        Format::Json => println!("{:#}", report.json(&machine, &setup.programs, &date)),
    }
    if let (Some(file), false) = (&options.results, options.quick) {
        keep(file, &report, &body)?;
    }
    Ok(!report.has_failed())
}

fn setup(options: &Options) -> Result<Setup> {
    let takes_part = |peer| options.peer.is_empty() || options.peer.contains(&peer);
    let mut wanted = Vec::new();
    if options.bellwether.is_some() {
        wanted.push((Kind::Bellwether, options.bellwether.clone()));
    }
    if takes_part(Peer::Prometheus) {
        wanted.push((Kind::Prometheus, options.prometheus.clone()));
    }
    if takes_part(Peer::Victoriametrics) {
        wanted.push((Kind::VictoriaMetrics, options.victoriametrics.clone()));
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    let search: Vec<PathBuf> = std::env::split_paths(&path).collect();
    let mut sizes = if options.quick { Sizes::quick() } else { Sizes::full() };
    sizes.hosts = options.hosts.unwrap_or(sizes.hosts).max(1);
    sizes.hours = options.hours.unwrap_or(sizes.hours).max(1);
    sizes.targets = options.targets.unwrap_or(sizes.targets).max(1);
    sizes.minutes = options.minutes.unwrap_or(sizes.minutes).max(1);
    if !options.series.is_empty() {
        sizes.wide.clone_from(&options.series);
    }
    let quick_or = |quick, full| if options.quick { quick } else { full };
    Ok(Setup {
        programs: Programs::find(&wanted, &search)?,
        sizes,
        runs: options.runs.map_or(if options.quick { 1 } else { 3 }, usize::from),
        pages: options.pages.clone(),
        settle_min: quick_or(limits::SETTLE_MIN_QUICK, limits::SETTLE_MIN_FULL),
        query_repetitions: match options.quick {
            true => limits::QUERY_REPETITIONS_QUICK,
            false => limits::QUERY_REPETITIONS_FULL,
        },
        work: options.work.clone().unwrap_or_else(std::env::temp_dir),
    })
}

/// What the figures were measured with and on.
fn preamble(setup: &Setup, machine: &Machine, date: &str) -> String {
    let versions: Vec<String> =
        setup.programs.kinds().iter().map(|k| format!("{k} {}", setup.programs.version(*k))).collect();
    let runs = if setup.runs == 1 { "one run".to_owned() } else { format!("median of {} runs", setup.runs) };
    format!("{date}, {}. {}; {runs}.\n", machine.text(), versions.join(", "))
}

fn keep(file: &PathBuf, report: &Report, body: &str) -> Result<()> {
    let before = std::fs::read_to_string(file).unwrap_or_default();
    std::fs::write(file, update(&before, report.name(), body))
        .with_context(|| format!("cannot write {}", file.display()))
}

fn parse_wide(text: &str) -> Result<(usize, usize), String> {
    let pair = text.split_once('x').and_then(|(n, m)| Some((n.parse().ok()?, m.parse().ok()?)));
    match pair {
        Some((n, m)) if n > 0 && m > 1 => Ok((n, m)),
        _ => Err("write it as series x samples with at least two samples, such as 100000x60".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        Options::command().debug_assert();
        let parse = |args: &[&str]| Options::try_parse_from([&["bench"], args].concat());
        let options = parse(&["ingest", "--quick", "--peer", "prometheus", "--series", "10x2"]).unwrap();
        assert_eq!((options.benchmark, options.quick), (Benchmark::Ingest, true));
        assert_eq!((options.peer, options.series), (vec![Peer::Prometheus], vec![(10, 2)]));
        assert!(parse(&["nothing"]).is_err() && parse(&["disk", "--runs", "0"]).is_err());
    }

    #[test]
    fn sizes_are_pairs() {
        assert_eq!(parse_wide("100000x60"), Ok((100_000, 60)));
        for bad in ["", "x", "1x", "10x1", "0x5", "ax2"] {
            assert!(parse_wide(bad).is_err(), "{bad}");
        }
    }
}
