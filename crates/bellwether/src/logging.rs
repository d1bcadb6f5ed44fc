//! Logs to standard error, as text for people or JSON for programs.

use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use crate::cli::{LogFormat, LogLevel};

/// Crates of ours, which log at the level asked for; libraries log warnings only.
const OUR_CRATES: [&str; 8] = ["base", "lake", "tsdb", "promql", "engine", "collect", "server", "bellwether"];

/// Sets up logging for the process. Called once.
pub(crate) fn init(format: LogFormat, level: LogLevel) {
    let level = match level {
        LogLevel::Error => LevelFilter::ERROR,
        LogLevel::Warn => LevelFilter::WARN,
        LogLevel::Info => LevelFilter::INFO,
        LogLevel::Debug => LevelFilter::DEBUG,
        LogLevel::Trace => LevelFilter::TRACE,
    };
    let mut filter = Targets::new().with_default(level.min(LevelFilter::WARN));
    for name in OUR_CRATES {
        filter = filter.with_target(name, level);
    }
    let registry = tracing_subscriber::registry().with(filter);
    match format {
        LogFormat::Text => {
            use std::io::IsTerminal;
            let colour = std::io::stderr().is_terminal();
            registry
                .with(tracing_subscriber::fmt::layer().with_writer(std::io::stderr).with_ansi(colour))
                .init();
        }
        LogFormat::Json => {
            registry.with(tracing_subscriber::fmt::layer().json().with_writer(std::io::stderr)).init();
        }
    }
}
