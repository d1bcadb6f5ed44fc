//! `bellwether import`: against blocks that promtool makes.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;
use tempfile::TempDir;

use crate::harness::{Bellwether, bellwether, fetch, find_program, skip};

/// Samples by series, as the API writes both.
pub(crate) type Samples = BTreeMap<String, Vec<(i64, String)>>;

/// All samples of some days before a time.
fn samples(url: &str, selector: &str, at_s: i64) -> Samples {
    let (status, body) = fetch(&format!("{url}/api/v1/query?query={selector}[4d]&time={at_s}"));
    let body: Value = serde_json::from_str(&body).unwrap_or_else(|e| panic!("{status} {body}: {e}"));
    let mut found = Samples::new();
    for series in body["data"]["result"].as_array().unwrap_or_else(|| panic!("{body}")) {
        let values = series["values"].as_array().map_or(&[][..], Vec::as_slice);
        let of = |v: &Value| {
            let t = v[0].as_f64().expect("a time");
            ((t * 1000.0).round() as i64, v[1].as_str().expect("a value").to_owned())
        };
        found.insert(series["metric"].to_string(), values.iter().map(of).collect());
    }
    found
}

fn run_import(args: &[&str], folder: &TempDir) -> Output {
    let mut command = bellwether();
    command.arg("import").args(args).arg("--storage.path").arg(folder.path().join("data"));
    command.output().expect("it runs")
}

/// The result of an import as JSON, and whether it said that all is there.
pub(crate) fn import(args: &[&str], folder: &TempDir) -> (bool, Value) {
    let output = run_import(&[args, &["--format", "json"]].concat(), folder);
    let text = String::from_utf8_lossy(&output.stdout);
    let json = serde_json::from_str(&text)
        .unwrap_or_else(|e| panic!("{text:?} {}: {e}", String::from_utf8_lossy(&output.stderr)));
    (output.status.success(), json)
}

pub(crate) fn now_s() -> i64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("it is after 1970");
    i64::try_from(now.as_secs()).expect("it is before the end of time")
}

/// Two days of some series, and the same as OpenMetrics.
pub(crate) fn two_days(end_s: i64) -> (Samples, String) {
    let (mut want, mut text) = (Samples::new(), String::new());
    text.push_str("# HELP temperature_celsius Of \\\"rooms\\\".\n# TYPE temperature_celsius gauge\n");
    let first_s = end_s - 2 * 86_400;
    for room in 0..3 {
        let series = want.entry(format!("{{\"__name__\":\"temperature_celsius\",\"room\":\"r{room}\"}}"));
        let series = series.or_default();
        for i in 0..(2 * 86_400 / 60) {
            let t_ms = (first_s + i * 60) * 1000 + room * 250;
            let value = 20.0 + f64::from(i32::try_from(i * (room + 1) % 977).expect("small")) / 8.0;
            series.push((t_ms, format!("{value}")));
            writeln!(text, "temperature_celsius{{room=\"r{room}\"}} {value} {:.3}", t_ms as f64 / 1000.0)
                .expect("text");
        }
    }
    // A label that sorts before the name, and series that end.
    text.push_str("# TYPE jobs counter\n");
    for kind in ["a", "b"] {
        let series = want.entry(format!("{{\"Kind\":\"{kind}\",\"__name__\":\"jobs_total\"}}")).or_default();
        for i in 0..50 {
            series.push(((end_s - 7200 + i * 60) * 1000, format!("{i}")));
            writeln!(text, "jobs_total{{Kind=\"{kind}\"}} {i} {}", end_s - 7200 + i * 60).expect("text");
        }
    }
    text.push_str("# EOF\n");
    (want, text)
}

pub(crate) fn promtool_blocks(promtool: &Path, text: &str) -> (TempDir, PathBuf, PathBuf) {
    let folder = tempfile::tempdir().expect("a folder");
    let (file, blocks) = (folder.path().join("in.om"), folder.path().join("blocks"));
    std::fs::write(&file, text).expect("the text is written");
    let made = Command::new(promtool)
        .args(["tsdb", "create-blocks-from", "openmetrics"])
        .args([&file, &blocks])
        .output()
        .expect("promtool runs");
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    (folder, file, blocks)
}

pub(crate) fn block_folders(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).expect("a folder").map(|e| e.expect("an entry").path());
    let mut blocks: Vec<PathBuf> = entries.filter(|p| p.join("meta.json").is_file()).collect();
    blocks.sort();
    blocks
}

#[test]
fn imports_blocks_and_text_alike() {
    let Some(promtool) = find_program("promtool") else {
        return skip("imports_blocks_and_text_alike", "promtool is not installed");
    };
    let end_s = now_s() - 3600;
    let (want, text) = two_days(end_s);
    let count: usize = want.values().map(Vec::len).sum();
    let (_folder, file, blocks) = promtool_blocks(&promtool, &text);
    for (kind, source) in [("prometheus-tsdb", &blocks), ("openmetrics", &file)] {
        let source = source.to_str().expect("a plain path");
        let data = tempfile::tempdir().expect("a folder");
        let (complete, first) = import(&[kind, source], &data);
        assert!(complete && first["samples"] == count, "{kind}: {first}");
        let (complete, second) = import(&[kind, source], &data);
        assert!(
            complete && second["samples"] == 0 && second["daysPresent"].as_u64() > Some(2),
            "{kind}: {second}"
        );
        let b = Bellwether::start_in(data, None);
        let got = samples(&b.url, "{__name__=~\"temperature_celsius|jobs_total\"}", end_s + 60);
        assert!(got == want, "{kind}: {} of {} series", got.len(), want.len());
    }
}

