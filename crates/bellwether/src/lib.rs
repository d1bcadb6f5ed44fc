//! The parts of the binary: the command line, the configuration, and the wiring of everything else.

mod abilities;
mod alerts;
mod assets;
pub mod check;
pub mod cli;
mod clock;
pub mod config;
pub mod debug;
pub mod export;
pub mod features;
pub mod import;
pub mod lake_commands;
mod logging;
mod machine;
mod place;
mod process_metrics;
mod progress;
mod prometheus_flags;
pub mod promql_commands;
mod push;
pub mod push_metrics;
pub mod query;
mod query_log;
mod remote_write;
pub mod report;
mod running;
pub mod serve;
mod settings;
pub mod test;
pub mod tsdb_commands;

/// Version and source revision.
pub fn version_line() -> String {
    format!("{VERSION} ({REVISION})")
}

const VERSION: &str = env!("CARGO_PKG_VERSION");
const REVISION: &str = env!("BELLWETHER_REVISION");
