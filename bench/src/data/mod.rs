//! Data sets: made once per run from a seed, encoded once into a temporary file, sent to every server from there.
//!
//! Owns what a data set consists of and how it is recorded. The files beside this one own what is in it.

pub(crate) mod node;
pub(crate) mod pages;
pub(crate) mod tsbs;
pub(crate) mod wide;

use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result};

use crate::clock;
use crate::limits::{
    END_BEFORE_NOW, INTERVAL_MS, LANES, SAMPLE_OFFSET_MS, SERIES_PER_REQUEST, TICKS_PER_ROUND_MAX,
};
use crate::wire;

/// The seed of everything, which is that of TSBS' documentation.
pub(crate) const SEED: u64 = 123;

/// A compressed request in the file of a recording.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Request {
    offset: u64,
    length: usize,
}

/// Requests that may be sent at once, one list per connection. All of a round is sent before the next one begins, so
/// that no connection runs ahead by more than a server takes.
pub(crate) type Round = [Vec<Request>; LANES];

/// A part of a data set that is measured by itself.
#[derive(Debug)]
pub(crate) struct Phase {
    pub(crate) name: &'static str,
    pub(crate) rounds: Vec<Round>,
    /// Samples, markers of ended series among them.
    pub(crate) samples: u64,
}

/// The series of one metric, and how many samples a query has to find in them. Functions over ranges drop the metric's
/// name, so that series of several could not be counted at once.
#[derive(Debug)]
pub(crate) struct Group {
    pub(crate) metric: String,
    /// Samples that are not markers of ended series.
    pub(crate) samples: u64,
}

/// A data set that is ready to be sent.
#[derive(Debug)]
pub(crate) struct Recording {
    file: File,
    pub(crate) title: String,
    pub(crate) phases: Vec<Phase>,
    pub(crate) groups: Vec<Group>,
    /// Distinct series over the whole time.
    pub(crate) series: u64,
    pub(crate) start_ms: i64,
    /// Time of the last sample.
    pub(crate) end_ms: i64,
}

impl Recording {
    /// Reads a request, ready to be sent.
    pub(crate) fn read(&self, request: Request, into: &mut Vec<u8>) -> Result<()> {
        into.resize(request.length, 0);
        self.file.read_exact_at(into, request.offset).context("cannot read a recorded request")
    }

    /// All samples, markers among them.
    pub(crate) fn samples(&self) -> u64 {
        self.phases.iter().map(|p| p.samples).sum()
    }

    /// Samples that queries see.
    pub(crate) fn visible_samples(&self) -> u64 {
        self.groups.iter().map(|g| g.samples).sum()
    }
}

/// The times of a data set: `ticks` of them, the last shortly before now, none on a full second.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Grid {
    pub(crate) start_ms: i64,
    pub(crate) interval_ms: i64,
    pub(crate) ticks: usize,
}

impl Grid {
    /// Ends shortly before now.
    pub(crate) fn ending_now(ticks: usize) -> Self {
        Self::ending_before_now(END_BEFORE_NOW, ticks, INTERVAL_MS)
    }

    pub(crate) fn ending_before_now(before: Duration, ticks: usize, interval_ms: i64) -> Self {
        Self::ending_at(clock::now_ms() - before.as_millis() as i64, ticks, interval_ms)
    }

    pub(crate) fn ending_at(end_ms: i64, ticks: usize, interval_ms: i64) -> Self {
        // Whole minutes, so that queries can be laid between samples whatever their step is.
        let last_ms = end_ms - end_ms.rem_euclid(60_000) - INTERVAL_MS + SAMPLE_OFFSET_MS;
        Self { start_ms: last_ms - (ticks as i64 - 1) * interval_ms, interval_ms, ticks }
    }

    pub(crate) fn at(&self, tick: usize) -> i64 {
        self.start_ms + tick as i64 * self.interval_ms
    }

    pub(crate) fn end_ms(&self) -> i64 {
        self.at(self.ticks - 1)
    }
}

/// Encodes a data set as it is made.
pub(crate) struct Recorder {
    file: BufWriter<File>,
    written: u64,
    phases: Vec<Phase>,
    open: [Open; LANES],
    compressor: snap::raw::Encoder,
}

#[derive(Default)]
struct Open {
    bytes: Vec<u8>,
    series: usize,
}

impl Recorder {
    /// Records into a file without a name in `folder`.
    pub(crate) fn new(folder: &Path) -> Result<Self> {
        let file = tempfile::tempfile_in(folder)
            .with_context(|| format!("cannot make a temporary file in {}", folder.display()))?;
        Ok(Self {
            file: BufWriter::new(file),
            written: 0,
            phases: Vec::new(),
            open: Default::default(),
            compressor: snap::raw::Encoder::new(),
        })
    }

    /// What follows belongs to a new phase, and to a new round.
    pub(crate) fn phase(&mut self, name: &'static str) -> Result<()> {
        self.flush_all()?;
        self.phases.push(Phase { name, rounds: vec![Round::default()], samples: 0 });
        Ok(())
    }

    /// What follows belongs to a new round.
    pub(crate) fn round(&mut self) -> Result<()> {
        self.flush_all()?;
        let phase = self.phases.last_mut().context("a round outside a phase")?;
        if phase.rounds.last().is_some_and(|r| r.iter().any(|lane| !lane.is_empty())) {
            phase.rounds.push(Round::default());
        }
        Ok(())
    }

