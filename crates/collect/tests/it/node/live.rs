//! Beside node_exporter on this host, at the same moment, metric by metric.
//!
//! Debian's node_exporter is 1.5, we follow 1.12: each difference that comes of that is listed with its reason; which of them
//! a host shows depends on the host.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use base::Clock;
use collect::exporters::node::{NodeCollector, NodeOptions, NodeSettings};
use collect::family::encode_text;

use super::exposition_text::{TextFamily, labels, parse};
use super::peer::Peer;

/// Families that only the peer has, by the start of their names.
const ONLY_PEER: [(&str, &str); 7] = [
    ("node_exporter_build_info", "node_exporter itself"),
    ("node_textfile_scrape_error", "no textfile collector"),
    ("node_xfs_", "no xfs collector"),
    ("node_btrfs_", "no btrfs collector"),
    ("node_bcache_", "no bcache collector"),
    ("node_zfs_", "no zfs collector"),
    ("node_systemd_", "Debian switches this collector on"),
];

/// Families that only we have, by the start of their names.
const ONLY_OURS: [(&str, &str); 8] = [
    ("node_filesystem_mount_info", "since 1.9"),
    ("node_kernel_hung_", "since 1.11"),
    ("node_watchdog_", "since 1.8"),
    ("node_pressure_irq_", "since 1.9"),
    ("node_softnet_backlog_len", "1.5 has fewer columns"),
    ("node_softnet_cpu_collision_total", "1.5 has fewer columns"),
    ("node_softnet_flow_limit_count_total", "1.5 has fewer columns"),
    ("node_softnet_received_rps_total", "1.5 has fewer columns"),
];

/// Labels that 1.5 does not have: family, label.
const NEW_LABELS: [(&str, &str); 3] = [
    ("node_filesystem_", "device_error"),
    ("node_disk_info", "rotational"),
    ("node_network_info", "adminstate"),
];

/// How far a value may lie outside of what the peer said just before and just after, by the start of the name, for
/// what moves both ways within milliseconds on a busy host.
const TOLERANCES: [(&str, f64); 9] = [
    ("node_memory_", 512.0 * 1024.0 * 1024.0),
    ("node_procs_", 100.0),
    ("node_disk_io_now", 100.0),
    ("node_sockstat_", 1000.0),
    ("node_filefd_allocated", 5000.0),
    ("node_timex_", 0.01),
    ("node_filesystem_", 512.0 * 1024.0 * 1024.0),
    ("node_netstat_Tcp_CurrEstab", 100.0),
    ("node_udp_queues", 1_000_000.0),
];

/// How often the comparison is tried.
const ROUNDS: usize = 3;

/// The kernel's sums of these two step back, and each side keeps the highest that it has itself seen.
const UNSTEADY_MODES: [&str; 2] = ["mode=\"idle\"", "mode=\"iowait\""];
const UNSTEADY_SECONDS: f64 = 3.0;

/// The peer reads the files while we do: 10 ms is the kernel's own grain of CPU time.
const GRAIN: f64 = 0.0101;

struct SystemClock(std::time::Instant);

impl Clock for SystemClock {
    #[allow(clippy::disallowed_methods, reason = "compares with a program that reads the system's clock")]
    fn now_ms(&self) -> i64 {
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("the clock is past 1970");
        i64::try_from(since.as_millis()).expect("the clock is of this age")
    }

    fn monotonic(&self) -> Duration {
        self.0.elapsed()
    }
}

#[allow(clippy::disallowed_methods, reason = "compares with a program that reads the system's clock")]
pub(super) fn system_clock() -> Arc<dyn Clock> {
    Arc::new(SystemClock(std::time::Instant::now()))
}

/// Debian's and 1.5's defaults leave out more: make the peer look at what we look at.
fn flags(settings: &NodeSettings) -> Vec<String> {
    let pattern = |filter: &collect::exporters::node::Filter| {
        filter.exclude.as_ref().map_or_else(|| "^$".to_owned(), ToString::to_string)
    };
    vec![
        format!("--collector.diskstats.device-exclude={}", pattern(&settings.disks)),
        format!("--collector.filesystem.mount-points-exclude={}", pattern(&settings.mount_points)),
        format!("--collector.filesystem.fs-types-exclude={}", pattern(&settings.filesystem_types)),
        format!("--collector.netdev.device-exclude={}", pattern(&settings.netdev_devices)),
        format!("--collector.vmstat.fields={}", settings.vmstat_fields),
        format!("--collector.netstat.fields={}", settings.netstat_fields),
        "--no-collector.systemd".to_owned(),
    ]
}

