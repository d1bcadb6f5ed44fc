//! What a pushed request comes to, whichever protocol brought it, and the bounds on it as a whole.

use std::fmt::Display;

use base::{
    CounterResetHint, Error, ErrorKind, Exemplar, Histogram, Metadata, MetricType, Result, WriteBatch,
};

use crate::limits::{
    BUCKETS_PER_REQUEST, EXEMPLARS_PER_REQUEST, LABEL_BYTES_PER_REQUEST, METADATA_PER_REQUEST,
    REFUSALS_QUOTED, SAMPLES_PER_REQUEST, SERIES_PER_REQUEST,
};
use crate::protobuf::Malformed;
use crate::starts::ImpliedStarts;

/// What a request holds.
#[derive(Debug, Default)]
pub struct Decoded {
    /// Samples, histograms and exemplars, ready for the store.
    pub batch: WriteBatch,
    /// Samples that the request implies rather than has: zeros where counters started, and what is known of targets. That the store
    /// has them already, or has later ones, is nothing to tell a sender.
    pub implied: WriteBatch,
    /// Which zeros are among these, to be told once they are stored.
    pub starts: ImpliedStarts,
    /// What is not among them.
    pub refused: Refused,
    /// Descriptions of metric families.
    pub metadata: Vec<(Box<str>, Metadata)>,
    /// What was taken although something about it is odd.
    pub warnings: Warnings,
}

/// What was refused of a request whose rest is fine.
#[derive(Debug, Default)]
pub struct Refused {
    /// Series with labels that cannot be.
    pub series: u64,
    /// Series with labels beyond a limit.
    pub limited_series: u64,
    /// Samples and histograms of those series, and histograms that contradict themselves.
    pub samples: u64,
    /// Those of them that are refused for their labels.
    pub badly_labelled_samples: u64,
    /// Exemplars that cannot be read.
    pub exemplars: u64,
    /// Data points, where the protocol has these.
    pub points: u64,
    /// Why, for the first of them.
    pub errors: Vec<Error>,
}

impl Refused {
    pub(crate) fn note(&mut self, why: Error) {
        if self.errors.len() < REFUSALS_QUOTED {
            self.errors.push(why);
        }
    }

    /// Refuses a series with so many samples for its labels.
    pub(crate) fn series(&mut self, samples: usize, why: Error) {
        *if why.kind() == ErrorKind::Limit { &mut self.limited_series } else { &mut self.series } += 1;
        self.samples += samples as u64;
        self.badly_labelled_samples += samples as u64;
        self.note(why);
    }

    /// Whether anything was refused.
    pub fn is_empty(&self) -> bool {
        self.errors.is_empty()
    }
}

/// What is odd about a request, counted by Prometheus' categories, and said of the first.
#[derive(Debug, Default)]
pub struct Warnings {
    /// Metrics without data points.
    pub empty_data_points: u64,
    /// Labels that several attributes became.
    pub label_name_collision: u64,
    /// Histograms of nothing that have a sum.
    pub histogram_zero_count_non_zero_sum: u64,
    /// Targets whose data points span so long that what is known of them is stored for the end of it only.
    pub target_info_cut: u64,
    /// Targets of which nothing can be known, and exemplars that cannot be read.
    pub other: u64,
    /// What is said of the first of them.
    pub texts: Vec<String>,
}

impl Warnings {
    pub(crate) fn note(&mut self, text: impl FnOnce() -> String) {
        if self.texts.len() < REFUSALS_QUOTED {
            self.texts.push(text());
        }
    }

