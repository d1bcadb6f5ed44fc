//! The section `alerting`: checked; alerts are not evaluated or sent yet.

use collect::config::NameValidation;

use super::grammar::{Key, Map, Section, Shape, no_rules};
use super::raw::Outcome;
use super::{discovery, http_client, relabel, remote};

/// The section.
pub(super) static SECTION: Section = Section {
    name: "alerting",
    keys: &[&[
        Key::new(
            "alert_relabel_configs",
            Shape::Sections(&relabel::SECTION, Some("empty or null alert relabeling rule")),
        ),
        Key::new("alertmanagers", Shape::Sections(&ALERTMANAGER, None)),
    ]],
    check: no_rules,
};

static ALERTMANAGER: Section = Section {
    name: "alertmanagers",
    keys: &[
        &[
            Key::new("sigv4", Shape::Section(&remote::SIGV4)),
            Key::new("scheme", Shape::Text),
            Key::new("path_prefix", Shape::Text),
            Key::new("timeout", Shape::Duration),
            Key::new("api_version", Shape::Text),
            Key::new(
                "relabel_configs",
                Shape::Sections(&relabel::SECTION, Some("empty or null Alertmanager target relabeling rule")),
            ),
            Key::new(
                "alert_relabel_configs",
                Shape::Sections(&relabel::SECTION, Some("empty or null Alertmanager alert relabeling rule")),
            ),
        ],
        http_client::KEYS,
        discovery::KEYS,
    ],
    check: check_alertmanager,
};

fn check_alertmanager(map: &Map<'_>) -> Outcome<()> {
    http_client::check(map)?;
    let authorized = ["basic_auth", "authorization", "oauth2"].iter().any(|k| map.has(k));
    map.require(
        !(authorized && map.has("sigv4")),
        "sigv4",
        "at most one of basic_auth, authorization, oauth2, & sigv4 must be configured",
    )?;
    let version = map.text_or("api_version", "v2")?;
    if version != "v2" {
        let text = format!("expected Alertmanager api version to be one of [v2] but got {version}");
        return map.problem("api_version", text);
    }
    discovery::check_static_targets(map)
}

/// Compiles every relabelling rule, which finds what the shapes do not.
pub(super) fn check_rules(map: &Map<'_>, validation: NameValidation) -> Outcome<()> {
    relabel::read(map, "alert_relabel_configs", validation)?;
    for alertmanager in map.maps("alertmanagers")? {
        relabel::read(&alertmanager, "alert_relabel_configs", validation)?;
        relabel::read(&alertmanager, "relabel_configs", validation)?;
    }
    Ok(())
}
