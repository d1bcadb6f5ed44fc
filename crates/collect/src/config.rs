//! The checked configuration of scraping: what a scrape loop works from.
//!
//! Owns the types and the few rules that hold between their fields. Does not read YAML: the binary turns the file into
//! these types, applies the defaults of the `global` section, and resolves relative paths against the file's folder.

mod credentials;
mod http;

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use base::{Error, Labels, Result};

use crate::exposition::Histograms;
use crate::relabel::Rule;
pub use credentials::{
    AwsRole, AzureAdConfig, AzureCloud, AzureIdentity, GoogleIamConfig, Grant, JwtAlgorithm, JwtGrant,
    OAuth2Config, SigV4Config,
};
pub use http::{
    Authorization, HttpConfig, ProxyAddress, ProxyChoice, ProxyConfig, Secret, Source, TlsConfig, TlsIdentity,
};

/// One scrape configuration, with every default applied.
#[derive(Debug, Clone, PartialEq)]
pub struct ScrapeConfig {
    /// Name of the scrape pool, and the `job` label of its targets unless relabelling says otherwise.
    pub job_name: String,
    /// Time between two scrapes of one target; more than zero.
    pub scrape_interval: Duration,
    /// How long one scrape may take; at most the interval.
    pub scrape_timeout: Duration,
    /// Path of the URL to scrape.
    pub metrics_path: String,
    /// Scheme of the URL to scrape.
    pub scheme: Scheme,
    /// Query parameters of the URL to scrape.
    pub params: BTreeMap<String, Vec<String>>,
    /// Whether labels that a target exposes win over those of the target itself.
    pub honor_labels: bool,
    /// Whether timestamps that a target exposes are used.
    pub honor_timestamps: bool,
    /// Whether series with timestamps of their own get staleness markers too.
    pub track_timestamps_staleness: bool,
    /// Formats to ask for, best first; not empty.
    pub scrape_protocols: Vec<ScrapeProtocol>,
    /// Whether the configuration says nothing of them.
    pub default_protocols: bool,
    /// Format to assume of a target that does not name a known one; such a scrape fails where this is `None`.
    pub fallback_scrape_protocol: Option<ScrapeProtocol>,
    /// Which metric and label names a scrape may bring in.
    pub name_validation: NameValidation,
    /// How targets are asked to write other names than these always had.
    pub name_escaping: NameEscaping,
    /// Whether to ask for gzip.
    pub enable_compression: bool,
    /// How to talk to the targets.
    pub http: HttpConfig,
    /// Targets that the configuration names.
    pub static_configs: Vec<TargetGroup>,
    /// Files that name targets.
    pub file_sd_configs: Vec<FileSdConfig>,
    /// Servers that name targets.
    pub http_sd_configs: Vec<HttpSdConfig>,
    /// Rules for the labels of targets.
    pub relabel_configs: Vec<Rule>,
    /// Rules for the labels of scraped series.
    pub metric_relabel_configs: Vec<Rule>,
    /// Whether series get the labels `__type__` and `__unit__` with what the target says of their metrics (feature
    /// `type-and-unit-labels`).
    pub type_and_unit_labels: bool,
    /// Whether a zero is stored where the counting of a series began (feature `created-timestamp-zero-ingestion`).
    pub start_zeros: bool,
    /// Whether samples are stored with when their counting began (feature `st-storage`).
    pub starts: bool,
    /// What becomes of histograms.
    pub histograms: Histograms,
    /// The least factor by which each bucket of a native histogram is wider than the one before; narrower ones are widened. Of 1 or less,
    /// they stay.
    pub native_bucket_factor: f64,
    /// What one scrape, or the pool, may bring in.
    pub limits: ScrapeLimits,
}

impl ScrapeConfig {
    /// A configuration with Prometheus' defaults: every minute, 10 s timeout, `http`, `/metrics`, no targets.
    pub fn new(job_name: impl Into<String>) -> Self {
        Self {
            job_name: job_name.into(),
            scrape_interval: Duration::from_secs(60),
            scrape_timeout: Duration::from_secs(10),
            metrics_path: "/metrics".into(),
            scheme: Scheme::Http,
            params: BTreeMap::new(),
            honor_labels: false,
            honor_timestamps: true,
            track_timestamps_staleness: false,
            scrape_protocols: ScrapeProtocol::DEFAULT.to_vec(),
            default_protocols: true,
            fallback_scrape_protocol: None,
            name_validation: NameValidation::Utf8,
            name_escaping: NameEscaping::AllowUtf8,
            enable_compression: true,
            http: HttpConfig::default(),
            static_configs: Vec::new(),
            file_sd_configs: Vec::new(),
            http_sd_configs: Vec::new(),
            relabel_configs: Vec::new(),
            metric_relabel_configs: Vec::new(),
            type_and_unit_labels: false,
            start_zeros: false,
            starts: false,
            histograms: Histograms::default(),
            native_bucket_factor: 0.0,
            limits: ScrapeLimits::default(),
        }
    }

