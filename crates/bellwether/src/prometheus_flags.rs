//! The options of Prometheus' command line that `bellwether serve` has no use for, so that a unit file that names them says why.
//!
//! Owns their names and what is said of each. Options that do something are declared in `cli.rs`.

use base::{Error, Result};
use clap::{Arg, ArgAction, ArgMatches, Args, Command, FromArgMatches};

/// What becomes of an option.
#[derive(Debug, Clone, Copy)]
enum Fate {
    /// It is told that it has no effect, and why.
    NoEffect,
    /// Without it the server would not be what was asked for: it does not start. These values ask for nothing and are taken.
    Refused(&'static [&'static str]),
}
use Fate::{NoEffect, Refused};

/// An option of Prometheus.
struct Flag {
    name: &'static str,
    /// The option that denies it, if it stands alone.
    denial: Option<&'static str>,
    fate: Fate,
    why: &'static str,
}

/// An option that stands alone, and its denial.
macro_rules! switch {
    ($name:literal, $fate:expr, $why:expr $(,)?) => {
        Flag { name: $name, denial: Some(concat!("no-", $name)), fate: $fate, why: $why }
    };
}

const fn valued(name: &'static str, fate: Fate, why: &'static str) -> Flag {
    Flag { name, denial: None, fate, why }
}

const NO_RUNTIME: &str = "there is no Go runtime here; --limits.memory bounds memory";
const NO_BLOCKS: &str = "samples are not stored in Prometheus' blocks here";
const LOG_COMPRESSED: &str = "the write-ahead log has a format of its own here";
const AGENT: &str = "there is no agent mode here; remote_write of the configuration sends on what is scraped";
const CONSOLES: &str = "there are no console templates here; the web interface is built in";

static FLAGS: &[Flag] = &[
    switch!("agent", Refused(&["false"]), AGENT),
    switch!("auto-gomaxprocs", NoEffect, NO_RUNTIME),
    switch!("auto-gomemlimit", NoEffect, NO_RUNTIME),
    valued("auto-gomemlimit.ratio", NoEffect, NO_RUNTIME),
    valued("auto-gomemlimit.refresh-interval", NoEffect, NO_RUNTIME),
    switch!(
        "config.auto-reload",
        NoEffect,
        "files are not watched here; send SIGHUP or POST /-/reload when they change",
    ),
    valued("config.auto-reload-interval", NoEffect, "files are not watched here"),
    valued(
        "scrape.discovery-reload-interval",
        NoEffect,
        "targets are taken over as they are discovered here",
    ),
    switch!("scrape.adjust-timestamps", NoEffect, "timestamps of scrapes are always aligned here"),
    valued(
        "scrape.timestamp-tolerance",
        NoEffect,
        "timestamps of scrapes are aligned within Prometheus' default here",
    ),
    valued("storage.agent.checkpoint-batch-size", Refused(&[]), AGENT),
    switch!("storage.agent.checkpoint-from-in-memory-series", Refused(&["false"]), AGENT),
    switch!("storage.agent.no-lockfile", Refused(&["false"]), AGENT),
    valued("storage.agent.path", Refused(&[]), AGENT),
    valued("storage.agent.retention.max-time", Refused(&[]), AGENT),
    valued("storage.agent.retention.min-time", Refused(&[]), AGENT),
    switch!("storage.agent.wal-compression", Refused(&[]), AGENT),
    valued("storage.agent.wal-compression-type", Refused(&[]), AGENT),
    valued("storage.agent.wal-segment-size", Refused(&[]), AGENT),
    valued("storage.agent.wal-truncate-frequency", Refused(&[]), AGENT),
    valued(
        "storage.remote.read-max-bytes-in-frame",
        NoEffect,
        "frames of remote read always begin anew after 1 MiB, Prometheus' default",
    ),
    switch!("storage.tsdb.allow-overlapping-blocks", NoEffect, NO_BLOCKS),
    switch!("storage.tsdb.allow-overlapping-compaction", NoEffect, NO_BLOCKS),
    valued("storage.tsdb.block-reload-interval", NoEffect, NO_BLOCKS),
    valued("storage.tsdb.delay-compact-file.path", NoEffect, NO_BLOCKS),
    valued("storage.tsdb.delayed-compaction.max-percent", NoEffect, NO_BLOCKS),
    valued("storage.tsdb.head-chunks-write-queue-size", NoEffect, NO_BLOCKS),
    valued("storage.tsdb.max-block-chunk-segment-size", NoEffect, NO_BLOCKS),
    valued("storage.tsdb.max-block-duration", NoEffect, NO_BLOCKS),
    valued("storage.tsdb.min-block-duration", NoEffect, NO_BLOCKS),
    switch!("storage.tsdb.no-lockfile", NoEffect, "the data folder always belongs to one process here"),
    valued("storage.tsdb.samples-per-chunk", NoEffect, NO_BLOCKS),
    switch!("storage.tsdb.wal-compression", NoEffect, LOG_COMPRESSED),
    valued("storage.tsdb.wal-compression-type", NoEffect, LOG_COMPRESSED),
    valued("storage.tsdb.wal-segment-size", NoEffect, LOG_COMPRESSED),
    valued(
        "web.config.file",
        Refused(&[""]),
        "TLS and users of the web interface are not here; put a proxy before the server that has them",
    ),
    valued("web.console.libraries", NoEffect, CONSOLES),
    valued("web.console.templates", NoEffect, CONSOLES),
    switch!(
        "web.enable-lifecycle",
        NoEffect,
        "POST /-/reload always answers here, and there is no /-/quit; send SIGTERM to stop",
    ),
    valued("web.max-connections", NoEffect, "512 connections are served at a time, Prometheus' default"),
    valued("web.page-title", NoEffect, "the title of the pages cannot be changed here"),
    valued(
        "web.read-timeout",
        NoEffect,
        "the head of a request may take 60 seconds, and the body of a query or a pushed request 30",
    ),
    valued(
        "web.route-prefix",
        Refused(&["", "/"]),
        "everything is served at / here; let the proxy before the server take the prefix away",
    ),
    valued("web.search.max-limit", NoEffect, "a search has 10000 results at most, Prometheus' default"),
    valued(
        "web.user-assets",
        Refused(&[""]),
        "there are no files of users here; let a web server serve them",
    ),
];

