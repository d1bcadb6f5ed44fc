//! The section `global`: defaults for every scrape configuration, and the labels of this server.

use std::path::{Path, PathBuf};
use std::time::Duration;

use base::Labels;
use collect::config::NameValidation;

use super::expand::expand;
use super::grammar::{Key, Map, Notice, Section, Shape};
use super::protocols;
use super::raw::Outcome;
use super::scalar;

/// The section's keys.
pub(super) static SECTION: Section = Section {
    name: "global",
    keys: &[
        &[
            Key::new("scrape_interval", Shape::Duration),
            Key::new("scrape_timeout", Shape::Duration),
            Key::new("scrape_protocols", Shape::Texts),
            Key::new("evaluation_interval", Shape::Duration),
            Key::new("rule_query_offset", Shape::Duration),
            Key::new("query_log_file", Shape::Text),
            Key::new("scrape_failure_log_file", Shape::Text)
                .without_effect("scrape failures are logged with everything else"),
            Key::new("external_labels", Shape::Labels),
            Key::new("metric_name_validation_scheme", Shape::Text),
        ],
        LIMIT_KEYS,
        HISTOGRAM_KEYS,
    ],
    check: check_rules,
};

/// Limits of a scrape, in `global` and in each scrape configuration.
pub(super) const LIMIT_KEYS: &[Key] = &[
    Key::new("body_size_limit", Shape::Size),
    Key::new("sample_limit", Shape::Count),
    Key::new("target_limit", Shape::Count),
    Key::new("label_limit", Shape::Count),
    Key::new("label_name_length_limit", Shape::Count),
    Key::new("label_value_length_limit", Shape::Count),
    Key::new("keep_dropped_targets", Shape::Count),
];

/// Options of histograms, names and extra series, in `global` and in each scrape configuration.
pub(super) const HISTOGRAM_KEYS: &[Key] = &[
    Key::new("scrape_native_histograms", Shape::Bool),
    Key::new("convert_classic_histograms_to_nhcb", Shape::Bool),
    Key::new("always_scrape_classic_histograms", Shape::Bool),
    Key::new("extra_scrape_metrics", Shape::Bool)
        .without_effect_unless("false", "the extra series about a scrape are not written yet"),
    Key::new("metric_name_escaping_scheme", Shape::Text),
];

/// The section, with every default applied.
#[derive(Debug, Clone, PartialEq)]
pub struct Global {
    /// Time between two scrapes of a target.
    pub scrape_interval: Duration,
    /// How long one scrape may take.
    pub scrape_timeout: Duration,
    /// Time between two evaluations of a rule group.
    pub evaluation_interval: Duration,
    /// How far back rules look that do not say.
    pub rule_query_offset: Duration,
    /// Which metric and label names are accepted.
    pub name_validation: NameValidation,
    /// Where queries are logged, if anywhere.
    pub query_log_file: Option<PathBuf>,
}

const DEFAULT_INTERVAL: Duration = Duration::from_secs(60);
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(10);

impl Default for Global {
    fn default() -> Self {
        Self {
            scrape_interval: DEFAULT_INTERVAL,
            scrape_timeout: DEFAULT_TIMEOUT,
            evaluation_interval: DEFAULT_INTERVAL,
            rule_query_offset: Duration::ZERO,
            name_validation: NameValidation::Utf8,
            query_log_file: None,
        }
    }
}

/// The value, or the default where it is zero.
pub(super) fn or_default(value: Duration, default: Duration) -> Duration {
    if value.is_zero() { default } else { value }
}

/// Reads a name validation scheme; `None` where it is not set.
pub(super) fn name_validation(map: &Map<'_>) -> Outcome<Option<NameValidation>> {
    const KEY: &str = "metric_name_validation_scheme";
    match map.text(KEY)? {
        "" => Ok(None),
        "utf8" => Ok(Some(NameValidation::Utf8)),
        "legacy" => Ok(Some(NameValidation::Legacy)),
        other => map.problem(KEY, format!("unrecognized ValidationScheme: {other:?}")),
    }
}

fn check_rules(map: &Map<'_>) -> Outcome<()> {
    let validation = name_validation(map)?.unwrap_or_default();
    for entry in map.map("external_labels").entries {
        if validation == NameValidation::Legacy && !base::is_legacy_label_name(&entry.key.text) {
            return map.problem("external_labels", format!("{:?} is not a valid label name", entry.key.text));
        }
    }
    let interval = or_default(map.duration("scrape_interval")?, DEFAULT_INTERVAL);
    let fits = map.duration("scrape_timeout")? <= interval;
    map.require(fits, "scrape_timeout", "global scrape timeout greater than scrape interval")?;
    if map.has("scrape_protocols") {
        protocols::check(map, "for global config")?;
    }
    Ok(())
}

/// Reads the section. A relative path is relative to `dir`.
pub(super) fn read(map: &Map<'_>, dir: &Path) -> Outcome<Global> {
    let scrape_interval = or_default(map.duration("scrape_interval")?, DEFAULT_INTERVAL);
    Ok(Global {
        scrape_interval,
        scrape_timeout: or_default(map.duration("scrape_timeout")?, DEFAULT_TIMEOUT.min(scrape_interval)),
        evaluation_interval: or_default(map.duration("evaluation_interval")?, DEFAULT_INTERVAL),
        rule_query_offset: map.duration("rule_query_offset")?,
        name_validation: name_validation(map)?.unwrap_or_default(),
        query_log_file: match map.text("query_log_file")? {
            "" => None,
            file => Some(dir.join(file)),
        },
    })
}

/// Reads the external labels. Environment variables in them come from `env`; one that is empty or not set leaves
/// nothing, and a notice.
pub(super) fn read_external_labels(
    map: &Map<'_>,
    env: &dyn Fn(&str) -> Option<String>,
    notices: &mut Vec<Notice>,
) -> Outcome<Labels> {
    let mut labels = Vec::new();
    for entry in map.map("external_labels").entries {
        let value = scalar::text(&entry.key.text, &entry.value)?;
        let expanded = expand(value, |name| {
            let found = env(name).filter(|v| !v.is_empty());
            if found.is_none() {
                let text = format!("environment variable {name:?} is empty or not set");
                notices.push(Notice { line: entry.line, key: entry.key.text.clone(), text });
            }
            found.unwrap_or_default()
        });
        labels.push((entry.key.text.as_str(), expanded));
    }
    Ok(Labels::from_pairs(labels))
}