    /// Checks what the types do not say: a name, an interval, a timeout that fits into it, a protocol to ask for.
    pub fn validate(&self) -> Result<()> {
        let name = &self.job_name;
        if name.is_empty() {
            return Err(Error::invalid("job_name is empty"));
        }
        if self.scrape_interval.is_zero() || self.scrape_timeout.is_zero() {
            return Err(Error::invalid(format!(
                "scrape interval and scrape timeout cannot be 0 for scrape config with job name {name:?}"
            )));
        }
        if self.scrape_timeout > self.scrape_interval {
            return Err(Error::invalid(format!(
                "scrape timeout greater than scrape interval for scrape config with job name {name:?}"
            )));
        }
        if self.scrape_protocols.is_empty() {
            return Err(Error::invalid(format!(
                "scrape_protocols cannot be empty for scrape config with job name {name:?}"
            )));
        }
        Ok(())
    }
}

/// Scheme of a target's URL.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Scheme {
    /// Plain HTTP.
    Http,
    /// HTTP over TLS.
    Https,
    /// A source within this process; the target's address is the name it was registered by. There is no network hop.
    InProcess,
}

impl Scheme {
    /// The scheme as a URL writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
            Self::InProcess => "inprocess",
        }
    }
}

impl FromStr for Scheme {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        match text {
            "http" => Ok(Self::Http),
            "https" => Ok(Self::Https),
            "inprocess" => Ok(Self::InProcess),
            other => Err(Error::invalid(format!("unsupported scheme {other:?}: use http or https"))),
        }
    }
}

impl fmt::Display for Scheme {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// An exposition format that a scrape can ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ScrapeProtocol {
    /// `text/plain;version=0.0.4`
    PrometheusText0_0_4,
    /// `text/plain;version=1.0.0`: the same with quoted UTF-8 names.
    PrometheusText1_0_0,
    /// `application/openmetrics-text;version=0.0.1`
    OpenMetricsText0_0_1,
    /// `application/openmetrics-text;version=1.0.0`
    OpenMetricsText1_0_0,
    /// `application/vnd.google.protobuf`, the only one with native histograms.
    PrometheusProto,
}

impl ScrapeProtocol {
    /// What is asked for when the configuration does not say.
    pub const DEFAULT: [Self; 4] = [
        Self::OpenMetricsText1_0_0,
        Self::OpenMetricsText0_0_1,
        Self::PrometheusText1_0_0,
        Self::PrometheusText0_0_4,
    ];

    /// Likewise, where native histograms or starts are wanted.
    pub const PROTO_FIRST: [Self; 5] = [
        Self::PrometheusProto,
        Self::OpenMetricsText1_0_0,
        Self::OpenMetricsText0_0_1,
        Self::PrometheusText1_0_0,
        Self::PrometheusText0_0_4,
    ];

    /// The name in a configuration file.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::PrometheusText0_0_4 => "PrometheusText0.0.4",
            Self::PrometheusText1_0_0 => "PrometheusText1.0.0",
            Self::OpenMetricsText0_0_1 => "OpenMetricsText0.0.1",
            Self::OpenMetricsText1_0_0 => "OpenMetricsText1.0.0",
            Self::PrometheusProto => "PrometheusProto",
        }
    }

    /// The media type with its version, as an `Accept` header says it.
    pub fn media_type(self) -> &'static str {
        match self {
            Self::PrometheusText0_0_4 => "text/plain;version=0.0.4",
            Self::PrometheusText1_0_0 => "text/plain;version=1.0.0",
            Self::OpenMetricsText0_0_1 => "application/openmetrics-text;version=0.0.1",
            Self::OpenMetricsText1_0_0 => "application/openmetrics-text;version=1.0.0",
            Self::PrometheusProto => {
                "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited"
            }
        }
    }
}

impl FromStr for ScrapeProtocol {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        Self::PROTO_FIRST.into_iter().find(|p| p.as_str() == text).ok_or_else(|| {
            let mut known = Self::PROTO_FIRST.map(Self::as_str);
            known.sort_unstable();
            Error::invalid(format!("unknown scrape protocol {text:?}, supported: {known:?}"))
        })
    }
}

/// Which metric and label names are accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum NameValidation {
    /// Any UTF-8 but the empty string.
    #[default]
    Utf8,
    /// `[a-zA-Z_:][a-zA-Z0-9_:]*`, for labels without the colon.
    Legacy,
}

impl NameValidation {
    /// The name in a configuration file.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Utf8 => "utf8",
            Self::Legacy => "legacy",
        }
    }

    /// How targets are asked to write names where the configuration does not say.
    pub fn escaping(self) -> NameEscaping {
        match self {
            Self::Utf8 => NameEscaping::AllowUtf8,
            Self::Legacy => NameEscaping::Underscores,
        }
    }
}

