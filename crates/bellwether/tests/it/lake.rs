//! `bellwether lake` on data that stores of the same version have written.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use base::{Clock, Labels, ManualClock, Sample, SeriesSample, TimeRange};
use prometheus::Registry;
use serde_json::Value;
use tsdb::{MetricStore, StoreOptions};

use crate::harness::{Bellwether, bellwether};

/// 2026-01-01T00:00:00Z.
const START_MS: i64 = 1_767_225_600_000;

/// Samples of each series, one a minute: a day and a half, of which the last window is not sealed.
const MINUTES: i64 = 36 * 60;
const SERIES: [&str; 3] = ["a", "b", "c"];
/// The samples that are in segments: those of whole windows that ended an hour ago.
const SEALED: i64 = 3 * 34 * 60;

/// What a command says: whether it found everything in order, its output, and its errors.
struct Said {
    ok: bool,
    out: String,
    err: String,
}

fn say(command: &mut Command) -> Said {
    let done = command.output().expect("it starts");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("text");
    Said { ok: done.status.success(), out: text(done.stdout), err: text(done.stderr) }
}

fn lake(folder: &Path, arguments: &[&str]) -> Said {
    say(bellwether().arg("lake").args(arguments).arg("--storage.path").arg(folder))
}

/// The JSON that a command writes.
fn lake_json(folder: &Path, arguments: &[&str]) -> Value {
    let said = lake(folder, &[arguments, &["--format", "json"]].concat());
    serde_json::from_str(&said.out).unwrap_or_else(|e| panic!("{e}: {} {}", said.out, said.err))
}

/// Fills a folder with samples in segments and in the log.
fn fill(folder: &Path) {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(async {
        let clock = Arc::new(ManualClock::new(START_MS));
        let opened = lake::Lake::open_local(folder, clock.clone()).expect("a new folder");
        let store =
            MetricStore::open(Arc::new(opened), StoreOptions::default(), clock.clone(), &Registry::new())
                .await
                .expect("an empty store");
        for minute in 0..MINUTES {
            if minute % 10 == 0 {
                let samples: Vec<SeriesSample> = SERIES
                    .iter()
                    .flat_map(|name| (minute..minute + 10).map(move |m| (name, m)))
                    .map(|(name, m)| SeriesSample {
                        labels: Labels::from_pairs([("__name__", *name), ("job", "test")]),
                        sample: Sample { t_ms: START_MS + m * 60_000, value: (m % 7) as f64 },
                        start_ms: 0,
                    })
                    .collect();
                let outcome = store.append(samples.as_slice().into()).await.expect("stored");
                assert_eq!(outcome.accepted, 30);
            }
            clock.advance(Duration::from_secs(60));
            if minute % 60 == 0 {
                store.maintain().await.expect("sealed");
            }
            if minute == MINUTES - 30 {
                store.checkpoint().await.expect("written");
            }
        }
        assert_eq!(clock.now_ms(), START_MS + MINUTES * 60_000);
        store.close().await.expect("closed");
    });
}

