//! A segment: one immutable Parquet file of sorted rows.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::Int64Type;
use base::{Error, Result, TimeRange};
use deltalake_core::kernel::Add;
use object_store::ObjectStore;
use object_store::buffered::BufWriter;
use object_store::path::Path;
use parquet::arrow::AsyncArrowWriter;
use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::file::metadata::SortingColumn;
use parquet::file::properties::{EnabledStatistics, WriterProperties};

use super::{PARTITIONS, TableSpec};
use crate::limits::{PAGE_ROWS, ROW_GROUP_ROWS};

/// A committed segment. Whoever holds it keeps its file from being vacuumed by this process.
#[derive(Debug)]
pub struct Segment {
    path: String,
    size_bytes: u64,
    rows: u64,
    time: TimeRange,
    partition: [String; 2],
}

impl Segment {
    pub(super) fn new(
        path: String,
        size_bytes: u64,
        rows: u64,
        time: TimeRange,
        partition: [String; 2],
    ) -> Self {
        Self { path, size_bytes, rows, time, partition }
    }

    /// Its path within the table.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Bytes of the file.
    pub fn size_bytes(&self) -> u64 {
        self.size_bytes
    }

    /// Rows.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// First and last millisecond of its rows.
    pub fn time(&self) -> TimeRange {
        self.time
    }

    /// Whose rows these are.
    pub fn tenant(&self) -> &str {
        &self.partition[0]
    }
}

/// A segment that is uploaded and not yet part of the table.
#[derive(Debug, Clone)]
pub struct NewSegment {
    path: String,
    size_bytes: u64,
    partition: [String; 2],
    stats: Stats,
}

#[derive(Debug, Clone, Default)]
struct Stats {
    rows: u64,
    time: Option<(i64, i64)>,
    key: Option<(String, String)>,
}

impl NewSegment {
    /// Bytes of the file.
    pub fn size_bytes(&self) -> u64 {
        self.size_bytes
    }

    pub(super) fn add(&self, spec: &TableSpec, now_ms: i64) -> Add {
        let (t_min, t_max) = self.stats.time.unwrap_or((i64::MAX, i64::MIN));
        let mut min = serde_json::Map::new();
        let mut max = serde_json::Map::new();
        min.insert(spec.time[0].into(), t_min.into());
        max.insert(spec.time[1].into(), t_max.into());
        if let Some((first, last)) = &self.stats.key {
            min.insert(spec.sort[0].into(), first.as_str().into());
            max.insert(spec.sort[0].into(), last.as_str().into());
        }
        let stats = serde_json::json!({
            "numRecords": self.stats.rows,
            "minValues": min,
            "maxValues": max,
            "nullCount": {},
        });
        let [tenant, date] = self.partition.clone();
        Add {
            path: self.path.clone(),
            partition_values: HashMap::from([
                (PARTITIONS[0].to_owned(), Some(tenant)),
                (PARTITIONS[1].to_owned(), Some(date)),
            ]),
            size: i64::try_from(self.size_bytes).unwrap_or(i64::MAX),
            modification_time: now_ms,
            data_change: true,
            stats: Some(stats.to_string()),
            ..Add::default()
        }
    }
}

/// Writes one segment, batch by batch; holds one row group in memory.
pub struct SegmentWriter {
    spec: TableSpec,
    writer: AsyncArrowWriter<BufWriter>,
    path: String,
    partition: [String; 2],
    stats: Stats,
}

impl SegmentWriter {
    pub(super) fn new(
        spec: &TableSpec,
        store: Arc<dyn ObjectStore>,
        path: String,
        partition: [String; 2],
    ) -> Result<Self> {
        let sink = BufWriter::new(store, Path::from(path.as_str()));
        let writer = AsyncArrowWriter::try_new(sink, spec.schema.clone(), Some(properties(spec)))
            .map_err(|e| cannot_write(&path, &e))?;
        Ok(Self { spec: spec.clone(), writer, path, partition, stats: Stats::default() })
    }

    /// Appends rows, which have to follow those before in the table's order.
    pub async fn write(&mut self, batch: &RecordBatch) -> Result<()> {
        if batch.num_rows() == 0 {
            return Ok(());
        }
        self.note(batch)?;
        self.writer.write(batch).await.map_err(|e| cannot_write(&self.path, &e))
    }

    /// Uploads what is left. The segment is complete, and as durable as its store makes it.
    pub async fn finish(mut self) -> Result<NewSegment> {
        self.writer.finish().await.map_err(|e| cannot_write(&self.path, &e))?;
        let size_bytes = self.writer.bytes_written() as u64;
        Ok(NewSegment { path: self.path, size_bytes, partition: self.partition, stats: self.stats })
    }

    fn note(&mut self, batch: &RecordBatch) -> Result<()> {
        let column = |name: &str| {
            batch.column_by_name(name).ok_or_else(|| {
                Error::internal(format!("cannot write segment {}: batch has no column {name}", self.path))
            })
        };
        let [t_min, t_max] = self.spec.time;
        let first = arrow::compute::min(column(t_min)?.as_primitive::<Int64Type>()).unwrap_or(i64::MIN);
        let last = arrow::compute::max(column(t_max)?.as_primitive::<Int64Type>()).unwrap_or(i64::MAX);
        let keys = column(self.spec.sort[0])?.as_string::<i32>();
        let (low, high) = (keys.value(0), keys.value(keys.len() - 1));
        self.stats.rows += batch.num_rows() as u64;
        self.stats.time = Some(self.stats.time.map_or((first, last), |(a, b)| (a.min(first), b.max(last))));
        match &mut self.stats.key {
            Some((_, end)) => high.clone_into(end),
            none => *none = Some((low.to_owned(), high.to_owned())),
        }
        Ok(())
    }
}

fn properties(spec: &TableSpec) -> WriterProperties {
    let index_of = |name: &str| spec.schema.index_of(name).ok().and_then(|i| i32::try_from(i).ok());
    let sorted = spec.sort.iter().filter_map(|c| index_of(c));
    let sorted =
        sorted.map(|i| SortingColumn { column_idx: i, descending: false, nulls_first: false }).collect();
    let mut properties = WriterProperties::builder()
        .set_created_by("bellwether".into())
        .set_compression(Compression::ZSTD(ZstdLevel::try_new(3).expect("a level that zstd has")))
        .set_max_row_group_row_count(Some(ROW_GROUP_ROWS))
        .set_data_page_row_count_limit(PAGE_ROWS)
        .set_write_batch_size(PAGE_ROWS)
        .set_sorting_columns(Some(sorted))
        .set_dictionary_enabled(false)
        .set_statistics_enabled(EnabledStatistics::None);
    for field in spec.schema.fields() {
        let path = || field.name().as_str().into();
        let pruned = spec.sort[0] == field.name() || spec.time.contains(&field.name().as_str());
        if pruned {
            properties = properties.set_column_statistics_enabled(path(), EnabledStatistics::Page);
        }
        if spec.dictionary.contains(&field.name().as_str()) {
            properties = properties.set_column_dictionary_enabled(path(), true);
        } else if field.data_type().is_integer() {
            properties = properties.set_column_encoding(path(), Encoding::DELTA_BINARY_PACKED);
        }
    }
    properties.build()
}

fn cannot_write(path: &str, e: &parquet::errors::ParquetError) -> Error {
    Error::unavailable(format!("cannot write segment {path}: {e}"))
}
