//! Export: all columns of the rows that begin in a range and satisfy matchers over their columns.

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, RecordBatch};
use arrow::buffer::BooleanBuffer;
use arrow::compute::cast;
use arrow::datatypes::DataType;
use base::{Error, Matcher, Result, TimeRange};
use futures::stream::BoxStream;

use super::RowStore;
use crate::catalog::{CatalogTable, Kind};
use crate::table::{RowPredicate, Scan, times};

/// Milliseconds of a UTC day.
const DAY_MS: i64 = 86_400_000;

impl RowStore {
    /// The UTC days of a range on which rows may begin, counted since 1970.
    pub fn days(&self, range: TimeRange) -> BTreeSet<i64> {
        let state = self.state.read();
        let segments = state.view.segments.iter().map(|s| s.time());
        let times = segments.chain(state.head.time()).filter(|time| time.overlaps(range));
        let day = |t_ms: i64| t_ms.div_euclid(DAY_MS);
        times.flat_map(|t| day(t.start_ms.max(range.start_ms))..=day(t.end_ms.min(range.end_ms))).collect()
    }

    /// Reads all columns of a tenant's rows that begin in the range and satisfy all matchers. A matcher names a column, whose value it
    /// gets as text, empty where there is none; or a column of attributes and one of these, as `attributes.http.method`. `table`
    /// is the store's.
    pub fn export(
        &self,
        table: &'static CatalogTable,
        tenant: &str,
        matchers: &[Matcher],
        range: TimeRange,
    ) -> Result<BoxStream<'static, Result<RecordBatch>>> {
        let tests = matchers.iter().map(|m| Test::of(table, m)).collect::<Result<Vec<_>>>()?;
        let time = table.spec().time;
        let mut columns: Vec<&'static str> = tests.iter().map(|t| t.column).chain([time.first]).collect();
        columns.sort_unstable();
        columns.dedup();
        let predicate: RowPredicate = Arc::new(move |batch| {
            let begins = times(batch, time.first)?;
            let (start, end) = time.bounds(range);
            let mut wanted: Vec<bool> = begins.values().iter().map(|t| (start..=end).contains(t)).collect();
            for test in &tests {
                test.narrow(batch, &mut wanted)?;
            }
            Ok(BooleanArray::new(BooleanBuffer::from(wanted), None))
        });
        let mut scan = Scan::range(table.columns().map(|c| c.name).collect(), range);
        scan.predicate = Some((columns, predicate));
        self.scan(tenant, scan)
    }
}

/// A matcher, and where the values are that it judges.
struct Test {
    matcher: Matcher,
    column: &'static str,
    /// The attribute of the column, if it holds such.
    attribute: Option<String>,
}

impl Test {
    fn of(table: &'static CatalogTable, matcher: &Matcher) -> Result<Self> {
        let name = matcher.name();
        let found = table.columns().find_map(|column| match column.kind {
            Kind::List(_) => None,
            Kind::Attributes => {
                let attribute = name.strip_prefix(column.name)?.strip_prefix('.')?;
                Some((column.name, Some(attribute.to_owned())))
            }
            _ => (column.name == name).then_some((column.name, None)),
        });
        let Some((column, attribute)) = found else {
            let names = table.columns().filter(|c| !matches!(c.kind, Kind::List(_))).map(|c| match c.kind {
                Kind::Attributes => format!("{}.<name>", c.name),
                _ => c.name.to_owned(),
            });
            let names: Vec<String> = names.collect();
            return Err(Error::invalid(format!(
                "cannot match {name:?} in table {}: there are {}",
                table.name(),
                names.join(", ")
            )));
        };
        Ok(Self { matcher: matcher.clone(), column, attribute })
    }

    /// Takes out the rows that do not satisfy the matcher.
    fn narrow(&self, batch: &RecordBatch, wanted: &mut [bool]) -> Result<()> {
        let fail = |what: &str| Error::corrupt(format!("cannot match rows: column {} {what}", self.column));
        let column = batch.column_by_name(self.column).ok_or_else(|| fail("is missing"))?;
        let Some(attribute) = &self.attribute else {
            let texts = cast(column, &DataType::Utf8).map_err(|e| fail(&e.to_string()))?;
            let texts = texts.as_string::<i32>();
            for (i, wanted) in wanted.iter_mut().enumerate().filter(|(_, wanted)| **wanted) {
                *wanted = self.matcher.matches(if texts.is_null(i) { "" } else { texts.value(i) });
            }
            return Ok(());
        };
        let maps = column.as_map_opt().ok_or_else(|| fail("holds no attributes"))?;
        let strings =
            |array: &ArrayRef| array.as_string_opt::<i32>().cloned().ok_or_else(|| fail("holds no text"));
        let (names, values) = (strings(maps.keys())?, strings(maps.values())?);
        for (i, wanted) in wanted.iter_mut().enumerate().filter(|(_, wanted)| **wanted) {
            let offsets = maps.value_offsets();
            let mut entries = (offsets[i]..offsets[i + 1]).filter_map(|at| usize::try_from(at).ok());
            let found = entries.find(|at| !maps.is_null(i) && names.value(*at) == attribute);
            *wanted = self
                .matcher
                .matches(found.filter(|at| !values.is_null(*at)).map_or("", |at| values.value(at)));
        }
        Ok(())
    }
}
