//! The command line: the one declaration that parsing, `--help` and the documentation come from.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};
use engine::EngineOptions;
use ingest::remote_write::Message;
use server::{NOTIFICATION_PLACES, READ_CONCURRENCY, READ_SAMPLES};

use crate::check::args::Check;
use crate::debug::Debug;
use crate::export::args::Export;
use crate::import::args::Import;
pub use crate::lake_commands::args::Lake;
use crate::prometheus_flags::PrometheusFlags;
use crate::promql_commands::Promql;
use crate::push_metrics::Push;
use crate::query::args::Query;
use crate::test::args::Test;
use crate::tsdb_commands::args::Tsdb;

/// Watches a fleet of services: metrics, queries and dashboards in one program.
#[derive(Debug, Parser)]
#[command(
    name = "bellwether",
    version,
    arg_required_else_help = true,
    after_help = "Start with `bellwether serve`: without a configuration it watches this machine, at http://127.0.0.1:9090."
)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,

    /// Features that are off unless asked for, by Prometheus' names, separated by commas; for `serve` and `check config` the
    /// configuration file's enable_features adds to them.
    #[arg(long = "enable-feature", value_name = "NAMES", global = true)]
    pub enable_feature: Vec<String>,

    /// Taken from scripts that promtool needs it for; nothing depends on it here.
    #[arg(long, global = true, hide = true)]
    pub experimental: bool,
}

/// What the program can do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Collect, store and serve; without a configuration, watch this machine.
    Serve(Box<Serve>),
    /// Check files, metrics or servers.
    Check(Check),
    /// Run tests of queries and rules.
    Test(Test),
    /// Ask a server of Prometheus' API.
    Query(Query),
    /// Send metrics to a server.
    Push(Push),
    /// Gather what a server says about itself.
    Debug(Debug),
    /// Write expressions anew.
    Promql(Promql),
    /// Bring samples of another system into a data folder that no server uses.
    Import(Import),
    /// Write stored data as files for other programs, while no server uses it.
    Export(Export),
    /// Look after stored data while no server uses it.
    Lake(Lake),
    /// Look at stored samples while no server uses them.
    Tsdb(Tsdb),
    /// Print the version.
    Version,
}

/// Options of `bellwether serve`.
#[derive(Debug, Clone, Args)]
pub struct Serve {
    /// Configuration file; a prometheus.yml is one. Without it, this machine is watched.
    #[arg(long, value_name = "FILE", alias = "config.file")]
    pub config: Option<PathBuf>,

    /// Folder or bucket that holds the data: DIR, s3://bucket/prefix, gs://bucket/prefix or az://container/prefix
    /// [default: ./data, or storage.path of the configuration file].
    #[arg(long = "storage.path", value_name = "DIR|URL", alias = "storage.tsdb.path")]
    pub storage_path: Option<String>,

    /// Local folder for what is not in the bucket yet; only with a bucket [default: ./data, or storage.wal_path of the
    /// configuration file].
    #[arg(long = "storage.wal-path", value_name = "DIR")]
    pub storage_wal_path: Option<PathBuf>,

    /// How long samples are kept, such as 15d [default: 15d, or no bound if there is one on their size]. The configuration file's
    /// storage.tsdb.retention comes before it.
    #[arg(long = "storage.retention", value_name = "DURATION", value_parser = parse_duration, alias = "storage.tsdb.retention.time")]
    pub storage_retention: Option<Duration>,

    /// How many bytes stored samples may take, such as 50GB; the oldest go first.
    #[arg(long = "storage.retention.size", value_name = "SIZE", value_parser = parse_size, alias = "storage.tsdb.retention.size")]
    pub storage_retention_size: Option<u64>,

    /// How long remote write may take, when the program stops, to send what the log has. What is not sent then stays in the log for the
    /// next start.
    #[arg(long = "storage.remote.flush-deadline", value_name = "DURATION", default_value = "1m", value_parser = parse_duration)]
    pub storage_remote_flush_deadline: Duration,

