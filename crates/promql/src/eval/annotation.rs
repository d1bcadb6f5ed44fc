//! Annotations: what a query wants to tell besides its result, in Prometheus' words.
//!
//! Each text is kept once, at the place that said it last; the position in the query is appended at the end.

use rustc_hash::FxHashMap;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::Annotations;
use crate::ast::Span;
use crate::histogram::{NanNote, Noted};
use crate::number::{format_g, format_g2};
use crate::quote::quote;

/// How much an annotation matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
enum Level {
    Info,
    Warning,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Entry {
    level: Level,
    text: String,
    place: Span,
    detail: Detail,
}

/// What is told at the end only, put together from all places that said the same.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
enum Detail {
    None,
    /// Nothing that a leaf tells.
    #[serde(skip)]
    Forced(Forced),
    Occurrences(u64),
}

/// What histograms were brought together for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Bringing {
    Addition,
    Subtraction,
    Aggregation,
}

impl Bringing {
    fn as_str(self) -> &'static str {
        match self {
            Self::Addition => "addition",
            Self::Subtraction => "subtraction",
            Self::Aggregation => "aggregation",
        }
    }
}

/// Where and how much `histogram_quantile` had to change its input to make the buckets monotonic.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Forced {
    /// Evaluation time of the first and of the last change.
    pub(crate) first_ms: i64,
    pub(crate) last_ms: i64,
    /// Lowest and highest bound of a changed bucket.
    pub(crate) min_bucket: f64,
    pub(crate) max_bucket: f64,
    /// The largest change.
    pub(crate) max_diff: f64,
    /// Number of changed inputs.
    pub(crate) samples: u64,
}

/// The annotations of an evaluation.
#[derive(Debug, Clone, Default)]
pub(crate) struct AnnotationSet {
    entries: Vec<Entry>,
    by_text: FxHashMap<String, usize>,
}

impl Serialize for AnnotationSet {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        self.entries.serialize(to)
    }
}

impl<'de> Deserialize<'de> for AnnotationSet {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let mut set = Self::default();
        set.extend_from(Vec::deserialize(from)?.into_iter(), 0);
        Ok(set)
    }
}

impl AnnotationSet {
    fn add(&mut self, level: Level, text: String, span: Span, detail: Detail) {
        if let Some(&at) = self.by_text.get(&text) {
            let entry = &mut self.entries[at];
            entry.place = span;
            entry.detail = match (entry.detail, detail) {
                (Detail::Forced(a), Detail::Forced(b)) => Detail::Forced(a.merged(b)),
                (Detail::Occurrences(a), Detail::Occurrences(b)) => Detail::Occurrences(a + b),
                (a, _) => a,
            };
            return;
        }
        self.by_text.insert(text.clone(), self.entries.len());
        self.entries.push(Entry { level, text, place: span, detail });
    }

    /// How many texts there are.
    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    /// The most times that one of them counted something.
    pub(crate) fn most_occurrences(&self) -> u64 {
        let of = |entry: &Entry| if let Detail::Occurrences(n) = entry.detail { n } else { 0 };
        self.entries.iter().map(of).max().unwrap_or(0)
    }

    /// Adds what another set has.
    pub(crate) fn extend(&mut self, other: Self) {
        self.extend_from(other.entries.into_iter(), 0);
    }

    /// Adds what another set has, at positions that are so much later. What stands nowhere stays there.
    pub(crate) fn extend_shifted(&mut self, other: &Self, by: isize) {
        self.extend_from(other.entries.iter().cloned(), by);
    }

    fn extend_from(&mut self, entries: impl Iterator<Item = Entry>, by: isize) {
        for Entry { level, text, place, detail } in entries {
            let is_somewhere = place != Span::default();
            let moved = |at: usize| if is_somewhere { at.saturating_add_signed(by) } else { at };
            let place = Span { start: moved(place.start), end: moved(place.end) };
            self.add(level, text, place, detail);
        }
    }

    fn warning(&mut self, text: String, span: Span) {
        self.add(Level::Warning, text, span, Detail::None);
    }

    fn info(&mut self, text: String, span: Span) {
        self.add(Level::Info, text, span, Detail::None);
    }

    /// A quantile is not between 0 and 1.
    pub(crate) fn invalid_quantile(&mut self, q: f64, span: Span) {
        self.warning(format!("quantile value should be between 0 and 1, got {}", format_g(q)), span);
    }