#[test]
fn what_is_stored_is_listed_and_measured() {
    let folder = tempfile::tempdir().expect("a folder");
    fill(folder.path());
    let listed = lake_json(folder.path(), &["ls", "--segments"]);
    let partitions = listed["tables"][0]["partitions"].as_array().expect("a list");
    let dates: Vec<&str> = partitions.iter().filter_map(|p| p["date"].as_str()).collect();
    assert_eq!(dates, ["2026-01-01", "2026-01-02"], "{listed}");
    let mut bytes = 0;
    for partition in partitions {
        for file in partition["files"].as_array().expect("a list") {
            let path = folder.path().join("tables/metrics").join(file["path"].as_str().expect("a path"));
            assert_eq!(file["bytes"], std::fs::metadata(&path).expect("it is there").len());
            let content = std::fs::read(&path).expect("readable");
            assert_eq!(file["crc32c"], format!("{:08x}", crc32c::crc32c(&content)));
            bytes += content.len() as u64;
        }
    }
    assert_eq!(partitions[0]["startMs"], START_MS);
    assert_eq!(partitions[1]["endMs"], START_MS + (34 * 60 - 1) * 60_000);
    assert!(listed["tables"][0]["log"]["bytes"].as_u64() > Some(0), "{listed}");

    let stat = &lake_json(folder.path(), &["stat"])["tables"][0];
    assert_eq!((&stat["table"], &stat["samples"]), (&"metrics".into(), &SEALED.into()), "{stat}");
    assert_eq!(stat["bytes"], bytes);
    let columns = stat["columns"].as_array().expect("a list");
    let stored: u64 = columns.iter().filter_map(|c| c["storedBytes"].as_u64()).sum();
    assert_eq!(stored + stat["otherBytes"].as_u64().expect("a number"), bytes);
    let rows = stat["rows"].as_u64().expect("a number");
    let plain = |name: &str| columns.iter().find(|c| c["column"] == name).map(|c| c["plainBytes"].clone());
    assert_eq!((plain("metric"), plain("t_min")), (Some(rows.into()), Some((8 * rows).into())));

    let text = lake(folder.path(), &["ls", "--table", "metrics"]);
    assert!(text.ok && text.out.contains("metrics  default  2026-01-02"), "{}{}", text.out, text.err);
    let text = lake(folder.path(), &["stat", "--table", "metrics"]);
    assert!(text.ok && text.out.contains("samples     6,120, "), "{}{}", text.out, text.err);
}

#[test]
fn a_folder_in_use_or_without_data_is_refused() {
    let server = Bellwether::start(None);
    let said = lake(&server.folder().join("data"), &["ls"]);
    let want = format!("it is in use by process {}", server.pid());
    assert!(!said.ok && said.out.is_empty() && said.err.contains(&want), "{}", said.err);
    let said = lake(&server.folder().join("dta"), &["ls"]);
    assert!(!said.ok && said.err.contains("it does not exist"), "{}", said.err);
    assert!(!server.folder().join("dta").exists(), "nothing is created");
    let (_, folder) = server.terminate();
    let said = lake(&folder.path().join("data"), &["ls", "--table", "metric"]);
    assert!(!said.ok && said.err.contains("cannot find table metric: "), "{}", said.err);
    assert!(lake(&folder.path().join("data"), &["ls"]).ok);
}

/// Changes a byte in the middle of a file.
fn damage(path: &Path, at: usize) {
    let mut content = std::fs::read(path).expect("readable");
    content[at] ^= 0x40;
    std::fs::write(path, content).expect("writable");
}

/// The invariants that do not hold, with the objects.
fn violations(folder: &Path) -> Vec<(String, String)> {
    let said = lake(folder, &["verify", "--format", "json"]);
    let report: Value = serde_json::from_str(&said.out).unwrap_or_else(|e| panic!("{e}: {}", said.err));
    let text = |v: &Value, key: &str| v[key].as_str().expect("text").to_owned();
    let found: Vec<_> = report["violations"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|v| (text(v, "invariant"), text(v, "object")))
        .collect();
    assert_eq!((said.ok, &report["ok"]), (found.is_empty(), &found.is_empty().into()), "{report}");
    found
}

/// The files of a folder whose names end so.
fn files(folder: &Path, end: &str) -> Vec<std::path::PathBuf> {
    let entries = std::fs::read_dir(folder).expect("a folder").map(|e| e.expect("an entry").path());
    let mut found: Vec<_> = entries.filter(|p| p.to_string_lossy().ends_with(end)).collect();
    found.sort();
    found
}