    /// Memory for samples that are being written, queries and caches together, such as 2GB [default: three fifths of what the
    /// machine or its control group has].
    #[arg(long = "limits.memory", value_name = "SIZE", value_parser = parse_memory)]
    pub limits_memory: Option<u64>,

    /// Address of the web interface and of every HTTP API.
    #[arg(long = "web.listen-address", value_name = "HOST:PORT", default_value = "127.0.0.1:9090")]
    pub web_listen_address: String,

    /// Listen on an address that other machines reach, although nobody has to log in.
    #[arg(long = "web.allow-unauthenticated")]
    pub web_allow_unauthenticated: bool,

    /// Take in samples that others send by remote write, at /api/v1/write.
    #[arg(long = "web.enable-remote-write-receiver")]
    pub web_enable_remote_write_receiver: bool,

    /// Take in metrics that others send by OTLP over HTTP, at /api/v1/otlp/v1/metrics and /v1/metrics.
    #[arg(long = "web.enable-otlp-receiver")]
    pub web_enable_otlp_receiver: bool,

    /// Address at which metrics are taken in by OTLP over gRPC, such as 127.0.0.1:4317 [default: none].
    #[arg(long = "otlp.grpc-listen-address", value_name = "HOST:PORT")]
    pub otlp_grpc_listen_address: Option<String>,

    /// The messages that remote write may bring: prometheus.WriteRequest of 1.0, io.prometheus.write.v2.Request of 2.0 [default: both].
    #[arg(long = "web.remote-write-receiver.accepted-protobuf-messages", value_name = "MESSAGE", value_delimiter = ',', value_parser = parse_message)]
    pub web_accepted_messages: Vec<Message>,

    /// Expression that the origins of web pages have to satisfy whose scripts may read the API.
    #[arg(long = "web.cors.origin", value_name = "REGEX", default_value = ".*")]
    pub web_cors_origin: String,

    /// Delete series, free their space and take snapshots when asked to, below /api/v1/admin/tsdb.
    #[arg(long = "web.enable-admin-api")]
    pub web_enable_admin_api: bool,

    /// Where people and Alertmanagers reach this server, for links back to it [default: http:// with this host's name and port].
    #[arg(long = "web.external-url", value_name = "URL")]
    pub web_external_url: Option<String>,

    /// How evaluating rules and sending alerts goes.
    #[command(flatten)]
    pub rules: RuleFlags,

    /// What queries may take.
    #[command(flatten)]
    pub queries: QueryFlags,

    /// Options of Prometheus that have no use here.
    #[command(flatten)]
    pub prometheus: PrometheusFlags,

    /// How log lines are written.
    #[arg(long = "log.format", value_name = "FORMAT", value_enum, default_value_t = LogFormat::Text)]
    pub log_format: LogFormat,

    /// The least severe lines that are logged.
    #[arg(long = "log.level", value_name = "LEVEL", value_enum, default_value_t = LogLevel::Info)]
    pub log_level: LogLevel,
}

/// Options of rules and alerts, with Prometheus' names and defaults.
#[derive(Debug, Clone, Args)]
pub struct RuleFlags {
    /// How long this server may have been away and still know since when alerts were active.
    #[arg(long = "rules.alert.for-outage-tolerance", value_name = "DURATION", default_value = "1h", value_parser = parse_any_duration)]
    pub rules_alert_for_outage_tolerance: Duration,

    /// The least time between a start and the firing of an alert that was active before it.
    #[arg(long = "rules.alert.for-grace-period", value_name = "DURATION", default_value = "10m", value_parser = parse_any_duration)]
    pub rules_alert_for_grace_period: Duration,

    /// The least time before an alert is sent to an Alertmanager again.
    #[arg(long = "rules.alert.resend-delay", value_name = "DURATION", default_value = "1m", value_parser = parse_any_duration)]
    pub rules_alert_resend_delay: Duration,

