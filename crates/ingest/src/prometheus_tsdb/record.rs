//! What the records of a write-ahead log say.
//!
//! Prometheus specifies most of them in `tsdb/docs/format/wal.md`; those with start times are known from how it reads them.

use std::sync::Arc;

use base::{
    CUSTOM_BUCKETS_SCHEMA, CounterResetHint, EXPONENTIAL_SCHEMAS, Histogram, Labels, Sample, Span, TimeRange,
};

use super::file::Fields;

/// One entry of a record, with the number that the log gives the series.
#[derive(Debug, PartialEq)]
pub(super) enum Entry {
    Series(u64, Labels),
    Float(u64, Sample),
    Histogram(u64, i64, Histogram),
    Deleted(u64, TimeRange),
}

/// Which entries are asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wanted {
    /// Series and what is deleted of them.
    Series,
    /// Floats and histograms.
    Samples,
}

/// How the entries of a record of samples name their series and times.
#[derive(Clone, Copy)]
enum Layout {
    /// As differences to the record's first.
    Plain,
    /// As differences to the entry before, with start times.
    WithStartTimes,
}

/// What a sample of a record is.
#[derive(Clone, Copy)]
enum Kind {
    Float,
    Whole,
    Fractional,
}

/// Visits the entries of a record. The error says what is wrong with it; entries before that were visited.
pub(super) fn decode(record: &[u8], wanted: Wanted, visit: &mut dyn FnMut(Entry)) -> Result<(), String> {
    let mut fields = Fields::new(record);
    let kind = fields.byte().ok_or("a record is empty")?;
    let (is_for, decoded) = match kind {
        1 => (Wanted::Series, None),
        2 => (Wanted::Samples, Some((Layout::Plain, Kind::Float))),
        3 => (Wanted::Series, None),
        7 | 9 => (Wanted::Samples, Some((Layout::Plain, Kind::Whole))),
        8 | 10 => (Wanted::Samples, Some((Layout::Plain, Kind::Fractional))),
        11 => (Wanted::Samples, Some((Layout::WithStartTimes, Kind::Float))),
        12 => (Wanted::Samples, Some((Layout::WithStartTimes, Kind::Whole))),
        13 => (Wanted::Samples, Some((Layout::WithStartTimes, Kind::Fractional))),
        // Exemplars, marks of mapped chunks, and metadata: no samples.
        4..=6 => return Ok(()),
        other => return Err(format!("records of type {other} are not known")),
    };
    if is_for != wanted {
        return Ok(());
    }
    let done = match (kind, decoded) {
        (_, Some((Layout::Plain, of))) => plain(&mut fields, of, visit),
        (_, Some((Layout::WithStartTimes, of))) => with_start_times(&mut fields, of, visit),
        (1, None) => series(&mut fields, visit),
        _ => tombstones(&mut fields, visit),
    };
    done.ok_or_else(|| {
        format!("a record of type {kind} does not decode, {} bytes before its end", fields.left())
    })
}

fn series(fields: &mut Fields<'_>, visit: &mut dyn FnMut(Entry)) -> Option<()> {
    while !fields.is_empty() {
        let series = fields.be64()?;
        let count = fields.count(2)?;
        let mut text = || std::str::from_utf8(fields.prefixed()?).ok();
        let pairs = (0..count).map(|_| Some((text()?, text()?))).collect::<Option<Vec<_>>>()?;
        visit(Entry::Series(series, Labels::from_pairs(pairs)));
    }
    Some(())
}

fn tombstones(fields: &mut Fields<'_>, visit: &mut dyn FnMut(Entry)) -> Option<()> {
    while !fields.is_empty() {
        let series = fields.be64()?;
        visit(Entry::Deleted(series, TimeRange::new(fields.varint()?, fields.varint()?)));
    }
    Some(())
}

