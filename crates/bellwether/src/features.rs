//! What is off unless asked for, by the names that Prometheus has for it: `--enable-feature` and `enable_features` of the configuration.
//!
//! Owns the names, and what is said of those that change nothing. What a feature does is decided where it is done.

use base::{Error, Result, nearest};
use engine::{EngineOptions, ParseOptions};

/// Features that can be asked for.
const KNOWN: &[&str] = &[
    "created-timestamp-zero-ingestion",
    "otlp-deltatocumulative",
    "otlp-native-delta-ingestion",
    "promql-binop-fill-modifiers",
    "promql-delayed-name-removal",
    "promql-experimental-functions",
    "promql-extended-range-selectors",
    "promql-per-step-stats",
    "st-storage",
    "type-and-unit-labels",
    "use-start-timestamps",
];

/// Prometheus' features that are always on here, and what they are.
const ALWAYS_ON: &[(&str, &str)] = &[
    ("concurrent-rule-eval", "rules that do not depend on each other are evaluated at the same time"),
    ("exemplar-storage", "exemplars are stored"),
    ("expand-external-labels", "external labels may name variables of the environment"),
    ("fast-startup", "a start reads a checkpoint of what is in memory"),
    ("memory-snapshot-on-shutdown", "a start reads a checkpoint of what is in memory"),
    ("metadata-wal-records", "what is known of metrics goes along by remote write 2.0"),
    ("native-histograms", "native histograms are stored"),
    ("ooo-native-histograms", "late native histograms are stored"),
    ("promql-at-modifier", "queries take @"),
    ("promql-duration-expr", "queries take expressions of durations"),
    ("promql-negative-offset", "queries take negative offsets"),
    ("search-api", "the search API answers"),
];

/// Prometheus' features that are not here: what each would do, and what there is in its place.
const ABSENT: &[(&str, &str)] = &[
    (
        "auto-reload-config",
        "it would reload the configuration when its file changes; send SIGHUP or POST /-/reload instead",
    ),
    ("delayed-compaction", "it would delay Prometheus' compaction by a random time; there is none here"),
    (
        "extra-scrape-metrics",
        "it would write series about limits and timeouts of scrapes; they are not written",
    ),
    (
        "histograms-st-encoding",
        "it would change the format of Prometheus' blocks; samples are stored in another format here",
    ),
    ("old-ui", "it would serve the pages of Prometheus 2; there is one web interface here"),
    (
        "st-synthesis",
        "it would make up start timestamps and subtract the first value of scraped counters; their values are stored as they are",
    ),
    ("use-uncached-io", "it would write Prometheus' blocks past the page cache; there are none here"),
    (
        "xor2-encoding",
        "it would change the format of Prometheus' blocks; samples are stored in another format here",
    ),
];

/// The features that were asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Features {
    on: Vec<&'static str>,
    notices: Vec<String>,
}

impl Features {
    /// Checks names; Prometheus lets several stand in one, with commas between them. What it has and this program has not is a
    /// notice; a name that neither has is an error.
    pub fn of<'a>(names: impl IntoIterator<Item = &'a str>) -> Result<Self> {
        Self::default().and(names)
    }

    /// These features and others.
    pub fn and<'a>(mut self, names: impl IntoIterator<Item = &'a str>) -> Result<Self> {
        let names = names.into_iter().flat_map(|names| names.split(',')).map(str::trim);
        for name in names.filter(|name| !name.is_empty()) {
            self.add(name)?;
        }
        if self.has("otlp-deltatocumulative") && self.has("otlp-native-delta-ingestion") {
            let text =
                "cannot enable otlp-deltatocumulative and otlp-native-delta-ingestion at the same time";
            return Err(Error::invalid(text));
        }
        Ok(self)
    }

    fn add(&mut self, name: &str) -> Result<()> {
        let of = |list: &[(&str, &'static str)]| list.iter().find(|(n, _)| *n == name).map(|(_, text)| *text);
        let notice = match KNOWN.iter().find(|known| **known == name) {
            Some(known) if self.on.contains(known) => return Ok(()),
            Some(known) => {
                self.on.push(known);
                return Ok(());
            }
            None => match (of(ALWAYS_ON), of(ABSENT)) {
                (Some(text), _) => format!("feature {name} changes nothing: {text} without it"),
                (None, Some(text)) => format!("feature {name} has no effect here: {text}"),
                (None, None) => return Err(Error::invalid(unknown(name))),
            },
        };
        if !self.notices.contains(&notice) {
            self.notices.push(notice);
        }
        Ok(())
    }

    /// Whether a feature was asked for.
    pub(crate) fn has(&self, name: &str) -> bool {
        debug_assert!(KNOWN.contains(&name), "{name} is no feature");
        self.on.contains(&name)
    }

    /// What should be said of names that change nothing, a sentence each.
    pub fn notices(&self) -> &[String] {
        &self.notices
    }

    /// The parts of the query language that were asked for.
    pub(crate) fn language(&self) -> ParseOptions {
        ParseOptions {
            experimental_functions: self.has("promql-experimental-functions"),
            extended_range_selectors: self.has("promql-extended-range-selectors"),
            fill_modifiers: self.has("promql-binop-fill-modifiers"),
        }
    }

    /// The engine's options with what was asked for.
    pub(crate) fn engine(&self) -> EngineOptions {
        EngineOptions {
            language: self.language(),
            delayed_name_removal: self.has("promql-delayed-name-removal"),
            type_and_unit_labels: self.has("type-and-unit-labels"),
            step_stats: self.has("promql-per-step-stats"),
            use_start_timestamps: self.has("use-start-timestamps"),
            ..EngineOptions::default()
        }
    }

    /// The names as the command line takes them.
    pub(crate) fn text(&self) -> String {
        self.on.join(",")
    }
}

fn unknown(name: &str) -> String {
    let others = ALWAYS_ON.iter().chain(ABSENT).map(|(name, _)| *name);
    let names = KNOWN.iter().copied().chain(others);
    match nearest(name, names) {
        Some(near) => format!("cannot enable feature {name:?}: there is none, did you mean {near:?}?"),
        None => format!("cannot enable feature {name:?}: there are {}", KNOWN.join(", ")),
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
        assert_eq!(of(&["", ","]).unwrap(), Features::default());
        let said = of(&["type-and-unit-label"]).unwrap_err();
        assert!(said.message().contains("did you mean \"type-and-unit-labels\""), "{said}");
        let said = of(&["otlp-deltatocumulative,otlp-native-delta-ingestion"]).unwrap_err();
        assert!(said.message().contains("at the same time"), "{said}");
    }

    #[test]
    fn what_changes_nothing_is_said_once() {
        let of = Features::of(["exemplar-storage,st-synthesis,exemplar-storage"]).unwrap();
        assert_eq!(of.text(), "");
        let [on, absent] = of.notices() else { panic!("{of:?}") };
        assert_eq!(on, "feature exemplar-storage changes nothing: exemplars are stored without it");
        assert!(
            absent.starts_with("feature st-synthesis has no effect here: it would make up start timestamps")
        );
    }
}