    /// A ratio is not between -1 and 1.
    pub(crate) fn invalid_ratio(&mut self, ratio: f64, capped: f64, span: Span) {
        let (ratio, capped) = (format_g(ratio), format_g(capped));
        self.warning(
            format!("ratio value should be between -1 and 1, got {ratio}, capping to {capped}"),
            span,
        );
    }

    /// A series of a classic histogram has no usable `le`.
    pub(crate) fn bad_bucket_label(&mut self, metric: &str, value: &str, span: Span) {
        let text = format!("bucket label \"le\" is missing or has a malformed value of {}", quote(value));
        self.warning(with_metric(text, metric), span);
    }

    /// `sort` in a range query.
    pub(crate) fn sort_in_range(&mut self, span: Span) {
        let text = "sort is ineffective for range queries since results are always ordered by labels";
        self.warning(text.into(), span);
    }

    /// A counter function over what does not look like a counter.
    pub(crate) fn possible_non_counter(&mut self, metric: &str, span: Span) {
        let text = "metric might not be a counter, name does not end in _total/_sum/_count/_bucket:";
        self.info(format!("{text} {}", quote(metric)), span);
    }

    /// As [`Self::possible_non_counter`], told by the label that says what a metric is.
    pub(crate) fn no_counter_type(&mut self, metric: &str, type_label: &str, span: Span) {
        let text = "metric might not be a counter, __type__ label is not set to \"counter\" or \"histogram\"";
        self.info(format!("{text}, got {}: {}", quote(type_label), quote(metric)), span);
    }

    /// A binary operator that these kinds of values do not have.
    pub(crate) fn incompatible_types(&mut self, left: &str, operator: &str, right: &str, span: Span) {
        let text = "incompatible sample types encountered for binary operator";
        self.info(format!("{text} {}: {left} {operator} {right}", quote(operator)), span);
    }

    /// A binary operator between histograms with exponential and with custom buckets.
    pub(crate) fn incompatible_layout(&mut self, operator: &str, span: Span) {
        let text = "incompatible bucket layout encountered for binary operator";
        self.warning(format!("{text} {operator}"), span);
    }

    /// A range of a series has floats and histograms, and the function cannot do with both.
    pub(crate) fn mixed_range(&mut self, metric: &str, span: Span) {
        let text = "encountered a mix of histograms and floats for metric name";
        self.warning(format!("{text} {}", quote(metric)), span);
    }

    /// A group has floats and histograms.
    pub(crate) fn mixed_group(&mut self, span: Span) {
        self.warning("encountered a mix of histograms and floats for aggregation".into(), span);
    }

    /// A classic and a native histogram have the same labels.
    pub(crate) fn mixed_classic_native(&mut self, metric: &str, span: Span) {
        let text = "vector contains a mix of classic and native histograms";
        self.warning(with_metric(text.into(), metric), span);
    }

    /// Histograms with exponential and with custom buckets cannot be brought together.
    pub(crate) fn mixed_schemas(&mut self, metric: &str, span: Span) {
        let text =
            "vector contains a mix of histograms with exponential and custom buckets schemas for metric name";
        self.warning(format!("{text} {}", quote(metric)), span);
    }

    /// A counter function over a gauge.
    pub(crate) fn not_a_counter(&mut self, metric: &str, span: Span) {
        self.warning(format!("this native histogram metric is not a counter: {}", quote(metric)), span);
    }

    /// A gauge function over a counter.
    pub(crate) fn not_a_gauge(&mut self, metric: &str, span: Span) {
        self.warning(format!("this native histogram metric is not a gauge: {}", quote(metric)), span);
    }

    /// An aggregation that histograms have no part in.
    pub(crate) fn ignored_in_aggregation(&mut self, operator: &str, span: Span) {
        self.info(format!("ignored histogram in {operator} aggregation"), span);
    }

    /// A range of a series has floats and histograms, and the function took the floats.
    pub(crate) fn ignored_in_range(&mut self, metric: &str, span: Span) {
        let text = "ignored histograms in a range containing both floats and histograms for metric name";
        self.info(format!("{text} {}", quote(metric)), span);
    }

    /// Observations of NaN bear on a quantile.
    pub(crate) fn nan_in_quantile(&mut self, note: NanNote, metric: &str, span: Span) {
        let result = match note {
            NanNote::Result => "result is NaN",
            NanNote::Skew => "result is skewed higher",
        };
        let text = format!("input to histogram_quantile has NaN observations, {result}");
        self.info(with_metric(text, metric), span);
    }

