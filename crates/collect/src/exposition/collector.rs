//! Collects the samples of a classic histogram, which the text formats write one by one, into a native one with custom buckets.
//!
//! Owns which samples belong to one histogram: those that follow one another, are of the family that the last `# TYPE` was about, and
//! have the same labels but for `le`. Does not decide whether they are samples of their own as well.

use base::MetricType;
use xxhash_rust::xxh3::{Xxh3, xxh3_64};

use super::classic::Classic;
use super::number::parse_go_float;
use super::{Escapes, Exemplar, LabelSpan, Native, NativeExemplar, Series, Span};
use crate::exposition::Escaped;
use crate::limits::HISTOGRAM_EXEMPLARS_MAX;

/// Behind the bytes of a collected histogram, so that they are those of no other series.
const SEPARATOR: u8 = 0xff;

/// What a sample says of its histogram.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Part {
    Bucket(f64),
    Count,
    Sum,
}

/// The histogram that is being read.
#[derive(Debug, Default)]
pub(crate) struct Collector {
    /// As the target wrote it.
    family: Vec<u8>,
    is_histogram: bool,
    collecting: bool,
    /// Of the labels without `le`, in any order.
    hash: u64,
    /// The labels, those of exemplars too, copied together.
    text: Vec<u8>,
    labels: Vec<LabelSpan>,
    /// Name and labels.
    key: Vec<u8>,
    timestamp_ms: Option<i64>,
    start_ms: i64,
    classic: Classic,
    native: Native,
}

impl Collector {
    /// Forgets everything: a body begins.
    pub(crate) fn clear(&mut self) {
        self.is_histogram = false;
        self.collecting = false;
    }

    /// A family begins, or goes on. What was collected before has to be finished.
    pub(crate) fn set_type(&mut self, metric: Escaped<'_>, metric_type: MetricType) {
        self.family.clear();
        self.family.extend_from_slice(metric.raw());
        self.is_histogram = metric_type == MetricType::Histogram;
    }

    /// Whether a histogram was collected that a sample does not belong to. It has to be finished then.
    pub(crate) fn ends_before(&self, series: &Series<'_>) -> bool {
        self.collecting && (self.part(series).is_none() || hash(series) != self.hash)
    }

    /// Notes the time at which counting began, if the histogram that it is about is being collected.
    pub(crate) fn set_start(&mut self, created: &Series<'_>, start_ms: i64) {
        if self.collecting && hash(created) == self.hash {
            self.start_ms = start_ms;
        }
    }

    /// Takes a sample, if it belongs to a histogram.
    pub(crate) fn take(&mut self, series: &Series<'_>) -> bool {
        let Some(part) = self.part(series) else { return false };
        if !self.collecting {
            self.begin(series);
        }
        self.timestamp_ms = series.timestamp_ms;
        match part {
            Part::Bucket(bound) => self.classic.add_bucket(bound, series.value),
            Part::Count => self.classic.set_count(series.value),
            Part::Sum => self.classic.set_sum(series.value),
        }
        if let Some(exemplar) = &series.exemplar {
            self.take_exemplar(exemplar);
        }
        true
    }

    /// What was collected, if anything was, as a native histogram, or why it is none.
    pub(crate) fn finish(&mut self) -> Option<Result<(Series<'_>, &mut Native), String>> {
        if !std::mem::take(&mut self.collecting) {
            return None;
        }
        match self.classic.convert() {
            Ok(histogram) => self.native.histogram = histogram,
            Err(why) => return Some(Err(why)),
        }
        self.native.exemplars.sort_by_key(|e| e.timestamp_ms);
        let series = Series {
            bytes: &self.key,
            name: &self.family,
            body: &self.text,
            labels: &self.labels,
            escapes: Escapes::Quotes,
            family_type: MetricType::Histogram,
            bound: None,
            value: 0.0,
            timestamp_ms: self.timestamp_ms,
            start_ms: self.start_ms,
            exemplar: None,
        };
        Some(Ok((series, &mut self.native)))
    }

    fn part(&self, series: &Series<'_>) -> Option<Part> {
        if !self.is_histogram {
            return None;
        }
        match series.name().raw().strip_prefix(self.family.as_slice())? {
            b"_bucket" => {
                let (_, le) = series.labels().find(|(name, _)| name.raw() == b"le")?;
                parse_go_float(le.raw()).filter(|bound| !bound.is_nan()).map(Part::Bucket)
            }
            b"_count" => Some(Part::Count),
            b"_sum" => Some(Part::Sum),
            _ => None,
        }
    }

    fn begin(&mut self, series: &Series<'_>) {
        self.collecting = true;
        self.hash = hash(series);
        self.text.clear();
        self.labels.clear();
        self.key.clear();
        self.start_ms = series.start_ms;
        self.classic.clear();
        self.native.clear();
        self.key.extend_from_slice(&self.family);
        for (name, value) in own_labels(series) {
            let label = LabelSpan { name: self.copy(name), value: self.copy(value) };
            for part in [label.name, label.value] {
                self.key.push(SEPARATOR);
                self.key.extend_from_slice(part.of(&self.text));
            }
            self.labels.push(label);
        }
        self.key.push(SEPARATOR);
    }

    /// One without a time could not be told from the one that was exposed before; Prometheus leaves it out, too.
    fn take_exemplar(&mut self, exemplar: &Exemplar<'_>) {
        let Some(timestamp_ms) = exemplar.timestamp_ms else { return };
        if self.native.exemplars.len() >= HISTOGRAM_EXEMPLARS_MAX {
            return;
        }
        let from = self.native.exemplar_labels.len();
        for (name, value) in exemplar.labels() {
            let label = LabelSpan { name: self.copy(name), value: self.copy(value) };
            self.native.exemplar_labels.push(label);
        }
        let labels = (from, self.native.exemplar_labels.len());
        self.native.exemplars.push(NativeExemplar { labels, value: exemplar.value, timestamp_ms });
    }

    fn copy(&mut self, text: Escaped<'_>) -> Span {
        let start = self.text.len();
        self.text.extend_from_slice(text.raw());
        Span { start, end: self.text.len() }
    }
}

fn own_labels<'p>(series: &Series<'p>) -> impl Iterator<Item = (Escaped<'p>, Escaped<'p>)> {
    series.labels().filter(|(name, _)| name.raw() != b"le")
}

fn hash(series: &Series<'_>) -> u64 {
    let one = |(name, value): (Escaped<'_>, Escaped<'_>)| {
        let mut hash = Xxh3::with_seed(xxh3_64(name.raw()));
        hash.update(value.raw());
        hash.digest()
    };
    own_labels(series).map(one).fold(0, u64::wrapping_add)
}
