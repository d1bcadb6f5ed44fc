//! The section `scrape_configs`.

use std::collections::BTreeMap;
use std::path::Path;
use std::str::FromStr as _;

use collect::config::{NameEscaping, NameValidation, Scheme, ScrapeConfig, ScrapeLimits, ScrapeProtocol};
use collect::exposition::Histograms;

use super::global::{self, Global};
use super::grammar::{Key, Map, Section, Shape};
use super::raw::{Outcome, Problem};
use super::{discovery, http_client, protocols, relabel};

/// One scrape configuration.
pub(super) static SECTION: Section = Section {
    name: "scrape_configs",
    keys: &[
        &[
            Key::new("job_name", Shape::Text),
            Key::new("honor_labels", Shape::Bool),
            Key::new("honor_timestamps", Shape::Bool),
            Key::new("track_timestamps_staleness", Shape::Bool),
            Key::new("params", Shape::TextsMap),
            Key::new("scrape_interval", Shape::Duration),
            Key::new("scrape_timeout", Shape::Duration),
            Key::new("scrape_protocols", Shape::Texts),
            Key::new("fallback_scrape_protocol", Shape::Text),
            Key::new("scrape_failure_log_file", Shape::Text)
                .without_effect("scrape failures are logged with everything else"),
            Key::new("metrics_path", Shape::Text),
            Key::new("scheme", Shape::Text),
            Key::new("enable_compression", Shape::Bool),
            Key::new("native_histogram_bucket_limit", Shape::Count),
            Key::new("native_histogram_min_bucket_factor", Shape::Float),
            Key::new("metric_name_validation_scheme", Shape::Text),
            Key::new(
                "relabel_configs",
                Shape::Sections(
                    &relabel::SECTION,
                    Some("empty or null target relabeling rule in scrape config"),
                ),
            ),
            Key::new(
                "metric_relabel_configs",
                Shape::Sections(
                    &relabel::SECTION,
                    Some("empty or null metric relabeling rule in scrape config"),
                ),
            ),
        ],
        global::LIMIT_KEYS,
        global::HISTOGRAM_KEYS,
        http_client::KEYS,
        discovery::KEYS,
    ],
    check: check_rules,
};

fn check_rules(map: &Map<'_>) -> Outcome<()> {
    map.require(map.filled("job_name"), "job_name", "job_name is empty")?;
    http_client::check(map)?;
    discovery::check_static_targets(map)
}

/// Checks one configuration against the global section and applies its defaults. File names are relative to `dir`.
pub(super) fn read(map: &Map<'_>, global: &Map<'_>, defaults: &Global, dir: &Path) -> Outcome<ScrapeConfig> {
    let job = map.text("job_name")?;
    let mut config = ScrapeConfig::new(job);
    config.scrape_interval = global::or_default(map.duration("scrape_interval")?, defaults.scrape_interval);
    config.scrape_timeout = global::or_default(
        map.duration("scrape_timeout")?,
        defaults.scrape_timeout.min(config.scrape_interval),
    );
    config.validate().or_else(|e| map.problem("scrape_timeout", e.message()))?;
    if map.has("scrape_protocols") {
        protocols::check(map, &format!("for scrape config with job name {job:?}"))?;
    }
    config.histograms = read_histograms(map, global)?;
    config.native_bucket_factor = map.float("native_histogram_min_bucket_factor")?;
    let asked = protocols::read(map)?.or(protocols::read(global)?);
    config.default_protocols = asked.is_none();
    config.scrape_protocols = match asked {
        Some(protocols) => protocols,
        None if config.histograms.native => ScrapeProtocol::PROTO_FIRST.to_vec(),
        None => ScrapeProtocol::DEFAULT.to_vec(),
    };
    config.fallback_scrape_protocol = protocols::read_fallback(map, job)?;
    config.name_validation = global::name_validation(map)?.unwrap_or(defaults.name_validation);
    config.name_escaping = read_escaping(map, global, defaults)?;
    config.honor_labels = map.flag("honor_labels", config.honor_labels)?;
    config.honor_timestamps = map.flag("honor_timestamps", config.honor_timestamps)?;
    config.track_timestamps_staleness = map.flag("track_timestamps_staleness", false)?;
    config.enable_compression = map.flag("enable_compression", config.enable_compression)?;
    config.metrics_path = map.text_or("metrics_path", "/metrics")?.to_owned();
    config.scheme = read_scheme(map)?;
    config.params = read_params(map)?;
    config.limits = read_limits(map, global)?;
    config.http = http_client::read(map, dir)?;
    config.static_configs = discovery::read_static(map)?;
    config.file_sd_configs = discovery::read_files(map, dir)?;
    config.http_sd_configs = discovery::read_http(map, dir)?;
    config.relabel_configs = relabel::read(map, "relabel_configs", config.name_validation)?;
    config.metric_relabel_configs = relabel::read(map, "metric_relabel_configs", config.name_validation)?;
    Ok(config)
}