    /// Rules that are evaluated at the same time, over all groups, beyond one of each group.
    #[arg(long = "rules.max-concurrent-evals", value_name = "COUNT", default_value_t = alerting::limits::CONCURRENT_EVALS)]
    pub rules_max_concurrent_evals: usize,

    /// Alerts that may wait for one Alertmanager; beyond it the oldest are dropped.
    #[arg(long = "alertmanager.notification-queue-capacity", value_name = "COUNT", default_value_t = alerting::limits::NOTIFICATION_QUEUE_CAPACITY)]
    pub alertmanager_notification_queue_capacity: usize,

    /// Alerts in one request to an Alertmanager.
    #[arg(long = "alertmanager.notification-batch-size", value_name = "COUNT", default_value_t = alerting::limits::NOTIFICATION_BATCH_SIZE)]
    pub alertmanager_notification_batch_size: usize,

    /// Whether alerts that still wait are sent when stopping, for ten seconds at most; else they are dropped.
    #[arg(
        long = "alertmanager.drain-notification-queue-on-shutdown",
        value_name = "BOOL",
        action = clap::ArgAction::Set,
        num_args = 0..=1,
        require_equals = true,
        default_value_t = true,
        default_missing_value = "true"
    )]
    pub alertmanager_drain_notification_queue_on_shutdown: bool,

    /// Drops alerts that still wait when stopping: the other flag's denial, as Prometheus writes it.
    #[arg(
        long = "no-alertmanager.drain-notification-queue-on-shutdown",
        conflicts_with = "alertmanager_drain_notification_queue_on_shutdown"
    )]
    pub no_alertmanager_drain_notification_queue_on_shutdown: bool,
}

/// Options of queries and remote reads, with Prometheus' names and defaults.
#[derive(Debug, Clone, Args)]
pub struct QueryFlags {
    /// Longest time a query may take; a request may ask for less.
    #[arg(long = "query.timeout", value_name = "DURATION", default_value = "2m", value_parser = parse_duration)]
    pub query_timeout: Duration,

    /// Queries that run at the same time; others wait.
    #[arg(long = "query.max-concurrency", value_name = "COUNT", default_value_t = EngineOptions::default().query_max_concurrency, value_parser = parse_count)]
    pub query_max_concurrency: usize,

    /// Samples that one query may hold in memory.
    #[arg(long = "query.max-samples", value_name = "COUNT", default_value_t = EngineOptions::default().query_max_samples)]
    pub query_max_samples: u64,

    /// How far back queries and federation look for a series' last sample.
    #[arg(long = "query.lookback-delta", value_name = "DURATION", default_value = "5m", value_parser = parse_duration)]
    pub query_lookback_delta: Duration,

    /// Samples of an answer to a remote read that is not streamed; 0 stands for any number.
    #[arg(long = "storage.remote.read-sample-limit", value_name = "COUNT", default_value_t = READ_SAMPLES, value_parser = parse_samples)]
    pub read_sample_limit: usize,

    /// Remote reads that are answered at the same time; 0 stands for any number.
    #[arg(long = "storage.remote.read-concurrent-limit", value_name = "COUNT", default_value_t = READ_CONCURRENCY, value_parser = parse_places)]
    pub read_concurrent_limit: usize,

    /// Clients that may follow the notifications at the same time.
    #[arg(long = "web.max-notifications-subscribers", value_name = "COUNT", default_value_t = NOTIFICATION_PLACES, value_parser = parse_places)]
    pub max_notifications_subscribers: usize,
}

impl QueryFlags {
    /// The engine's options with these limits.
    pub(crate) fn within(&self, options: &EngineOptions) -> EngineOptions {
        EngineOptions {
            query_timeout: self.query_timeout,
            query_max_concurrency: self.query_max_concurrency,
            query_max_samples: self.query_max_samples,
            lookback: self.query_lookback_delta,
            ..options.clone()
        }
    }
}

impl RuleFlags {
    /// Whether alerts that still wait are sent when stopping.
    pub fn drains_notifications(&self) -> bool {
        self.alertmanager_drain_notification_queue_on_shutdown
            && !self.no_alertmanager_drain_notification_queue_on_shutdown
    }
}

