//! From what was read to bytes of a file, on a thread that may block.

use std::collections::BTreeSet;
use std::io::Write;
use std::path::PathBuf;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use base::{Error, Result, is_stale};
use collect::exposition::{OPENMETRICS_EOF, openmetrics_series, put_openmetrics_sample};
use lake::export::{FileFormat, RowWriter};
use tokio::sync::mpsc::Receiver;
use tsdb::SelectedSeries;
use tsdb::export::SampleRows;

use super::args::Format;
use super::output::Output;
use crate::progress::Progress;

/// Rows that are put together before they are written.
const BATCH_ROWS: usize = 8192;

/// Series without a place in a format that a result names.
const NAMED: usize = 20;

/// What is read, on its way to the file.
pub(super) enum Piece {
    Series(Vec<SelectedSeries>),
    Rows(RecordBatch),
    /// All was read: without it the file is not finished.
    End,
}

/// A file to write.
pub(super) struct FilePlan {
    /// `None` is standard output.
    pub(super) path: Option<PathBuf>,
    pub(super) format: Format,
    pub(super) schema: SchemaRef,
    /// Whether to write a file that holds nothing.
    pub(super) even_if_empty: bool,
}

/// What became of what was read.
#[derive(Debug, Default)]
pub(super) struct Counts {
    /// Samples or rows.
    pub(super) written: u64,
    pub(super) bytes: u64,
    pub(super) files: u64,
    /// Staleness markers, which OpenMetrics cannot say.
    pub(super) stale: u64,
    /// Samples that OpenMetrics cannot say either, and some of their series.
    pub(super) left_out: u64,
    pub(super) left_out_of: BTreeSet<String>,
}

/// Writes a file of the pieces that come. If they end before the last one, no file is left.
pub(super) fn write(plan: &FilePlan, mut pieces: Receiver<Piece>, progress: &Progress) -> Result<Counts> {
    let mut counts = Counts::default();
    let mut encoder = if plan.even_if_empty { Some(Encoder::create(plan)?) } else { None };
    while let Some(piece) = pieces.blocking_recv() {
        if matches!(piece, Piece::End) {
            if let Some(encoder) = encoder {
                counts.bytes = encoder.finish()?;
                counts.files = 1;
            }
            return Ok(counts);
        }
        let encoder = match &mut encoder {
            Some(encoder) => encoder,
            none => none.insert(Encoder::create(plan)?),
        };
        let before = counts.written;
        match piece {
            Piece::Series(series) => series.iter().try_for_each(|s| encoder.series(s, &mut counts))?,
            Piece::Rows(rows) => encoder.rows(&rows, &mut counts)?,
            Piece::End => {}
        }
        progress.add(counts.written - before);
    }
    Err(Error::unavailable("cannot export: reading has ended"))
}

/// Writes one file.
enum Encoder {
    Rows(RowWriter<Output>),
    Samples(RowWriter<Output>, Box<SampleRows>),
    Text(Output),
}

impl Encoder {
    fn create(plan: &FilePlan) -> Result<Self> {
        let output = Output::create(plan.path.as_deref())?;
        let format = match plan.format {
            Format::Openmetrics => return Ok(Self::Text(output)),
            Format::Parquet => FileFormat::Parquet,
            Format::Csv => FileFormat::Csv,
        };
        let writer = RowWriter::new(format, plan.schema.clone(), output)?;
        Ok(match plan.schema == SampleRows::schema() {
            true => Self::Samples(writer, Box::default()),
            false => Self::Rows(writer),
        })
    }

    fn rows(&mut self, rows: &RecordBatch, counts: &mut Counts) -> Result<()> {
        counts.written += rows.num_rows() as u64;
        match self {
            Self::Rows(writer) => writer.write(rows),
            _ => Err(Error::internal("cannot export rows as samples")),
        }
    }

    /// Writes the series of a selection.
    fn series(&mut self, selected: &SelectedSeries, counts: &mut Counts) -> Result<()> {
        let (mut timestamps, mut values, mut histograms) = (Vec::new(), Vec::new(), Vec::new());
        for at in 0..selected.len() {
            let labels = selected.labels(at);
            selected.decode(at, &mut timestamps, &mut values)?;
            match self {
                Self::Text(out) => text(out, labels, &timestamps, &values, counts)?,
                Self::Samples(writer, rows) => {
                    for (t_ms, value) in timestamps.iter().zip(&values) {
                        rows.float(labels, *t_ms, *value)?;
                        write_full(writer, rows)?;
                    }
                    counts.written += timestamps.len() as u64;
                }
                Self::Rows(_) => return Err(Error::internal("cannot export samples as rows")),
            }
            selected.decode_histograms(at, &mut timestamps, &mut histograms)?;
            match self {
                Self::Samples(writer, rows) => {
                    for (t_ms, histogram) in timestamps.iter().zip(&histograms) {
                        rows.histogram(labels, *t_ms, histogram)?;
                        write_full(writer, rows)?;
                    }
                    counts.written += timestamps.len() as u64;
                }
                _ => counts.leave_out(timestamps.len() as u64, labels),
            }
        }
        Ok(())
    }

    /// Returns the bytes of the file.
    fn finish(self) -> Result<u64> {
        match self {
            Self::Rows(writer) => writer.finish()?.finish(),
            Self::Samples(mut writer, mut rows) => {
                if !rows.is_empty() {
                    writer.write(&rows.take()?)?;
                }
                writer.finish()?.finish()
            }
            Self::Text(mut out) => {
                out.write_all(OPENMETRICS_EOF.as_bytes()).map_err(|e| cannot_write(&e))?;
                out.finish()
            }
        }
    }
}

impl Counts {
    fn leave_out(&mut self, samples: u64, labels: &base::Labels) {
        self.left_out += samples;
        if samples > 0 && self.left_out_of.len() < NAMED {
            self.left_out_of.insert(labels.to_string());
        }
    }
}

fn write_full(writer: &mut RowWriter<Output>, rows: &mut SampleRows) -> Result<()> {
    if rows.len() < BATCH_ROWS { Ok(()) } else { writer.write(&rows.take()?) }
}

/// Writes the floats of a series as lines.
fn text(
    out: &mut Output,
    labels: &base::Labels,
    timestamps: &[i64],
    values: &[f64],
    counts: &mut Counts,
) -> Result<()> {
    let Ok(series) = openmetrics_series(labels) else {
        counts.leave_out(timestamps.len() as u64, labels);
        return Ok(());
    };
    let mut lines = String::new();
    for (t_ms, value) in timestamps.iter().zip(values) {
        if is_stale(*value) {
            counts.stale += 1;
            continue;
        }
        put_openmetrics_sample(&mut lines, &series, *t_ms, *value);
        counts.written += 1;
        if lines.len() > BATCH_ROWS * 8 {
            out.write_all(lines.as_bytes()).map_err(|e| cannot_write(&e))?;
            lines.clear();
        }
    }
    out.write_all(lines.as_bytes()).map_err(|e| cannot_write(&e))
}

fn cannot_write(e: &std::io::Error) -> Error {
    Error::unavailable(format!("cannot write OpenMetrics: {e}"))
}
