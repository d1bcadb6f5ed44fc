//! `bellwether lake`: looks after stored data, while no server uses it or through the server that does.
//!
//! Owns the wording and the JSON shapes, which are the same either way. What the commands find and do is decided in `lake` and `tsdb`.

pub mod args;
mod compact;
mod ls;
mod progress;
mod stat;
pub(crate) mod text;
mod through;
mod vacuum;
mod verify;

use std::sync::Arc;

use base::{Clock, Error, ErrorKind, Result};
use lake::inspect::LakeAtRest;
use lake::{Table, TableSpec, catalog};
use parking_lot::Mutex;
use serde_json::Value;

use crate::clock::SystemClock;
use crate::place;
use args::{Format, Lake, LakeCommand, Target};
use progress::Progress;

/// Carries a command out, writes the result to standard output, and says whether everything is in order.
pub fn run(options: &Lake) -> Result<bool> {
    let target = options.command.target();
    if let Some(server) = &target.server {
        return through::run(server, &options.command);
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .thread_name("bellwether")
        .build()
        .map_err(|e| Error::internal(format!("cannot start the runtime: {e}")))?;
    runtime.block_on(async {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
        let (path, wal_path) = (&target.storage_path, target.storage_wal_path.as_deref());
        let lake = place::open_at_rest(path, wal_path, clock, options.command.changes()).await?;
        let session = Session::new(lake, path, target, Output::Standard).await?;
        session.carry_out(&options.command).await
    })
}

/// Carries a command out on the lake that this process serves: whether everything is in order, and what there is to say.
pub(crate) async fn beside(lake: &lake::Lake, place: &str, command: &LakeCommand) -> Result<(bool, String)> {
    let output = Output::Collected(Mutex::default());
    let session = Session::new(LakeAtRest::beside(lake), place, command.target(), output).await?;
    let in_order = session.carry_out(command).await?;
    Ok((in_order, session.output.into_text()))
}

/// Where results go.
enum Output {
    /// To standard output, with progress on standard error.
    Standard,
    /// To who asked from elsewhere.
    Collected(Mutex<String>),
}

impl Output {
    fn into_text(self) -> String {
        match self {
            Self::Standard => String::new(),
            Self::Collected(text) => text.into_inner(),
        }
    }
}

/// A lake that was opened for a command.
struct Session {
    lake: LakeAtRest,
    /// Where it lies, as the user would write it.
    place: String,
    /// The tables that the command is about, and those that this program does not know.
    known: Vec<TableSpec>,
    unknown: Vec<String>,
    format: Format,
    output: Output,
}

impl Session {
    async fn new(lake: LakeAtRest, place: &str, target: &Target, output: Output) -> Result<Self> {
        let names = lake.table_names().await?;
        if let Some(wanted) = &target.table
            && !names.contains(wanted)
        {
            let there = if names.is_empty() { "no tables".to_owned() } else { names.join(", ") };
            return Err(Error::new(
                ErrorKind::NotFound,
                format!("cannot find table {wanted}: {place} has {there}"),
            ));
        }
        let mut specs = tsdb::at_rest::specs();
        specs.extend(catalog::ALL.iter().map(|t| t.spec()));
        let wanted = |name: &str| target.table.as_ref().is_none_or(|wanted| wanted == name);
        let is_known = |name: &str| specs.iter().any(|s| s.name == name);
        let unknown = names.iter().filter(|n| wanted(n) && !is_known(n)).cloned().collect();
        let known = specs.into_iter().filter(|s| wanted(s.name) && names.iter().any(|n| n == s.name));
        let (known, place) = (known.collect(), place.to_owned());
        Ok(Self { known, lake, place, unknown, format: target.format, output })
    }

    async fn carry_out(&self, command: &LakeCommand) -> Result<bool> {
        match command {
            LakeCommand::Ls(o) => ls::run(self, o).await,
            LakeCommand::Stat(_) => stat::run(self).await,
            LakeCommand::Verify(_) => verify::run(self).await,
            LakeCommand::Compact(_) => compact::run(self).await,
            LakeCommand::Vacuum(o) => vacuum::run(self, o).await,
        }
    }

    /// Opens the tables that are known.
    async fn tables(&self) -> Result<Vec<Table>> {
        let mut tables = Vec::new();
        for spec in &self.known {
            tables.push(self.lake.table(spec.clone()).await?);
        }
        Ok(tables)
    }

    /// Writes a result in the form that was asked for.
    fn write(&self, text: impl FnOnce() -> String, json: impl FnOnce() -> Value) -> Result<()> {
        self.print(&match self.format {
            Format::Text => text(),
            Format::Json => format!("{:#}\n", json()),
        })
    }

    fn print(&self, text: &str) -> Result<()> {
        match &self.output {
            Output::Standard => text::print(text),
            Output::Collected(collected) => {
                collected.lock().push_str(text);
                Ok(())
            }
        }
    }

    fn progress(&self) -> Progress {
        Progress::new(matches!(self.output, Output::Standard))
    }
}