impl Serve {
    /// Refuses an address that other machines reach unless it was asked for twice. `addresses` is what the listen
    /// address resolves to.
    pub fn check_exposure(&self, addresses: &[SocketAddr]) -> base::Result<()> {
        let exposed = addresses.iter().find(|a| !a.ip().to_canonical().is_loopback());
        match exposed {
            Some(address) if !self.web_allow_unauthenticated => Err(base::Error::invalid(format!(
                "cannot listen on {address}: other machines reach it and nobody has to log in; \
                 add --web.allow-unauthenticated if that is meant, or listen on 127.0.0.1"
            ))),
            _ => Ok(()),
        }
    }
}

/// How log lines are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// For people; Prometheus' name for its own such format is taken too.
    #[value(alias = "logfmt")]
    Text,
    /// One JSON object a line.
    Json,
}

/// The least severe lines that are logged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LogLevel {
    /// What keeps the program from doing what was asked.
    Error,
    /// What somebody should look at.
    Warn,
    /// What happened.
    Info,
    /// What explains a decision.
    Debug,
    /// Everything.
    Trace,
}

fn parse_any_duration(text: &str) -> Result<Duration, String> {
    base::parse_duration(text).map_err(|e| format!("{e}; write it as 1h, 90s or 0"))
}

/// Reads a duration such as 15d.
pub(crate) fn parse_duration(text: &str) -> Result<Duration, String> {
    match base::parse_duration(text) {
        Ok(d) if d.is_zero() => Err("it must be longer than nothing, such as 15d".into()),
        Ok(d) => Ok(d),
        Err(e) => Err(format!("{e}; write it as 15d, 36h or 1h30m")),
    }
}

/// Most of what may go on at the same time, far beyond what any machine can do.
const MOST_PLACES: usize = 1_000_000;

fn parse_places(text: &str) -> Result<usize, String> {
    let count = text.parse().map_err(|e| format!("{e}"))?;
    if count > MOST_PLACES { Err(format!("it must be {MOST_PLACES} at most")) } else { Ok(count) }
}

fn parse_count(text: &str) -> Result<usize, String> {
    match parse_places(text)? {
        0 => Err("it must be more than nothing".into()),
        count => Ok(count),
    }
}

/// Reads a number of samples, which Prometheus writes as 5e7.
fn parse_samples(text: &str) -> Result<usize, String> {
    let count: f64 = text.parse().map_err(|e| format!("{e}"))?;
    if count.fract() == 0.0 && (0.0..=9e15).contains(&count) {
        Ok(count as usize)
    } else {
        Err("write it as 50000000 or 5e7".into())
    }
}

fn parse_message(text: &str) -> Result<Message, String> {
    Message::ALL.into_iter().find(|m| m.name() == text).ok_or_else(|| {
        let names = Message::ALL.map(Message::name);
        format!("unknown type for remote write protobuf message {text}, supported: {}", names.join(", "))
    })
}

fn parse_size(text: &str) -> Result<u64, String> {
    let bytes = crate::config::parse_size(text)?;
    u64::try_from(bytes)
        .ok()
        .filter(|n| *n > 0)
        .ok_or_else(|| "it must be more than nothing, such as 50GB".into())
}