    /// Adds a sample. A series has to stay on its lane, as its samples have to arrive in order.
    pub(crate) fn sample(&mut self, lane: usize, labels: &[u8], t_ms: i64, v: f64) -> Result<()> {
        let lane = lane % LANES;
        let open = &mut self.open[lane];
        wire::series(&mut open.bytes, labels, t_ms, v);
        open.series += 1;
        if open.series == SERIES_PER_REQUEST {
            self.flush(lane)?;
        }
        Ok(())
    }

    fn flush_all(&mut self) -> Result<()> {
        (0..LANES).try_for_each(|lane| self.flush(lane))
    }

    fn flush(&mut self, lane: usize) -> Result<()> {
        let open = &mut self.open[lane];
        if open.series == 0 {
            return Ok(());
        }
        let compressed = self.compressor.compress_vec(&open.bytes).context("cannot compress a request")?;
        self.file.write_all(&compressed).context("cannot record a request")?;
        let phase = self.phases.last_mut().context("a sample outside a phase")?;
        phase.samples += open.series as u64;
        let round = phase.rounds.last_mut().context("a phase without a round")?;
        round[lane].push(Request { offset: self.written, length: compressed.len() });
        self.written += compressed.len() as u64;
        open.bytes.clear();
        open.series = 0;
        Ok(())
    }

    /// Ends the recording.
    pub(crate) fn finish(
        mut self,
        title: String,
        grid: Grid,
        series: u64,
        groups: Vec<Group>,
    ) -> Result<Recording> {
        self.flush_all()?;
        let file = self.file.into_inner().map_err(|e| e.into_error()).context("cannot record a request")?;
        let mut phases = self.phases;
        phases.iter_mut().for_each(|p| p.rounds.retain(|r| r.iter().any(|lane| !lane.is_empty())));
        Ok(Recording { file, title, phases, groups, series, start_ms: grid.start_ms, end_ms: grid.end_ms() })
    }
}

/// Ticks that together fill the requests of all lanes, for a load of so many series a tick.
pub(crate) fn ticks_per_round(series: usize) -> usize {
    (SERIES_PER_REQUEST * LANES).div_ceil(series.max(1)).clamp(1, TICKS_PER_ROUND_MAX)
}

/// What tests look at: everything that a recording would send, in the order of a single connection per lane.
#[cfg(test)]
pub(crate) fn decoded(recording: &Recording) -> Vec<wire::decode::Series> {
    let mut all = Vec::new();
    let mut bytes = Vec::new();
    for request in recording.phases.iter().flat_map(|p| &p.rounds).flatten().flatten() {
        recording.read(*request, &mut bytes).expect("it was recorded");
        let plain = snap::raw::Decoder::new().decompress_vec(&bytes).expect("snappy");
        all.extend(wire::decode::request(&plain));
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_cut_by_series_lane_round_and_phase() {
        let mut recorder = Recorder::new(&std::env::temp_dir()).unwrap();
        let labels = wire::labels(&[("__name__", "a")]);
        recorder.phase("first").unwrap();
        for i in 0..SERIES_PER_REQUEST + 1 {
            recorder.sample(0, &labels, i as i64, 1.0).unwrap();
        }
        recorder.round().unwrap();
        recorder.round().unwrap();
        recorder.sample(1, &labels, 1, 2.0).unwrap();
        recorder.phase("second").unwrap();
        recorder.sample(LANES, &labels, 2, 3.0).unwrap();
        let grid = Grid::ending_at(1_700_000_000_000, 2, INTERVAL_MS);
        let r = recorder.finish("t".into(), grid, 1, Vec::new()).unwrap();
        let lengths = |p: &Phase| -> Vec<[usize; LANES]> {
            p.rounds.iter().map(|r| std::array::from_fn(|i| r[i].len())).collect()
        };
        assert_eq!(lengths(&r.phases[0]), [[2, 0, 0, 0], [0, 1, 0, 0]]);
        assert_eq!(lengths(&r.phases[1]), [[1, 0, 0, 0]]);
        assert_eq!((r.phases[0].samples, r.phases[1].samples), (SERIES_PER_REQUEST as u64 + 2, 1));
        assert_eq!(decoded(&r).len() as u64, r.samples());
        assert_eq!(decoded(&r).last().unwrap().samples, [(2, 3.0)]);
    }

    #[test]
    fn no_sample_lies_where_a_query_is_evaluated() {
        let grid = Grid::ending_at(1_700_000_012_345, 8640, INTERVAL_MS);
        assert!(grid.end_ms() <= 1_700_000_012_345 && grid.end_ms() > 1_700_000_012_345 - 70_000);
        assert_eq!(grid.at(8639), grid.end_ms());
        assert!((0..8640).all(|i| grid.at(i).rem_euclid(1000) != 0));
    }

    #[test]
    fn rounds_fill_requests() {
        assert_eq!(ticks_per_round(1_000), 20);
        assert_eq!(ticks_per_round(100_000), 1);
        assert_eq!(ticks_per_round(0), TICKS_PER_ROUND_MAX);
    }
}
