//! Remote write into Bellwether: from requests made by hand, and from Debian's Prometheus.

use std::process::Command;
use std::time::{SystemTime, UNIX_EPOCH};

use base::{Histogram, Span};
use ingest::testing::{RequestWriter, compress};
use serde_json::Value;

use crate::harness::{Bellwether, Process, eventually, fetch, find_program, free_port, skip};

pub(crate) const ENABLED: &str = "--web.enable-remote-write-receiver";
pub(crate) const HEADERS: [(&str, &str); 3] = [
    ("Content-Type", "application/x-protobuf"),
    ("Content-Encoding", "snappy"),
    ("X-Prometheus-Remote-Write-Version", "0.1.0"),
];

pub(crate) fn receiver(arguments: &[&str]) -> Bellwether {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let arguments: Vec<&str> = [ENABLED].iter().chain(arguments).copied().collect();
    Bellwether::start_with(folder, Some("scrape_configs: []"), &arguments)
}

pub(crate) fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970");
    i64::try_from(since.as_millis()).expect("before the year 292277025")
}

/// Status, text and `Retry-After` of a request.
pub(crate) fn send(url: &str, headers: &[(&str, &str)], body: &[u8]) -> (u16, String, Option<String>) {
    let mut request = ureq::post(format!("{url}/api/v1/write")).config().http_status_as_error(false).build();
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let mut answer = request.send(body).expect("it answers");
    let retry = answer.headers().get("Retry-After").map(|v| v.to_str().expect("text").to_owned());
    (answer.status().as_u16(), answer.body_mut().read_to_string().expect("text"), retry)
}

pub(crate) fn write(b: &Bellwether, body: &[u8]) -> (u16, String) {
    let (status, text, _) = send(&b.url, &HEADERS, body);
    (status, text)
}

#[test]
fn what_is_written_is_there_and_what_is_wrong_is_said() {
    let b = receiver(&[]);
    let now = now_ms();
    let good = RequestWriter::new()
        .series(&[("__name__", "written"), ("instance", "a")])
        .sample(now - 1000, 1.5)
        .sample(now, 2.5)
        .series(&[("job", "x"), ("__name__", "written"), ("instance", "b")])
        .sample(now, 4.0)
        .metadata("written", "What was written.")
        .body();
    assert_eq!(write(&b, &good), (204, String::new()));
    assert_eq!(b.value("sum(written)"), Some(6.5));
    let metadata = b.data("/api/v1/metadata?metric=written");
    assert_eq!(metadata["written"][0]["help"], "What was written.");
    assert_eq!(b.value("written{job=\"x\"}"), Some(4.0));
    // Sent again, as senders do when they saw no answer.
    let last =
        RequestWriter::new().series(&[("__name__", "written"), ("instance", "a")]).sample(now, 2.5).body();
    assert_eq!(write(&b, &last), (204, String::new()));

    let duplicate =
        RequestWriter::new().series(&[("__name__", "written"), ("instance", "a")]).sample(now, 9.0).body();
    let (status, text) = write(&b, &duplicate);
    assert!(status == 400 && text.starts_with("duplicate sample for timestamp"), "{status} {text}");
    let future = RequestWriter::new()
        .series(&[("__name__", "future")])
        .sample(now + 3_600_000, 1.0)
        .series(&[("__name__", "present")])
        .sample(now, 1.0)
        .body();
    let (status, text) = write(&b, &future);
    assert!(
        status == 400 && text.starts_with("out of bounds for series future (1 of 2 samples refused"),
        "{status} {text}"
    );
    assert_eq!((b.value("present"), b.value("future")), (Some(1.0), None));
    let twice = RequestWriter::new()
        .series(&[("__name__", "twice"), ("a", "1"), ("a", "2")])
        .sample(now, 1.0)
        .series(&[("__name__", "once")])
        .sample(now, 1.0)
        .body();
    let (status, text) = write(&b, &twice);
    assert!(status == 400 && text.contains("duplicated label a"), "{status} {text}");
    assert_eq!(b.value("once"), Some(1.0));

    let page = b.get_text("/metrics").1;
    for line in [
        "bellwether_remote_write_samples_total 6",
        "prometheus_api_remote_write_invalid_labels_samples_total 1",
        "bellwether_remote_write_refused_samples_total{reason=\"out of bounds\"} 1",
        "prometheus_http_requests_total{code=\"204\",handler=\"/api/v1/write\"} 2",
    ] {
        assert!(page.contains(line), "{line} is not on the page:\n{page}");
    }
}