/// What of Prometheus' options was given that this program has no use for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PrometheusFlags {
    /// Places in the table, and the values.
    given: Vec<(usize, String)>,
}

impl PrometheusFlags {
    /// What should be said of options that change nothing, or less than with Prometheus, a sentence each; the first that is refused is an
    /// error.
    pub(crate) fn check(&self, external_url: Option<&str>) -> Result<Vec<String>> {
        let mut notices: Vec<String> = external_url.and_then(prefix_notice).into_iter().collect();
        for (at, value) in &self.given {
            let Flag { name, fate, why, .. } = &FLAGS[*at];
            match fate {
                NoEffect => notices.push(format!("--{name} has no effect here: {why}")),
                Refused(neutral) if neutral.contains(&value.as_str()) => {}
                Refused(_) => return Err(Error::invalid(format!("cannot do as --{name} asks: {why}"))),
            }
        }
        Ok(notices)
    }
}

/// What there is to say of a path in the URL by which clients reach the server.
fn prefix_notice(external_url: &str) -> Option<String> {
    let (_, host_and_path) = external_url.split_once("://")?;
    let (_, path) = host_and_path.trim_end_matches('/').split_once('/')?;
    Some(format!(
        "--web.external-url puts /{path} into links and alerts only: everything is served at / here; let the proxy before the server take \
         the prefix away"
    ))
}

