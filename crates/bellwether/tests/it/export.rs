//! `bellwether export`: what is written comes back bit by bit, other programs read it, and an export that was interrupted goes on.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, Output};
use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray, new_null_array};
use base::{CounterResetHint, Histogram, Labels, ManualClock, Sample, Span};
use lake::catalog::{LOGS, attributes_builder};
use lake::{Lake, RowOptions, RowStore};
use serde_json::Value;
use tempfile::TempDir;
use tsdb::import::{DAY_MS, Importer, Source};

use crate::harness::{Bellwether, bellwether, eventually, skip};
use crate::import::{import, now_s, two_days};
use crate::peers::python_with;

fn run_export(folder: &Path, args: &[&str]) -> Output {
    let mut command = bellwether();
    command.arg("export").arg("--storage.path").arg(folder.join("data")).args(args).current_dir(folder);
    command.output().expect("it runs")
}

/// What an export that succeeds says.
fn export(folder: &Path, args: &[&str]) -> String {
    let output = run_export(folder, args);
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{args:?}: {error}");
    String::from_utf8(output.stdout).expect("UTF-8")
}

/// Why an export fails, and whatever it says beside.
fn refused(folder: &Path, args: &[&str]) -> String {
    let output = run_export(folder, args);
    assert!(!output.status.success(), "{args:?} succeeds");
    [output.stdout, output.stderr].map(|text| String::from_utf8_lossy(&text).into_owned()).concat()
}

fn read(path: impl AsRef<Path>) -> String {
    std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.as_ref().display()))
}

/// A folder whose data is an OpenMetrics text.
fn imported(text: &str) -> TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("in.om");
    std::fs::write(&file, text).expect("the text is written");
    let (complete, report) = import(&["openmetrics", file.to_str().expect("a plain path")], &folder);
    assert!(complete, "{report}");
    folder
}

/// Values by series and millisecond, as bits. The line's time is read as Prometheus does.
fn samples(text: &str) -> BTreeMap<(String, i64), u64> {
    let mut found = BTreeMap::new();
    for line in text.lines().filter(|l| !l.starts_with('#')) {
        let mut parts = line.rsplitn(3, ' ');
        let seconds: f64 = parts.next().and_then(|t| t.parse().ok()).expect("a time");
        let value: f64 = parts.next().and_then(|v| v.parse().ok()).expect("a value");
        let series = parts.next().expect("a series").to_owned();
        let before = found.insert((series, (seconds * 1000.0) as i64), value.to_bits());
        assert_eq!(before, None, "{line} comes twice");
    }
    found
}

#[test]
fn text_comes_back_bit_by_bit() {
    let end_s = now_s() - 3600;
    let (_, text) = two_days(end_s);
    let mut odd = String::new();
    let values =
        ["-0", "+Inf", "-Inf", "NaN", "5e-324", "1.7976931348623157e308", "0.1", "123456789.12345679"];
    for (i, value) in values.iter().enumerate() {
        odd.push_str(&format!("odd{{v=\"a \\\"b\\\" \\\\ c\\n d\"}} {value} {end_s}.{:03}\n", i * 111 + 1));
        odd.push_str(&format!("{{\"odd.name\",\"l.l\"=\"ü\"}} {value} {}\n", end_s + i as i64));
    }
    let text = text.replace("# EOF", &format!("{odd}# EOF"));
    let first = imported(&text);
    let said = export(first.path(), &["--format", "openmetrics", "--output", "all.om"]);
    let exported = read(first.path().join("all.om"));
    assert!(exported.ends_with("\n# EOF\n"), "{said}");
    let (want, got) = (samples(&text), samples(&exported));
    assert!(want.iter().eq(&got), "{} of {} samples", got.len(), want.len());
    assert!(
        said.contains(&format!(
            "exported {},{:03} samples of table metrics",
            want.len() / 1000,
            want.len() % 1000
        )),
        "{said}"
    );

    // A metric in one place, and the series of each in order of time.
    let series: Vec<&str> = exported
        .lines()
        .filter(|l| !l.starts_with('#'))
        .map(|l| l.rsplitn(3, ' ').nth(2).expect("a series"))
        .collect();
    let mut places = series.clone();
    places.dedup();
    let all: std::collections::BTreeSet<&str> = series.iter().copied().collect();
    assert_eq!(places.len(), all.len());

    // Days in files have the same, and importing what was exported gives the same once more.
    export(first.path(), &["--format", "openmetrics", "--output-folder", "days"]);
    let mut by_day = BTreeMap::new();
    for entry in std::fs::read_dir(first.path().join("days")).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.extension().is_some_and(|e| e == "om") {
            by_day.extend(samples(&read(path)));
        }
    }
    assert_eq!(by_day, want);
    let second = imported(&exported);
    export(second.path(), &["--format", "openmetrics", "--output", "again.om"]);
    assert!(read(second.path().join("again.om")) == exported);

    // To standard output, some series, some time.
    let from = (end_s - 7200 + 60 * 10).to_string();
    let args =
        ["--match", "jobs_total{Kind=\"a\"}", "--start", &from, "--format", "openmetrics", "--output", "-"];
    let some = samples(&export(first.path(), &args));
    assert_eq!(some.len(), 40);
    assert!(some.keys().all(|(series, _)| series == "jobs_total{Kind=\"a\"}"), "{some:?}");
}

