//! Targets: label sets of discovery turned into what is scraped.
//!
//! Owns the labels that a target gets, the checks on them and the URL they make. Does not scrape.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use base::{Error, Labels, LabelsBuilder, Result, format_duration, parse_duration};

use crate::config::{Scheme, ScrapeConfig, TargetGroup};
use crate::exposition::Histograms;
use crate::relabel;

/// The label that holds a target's `host:port`.
pub const ADDRESS_LABEL: &str = "__address__";
const SCHEME_LABEL: &str = "__scheme__";
const PATH_LABEL: &str = "__metrics_path__";
const INTERVAL_LABEL: &str = "__scrape_interval__";
const TIMEOUT_LABEL: &str = "__scrape_timeout__";
const CUSTOM_BUCKETS_LABEL: &str = "__convert_classic_histograms_to_nhcb__";
const ALWAYS_CLASSIC_LABEL: &str = "__always_scrape_classic_histograms__";
const NATIVE_LABEL: &str = "__scrape_native_histograms__";
/// A socket of this machine that is asked in place of the address.
const SOCKET_LABEL: &str = "__unix_socket__";
const PARAM_PREFIX: &str = "__param_";
const META_PREFIX: &str = "__meta_";
const RESERVED_PREFIX: &str = "__";
const JOB_LABEL: &str = "job";
const INSTANCE_LABEL: &str = "instance";

/// Something to scrape.
#[derive(Debug, Clone)]
pub struct Target {
    /// Labels before relabelling, `__` ones included.
    pub discovered_labels: Labels,
    /// Labels that its series get.
    pub labels: Labels,
    /// What distinguishes it within its pool: all labels after relabelling, and the URL.
    pub identity: TargetIdentity,
    /// Where to scrape it.
    pub scheme: Scheme,
    /// `host:port`, or the name of an in-process source.
    pub address: String,
    /// The URL, parameters included.
    pub url: Arc<str>,
    /// Time between two scrapes.
    pub interval: Duration,
    /// How long a scrape may take.
    pub timeout: Duration,
    /// What becomes of its histograms.
    pub histograms: Histograms,
    /// The socket of this machine that is asked in place of its address.
    pub socket: Option<PathBuf>,
}

/// Equal for targets that are the same.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct TargetIdentity {
    labels: Labels,
    url: Arc<str>,
}

impl TargetIdentity {
    /// A number that spreads targets over their interval; the same in every process.
    pub fn stable_hash(&self) -> u64 {
        xxhash_rust::xxh3::xxh3_64_with_seed(self.url.as_bytes(), self.labels.stable_hash())
    }
}

/// What became of one label set of discovery.
#[derive(Debug)]
pub enum Populated {
    /// A target.
    Active(Box<Target>),
    /// Relabelling dropped it; these are its discovered labels.
    Dropped(Labels),
}

