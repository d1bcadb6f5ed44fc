//! The admin API, and retention that a reload changes: what goes, what stays, and what a snapshot holds.

use std::path::Path;
use std::process::Command;
use std::time::{SystemTime, UNIX_EPOCH};

use ingest::testing::RequestWriter;
use serde_json::Value;
use tempfile::TempDir;

use crate::harness::{Bellwether, Process, bellwether, eventually, find_program, free_port, skip};
use crate::remote_write::{HEADERS, send};

pub(crate) const ARGUMENTS: [&str; 2] = ["--web.enable-admin-api", "--web.enable-remote-write-receiver"];
const NOTHING: &str = "scrape_configs: []";
const HOUR_MS: i64 = 3_600_000;

/// Parameters and their values.
type Form<'a> = &'a [(&'a str, &'a str)];

pub(crate) fn start(folder: TempDir) -> Bellwether {
    Bellwether::start_with(folder, Some(NOTHING), &ARGUMENTS)
}

pub(crate) fn fresh() -> Bellwether {
    start(tempfile::tempdir().expect("a temporary folder"))
}

pub(crate) fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970");
    i64::try_from(since.as_millis()).expect("before the year 292277025")
}

/// Writes samples a minute apart of series that are named by metric and environment.
pub(crate) fn write(b: &Bellwether, series: &[(&str, &str)], from_ms: i64, samples: i64) {
    let mut request = RequestWriter::new();
    for (metric, env) in series.iter().copied() {
        request.series(&[("__name__", metric), ("env", env)]);
        for i in 0..samples {
            request.sample(from_ms + i * 60_000, i as f64);
        }
    }
    let (status, text, _) = send(&b.url, &HEADERS, &request.body());
    assert_eq!((status, text.as_str()), (204, ""));
}

/// A method of the admin API: status and text.
fn call(url: &str, method: &str, name: &str, form: Form<'_>) -> (u16, String) {
    let mut body = form_urlencoded::Serializer::new(String::new());
    body.extend_pairs(form);
    let url = format!("{url}/api/v1/admin/tsdb/{name}");
    let request = if method == "PUT" { ureq::put(url) } else { ureq::post(url) };
    let mut answer = request
        .config()
        .http_status_as_error(false)
        .build()
        .content_type("application/x-www-form-urlencoded")
        .send(body.finish())
        .expect("it answers");
    (answer.status().as_u16(), answer.body_mut().read_to_string().expect("text"))
}

/// Samples of a metric within a day.
pub(crate) fn count(b: &Bellwether, metric: &str) -> Option<f64> {
    b.value(&format!("sum(count_over_time({metric}[1d]))"))
}

/// Samples in segments, as `bellwether lake stat` counts them.
fn sealed_samples(folder: &Path) -> u64 {
    let mut command = bellwether();
    command.args(["lake", "stat", "--table", "metrics", "--format", "json", "--storage.path"]);
    let said = command.arg(folder.join("data")).output().expect("it starts");
    let stat: Value = serde_json::from_slice(&said.stdout)
        .unwrap_or_else(|e| panic!("{e}: {}", String::from_utf8_lossy(&said.stderr)));
    stat["tables"][0]["samples"].as_u64().expect("a number")
}

#[test]
fn what_is_deleted_is_gone_stays_gone_and_frees_its_space() {
    let b = fresh();
    let window_ms = (now_ms() - 10 * HOUR_MS) / (2 * HOUR_MS) * (2 * HOUR_MS);
    write(&b, &[("old_gone", "a"), ("old_kept", "a")], window_ms, 30);
    write(&b, &[("live_gone", "a"), ("live_kept", "a")], now_ms() - 60_000, 1);
    // The window is sealed by the first round of maintenance.
    let b = start(b.terminate().1);
    eventually("the window is sealed", || {
        b.get_text("/metrics").1.lines().any(|l| l == "prometheus_tsdb_blocks_loaded 1").then_some(())
    });
    let form = [("match[]", "old_gone"), ("match[]", "{__name__=~\"live_g.*\",env=\"a\"}")];
    assert_eq!(call(&b.url, "POST", "delete_series", &form), (204, String::new()));
    let check = |b: &Bellwether, when: &str| {
        assert_eq!((count(b, "old_gone"), count(b, "live_gone")), (None, None), "{when}");
        assert_eq!((count(b, "old_kept"), count(b, "live_kept")), (Some(30.0), Some(1.0)), "{when}");
        assert_eq!(b.data("/api/v1/series?match[]=old_gone"), Value::Array(vec![]), "{when}");
    };
    check(&b, "at once");
    let b = start(b.kill());
    check(&b, "after a crash");
    assert_eq!(call(&b.url, "PUT", "clean_tombstones", &[]), (204, String::new()));
    check(&b, "cleaned");
    // What comes later is not concerned.
    write(&b, &[("live_gone", "a")], now_ms(), 1);
    assert_eq!(count(&b, "live_gone"), Some(1.0));
    let (ok, folder) = b.terminate();
    assert!(ok);
    assert_eq!(sealed_samples(folder.path()), 30, "the rows are gone");
}