impl Args for PrometheusFlags {
    fn augment_args(command: Command) -> Command {
        FLAGS.iter().fold(command, |command, flag| {
            let arg = Arg::new(flag.name).long(flag.name).hide(true);
            let Some(denial) = flag.denial else {
                return command.arg(arg.action(ArgAction::Append).num_args(1));
            };
            let denied = Arg::new(denial).long(denial).hide(true).action(ArgAction::SetTrue);
            let given = arg.action(ArgAction::Set).num_args(0..=1).require_equals(true);
            let given = given.value_parser(["true", "false"]).default_missing_value("true");
            command.arg(given).arg(denied)
        })
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl FromArgMatches for PrometheusFlags {
    fn from_arg_matches(matches: &ArgMatches) -> std::result::Result<Self, clap::Error> {
        let mut flags = Self::default();
        flags.update_from_arg_matches(matches)?;
        Ok(flags)
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> std::result::Result<(), clap::Error> {
        for (at, flag) in FLAGS.iter().enumerate() {
            // The last one given counts, as for other options.
            let value =
                matches.get_many::<String>(flag.name).and_then(|mut values| values.next_back().cloned());
            let denied = flag.denial.is_some_and(|denial| matches.get_flag(denial));
            let value = if denied { Some("false".to_owned()) } else { value };
            self.given.extend(value.map(|v| (at, v)));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::PrometheusFlags;
    use crate::cli::{Cli, Command, Serve};

    /// Every option of `prometheus --help`, 3.14, and those that earlier versions took away and unit files still have.
    const OF_PROMETHEUS: &str = "
        config.file=p.yml config.auto-reload config.auto-reload-interval=30s web.listen-address=127.0.0.1:1 auto-gomaxprocs auto-gomemlimit
        auto-gomemlimit.ratio=0.9 auto-gomemlimit.refresh-interval=0s web.read-timeout=5m web.max-connections=512
        web.max-notifications-subscribers=16 web.external-url=http://h/ web.route-prefix=/ web.user-assets= web.enable-lifecycle
        web.enable-admin-api web.enable-remote-write-receiver
        web.remote-write-receiver.accepted-protobuf-messages=prometheus.WriteRequest web.enable-otlp-receiver
        web.console.templates=consoles web.console.libraries=console_libraries web.page-title=T web.cors.origin=.* web.config.file=
        storage.tsdb.path=data/ storage.tsdb.min-block-duration=2h storage.tsdb.max-block-duration=2h
        storage.tsdb.max-block-chunk-segment-size=512MB storage.tsdb.wal-segment-size=128MB storage.tsdb.retention.time=15d
        storage.tsdb.retention.size=1GB storage.tsdb.no-lockfile storage.tsdb.allow-overlapping-compaction
        storage.tsdb.wal-compression storage.tsdb.wal-compression-type=snappy storage.tsdb.head-chunks-write-queue-size=0
        storage.tsdb.samples-per-chunk=120 storage.tsdb.delayed-compaction.max-percent=10 storage.tsdb.delay-compact-file.path=f
        storage.tsdb.block-reload-interval=1m storage.agent.path=p storage.agent.wal-segment-size=1MB storage.agent.wal-compression
        storage.agent.wal-compression-type=snappy storage.agent.wal-truncate-frequency=2h storage.agent.retention.min-time=1h
        storage.agent.retention.max-time=1h storage.agent.checkpoint-from-in-memory-series storage.agent.checkpoint-batch-size=1
        storage.agent.no-lockfile storage.remote.flush-deadline=1m storage.remote.read-sample-limit=5e7
        storage.remote.read-concurrent-limit=10 storage.remote.read-max-bytes-in-frame=1048576 web.search.max-limit=10000
        rules.alert.for-outage-tolerance=1h rules.alert.for-grace-period=10m rules.alert.resend-delay=1m
        rules.max-concurrent-evals=4 scrape.adjust-timestamps scrape.timestamp-tolerance=2ms
        alertmanager.notification-queue-capacity=10000 alertmanager.notification-batch-size=256
        alertmanager.drain-notification-queue-on-shutdown query.lookback-delta=5m query.timeout=2m query.max-concurrency=20
        query.max-samples=50000000 scrape.discovery-reload-interval=5s enable-feature=search-api agent log.level=info log.format=logfmt
        storage.tsdb.allow-overlapping-blocks";

    fn serve(arguments: &[&str]) -> Serve {
        match Cli::try_parse_from(["bellwether", "serve"].iter().chain(arguments)).map(|c| c.command) {
            Ok(Command::Serve(serve)) => *serve,
            other => panic!("{arguments:?}: {other:?}"),
        }
    }

    #[test]
    fn every_option_of_prometheus_is_read() {
        for option in OF_PROMETHEUS.split_whitespace() {
            serve(&[&format!("--{option}")]);
        }
    }

    #[test]
    fn an_option_without_effect_is_told_and_a_harmful_one_refused() {
        assert_eq!(serve(&[]).prometheus.check(None).unwrap(), Vec::<String>::new());
        for without_path in ["http://h", "https://h:9090/", "h/p"] {
            assert_eq!(PrometheusFlags::default().check(Some(without_path)).unwrap(), Vec::<String>::new());
        }
        let told = PrometheusFlags::default().check(Some("https://h:9090/a/b/")).unwrap();
        assert!(matches!(&told[..], [one] if one.contains(" /a/b ")), "{told:?}");
        let args =
            ["--web.enable-lifecycle", "--no-storage.tsdb.wal-compression", "--web.console.templates", "c"];
        let told = serve(&args).prometheus.check(None).unwrap();
        let begins = |s: &str| told.iter().any(|t| t.starts_with(&format!("--{s} has no effect here: ")));
        assert_eq!(told.len(), 3, "{told:?}");
        assert!(begins("web.enable-lifecycle") && begins("web.console.templates"), "{told:?}");
        assert!(begins("storage.tsdb.wal-compression"), "{told:?}");
        for neutral in ["--web.route-prefix=/", "--no-agent", "--agent=false", "--web.config.file="] {
            assert_eq!(serve(&[neutral]).prometheus.check(None).unwrap(), Vec::<String>::new(), "{neutral}");
        }
        for (harmful, why) in [
            ("--agent", "agent mode"),
            ("--web.route-prefix=/p", "the prefix"),
            ("--web.config.file=w.yml", "a proxy"),
            ("--storage.agent.path=p", "agent mode"),
        ] {
            let said = serve(&[harmful]).prometheus.check(None).unwrap_err().to_string();
            let name = harmful.split('=').next().unwrap();
            assert!(said.starts_with(&format!("cannot do as {name} asks: ")) && said.contains(why), "{said}");
        }
    }
}
