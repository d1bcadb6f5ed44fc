//! `bellwether import rules`: results in the past, from the folder's own samples and from a server's.

use serde_json::json;

use crate::harness::{Bellwether, bellwether};
use crate::import::{import, now_s, two_days};

const RULES: &str = "groups:
- name: g
  interval: 10m
  rules:
  - {record: 'room:temperature:avg30m', expr: 'avg by (room) (avg_over_time(temperature_celsius[30m]))', labels: {of: rooms}}
  - {record: 'temperature:max', expr: 'max(room:temperature:avg30m)'}
  - {alert: Hot, expr: temperature_celsius > 100}
";

/// How many steps two series agree at, and how many the recorded one has.
fn compare(b: &Bellwether, recorded: &str, expression: &str, start_s: f64) -> (usize, usize) {
    let range = format!("start={start_s:.3}&end={:.3}&step=600", start_s + 80_000.0);
    let of = |query: &str| b.data(&format!("/api/v1/query_range?query={query}&{range}"))["result"].clone();
    let (got, want) = (of(recorded), of(expression));
    let got = got[0]["values"].as_array().cloned().unwrap_or_default();
    let want = want[0]["values"].as_array().cloned().unwrap_or_default();
    (got.iter().filter(|v| want.contains(v)).count(), got.len())
}

#[test]
fn rules_are_evaluated_in_the_past() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let end_s = now_s() - 3600;
    std::fs::write(folder.path().join("t.om"), two_days(end_s).1).expect("a text");
    let text = folder.path().join("t.om").display().to_string();
    assert!(import(&["openmetrics", &text], &folder).0);
    let rules = folder.path().join("r.yml").display().to_string();
    std::fs::write(&rules, RULES).expect("a rule file");
    let (start, end) = ((end_s - 86_400 - 43_200).to_string(), end_s.to_string());
    let arguments = ["rules", "--start", &start, "--end", &end, &rules];
    let (complete, said) = import(&arguments, &folder);
    // Every ten minutes for a day and a half: three rooms, and the rule that reads what the first one writes.
    assert!(complete && (860..=868).contains(&said["samples"].as_i64().unwrap_or(0)), "{said}");
    assert_eq!(said["notes"], json!(["1 alerting rules of the files were left out"]));
    let (complete, again) = import(&arguments, &folder);
    assert!(complete && again["samples"] == 0, "{again}");

    let b = Bellwether::start_in(folder, Some("scrape_configs: []"));
    // The series have their samples at the slots of the group: a range over them begins at one.
    let slot = b.data(&format!("/api/v1/query?query=temperature:max[20m]&time={end}"));
    let slot = slot["result"][0]["values"][0][0].as_f64().expect("a sample") - 86_400.0;
    let temperature = "avg_over_time(temperature_celsius{room=\"r1\"}[30m])";
    let got = compare(&b, "room:temperature:avg30m{room=\"r1\",of=\"rooms\"}", temperature, slot);
    assert_eq!(got, (134, 134));
    let max = "max(avg by (room) (avg_over_time(temperature_celsius[30m])))";
    assert_eq!(compare(&b, "temperature:max", max, slot), (134, 134));

    // Another folder, from what the server answers, by promtool's name.
    let other = tempfile::tempdir().expect("a temporary folder");
    let out = other.path().join("data").display().to_string();
    let promtools = ["tsdb", "create-blocks-from", "rules", "--url", &b.url, "--output-dir", &out];
    let run = |arguments: &[&str]| {
        let output = bellwether().args(promtools).args(arguments).output().expect("it runs");
        (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned(), output.stdout)
    };
    let (code, said, text) = run(&["--format=json", "--start", &start, "--end", &end, &rules]);
    let json: serde_json::Value = serde_json::from_slice(&text).unwrap_or_else(|e| panic!("{said}: {e}"));
    assert_eq!((code, json["samples"].as_i64()), (Some(0), again_of(&b)));
    assert!(json["notes"].to_string().contains("what the server has"), "{json}");
    let (code, said, _) = run(&["--start", &end, "--end", &start, &rules]);
    assert_eq!((code, said.contains("the start time is not before the end time")), (Some(1), true), "{said}");
    let (code, said, _) = run(&["--start", "2100-01-01T00:00:00Z", &rules]);
    assert_eq!(
        (code, said.contains("three hours ago unless --end names another")),
        (Some(1), true),
        "{said}"
    );
    let at_other = Bellwether::start_in(other, Some("scrape_configs: []"));
    let count =
        |b: &Bellwether| b.value(&format!("sum(count_over_time(room:temperature:avg30m[3d] @ {end}))"));
    assert_eq!(count(&at_other), count(&b));
}

/// Samples that the first import brought.
fn again_of(b: &Bellwether) -> Option<i64> {
    b.value("sum(count_over_time({__name__=~\"room:temperature:avg30m|temperature:max\"}[4d]))")
        .map(|n| n as i64)
}