#[test]
fn a_part_of_a_series_can_be_deleted() {
    let b = fresh();
    let from_ms = now_ms() / 1000 * 1000 - HOUR_MS / 2;
    write(&b, &[("m", "a"), ("m", "b")], from_ms, 20);
    let (start, end) = ((from_ms / 1000 + 300).to_string(), (from_ms / 1000 + 599).to_string());
    let form = [("match[]", "m{env=\"a\"}"), ("start", &start), ("end", &end)];
    assert_eq!(call(&b.url, "PUT", "delete_series", &form), (204, String::new()));
    assert_eq!((count(&b, "m{env=\"a\"}"), count(&b, "m{env=\"b\"}")), (Some(15.0), Some(20.0)));
}

/// Takes a snapshot and moves it into a folder of its own.
fn snapshot(b: &Bellwether, form: Form<'_>) -> TempDir {
    let (status, text) = call(&b.url, "POST", "snapshot", form);
    let answer: Value = serde_json::from_str(&text).expect("JSON");
    assert_eq!((status, answer["status"].as_str()), (200, Some("success")), "{text}");
    let name = answer["data"]["name"].as_str().expect("a name");
    let (time, random) = name.split_once('-').expect("two parts");
    assert!(time.len() == 16 && time.ends_with('Z') && random.len() == 16, "{name}");
    let folder = tempfile::tempdir().expect("a temporary folder");
    std::fs::rename(b.folder().join("data/snapshots").join(name), folder.path().join("data"))
        .expect("it is there");
    folder
}

#[test]
fn a_snapshot_is_served_by_another_process() {
    let b = fresh();
    let window_ms = (now_ms() - 10 * HOUR_MS) / (2 * HOUR_MS) * (2 * HOUR_MS);
    write(&b, &[("old", "a"), ("gone", "a")], window_ms, 30);
    write(&b, &[("live", "a")], now_ms() - 60_000, 1);
    let b = start(b.terminate().1);
    eventually("the window is sealed", || {
        b.get_text("/metrics").1.lines().any(|l| l == "prometheus_tsdb_blocks_loaded 1").then_some(())
    });
    assert_eq!(call(&b.url, "POST", "delete_series", &[("match[]", "gone")]).0, 204);
    let whole = start(snapshot(&b, &[]));
    let sealed = start(snapshot(&b, &[("skip_head", "true")]));
    // The original and its copies go their own ways.
    write(&b, &[("later", "a")], now_ms(), 1);
    write(&whole, &[("own", "a")], now_ms(), 1);
    let counts = |b: &Bellwether| ["old", "gone", "live", "later", "own"].map(|metric| count(b, metric));
    assert_eq!(counts(&b), [Some(30.0), None, Some(1.0), Some(1.0), None]);
    assert_eq!(counts(&whole), [Some(30.0), None, Some(1.0), None, Some(1.0)]);
    assert_eq!(counts(&sealed), [Some(30.0), None, None, None, None]);
}

#[test]
fn a_snapshot_has_exemplars() {
    let b = fresh();
    let now = now_ms() / 1000 * 1000;
    let write = |b: &Bellwether, at: i64, trace: &str| {
        let body = RequestWriter::new()
            .series(&[("__name__", "m")])
            .sample(at, 1.0)
            .exemplar_with(&[("trace_id", trace)], at, 0.5)
            .body();
        assert_eq!(send(&b.url, &HEADERS, &body).0, 204);
    };
    let traces = |b: &Bellwether| -> Vec<String> {
        let found = b.data("/api/v1/query_exemplars?query=m");
        let list = found[0]["exemplars"].as_array().cloned().unwrap_or_default();
        list.iter().map(|e| e["labels"]["trace_id"].as_str().expect("a label").to_owned()).collect()
    };
    write(&b, now - 2000, "first");
    write(&b, now - 1000, "second");
    let whole = start(snapshot(&b, &[]));
    let sealed = start(snapshot(&b, &[("skip_head", "true")]));
    write(&b, now, "third");
    write(&whole, now, "own");
    assert_eq!(traces(&b), ["first", "second", "third"]);
    assert_eq!(traces(&whole), ["first", "second", "own"]);
    // Exemplars stay in memory for a while as samples do.
    assert_eq!(traces(&sealed), [""; 0]);
    let whole = start(whole.kill());
    assert_eq!(traces(&whole), ["first", "second", "own"]);
}

#[test]
fn it_is_off_unless_asked_for() {
    let b = Bellwether::start(Some(NOTHING));
    for name in ["delete_series", "clean_tombstones", "snapshot"] {
        let (status, text) = call(&b.url, "POST", name, &[("match[]", "up")]);
        let want = r#"{"error":"admin APIs disabled","errorType":"unavailable","status":"error"}"#;
        assert_eq!(
            (status, serde_json::from_str::<Value>(&text).ok()),
            (503, serde_json::from_str(want).ok())
        );
        assert_eq!(b.get_text(&format!("/api/v1/admin/tsdb/{name}")).0, 405);
    }
}

