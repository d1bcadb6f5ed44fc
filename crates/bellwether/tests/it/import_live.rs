//! `bellwether import prometheus-tsdb` on the folder of a Prometheus that has run: what both answer is the same. And an import that
//! is killed goes on where it was.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;

use crate::harness::{
    Bellwether, Process, bellwether, eventually, fetch, find_program, free_port, signal, skip,
};
use crate::import::{block_folders, import, now_s, promtool_blocks, two_days};

/// Debian's Prometheus, which scrapes itself four times a second and makes a block every few seconds.
struct Prometheus {
    process: Process,
    url: String,
}

impl Prometheus {
    fn start(program: &Path, folder: &Path) -> Self {
        let port = free_port();
        let file = folder.join("prometheus.yml");
        let configuration = format!(
            "global: {{scrape_interval: 250ms, scrape_timeout: 200ms}}\n\
             scrape_configs: [{{job_name: self, static_configs: [{{targets: ['127.0.0.1:{port}']}}]}}]\n"
        );
        std::fs::write(&file, configuration).expect("the configuration is written");
        let mut command = Command::new(program);
        command
            .arg(format!("--config.file={}", file.display()))
            .arg(format!("--storage.tsdb.path={}", folder.join("tsdb").display()))
            .arg(format!("--web.listen-address=127.0.0.1:{port}"))
            .args(["--storage.tsdb.min-block-duration=2s", "--storage.tsdb.max-block-duration=6s"])
            .arg("--web.enable-admin-api");
        let (process, ()) =
            Process::start_until(&mut command, |line| line.contains("Server is ready").then_some(()));
        Self { process, url: format!("http://127.0.0.1:{port}") }
    }

    fn stop(mut self) {
        signal(self.process.child.id(), "TERM");
        let status =
            eventually("Prometheus stops", || self.process.child.try_wait().expect("it can be waited for"));
        assert!(status.success(), "{status}");
    }
}

/// Whether a folder has all that a running Prometheus leaves: compacted blocks among others, a checkpoint, and a log behind it.
fn has_everything(tsdb: &Path) -> bool {
    let blocks = block_folders(tsdb);
    let compacted = blocks.iter().any(|b| {
        let meta = std::fs::read_to_string(b.join("meta.json")).unwrap_or_default();
        serde_json::from_str::<Value>(&meta).is_ok_and(|m| m["compaction"]["level"].as_u64() > Some(1))
    });
    let names = std::fs::read_dir(tsdb.join("wal")).expect("a log").map(|e| e.expect("an entry").file_name());
    let checkpoint = names.into_iter().any(|n| n.to_string_lossy().starts_with("checkpoint."));
    blocks.len() >= 3 && compacted && checkpoint
}

/// An answer with its series in an order that does not depend on who answers.
fn answer(url: &str, path: &str) -> BTreeMap<String, Value> {
    let (status, body) = fetch(&format!("{url}{path}"));
    let body: Value = serde_json::from_str(&body).unwrap_or_else(|e| panic!("{path} {status} {body}: {e}"));
    let result = body["data"]["result"].as_array().unwrap_or_else(|| panic!("{path}: {body}"));
    result
        .iter()
        .map(|series| {
            let samples = if series["values"].is_array() { &series["values"] } else { &series["value"] };
            (series["metric"].to_string(), samples.clone())
        })
        .collect()
}

/// Queries, and how many seconds after the first sample they begin: near zero, Prometheus 2 and 3 extrapolate counters differently.
const QUERIES: [(f64, &str); 8] = [
    (0.0, "{__name__=~\".%2B\"}"),
    (6.0, "rate(prometheus_http_requests_total{handler=\"/metrics\"}[3s])"),
    (6.0, "sum by (code) (increase(prometheus_http_requests_total{handler=\"/metrics\"}[5s]))"),
    (
        6.0,
        "histogram_quantile(0.9, sum by (le) (rate(prometheus_http_response_size_bytes_bucket{handler=\"/metrics\"}[5s])))",
    ),
    (0.0, "topk(3, go_memstats_alloc_bytes)"),
    (0.0, "quantile_over_time(0.5, go_goroutines[4s])"),
    (0.0, "scrape_duration_seconds * on (instance) group_left (version) prometheus_build_info"),
    (0.0, "absent(up == 0)"),
];

