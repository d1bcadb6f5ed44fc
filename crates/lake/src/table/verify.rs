//! Looking for what is wrong with a segment: its file against the Delta log, and its rows against the rules of the table.

use std::sync::Arc;

use arrow::array::{Array, AsArray, Int64Array, RecordBatch};
use arrow::compute::kernels::cast_utils::Parser;
use arrow::datatypes::Date32Type;
use arrow::row::{OwnedRow, RowConverter, SortField};
use base::{Error, Result, TimeRange};
use futures::TryStreamExt;
use object_store::ObjectStoreExt;
use object_store::path::Path;

use super::{Segment, Table, TableSpec, times};
use crate::inspect::invariants::{
    Invariant, SEGMENT_CHECKSUM, SEGMENT_DATE, SEGMENT_KEYS, SEGMENT_PARQUET, SEGMENT_PATH, SEGMENT_PRESENT,
    SEGMENT_ROWS, SEGMENT_SORTED, SEGMENT_TIME, Violation,
};
use crate::limits::VIOLATIONS_PER_OBJECT;
use crate::remote::explain;

const DAY_MS: i64 = 86_400_000;

/// What is wrong with an object: the first few violations, and how many there are.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Findings {
    /// The first ones.
    pub violations: Vec<Violation>,
    /// All.
    pub count: u64,
}

impl Findings {
    /// Adds a violation. `detail` says where and how.
    pub fn add(&mut self, invariant: &'static Invariant, detail: impl FnOnce() -> String) {
        self.count += 1;
        if self.violations.len() < VIOLATIONS_PER_OBJECT {
            self.violations.push(Violation { invariant, detail: detail() });
        }
    }
}

/// Looks at the rows of one segment, batch by batch, in the order of the file.
pub trait RowChecker: Send {
    /// Looks at the next rows; `first` is the number of the first of them. An error means that they cannot be looked at.
    fn check(&mut self, first: u64, batch: &RecordBatch, found: &mut Findings) -> Result<()>;
}

/// What holds of the rows of a table.
#[derive(Clone, Copy)]
pub struct RowRules {
    /// Days that a date of the partition stands for.
    pub days: i64,
    /// Whether rows end within them too, and not only begin.
    pub whole: bool,
    /// What looks at the rows of a segment.
    pub checker: fn(&TableSpec) -> Result<Box<dyn RowChecker>>,
}

impl RowRules {
    /// What holds of tables whose rows are what somebody wrote: they are in order.
    pub const SORTED: Self =
        Self { days: 1, whole: false, checker: |spec| Ok(Box::new(SortedRows::new(spec)?)) };
}

impl Table {
    /// Looks at a segment, file and rows. An error means that the store does not let it.
    pub async fn verify_segment(&self, segment: &Segment, rules: &RowRules) -> Result<Findings> {
        let mut found = Findings::default();
        self.verify_path(segment, &mut found);
        // What a damaged file has for rows says nothing about who wrote them.
        if self.verify_bytes(segment, &mut found).await? {
            self.verify_rows(segment, rules, &mut found).await;
        }
        Ok(found)
    }

    fn verify_path(&self, segment: &Segment, found: &mut Findings) {
        let want = format!("tenant={}/date={}/", segment.tenant(), segment.date());
        if segment.path().strip_prefix(want.as_str()).is_none_or(|file| file.contains('/')) {
            found.add(&SEGMENT_PATH, || format!("the log files it under {want}"));
        }
    }

    /// Whether the file is the one that the log means.
    async fn verify_bytes(&self, segment: &Segment, found: &mut Findings) -> Result<bool> {
        let fail = |e: &object_store::Error| {
            Error::unavailable(format!("cannot read segment {}: {}", segment.path(), explain::cause(e)))
        };
        let content = match self.store.get(&Path::from(segment.path())).await {
            Ok(content) => content,
            Err(object_store::Error::NotFound { .. }) => {
                found.add(&SEGMENT_PRESENT, || "there is no such file".into());
                return Ok(false);
            }
            Err(e) => return Err(fail(&e)),
        };
        let (mut size, mut crc) = (0, 0);
        let mut parts = content.into_stream();
        while let Some(bytes) = parts.try_next().await.map_err(|e| fail(&e))? {
            size += bytes.len() as u64;
            crc = crc32c::crc32c_append(crc, &bytes);
        }
        if size != segment.size_bytes() {
            let want = segment.size_bytes();
            found.add(&SEGMENT_PRESENT, || format!("the file has {size} bytes, the log says {want}"));
            return Ok(false);
        }
        match segment.crc() {
            Some(want) if want != crc => {
                found.add(&SEGMENT_CHECKSUM, || format!("the file has {crc:08x}, the log says {want:08x}"));
                Ok(false)
            }
            _ => Ok(true),
        }
    }