#[test]
fn verify_names_what_is_wrong() {
    let folder = tempfile::tempdir().expect("a folder");
    let root = folder.path();
    fill(root);
    let sound = lake_json(root, &["verify"]);
    assert_eq!((&sound["ok"], &sound["notices"]), (&true.into(), &Value::Array(vec![])), "{sound}");
    let checked = &sound["checked"][0];
    assert!(checked["segments"].as_u64() > Some(1) && checked["frames"].as_u64() > Some(1), "{sound}");
    let text = lake(root, &["verify"]);
    assert!(text.ok && text.out.ends_with("everything is in order\n"), "{}{}", text.out, text.err);

    let partition = root.join("tables/metrics/tenant=default/date=2026-01-01");
    let segment = files(&partition, ".parquet").remove(0);
    let object = segment.strip_prefix(root.join("tables/metrics")).expect("within").display().to_string();
    let content = std::fs::read(&segment).expect("readable");
    let of_segment = |invariant: &str| vec![(invariant.to_owned(), object.clone())];
    for at in [0, content.len() / 2, content.len() - 1] {
        damage(&segment, at);
        assert_eq!(violations(root), of_segment("segment-checksum"), "byte {at}");
        std::fs::write(&segment, &content).expect("writable");
    }
    std::fs::write(&segment, &content[..content.len() - 1]).expect("writable");
    assert_eq!(violations(root), of_segment("segment-present"));
    std::fs::remove_file(&segment).expect("removed");
    assert_eq!(violations(root), of_segment("segment-present"));
    let text = lake(root, &["verify"]);
    assert!(
        !text.ok && text.out.contains("violation segment-present  metrics tenant=default/"),
        "{}",
        text.out
    );
    assert!(text.out.ends_with("1 violation\n"), "{}", text.out);
    std::fs::write(&segment, &content).expect("writable");

    let extra = partition.join("extra.parquet");
    std::fs::copy(&segment, &extra).expect("copied");
    let noticed = lake_json(root, &["verify"]);
    assert_eq!(noticed["ok"], true, "a file that nothing refers to harms nobody");
    assert!(
        noticed["notices"][0]["object"].as_str().is_some_and(|o| o.ends_with("extra.parquet")),
        "{noticed}"
    );
    std::fs::remove_file(&extra).expect("removed");

    let log = files(&root.join("wal/metrics"), ".wal").remove(0);
    let content = std::fs::read(&log).expect("readable");
    let object = format!("wal/metrics/{}", log.file_name().expect("a name").to_string_lossy());
    damage(&log, 25);
    assert_eq!(violations(root)[0], ("log-frames".to_owned(), object));
    std::fs::write(&log, [&content[..], b"half a frame"].concat()).expect("writable");
    let noticed = lake_json(root, &["verify"]);
    assert_eq!(noticed["ok"], true, "what is behind the last frame was not acknowledged");
    assert!(
        noticed["notices"][0]["text"].as_str().is_some_and(|t| t.starts_with("12 B behind")),
        "{noticed}"
    );
    std::fs::write(&log, &content).expect("writable");

    let state = files(&root.join("wal/metrics"), ".state").remove(0);
    let content = std::fs::read(&state).expect("readable");
    damage(&state, content.len() / 2);
    assert_eq!(violations(root)[0].0, "checkpoint");
    std::fs::write(&state, &content).expect("writable");

    let tombstones = root.join("tables/metrics/_tombstones");
    std::fs::create_dir(&tombstones).expect("created");
    std::fs::write(tombstones.join("x.json"), "{}").expect("writable");
    assert_eq!(violations(root), [("tombstone".to_owned(), "_tombstones".to_owned())]);
    std::fs::remove_dir_all(&tombstones).expect("removed");

    assert_eq!(violations(root), [], "everything is as it was");
    let commit = files(&root.join("tables/metrics/_delta_log"), "0.json").remove(0);
    std::fs::write(&commit, "no commit").expect("writable");
    assert_eq!(violations(root), [("table-log".to_owned(), "_delta_log".to_owned())]);
}

#[test]
fn every_invariant_is_described() {
    let described = include_str!("../../../../docs/format/invariants.md");
    for invariant in lake::inspect::invariants::ALL.iter().chain(tsdb::at_rest::invariants::ALL) {
        let line = format!("| `{}` | {} |", invariant.name, invariant.about);
        assert!(described.contains(&line), "docs/format/invariants.md lacks {line}");
    }
}