#[test]
fn goes_on_where_it_was_and_overwrites_nothing() {
    let (_, text) = two_days(now_s() - 3600);
    let folder = imported(&text);
    let days = ["--format", "csv", "--output-folder", "days"];
    export(folder.path(), &days);
    let in_days = || {
        let entries = std::fs::read_dir(folder.path().join("days")).expect("a folder");
        let paths = entries.map(|e| e.expect("an entry").path());
        let files: BTreeMap<_, _> = paths.map(|p| (p.clone(), std::fs::read(&p).expect("a file"))).collect();
        files
    };
    let before = in_days();
    assert!(before.len() >= 4, "{:?}", before.keys());
    // As if it had been killed while it wrote the second day.
    let mut csv = before.keys().filter(|p| p.extension().is_some_and(|e| e == "csv"));
    let (kept, lost) = (csv.next().expect("a day"), csv.next().expect("a day"));
    std::fs::rename(lost, lost.with_extension("csv.part")).expect("renamed");
    let modified = || std::fs::metadata(kept).and_then(|m| m.modified()).expect("a time");
    let kept_since = modified();
    let said = export(folder.path(), &days);
    assert!(said.contains(", 1 file; ") && said.contains(" days had files already"), "{said}");
    assert!(in_days() == before);
    assert_eq!(modified(), kept_since);

    let said = refused(folder.path(), &["--format", "csv", "--output-folder", "days", "--start", "1"]);
    assert!(said.contains("it holds an export with other options"), "{said}");
    let said = refused(folder.path(), &["--format", "csv", "--output-folder", "."]);
    assert!(said.contains("the folder is not empty"), "{said}");
    let said = refused(folder.path(), &["--format", "csv", "--output", "in.om"]);
    assert!(said.contains("cannot write in.om: it exists"), "{said}");
    let said = refused(folder.path(), &["--format", "csv", "--table", "logs", "--output", "logs.csv"]);
    assert!(said.contains("cannot export table logs: ") && said.contains("has metrics"), "{said}");
    let said = refused(folder.path(), &["--format", "openmetrics", "--table", "logs", "--output", "logs.om"]);
    assert!(said.contains("only metrics has samples"), "{said}");
    let said = refused(folder.path(), &["--format", "csv", "--match", "{", "--output", "x.csv"]);
    assert!(said.contains("cannot export what matches {"), "{said}");
    assert!(!folder.path().join("x.csv").exists() && !folder.path().join("logs.csv").exists());
    let said = refused(&folder.path().join("days"), &["--format", "csv", "--output", "x.csv"]);
    assert!(said.contains("it does not exist"), "{said}");
}

