//! `dashboard`: how long forty panels over a day take when somebody opens them right after a start, and again.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::{Result, ensure};

use super::{Setup, say};
use crate::clock::Stopwatch;
use crate::data::{Grid, Recording, node};
use crate::limits::{BROWSER_CONNECTIONS, END_BEFORE_NOW};
use crate::loader;
use crate::report::{Report, Unit};
use crate::servers::client::{Client, seconds};
use crate::servers::process::Server;

/// What is scraped once a minute for a day.
const INTERVAL_MS: i64 = 60_000;
const TICKS: usize = 24 * 60;

/// Grafana asks for about as many points as a panel has pixels.
const STEP_S: i64 = 120;

/// Panels over all targets.
const FLEET: [&str; 10] = [
    "1 - avg by (instance) (rate(node_cpu_seconds_total{mode=\"idle\"}[5m]))",
    "sum by (mode) (rate(node_cpu_seconds_total[5m]))",
    "1 - node_memory_MemAvailable_bytes / node_memory_MemTotal_bytes",
    "sum(rate(node_network_receive_bytes_total{device!=\"lo\"}[5m]))",
    "sum(rate(node_network_transmit_bytes_total{device!=\"lo\"}[5m]))",
    "topk(5, sum by (instance) (rate(node_network_receive_bytes_total{device!=\"lo\"}[5m])))",
    "node_load1 / on (instance) count by (instance) (node_cpu_seconds_total{mode=\"idle\"})",
    "max by (instance) (1 - node_filesystem_avail_bytes{fstype!~\"tmpfs|overlay\"} / node_filesystem_size_bytes)",
    "histogram_quantile(0.99, sum by (le) (rate(http_request_duration_seconds_bucket[5m])))",
    "count by (state) (node_systemd_unit_state == 1)",
];

/// Panels over one target, which stands for `$h`.
const HOST: [&str; 30] = [
    "sum by (mode) (rate(node_cpu_seconds_total{$h}[5m]))",
    "sum by (cpu) (rate(node_cpu_seconds_total{mode!=\"idle\",$h}[5m]))",
    "rate(node_cpu_seconds_total{mode=\"iowait\",$h}[5m])",
    "node_load1{$h}",
    "node_load5{$h}",
    "node_load15{$h}",
    "node_memory_MemTotal_bytes{$h} - node_memory_MemAvailable_bytes{$h}",
    "node_memory_MemFree_bytes{$h}",
    "node_memory_Cached_bytes{$h} + node_memory_Buffers_bytes{$h}",
    "node_memory_SwapTotal_bytes{$h} - node_memory_SwapFree_bytes{$h}",
    "node_memory_Dirty_bytes{$h}",
    "rate(node_network_receive_bytes_total{$h}[5m])",
    "rate(node_network_transmit_bytes_total{$h}[5m])",
    "rate(node_network_receive_packets_total{$h}[5m])",
    "rate(node_network_receive_drop_total{$h}[5m])",
    "rate(node_disk_read_bytes_total{$h}[5m])",
    "rate(node_disk_written_bytes_total{$h}[5m])",
    "rate(node_disk_io_time_seconds_total{$h}[5m])",
    "rate(node_disk_reads_completed_total{$h}[5m])",
    "100 * (1 - node_filesystem_avail_bytes{$h} / node_filesystem_size_bytes{$h})",
    "node_filesystem_files_free{$h}",
    "rate(node_context_switches_total{$h}[5m])",
    "rate(node_intr_total{$h}[5m])",
    "node_procs_running{$h}",
    "node_procs_blocked{$h}",
    "rate(node_vmstat_pgmajfault{$h}[5m])",
    "node_sockstat_TCP_inuse{$h}",
    "node_filefd_allocated{$h}",
    "time() - node_boot_time_seconds{$h}",
    "avg_over_time(node_scrape_collector_duration_seconds{$h}[10m])",
];

