//! Sorting more samples than memory holds: sorted runs on the disk, merged day by day.

use std::collections::{BTreeMap, BTreeSet, BinaryHeap};
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use base::{Error, Histogram, Labels, Result, Sample};
use rustc_hash::FxHashMap;

use super::DAY_MS;
use super::run::{RunReader, RunSeries, cannot_read, put_series};
use crate::limits::IMPORT_SORT_BYTES;

const FILE: &str = "runs";

/// Takes samples in any order. A time of a series may come twice; then the first counts.
pub struct Spill {
    folder: PathBuf,
    file: File,
    written: u64,
    /// Where the runs of each day lie.
    runs: BTreeMap<i64, Vec<(u64, u64)>>,
    by_labels: FxHashMap<Labels, u32>,
    series: Vec<Labels>,
    pending: Vec<Pending>,
    histograms: Vec<Histogram>,
    bytes: usize,
    samples: u64,
    sort_bytes: usize,
}

struct Pending {
    series: u32,
    /// One more than the histogram's position; 0 for a float.
    histogram: u32,
    t_ms: i64,
    value: f64,
}

impl Spill {
    /// Begins in a folder that is emptied first. The folder goes when the samples do.
    pub fn create(folder: &Path) -> Result<Self> {
        let fail = |e: std::io::Error| {
            Error::unavailable(format!("cannot sort samples in {}: {e}", folder.display()))
        };
        if folder.exists() {
            fs::remove_dir_all(folder).map_err(fail)?;
        }
        fs::create_dir_all(folder).map_err(fail)?;
        let file = File::create_new(folder.join(FILE)).map_err(fail)?;
        Ok(Self {
            folder: folder.into(),
            file,
            written: 0,
            runs: BTreeMap::new(),
            by_labels: FxHashMap::default(),
            series: Vec::new(),
            pending: Vec::new(),
            histograms: Vec::new(),
            bytes: 0,
            samples: 0,
            sort_bytes: IMPORT_SORT_BYTES,
        })
    }

    /// Changes how many bytes are sorted in memory.
    #[must_use]
    pub fn with_sort_bytes(mut self, bytes: usize) -> Self {
        self.sort_bytes = bytes;
        self
    }

    /// Adds a float.
    pub fn float(&mut self, labels: &Labels, sample: Sample) -> Result<()> {
        self.add(labels, Pending { series: 0, histogram: 0, t_ms: sample.t_ms, value: sample.value })
    }

    /// Adds a histogram.
    pub fn histogram(&mut self, labels: &Labels, t_ms: i64, histogram: Histogram) -> Result<()> {
        self.bytes += size_of::<Histogram>() + 8 * (histogram.positive.len() + histogram.negative.len());
        self.histograms.push(histogram);
        let histogram = u32::try_from(self.histograms.len()).unwrap_or(u32::MAX);
        self.add(labels, Pending { series: 0, histogram, t_ms, value: 0.0 })
    }

    /// Number of samples added.
    pub fn len(&self) -> u64 {
        self.samples
    }

    /// Whether none was added.
    pub fn is_empty(&self) -> bool {
        self.samples == 0
    }

    /// Ends the adding.
    pub fn finish(mut self) -> Result<Sorted> {
        self.write_run()?;
        let file = File::open(self.folder.join(FILE)).map_err(|e| cannot_read(&e))?;
        Ok(Sorted { folder: self.folder, file: Arc::new(file), runs: self.runs, samples: self.samples })
    }

    fn add(&mut self, labels: &Labels, mut sample: Pending) -> Result<()> {
        sample.series = match self.by_labels.get(labels) {
            Some(series) => *series,
            None => {
                let series = u32::try_from(self.series.len()).unwrap_or(u32::MAX);
                self.by_labels.insert(labels.clone(), series);
                self.series.push(labels.clone());
                self.bytes += 2 * size_of::<Labels>() + size_of::<u32>() + labels.size_bytes();
                series
            }
        };
        self.pending.push(sample);
        self.bytes += size_of::<Pending>();
        self.samples += 1;
        if self.bytes >= self.sort_bytes { self.write_run() } else { Ok(()) }
    }