#[test]
fn native_histograms_are_queried() {
    let b = receiver(&[]);
    let now = now_ms() / 1000 * 1000;
    let histogram = |n: f64| Histogram {
        schema: 0,
        zero_threshold: 0.5,
        zero_count: n,
        count: 4.0 * n,
        sum: 6.0 * n,
        positive_spans: vec![Span { offset: 1, length: 2 }],
        positive: vec![n, 2.0 * n],
        ..Histogram::default()
    };
    let custom = Histogram {
        schema: base::CUSTOM_BUCKETS_SCHEMA,
        count: 3.0,
        sum: 5.0,
        positive_spans: vec![Span { offset: 0, length: 2 }],
        positive: vec![1.0, 2.0],
        custom_bounds: [1.0, 4.0].into(),
        ..Histogram::default()
    };
    let mut request = RequestWriter::new();
    request.series(&[("__name__", "took"), ("instance", "a")]);
    for i in 0..=4 {
        // The counter starts anew after the third.
        let n = if i < 3 { 10 * (i + 1) } else { 10 * (i - 2) };
        request.histogram(now - 40_000 + 10_000 * i, &histogram(n as f64));
    }
    request.series(&[("__name__", "took"), ("instance", "b")]).histogram(now, &histogram(1.0));
    request.series(&[("__name__", "custom")]).histogram(now, &custom);
    assert_eq!(write(&b, &request.body()), (204, String::new()));

    let at = now / 1000;
    let result = |query: &str| {
        let found = b.data(&format!("/api/v1/query?time={at}&query={}", escape(query)));
        found["result"].clone()
    };
    let one = |query: &str| result(query)[0]["value"][1].as_str().and_then(|v| v.parse::<f64>().ok());
    assert_eq!(
        result("took{instance=\"a\"}")[0]["histogram"],
        serde_json::json!([at, {
            "count": "80",
            "sum": "120",
            "buckets": [[3, "-0.5", "0.5", "20"], [0, "1", "2", "20"], [0, "2", "4", "40"]],
        }])
    );
    assert_eq!(one("histogram_count(sum(took))"), Some(84.0));
    assert_eq!(one("histogram_avg(took{instance=\"b\"})"), Some(1.5));
    assert_eq!(one("histogram_quantile(0.5, custom)"), Some(1.75));
    assert_eq!(one("count(took)"), Some(2.0));
    // 20 up to the reset, 20 from it on, over 40 s.
    let rate = one("histogram_count(rate(took{instance=\"a\"}[50s]))").expect("a rate");
    assert!((rate - 4.0).abs() < 0.8, "{rate}");
    let range = b.data(&format!("/api/v1/query_range?query=took&start={}&end={at}&step=10", at - 20));
    let series = &range["result"][0];
    assert_eq!(series["histograms"].as_array().map(Vec::len), Some(3), "{range}");
    assert!(series["values"].is_null());
    assert_eq!(series["histograms"][0][1]["count"], "120");
}

/// A query as part of a URL.
fn escape(query: &str) -> String {
    query.bytes().map(|b| format!("%{b:02X}")).collect()
}

#[test]
fn what_is_no_remote_write_is_refused() {
    let b = receiver(&[]);
    let good = RequestWriter::new().series(&[("__name__", "m")]).sample(now_ms(), 1.0).body();
    let status = |headers: &[(&str, &str)], body: &[u8]| {
        let (status, text, _) = send(&b.url, headers, body);
        assert!(!text.trim().is_empty(), "{status} without a reason");
        status
    };
    let with = |content_type, encoding| [("Content-Type", content_type), ("Content-Encoding", encoding)];
    assert_eq!(status(&with("application/json", "snappy"), &good), 415);
    assert_eq!(status(&with("application/x-protobuf", "gzip"), &good), 415);
    let v3 = "application/x-protobuf;proto=io.prometheus.write.v3.Request";
    assert_eq!(status(&with(v3, "snappy"), &good), 415);
    assert_eq!(status(&HEADERS, b"no snappy"), 400);
    assert_eq!(status(&HEADERS, &compress(b"\x0a\x05no")), 400);
    assert_eq!(status(&HEADERS, b"\xff\xff\xff\xff\x0f\0\0"), 413);
    assert_eq!(status_of_claim(&b, ingest::limits::COMPRESSED_BYTES + 1), 413);
    assert_eq!(b.value("count({__name__=~\".+\"})"), None);
}

/// The status for a body that is never sent, only its length is.
fn status_of_claim(b: &Bellwether, bytes: usize) -> u16 {
    use std::io::{Read, Write};
    let address = b.url.strip_prefix("http://").expect("it is HTTP");
    let mut stream = std::net::TcpStream::connect(address).expect("it listens");
    write!(stream, "POST /api/v1/write HTTP/1.1\r\nHost: b\r\nContent-Length: {bytes}\r\n\r\n")
        .expect("sent");
    let mut head = [0; 12];
    stream.read_exact(&mut head).expect("a status line");
    std::str::from_utf8(&head[9..]).ok().and_then(|s| s.parse().ok()).expect("a status")
}

