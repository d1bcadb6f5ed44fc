//! `http_sd_configs`: targets that a server names. Asking it is the discovery's task.

use std::path::Path;

use collect::config::HttpSdConfig;

use super::super::global::or_default;
use super::super::grammar::{Key, Map, Section, Shape};
use super::super::http_client;
use super::super::raw::Outcome;
use super::foreign::check_http_url;

/// One server.
pub(super) static SECTION: Section = Section {
    name: "http_sd_configs",
    keys: &[&[Key::new("url", Shape::Url), Key::new("refresh_interval", Shape::Duration)], http_client::KEYS],
    check: |map| {
        check_http_url(map)?;
        http_client::check(map)
    },
};

/// Reads the servers. File names are relative to `dir`.
pub(in super::super) fn read(map: &Map<'_>, dir: &Path) -> Outcome<Vec<HttpSdConfig>> {
    let one = |map: &Map<'_>| {
        let mut config = HttpSdConfig {
            url: map.text("url")?.to_owned(),
            refresh_interval: or_default(map.duration("refresh_interval")?, HttpSdConfig::DEFAULT_REFRESH),
            http: http_client::read(map, dir)?,
        };
        config.http.take_credentials(&mut config.url);
        Ok(config)
    };
    map.maps("http_sd_configs")?.iter().map(one).collect()
}