    fn write_run(&mut self) -> Result<()> {
        let mut order: Vec<u32> = (0..self.series.len() as u32).collect();
        order.sort_unstable_by(|a, b| by_metric(&self.series[*a as usize], &self.series[*b as usize]));
        let mut rank = vec![0u32; order.len()];
        for (at, series) in order.iter().enumerate() {
            rank[*series as usize] = at as u32;
        }
        // Stable, so that of equal times the one that came first stays first.
        self.pending.sort_by_key(|p| (p.t_ms.div_euclid(DAY_MS), rank[p.series as usize], p.t_ms));
        let (mut out, mut floats, mut histograms) = (Vec::new(), Vec::new(), Vec::new());
        let mut day = None;
        let key = |p: &Pending| (p.t_ms.div_euclid(DAY_MS), p.series);
        for group in self.pending.chunk_by(|a, b| key(a) == key(b)) {
            let (of_day, series) = key(&group[0]);
            if day != Some(of_day) {
                end_run(&mut self.file, &mut self.written, &mut self.runs, day, &mut out)?;
                day = Some(of_day);
            }
            floats.clear();
            histograms.clear();
            for p in group {
                match p.histogram.checked_sub(1) {
                    None => floats.push(Sample { t_ms: p.t_ms, value: p.value }),
                    Some(at) => histograms.push((p.t_ms, &self.histograms[at as usize])),
                }
            }
            put_series(&mut out, &self.series[series as usize], &floats, &histograms);
        }
        end_run(&mut self.file, &mut self.written, &mut self.runs, day, &mut out)?;
        self.pending.clear();
        self.histograms.clear();
        self.series.clear();
        self.by_labels.clear();
        self.bytes = 0;
        Ok(())
    }
}

fn end_run(
    file: &mut File,
    written: &mut u64,
    runs: &mut BTreeMap<i64, Vec<(u64, u64)>>,
    day: Option<i64>,
    out: &mut Vec<u8>,
) -> Result<()> {
    let Some(day) = day else { return Ok(()) };
    file.write_all(out)
        .map_err(|e| Error::unavailable(format!("cannot put sorted samples on the disk: {e}")))?;
    runs.entry(day).or_default().push((*written, out.len() as u64));
    *written += out.len() as u64;
    out.clear();
    Ok(())
}

/// Takes a series with its floats and histograms, each ascending in time.
pub type SeriesSink<'a> = dyn FnMut(&Labels, &[Sample], &[(i64, Histogram)]) -> Result<()> + 'a;

/// Sorted samples on the disk, by UTC day. They go when this is dropped.
pub struct Sorted {
    folder: PathBuf,
    file: Arc<File>,
    runs: BTreeMap<i64, Vec<(u64, u64)>>,
    samples: u64,
}

impl Sorted {
    /// The days with samples, in order, counted since 1970.
    pub fn days(&self) -> BTreeSet<i64> {
        self.runs.keys().copied().collect()
    }

    /// Number of samples that were added.
    pub fn len(&self) -> u64 {
        self.samples
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.samples == 0
    }

    /// Hands over the series of a day, by metric, then by labels, each time once.
    pub fn read_day(&self, day: i64, sink: &mut SeriesSink<'_>) -> Result<()> {
        let mut heap = BinaryHeap::new();
        for (run, (at, len)) in self.runs.get(&day).into_iter().flatten().enumerate() {
            push_next(&mut heap, run, RunReader::new(self.file.clone(), *at, *len))?;
        }
        while let Some(Entry { mut series, run, reader }) = heap.pop() {
            push_next(&mut heap, run, reader)?;
            let mut mixed = false;
            while heap.peek().is_some_and(|next| next.series.labels == series.labels) {
                let Some(Entry { series: more, run, reader }) = heap.pop() else { break };
                push_next(&mut heap, run, reader)?;
                mixed = true;
                series.floats.extend(more.floats);
                series.histograms.extend(more.histograms);
            }
            // Runs are in the order of their samples' arrival, and sorting keeps it among equal times.
            if mixed {
                series.floats.sort_by_key(|s| s.t_ms);
                series.histograms.sort_by_key(|(t_ms, _)| *t_ms);
            }
            series.floats.dedup_by_key(|s| s.t_ms);
            series.histograms.dedup_by_key(|(t_ms, _)| *t_ms);
            sink(&series.labels, &series.floats, &series.histograms)?;
        }
        Ok(())
    }
}

impl Drop for Sorted {
    fn drop(&mut self) {
        // What stays is removed by the next import.
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// The next series of a run; the greatest is the first in the table's order, of the run written first.
struct Entry {
    series: RunSeries,
    run: usize,
    reader: RunReader,
}

fn push_next(heap: &mut BinaryHeap<Entry>, run: usize, mut reader: RunReader) -> Result<()> {
    if let Some(series) = reader.next()? {
        heap.push(Entry { series, run, reader });
    }
    Ok(())
}

fn by_metric(a: &Labels, b: &Labels) -> std::cmp::Ordering {
    a.metric().cmp(b.metric()).then_with(|| a.cmp(b))
}

impl Ord for Entry {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        by_metric(&other.series.labels, &self.series.labels).then(other.run.cmp(&self.run))
    }
}

impl PartialOrd for Entry {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Entry {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Entry {}
