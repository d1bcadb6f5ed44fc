//! `bellwether lake … --server URL`: the same commands through the server that uses the data.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::admin::{ARGUMENTS, count, fresh, now_ms, start, write};
use crate::harness::{Bellwether, bellwether, eventually};

const HOUR_MS: i64 = 3_600_000;

/// What a command says: its exit status, its output, and its errors.
fn lake(arguments: &[&str]) -> (i32, String, String) {
    let done = bellwether().arg("lake").args(arguments).output().expect("it starts");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("text");
    (done.status.code().expect("it ends by itself"), text(done.stdout), text(done.stderr))
}

fn of(b: &Bellwether, arguments: &[&str]) -> (i32, String, String) {
    lake(&[arguments, &["--server", &b.url]].concat())
}

fn json_of(b: &Bellwether, arguments: &[&str]) -> Value {
    let (code, out, err) = of(b, &[arguments, &["--format", "json"]].concat());
    assert_eq!((code, err.as_str()), (0, ""));
    serde_json::from_str(&out).unwrap_or_else(|e| panic!("{e}: {out}"))
}

/// The table `metrics` in a list of tables.
fn metrics(answer: &Value) -> &Value {
    let tables = answer["tables"].as_array().expect("a list");
    tables.iter().find(|t| t["table"] == "metrics").expect("there are samples")
}

#[test]
fn a_server_looks_after_its_data_while_it_uses_it() {
    let b = fresh();
    let from_ms = now_ms() - 13 * HOUR_MS;
    write(&b, &[("m", "a"), ("m", "b"), ("n", "a")], from_ms, 13 * 60);
    let before = (count(&b, "m"), count(&b, "n"));
    eventually("the windows that are over are sealed", || {
        (metrics(&json_of(&b, &["stat"]))["samples"].as_u64() >= Some(3 * 10 * 60)).then_some(())
    });
    let listed = json_of(&b, &["ls", "--table", "metrics", "--segments"]);
    let partitions = metrics(&listed)["partitions"].as_array().expect("a list");
    let dates: BTreeSet<&str> = partitions.iter().filter_map(|p| p["date"].as_str()).collect();
    assert!(!dates.is_empty() && metrics(&listed)["log"]["bytes"].as_u64() > Some(0), "{listed}");

    let (code, out, err) = of(&b, &["verify"]);
    assert_eq!((code, err.as_str()), (0, ""), "{out}");
    assert!(
        out.contains("everything is in order") && out.contains("notice  wal: in use by the server"),
        "{out}"
    );

    let compacted = json_of(&b, &["compact", "--table", "metrics"]);
    assert_eq!(metrics(&compacted)["segmentsAfter"].as_u64(), Some(dates.len() as u64), "{compacted}");
    assert_eq!((count(&b, "m"), count(&b, "n")), before);
    let (code, out, _) = of(&b, &["vacuum", "--dry-run"]);
    // What was merged may be read by who looked at the log before.
    assert!(code == 0 && out.contains("would delete 0 files"), "{out}");
    write(&b, &[("m", "a")], now_ms() - 60_000, 1);

    let (stopped, folder) = b.terminate();
    assert!(stopped);
    let path = folder.path().join("data").display().to_string();
    let (code, out, err) = lake(&["verify", "--storage.path", &path]);
    assert_eq!(code, 0, "{out}{err}");
    let b = start(folder);
    assert_eq!(count(&b, "n"), before.1);
}

#[test]
fn what_a_server_cannot_do_it_says() {
    let b = fresh();
    let (code, out, err) = of(&b, &["ls", "--table", "metric"]);
    assert!(code == 1 && out.is_empty() && err.contains("cannot find table metric: "), "{err}");
    let api = |path: &str| b.get(&format!("/api/v1/admin/lake/{path}"));
    for (path, want) in [
        ("compact", "send a POST"),
        ("vacuum?dry_run=no", "neither true nor false"),
        ("ls?format=xml", "neither text nor json"),
        ("drain", "there are ls, stat, verify, compact and vacuum"),
    ] {
        let (status, answer) = api(path);
        assert!(status == 400 && answer["error"].as_str().is_some_and(|e| e.contains(want)), "{answer}");
    }
    assert_eq!(ARGUMENTS[0], "--web.enable-admin-api");
    let closed = Bellwether::start(Some("scrape_configs: []"));
    let (code, _, err) = of(&closed, &["ls"]);
    assert!(code == 1 && err.contains("start it with --web.enable-admin-api"), "{err}");
    let url = closed.url.clone();
    drop(closed);
    let (code, _, err) = lake(&["stat", "--server", &url]);
    assert!(code == 1 && err.contains("cannot get ") && err.contains("refused"), "{err}");
    let (code, _, err) = lake(&["stat", "--server", &url, "--storage.path", "x"]);
    assert!(code == 2 && err.contains("cannot be used with"), "{err}");
}
