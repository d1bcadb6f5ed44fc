//! Exemplars: scraped and written, found by queries, and there after a crash.

use ingest::testing::RequestWriter;
use serde_json::{Value, json};

use crate::harness::{Bellwether, OPENMETRICS, application, eventually};
use crate::remote_write::{ENABLED, now_ms, receiver, write};

/// An application that exposes a counter with an exemplar, as OpenMetrics.
fn exposing(exemplar: &str) -> u16 {
    let body = format!("# TYPE jobs counter\njobs_total{{kind=\"a\"}} 3 # {exemplar}\n# EOF\n");
    application(move |_| (OPENMETRICS, body.clone().into_bytes()))
}

fn exemplars(b: &Bellwether, query: &str) -> Value {
    b.data(&format!("/api/v1/query_exemplars?query={query}"))
}

#[test]
fn what_is_scraped_is_found_once_and_survives_a_crash() {
    let at = now_ms() / 1000;
    let trace = "0123456789abcdef0123456789abcdef";
    let port = exposing(&format!("{{trace_id=\"{trace}\",user=\"ü\"}} 0.25 {at}.5"));
    let configuration = format!(
        "global: {{scrape_interval: 250ms, scrape_timeout: 200ms}}\n\
         scrape_configs: [{{job_name: app, static_configs: [{{targets: ['127.0.0.1:{port}']}}]}}]"
    );
    let b = Bellwether::start(Some(&configuration));
    eventually("it was scraped several times", || {
        (b.value("count_over_time(jobs_total[1m])") >= Some(4.0)).then_some(())
    });
    let want = json!([{
        "seriesLabels": {"__name__": "jobs_total", "instance": format!("127.0.0.1:{port}"), "job": "app", "kind": "a"},
        "exemplars": [{"labels": {"trace_id": trace, "user": "ü"}, "value": "0.25", "timestamp": at as f64 + 0.5}],
    }]);
    assert_eq!(exemplars(&b, "rate(jobs_total{kind=\"a\"}[5m])"), want);
    assert_eq!(exemplars(&b, "jobs_total{kind=\"b\"}"), json!([]));
    assert_eq!(exemplars(&b, &format!("jobs_total&start={}", at + 1)), json!([]));
    let (status, text) = b.get_text("/api/v1/query_exemplars?query=1");
    assert_eq!((status, text.as_str()), (204, ""));
    let folder = b.kill();
    let b = Bellwether::start_in(folder, None);
    assert_eq!(exemplars(&b, "sum(jobs_total)"), want);
}

#[test]
fn what_is_written_is_stored_and_what_cannot_be_is_not() {
    let b = receiver(&[]);
    let now = now_ms();
    let body = RequestWriter::new()
        .series(&[("__name__", "written"), ("instance", "a")])
        .sample(now, 1.5)
        .exemplar_with(&[("traceID", "x")], now, 0.5)
        .exemplar_with(&[("traceID", &"y".repeat(200))], now + 1, 0.5)
        .series(&[("__name__", "only_exemplars")])
        .exemplar_with(&[], now, 7.0)
        .body();
    assert_eq!(write(&b, &body), (204, String::new()));
    let of = |name: &str| exemplars(&b, name)[0]["exemplars"].clone();
    let seconds = now as f64 / 1000.0;
    assert_eq!(of("written"), json!([{"labels": {"traceID": "x"}, "value": "0.5", "timestamp": seconds}]));
    assert_eq!(of("only_exemplars")[0]["value"], "7");
    // Sent again, as senders do when they saw no answer; and one that comes too late.
    let again = RequestWriter::new()
        .series(&[("__name__", "written"), ("instance", "a")])
        .sample(now, 1.5)
        .exemplar_with(&[("traceID", "x")], now, 0.5)
        .exemplar_with(&[("traceID", "z")], now - 10_000, 0.5)
        .body();
    assert_eq!(write(&b, &again), (204, String::new()));
    assert_eq!(of("written").as_array().map(Vec::len), Some(1));
    let metrics = b.get_text("/metrics").1;
    for line in [
        "prometheus_tsdb_exemplar_exemplars_appended_total 2",
        "prometheus_tsdb_exemplar_out_of_order_exemplars_total 1",
        "bellwether_exemplars_invalid_total 1",
    ] {
        assert!(metrics.lines().any(|l| l == line), "{line}");
    }
}

#[test]
fn memory_keeps_few_and_the_disk_the_others() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let configuration = "scrape_configs: []\nstorage: {exemplars: {max_exemplars: 2}}";
    let b = Bellwether::start_with(folder, Some(configuration), &[ENABLED]);
    let now = now_ms() / 1000 * 1000;
    let mut request = RequestWriter::new();
    request.series(&[("__name__", "m")]).sample(now, 1.0);
    for i in 0..5 {
        request.exemplar_with(&[("trace_id", "t")], now - 5000 + i * 1000, i as f64);
    }
    assert_eq!(write(&b, &request.body()), (204, String::new()));
    let values = |b: &Bellwether, from_s: i64| -> Vec<String> {
        let found = exemplars(b, &format!("m&start={}&end={}", now / 1000 - from_s, now / 1000));
        let list = found[0]["exemplars"].as_array().expect("exemplars").clone();
        list.iter().map(|e| e["value"].as_str().expect("text").to_owned()).collect()
    };
    assert_eq!(values(&b, 2), ["3", "4"]);
    assert_eq!(values(&b, 60), ["0", "1", "2", "3", "4"]);
    let (stopped, folder) = b.terminate();
    assert!(stopped);
    let b = Bellwether::start_with(folder, Some(configuration), &[ENABLED]);
    assert_eq!((values(&b, 2), values(&b, 60).len()), (vec!["3".into(), "4".into()], 5));
    let off = Bellwether::start_with(
        tempfile::tempdir().expect("a temporary folder"),
        Some("scrape_configs: []\nstorage: {exemplars: {max_exemplars: 0}}"),
        &[ENABLED],
    );
    let one = RequestWriter::new().series(&[("__name__", "m")]).sample(now, 1.0).exemplar(now, 1.0).body();
    assert_eq!(write(&off, &one), (204, String::new()));
    assert_eq!(exemplars(&off, "m"), json!([]));
}
