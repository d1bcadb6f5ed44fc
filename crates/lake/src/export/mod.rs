//! Rows as files that any program reads: Parquet, and CSV with what is nested as JSON.
//!
//! Owns the formats. Does not know where rows come from or where the bytes go.

mod csv;
mod json;

use std::io::Write;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use base::{Error, Result};
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::WriterProperties;

use crate::limits::{EXPORT_GROUP_BYTES, EXPORT_GROUP_ROWS};
use csv::CsvWriter;

/// A format of files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileFormat {
    /// Parquet, compressed with zstd.
    Parquet,
    /// RFC 4180 in UTF-8 with a header. Absent values are empty, empty text is `""`.
    Csv,
}

/// Writes rows in a format.
pub struct RowWriter<W: Write + Send>(Inner<W>);

enum Inner<W: Write + Send> {
    Parquet(Box<ArrowWriter<W>>),
    Csv(CsvWriter<W>),
}

impl<W: Write + Send> RowWriter<W> {
    /// Begins a file of rows with these columns.
    pub fn new(format: FileFormat, schema: SchemaRef, out: W) -> Result<Self> {
        match format {
            FileFormat::Csv => Ok(Self(Inner::Csv(CsvWriter::new(&schema, out)?))),
            FileFormat::Parquet => {
                let properties = WriterProperties::builder()
                    .set_created_by("bellwether".into())
                    .set_compression(Compression::ZSTD(ZstdLevel::try_new(3).expect("a level that zstd has")))
                    .set_max_row_group_row_count(Some(EXPORT_GROUP_ROWS))
                    .build();
                let writer = ArrowWriter::try_new(out, schema, Some(properties)).map_err(cannot_write)?;
                Ok(Self(Inner::Parquet(Box::new(writer))))
            }
        }
    }

    /// Appends rows.
    pub fn write(&mut self, rows: &RecordBatch) -> Result<()> {
        match &mut self.0 {
            Inner::Csv(writer) => writer.write(rows),
            Inner::Parquet(writer) => {
                writer.write(rows).map_err(cannot_write)?;
                if writer.memory_size() >= EXPORT_GROUP_BYTES {
                    writer.flush().map_err(cannot_write)?;
                }
                Ok(())
            }
        }
    }

    /// Ends the file.
    pub fn finish(self) -> Result<W> {
        match self.0 {
            Inner::Csv(writer) => Ok(writer.finish()),
            Inner::Parquet(writer) => writer.into_inner().map_err(cannot_write),
        }
    }
}

fn cannot_write(e: impl std::fmt::Display) -> Error {
    Error::unavailable(format!("cannot write rows: {e}"))
}