    async fn verify_rows(&self, segment: &Segment, rules: &RowRules, found: &mut Findings) {
        let unreadable = |e: &Error| e.message().to_owned();
        let schema = match self.metadata_of(segment).await {
            Ok((metadata, _)) => metadata.schema().clone(),
            Err(e) => return found.add(&SEGMENT_PARQUET, || unreadable(&e)),
        };
        for field in self.spec.schema.fields() {
            match schema.field_with_name(field.name()) {
                Ok(have) if have.data_type() == field.data_type() => {}
                Ok(have) => found.add(&SEGMENT_PARQUET, || {
                    let (have, want) = (have.data_type(), field.data_type());
                    format!("column {} has type {have}, the table's has {want}", field.name())
                }),
                Err(_) => found.add(&SEGMENT_PARQUET, || format!("there is no column {}", field.name())),
            }
        }
        if found.count > 0 {
            return;
        }
        let looked = self.look_at_rows(segment, rules, found).await;
        match looked {
            // A log that says nothing of the rows says 0.
            Ok(rows) if segment.rows() > 0 && rows != segment.rows() => {
                found.add(&SEGMENT_ROWS, || format!("it has {rows} rows, the log says {}", segment.rows()));
            }
            Ok(_) => {}
            Err(e) => found.add(&SEGMENT_PARQUET, || unreadable(&e)),
        }
    }

    async fn look_at_rows(&self, segment: &Segment, rules: &RowRules, found: &mut Findings) -> Result<u64> {
        let mut checker = (rules.checker)(&self.spec)?;
        let mut batches = self.scan_all(segment).await?;
        let mut rows = 0;
        while let Some(batch) = batches.try_next().await? {
            self.verify_times(segment, rules, rows, &batch, found)?;
            self.verify_keys(segment, rows, &batch, found);
            checker.check(rows, &batch, found)?;
            rows += batch.num_rows() as u64;
        }
        Ok(rows)
    }

    fn verify_times(
        &self,
        segment: &Segment,
        rules: &RowRules,
        from: u64,
        batch: &RecordBatch,
        found: &mut Findings,
    ) -> Result<()> {
        let (first, last): (Int64Array, Int64Array) =
            (times(batch, self.spec.time.first)?, times(batch, self.spec.time.last)?);
        let Some(day) = Date32Type::parse(segment.date()) else {
            found.add(&SEGMENT_DATE, || format!("{:?} is no date", segment.date()));
            return Ok(());
        };
        let start_ms = i64::from(day) * DAY_MS;
        let date = TimeRange::new(start_ms, start_ms + rules.days * DAY_MS - 1);
        for row in 0..batch.num_rows() {
            let begin_ms = self.spec.time.to_ms(first.value(row));
            // A row without an end has its beginning.
            let end_ms = if last.is_null(row) {
                begin_ms
            } else {
                self.spec.time.to_ms(last.value(row)).max(begin_ms)
            };
            let (number, known) = (from + row as u64, segment.time());
            if begin_ms < known.start_ms || end_ms > known.end_ms {
                found.add(&SEGMENT_TIME, || {
                    let (start, end) = (known.start_ms, known.end_ms);
                    format!("row {number} is of {begin_ms} to {end_ms} ms, the log says {start} to {end} ms")
                });
            }
            if !date.contains(begin_ms) || (rules.whole && !date.contains(end_ms)) {
                found.add(&SEGMENT_DATE, || format!("row {number} is of {begin_ms} to {end_ms} ms"));
            }
        }
        Ok(())
    }

    fn verify_keys(&self, segment: &Segment, from: u64, batch: &RecordBatch, found: &mut Findings) {
        let Some(keys) = batch.column_by_name(self.spec.sort[0]).and_then(|c| c.as_string_opt::<i32>())
        else {
            return;
        };
        let (least, greatest) = segment.key_bounds();
        for (row, key) in keys.iter().enumerate() {
            let Some(key) = key else { continue };
            if least.is_some_and(|least| key < least) || greatest.is_some_and(|greatest| key > greatest) {
                let short: String = key.chars().take(100).collect();
                found.add(&SEGMENT_KEYS, || format!("row {} has {short:?}", from + row as u64));
            }
        }
    }
}

/// Looks whether rows come in the order of the sort columns.
struct SortedRows {
    columns: &'static [&'static str],
    converter: RowConverter,
    last: Option<OwnedRow>,
}

impl SortedRows {
    fn new(spec: &TableSpec) -> Result<Self> {
        let field = |name: &&str| {
            let data_type = spec.schema.field_with_name(name)?.data_type().clone();
            Ok(SortField::new_with_options(data_type, TableSpec::SORT))
        };
        let fields: std::result::Result<Vec<SortField>, arrow::error::ArrowError> =
            spec.sort.iter().map(field).collect();
        let converter = fields.and_then(RowConverter::new).map_err(|e| cannot_compare(&e))?;
        Ok(Self { columns: spec.sort, converter, last: None })
    }
}

impl RowChecker for SortedRows {
    fn check(&mut self, first: u64, batch: &RecordBatch, found: &mut Findings) -> Result<()> {
        let columns: Option<Vec<Arc<dyn Array>>> =
            self.columns.iter().map(|name| batch.column_by_name(name).cloned()).collect();
        let columns = columns.ok_or_else(|| Error::corrupt("a sort column is missing"))?;
        let keys = self.converter.convert_columns(&columns).map_err(|e| cannot_compare(&e))?;
        for (row, key) in keys.iter().enumerate() {
            let is_less = match row {
                0 => self.last.as_ref().is_some_and(|last| key < last.row()),
                row => key < keys.row(row - 1),
            };
            if is_less {
                found.add(&SEGMENT_SORTED, || {
                    format!("row {} comes before the one ahead of it", first + row as u64)
                });
            }
        }
        if let Some(last) = keys.num_rows().checked_sub(1) {
            self.last = Some(keys.row(last).owned());
        }
        Ok(())
    }
}

fn cannot_compare(e: &arrow::error::ArrowError) -> Error {
    Error::internal(format!("cannot compare rows: {e}"))
}
