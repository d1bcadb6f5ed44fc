//! What `--enable-feature` and `enable_features` turn on, in the process and at the command line; what rules do with histograms.

use std::sync::{Arc, Mutex};

use base::{Histogram, Span};
use ingest::testing::RequestWriter;
use serde_json::{Value, json};

use crate::harness::{Bellwether, bellwether, eventually};
use crate::remote_write::{ENABLED, now_ms, write};

const RULES: &str = "groups: [{name: g, interval: 1s, rules: [{record: r, expr: 'limitk(1, vector(1))'}]}]";

#[test]
fn features_change_what_is_stored_and_asked() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let names = "type-and-unit-labels,promql-delayed-name-removal,promql-per-step-stats";
    let features = &format!("--enable-feature={names},st-synthesis");
    let b = Bellwether::start_with(folder, None, &[features.as_str()]);
    eventually("both targets are up", || (b.value("count(up == 1)") == Some(2.0)).then_some(()));
    let typed = |q: &str| b.value(q);
    assert!(typed(r#"count({__name__=~"node_.+",__type__="counter"})"#) > Some(1.0));
    assert_eq!(typed(r#"count(process_open_fds{__type__="gauge"})"#), Some(1.0));
    assert_eq!(typed(r#"count(up{__type__!=""})"#), None);
    // Names are there until the end, and gone then.
    let kept = r#"count by (n) (label_replace(-process_open_fds, "n", "$1", "__name__", "(.*)"))"#;
    let got = b.data(&format!("/api/v1/query?query={kept}"));
    assert_eq!(got["result"][0]["metric"], json!({"n": "process_open_fds"}), "{got}");
    let got = b.data("/api/v1/query?query=-process_open_fds");
    assert_eq!(got["result"][0]["metric"].get("__type__"), None, "{got}");
    assert_eq!(got["result"][0]["metric"].get("__name__"), None, "{got}");
    let all = b.data("/api/v1/features");
    assert_eq!(
        (&all["promql"]["delayed_name_removal"], &all["promql"]["type_and_unit_labels"]),
        (&json!(true), &json!(true))
    );
    assert_eq!(
        (&all["scrape"]["type_and_unit_labels"], &all["tsdb"]["st_storage"]),
        (&json!(true), &json!(false))
    );
    assert_eq!(b.data("/api/v1/status/flags")["enable-feature"], names);
    steps_are_counted_if_that_is_asked_for(&b);
}

fn steps_are_counted_if_that_is_asked_for(b: &Bellwether) {
    let samples = |stats: &str| {
        let query = format!("query=max_over_time(vector(1)[2s:1s])&start=10&end=12&step=1&stats={stats}");
        b.data(&format!("/api/v1/query_range?{query}"))["stats"]["samples"].clone()
    };
    let all = samples("all");
    assert_eq!(all["totalQueryableSamplesPerStep"], json!([[10.0, 2], [11.0, 2], [12.0, 2]]), "{all}");
    assert_eq!(all["samplesReadPerStep"], json!([[10.0, 0], [11.0, 0], [12.0, 0]]), "{all}");
    let without = samples("true");
    assert_eq!((&without["totalQueryableSamples"], &without["samplesRead"]), (&json!(6), &json!(0)));
    assert!(without.get("samplesReadPerStep").is_none(), "{without}");
    assert_eq!(samples(""), Value::Null);
    assert_eq!(b.data("/api/v1/features")["promql"]["per_step_stats"], json!(true));
}

#[test]
fn options_of_prometheus_are_heeded_or_told_or_refused() {
    let told = Arc::new(Mutex::new(String::new()));
    let heard = Arc::clone(&told);
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut command = Bellwether::command(folder.path());
    command.args(["--query.max-samples=3", "--query.lookback-delta=1m", "--web.enable-lifecycle"]);
    let b = Bellwether::start_watched(command, folder, Some("scrape_configs: []"), move |line| {
        heard.lock().expect("no panic").push_str(line);
    });
    let flags = b.data("/api/v1/status/flags");
    let shown = (&flags["query.max-samples"], &flags["query.lookback-delta"], &flags["query.timeout"]);
    assert_eq!(shown, (&json!("3"), &json!("1m"), &json!("2m")));
    let (status, said) = b.get("/api/v1/query_range?query=vector(1)&start=1&end=9&step=1");
    assert_eq!((status, &said["errorType"]), (422, &json!("execution")), "{said}");
    assert!(said["error"].as_str().is_some_and(|e| e.contains("too many samples")), "{said}");
    let told = told.lock().expect("no panic").clone();
    assert!(told.contains("--web.enable-lifecycle has no effect here: "), "{told}");
    let (status, version) = b.get("/version");
    assert_eq!((status, &version["application"]), (200, &json!("bellwether")));

    let output = Bellwether::command(b.folder()).arg("--web.config.file=w.yml").output().expect("it runs");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.contains("cannot do as --web.config.file asks: TLS and users"), "{said}");
    assert!(!output.status.success());
}

#[test]
fn rules_are_read_with_the_features_of_the_configuration() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    std::fs::write(folder.path().join("r.yml"), RULES).expect("a rule file");
    let file = "scrape_configs: []\nrule_files: [r.yml]\nenable_features: [promql-experimental-functions]";
    let b = Bellwether::start_with(folder, Some(file), &[]);
    eventually("the rule has a result", || (b.value("r") == Some(1.0)).then_some(()));
    let all = b.data("/api/v1/features");
    assert_eq!(all["promql_functions"]["info"], json!(true));
    assert_eq!(all["promql"]["delayed_name_removal"], json!(false));
}

#[test]
fn commands_take_features_before_and_behind() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    std::fs::write(folder.path().join("r.yml"), RULES).expect("a rule file");
    let tests = "rule_files: [r.yml]\ntests: [{interval: 1m, input_series: [{series: a, values: '1 2'}], \
                 promql_expr_test: [{expr: 'limitk(1, a)', eval_time: 1m, exp_samples: [{labels: a, value: 2}]}]}]";
    std::fs::write(folder.path().join("t.yml"), tests).expect("a file of tests");
    let run = |arguments: &[&str]| {
        let mut command = bellwether();
        let out = command.current_dir(folder.path()).args(arguments).output().expect("it runs");
        (out.status.code(), String::from_utf8_lossy(&out.stderr).into_owned())
    };
    let feature = "--enable-feature=promql-experimental-functions";
    for command in [["check", "rules", "r.yml"], ["test", "rules", "t.yml"]] {
        let (code, said) = run(&command);
        assert_eq!(code, Some(1), "{said}");
        assert!(
            said.contains("must be enabled with --enable-feature=promql-experimental-functions"),
            "{said}"
        );
        let before: Vec<_> = [feature].into_iter().chain(command).collect();
        assert_eq!(run(&before), (Some(0), String::new()));
        let behind: Vec<_> = command.into_iter().chain([feature]).collect();
        assert_eq!(run(&behind), (Some(0), String::new()));
    }
    let (code, said) = run(&["check", "rules", "r.yml", feature, "--enable-feature=promql-duration-expr"]);
    assert_eq!(
        (code, said.starts_with("warning: feature promql-duration-expr changes nothing")),
        (Some(0), true)
    );
    let (code, said) = run(&["check", "rules", "r.yml", "--enable-feature=promql-duration-exp"]);
    assert_eq!((code, said.contains("did you mean \"promql-duration-expr\"?")), (Some(1), true), "{said}");
    let script = "load 1m\n  a 1 2\n\neval instant at 1m label_replace(-a, \"n\", \"$1\", \"__name__\", \"(.+)\")\n  {n=\"a\"} -2\n";
    std::fs::write(folder.path().join("s.test"), script).expect("a script");
    assert_eq!(run(&["test", "promql", "s.test"]), (Some(0), String::new()));
}

#[test]
fn rules_record_native_histograms_and_the_query_log_names_their_group() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let rules = "groups: [{name: g, interval: 1s, rules: [{record: 'job:took:sum', expr: sum(took)}]}]";
    std::fs::write(folder.path().join("r.yml"), rules).expect("a rule file");
    let file = "global: {query_log_file: queries.log}\nscrape_configs: []\nrule_files: [r.yml]";
    let b = Bellwether::start_with(folder, Some(file), &[ENABLED]);
    let histogram = Histogram {
        count: 3.0,
        sum: 4.0,
        positive_spans: vec![Span { offset: 0, length: 1 }],
        positive: vec![3.0],
        ..Histogram::default()
    };
    let mut request = RequestWriter::new();
    for instance in ["a", "b"] {
        request.series(&[("__name__", "took"), ("instance", instance)]).histogram(now_ms(), &histogram);
    }
    assert_eq!(write(&b, &request.body()).0, 204);
    let sum = || b.value("histogram_sum(job:took:sum)");
    eventually("the sum is recorded", || (sum() == Some(8.0)).then_some(()));
    assert_eq!(b.value("histogram_count(job:took:sum)"), Some(6.0));
    let rule = &b.data("/api/v1/rules")["groups"][0]["rules"][0];
    assert_eq!(rule["health"], "ok", "{rule}");
    let log = std::fs::read_to_string(b.folder().join("queries.log")).expect("the log of queries");
    let lines = log.lines().map(|line| serde_json::from_str::<Value>(line).expect("JSON"));
    let first = lines.into_iter().find(|l| l["params"]["query"] == "sum(took)").expect("the rule's query");
    assert_eq!(first["ruleGroup"]["name"], "g", "{first}");
    assert!(first["ruleGroup"]["file"].as_str().is_some_and(|f| f.ends_with("r.yml")), "{first}");
    assert!(first["httpRequest"].is_null(), "{first}");
}
