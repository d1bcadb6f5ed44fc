//! When the counting of scraped samples began: OpenMetrics says it in samples of their own, `_created`, behind those that it is of.
//!
//! Owns which samples such a line is about: those of its family before it that have its labels, but for `le` of a histogram and
//! `quantile` of a summary. Prometheus looks ahead for the line instead, and so misses it where those of several series follow one
//! another.

use std::collections::HashMap;

use base::{CounterResetHint, Histogram, MetricType, Sample, SeriesHistogram, SeriesSample};
use xxhash_rust::xxh3::{Xxh3, xxh3_64};

use crate::exposition::{Escaped, Series};
use crate::limits::SERIES_PER_SCRAPE_MAX;

/// What ends the name of a sample that is a start.
const CREATED: &[u8] = b"_created";

/// The family that is being read.
#[derive(Debug, Default)]
pub(super) struct Starts {
    /// As the target wrote it.
    family: Vec<u8>,
    metric_type: MetricType,
    /// Positions in the output of the family's samples that have no start yet, by the hashes of their labels.
    waiting: HashMap<u64, Vec<usize>>,
}

/// A map with more room than this is not kept: to clear it would cost every small family what the large one needed.
const KEPT_ROOM: usize = 1024;

impl Starts {
    /// Forgets everything: a body begins.
    pub(super) fn clear(&mut self) {
        self.family.clear();
        self.metric_type = MetricType::Unknown;
        if self.waiting.capacity() > KEPT_ROOM {
            self.waiting = HashMap::new();
        }
        self.waiting.clear();
    }

    /// A family begins, or goes on.
    pub(super) fn set_type(&mut self, metric: Escaped<'_>, metric_type: MetricType) {
        self.clear();
        self.family.extend_from_slice(metric.raw());
        self.metric_type = metric_type;
    }

    /// The start in milliseconds that a sample is, rather than a series; `None` if it is not.
    pub(super) fn read(&self, series: &Series<'_>) -> Option<i64> {
        // A value that is no time counts as none: 0.
        let start_ms = (series.value * 1000.0) as i64;
        (self.rest_of_name(series)? == CREATED).then_some(start_ms)
    }

    /// Notes that a sample is at a position of the output.
    pub(super) fn note(&mut self, series: &Series<'_>, at: usize) {
        if self.rest_of_name(series).is_some() {
            let hash = self.hash(series);
            self.waiting.entry(hash).or_default().push(at);
        }
    }

    /// The positions of the samples that a start is about.
    pub(super) fn resolve(&mut self, created: &Series<'_>) -> Vec<usize> {
        let hash = self.hash(created);
        self.waiting.remove(&hash).unwrap_or_default()
    }

    /// What the name of a sample has behind that of its family, if the family is one of those that count.
    fn rest_of_name<'s>(&self, series: &'s Series<'_>) -> Option<&'s [u8]> {
        let counts =
            matches!(self.metric_type, MetricType::Counter | MetricType::Histogram | MetricType::Summary);
        if counts { series.name().raw().strip_prefix(self.family.as_slice()) } else { None }
    }

    /// Of labels in any order.
    fn hash(&self, series: &Series<'_>) -> u64 {
        let left_out: &[u8] = match self.metric_type {
            MetricType::Histogram => b"le",
            MetricType::Summary => b"quantile",
            _ => b"",
        };
        let one = |(name, value): (Escaped<'_>, Escaped<'_>)| {
            let mut hash = Xxh3::with_seed(xxh3_64(name.raw()));
            hash.update(value.raw());
            hash.digest()
        };
        series.labels().filter(|(name, _)| name.raw() != left_out).map(one).fold(0, u64::wrapping_add)
    }
}

/// The zeros where the counting of a target's series began, as far as the store is not known to have them.
#[derive(Debug, Default)]
pub(super) struct Zeros {
    /// The last start of each series whose zero was stored, by the hash of its labels.
    known: HashMap<u64, i64>,
    samples: Vec<SeriesSample>,
    histograms: Vec<SeriesHistogram>,
}

impl Zeros {
    /// Forgets the zeros of the scrape before.
    pub(super) fn clear(&mut self) {
        self.samples.clear();
        self.histograms.clear();
    }

    /// Takes those of the samples of a scrape.
    pub(super) fn take(&mut self, samples: &[SeriesSample]) {
        for s in samples.iter().filter(|s| s.start_ms != 0 && s.start_ms < s.sample.t_ms) {
            if self.known.get(&s.labels.stable_hash()) != Some(&s.start_ms) {
                let sample = Sample { t_ms: s.start_ms, value: 0.0 };
                self.samples.push(SeriesSample { labels: s.labels.clone(), sample, start_ms: 0 });
            }
        }
    }

    /// Takes those of the histograms of a scrape.
    pub(super) fn take_histograms(&mut self, histograms: &[SeriesHistogram]) {
        for h in histograms.iter().filter(|h| h.start_ms != 0 && h.start_ms < h.t_ms) {
            if self.known.get(&h.labels.stable_hash()) != Some(&h.start_ms) {
                let histogram = zero_like(&h.histogram);
                let labels = h.labels.clone();
                self.histograms.push(SeriesHistogram { labels, t_ms: h.start_ms, histogram, start_ms: 0 });
            }
        }
    }

    /// Whether there are none.
    pub(super) fn is_empty(&self) -> bool {
        self.samples.is_empty() && self.histograms.is_empty()
    }

    /// What is to be stored before the samples.
    pub(super) fn samples(&self) -> &[SeriesSample] {
        &self.samples
    }

    /// Likewise, of histograms.
    pub(super) fn histograms(&self) -> &[SeriesHistogram] {
        &self.histograms
    }

    /// Says that the store has taken or refused them.
    pub(super) fn stored(&mut self) {
        let samples = self.samples.drain(..).map(|s| (s.labels, s.sample.t_ms));
        for (labels, start_ms) in samples.chain(self.histograms.drain(..).map(|h| (h.labels, h.t_ms))) {
            // Zeros that are stored once more do no harm, so that forgetting everything is cheap.
            if self.known.len() >= SERIES_PER_SCRAPE_MAX {
                self.known.clear();
            }
            self.known.insert(labels.stable_hash(), start_ms);
        }
    }
}

/// A histogram without observations whose buckets would be those of another.
fn zero_like(h: &Histogram) -> Histogram {
    Histogram {
        counter_reset_hint: CounterResetHint::Reset,
        is_float: h.is_float,
        schema: h.schema,
        zero_threshold: h.zero_threshold,
        custom_bounds: h.custom_bounds.clone(),
        ..Histogram::default()
    }
}
