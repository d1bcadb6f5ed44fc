//! A segment: one immutable Parquet file of sorted rows.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use arrow::array::RecordBatch;
use base::{Error, Result, TimeRange};
use deltalake_core::kernel::Add;
use object_store::ObjectStore;
use object_store::path::Path;
use parking_lot::Mutex;
use parquet::arrow::{ArrowSchemaConverter, AsyncArrowWriter};
use parquet::basic::{Compression, Encoding, Type as PhysicalType, ZstdLevel};
use parquet::file::metadata::{KeyValue, SortingColumn};
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::schema::types::SchemaDescriptor;

use super::statistics::{Known, Statistics};
use super::upload::Upload;
use super::{PARTITIONS, TableSpec, batch_bytes};
use crate::filenames;
use crate::limits::{BLOOM_FALSE_POSITIVES, ROW_GROUP_BYTES};
use crate::remote::explain;

/// The tag of a file in the log that holds its crc32c, as eight hexadecimal digits.
const CHECKSUM_TAG: &str = "bellwether.crc32c";

/// Reads the checksum among the tags of a file.
pub(super) fn checksum(tags: Option<&HashMap<String, Option<String>>>) -> Option<u32> {
    u32::from_str_radix(tags?.get(CHECKSUM_TAG)?.as_deref()?, 16).ok()
}

/// The tags that say a checksum.
pub(super) fn checksum_tags(crc: u32) -> HashMap<String, Option<String>> {
    HashMap::from([(CHECKSUM_TAG.to_owned(), Some(format!("{crc:08x}")))])
}

/// A committed segment. Whoever holds it keeps its file from being vacuumed by this process.
#[derive(Debug)]
pub struct Segment {
    path: String,
    size_bytes: u64,
    known: Known,
    partition: [String; 2],
    crc: Option<u32>,
}

impl Segment {
    pub(super) fn new(
        path: String,
        size_bytes: u64,
        known: Known,
        partition: [String; 2],
        crc: Option<u32>,
    ) -> Self {
        Self { path, size_bytes, known, partition, crc }
    }

    /// The crc32c of the file, if the log has it: files of other programs have none there, nor those of
    /// this one's first version.
    pub fn crc(&self) -> Option<u32> {
        self.crc
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
        self.known.rows
    }

    /// First and last millisecond of its rows.
    pub fn time(&self) -> TimeRange {
        self.known.time
    }

    /// Whose rows these are.
    pub fn tenant(&self) -> &str {
        &self.partition[0]
    }

    /// The UTC date that it is filed under, as `yyyy-mm-dd`.
    pub fn date(&self) -> &str {
        &self.partition[1]
    }

    /// What its name says; `None` if another program gave it.
    pub fn name(&self) -> Option<filenames::SegmentName<'_>> {
        filenames::parse_segment(&self.path)
    }

    /// Least and greatest value of the first sort column, as far as they are known.
    pub fn key_bounds(&self) -> (Option<&str>, Option<&str>) {
        (self.known.key.0.as_deref(), self.known.key.1.as_deref())
    }
}

/// A segment that is uploaded and not yet part of the table.
#[derive(Debug, Clone)]
pub struct NewSegment {
    path: String,
    size_bytes: u64,
    crc: u32,
    partition: [String; 2],
    stats: Statistics,
    _pending: Arc<Pending>,
}

/// Files that are being written or committed. A vacuum leaves them alone, whatever the log says of them.
#[derive(Debug, Clone, Default)]
pub(super) struct PendingFiles(Arc<Mutex<HashSet<String>>>);

/// Keeps one file pending until it is dropped.
#[derive(Debug)]
pub(super) struct Pending {
    files: PendingFiles,
    path: String,
}

impl PendingFiles {
    fn begin(&self, path: &str) -> Pending {
        self.0.lock().insert(path.to_owned());
        Pending { files: self.clone(), path: path.to_owned() }
    }

    pub(super) fn contains(&self, path: &str) -> bool {
        self.0.lock().contains(path)
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        self.files.0.lock().remove(&self.path);
    }
}

impl NewSegment {
    /// Its path within the table.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Rows.
    pub fn rows(&self) -> u64 {
        self.stats.rows()
    }

    /// Bytes of the file.
    pub fn size_bytes(&self) -> u64 {
        self.size_bytes
    }

    /// The segment as its maker reads it while it is no part of the table.
    pub(super) fn to_segment(&self, spec: &TableSpec) -> Segment {
        let known = super::statistics::read(spec, Some(&self.stats.to_json()));
        Segment::new(self.path.clone(), self.size_bytes, known, self.partition.clone(), Some(self.crc))
    }

    pub(super) fn add(&self, now_ms: i64, data_change: bool) -> Add {
        let [tenant, date] = self.partition.clone();
        Add {
            path: self.path.clone(),
            partition_values: HashMap::from([
                (PARTITIONS[0].to_owned(), Some(tenant)),
                (PARTITIONS[1].to_owned(), Some(date)),
            ]),
            size: i64::try_from(self.size_bytes).unwrap_or(i64::MAX),
            modification_time: now_ms,
            data_change,
            stats: Some(self.stats.to_json()),
            tags: Some(checksum_tags(self.crc)),
            ..Add::default()
        }
    }
}

/// Writes one segment, batch by batch; holds one row group in memory.
pub struct SegmentWriter {
    spec: TableSpec,
    writer: AsyncArrowWriter<Upload>,
    path: String,
    partition: [String; 2],
    stats: Statistics,
    pending: Pending,
    /// Bytes in memory of the batches that went into the row group that is being written.
    group_bytes: usize,
}