#[test]
fn a_server_that_was_killed_leaves_all_to_export_and_one_that_runs_nothing() {
    let b = Bellwether::start(None);
    eventually("both targets are up", || (b.value("count(up == 1)") == Some(2.0)).then_some(()));
    let said = refused(b.folder(), &["--format", "csv", "--output", "live.csv"]);
    assert!(said.contains("cannot open data folder") || said.contains("in use"), "{said}");
    let folder = b.kill();
    export(folder.path(), &["--format", "csv", "--match", "up", "--output", "up.csv"]);
    let csv = read(folder.path().join("up.csv"));
    let mut lines = csv.lines();
    assert_eq!(lines.next(), Some("metric,labels,timestamp,value,histogram,stale"));
    assert!(
        lines.clone().count() >= 2 && lines.all(|l| l.starts_with("up,\"{") && l.ends_with(",1,,false")),
        "{csv}"
    );
}

/// Writes a series of floats without a name, and one of native histograms that ends.
fn odd_series(folder: &Path) {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let clock = Arc::new(ManualClock::new(now_s() * 1000));
        let lake = Arc::new(Lake::open_local(&folder.join("data"), clock).expect("it opens"));
        let importer = Importer::open(lake, "default").await.expect("it opens");
        let (day, source) = (now_s() * 1000 / DAY_MS, Source::new("default", "test", b"odd"));
        let t_ms = day * DAY_MS;
        let written = importer.write_part(&source, day, day, move |part| {
            let nameless = Labels::from_pairs([("a", "b")]);
            part.series(
                &nameless,
                &[Sample { t_ms, value: 1.0 }, Sample { t_ms: t_ms + 1, value: 2.0 }],
                &[],
            )?;
            let histogram = Histogram {
                counter_reset_hint: CounterResetHint::NotReset,
                schema: 3,
                count: 3.0,
                sum: f64::INFINITY,
                positive_spans: vec![Span { offset: -2, length: 2 }],
                positive: vec![1.0, 2.0],
                ..Histogram::default()
            };
            let histograms = [(t_ms, histogram), (t_ms + 1, Histogram::stale())];
            let stale = Sample { t_ms: t_ms + 2, value: f64::from_bits(base::STALE_NAN) };
            part.series(&Labels::from_pairs([("__name__", "h")]), &[stale], &histograms)
        });
        written.await.expect("it is written").expect("it is written");
    });
}

#[test]
fn says_what_a_format_cannot_have() {
    let folder = tempfile::tempdir().expect("a folder");
    odd_series(folder.path());
    let said = refused(folder.path(), &["--format", "openmetrics", "--output", "a.om"]);
    assert!(said.contains("left out 4 samples that OpenMetrics cannot say"), "{said}");
    assert!(said.contains("left out 1 staleness marker,"), "{said}");
    assert_eq!(read(folder.path().join("a.om")), "# EOF\n");
    let said = export(folder.path(), &["--format", "csv", "--output", "a.csv"]);
    assert!(said.contains("exported 5 samples"), "{said}");
    let csv = read(folder.path().join("a.csv"));
    let rows: Vec<&str> = csv.lines().skip(1).collect();
    assert!(
        rows[0].starts_with("\"\",\"{\"\"a\"\":\"\"b\"\"}\",") && rows[0].ends_with(",1,,false"),
        "{csv}"
    );
    assert!(rows[2].ends_with(",NaN,,true") && rows[4].ends_with(",true"), "{csv}");
    let histogram =
        rows[3].split_once(",,\"").and_then(|(_, rest)| rest.strip_suffix("\",false")).expect("JSON");
    let json: Value = serde_json::from_str(&histogram.replace("\"\"", "\"")).expect("JSON");
    assert_eq!(json["positive_buckets"], serde_json::json!([1.0, 2.0]));
    assert_eq!(
        (&json["sum"], &json["counter_reset"], &json["schema"]),
        (&"+Inf".into(), &"not_reset".into(), &3.into())
    );
}

/// Log records on two days, of which those of the second are in the log only.
fn logs(folder: &Path, first_ms: i64) {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let clock = Arc::new(ManualClock::new(first_ms + DAY_MS));
        let lake = Arc::new(Lake::open_local(&folder.join("data"), clock).expect("it opens"));
        let registry = prometheus::Registry::new();
        let store = RowStore::open(lake, LOGS.spec(), RowOptions::default(), &registry);
        let store = Box::pin(store).await.expect("it opens");
        for day in 0..2 {
            store.append("default", &records(first_ms + day * DAY_MS, 10)).await.expect("appended");
            if day == 0 {
                store.seal().await.expect("sealed");
            }
        }
        store.close().await.expect("closed");
    });
}

