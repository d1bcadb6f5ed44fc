//! Reading segments: statistics prune row groups and pages, a predicate prunes rows, and only then the wide columns are read.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use arrow::array::{BooleanArray, RecordBatch};
use arrow::error::ArrowError;
use base::{Error, Result, TimeRange};
use bytes::Bytes;
use futures::future::BoxFuture;
use futures::stream::BoxStream;
use futures::{FutureExt, StreamExt};
use object_store::ObjectStore;
use object_store::path::Path;
use parking_lot::Mutex;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{
    ArrowPredicateFn, ArrowReaderMetadata, ArrowReaderOptions, RowFilter, RowSelection,
};
use parquet::arrow::async_reader::{AsyncFileReader, ParquetRecordBatchStreamBuilder};
use parquet::errors::{ParquetError, Result as ParquetResult};
use parquet::file::metadata::{PageIndexPolicy, ParquetMetaData, ParquetMetaDataReader, RowGroupMetaData};
use parquet::file::page_index::column_index::ColumnIndexMetaData;
use parquet::file::statistics::Statistics;
use parquet::schema::types::SchemaDescriptor;

use super::segment::leaf_of;
use super::{Segment, Table, TableSpec};
use crate::budget::{MemoryBudget, Pool, Reservation};
use crate::limits::{METADATA_CACHE_BYTES, SCAN_BATCH_BYTES, SCAN_BATCH_PAGES};
use crate::remote::explain;

/// Decides which rows of a batch of the filter columns to read.
pub type RowPredicate = Arc<dyn Fn(&RecordBatch) -> Result<BooleanArray> + Send + Sync>;

/// Which values of the first sort column are wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Keys {
    /// All.
    All,
    /// These, sorted.
    Only(Vec<String>),
}

/// What to read of a segment.
#[derive(Clone)]
pub struct Scan {
    /// Columns of the result, which come in the order of the schema.
    pub columns: Vec<&'static str>,
    /// Values of the first sort column. Prunes by statistics; rows of other values may be left.
    pub keys: Keys,
    /// Times. Prunes by statistics; rows outside may be left.
    pub range: TimeRange,
    /// A column with a bloom filter and values of it, one of which is wanted. Prunes row groups; rows of other values may be left.
    pub any_of: Option<(&'static str, Vec<String>)>,
    /// The exact condition, and the columns that it reads.
    pub predicate: Option<(Vec<&'static str>, RowPredicate)>,
}

impl Scan {
    /// All rows of a range of times.
    pub fn range(columns: Vec<&'static str>, range: TimeRange) -> Self {
        Self { columns, keys: Keys::All, range, any_of: None, predicate: None }
    }
}

impl Table {
    /// Reads a segment. Batches come in the table's order.
    pub async fn scan(
        &self,
        segment: &Segment,
        scan: &Scan,
    ) -> Result<BoxStream<'static, Result<RecordBatch>>> {
        let path = segment.path().to_owned();
        let fail = move |e: &ParquetError| read_error(&path, e);
        let (metadata, reader) = self.metadata_of(segment).await?;
        let schema = metadata.parquet_schema();
        let mask = |columns: &[&str]| ProjectionMask::columns(schema, columns.iter().copied());
        let parquet = metadata.metadata();
        let mut builder = ParquetRecordBatchStreamBuilder::new_with_metadata(reader, (*metadata).clone());
        let mut groups = Vec::new();
        if scan.keys.may_be_within(segment.key_bounds()) {
            for group in 0..parquet.num_row_groups() {
                if wants_group(&self.spec, schema, parquet.row_group(group), scan)
                    && may_have(&mut builder, schema, group, scan).await.map_err(|e| fail(&e))?
                {
                    groups.push(group);
                }
            }
        }
        let selection = select_pages(&self.spec, schema, parquet, &groups, &scan.keys);
        let projection = mask(&scan.columns);
        let filtered = scan.predicate.as_ref().map_or_else(Vec::new, |(columns, _)| columns.clone());
        let rows = batch_rows(&self.spec, parquet, &groups, &[projection.clone(), mask(&filtered)]);
        let filter = scan.predicate.as_ref().map(|(columns, predicate)| {
            let predicate = predicate.clone();
            let evaluate = move |batch: RecordBatch| {
                predicate(&batch).map_err(|e| ArrowError::ExternalError(Box::new(e)))
            };
            RowFilter::new(vec![Box::new(ArrowPredicateFn::new(mask(columns), evaluate))])
        });
        builder = builder.with_batch_size(rows).with_row_groups(groups).with_projection(projection);
        if let Some(selection) = selection {
            builder = builder.with_row_selection(selection);
        }
        if let Some(filter) = filter {
            builder = builder.with_row_filter(filter);
        }
        let stream = builder.build().map_err(|e| fail(&e))?;
        Ok(stream.map(move |batch| batch.map_err(|e| fail(&e))).boxed())
    }

    /// What [`SegmentWriter::annotate`](super::SegmentWriter::annotate) said of a segment under a key.
    pub async fn annotation(&self, segment: &Segment, key: &str) -> Result<Option<String>> {
        let (metadata, _) = self.metadata_of(segment).await?;
        let said = metadata.metadata().file_metadata().key_value_metadata();
        Ok(said.and_then(|all| all.iter().find(|kv| kv.key == key)).and_then(|kv| kv.value.clone()))
    }

    /// Reads all rows and columns of a segment, in the table's order.
    pub async fn scan_all(&self, segment: &Segment) -> Result<BoxStream<'static, Result<RecordBatch>>> {
        let path = segment.path().to_owned();
        let fail = move |e: &ParquetError| read_error(&path, e);
        let (metadata, reader) = self.metadata_of(segment).await?;
        let parquet = metadata.metadata();
        let groups: Vec<usize> = (0..parquet.num_row_groups()).collect();
        let stream = ParquetRecordBatchStreamBuilder::new_with_metadata(reader, (*metadata).clone())
            .with_batch_size(batch_rows(&self.spec, parquet, &groups, &[ProjectionMask::all()]))
            .build()
            .map_err(|e| fail(&e))?;
        Ok(stream.map(move |batch| batch.map_err(|e| fail(&e))).boxed())
    }