fn read_histograms(map: &Map<'_>, global: &Map<'_>) -> Outcome<Histograms> {
    let flag = |key| map.flag(key, global.flag(key, false)?);
    Ok(Histograms {
        native: flag("scrape_native_histograms")?,
        always_classic: flag("always_scrape_classic_histograms")?,
        to_custom_buckets: flag("convert_classic_histograms_to_nhcb")?,
    })
}

/// Prometheus takes any scheme and fails at the scrape; a name that cannot be scraped is refused here. Targets within
/// the process cannot be asked for in a file.
fn read_scheme(map: &Map<'_>) -> Outcome<Scheme> {
    match map.text_or("scheme", "http")? {
        "" => Ok(Scheme::Http),
        name @ ("http" | "https") => Scheme::from_str(name).or_else(|e| map.problem("scheme", e.message())),
        other => map.problem("scheme", format!("unsupported scheme {other:?}: use http or https")),
    }
}

fn read_params(map: &Map<'_>) -> Outcome<BTreeMap<String, Vec<String>>> {
    let params = map.map("params");
    let mut out = BTreeMap::new();
    for entry in params.entries {
        let values = params.texts(&entry.key.text)?.into_iter().map(str::to_owned).collect();
        out.insert(entry.key.text.clone(), values);
    }
    Ok(out)
}

fn read_limits(map: &Map<'_>, global: &Map<'_>) -> Outcome<ScrapeLimits> {
    let count = |key| {
        let own = map.count(key)?;
        let n = if own == 0 { global.count(key)? } else { own };
        usize::try_from(n).or_else(|_| map.problem(key, format!("{key} is out of range")))
    };
    let own_size = map.size("body_size_limit")?;
    let size = if own_size == 0 { global.size("body_size_limit")? } else { own_size };
    Ok(ScrapeLimits {
        sample_limit: count("sample_limit")?,
        target_limit: count("target_limit")?,
        label_limit: count("label_limit")?,
        label_name_length_limit: count("label_name_length_limit")?,
        label_value_length_limit: count("label_value_length_limit")?,
        native_buckets: usize::try_from(map.count("native_histogram_bucket_limit")?).or_else(|_| {
            map.problem("native_histogram_bucket_limit", "native_histogram_bucket_limit is out of range")
        })?,
        body_size_limit: usize::try_from(size)
            .or_else(|_| map.problem("body_size_limit", "body_size_limit must not be negative"))?,
        keep_dropped_targets: count("keep_dropped_targets")?,
    })
}

/// How names are escaped follows from how they are validated, unless a file says so; the two must fit.
fn read_escaping(map: &Map<'_>, global: &Map<'_>, defaults: &Global) -> Outcome<NameEscaping> {
    const KEY: &str = "metric_name_escaping_scheme";
    let read = |map: &Map<'_>, place: &str| {
        match map.text(KEY)? {
        "" => Ok(None),
        name => match NameEscaping::by_name(name) {
            Some(escaping) => Ok(Some(escaping)),
            None => map.problem(KEY, format!(
                "unknown {place} name escaping method specified, must be one of 'allow-utf-8', 'underscores', 'dots', or 'values', got {name:?}"
            )),
        },
    }
    };
    let of_global = read(global, "global")?.unwrap_or(defaults.name_validation.escaping());
    let own_validation = global::name_validation(map)?;
    let validation = own_validation.unwrap_or(defaults.name_validation);
    let implied = own_validation.map_or(of_global, NameValidation::escaping);
    let escaping = read(map, "scrape config")?.unwrap_or(implied);
    if escaping == NameEscaping::AllowUtf8 && validation != NameValidation::Utf8 {
        let line = if map.has(KEY) { map.line_of(KEY) } else { map.line };
        return Err(Problem::new(
            line,
            "utf8 metric names requested but validation scheme is not set to UTF8",
        ));
    }
    Ok(escaping)
}
