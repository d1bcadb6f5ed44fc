//! The section `alerting`: the Alertmanagers that alerts are sent to.

use std::path::Path;
use std::time::Duration;

use collect::config::{HttpConfig, NameValidation, Scheme};
use collect::endpoint::EndpointConfig;
use collect::relabel::Rule;

use super::global::or_default;
use super::grammar::{Key, Map, Section, Shape, no_rules};
use super::raw::Outcome;
use super::{cloud, discovery, http_client, relabel};

/// How long one request to an Alertmanager may take where the configuration does not say.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(10);

/// The section, with every default applied.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Alerting {
    /// Rules for the labels of all alerts.
    pub alert_relabel_configs: Vec<Rule>,
    /// Where alerts are sent.
    pub alertmanagers: Vec<AlertmanagerConfig>,
}

/// Alertmanagers that share settings.
#[derive(Debug, Clone, PartialEq)]
pub struct AlertmanagerConfig {
    /// How they are found.
    pub endpoints: EndpointConfig,
    /// How long one request may take.
    pub timeout: Duration,
    /// How to talk to them.
    pub http: HttpConfig,
    /// Rules for the labels of alerts that go there.
    pub alert_relabel_configs: Vec<Rule>,
}

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
            Key::new("sigv4", Shape::Section(&cloud::SIGV4)),
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

/// Reads the section. File names are relative to `dir`.
pub(super) fn read(map: &Map<'_>, validation: NameValidation, dir: &Path) -> Outcome<Alerting> {
    let one = |map: &Map<'_>| {
        let scheme = map.text_or("scheme", "http")?;
        let scheme: Scheme = match scheme {
            "http" | "https" => {
                scheme.parse().or_else(|e: base::Error| map.problem("scheme", e.message()))?
            }
            other => {
                return map.problem("scheme", format!("unsupported scheme {other:?}: use http or https"));
            }
        };
        let mut http = http_client::read(map, dir)?;
        if map.has("sigv4") {
            http.authorization = cloud::read_sigv4(&map.map("sigv4"))?;
        }
        Ok(AlertmanagerConfig {
            endpoints: EndpointConfig {
                scheme,
                path: alerts_path(map.text("path_prefix")?),
                static_configs: discovery::read_static(map)?,
                file_sd_configs: discovery::read_files(map, dir)?,
                http_sd_configs: discovery::read_http(map, dir)?,
                relabel_configs: relabel::read(map, "relabel_configs", validation)?,
            },
            timeout: or_default(map.duration("timeout")?, DEFAULT_TIMEOUT),
            http,
            alert_relabel_configs: relabel::read(map, "alert_relabel_configs", validation)?,
        })
    };
    Ok(Alerting {
        alert_relabel_configs: relabel::read(map, "alert_relabel_configs", validation)?,
        alertmanagers: map.maps("alertmanagers")?.iter().map(one).collect::<Outcome<_>>()?,
    })
}

/// The path of version 2 of the API, below a prefix.
fn alerts_path(prefix: &str) -> String {
    let parts = prefix.split('/').filter(|p| !p.is_empty() && *p != ".");
    parts.chain(["api", "v2", "alerts"]).fold(String::new(), |path, part| path + "/" + part)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_stands_before_the_path() {
        assert_eq!(alerts_path(""), "/api/v2/alerts");
        assert_eq!(alerts_path("/a//b/"), "/a/b/api/v2/alerts");
    }
}
