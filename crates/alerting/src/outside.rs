//! What rules need of the world: queries, a place for samples, a network.

use std::sync::Arc;

use async_trait::async_trait;
use base::{Histogram, Labels, LabelsBuilder, Matcher, Result, TimeRange, WriteBatch};
use promql::histogram::describe;

/// One series of a result, with its value at the time of the query.
#[derive(Debug, Clone, PartialEq)]
pub struct ResultSample {
    /// The series.
    pub labels: Labels,
    /// Its value; zero where that is a histogram.
    pub value: f64,
    /// Its value, if that is a native histogram.
    pub histogram: Option<Arc<Histogram>>,
}

impl ResultSample {
    /// A series with a number.
    pub fn float(labels: Labels, value: f64) -> Self {
        Self { labels, value, histogram: None }
    }

    /// Its value as a text.
    pub(crate) fn shown(&self) -> String {
        self.histogram.as_ref().map_or_else(|| self.value.to_string(), |h| describe(h))
    }

    /// Adds it to a batch.
    pub(crate) fn put(&self, t_ms: i64, batch: &mut WriteBatch) {
        batch.begin(&self.labels);
        match &self.histogram {
            None => batch.sample(t_ms, self.value),
            Some(histogram) => batch.histogram(t_ms, (**histogram).clone()),
        }
    }
}

/// The group whose rules ask, for logs of queries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Asker<'a> {
    /// The group's name.
    pub group: &'a str,
    /// The file that it stands in.
    pub file: &'a str,
}

/// The last sample that a series has in a range.
#[derive(Debug, Clone, PartialEq)]
pub struct LastSample {
    /// The series.
    pub labels: Labels,
    /// Its time, in milliseconds since the epoch.
    pub t_ms: i64,
    /// Its value, which may be the staleness marker.
    pub value: f64,
}

/// Reads what is stored. Called by several evaluations at a time, at most as many as the manager is told.
#[async_trait]
pub trait Querier: Send + Sync {
    /// Evaluates an expression at one time. A scalar comes as one series without labels; anything but a scalar or a
    /// vector is an error: "rule result is not a vector or scalar". The caller may drop the future.
    async fn query(&self, asker: Asker<'_>, expr: &str, t_ms: i64) -> Result<Vec<ResultSample>>;

    /// The last sample within the range of each series that satisfies all matchers, staleness markers included.
    async fn last_samples(&self, matchers: &[Matcher], range: TimeRange) -> Result<Vec<LastSample>>;
}

/// What became of the samples of an append.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Appended {
    /// Refused: later samples of the series are stored.
    pub out_of_order: u64,
    /// Refused: the time is stored with another value.
    pub duplicate: u64,
    /// Refused: older than late samples may be.
    pub too_old: u64,
    /// Refused for another reason, such as a limit on series.
    pub refused: u64,
}

impl Appended {
    /// All that were refused.
    pub fn total(&self) -> u64 {
        self.out_of_order + self.duplicate + self.too_old + self.refused
    }
}

/// Stores results. What is appended is durable and seen by queries when it resolves, and appending the same samples
/// again changes nothing and refuses nothing.
#[async_trait]
pub trait SampleSink: Send + Sync {
    /// Stores a batch; what cannot be stored of it is counted.
    async fn append(&self, batch: WriteBatch) -> Result<Appended>;
}

/// Changes the labels of an alert before it is sent.
pub trait Relabel: Send + Sync {
    /// Changes the labels; `false` drops the alert.
    fn relabel(&self, labels: &mut LabelsBuilder) -> bool;
}

/// Talks to one set of Alertmanagers, with the credentials that the configuration gives it.
#[async_trait]
pub trait AlertPost: Send + Sync {
    /// Posts a JSON body. Anything but a status of 2xx is an error. The caller drops the future once the set's timeout
    /// is over.
    async fn post(&self, url: &str, body: Vec<u8>) -> Result<()>;
}