fn records(from_ms: i64, rows: usize) -> RecordBatch {
    let schema = LOGS.spec().schema;
    let columns = schema.fields().iter().map(|field| -> ArrayRef {
        let text = |of: &dyn Fn(usize) -> String| Arc::new(StringArray::from_iter_values((0..rows).map(of)));
        match field.name().as_str() {
            "service_name" => text(&|i| format!("shop{}", i % 2)),
            "stream" => text(&|i| format!("{{app=\"shop{}\"}}", i % 2)),
            "body" => text(&|i| format!("line {i}, \"quoted\"\nand more")),
            "time_unix_nano" => {
                Arc::new(Int64Array::from_iter_values((0..rows).map(|i| (from_ms + i as i64) * 1_000_000)))
            }
            _ if field.is_nullable() => new_null_array(field.data_type(), rows),
            _ => {
                let mut attributes = attributes_builder();
                for i in 0..rows {
                    attributes.keys().append_value("http.method");
                    attributes.values().append_value(if i < 3 { "GET" } else { "PUT" });
                    attributes.append(true).expect("a map");
                }
                Arc::new(attributes.finish())
            }
        }
    });
    let columns = columns.collect();
    RecordBatch::try_new(schema, columns).expect("rows of the table")
}

#[test]
fn other_tables_are_exported_by_their_columns() {
    let folder = tempfile::tempdir().expect("a folder");
    let first_ms = now_s() * 1000 / DAY_MS * DAY_MS - DAY_MS;
    logs(folder.path(), first_ms);
    let csv = |args: &[&str]| {
        let said =
            export(folder.path(), &[&["--table", "logs", "--format", "csv", "--output", "-"], args].concat());
        said.matches(", \"\"quoted\"\"\nand more\"").count()
    };
    assert_eq!(csv(&[]), 20);
    assert_eq!(csv(&["--match", "{service_name=\"shop1\"}"]), 10);
    assert_eq!(csv(&["--match", "{service_name=\"shop1\",\"attributes.http.method\"=\"GET\"}"]), 2);
    assert_eq!(csv(&["--match", "{severity_number=\"\",trace_id!=\"x\"}"]), 20);
    assert_eq!(csv(&["--match", "{\"attributes.none\"!=\"\"}"]), 0);
    let second = ((first_ms + DAY_MS) as f64 / 1000.0 + 0.005).to_string();
    assert_eq!(csv(&["--start", &second]), 5);
    assert_eq!(csv(&["--end", &second]), 16);
    let said = refused(
        folder.path(),
        &["--table", "logs", "--format", "csv", "--output", "-", "--match", "{nope=\"x\"}"],
    );
    assert!(said.contains("cannot match \"nope\" in table logs: there are service_name, "), "{said}");
    let said = export(folder.path(), &["--table", "logs", "--format", "parquet", "--output-folder", "days"]);
    assert!(said.contains("exported 20 rows of table logs") && said.contains(", 2 files"), "{said}");
}

const READ_WITH_DUCKDB: &str = r#"
import duckdb, json, sys
folder = sys.argv[1]
def one(sql):
    return list(duckdb.sql(sql).fetchall()[0])
metrics = "count(*), count(distinct labels::varchar), sum(value), count(*) filter (where stale), epoch_ms(min(timestamp)), epoch_ms(max(timestamp))"
room = "labels['room']"
print(json.dumps({
    "parquet": one(f"select {metrics} from read_parquet('{folder}/metrics/*.parquet')"),
    "room parquet": one(f"select sum(value) from read_parquet('{folder}/metrics/*.parquet') where metric = 'temperature_celsius' and labels['room'] = 'r1'"),
    "csv": one(f"select {metrics} from read_csv('{folder}/metrics.csv')"),
    "room csv": one(f"select sum(value) from read_csv('{folder}/metrics.csv') where metric = 'temperature_celsius' and json_extract_string(labels, '$.room') = 'r1'"),
    "logs parquet": one(f"select count(*), count(distinct body), sum(time_unix_nano // 1000000), count(*) filter (where attributes['http.method'] = 'GET') from read_parquet('{folder}/logs/*.parquet')"),
    "logs csv": one(f"select count(*), count(distinct body), sum(time_unix_nano // 1000000), count(*) filter (where json_extract_string(attributes, '$.\"http.method\"') = 'GET') from read_csv('{folder}/logs.csv')"),
}, default=str))
"#;