impl SegmentWriter {
    pub(super) fn new(
        spec: &TableSpec,
        store: Arc<dyn ObjectStore>,
        path: String,
        partition: [String; 2],
        pending: &PendingFiles,
    ) -> Result<Self> {
        let pending = pending.begin(&path);
        let sink = Upload::new(store, Path::from(path.as_str()));
        let writer = AsyncArrowWriter::try_new(sink, spec.schema.clone(), Some(properties(spec)?))
            .map_err(|e| cannot_write(&path, &e))?;
        let (spec, stats) = (spec.clone(), Statistics::default());
        Ok(Self { spec, writer, path, partition, stats, pending, group_bytes: 0 })
    }

    /// Appends rows, which have to follow those before in the table's order. Row groups end between two batches, so
    /// that these are small.
    pub async fn write(&mut self, batch: &RecordBatch) -> Result<()> {
        if batch.num_rows() == 0 {
            return Ok(());
        }
        self.stats
            .note(&self.spec, batch)
            .map_err(|e| e.context(format!("cannot write segment {}", self.path)))?;
        // A row group is what a reader may have to hold, however large its rows are.
        let bytes = batch_bytes(batch);
        if self.group_bytes > 0 && self.group_bytes.saturating_add(bytes) > ROW_GROUP_BYTES {
            self.writer.flush().await.map_err(|e| cannot_write(&self.path, &e))?;
            self.group_bytes = 0;
        }
        self.writer.write(batch).await.map_err(|e| cannot_write(&self.path, &e))?;
        // A batch that completed a row group by its number of rows has begun the next one, or not.
        self.group_bytes = match self.writer.in_progress_rows() {
            0 => 0,
            rows if rows < batch.num_rows() => bytes,
            _ => self.group_bytes + bytes,
        };
        Ok(())
    }

    /// Bytes of the file so far, without the row group in memory.
    pub fn bytes_written(&self) -> u64 {
        self.writer.bytes_written() as u64
    }

    /// Says something of the segment in its footer, which [`Table::annotation`](super::Table::annotation) reads.
    pub fn annotate(&mut self, key: &str, text: &str) {
        self.writer.append_key_value_metadata(KeyValue::new(key.to_owned(), text.to_owned()));
    }

    /// Uploads what is left. The segment is complete, and as durable as its store makes it.
    pub async fn finish(mut self) -> Result<NewSegment> {
        self.writer.finish().await.map_err(|e| cannot_write(&self.path, &e))?;
        let size_bytes = self.writer.bytes_written() as u64;
        let Self { writer, path, partition, stats, pending, .. } = self;
        let crc = writer.into_inner().crc();
        Ok(NewSegment { path, size_bytes, crc, partition, stats, _pending: Arc::new(pending) })
    }
}

fn properties(spec: &TableSpec) -> Result<WriterProperties> {
    let leaves = ArrowSchemaConverter::new()
        .convert(&spec.schema)
        .map_err(|e| Error::internal(format!("cannot describe table {}: {e}", spec.name)))?;
    let mut properties = WriterProperties::builder()
        .set_created_by("bellwether".into())
        .set_compression(Compression::ZSTD(ZstdLevel::try_new(3).expect("a level that zstd has")))
        .set_max_row_group_row_count(Some(spec.layout.row_group_rows))
        .set_data_page_row_count_limit(spec.layout.page_rows)
        .set_write_batch_size(spec.layout.page_rows)
        .set_sorting_columns(Some(sorting_columns(spec, &leaves)))
        .set_dictionary_enabled(false)
        .set_statistics_enabled(EnabledStatistics::None);
    for leaf in leaves.columns() {
        let path = leaf.path();
        let column = path.parts()[0].as_str();
        if spec.has_statistics(column) {
            properties = properties.set_column_statistics_enabled(path.clone(), EnabledStatistics::Page);
        }
        if spec.bloom.contains(&column) {
            properties = properties
                .set_column_bloom_filter_enabled(path.clone(), true)
                .set_column_bloom_filter_fpp(path.clone(), BLOOM_FALSE_POSITIVES);
        }
        let integer = matches!(leaf.physical_type(), PhysicalType::INT32 | PhysicalType::INT64);
        let named = spec.encodings.iter().find(|(name, _)| *name == column).map(|(_, encoding)| *encoding);
        if spec.dictionary.contains(&column) {
            properties = properties.set_column_dictionary_enabled(path.clone(), true);
        } else if let Some(encoding) = named.or(integer.then_some(Encoding::DELTA_BINARY_PACKED)) {
            properties = properties.set_column_encoding(path.clone(), encoding);
        }
    }
    Ok(properties.build())
}

fn sorting_columns(spec: &TableSpec, leaves: &SchemaDescriptor) -> Vec<SortingColumn> {
    let sorted = spec.sort.iter().filter_map(|name| leaf_of(leaves, name));
    let sorted = sorted.filter_map(|at| i32::try_from(at).ok());
    let (descending, nulls_first) = (TableSpec::SORT.descending, TableSpec::SORT.nulls_first);
    sorted.map(|column_idx| SortingColumn { column_idx, descending, nulls_first }).collect()
}

/// The position of a column that has nothing nested among the leaves of a file.
pub(super) fn leaf_of(leaves: &SchemaDescriptor, column: &str) -> Option<usize> {
    leaves.columns().iter().position(|leaf| matches!(leaf.path().parts(), [name] if name == column))
}

fn cannot_write(path: &str, e: &parquet::errors::ParquetError) -> Error {
    Error::unavailable(format!("cannot write segment {path}: {}", explain::cause(e)))
}
