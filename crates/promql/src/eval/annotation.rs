//! Annotations: what a query wants to tell besides its result, in Prometheus' words.
//!
//! Each text is kept once, at the place that said it last; the position in the query is appended at the end.

use rustc_hash::FxHashMap;

use crate::Annotations;
use crate::ast::Span;
use crate::number::{format_g, format_g2};
use crate::quote::quote;

/// How much an annotation matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Level {
    Info,
    Warning,
}

#[derive(Debug, Clone)]
struct Entry {
    level: Level,
    text: String,
    position: usize,
    forced: Option<Forced>,
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
#[derive(Debug, Default)]
pub(crate) struct AnnotationSet {
    entries: Vec<Entry>,
    by_text: FxHashMap<String, usize>,
}

impl AnnotationSet {
    fn add(&mut self, level: Level, text: String, span: Span, forced: Option<Forced>) {
        if let Some(&at) = self.by_text.get(&text) {
            let entry = &mut self.entries[at];
            entry.position = span.start;
            entry.forced = match (entry.forced, forced) {
                (Some(a), Some(b)) => Some(a.merged(b)),
                (a, b) => a.or(b),
            };
            return;
        }
        self.by_text.insert(text.clone(), self.entries.len());
        self.entries.push(Entry { level, text, position: span.start, forced });
    }

    fn warning(&mut self, text: String, span: Span) {
        self.add(Level::Warning, text, span, None);
    }

    fn info(&mut self, text: String, span: Span) {
        self.add(Level::Info, text, span, None);
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

    /// A binary operator that floats do not have.
    pub(crate) fn incompatible_floats(&mut self, operator: &str, span: Span) {
        let text = "incompatible sample types encountered for binary operator";
        self.info(format!("{text} {operator:?}: float {operator} float"), span);
    }

    /// The buckets of a classic histogram were not monotonic.
    pub(crate) fn forced_monotonicity(&mut self, metric: &str, span: Span, forced: Forced) {
        let text = "input to histogram_quantile needed to be fixed for monotonicity (see \
                    https://prometheus.io/docs/prometheus/latest/querying/functions/#histogram_quantile)";
        self.add(Level::Info, with_metric(text.into(), metric), span, Some(forced));
    }

    /// The texts with their positions in the query.
    pub(crate) fn into_annotations(self, query: &str) -> Annotations {
        let mut out = Annotations::default();
        for entry in self.entries {
            let position = position(query, entry.position);
            let detail = entry.forced.map_or_else(String::new, |f| f.detail());
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