/// Makes a target from one label set of a group. The messages are Prometheus'.
pub fn populate(config: &ScrapeConfig, group: &TargetGroup, target: &Labels) -> Result<Populated> {
    let discovered = discovered_labels(config, group, target);
    let mut labels = discovered.to_builder();
    if !relabel::apply(&config.relabel_configs, &mut labels) {
        return Ok(Populated::Dropped(discovered));
    }
    let address = labels.get(ADDRESS_LABEL).to_owned();
    if address.is_empty() {
        return Err(Error::invalid("no address"));
    }
    if address.contains('/') {
        return Err(Error::invalid(format!("{address:?} is not a valid hostname")));
    }
    let interval = duration_label(&labels, INTERVAL_LABEL, "scrape interval")?;
    let timeout = duration_label(&labels, TIMEOUT_LABEL, "scrape timeout")?;
    if timeout > interval {
        let (t, i) = (labels.get(TIMEOUT_LABEL), labels.get(INTERVAL_LABEL));
        return Err(Error::invalid(format!(
            "scrape timeout cannot be greater than scrape interval ({t:?} > {i:?})"
        )));
    }
    let configured = config.histograms;
    let histograms = Histograms {
        to_custom_buckets: flag_label(
            &labels,
            CUSTOM_BUCKETS_LABEL,
            "convert classic histograms to nhcb",
            configured.to_custom_buckets,
        )?,
        always_classic: flag_label(
            &labels,
            ALWAYS_CLASSIC_LABEL,
            "always scrape classic histograms",
            configured.always_classic,
        )?,
        native: flag_label(&labels, NATIVE_LABEL, "scrape native histograms", configured.native)?,
    };
    let socket = Some(labels.get(SOCKET_LABEL)).filter(|path| !path.is_empty()).map(PathBuf::from);
    let scheme: Scheme = labels.get(SCHEME_LABEL).parse()?;
    labels.retain(|name, _| !name.starts_with(META_PREFIX));
    if labels.get(INSTANCE_LABEL).is_empty() {
        labels.set(INSTANCE_LABEL, &address);
    }
    let all = labels.build();
    let url: Arc<str> = url_of(config, scheme, &all).into();
    Ok(Populated::Active(Box::new(Target {
        discovered_labels: discovered,
        labels: all.filtered(|name| !name.starts_with(RESERVED_PREFIX)),
        identity: TargetIdentity { labels: all, url: url.clone() },
        scheme,
        address,
        url,
        interval,
        timeout,
        histograms,
        socket,
    })))
}

/// The labels of a target before relabelling.
pub fn discovered_labels(config: &ScrapeConfig, group: &TargetGroup, target: &Labels) -> Labels {
    let mut out = group.labels.to_builder();
    for (name, value) in target {
        out.set(name, value);
    }
    let mut default = |name: &str, value: &str| {
        if out.get(name).is_empty() {
            out.set(name, value);
        }
    };
    default(JOB_LABEL, &config.job_name);
    default(INTERVAL_LABEL, &format_duration(config.scrape_interval));
    default(TIMEOUT_LABEL, &format_duration(config.scrape_timeout));
    default(PATH_LABEL, &config.metrics_path);
    default(SCHEME_LABEL, config.scheme.as_str());
    let histograms = config.histograms;
    for (name, value) in [
        (CUSTOM_BUCKETS_LABEL, histograms.to_custom_buckets),
        (ALWAYS_CLASSIC_LABEL, histograms.always_classic),
        (NATIVE_LABEL, histograms.native),
    ] {
        default(name, if value { "true" } else { "false" });
    }
    for (key, values) in &config.params {
        if let Some(first) = values.first() {
            default(&format!("{PARAM_PREFIX}{key}"), first);
        }
    }
    out.build()
}

fn duration_label(labels: &LabelsBuilder, name: &str, what: &str) -> Result<Duration> {
    let duration =
        parse_duration(labels.get(name)).map_err(|e| e.context(format!("error parsing {what}")))?;
    if duration.is_zero() {
        return Err(Error::invalid(format!("{what} cannot be 0")));
    }
    Ok(duration)
}

/// The value of a label in any of the forms in which Go reads one, or what holds without the label.
fn flag_label(labels: &LabelsBuilder, name: &str, what: &str, otherwise: bool) -> Result<bool> {
    match labels.get(name) {
        "" => Ok(otherwise),
        "1" | "t" | "T" | "TRUE" | "true" | "True" => Ok(true),
        "0" | "f" | "F" | "FALSE" | "false" | "False" => Ok(false),
        other => Err(Error::invalid(format!(
            "error parsing {what}: strconv.ParseBool: parsing {other:?}: invalid syntax"
        ))),
    }
}

