//! `bellwether lake`: looks after stored data while no server uses it.
//!
//! Owns the wording and the JSON shapes. What the commands find and do is decided in `lake` and `tsdb`.

pub mod args;
mod compact;
mod ls;
mod progress;
mod stat;
pub(crate) mod text;
mod vacuum;
mod verify;

use std::sync::Arc;

use base::{Clock, Error, ErrorKind, Result};
use lake::inspect::LakeAtRest;
use lake::{Table, TableSpec, catalog};
use serde_json::Value;

use crate::clock::SystemClock;
use crate::place;
use args::{Format, Lake, LakeCommand, Target};

/// Carries a command out, writes the result to standard output, and says whether everything is in order.
pub fn run(options: &Lake) -> Result<bool> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .thread_name("bellwether")
        .build()
        .map_err(|e| Error::internal(format!("cannot start the runtime: {e}")))?;
    runtime.block_on(async {
        match &options.command {
            LakeCommand::Ls(o) => ls::run(o).await,
            LakeCommand::Stat(o) => stat::run(o).await,
            LakeCommand::Verify(o) => verify::run(o).await,
            LakeCommand::Compact(o) => compact::run(o).await,
            LakeCommand::Vacuum(o) => vacuum::run(o).await,
        }
    })
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
}

impl Session {
    async fn open(target: &Target, to_change: bool) -> Result<Self> {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
        let (path, wal_path) = (&target.storage_path, target.storage_wal_path.as_deref());
        let lake = place::open_at_rest(path, wal_path, clock, to_change).await?;
        let names = lake.table_names().await?;
        if let Some(wanted) = &target.table
            && !names.contains(wanted)
        {
            let there = if names.is_empty() { "no tables".to_owned() } else { names.join(", ") };
            return Err(Error::new(
                ErrorKind::NotFound,
                format!("cannot find table {wanted}: {path} has {there}"),
            ));
        }
        let mut specs = tsdb::at_rest::specs();
        specs.extend(catalog::ALL.iter().map(|t| t.spec()));
        let wanted = |name: &str| target.table.as_ref().is_none_or(|wanted| wanted == name);
        let is_known = |name: &str| specs.iter().any(|s| s.name == name);
        let unknown = names.iter().filter(|n| wanted(n) && !is_known(n)).cloned().collect();
        let known = specs.into_iter().filter(|s| wanted(s.name) && names.iter().any(|n| n == s.name));
        Ok(Self { known: known.collect(), lake, place: path.clone(), unknown, format: target.format })
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
        text::print(&match self.format {
            Format::Text => text(),
            Format::Json => format!("{:#}\n", json()),
        })
    }
}
