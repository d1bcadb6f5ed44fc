//! What an exposition says of a metric: type, help, unit.

use std::fmt;
use std::sync::Arc;

/// The type of a metric, as the exposition formats name it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum MetricType {
    /// Goes up, or restarts at zero.
    Counter,
    /// Any value at any time.
    Gauge,
    /// Observations counted in buckets.
    Histogram,
    /// A histogram of the current state, which can shrink.
    GaugeHistogram,
    /// Quantiles computed by the source.
    Summary,
    /// A constant 1 whose labels carry text.
    Info,
    /// One series per state, one of them 1.
    Stateset,
    /// Not said.
    #[default]
    Unknown,
}

impl MetricType {
    /// The name used by the Prometheus API and OpenMetrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
            Self::GaugeHistogram => "gaugehistogram",
            Self::Summary => "summary",
            Self::Info => "info",
            Self::Stateset => "stateset",
            Self::Unknown => "unknown",
        }
    }
}

impl fmt::Display for MetricType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Type, help and unit of one metric family.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct Metadata {
    /// The type.
    pub metric_type: MetricType,
    /// The help text, unescaped.
    pub help: Arc<str>,
    /// The unit, or the empty string.
    pub unit: Arc<str>,
}