#[test]
fn answers_as_the_prometheus_whose_folder_was_imported() {
    const TEST: &str = "answers_as_the_prometheus_whose_folder_was_imported";
    let Some(program) = find_program("prometheus") else {
        return skip(TEST, "prometheus is not installed");
    };
    let folder = tempfile::tempdir().expect("a folder");
    let tsdb = folder.path().join("tsdb");
    let prometheus = Prometheus::start(&program, folder.path());
    eventually("there are blocks, a checkpoint and a log", || has_everything(&tsdb).then_some(()));
    // Deleted in blocks and in the head alike.
    let deleted = ureq::post(format!(
        "{}/api/v1/admin/tsdb/delete_series?match[]=go_gc_duration_seconds_count&match[]=go_threads",
        prometheus.url
    ))
    .send_empty()
    .expect("series are deleted");
    assert_eq!(deleted.status(), 204);
    // Until there are samples after the deletion, which are to be seen.
    std::thread::sleep(Duration::from_secs(2));
    let last_s = now_s() - 1;
    let times = answer(&prometheus.url, &format!("/api/v1/query?query=up[10m]&time={last_s}"));
    let first = times.values().filter_map(|samples| samples[0][0].as_f64()).fold(f64::INFINITY, f64::min);
    let range = |(after_s, query): &(f64, &str)| {
        let start_s = first.ceil() + after_s;
        format!("/api/v1/query_range?query={query}&start={start_s}&end={last_s}&step=500ms")
    };
    let raw = format!("/api/v1/query?query={{__name__=~\".%2B\"}}[10m]&time={last_s}");
    let paths: Vec<String> = QUERIES.iter().map(range).chain([raw]).collect();
    let want: Vec<_> = paths.iter().map(|path| answer(&prometheus.url, path)).collect();
    prometheus.stop();
    assert!(want.iter().all(|series| !series.is_empty()), "{want:?}");

    let data = tempfile::tempdir().expect("a folder");
    let source = tsdb.to_str().expect("a plain path");
    let (complete, first) = import(&["prometheus-tsdb", source], &data);
    assert!(complete && first["samples"].as_u64() > Some(1000), "{first}");
    let (complete, second) = import(&["prometheus-tsdb", source], &data);
    assert!(complete && second["samples"] == 0, "{second}");
    let nobody = "scrape_configs: []";
    let b = Bellwether::start_in(data, Some(nobody));
    for (path, want) in paths.iter().zip(&want) {
        let got = answer(&b.url, path);
        let keys = |m: &BTreeMap<String, Value>| m.keys().cloned().collect::<BTreeSet<_>>();
        assert_eq!(keys(&got), keys(want), "{path}");
        for (series, samples) in want {
            assert_eq!(&got[series], samples, "{path}: {series}");
        }
    }
}

/// Rows of a table by its log: what every commit adds.
fn rows(data: &Path) -> u64 {
    let log = data.join("tables/metrics/_delta_log");
    let commits = std::fs::read_dir(log).expect("a log").map(|e| e.expect("an entry").path());
    let commits = commits.filter(|p| p.extension().is_some_and(|e| e == "json"));
    let added = commits.flat_map(|p| {
        let text = std::fs::read_to_string(p).expect("a commit");
        text.lines().map(|l| serde_json::from_str::<Value>(l).expect("JSON")).collect::<Vec<_>>()
    });
    let rows = |action: Value| {
        let stats: Value = serde_json::from_str(action["add"]["stats"].as_str()?).expect("JSON");
        stats["numRecords"].as_u64()
    };
    added.filter_map(rows).sum()
}

fn commits(data: &Path) -> usize {
    let log = data.join("tables/metrics/_delta_log");
    let entries = std::fs::read_dir(log).map(|entries| entries.filter_map(Result::ok).collect::<Vec<_>>());
    entries.unwrap_or_default().iter().filter(|e| e.path().extension().is_some_and(|e| e == "json")).count()
}

/// Imports, and sends SIGKILL once some parts are committed. Returns whether it was killed before it had finished.
fn import_and_kill(source: &[&str], data: &Path, after_commits: usize) -> bool {
    let mut command = bellwether();
    command.arg("import").args(source).arg("--storage.path").arg(data);
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("it runs");
    loop {
        if commits(data) >= after_commits {
            child.kill().expect("it can be killed");
        }
        if let Some(status) = child.try_wait().expect("it can be waited for") {
            return !status.success();
        }
        std::thread::sleep(Duration::from_millis(1));
    }
}

#[test]
fn an_import_that_is_killed_goes_on() {
    let Some(promtool) = find_program("promtool") else {
        return skip("an_import_that_is_killed_goes_on", "promtool is not installed");
    };
    let (want, text) = two_days(now_s() - 3600);
    let count = want.values().map(Vec::len).sum::<usize>() as u64;
    let (_folder, file, blocks) = promtool_blocks(&promtool, &text);
    let kinds: [(&str, &PathBuf); 2] = [("prometheus-tsdb", &blocks), ("openmetrics", &file)];
    for (kind, source) in kinds {
        let source = [kind, source.to_str().expect("a plain path")];
        let whole = tempfile::tempdir().expect("a folder");
        import(&source, &whole);
        let want_rows = rows(&whole.path().join("data"));
        let mut killed = 0;
        // The first commit makes the table. Before it, after it, and after each of the first parts.
        for after_commits in 0..4 {
            let folder = TempDir::new().expect("a folder");
            let data = folder.path().join("data");
            killed += usize::from(import_and_kill(&source, &data, after_commits));
            let before = commits(&data);
            let (complete, report) = import(&source, &folder);
            assert!(complete, "{kind} {after_commits}: {report}");
            let (present, samples) = (report["daysPresent"].as_u64(), report["samples"].as_u64());
            assert!(before < 2 || present > Some(0) && samples < Some(count), "{kind} {before}: {report}");
            assert_eq!(rows(&data), want_rows, "{kind}, killed with {before} commits");
        }
        assert!(killed >= 2, "{kind}: only {killed} imports were killed before their end");
    }
}