    pub(super) async fn metadata_of(
        &self,
        segment: &Segment,
    ) -> Result<(Arc<ArrowReaderMetadata>, SegmentReader)> {
        let mut reader = SegmentReader {
            store: self.store.clone(),
            path: Path::from(segment.path()),
            size_bytes: segment.size_bytes(),
        };
        if let Some(metadata) = self.metadata.get(segment.path()) {
            return Ok((metadata, reader));
        }
        let options = ArrowReaderOptions::new().with_page_index_policy(PageIndexPolicy::Required);
        let loaded = ArrowReaderMetadata::load_async(&mut reader, options)
            .await
            .map_err(|e| read_error(segment.path(), &e))?;
        let metadata = Arc::new(loaded);
        self.metadata.insert(segment.path(), &metadata);
        Ok((metadata, reader))
    }
}

/// Reads a segment's file for the Parquet library.
pub(super) struct SegmentReader {
    store: Arc<dyn ObjectStore>,
    path: Path,
    size_bytes: u64,
}

impl AsyncFileReader for SegmentReader {
    fn get_bytes(&mut self, range: Range<u64>) -> BoxFuture<'_, ParquetResult<Bytes>> {
        async move {
            // Ranges, not a range, are what a store in the network reads through its cache.
            let mut one = self.store.get_ranges(&self.path, &[range]).await.map_err(ParquetError::from)?;
            one.pop().ok_or_else(|| ParquetError::General("a range was read and nothing came".into()))
        }
        .boxed()
    }

    fn get_byte_ranges(&mut self, ranges: Vec<Range<u64>>) -> BoxFuture<'_, ParquetResult<Vec<Bytes>>> {
        async move { self.store.get_ranges(&self.path, &ranges).await.map_err(ParquetError::from) }.boxed()
    }

    fn get_metadata<'a>(
        &'a mut self,
        options: Option<&'a ArrowReaderOptions>,
    ) -> BoxFuture<'a, ParquetResult<Arc<ParquetMetaData>>> {
        async move {
            let size = self.size_bytes;
            let page_index =
                options.map_or(PageIndexPolicy::Optional, ArrowReaderOptions::column_index_policy);
            let reader = ParquetMetaDataReader::new().with_page_index_policy(page_index);
            Ok(Arc::new(reader.load_and_finish(self, size).await?))
        }
        .boxed()
    }
}

