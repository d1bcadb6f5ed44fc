//! Exemplars: a measured value together with what tells where it comes from, most often a trace.

use crate::Labels;

/// Characters that the names and values of an exemplar's labels may have together, after the OpenMetrics specification and
/// Prometheus.
pub const EXEMPLAR_LABEL_CHARS: usize = 128;

/// An exemplar of a series.
#[derive(Debug, Clone, PartialEq)]
pub struct Exemplar {
    /// Labels of the measurement, such as `trace_id`; those of the series are not among them.
    pub labels: Labels,
    /// The value.
    pub value: f64,
    /// When it was measured, in milliseconds since the epoch.
    pub t_ms: i64,
}

impl Exemplar {
    /// Whether the labels are within [`EXEMPLAR_LABEL_CHARS`].
    pub fn fits(&self) -> bool {
        let chars = |(name, value): (&str, &str)| name.chars().count() + value.chars().count();
        self.labels.iter().map(chars).sum::<usize>() <= EXEMPLAR_LABEL_CHARS
    }
}

/// An exemplar with the series that it belongs to.
#[derive(Debug, Clone, PartialEq)]
pub struct SeriesExemplar {
    /// The series.
    pub labels: Labels,
    /// The exemplar.
    pub exemplar: Exemplar,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_have_a_bounded_number_of_characters() {
        let fits = |n: usize| {
            let value = "ü".repeat(n);
            Exemplar { labels: Labels::from_pairs([("a", value.as_str())]), value: 1.0, t_ms: 0 }.fits()
        };
        assert!(fits(127) && !fits(128));
    }
}
