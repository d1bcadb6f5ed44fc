//! What is off unless asked for, by the names that Prometheus has for it: `--enable-feature` and `enable_features` of the configuration.
//!
//! Owns the names. What a feature does is decided where it is done.

use base::{Error, Result, nearest};
use engine::ParseOptions;

/// Features that can be asked for, and what each does.
const KNOWN: &[(&str, &str)] = &[
    ("created-timestamp-zero-ingestion", "store a zero where a counter started, if its sender says when"),
    ("otlp-deltatocumulative", "add up the deltas that OTLP senders send"),
    ("otlp-native-delta-ingestion", "store the deltas that OTLP senders send as they are"),
    ("promql-binop-fill-modifiers", "take fill, fill_left and fill_right in queries"),
    ("promql-experimental-functions", "take functions and aggregations that may still change"),
    ("promql-extended-range-selectors", "take anchored and smoothed in queries"),
    ("type-and-unit-labels", "give pushed series the labels __type__ and __unit__"),
];

/// Prometheus' other features, which change nothing here: they are always on, or there is nothing that they could change.
const WITHOUT_EFFECT: &[&str] = &[
    "auto-reload-config",
    "concurrent-rule-eval",
    "delayed-compaction",
    "exemplar-storage",
    "extra-scrape-metrics",
    "fast-startup",
    "histograms-st-encoding",
    "memory-snapshot-on-shutdown",
    "metadata-wal-records",
    "native-histograms",
    "old-ui",
    "ooo-native-histograms",
    "promql-delayed-name-removal",
    "promql-duration-expr",
    "promql-per-step-stats",
    "search-api",
    "st-storage",
    "st-synthesis",
    "use-start-timestamps",
    "use-uncached-io",
    "xor2-encoding",
];

/// The features that were asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Features(Vec<&'static str>);

impl Features {
    /// Checks names; Prometheus lets several stand in one, with commas between them.
    pub(crate) fn of<'a>(names: impl IntoIterator<Item = &'a str>) -> Result<Self> {
        let mut found = Vec::new();
        for name in names.into_iter().flat_map(|names| names.split(',')).map(str::trim) {
            match KNOWN.iter().find(|(known, _)| *known == name) {
                Some((known, _)) if found.contains(known) => {}
                Some((known, _)) => found.push(*known),
                None if WITHOUT_EFFECT.contains(&name) => {
                    tracing::warn!(feature = name, "--enable-feature: this feature has no effect here");
                }
                None => return Err(Error::invalid(unknown(name))),
            }
        }
        let features = Self(found);
        if features.has("otlp-deltatocumulative") && features.has("otlp-native-delta-ingestion") {
            let text =
                "cannot enable otlp-deltatocumulative and otlp-native-delta-ingestion at the same time";
            return Err(Error::invalid(text));
        }
        Ok(features)
    }

    /// Whether a feature was asked for.
    pub(crate) fn has(&self, name: &str) -> bool {
        debug_assert!(KNOWN.iter().any(|(known, _)| *known == name), "{name} is no feature");
        self.0.contains(&name)
    }

    /// The parts of the query language that were asked for.
    pub(crate) fn language(&self) -> ParseOptions {
        ParseOptions {
            experimental_functions: self.has("promql-experimental-functions"),
            extended_range_selectors: self.has("promql-extended-range-selectors"),
            fill_modifiers: self.has("promql-binop-fill-modifiers"),
        }
    }

    /// The names as the command line takes them.
    pub(crate) fn text(&self) -> String {
        self.0.join(",")
    }
}

fn unknown(name: &str) -> String {
    let names = KNOWN.iter().map(|(known, _)| *known).chain(WITHOUT_EFFECT.iter().copied());
    match nearest(name, names.clone()) {
        Some(near) => format!("cannot enable feature {name:?}: there is none, did you mean {near:?}?"),
        None => {
            let all: Vec<_> = names.collect();
            format!("cannot enable feature {name:?}: there are {}", all.join(", "))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_checked() {
        let of = |names: &[&str]| Features::of(names.iter().copied());
        let some = of(&["type-and-unit-labels, otlp-deltatocumulative", "type-and-unit-labels"]).unwrap();
        assert_eq!(some.text(), "type-and-unit-labels,otlp-deltatocumulative");
        assert!(some.has("otlp-deltatocumulative") && !some.has("otlp-native-delta-ingestion"));
        assert_eq!(of(&["exemplar-storage"]).unwrap(), Features::default());
        let said = of(&["type-and-unit-label"]).unwrap_err();
        assert!(said.message().contains("did you mean \"type-and-unit-labels\""), "{said}");
        let said = of(&["otlp-deltatocumulative,otlp-native-delta-ingestion"]).unwrap_err();
        assert!(said.message().contains("at the same time"), "{said}");
    }
}