    /// Observations of NaN are in no fraction.
    pub(crate) fn nan_in_fraction(&mut self, metric: &str, span: Span) {
        let text = "input to histogram_fraction has NaN observations, which are excluded from all fractions";
        self.info(with_metric(text.into(), metric), span);
    }

    /// What there is to tell about bringing histograms together.
    pub(crate) fn brought_together(&mut self, noted: Noted, how: Bringing, span: Span) {
        let how = how.as_str();
        if noted.collision {
            self.warning(format!("conflicting counter resets during histogram {how}"), span);
        }
        if noted.reconciled {
            self.info(format!("mismatched custom buckets were reconciled during {how}"), span);
        }
    }

    /// The counting of a sample began before the previous sample, and not when that one's began.
    pub(crate) fn start_overlap(&mut self, metric: &str, occurrences: u64, span: Span) {
        let text = "sample has start time that overlaps with previous sample timestamp for metric";
        let text = format!("{text} {}", quote(metric));
        self.add(Level::Warning, text, span, Detail::Occurrences(occurrences));
    }

    /// The buckets of a classic histogram were not monotonic.
    pub(crate) fn forced_monotonicity(&mut self, metric: &str, span: Span, forced: Forced) {
        let text = "input to histogram_quantile needed to be fixed for monotonicity (see \
                    https://prometheus.io/docs/prometheus/latest/querying/functions/#histogram_quantile)";
        self.add(Level::Info, with_metric(text.into(), metric), span, Detail::Forced(forced));
    }

    /// The texts with their positions in the query.
    pub(crate) fn into_annotations(self, query: &str) -> Annotations {
        let mut out = Annotations::default();
        for entry in self.entries {
            let position = position(query, entry.place.start);
            let detail = match entry.detail {
                Detail::Forced(forced) => forced.detail(),
                Detail::Occurrences(n) if n > 1 => format!(" ({n} occurrences)"),
                Detail::None | Detail::Occurrences(_) => String::new(),
            };
            match entry.level {
                Level::Warning => {
                    out.warnings.push(format!("PromQL warning: {}{detail} ({position})", entry.text));
                }
                Level::Info => out.infos.push(format!("PromQL info: {}{detail} ({position})", entry.text)),
            }
        }
        out
    }
}

impl Forced {
    fn merged(self, other: Self) -> Self {
        Self {
            first_ms: self.first_ms.min(other.first_ms),
            last_ms: self.last_ms.max(other.last_ms),
            min_bucket: self.min_bucket.min(other.min_bucket),
            max_bucket: self.max_bucket.max(other.max_bucket),
            max_diff: self.max_diff.max(other.max_diff),
            samples: self.samples + other.samples,
        }
    }

    fn detail(&self) -> String {
        format!(
            ", from buckets {} to {}, with a max diff of {}, over {} samples from {} to {}",
            format_g(self.min_bucket),
            format_g(self.max_bucket),
            format_g2(self.max_diff),
            self.samples,
            crate::functions::time::rfc3339(self.first_ms.div_euclid(1000)),
            crate::functions::time::rfc3339(self.last_ms.div_euclid(1000)),
        )
    }
}

fn with_metric(text: String, metric: &str) -> String {
    if metric.is_empty() { text } else { format!("{text} for metric name {}", quote(metric)) }
}

/// Line and column of a byte of the query, both counted from 1.
fn position(query: &str, at: usize) -> String {
    if query.is_empty() {
        return "unknown position".into();
    }
    let Some(before) = query.as_bytes().get(..at) else { return "invalid position".into() };
    let line = 1 + before.iter().filter(|b| **b == b'\n').count();
    let column = at - before.iter().rposition(|b| *b == b'\n').map_or(0, |p| p + 1) + 1;
    format!("{line}:{column}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_kept_once_and_carry_their_position() {
        let mut set = AnnotationSet::default();
        set.possible_non_counter("x", Span { start: 5, end: 6 });
        set.possible_non_counter("x", Span { start: 7, end: 8 });
        set.invalid_quantile(2.0, Span { start: 0, end: 1 });
        let out = set.into_annotations("sum(\n rate(x[5m]))");
        assert_eq!(
            out.infos,
            [
                "PromQL info: metric might not be a counter, name does not end in _total/_sum/_count/_bucket: \"x\" (2:3)"
            ]
        );
        assert_eq!(out.warnings, ["PromQL warning: quantile value should be between 0 and 1, got 2 (1:1)"]);
    }
}
