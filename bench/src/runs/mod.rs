//! The benchmarks, one per file, and what they share: sizes, the order of the servers, and a fresh folder for each.

pub(crate) mod dashboard;
pub(crate) mod disk;
pub(crate) mod ingest;
pub(crate) mod memory;
pub(crate) mod queries;
pub(crate) mod restart;

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result};

use crate::data::{Grid, Recording, node, tsbs, wide};
use crate::limits::INTERVAL_MS;
use crate::servers::process::Server;
use crate::servers::{Kind, Programs};

/// How much data there is.
#[derive(Debug, Clone)]
pub(crate) struct Sizes {
    /// TSBS: hosts of ten series each, and how many hours of them.
    pub(crate) hosts: usize,
    pub(crate) hours: usize,
    /// node_exporter: targets of about 1,200 series each, and how many minutes of them.
    pub(crate) targets: usize,
    pub(crate) minutes: usize,
    /// Many series: how many, and how many samples of each.
    pub(crate) wide: Vec<(usize, usize)>,
}

impl Sizes {
    /// What the issue and DESIGN §7 ask for.
    pub(crate) fn full() -> Self {
        let wide = vec![(100_000, 60), (1_000_000, 8)];
        Self { hosts: 100, hours: 24, targets: 50, minutes: 60, wide }
    }

    /// Enough to see that everything works.
    pub(crate) fn quick() -> Self {
        Self { hosts: 5, hours: 24, targets: 5, minutes: 21, wide: vec![(10_000, 10), (50_000, 4)] }
    }
}

/// Everything that a benchmark needs to know.
pub(crate) struct Setup {
    pub(crate) programs: Programs,
    pub(crate) sizes: Sizes,
    pub(crate) runs: usize,
    /// Recorded pages of a real exporter, if there are any.
    pub(crate) pages: Option<PathBuf>,
    /// The shortest wait for work that a server has put off.
    pub(crate) settle_min: Duration,
    pub(crate) query_repetitions: usize,
    /// A folder for data; what is made in it is removed again.
    pub(crate) work: PathBuf,
}

impl Setup {
    /// Calls `one` for every server in every run, each time with a fresh folder. Who comes first changes from run to run,
    /// so that nobody always meets the caches and the clock frequency that another one left.
    pub(crate) fn each(
        &self,
        title: &str,
        mut one: impl FnMut(usize, Kind, &Path) -> Result<()>,
    ) -> Result<()> {
        for run in 0..self.runs {
            let mut kinds = self.programs.kinds();
            let places = kinds.len().max(1);
            kinds.rotate_left(run % places);
            for kind in kinds {
                say(&format!("run {} of {}, {kind}: {title}", run + 1, self.runs));
                let folder = tempfile::tempdir_in(&self.work)
                    .with_context(|| format!("cannot make a folder in {}", self.work.display()))?;
                one(run, kind, folder.path()).with_context(|| format!("{kind}, {title}"))?;
            }
        }
        Ok(())
    }

    pub(crate) fn start(&self, kind: Kind, folder: &Path) -> Result<Server> {
        Server::start(&self.programs, kind, folder)
    }

    /// Records TSBS' data up to so long before now.
    pub(crate) fn tsbs(&self, end: Duration) -> Result<Recording> {
        say("recording TSBS");
        let grid = Grid::ending_before_now(end, self.sizes.hours * 360, INTERVAL_MS);
        tsbs::record(self.sizes.hosts, grid, &self.work)
    }

    /// Records node_exporter's pages up to so long before now.
    pub(crate) fn node(&self, end: Duration) -> Result<Recording> {
        say("recording pages of node_exporter");
        let grid = Grid::ending_before_now(end, self.sizes.minutes * 6, INTERVAL_MS);
        node::record(self.sizes.targets, grid, &self.work)
    }

    pub(crate) fn wide(&self, series: usize, samples: usize, tail: usize) -> Result<Recording> {
        say(&format!("recording {series} series"));
        wide::record(series, Grid::ending_now(samples), tail, &self.work)
    }
}

/// Tells the person who waits what is going on, apart from the results.
pub(crate) fn say(text: &str) {
    eprintln!("bench: {text}");
}

/// Samples for each second of CPU time; infinitely many if it was too short to be counted.
pub(crate) fn per_second(samples: u64, cpu: Duration) -> f64 {
    samples as f64 / cpu.as_secs_f64()
}