#[test]
fn says_of_this_host_what_node_exporter_says() {
    const SUITE: &str = "live node_exporter";
    let settings = NodeSettings::default();
    let Some(peer) = Peer::start(SUITE, &flags(&settings)) else { return };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
    let collector = NodeCollector::new(NodeOptions::new(system_clock()));
    // The first collection reads what is kept afterwards; the peer has had its own.
    runtime.block_on(collector.collect());

    // The host moves between the three readings: a mount or a neighbour may come or go. A defect is there each time.
    let mut comparison = Comparison::default();
    for _ in 0..ROUNDS {
        let before = parse(&peer.metrics());
        let families = runtime.block_on(collector.collect());
        let after = parse(&peer.metrics());
        let mut text = Vec::new();
        encode_text(&families, &mut text);
        let ours = parse(&String::from_utf8(text).expect("an exposition is UTF-8"));
        comparison = Comparison::of(&ours, &before, &after);
        if comparison.differences.is_empty() {
            break;
        }
        println!("{SUITE}: differs, looking again: {}", comparison.differences.join("; "));
    }
    for (name, reason) in &comparison.ours_alone {
        println!("{SUITE}: {name} is ours alone: {reason}");
    }
    println!("{SUITE}: {} families, {} series compared", comparison.families, comparison.series);
    assert!(comparison.differences.is_empty(), "{}", comparison.differences.join("\n"));
    assert!(comparison.families > 150 && comparison.series > 250, "too little was compared");
}

#[derive(Default)]
struct Comparison {
    families: usize,
    series: usize,
    ours_alone: Vec<(String, &'static str)>,
    differences: Vec<String>,
}

type Exposition = BTreeMap<String, TextFamily>;

impl Comparison {
    fn of(ours: &Exposition, before: &Exposition, after: &Exposition) -> Self {
        let mut comparison = Self::default();
        for (name, peers) in before.iter().filter(|(name, _)| name.starts_with("node_")) {
            match ours.get(name) {
                Some(ours) => comparison.family(name, ours, (peers, after.get(name).unwrap_or(peers))),
                None if ONLY_PEER.iter().any(|(start, _)| name.starts_with(start)) => {}
                None => comparison.differences.push(format!("{name} is missing")),
            }
        }
        for name in ours.keys().filter(|n| !before.contains_key(*n)) {
            match ONLY_OURS.iter().find(|(start, _)| name.starts_with(start)) {
                Some((_, reason)) => comparison.ours_alone.push((name.clone(), reason)),
                None => comparison.differences.push(format!("{name} is not expected")),
            }
        }
        comparison
    }

    fn family(&mut self, name: &str, ours: &TextFamily, (before, after): (&TextFamily, &TextFamily)) {
        self.families += 1;
        if ours.metric_type != before.metric_type {
            self.differences.push(format!("{name} is a {}, want {}", ours.metric_type, before.metric_type));
        }
        if ours.help != before.help {
            self.differences.push(format!("{name} has help {:?}, want {:?}", ours.help, before.help));
        }
        let ours_by_series: BTreeMap<String, &String> =
            ours.samples.iter().map(|(series, value)| (without_new_labels(name, series), value)).collect();
        for (series, first) in &before.samples {
            let Some(value) = ours_by_series.get(series) else {
                if !of_absent_collector(name, series, &ours_by_series) {
                    self.differences.push(format!("{series} is missing"));
                }
                continue;
            };
            let last = after.samples.get(series).unwrap_or(first);
            if !value_fits(series, &ours.metric_type, [first, value, last].map(|v| number(v))) {
                self.differences.push(format!("{series} is {value}, want {first} to {last}"));
            }
            self.series += 1;
        }
        for series in ours_by_series.keys().filter(|s| !before.samples.contains_key(*s)) {
            if !name.starts_with("node_scrape_collector_") {
                self.differences.push(format!("{series} is not expected"));
            }
        }
    }
}

fn value_fits(series: &str, metric_type: &str, [first, ours, last]: [f64; 3]) -> bool {
    // How long a collector takes is its own matter.
    if series.starts_with("node_scrape_collector_duration_seconds") {
        return true;
    }
    let tolerance = if UNSTEADY_MODES.iter().any(|mode| series.contains(mode)) {
        UNSTEADY_SECONDS
    } else if metric_type == "counter" {
        GRAIN
    } else {
        TOLERANCES.iter().find(|(start, _)| series.starts_with(start)).map_or(GRAIN, |(_, t)| *t)
    };
    (first.min(last) - tolerance..=first.max(last) + tolerance).contains(&ours)
}

fn number(value: &str) -> f64 {
    value.parse().expect("a sample has a number")
}

/// A line of the peer about a collector that we do not have.
fn of_absent_collector(name: &str, series: &str, ours: &BTreeMap<String, &String>) -> bool {
    name.starts_with("node_scrape_collector_") && !ours.contains_key(series)
}

fn without_new_labels(name: &str, series: &str) -> String {
    let is_new = |label: &str| NEW_LABELS.iter().any(|(start, new)| name.starts_with(start) && *new == label);
    let kept: Vec<String> = labels(series)
        .into_iter()
        .filter(|(label, _)| !is_new(label))
        .map(|(label, value)| format!("{label}=\"{value}\""))
        .collect();
    if kept.is_empty() { name.to_owned() } else { format!("{name}{{{}}}", kept.join(",")) }
}