#[test]
fn duckdb_reads_parquet_and_csv() {
    let Some(python) = python_with("duckdb") else {
        return skip("duckdb_reads_parquet_and_csv", "Python's duckdb is not installed");
    };
    let (want, text) = two_days(now_s() - 3600);
    let folder = imported(&text);
    let first_ms = now_s() * 1000 / DAY_MS * DAY_MS - DAY_MS;
    logs(folder.path(), first_ms);
    for table in ["metrics", "logs"] {
        export(folder.path(), &["--table", table, "--format", "parquet", "--output-folder", table]);
        export(folder.path(), &["--table", table, "--format", "csv", "--output", &format!("{table}.csv")]);
    }
    let output =
        Command::new(python).args(["-c", READ_WITH_DUCKDB]).arg(folder.path()).output().expect("it runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let got: Value = serde_json::from_slice(&output.stdout).expect("JSON");

    let all = || want.values().flatten();
    let sum = |of: &[(i64, String)]| of.iter().map(|(_, v)| v.parse::<f64>().expect("a number")).sum::<f64>();
    let total: f64 = want.values().map(|s| sum(s)).sum();
    let times = all().map(|(t_ms, _)| *t_ms);
    let (min, max) = (times.clone().min(), times.max());
    // All values are multiples of an eighth, so that sums are exact.
    let metrics = serde_json::json!([all().count(), want.len(), total, 0, min, max]);
    assert_eq!((&got["parquet"], &got["csv"]), (&metrics, &metrics));
    let room = serde_json::json!([sum(&want["{\"__name__\":\"temperature_celsius\",\"room\":\"r1\"}"])]);
    assert_eq!((&got["room parquet"], &got["room csv"]), (&room, &room));
    let logs = &got["logs parquet"];
    assert_eq!((&logs[0], &logs[1], &logs[3]), (&20.into(), &10.into(), &6.into()));
    let times: i64 = (0..10).map(|i| 2 * (first_ms + i) + DAY_MS).sum();
    assert_eq!(logs[2], times);
    assert_eq!(&got["logs csv"], logs);
}

/// Two whole days of a gauge and a counter that falls back, rolled up; returns the folder and its samples.
fn rolled_up() -> (TempDir, Vec<(String, i64, f64)>) {
    let start_ms = (now_s() * 1000 / DAY_MS - 9) * DAY_MS;
    let mut samples = Vec::new();
    for room in ["r1", "r2"] {
        for i in 0..2 * 24 * 60_i64 {
            // Multiples of an eighth, so that sums are exact; never on the border of two buckets.
            let t_ms = start_ms + i * 60_000 + 30_000;
            samples.push((format!("gauge{{room=\"{room}\"}}"), t_ms, ((i * 37) % 400) as f64 / 8.0 - 20.0));
            samples.push((format!("c_total{{room=\"{room}\"}}"), t_ms, (i % 1000) as f64));
        }
    }
    samples.sort_by(|a, b| (&a.0, a.1).cmp(&(&b.0, b.1)));
    let lines =
        samples.iter().map(|(series, t_ms, value)| format!("{series} {value} {}", *t_ms as f64 / 1000.0));
    let text = lines.collect::<Vec<_>>().join("\n") + "\n# EOF\n";
    let folder = imported(&text);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let clock = Arc::new(ManualClock::new(now_s() * 1000));
        let lake = Arc::new(Lake::open_local(&folder.path().join("data"), clock.clone()).expect("it opens"));
        let registry = prometheus::Registry::new();
        let opening = tsdb::MetricStore::open(lake, tsdb::StoreOptions::default(), clock, &registry);
        let store = Box::pin(opening).await.expect("it opens");
        assert!(store.maintain().await.expect("maintained").rollups.made >= 2, "both days");
        store.close().await.expect("closed");
    });
    (folder, samples)
}