pub(super) fn read_error(path: &str, e: &ParquetError) -> Error {
    Error::unavailable(format!("cannot read segment {path}: {}", explain::cause(e)))
}

impl Keys {
    fn meets(&self, min: &[u8], max: &[u8]) -> bool {
        match self {
            Self::All => true,
            Self::Only(keys) => {
                let at = keys.partition_point(|k| k.as_bytes() < min);
                keys.get(at).is_some_and(|k| k.as_bytes() <= max)
            }
        }
    }

    /// Whether values between two bounds, as far as they are known, may be wanted.
    pub(super) fn may_be_within(&self, bounds: (Option<&str>, Option<&str>)) -> bool {
        match bounds {
            (Some(min), Some(max)) => self.meets(min.as_bytes(), max.as_bytes()),
            _ => true,
        }
    }
}

/// Whether a row group may hold wanted rows. Without statistics it may.
pub(super) fn wants_group(
    spec: &TableSpec,
    schema: &SchemaDescriptor,
    group: &RowGroupMetaData,
    scan: &Scan,
) -> bool {
    let statistics = |name: &str| group.column(leaf_of(schema, name)?).statistics();
    let time = |name: &str| match statistics(name) {
        Some(Statistics::Int64(s)) => s.min_opt().copied().zip(s.max_opt().copied()),
        _ => None,
    };
    let key_met = statistics(spec.sort[0])
        .and_then(|s| s.min_bytes_opt().zip(s.max_bytes_opt()))
        .is_none_or(|(min, max)| scan.keys.meets(min, max));
    let (start, end) = spec.time.bounds(scan.range);
    let first = time(spec.time.first);
    // A row without an end has its beginning.
    let last = time(spec.time.last).map(|(_, max)| first.map_or(max, |(_, first)| first.max(max)));
    let begins_in_time = first.is_none_or(|(min, _)| min <= end);
    let ends_in_time = last.is_none_or(|max| max >= start);
    key_met && begins_in_time && ends_in_time
}

/// Whether a row group's bloom filter lets one of the wanted values pass. Without a filter it does.
async fn may_have(
    builder: &mut ParquetRecordBatchStreamBuilder<SegmentReader>,
    schema: &SchemaDescriptor,
    group: usize,
    scan: &Scan,
) -> ParquetResult<bool> {
    let Some((column, values)) = &scan.any_of else { return Ok(true) };
    let Some(leaf) = leaf_of(schema, column) else { return Ok(true) };
    let filter = builder.get_row_group_column_bloom_filter(group, leaf).await?;
    Ok(filter.is_none_or(|filter| values.iter().any(|v| filter.check(&v.as_str()))))
}

/// How many rows to decode at once, so that a batch of the columns of `masks` stays within bounds.
fn batch_rows(
    spec: &TableSpec,
    metadata: &ParquetMetaData,
    groups: &[usize],
    masks: &[ProjectionMask],
) -> usize {
    let bytes_per_row = |group: &usize| {
        let group = metadata.row_group(*group);
        let decoded = |leaf: usize| {
            let column = group.column(leaf);
            // What text takes without its dictionary, which is what it takes in memory.
            column.unencoded_byte_array_data_bytes().unwrap_or(0).max(column.uncompressed_size())
        };
        let leaves = (0..group.num_columns()).filter(|leaf| masks.iter().any(|m| m.leaf_included(*leaf)));
        leaves.map(decoded).sum::<i64>() / group.num_rows().max(1)
    };
    let widest = groups.iter().map(bytes_per_row).max().unwrap_or(0);
    let rows = SCAN_BATCH_BYTES / usize::try_from(widest).unwrap_or(usize::MAX).max(1);
    rows.clamp(1, SCAN_BATCH_PAGES * spec.layout.page_rows)
}