fn url_of(config: &ScrapeConfig, scheme: Scheme, labels: &Labels) -> String {
    let mut params = config.params.clone();
    for (name, value) in labels {
        if let Some(key) = name.strip_prefix(PARAM_PREFIX) {
            let values = params.entry(key.to_owned()).or_default();
            match values.first_mut() {
                Some(first) => *first = value.to_owned(),
                None => values.push(value.to_owned()),
            }
        }
    }
    let path = labels.get_or_empty(PATH_LABEL);
    let slash = if path.is_empty() || path.starts_with('/') { "" } else { "/" };
    let mut url = format!("{scheme}://{}{slash}", labels.get_or_empty(ADDRESS_LABEL));
    // What Go leaves as it is in a path, and in a query.
    escape_into(path, b"-_.~$&+,/:;=@", &mut url);
    let mut separator = '?';
    for (key, values) in &params {
        for value in values {
            url.push(separator);
            escape_into(key, b"-_.~", &mut url);
            url.push('=');
            escape_into(value, b"-_.~", &mut url);
            separator = '&';
        }
    }
    url
}

fn escape_into(text: &str, unescaped: &[u8], out: &mut String) {
    use std::fmt::Write as _;
    let in_path = unescaped.contains(&b'/');
    for b in text.bytes() {
        if b.is_ascii_alphanumeric() || unescaped.contains(&b) {
            out.push(char::from(b));
        } else if b == b' ' && !in_path {
            out.push('+');
        } else {
            write!(out, "%{b:02X}").expect("writing to a string cannot fail");
        }
    }
}