/// Every sample that a store finds in a folder.
fn samples(folder: &Path) -> Vec<(String, Vec<(i64, f64)>)> {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(async {
        let clock = Arc::new(ManualClock::new(START_MS + MINUTES * 60_000));
        let opened = lake::Lake::open_local(folder, clock.clone()).expect("it is there");
        let store =
            MetricStore::open(Arc::new(opened), StoreOptions::default(), clock.clone(), &Registry::new())
                .await
                .expect("it opens");
        let selected = store.select(&[], TimeRange::ALL).await.expect("selected");
        let (mut times, mut values) = (Vec::new(), Vec::new());
        let mut found = Vec::new();
        for i in 0..selected.len() {
            selected.decode(i, &mut times, &mut values).expect("decoded");
            let samples = times.iter().copied().zip(values.iter().copied()).collect();
            found.push((selected.labels(i).to_string(), samples));
        }
        store.close().await.expect("closed");
        found
    })
}

#[test]
fn compact_keeps_everything_and_vacuum_deletes_what_nothing_refers_to() {
    let folder = tempfile::tempdir().expect("a folder");
    let root = folder.path();
    fill(root);
    let stored = samples(root);
    assert_eq!(stored.iter().map(|(_, s)| s.len() as i64).collect::<Vec<_>>(), [MINUTES; 3]);
    let done = lake_json(root, &["compact"]);
    let metrics = &done["tables"][0];
    assert!(metrics["merges"].as_u64() > Some(0), "{done}");
    assert!(metrics["segmentsBefore"].as_u64() > Some(2), "{done}");
    assert_eq!(
        (&metrics["segmentsAfter"], &metrics["conflicts"]),
        (&2.into(), &0.into()),
        "one a day: {done}"
    );
    assert_eq!(samples(root), stored);
    let report = lake_json(root, &["verify"]);
    assert_eq!((&report["ok"], &report["notices"]), (&true.into(), &Value::Array(vec![])), "{report}");
    let again = lake(root, &["compact"]);
    assert!(again.ok && again.out.starts_with("metrics: nothing to merge\n"), "{}{}", again.out, again.err);

    let partition = root.join("tables/metrics/tenant=default/date=2026-01-01");
    let segment = files(&partition, ".parquet").remove(0);
    let writer = std::fs::read_to_string(root.join("writer-id")).expect("readable");
    let given_up = partition.join(lake::filenames::segment_file(&writer, i64::MAX, 7));
    let foreign = partition.join("extra.parquet");
    std::fs::copy(&segment, &given_up).expect("copied");
    std::fs::copy(&segment, &foreign).expect("copied");
    let vacuum =
        |arguments: &[&str]| lake_json(root, &[&["vacuum", "--table", "metrics"], arguments].concat());
    let check = |said: &Value| {
        let table = &said["tables"][0];
        let name = |file: &Value| file["path"].as_str().map(|p| p.rsplit('/').next().unwrap_or(p).to_owned());
        let deleted = (table["files"].as_array().map(Vec::len), name(&table["files"][0]));
        assert_eq!(deleted, (Some(1), Some(lake::filenames::segment_file(&writer, i64::MAX, 7))), "{said}");
        assert_eq!(table["files"][0]["reason"], "not committed");
        assert_eq!(
            name(&table["left"][0]),
            Some("extra.parquet".to_owned()),
            "it may be about to be committed"
        );
    };
    check(&vacuum(&["--dry-run"]));
    assert!(given_up.exists(), "nothing is deleted for a try");
    check(&vacuum(&[]));
    assert!(!given_up.exists() && foreign.exists() && segment.exists());
    let text = lake(root, &["vacuum"]);
    assert!(
        text.ok && text.out.starts_with("deleted 0 files of 0 B\nleft 1 file of "),
        "{}{}",
        text.out,
        text.err
    );
    assert_eq!(samples(root), stored);
}