#[test]
fn bad_requests_change_nothing() {
    let b = fresh();
    write(&b, &[("m", "a")], now_ms() - 60_000, 1);
    let check = |name: &str, form: &[(&str, &str)], want: &str| {
        let (status, text) = call(&b.url, "POST", name, form);
        let answer: Value = serde_json::from_str(&text).expect("JSON");
        assert_eq!((status, answer["errorType"].as_str()), (400, Some("bad_data")), "{text}");
        assert!(answer["error"].as_str().is_some_and(|e| e.contains(want)), "{text}");
    };
    check("delete_series", &[], "no match[] parameter provided");
    check("delete_series", &[("match[]", "m"), ("match[]", "{")], "invalid parameter \"match[]\"");
    check("delete_series", &[("match[]", "m"), ("match[]", "{}")], "it selects everything");
    check("delete_series", &[("match[]", "m"), ("start", "x")], "invalid parameter \"start\"");
    check("snapshot", &[("skip_head", "x")], "invalid parameter \"skip_head\"");
    assert_eq!(count(&b, "m"), Some(1.0));
    assert!(!b.folder().join("data/snapshots").exists());
}

#[test]
fn it_answers_as_debians_prometheus() {
    let Some(program) = find_program("prometheus") else {
        return skip("it_answers_as_debians_prometheus", "prometheus is not installed");
    };
    let b = fresh();
    let (folder, port) = (tempfile::tempdir().expect("a temporary folder"), free_port());
    let file = folder.path().join("prometheus.yml");
    std::fs::write(&file, NOTHING).expect("the configuration is written");
    let mut command = Command::new(program);
    command.arg(format!("--config.file={}", file.display())).arg("--web.enable-admin-api");
    command.arg(format!("--storage.tsdb.path={}", folder.path().join("data").display()));
    command.arg(format!("--web.listen-address=127.0.0.1:{port}"));
    let (_prometheus, ()) =
        Process::start_until(&mut command, |line| line.contains("ready to receive").then_some(()));
    let peer = format!("http://127.0.0.1:{port}");
    let requests: [(&str, &str, Form<'_>); 8] = [
        ("POST", "delete_series", &[]),
        ("PUT", "delete_series", &[("match[]", "up"), ("start", "yesterday")]),
        ("POST", "delete_series", &[("match[]", "up"), ("end", "2026-13-01T00:00:00Z")]),
        ("POST", "delete_series", &[("match[]", "up"), ("match[]", "{job=~\"a.*\"}")]),
        ("PUT", "delete_series", &[("match[]", "up"), ("start", "20"), ("end", "10")]),
        ("POST", "clean_tombstones", &[]),
        ("PUT", "clean_tombstones", &[]),
        ("POST", "snapshot", &[("skip_head", "maybe")]),
    ];
    for (method, name, form) in requests {
        let answer = |url: &str| {
            let (status, text) = call(url, method, name, form);
            // 2.42 begins a sentence within one with a capital letter, later ones do not.
            let text = text.replace("Invalid time", "invalid time");
            let json: Value =
                if text.is_empty() { Value::Null } else { serde_json::from_str(&text).expect("JSON") };
            (status, json)
        };
        assert_eq!(answer(&b.url), answer(&peer), "{method} {name} {form:?}");
    }
}

#[test]
fn a_reload_changes_retention() {
    let b = fresh();
    let configure = |text: &str| {
        std::fs::write(b.folder().join("prometheus.yml"), text).expect("the configuration is written");
        b.post("/-/reload", &[]).0
    };
    let shown = || b.data("/api/v1/status/runtimeinfo")["storageRetention"].clone();
    assert_eq!(shown(), "15d");
    write(&b, &[("m", "dev"), ("m", "prod")], now_ms() - 2 * HOUR_MS, 110);
    assert_eq!((count(&b, "m{env=\"dev\"}"), count(&b, "m{env=\"prod\"}")), (Some(110.0), Some(110.0)));
    let file = "storage: {tsdb: {retention: {time: 30d, size: 1GB}}, retention: [{match: '{env=\"dev\"}', age: 1h}]}";
    assert_eq!(configure(file), 200);
    assert_eq!(shown(), "30d or 1GiB");
    let dev = count(&b, "m{env=\"dev\"}").expect("some are left");
    assert!((45.0..=50.0).contains(&dev), "an hour is left: {dev}");
    assert_eq!(count(&b, "m{env=\"prod\"}"), Some(110.0));
    assert_eq!(configure("storage: {retention: [{match: '{env=', age: 1h}]}"), 500);
    assert_eq!(shown(), "30d or 1GiB", "a bad file changes nothing");
    assert_eq!(configure(NOTHING), 200);
    assert_eq!((shown(), count(&b, "m{env=\"dev\"}")), ("15d".into(), Some(110.0)));
}