/// The URL as others reach it: where it names this host as `localhost`, the host is replaced by this server's own name,
/// and where it also names this server's port, scheme and port are too. `external` is the server's `host:port`.
pub fn global_url(url: &str, own_port: &str, external_scheme: &str, external: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else { return url.to_owned() };
    let end = rest.find(['/', '?']).unwrap_or(rest.len());
    let (authority, tail) = rest.split_at(end);
    let Some((host, port)) = authority.rsplit_once(':') else { return url.to_owned() };
    if !matches!(host, "localhost" | "127.0.0.1" | "[::1]") {
        return url.to_owned();
    }
    if port == own_port {
        return format!("{external_scheme}://{external}{tail}");
    }
    let external_host = match external.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|b| b.is_ascii_digit()) => host,
        _ => external,
    };
    format!("{scheme}://{external_host}:{port}{tail}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::NameValidation;
    use crate::relabel::{Action, Rule, RuleFields};

    fn rule(fields: RuleFields) -> Rule {
        Rule::new(fields, NameValidation::Utf8).unwrap()
    }

    fn populate_one(config: &ScrapeConfig, labels: &[(&str, &str)]) -> Result<Populated> {
        let group = TargetGroup::new("0", ["host:9100"], Labels::from_pairs(labels.iter().copied()));
        populate(config, &group, &group.targets[0])
    }

    fn active(config: &ScrapeConfig, labels: &[(&str, &str)]) -> Target {
        match populate_one(config, labels).unwrap() {
            Populated::Active(target) => *target,
            Populated::Dropped(labels) => panic!("{labels} was dropped"),
        }
    }

    #[test]
    fn a_target_gets_job_and_instance_and_loses_meta_labels() {
        let target = active(&ScrapeConfig::new("node"), &[("dc", "x"), ("__meta_a", "y")]);
        assert_eq!(target.labels.to_string(), r#"{dc="x", instance="host:9100", job="node"}"#);
        assert_eq!(&*target.url, "http://host:9100/metrics");
        assert_eq!(target.discovered_labels.get("__scrape_interval__"), Some("1m"));
        assert_eq!(target.discovered_labels.get("__meta_a"), Some("y"));
        assert_eq!((target.interval, target.timeout), (Duration::from_secs(60), Duration::from_secs(10)));
    }

    #[test]
    fn parameters_go_into_labels_and_the_url() {
        let mut config = ScrapeConfig::new("probe");
        config.metrics_path = "pro be".into();
        config.params.insert("module".into(), vec!["http 2xx".into(), "b".into()]);
        config.relabel_configs.push(rule(RuleFields {
            source_labels: vec![ADDRESS_LABEL.into()],
            target_label: "__param_target".into(),
            ..RuleFields::default()
        }));
        let target = active(&config, &[]);
        assert_eq!(&*target.url, "http://host:9100/pro%20be?module=http+2xx&module=b&target=host%3A9100");
        assert_eq!(target.discovered_labels.get("__param_module"), Some("http 2xx"));
    }

    #[test]
    fn relabelling_drops_and_overrides() {
        let mut config = ScrapeConfig::new("node");
        config.relabel_configs.push(rule(RuleFields {
            target_label: "__scrape_interval__".into(),
            replacement: "30s".into(),
            ..RuleFields::default()
        }));
        assert_eq!(active(&config, &[]).interval, Duration::from_secs(30));
        config.relabel_configs.push(rule(RuleFields {
            source_labels: vec!["dc".into()],
            regex: "x".into(),
            action: Action::Drop,
            ..RuleFields::default()
        }));
        assert!(matches!(populate_one(&config, &[("dc", "x")]), Ok(Populated::Dropped(_))));
    }

    #[test]
    fn labels_say_what_becomes_of_a_targets_histograms_and_where_it_is_asked() {
        let mut config = ScrapeConfig::new("node");
        config.histograms.always_classic = true;
        let plain = active(&config, &[]);
        assert_eq!((plain.histograms, plain.socket), (config.histograms, None));
        let said = |name| plain.discovered_labels.get(name);
        assert_eq!((said(ALWAYS_CLASSIC_LABEL), said(NATIVE_LABEL)), (Some("true"), Some("false")));
        assert_eq!(said(CUSTOM_BUCKETS_LABEL), Some("false"));
        let told = active(
            &config,
            &[
                (ALWAYS_CLASSIC_LABEL, "F"),
                (NATIVE_LABEL, "1"),
                (CUSTOM_BUCKETS_LABEL, "True"),
                (SOCKET_LABEL, "/run/a.sock"),
            ],
        );
        let want = Histograms { native: true, always_classic: false, to_custom_buckets: true };
        assert_eq!((told.histograms, told.socket), (want, Some("/run/a.sock".into())));
        assert_eq!(told.labels, plain.labels);
        assert_ne!(told.identity, plain.identity, "it is scraped in another way");
        let rule = rule(RuleFields {
            target_label: NATIVE_LABEL.into(),
            replacement: "".into(),
            ..RuleFields::default()
        });
        config.histograms.native = true;
        config.relabel_configs.push(rule);
        assert!(active(&config, &[]).histograms.native, "without the label the configuration holds");
    }

    #[test]
    fn refuses_what_cannot_be_scraped() {
        let check = |label: &str, value: &str, want: &str| {
            let mut config = ScrapeConfig::new("node");
            config.relabel_configs.push(rule(RuleFields {
                target_label: label.into(),
                replacement: value.into(),
                ..RuleFields::default()
            }));
            assert_eq!(populate_one(&config, &[]).unwrap_err().message(), want);
        };
        check(ADDRESS_LABEL, "", "no address");
        check(ADDRESS_LABEL, "http://x", "\"http://x\" is not a valid hostname");
        check("__scrape_interval__", "0", "scrape interval cannot be 0");
        check(
            "__scrape_interval__",
            "x",
            "error parsing scrape interval: not a valid duration string: \"x\"",
        );
        check(
            "__scrape_timeout__",
            "2m",
            "scrape timeout cannot be greater than scrape interval (\"2m\" > \"1m\")",
        );
        check(
            NATIVE_LABEL,
            "yes",
            "error parsing scrape native histograms: strconv.ParseBool: parsing \"yes\": invalid syntax",
        );
        check("__scheme__", "ftp", "unsupported scheme \"ftp\": use http or https");
    }

    #[test]
    fn a_local_url_is_made_global() {
        let check =
            |url: &str, want: &str| assert_eq!(global_url(url, "9090", "https", "mon.example:443"), want);
        check("http://localhost:9100/metrics", "http://mon.example:9100/metrics");
        check("http://127.0.0.1:9090/metrics?a=b", "https://mon.example:443/metrics?a=b");
        check("http://other:9090/metrics", "http://other:9090/metrics");
        check("http://localhost/metrics", "http://localhost/metrics");
    }
}