/// Runs it.
pub(crate) fn run(setup: &Setup) -> Result<Report> {
    let mut report = Report::new("dashboard");
    say("recording a day of node_exporter");
    let recording = node::record(
        setup.sizes.targets,
        Grid::ending_before_now(END_BEFORE_NOW, TICKS, INTERVAL_MS),
        &setup.work,
    )?;
    let title = recording.title.clone();
    setup.each(&title, |_, kind, folder| {
        let server = setup.start(kind, folder)?;
        loader::send_all(&server, &recording)?;
        loader::verify(&server, &recording)?;
        server.settle(setup.settle_min)?;
        server.kill()?;
        let server = setup.start(kind, folder)?;
        for (opened, name) in ["first opened after a start", "opened again"].into_iter().enumerate() {
            let (all, slowest, empty) = open(&server, &recording)?;
            report.put(&title, &format!("all panels, {name}"), Unit::Milliseconds, kind, milliseconds(all));
            report.put(
                &title,
                &format!("slowest panel, {name}"),
                Unit::Milliseconds,
                kind,
                milliseconds(slowest),
            );
            if opened == 0 {
                report.note(&title, format!("{kind}: {empty} panels show nothing"));
            }
        }
        report.put_detail(&title, "peak memory", Unit::Bytes, kind, server.memory()?.peak as f64);
        server.kill()
    })?;
    let panels = FLEET.len() + HOST.len();
    report.note(
        &title,
        format!(
            "{panels} panels over 24 h at steps of {STEP_S} s, {BROWSER_CONNECTIONS} connections; the system's page \
             cache is warm"
        ),
    );
    Ok(report)
}

fn milliseconds(d: Duration) -> f64 {
    d.as_secs_f64() * 1000.0
}

/// Asks for all panels as a browser does: the time of all, that of the slowest, and how many show nothing.
fn open(server: &Server, recording: &Recording) -> Result<(Duration, Duration, usize)> {
    let host = HOST.iter().map(|panel| panel.replace("$h", "instance=\"node-000:9100\""));
    let panels: Vec<String> = FLEET.iter().map(|panel| (*panel).to_owned()).chain(host).collect();
    let next = AtomicUsize::new(0);
    let watch = Stopwatch::start();
    let lane = || -> Result<(Duration, usize)> {
        let client = server.client.separate();
        let (mut slowest, mut empty) = (Duration::ZERO, 0);
        while let Some(panel) = panels.get(next.fetch_add(1, Ordering::Relaxed)) {
            let (took, series) = ask(&client, panel, recording)?;
            slowest = slowest.max(took);
            empty += usize::from(series == 0);
        }
        Ok((slowest, empty))
    };
    let lanes: Vec<Result<(Duration, usize)>> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..BROWSER_CONNECTIONS).map(|_| scope.spawn(lane)).collect();
        threads
            .into_iter()
            .map(|t| t.join().unwrap_or_else(|_| Err(anyhow::anyhow!("a connection ended early"))))
            .collect()
    });
    let all = watch.elapsed();
    let (mut slowest, mut empty) = (Duration::ZERO, 0);
    for lane in lanes {
        let (of_lane, nothing) = lane?;
        slowest = slowest.max(of_lane);
        empty += nothing;
    }
    ensure!(empty < panels.len() / 2, "{empty} of {} panels show nothing", panels.len());
    Ok((all, slowest, empty))
}

fn ask(client: &Client, query: &str, recording: &Recording) -> Result<(Duration, usize)> {
    let step_ms = STEP_S * 1000;
    let end_ms = recording.end_ms / step_ms * step_ms;
    let (start, end) = (seconds(end_ms - 24 * 3_600_000), seconds(end_ms));
    let form =
        [("query", query), ("start", &start), ("end", &end), ("step", &STEP_S.to_string()), ("nocache", "1")];
    let (data, took) = client.data("/api/v1/query_range", &form)?;
    Ok((took, data["result"].as_array().map_or(0, Vec::len)))
}