#[test]
fn it_is_off_unless_asked_for() {
    let b = Bellwether::start(Some("scrape_configs: []"));
    let body = RequestWriter::new().series(&[("__name__", "m")]).sample(now_ms(), 1.0).body();
    let (status, text, _) = send(&b.url, &HEADERS, &body);
    assert!(status == 404 && text.contains(ENABLED), "{status} {text}");
}

#[test]
fn debians_prometheus_writes_to_it() {
    let Some(program) = find_program("prometheus") else {
        return skip("debians_prometheus_writes_to_it", "prometheus is not installed");
    };
    let b = receiver(&[]);
    let port = free_port();
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("prometheus.yml");
    let configuration = format!(
        "global: {{scrape_interval: 500ms, scrape_timeout: 500ms}}\n\
         remote_write: [{{url: '{}/api/v1/write', queue_config: {{batch_send_deadline: 200ms}}}}]\n\
         scrape_configs: [{{job_name: self, static_configs: [{{targets: ['127.0.0.1:{port}']}}]}}]",
        b.url
    );
    std::fs::write(&file, configuration).expect("the configuration is written");
    let mut command = Command::new(program);
    command.arg(format!("--config.file={}", file.display()));
    command.arg(format!("--storage.tsdb.path={}", folder.path().join("data").display()));
    command.arg(format!("--web.listen-address=127.0.0.1:{port}"));
    let (_prometheus, ()) =
        Process::start_until(&mut command, |line| line.contains("ready to receive").then_some(()));
    eventually("six scrapes have come", || {
        (b.value("count_over_time(up{job=\"self\"}[1m])") >= Some(6.0)).then_some(())
    });
    let end_ms = now_ms() / 1000 * 1000 - 1000;
    // What Prometheus scraped a second ago takes its way through the queue.
    let (start, end) = (end_ms / 1000 - 10, end_ms / 1000);
    let range = |url: &str, query: &str| -> Value {
        let (status, text) = fetch(&format!("{url}/api/v1/query?query={query}&time={end}"));
        assert_eq!(status, 200, "{text}");
        let mut value: Value = serde_json::from_str(&text).expect("JSON");
        let series = value["data"]["result"].as_array_mut().expect("a matrix");
        series.sort_by_key(|s| s["metric"].to_string());
        value["data"]["result"].take()
    };
    let seconds = end - start;
    for query in [format!("up[{seconds}s]"), format!("{{__name__=~\"go_.%2B|prometheus_.%2B\"}}[{seconds}s]")]
    {
        eventually("both have the same samples", || {
            let there = range(&format!("http://127.0.0.1:{port}"), &query);
            let here = range(&b.url, &query);
            assert!(there.as_array().is_some_and(|a| !a.is_empty()), "{query}: {there}");
            (there == here).then_some(())
        });
    }
}

#[test]
fn late_samples_and_limits_follow_the_file_and_its_reload() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("prometheus.yml");
    let first = "storage: {tsdb: {out_of_order_time_window: 30m}}\nlimits: {series_per_metric: 2}\n";
    let b = Bellwether::start_with(folder, Some(first), &[ENABLED]);
    let now = now_ms();
    let at = |instance, t_ms| {
        RequestWriter::new().series(&[("__name__", "m"), ("instance", instance)]).sample(t_ms, 1.0).body()
    };
    assert_eq!(write(&b, &at("a", now)).0, 204);
    assert_eq!(write(&b, &at("a", now - 600_000)).0, 204);
    let (status, text) = write(&b, &at("a", now - 3_600_000));
    assert!(status == 400 && text.starts_with("too old sample"), "{status} {text}");
    assert_eq!(b.value("count_over_time(m{instance=\"a\"}[30m])"), Some(2.0));

    assert_eq!(write(&b, &at("b", now)).0, 204);
    let (status, text) = write(&b, &at("c", now));
    assert!(
        status == 400 && text.starts_with("limit on series reached for series m{instance=\"c\"} (1 of 1"),
        "{status} {text}"
    );
    assert_eq!(write(&b, &at("a", now + 1)).0, 204);

    std::fs::write(&file, "limits: {series_per_metric: 3}\n").expect("the configuration is written");
    assert_eq!(b.post("/-/reload", &[]).0, 200);
    assert_eq!(write(&b, &at("c", now)).0, 204);
    let (status, text) = write(&b, &at("a", now - 600_001));
    assert!(status == 400 && text.starts_with("out of order sample"), "{status} {text}");
}
