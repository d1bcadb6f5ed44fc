//! What a query yields.

use std::sync::Arc;

use base::{Histogram, Labels, Sample};

/// A value with the series that it belongs to.
#[derive(Debug, Clone, PartialEq)]
pub struct VectorSample {
    /// The series.
    pub labels: Labels,
    /// Time of the evaluation and value; zero if that is a native histogram.
    pub sample: Sample,
    /// The native histogram that is the value, if one is.
    pub histogram: Option<Arc<Histogram>>,
}

/// A native histogram at a time.
#[derive(Debug, Clone, PartialEq)]
pub struct HistogramSample {
    /// Milliseconds since the epoch.
    pub t_ms: i64,
    /// The histogram.
    pub histogram: Arc<Histogram>,
}

/// A series with its points.
#[derive(Debug, Clone, PartialEq)]
pub struct Series {
    /// The series.
    pub labels: Labels,
    /// The points that are floats, in order of time.
    pub samples: Vec<Sample>,
    /// The points that are native histograms, likewise.
    pub histograms: Vec<HistogramSample>,
}

/// The result of a query. A range query yields a matrix, whatever the type of the expression.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// A number at the evaluation time.
    Scalar(Sample),
    /// A text at the evaluation time (milliseconds since the epoch).
    String(i64, String),
    /// One value per series; in the order of evaluation, which `sort` and `topk` define.
    Vector(Vec<VectorSample>),
    /// Points per series, in order of the labels.
    Matrix(Vec<Series>),
}

/// What a query wants to tell besides its result, each text once, with Prometheus' wording and position.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Annotations {
    /// The result is probably not what was meant.
    pub warnings: Vec<String>,
    /// The result may not be what was meant.
    pub infos: Vec<String>,
}

/// What a query cost.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct QueryStats {
    /// Series read from the source.
    pub series: u64,
    /// Samples read from the source, each time a step used them.
    pub samples: u64,
    /// Samples read from the source, once for all steps whose windows overlap.
    pub samples_read: u64,
    /// The most samples held at one time.
    pub peak_samples: u64,
    /// What each step cost, if [`crate::EvalOptions::step_stats`] asks for it.
    pub steps: Vec<StepStats>,
}

/// What one step of a query cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StepStats {
    /// The time of the step, milliseconds since the epoch.
    pub t_ms: i64,
    /// Samples that it used.
    pub samples: u64,
    /// Those of them that no step before it read.
    pub read: u64,
}

/// Result, annotations and cost of a query.
#[derive(Debug, Clone, PartialEq)]
pub struct QueryOutput {
    /// The result.
    pub value: Value,
    /// Warnings and infos.
    pub annotations: Annotations,
    /// What it cost.
    pub stats: QueryStats,
}