    /// Counts by category, as Prometheus names these.
    pub fn categories(&self) -> [(&'static str, u64); 5] {
        [
            ("empty_data_points", self.empty_data_points),
            ("label_name_collision", self.label_name_collision),
            ("histogram_zero_count_non_zero_sum", self.histogram_zero_count_non_zero_sum),
            ("target_info_cut", self.target_info_cut),
            ("other", self.other),
        ]
    }
}

/// Why the reading of a request ends early.
#[derive(Debug)]
pub(crate) enum Stop {
    Malformed(Malformed),
    Limit(&'static str, usize),
}

impl From<Malformed> for Stop {
    fn from(m: Malformed) -> Self {
        Self::Malformed(m)
    }
}

impl Stop {
    /// The error of a request, which `what` names.
    pub(crate) fn into_error(self, what: impl Display) -> Error {
        match self {
            Self::Malformed(m) => Error::invalid(format!("cannot decode {what}: {}", m.cause())),
            Self::Limit(name, limit) => Error::limit(format!(
                "cannot take {what}: it has more than {limit} {} (limit {name})",
                name.split("_per_").next().unwrap_or(name).replace('_', " ")
            )),
        }
    }
}

/// A request that is being decoded, within the limits of one.
#[derive(Debug, Default)]
pub(crate) struct Intake {
    pub(crate) out: Decoded,
    series: usize,
    samples: usize,
    exemplars: usize,
    buckets: usize,
    label_bytes: usize,
}

impl Intake {
    pub(crate) fn count_series(&mut self, samples: usize) -> Result<(), Stop> {
        self.series += 1;
        self.samples += samples;
        if self.series > SERIES_PER_REQUEST {
            return Err(Stop::Limit("series_per_request", SERIES_PER_REQUEST));
        }
        if self.samples > SAMPLES_PER_REQUEST {
            return Err(Stop::Limit("samples_per_request", SAMPLES_PER_REQUEST));
        }
        Ok(())
    }

    /// Counts the bytes of packed labels. A request that refers to its texts may name each of them many times.
    pub(crate) fn count_labels(&mut self, packed: &[u8]) -> Result<(), Stop> {
        self.label_bytes += packed.len();
        if self.label_bytes > LABEL_BYTES_PER_REQUEST {
            return Err(Stop::Limit("label_bytes_per_request", LABEL_BYTES_PER_REQUEST));
        }
        Ok(())
    }

    pub(crate) fn count_exemplars(&mut self, exemplars: usize) -> Result<(), Stop> {
        self.exemplars += exemplars;
        if self.exemplars > EXEMPLARS_PER_REQUEST {
            return Err(Stop::Limit("exemplars_per_request", EXEMPLARS_PER_REQUEST));
        }
        Ok(())
    }

    pub(crate) fn count_buckets(&mut self, histogram: &Histogram) -> Result<(), Stop> {
        self.buckets += histogram.positive.len() + histogram.negative.len() + histogram.custom_bounds.len();
        if self.buckets > BUCKETS_PER_REQUEST {
            return Err(Stop::Limit("buckets_per_request", BUCKETS_PER_REQUEST));
        }
        Ok(())
    }

    /// Adds an exemplar to the series begun last.
    pub(crate) fn exemplar(&mut self, exemplar: Exemplar) {
        self.out.batch.exemplar(exemplar);
    }

    /// Adds what is said of a metric family, unless it says nothing.
    pub(crate) fn describe(&mut self, family: &str, metadata: Metadata) {
        let says = metadata.metric_type != MetricType::Unknown
            || !metadata.help.is_empty()
            || !metadata.unit.is_empty();
        if says && !family.is_empty() && self.out.metadata.len() < METADATA_PER_REQUEST {
            self.out.metadata.push((family.into(), metadata));
        }
    }
}

/// A histogram that has counted nothing yet, with the buckets' layout of another.
pub(crate) fn nothing_like(h: &Histogram) -> Histogram {
    let counter_reset_hint = match h.counter_reset_hint {
        CounterResetHint::Gauge => CounterResetHint::Gauge,
        _ => CounterResetHint::Unknown,
    };
    Histogram {
        counter_reset_hint,
        is_float: h.is_float,
        schema: h.schema,
        zero_threshold: h.zero_threshold,
        custom_bounds: h.custom_bounds.clone(),
        ..Histogram::default()
    }
}

/// The metric family that a series belongs to.
pub(crate) fn family(metric: &str, of: MetricType) -> &str {
    let suffixes: &[&str] = match of {
        MetricType::Histogram | MetricType::GaugeHistogram => {
            &["_bucket", "_count", "_sum", "_gcount", "_gsum"]
        }
        MetricType::Summary => &["_count", "_sum"],
        _ => &[],
    };
    suffixes.iter().find_map(|s| metric.strip_suffix(s)).filter(|f| !f.is_empty()).unwrap_or(metric)
}
