//! What is exported: a store, and the parts in which it is read.

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use base::{Clock, Error, ErrorKind, METRIC_NAME, Matcher, Result, TimeRange};
use futures::StreamExt;
use lake::catalog::{self, CatalogTable};
use lake::{Lake, RowOptions, RowStore};
use prometheus::Registry;
use tokio::sync::mpsc::Sender;
use tsdb::export::SampleRows;
use tsdb::rollup::{BucketExport, Resolution};
use tsdb::{METRICS_TABLE, MetricStore, StoreOptions};

use super::encode::Piece;
use super::of_day;

/// The tenant that everything belongs to.
const TENANT: &str = "default";

/// Series that go to the thread that writes at once.
const SERIES_AT_ONCE: usize = 64;

/// In which parts a range is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Order {
    /// All at once: holds a batch of each segment.
    Whole,
    /// Day by day.
    ByDay,
    /// Metric by metric, as text wants to have a metric in one place.
    ByMetric,
}

/// An open store, and what of it is asked for.
pub(super) enum Source {
    Metrics(Box<MetricStore>, Vec<Matcher>),
    Rollups(Box<MetricStore>, Resolution, Vec<Matcher>),
    Rows(Box<RowStore>, &'static CatalogTable, Vec<Matcher>),
}

impl Source {
    pub(super) async fn open(
        lake: Arc<Lake>,
        table: &str,
        matchers: Vec<Matcher>,
        clock: Arc<dyn Clock>,
    ) -> Result<Self> {
        let registry = Registry::new();
        let resolution = Resolution::ALL.into_iter().find(|r| r.table() == table);
        if table == METRICS_TABLE || resolution.is_some() {
            let opening = MetricStore::open(lake, StoreOptions::default(), clock, &registry);
            let store = Box::new(Box::pin(opening).await?);
            return Ok(match resolution {
                Some(resolution) => Self::Rollups(store, resolution, matchers),
                None => Self::Metrics(store, matchers),
            });
        }
        let known = catalog::ALL.into_iter().find(|t| t.name() == table);
        let known = known.ok_or_else(|| {
            Error::new(
                ErrorKind::NotFound,
                format!("cannot export table {table}: this program does not know it"),
            )
        })?;
        let opening = RowStore::open(lake, known.spec(), RowOptions::default(), &registry);
        Ok(Self::Rows(Box::new(Box::pin(opening).await?), known, matchers))
    }

    /// The columns of the rows that it gives.
    pub(super) fn schema(&self) -> SchemaRef {
        match self {
            Self::Metrics(..) => SampleRows::schema(),
            Self::Rollups(..) => BucketExport::schema(),
            Self::Rows(_, table, _) => table.spec().schema,
        }
    }

    /// First and last millisecond of all that is stored.
    pub(super) fn time(&self) -> Result<Option<TimeRange>> {
        match self {
            Self::Metrics(store, _) => Ok(store.time()),
            Self::Rollups(store, resolution, _) => store.buckets_time(*resolution),
            Self::Rows(store, ..) => Ok(store.time()),
        }
    }

    /// The UTC days of a range on which there may be something, counted since 1970.
    pub(super) fn days(&self, range: TimeRange) -> Result<BTreeSet<i64>> {
        match self {
            Self::Metrics(store, _) => Ok(store.days(range)),
            Self::Rollups(store, resolution, _) => store.bucket_days(*resolution, range),
            Self::Rows(store, ..) => Ok(store.days(range)),
        }
    }

    /// Hands over what is in a range; of records what begins in it. `false` if nobody takes it any more.
    pub(super) async fn read(&self, order: Order, range: TimeRange, to: Sender<Piece>) -> Result<bool> {
        let parts = match order {
            Order::ByDay => self.days(range)?.into_iter().map(|day| of_day(day, range)).collect(),
            Order::Whole | Order::ByMetric => vec![range],
        };
        for part in parts {
            let taken = match self {
                Self::Metrics(store, matchers) if order == Order::ByMetric => {
                    by_metric(store, matchers, part, &to).await?
                }
                Self::Metrics(store, matchers) => series(store, matchers, part, &to).await?,
                Self::Rollups(store, resolution, matchers) => {
                    let mut rows = store.export_buckets(*resolution, matchers, part)?;
                    let mut taken = true;
                    while taken && let Some(batch) = rows.next().await? {
                        taken = to.send(Piece::Rows(batch)).await.is_ok();
                    }
                    taken
                }
                Self::Rows(store, table, matchers) => {
                    let mut rows = store.export(table, TENANT, matchers, part)?;
                    let mut taken = true;
                    while let Some(batch) = rows.next().await {
                        taken = taken && to.send(Piece::Rows(batch?)).await.is_ok();
                    }
                    taken
                }
            };
            if !taken {
                return Ok(false);
            }
        }
        Ok(to.send(Piece::End).await.is_ok())
    }

    /// Ends the store in order.
    pub(super) async fn close(&self) -> Result<()> {
        match self {
            Self::Metrics(store, _) | Self::Rollups(store, ..) => store.close().await,
            Self::Rows(store, ..) => store.close().await,
        }
    }
}

async fn by_metric(
    store: &MetricStore,
    matchers: &[Matcher],
    range: TimeRange,
    to: &Sender<Piece>,
) -> Result<bool> {
    let sets = if matchers.is_empty() { Vec::new() } else { vec![matchers.to_vec()] };
    let mut names = store.label_values(METRIC_NAME, &sets, range).await?;
    // Series without a name are told of.
    names.push(String::new());
    for name in names {
        let of_metric: Vec<Matcher> =
            matchers.iter().cloned().chain([Matcher::equal(METRIC_NAME, name)]).collect();
        if !series(store, &of_metric, range, to).await? {
            return Ok(false);
        }
    }
    Ok(true)
}

async fn series(
    store: &MetricStore,
    matchers: &[Matcher],
    range: TimeRange,
    to: &Sender<Piece>,
) -> Result<bool> {
    let mut export = Box::pin(store.export(matchers, range)).await?;
    let mut batch = Vec::new();
    while let Some(series) = export.next().await? {
        batch.push(series);
        if batch.len() >= SERIES_AT_ONCE && to.send(Piece::Series(std::mem::take(&mut batch))).await.is_err()
        {
            return Ok(false);
        }
    }
    Ok(batch.is_empty() || to.send(Piece::Series(batch)).await.is_ok())
}