/// How a target is asked to write names with other characters than letters, digits, `_` and `:`. Names that it sends otherwise are taken, or
/// not, by [`NameValidation`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum NameEscaping {
    /// As they are, in quotes.
    AllowUtf8,
    /// Each such character as `_`.
    Underscores,
    /// Dots as `_dot_`, `_` doubled, others as `__`.
    Dots,
    /// `U__`, then each such character as `_<hexadecimal>_`.
    Values,
}

impl NameEscaping {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::AllowUtf8, Self::Underscores, Self::Dots, Self::Values];

    /// The name in a configuration file, and in the parameter that a media type in an `Accept` header carries.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::AllowUtf8 => "allow-utf-8",
            Self::Underscores => "underscores",
            Self::Dots => "dots",
            Self::Values => "values",
        }
    }

    /// The one of this name.
    pub fn by_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|escaping| escaping.as_str() == name)
    }
}

/// A list of targets that share labels.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct TargetGroup {
    /// Where the group comes from, for messages: `0` for the first static group, `<path>:0` for the first of a file.
    pub source: String,
    /// One label set per target, with at least `__address__`.
    pub targets: Vec<Labels>,
    /// Labels of all targets of the group; a target's own win.
    pub labels: Labels,
}

impl TargetGroup {
    /// A group of addresses with common labels.
    pub fn new<'a>(
        source: impl Into<String>,
        addresses: impl IntoIterator<Item = &'a str>,
        labels: Labels,
    ) -> Self {
        let targets =
            addresses.into_iter().map(|a| Labels::from_pairs([(crate::target::ADDRESS_LABEL, a)])).collect();
        Self { source: source.into(), targets, labels }
    }
}

/// Files that name targets, in JSON or YAML.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileSdConfig {
    /// Paths ending in `.json`, `.yml` or `.yaml`; the last part may hold `*`.
    pub files: Vec<PathBuf>,
    /// Time after which the files are read again even if no change was seen.
    pub refresh_interval: Duration,
}

impl FileSdConfig {
    /// The refresh interval that Prometheus takes by default.
    pub const DEFAULT_REFRESH: Duration = Duration::from_secs(5 * 60);
}

/// A server that names targets, in JSON.
#[derive(Debug, Clone, PartialEq)]
pub struct HttpSdConfig {
    /// The address of the list, without credentials.
    pub url: String,
    /// Time between two requests for it, and how long one may take.
    pub refresh_interval: Duration,
    /// How to talk to the server.
    pub http: HttpConfig,
}

impl HttpSdConfig {
    /// The refresh interval that Prometheus takes by default.
    pub const DEFAULT_REFRESH: Duration = Duration::from_secs(60);
}

/// What a scrape may bring in. Zero means no limit, as in a Prometheus configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ScrapeLimits {
    /// Samples after relabelling; a scrape with more fails as a whole.
    pub sample_limit: usize,
    /// Targets of the pool after relabelling; with more, every scrape of the pool fails.
    pub target_limit: usize,
    /// Labels of one series after relabelling.
    pub label_limit: usize,
    /// Bytes of a label's name.
    pub label_name_length_limit: usize,
    /// Bytes of a label's value.
    pub label_value_length_limit: usize,
    /// Bytes of an uncompressed body. Zero leaves [`crate::limits::BODY_SIZE_BYTES_MAX`].
    pub body_size_limit: usize,
    /// Buckets of one native histogram: exponential ones are widened until there are as few, and a scrape with one that cannot be fails.
    pub native_buckets: usize,
    /// Dropped targets to remember for the targets page. Zero leaves [`crate::limits::DROPPED_TARGETS_MAX`].
    pub keep_dropped_targets: usize,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checks_what_the_types_do_not_say() {
        let check = |change: fn(&mut ScrapeConfig), want: &str| {
            let mut config = ScrapeConfig::new("node");
            change(&mut config);
            let message = config.validate().map_or_else(|e| e.message().to_owned(), |()| String::new());
            assert_eq!(message, want);
        };
        check(|_| (), "");
        check(|c| c.job_name.clear(), "job_name is empty");
        check(
            |c| c.scrape_timeout = Duration::from_secs(61),
            r#"scrape timeout greater than scrape interval for scrape config with job name "node""#,
        );
        check(
            |c| c.scrape_interval = Duration::ZERO,
            r#"scrape interval and scrape timeout cannot be 0 for scrape config with job name "node""#,
        );
        check(
            |c| c.scrape_protocols.clear(),
            r#"scrape_protocols cannot be empty for scrape config with job name "node""#,
        );
    }

    #[test]
    fn reads_protocols_and_schemes_by_name() {
        assert_eq!("PrometheusText0.0.4".parse(), Ok(ScrapeProtocol::PrometheusText0_0_4));
        assert!("PrometheusText".parse::<ScrapeProtocol>().is_err());
        assert_eq!("https".parse(), Ok(Scheme::Https));
        assert!("ftp".parse::<Scheme>().is_err());
    }
}
