//! Export: stored buckets as rows that any program understands, whatever their number.
//!
//! Span by span, the oldest first, with a row group of each segment of one span in memory. What is not rolled up yet is not exported: its
//! samples are.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use arrow::array::{
    ArrayRef, Float64Builder, Int64Builder, RecordBatch, StringBuilder, TimestampMillisecondBuilder,
};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use base::{BucketColumns, Buckets, Error, Labels, METRIC_NAME, Matcher, NO_TIME, Result, TimeRange};
use lake::Segment;
use lake::catalog::{AttributesBuilder, Kind, attributes_builder};

use super::merge::Merge;
use super::run::Kept;
use super::{Resolution, kernel, table};
use crate::hidden::Visibility;
use crate::import::DAY_MS;
use crate::limits::EXPORT_BATCH_BUCKETS;
use crate::store::MetricStore;

impl MetricStore {
    /// Begins to export the buckets of series that satisfy all matchers and that end in a range, both ends included.
    pub fn export_buckets(
        &self,
        resolution: Resolution,
        matchers: &[Matcher],
        ends: TimeRange,
    ) -> Result<BucketExport<'_>> {
        let kept = self.kept(resolution)?;
        let mut spans: BTreeMap<i64, VecDeque<Arc<Segment>>> = BTreeMap::new();
        for segment in self.of_tenant(&kept.table.view()) {
            if segment.time().overlaps(ends) {
                spans.entry(kept.span_start(&segment)).or_default().push_back(segment);
            }
        }
        Ok(BucketExport {
            kept,
            matchers: matchers.to_vec(),
            ends,
            visibility: self.visibility(self.clock.now_ms()),
            spans: spans.into_values().collect(),
            open: None,
        })
    }

    /// First and last millisecond of the stored buckets of a resolution.
    pub fn buckets_time(&self, resolution: Resolution) -> Result<Option<TimeRange>> {
        let segments = self.of_tenant(&self.kept(resolution)?.table.view());
        let times = segments.iter().map(|s| s.time());
        Ok(times.reduce(|a, b| TimeRange::new(a.start_ms.min(b.start_ms), a.end_ms.max(b.end_ms))))
    }

    /// The UTC days of a range on which stored buckets of a resolution may end, counted since 1970.
    pub fn bucket_days(&self, resolution: Resolution, range: TimeRange) -> Result<BTreeSet<i64>> {
        let segments = self.of_tenant(&self.kept(resolution)?.table.view());
        let day = |t_ms: i64| t_ms.div_euclid(DAY_MS);
        let times = segments.iter().map(|s| s.time()).filter(|time| time.overlaps(range));
        let days = times.map(|t| day(t.start_ms.max(range.start_ms))..=day(t.end_ms.min(range.end_ms)));
        Ok(days.flatten().collect())
    }

    fn kept(&self, resolution: Resolution) -> Result<&Kept> {
        let kept = self.rollups.kept.iter().find(|kept| kept.resolution == resolution);
        kept.ok_or_else(|| Error::invalid(format!("rollups of {} are not kept", resolution.as_str())))
    }
}

/// Stored buckets that are read in batches.
pub struct BucketExport<'a> {
    kept: &'a Kept,
    matchers: Vec<Matcher>,
    ends: TimeRange,
    visibility: Visibility,
    spans: VecDeque<VecDeque<Arc<Segment>>>,
    open: Option<Span<'a>>,
}

/// A span while it is read.
struct Span<'a> {
    rows: Merge<'a>,
    /// By segment.
    hidden: Vec<Visibility>,
}

impl BucketExport<'_> {
    /// The columns of the rows.
    pub fn schema() -> SchemaRef {
        BucketRows::schema()
    }

    /// The next rows, some thousands; `None` behind the last ones. Series come in the table's order, within each span.
    pub async fn next(&mut self) -> Result<Option<RecordBatch>> {
        let mut rows = BucketRows::new(self.kept.resolution);
        while rows.len < EXPORT_BATCH_BUCKETS {
            let Some(span) = &mut self.open else {
                let Some(segments) = self.spans.pop_front() else { break };
                let opened = open_span(self.kept, &self.matchers, self.ends, &self.visibility, segments);
                self.open = Some(opened.await?);
                continue;
            };
            let Some(labels) = span.rows.peek().cloned() else {
                self.open = None;
                continue;
            };
            let (mut buckets, mut part) = (Buckets::default(), Buckets::default());
            for row in span.rows.take(&labels).await? {
                table::decode_row(&row.batch, row.at, BucketColumns::ALL, &mut part)?;
                let hidden = span.hidden[row.run].of_rollups(&labels);
                hidden.drop_buckets(&mut part, self.kept.resolution.millis());
                buckets = kernel::unite(&buckets, &part);
            }
            buckets.crop(self.ends);
            rows.add(&labels, &buckets)?;
        }
        if rows.len == 0 { Ok(None) } else { rows.finish().map(Some) }
    }
}