/// The rows of the chosen row groups whose pages may hold wanted keys; `None` if nothing tells.
fn select_pages(
    spec: &TableSpec,
    schema: &SchemaDescriptor,
    metadata: &ParquetMetaData,
    groups: &[usize],
    keys: &Keys,
) -> Option<RowSelection> {
    let mut ranges: Vec<Range<usize>> = Vec::new();
    let mut before = 0;
    for group in groups {
        let wanted = select_rows(spec, schema, metadata, *group, keys)?;
        ranges.extend(wanted.into_iter().map(|r| before + r.start..before + r.end));
        before += usize::try_from(metadata.row_group(*group).num_rows()).ok()?;
    }
    Some(RowSelection::from_consecutive_ranges(ranges.into_iter(), before))
}

/// The rows of a row group whose pages may hold wanted keys; `None` if nothing tells.
pub(super) fn select_rows(
    spec: &TableSpec,
    schema: &SchemaDescriptor,
    metadata: &ParquetMetaData,
    group: usize,
    keys: &Keys,
) -> Option<Vec<Range<usize>>> {
    if *keys == Keys::All {
        return None;
    }
    let column = leaf_of(schema, spec.sort[0])?;
    let rows = usize::try_from(metadata.row_group(group).num_rows()).ok()?;
    let ColumnIndexMetaData::BYTE_ARRAY(index) = metadata.column_index()?.get(group)?.get(column)? else {
        return None;
    };
    let pages = metadata.offset_index()?.get(group)?.get(column)?.page_locations();
    let mut ranges: Vec<Range<usize>> = Vec::new();
    for (i, page) in pages.iter().enumerate() {
        let first = usize::try_from(page.first_row_index).ok()?;
        let end = match pages.get(i + 1) {
            Some(next) => usize::try_from(next.first_row_index).ok()?,
            None => rows,
        };
        let wanted = match (index.min_value(i), index.max_value(i)) {
            (Some(min), Some(max)) => keys.meets(min, max),
            _ => true,
        };
        if wanted {
            match ranges.last_mut() {
                Some(last) if last.end == first => last.end = end,
                _ => ranges.push(first..end),
            }
        }
    }
    Some(ranges)
}

/// Decoded footers and page indexes, bounded by bytes; the least recently used goes first.
pub(super) struct MetadataCache {
    state: Mutex<CacheState>,
    memory: Arc<MemoryBudget>,
}

#[derive(Default)]
struct CacheState {
    entries: HashMap<String, CacheEntry>,
    bytes: usize,
    uses: u64,
}

struct CacheEntry {
    metadata: Arc<ArrowReaderMetadata>,
    bytes: usize,
    used: u64,
    _memory: Reservation,
}

impl MetadataCache {
    pub(super) fn new(memory: Arc<MemoryBudget>) -> Self {
        Self { state: Mutex::default(), memory }
    }

    fn get(&self, path: &str) -> Option<Arc<ArrowReaderMetadata>> {
        let mut state = self.state.lock();
        state.uses += 1;
        let now = state.uses;
        let entry = state.entries.get_mut(path)?;
        entry.used = now;
        Some(entry.metadata.clone())
    }

    fn insert(&self, path: &str, metadata: &Arc<ArrowReaderMetadata>) {
        let bytes = metadata.metadata().memory_size() + path.len();
        let mut memory = self.memory.reservation(Pool::Caches);
        let mut state = self.state.lock();
        state.remove(path);
        while state.bytes + bytes > METADATA_CACHE_BYTES || memory.grow(bytes).is_err() {
            let oldest = state.entries.iter().min_by_key(|(_, e)| e.used).map(|(path, _)| path.clone());
            // Without room it is read again the next time.
            let Some(oldest) = oldest else { return };
            state.remove(&oldest);
        }
        state.uses += 1;
        state.bytes += bytes;
        let entry = CacheEntry { metadata: metadata.clone(), bytes, used: state.uses, _memory: memory };
        state.entries.insert(path.to_owned(), entry);
    }

    pub(super) fn remove(&self, path: &str) {
        self.state.lock().remove(path);
    }
}

impl CacheState {
    fn remove(&mut self, path: &str) {
        if let Some(gone) = self.entries.remove(path) {
            self.bytes -= gone.bytes;
        }
    }
}