fn parse_memory(text: &str) -> Result<u64, String> {
    let (bytes, least) = (parse_size(text)?, lake::limits::MEMORY_BYTES_LEAST);
    if bytes < least { Err(format!("it must be at least {}MB", least >> 20)) } else { Ok(bytes) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn serve(args: &[&str]) -> Serve {
        let all = ["bellwether", "serve"].iter().chain(args);
        match Cli::try_parse_from(all).map(|c| c.command) {
            Ok(Command::Serve(serve)) => *serve,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn reads_what_it_declares() {
        let s = serve(&[]);
        assert_eq!((s.config.clone(), s.web_listen_address.as_str()), (None, "127.0.0.1:9090"));
        assert_eq!((s.storage_retention, s.storage_retention_size, s.limits_memory), (None, None, None));
        let s = serve(&[
            "--config.file=p.yml",
            "--log.format=json",
            "--log.level",
            "debug",
            "--storage.tsdb.retention.time=36h",
            "--storage.tsdb.retention.size=1GB512MB",
            "--storage.tsdb.path=/d",
            "--limits.memory=2GB",
        ]);
        assert_eq!(
            (s.storage_retention, s.storage_path),
            (Some(Duration::from_secs(36 * 3600)), Some("/d".into()))
        );
        assert_eq!((s.storage_retention_size, s.limits_memory), (Some(1536 << 20), Some(2 << 30)));
        assert_eq!(s.config, Some(PathBuf::from("p.yml")));
        assert_eq!((s.log_format, s.log_level), (LogFormat::Json, LogLevel::Debug));
        for bad in ["--storage.retention=0", "--limits.memory=1KB", "--storage.retention.size=7", "--nope"] {
            assert!(Cli::try_parse_from(["bellwether", "serve", bad]).is_err(), "{bad}");
        }
    }

    #[test]
    fn limits_of_queries_are_those_of_prometheus_unless_given() {
        let default = EngineOptions::default();
        let all =
            |o: &EngineOptions| (o.query_timeout, o.query_max_concurrency, o.query_max_samples, o.lookback);
        let s = serve(&[]).queries;
        assert_eq!(all(&s.within(&default)), all(&default));
        assert_eq!((s.read_sample_limit, s.read_concurrent_limit), (50_000_000, 10));
        let s = serve(&[
            "--query.timeout=30s",
            "--query.max-concurrency=3",
            "--query.max-samples=7",
            "--query.lookback-delta=1m",
            "--storage.remote.read-sample-limit=0",
        ]);
        let seconds = Duration::from_secs;
        assert_eq!(all(&s.queries.within(&default)), (seconds(30), 3, 7, seconds(60)));
        assert_eq!(s.queries.read_sample_limit, 0);
        for bad in [
            "--query.timeout=0",
            "--query.max-concurrency=0",
            "--query.max-samples=x",
            "--storage.remote.read-sample-limit=0.5",
            "--storage.remote.read-sample-limit=-1",
        ] {
            assert!(Cli::try_parse_from(["bellwether", "serve", bad]).is_err(), "{bad}");
        }
    }

    #[test]
    fn experimental_commands_of_promtool_may_be_called_as_there() {
        for args in
            [["--experimental", "promql", "format", "up"], ["promql", "format", "up", "--experimental"]]
        {
            assert!(Cli::try_parse_from(["bellwether"].iter().chain(&args)).is_ok(), "{args:?}");
        }
        let junit = ["bellwether", "test", "--junit=j.xml", "rules", "t.yml"];
        let Ok(Command::Test(test)) = Cli::try_parse_from(junit).map(|c| c.command) else { panic!() };
        assert_eq!(test.junit, Some(PathBuf::from("j.xml")));
    }

    #[test]
    fn without_a_command_the_help_names_the_first_step() {
        let help = Cli::try_parse_from(["bellwether"]).unwrap_err().to_string();
        assert!(help.contains("bellwether serve"), "{help}");
    }

    #[test]
    fn an_open_address_has_to_be_asked_for() {
        let check = |args: &[&str], address: &str| serve(args).check_exposure(&[address.parse().unwrap()]);
        assert!(check(&[], "127.0.0.1:9090").is_ok());
        assert!(check(&[], "[::1]:9090").is_ok());
        assert!(check(&[], "[::ffff:127.0.0.1]:9090").is_ok());
        assert!(check(&["--web.allow-unauthenticated"], "0.0.0.0:9090").is_ok());
        let message = check(&[], "0.0.0.0:9090").unwrap_err().to_string();
        assert!(message.contains("--web.allow-unauthenticated"), "{message}");
    }
}