const READ_ROLLUPS: &str = r#"
import duckdb, json, sys
def one(sql):
    return list(duckdb.sql(sql).fetchall()[0])
what = "count(*), sum(count), sum(sum), min(min), max(max), sum(resets), count(distinct labels::varchar), count(stale_time), min(epoch_ms(\"end\") - epoch_ms(start)), max(epoch_ms(\"end\") - epoch_ms(start))"
print(json.dumps({
    "parquet": one(f"select {what} from read_parquet('{sys.argv[1]}/buckets/*.parquet') where metric = 'gauge' and labels['room'] = 'r1'"),
    "csv": one(f"select {what} from read_csv('{sys.argv[1]}/buckets.csv') where metric = 'gauge' and json_extract_string(labels, '$.room') = 'r1'"),
    "increase": one(f"select sum(last - first + resets), count(*) from read_parquet('{sys.argv[1]}/buckets/*.parquet') where metric = 'c_total'"),
    "times": one(f"select count(*) from read_parquet('{sys.argv[1]}/buckets/*.parquet') where first_time <= start or last_time > \"end\" or first_time > last_time"),
}))
"#;

#[test]
fn rollups_are_exported_bucket_by_bucket() {
    let (folder, samples) = rolled_up();
    let table = ["--table", "metrics_5m"];
    let said = export(folder.path(), &[&table[..], &["--format", "csv", "--output", "buckets.csv"]].concat());
    assert!(said.contains("exported 2,304 rows of table metrics_5m"), "{said}");
    let args = ["--format", "parquet", "--output-folder", "buckets"];
    let said = export(folder.path(), &[&table[..], &args].concat());
    assert!(said.contains("exported 2,304 rows of table metrics_5m"), "{said}");
    let csv = read(folder.path().join("buckets.csv"));
    let head = "metric,labels,start,end,first_time,last_time,stale_time,count,sum,min,max,first,last,resets";
    assert_eq!(csv.lines().next(), Some(head));
    let one = ["--match", "gauge{room=\"r2\"}", "--format", "csv", "--output", "-"];
    let one = export(folder.path(), &[&table[..], &one].concat());
    assert_eq!(one.lines().filter(|l| l.starts_with("gauge,")).count(), 576, "{one}");
    let said =
        refused(folder.path(), &[&table[..], &["--format", "openmetrics", "--output", "a.om"]].concat());
    assert!(said.contains("a line has one value, and a bucket has nine; choose parquet or csv"), "{said}");

    let Some(python) = python_with("duckdb") else {
        return skip("rollups_are_exported_bucket_by_bucket", "Python's duckdb is not installed");
    };
    let output =
        Command::new(python).args(["-c", READ_ROLLUPS]).arg(folder.path()).output().expect("it runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let got: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let values: Vec<f64> =
        samples.iter().filter(|s| s.0 == "gauge{room=\"r1\"}").map(|(_, _, value)| *value).collect();
    let resets: f64 = values.chunks(5).flat_map(|b| b.windows(2)).filter(|w| w[1] < w[0]).map(|w| w[0]).sum();
    let (min, max) = values.iter().fold((f64::MAX, f64::MIN), |(a, b), v| (a.min(*v), b.max(*v)));
    let sum: f64 = values.iter().sum();
    let want = serde_json::json!([576, 2880, sum, min, max, resets, 1, 0, 300_000, 300_000]);
    assert_eq!((&got["parquet"], &got["csv"]), (&want, &want));
    assert_eq!(got["times"], serde_json::json!([0]));
    let counter: Vec<f64> =
        samples.iter().filter(|s| s.0 == "c_total{room=\"r1\"}").map(|(_, _, value)| *value).collect();
    let gained = |w: &[f64]| if w[1] < w[0] { w[1] } else { w[1] - w[0] };
    let increase: f64 = counter.chunks(5).flat_map(|b| b.windows(2)).map(gained).sum();
    assert_eq!(got["increase"], serde_json::json!([increase * 2.0, 1152]));
}