/// Opens a span's segments side by side.
async fn open_span<'a>(
    kept: &'a Kept,
    matchers: &[Matcher],
    ends: TimeRange,
    visibility: &Visibility,
    segments: VecDeque<Arc<Segment>>,
) -> Result<Span<'a>> {
    let scan = crate::table::scan(matchers, ends, table::columns(BucketColumns::ALL));
    let mut hidden = Vec::new();
    for segment in &segments {
        hidden.push(kept.unheeded(segment, visibility).await?);
    }
    let runs = segments.into_iter().map(|segment| VecDeque::from([segment])).collect();
    Ok(Span { rows: Merge::begin(&kept.table, runs, &scan).await?, hidden })
}

/// Collects rows of buckets.
struct BucketRows {
    bucket_ms: i64,
    metric: StringBuilder,
    labels: AttributesBuilder,
    times: [TimestampMillisecondBuilder; 5],
    count: Int64Builder,
    values: [Float64Builder; 6],
    len: usize,
}

/// Columns of times, and which may be absent.
const TIMES: [(&str, bool); 5] =
    [("start", false), ("end", false), ("first_time", true), ("last_time", true), ("stale_time", true)];

/// Columns of values, which a bucket without samples has none of.
const VALUES: [&str; 6] = ["sum", "min", "max", "first", "last", "resets"];

impl BucketRows {
    fn new(resolution: Resolution) -> Self {
        Self {
            bucket_ms: resolution.millis(),
            metric: StringBuilder::new(),
            labels: attributes_builder(),
            times: std::array::from_fn(|_| TimestampMillisecondBuilder::new().with_timezone("UTC")),
            count: Int64Builder::new(),
            values: std::array::from_fn(|_| Float64Builder::new()),
            len: 0,
        }
    }

    fn schema() -> SchemaRef {
        let time = DataType::Timestamp(TimeUnit::Millisecond, Some("UTC".into()));
        let mut fields = vec![
            Field::new("metric", DataType::Utf8, false),
            Field::new("labels", Kind::Attributes.data_type(), false),
        ];
        fields.extend(TIMES.map(|(name, nullable)| Field::new(name, time.clone(), nullable)));
        fields.push(Field::new("count", DataType::Int64, false));
        fields.extend(VALUES.map(|name| Field::new(name, DataType::Float64, true)));
        Arc::new(Schema::new(fields))
    }

    fn add(&mut self, labels: &Labels, buckets: &Buckets) -> Result<()> {
        let fail = |e| Error::internal(format!("cannot build rows of rollups: {e}"));
        self.len += buckets.len();
        for i in 0..buckets.len() {
            let bucket = buckets.get(i);
            self.metric.append_value(labels.metric());
            for (name, value) in labels.iter().filter(|(name, _)| *name != METRIC_NAME) {
                self.labels.keys().append_value(name);
                self.labels.values().append_value(value);
            }
            self.labels.append(true).map_err(fail)?;
            let has_samples = bucket.count > 0;
            let stale = Some(bucket.stale_ms).filter(|t| *t != NO_TIME);
            let sampled = |t_ms: i64| has_samples.then_some(t_ms);
            let start_ms = bucket.end_ms - self.bucket_ms;
            let times = [
                Some(start_ms),
                Some(bucket.end_ms),
                sampled(bucket.first_ms),
                sampled(bucket.last_ms),
                stale,
            ];
            self.times.iter_mut().zip(times).for_each(|(column, t_ms)| column.append_option(t_ms));
            self.count.append_value(i64::from(bucket.count));
            let b = &bucket;
            let values = [b.sum, b.min, b.max, b.first, b.last, b.resets];
            for (column, value) in self.values.iter_mut().zip(values) {
                column.append_option(has_samples.then_some(value));
            }
        }
        Ok(())
    }

    fn finish(mut self) -> Result<RecordBatch> {
        let mut columns: Vec<ArrayRef> = vec![Arc::new(self.metric.finish()), Arc::new(self.labels.finish())];
        columns.extend(self.times.iter_mut().map(|column| Arc::new(column.finish()) as ArrayRef));
        columns.push(Arc::new(self.count.finish()));
        columns.extend(self.values.iter_mut().map(|column| Arc::new(column.finish()) as ArrayRef));
        RecordBatch::try_new(Self::schema(), columns)
            .map_err(|e| Error::internal(format!("cannot build rows of rollups: {e}")))
    }
}