#[test]
fn reports_a_damaged_block_and_imports_the_rest() {
    let Some(promtool) = find_program("promtool") else {
        return skip("reports_a_damaged_block_and_imports_the_rest", "promtool is not installed");
    };
    let end_s = now_s() - 3600;
    let (want, text) = two_days(end_s);
    let count = want.values().map(Vec::len).sum::<usize>() as u64;
    let (_folder, _, blocks) = promtool_blocks(&promtool, &text);
    let folders = block_folders(&blocks);
    let damaged = &folders[folders.len() / 2];
    let chunks = damaged.join("chunks").join("000001");
    let mut bytes = std::fs::read(&chunks).expect("chunks");
    // In the first chunk's data: behind the file's header, its length and its encoding.
    bytes[8 + 2 + 1 + 20] ^= 0x40;
    std::fs::write(&chunks, bytes).expect("chunks");
    let meta: Value =
        serde_json::from_slice(&std::fs::read(damaged.join("meta.json")).expect("meta")).expect("JSON");
    let lost = meta["stats"]["numSamples"].as_u64().expect("a number");
    let source = blocks.to_str().expect("a plain path");

    let data = tempfile::tempdir().expect("a folder");
    let (complete, report) = import(&["prometheus-tsdb", source], &data);
    assert!(!complete && report["samples"] == count - lost, "{count} {lost} {report}");
    let message = report["damaged"][0].as_str().expect("a message");
    let place = format!("cannot read {} at byte 8: the checksum of a chunk does not match", chunks.display());
    assert!(message.contains(&place) && report["damaged"].as_array().map(Vec::len) == Some(1), "{message}");

    // Salvaging takes what is left of it, and nothing twice.
    let (complete, report) = import(&["prometheus-tsdb", source, "--salvage"], &data);
    let salvaged = report["samples"].as_u64().expect("a number");
    assert!(!complete && salvaged > 0 && salvaged < lost, "{lost} {report}");

    // Text is taken whole or not at all.
    let broken = data.path().join("broken.om");
    std::fs::write(&broken, text.replace("# EOF", "jobs_total{ 1\n# EOF")).expect("written");
    let output = run_import(&["openmetrics", broken.to_str().expect("a plain path")], &data);
    let error = String::from_utf8_lossy(&output.stderr);
    let line = text.lines().count();
    assert!(!output.status.success() && error.contains(&format!("line {line}: ")), "{error}");
}

#[test]
fn refuses_what_retention_would_take() {
    let data = tempfile::tempdir().expect("a folder");
    let file = data.path().join("old.om");
    let now_s = now_s();
    let text = format!("a 1 {}\na 2 {}\n# EOF\n", now_s - 40 * 86_400, now_s - 3600);
    std::fs::write(&file, text).expect("written");
    let file = file.to_str().expect("a plain path");
    let output = run_import(&["openmetrics", file], &data);
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && error.contains("--expired skip"), "{error}");
    let (complete, report) = import(&["openmetrics", file, "--expired", "skip"], &data);
    let expired = report["expiredDays"].as_array().map(Vec::len);
    assert!(complete && report["samples"] == 1 && expired == Some(1), "{report}");
    let kept =
        import(&["openmetrics", file, "--storage.retention", "60d"], &tempfile::tempdir().expect("a folder"));
    assert!(kept.0 && kept.1["samples"] == 2, "{}", kept.1);
}

#[test]
fn refuses_times_without_a_date_and_harms_nothing_by_it() {
    let data = tempfile::tempdir().expect("a folder");
    let path = |name: &str| data.path().join(name).display().to_string();
    let now_s = now_s();
    // Nothing is created for what is not there.
    let output = run_import(&["openmetrics", &path("missing.om")], &data);
    assert!(!output.status.success() && !data.path().join("data").exists());
    for (name, time) in [("seconds.om", format!("{}", now_s - 60)), ("millis.om", format!("{now_s}000"))] {
        std::fs::write(path(name), format!("# TYPE a gauge\na{{of=\"{name}\"}} 1 {time}\n# EOF\n"))
            .expect("written");
    }
    let output = run_import(&["openmetrics", &path("seconds.om")], &data);
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && said.starts_with("imported 1 sample of "), "{said}");
    let output = run_import(&["openmetrics", &path("millis.om")], &data);
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(
        !output.status.success() && error.contains("line 2: ") && error.contains("may be milliseconds"),
        "{error}"
    );
    let (complete, again) = import(&["openmetrics", &path("seconds.om")], &data);
    assert!(complete && again["daysPresent"] == 1, "{again}");
}