fn plain(fields: &mut Fields<'_>, kind: Kind, visit: &mut dyn FnMut(Entry)) -> Option<()> {
    if fields.is_empty() {
        return Some(());
    }
    let (first, first_ms) = (fields.be64()?, fields.be64()? as i64);
    while !fields.is_empty() {
        let series = first.wrapping_add(fields.varint()? as u64);
        let t_ms = first_ms.wrapping_add(fields.varint()?);
        sample(fields, kind, series, t_ms, visit)?;
    }
    Some(())
}

fn with_start_times(fields: &mut Fields<'_>, kind: Kind, visit: &mut dyn FnMut(Entry)) -> Option<()> {
    if fields.is_empty() {
        return Some(());
    }
    let mut series = fields.varint()? as u64;
    let first_ms = fields.varint()?;
    fields.varint()?;
    sample(fields, kind, series, first_ms, visit)?;
    while !fields.is_empty() {
        series = series.wrapping_add(fields.varint()? as u64);
        let t_ms = first_ms.wrapping_add(fields.varint()?);
        // No start time, the one before, or a new one.
        if fields.byte()? > 1 {
            fields.varint()?;
        }
        sample(fields, kind, series, t_ms, visit)?;
    }
    Some(())
}

fn sample(
    fields: &mut Fields<'_>,
    kind: Kind,
    series: u64,
    t_ms: i64,
    visit: &mut dyn FnMut(Entry),
) -> Option<()> {
    match kind {
        Kind::Float => visit(Entry::Float(series, Sample { t_ms, value: fields.f64()? })),
        Kind::Whole => visit(Entry::Histogram(series, t_ms, histogram(fields, false)?)),
        Kind::Fractional => visit(Entry::Histogram(series, t_ms, histogram(fields, true)?)),
    }
    Some(())
}

fn histogram(fields: &mut Fields<'_>, is_float: bool) -> Option<Histogram> {
    let counter_reset_hint = match fields.byte()? {
        1 => CounterResetHint::Reset,
        2 => CounterResetHint::NotReset,
        3 => CounterResetHint::Gauge,
        _ => CounterResetHint::Unknown,
    };
    let schema = i32::try_from(fields.varint()?).ok()?;
    if !EXPONENTIAL_SCHEMAS.contains(&schema) && schema != CUSTOM_BUCKETS_SCHEMA {
        return None;
    }
    let zero_threshold = fields.f64()?;
    let number =
        |fields: &mut Fields<'_>| if is_float { fields.f64() } else { fields.uvarint().map(|n| n as f64) };
    let (zero_count, count) = (number(fields)?, number(fields)?);
    let sum = fields.f64()?;
    let (positive_spans, negative_spans) = (spans(fields)?, spans(fields)?);
    let (positive, negative) = (buckets(fields, is_float)?, buckets(fields, is_float)?);
    let custom_bounds: Arc<[f64]> = if schema == CUSTOM_BUCKETS_SCHEMA {
        let n = fields.count(8)?;
        (0..n).map(|_| fields.f64()).collect::<Option<_>>()?
    } else {
        Arc::default()
    };
    let found = Histogram {
        counter_reset_hint,
        is_float,
        schema,
        zero_threshold,
        zero_count,
        count,
        sum,
        positive_spans,
        negative_spans,
        positive,
        negative,
        custom_bounds,
    };
    Some(if found.is_stale() { Histogram::stale() } else { found })
}

fn spans(fields: &mut Fields<'_>) -> Option<Vec<Span>> {
    let n = fields.count(2)?;
    let mut span = || {
        let offset = i32::try_from(fields.varint()?).ok()?;
        Some(Span { offset, length: u32::try_from(fields.uvarint()?).ok()? })
    };
    (0..n).map(|_| span()).collect()
}

/// Counts of buckets; whole ones are written as differences to their neighbour.
fn buckets(fields: &mut Fields<'_>, is_float: bool) -> Option<Vec<f64>> {
    if is_float {
        let n = fields.count(8)?;
        return (0..n).map(|_| fields.f64()).collect();
    }
    let n = fields.count(1)?;
    let mut count = 0i64;
    let mut next = || {
        count = count.wrapping_add(fields.varint()?);
        Some(count as f64)
    };
    (0..n).map(|_| next()).collect()
}
