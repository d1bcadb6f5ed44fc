//! What a table stores: columns, order, and by which of them segments prune.

use arrow::compute::SortOptions;
use arrow::datatypes::{DataType, Field, SchemaRef, TimeUnit};
use base::{Error, Result, TimeRange};
use parquet::basic::Encoding;

/// What a table stores.
#[derive(Debug, Clone)]
pub struct TableSpec {
    /// Its name, which is also its folder.
    pub name: &'static str,
    /// The columns of its segments, without the partition columns `tenant` and `date`.
    pub schema: SchemaRef,
    /// The columns by which rows are sorted, see [`TableSpec::SORT`]. The first is text without nulls and prunes scans.
    pub sort: &'static [&'static str],
    /// When a row happened.
    pub time: TimeColumns,
    /// Columns whose values repeat, with all that is nested in them. Other integers and times are stored as differences,
    /// and anything else as it is.
    pub dictionary: &'static [&'static str],
    /// Encodings of columns without a dictionary that differ from that.
    pub encodings: &'static [(&'static str, Encoding)],
    /// Columns with least and greatest values for pages, row groups and segments, beside the first sort column and the times.
    pub statistics: &'static [&'static str],
    /// Text columns with a bloom filter for each row group, for looking up single values that are scattered.
    pub bloom: &'static [&'static str],
    /// How rows are grouped.
    pub layout: Layout,
}

/// The columns that hold a row's times: `Int64` since 1970 or timestamps, both in one unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TimeColumns {
    /// The beginning; has no nulls.
    pub first: &'static str,
    /// The end, included. Where it is null the row has its beginning only. May be the same column.
    pub last: &'static str,
    /// What they count.
    pub unit: TimeUnit,
}

/// How a segment groups its rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Layout {
    /// Rows of one row group: the unit that statistics and bloom filters prune and that a writer holds in memory.
    pub row_group_rows: usize,
    /// Rows of one page: the unit that the page index prunes. A scan decodes two pages at once.
    pub page_rows: usize,
}

impl TableSpec {
    /// How each sort column is ordered: ascending, text by its bytes, nulls last.
    pub const SORT: SortOptions = SortOptions { descending: false, nulls_first: false };

    /// Whether the description can be kept: its columns exist and have types that fit their use.
    pub fn check(&self) -> Result<()> {
        let fail = |what: &str, column: &str| {
            Err(Error::internal(format!("cannot describe table {}: {what} {column:?}", self.name)))
        };
        let [key, ..] = self.sort else { return fail("no sort column", "") };
        let field = |name: &str| self.schema.field_with_name(name).ok();
        if !field(key).is_some_and(|f| *f.data_type() == DataType::Utf8 && !f.is_nullable()) {
            return fail("the first sort column is not text without nulls:", key);
        }
        for name in [self.time.first, self.time.last] {
            if !field(name).is_some_and(|f| self.time.fits(f)) {
                return fail("not a column of times:", name);
            }
        }
        if field(self.time.first).is_some_and(Field::is_nullable) {
            return fail("the first time may be null:", self.time.first);
        }
        let encoded = self.encodings.iter().map(|(name, _)| name);
        let named = self.sort.iter().chain(self.dictionary).chain(self.statistics).chain(encoded);
        if let Some(unknown) = named.into_iter().find(|name| field(name).is_none()) {
            return fail("no such column:", unknown);
        }
        match self.bloom.iter().find(|name| field(name).is_none_or(|f| *f.data_type() != DataType::Utf8)) {
            Some(other) => fail("a bloom filter needs text:", other),
            None => Ok(()),
        }
    }

    /// Whether a column has statistics.
    pub(super) fn has_statistics(&self, column: &str) -> bool {
        self.sort[0] == column
            || [self.time.first, self.time.last].contains(&column)
            || self.statistics.contains(&column)
    }
}

impl TimeColumns {
    fn fits(&self, field: &Field) -> bool {
        match field.data_type() {
            DataType::Int64 => true,
            DataType::Timestamp(unit, _) => *unit == self.unit,
            _ => false,
        }
    }

    /// The millisecond in which a time of these columns lies.
    pub fn to_ms(&self, t: i64) -> i64 {
        to_ms(self.unit, t)
    }

    /// First and last time of these columns that lie in a range, both included.
    pub fn bounds(&self, range: TimeRange) -> (i64, i64) {
        let fine = |per_ms: i64| {
            let end = range.end_ms.saturating_mul(per_ms).saturating_add(per_ms - 1);
            (range.start_ms.saturating_mul(per_ms), end)
        };
        match self.unit {
            // Rounded inwards: a second lies in the range if its first millisecond does.
            TimeUnit::Second => {
                (range.start_ms.saturating_add(999).div_euclid(1000), range.end_ms.div_euclid(1000))
            }
            TimeUnit::Millisecond => (range.start_ms, range.end_ms),
            TimeUnit::Microsecond => fine(1000),
            TimeUnit::Nanosecond => fine(1_000_000),
        }
    }
}

/// The millisecond in which a time lies.
pub(super) fn to_ms(unit: TimeUnit, t: i64) -> i64 {
    match unit {
        TimeUnit::Second => t.saturating_mul(1000),
        TimeUnit::Millisecond => t,
        TimeUnit::Microsecond => t.div_euclid(1000),
        TimeUnit::Nanosecond => t.div_euclid(1_000_000),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_lie_in_the_milliseconds_that_bounds_name() {
        for unit in [TimeUnit::Second, TimeUnit::Millisecond, TimeUnit::Microsecond, TimeUnit::Nanosecond] {
            let columns = TimeColumns { first: "t", last: "t", unit };
            for (start_ms, end_ms) in [(-1500, -1), (0, 0), (1000, 2999), (1, 999), (7, 5000)] {
                let (first, last) = columns.bounds(TimeRange::new(start_ms, end_ms));
                for (t, inside) in [(first, true), (last, true), (first - 1, false), (last + 1, false)] {
                    let ms = columns.to_ms(t);
                    if first <= last {
                        assert_eq!(
                            (start_ms..=end_ms).contains(&ms),
                            inside,
                            "{unit:?} {t} in {start_ms}..={end_ms}"
                        );
                    }
                }
            }
            let (first, last) = columns.bounds(TimeRange::ALL);
            assert!(first < -9_000_000_000_000_000 && last > 9_000_000_000_000_000);
        }
    }
}
