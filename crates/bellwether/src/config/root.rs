//! The top level of the configuration, and the files that `scrape_config_files` names.

use super::grammar::{Key, Map, Section, Shape, no_rules};
use super::pattern::only_last_part_has_star;
use super::raw::Outcome;
use super::{alerting, bounds, exporters, global, otlp, remote, scrape, storage};

const SCRAPE_CONFIGS: Key = Key::new(
    "scrape_configs",
    Shape::Sections(&scrape::SECTION, Some("empty or null scrape config section")),
);

/// The top level.
pub(super) static SECTION: Section = Section {
    name: "",
    keys: &[&[
        Key::new("global", Shape::Section(&global::SECTION)),
        SCRAPE_CONFIGS,
        Key::new("scrape_config_files", Shape::Texts),
        Key::new("exporters", Shape::Section(&exporters::SECTION)),
        Key::new("runtime", Shape::Section(&storage::RUNTIME))
            .without_effect("there is no garbage collector to tune"),
        Key::new("alerting", Shape::Section(&alerting::SECTION)),
        Key::new("rule_files", Shape::Texts),
        Key::new("storage", Shape::Section(&storage::STORAGE)),
        Key::new("enable_features", Shape::Texts),
        Key::new("limits", Shape::Section(&bounds::SECTION)),
        Key::new("tracing", Shape::Section(&storage::TRACING))
            .without_effect("this program's own traces are not exported yet"),
        Key::new(
            "remote_write",
            Shape::Sections(&remote::WRITE, Some("empty or null remote write config section")),
        ),
        Key::new(
            "remote_read",
            Shape::Sections(&remote::READ, Some("empty or null remote read config section")),
        )
        .without_effect("other stores are not read yet"),
        Key::new("otlp", Shape::Section(&otlp::SECTION)),
    ]],
    check: check_patterns,
};

/// A file that `scrape_config_files` names.
pub(super) static SCRAPE_FILE: Section = Section { name: "", keys: &[&[SCRAPE_CONFIGS]], check: no_rules };

fn check_patterns(map: &Map<'_>) -> Outcome<()> {
    for (key, what) in [("rule_files", "rule"), ("scrape_config_files", "scrape config")] {
        for path in map.texts(key)? {
            let text = format!("invalid {what} file path {path:?}");
            map.require(only_last_part_has_star(path), key, &text)?;
        }
    }
    Ok(())
}
