//! Scraping by protobuf: a target that answers as the header `Accept` asks, here and beside Debian's Prometheus.

use std::process::Command;
use std::time::Duration;

use base::Span;
use ingest::testing::families::{
    COUNTER, Example, FamilyWriter, HISTOGRAM, HistogramWriter, MetricWriter, SUMMARY,
};
use serde_json::Value;

use crate::harness::{Bellwether, Process, application, eventually, find_program, free_port, skip};
use crate::remote_write::now_ms;

const PROTOBUF: &str =
    "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited";

/// Observations between 1 and 2 by halves of a power of two, twice as many below zero, and one at zero.
fn native() -> HistogramWriter {
    HistogramWriter::new(100, 60.5)
        .schema(1, 0.001, 1)
        .positive(&[Span { offset: 1, length: 2 }], &[11, 11])
        .negative(&[Span { offset: 0, length: 1 }, Span { offset: 2, length: 1 }], &[60, -54])
        .bucket(1.0, 67, None)
        .bucket(f64::INFINITY, 100, None)
}

fn page(start_ms: i64) -> Vec<u8> {
    let example = Example { trace: "abc", value: 1.5, t_ms: Some(now_ms()) };
    let only_classic = HistogramWriter::new(8, 9.5).bucket(0.5, 2, None).bucket(1.0, 6, None);
    let families = [
        FamilyWriter::new("jobs_total", COUNTER)
            .about("Jobs done.", "")
            .metric(MetricWriter::new(&[("kind", "a\"b\\\\")]).counter(30.0, Some(start_ms), None)),
        FamilyWriter::new("took_seconds", HISTOGRAM).about("Time taken.", "seconds").metric(
            MetricWriter::new(&[("path", "/")]).histogram(&native().example(example).since(start_ms)),
        ),
        FamilyWriter::new("plain_seconds", HISTOGRAM).metric(MetricWriter::new(&[]).histogram(&only_classic)),
        FamilyWriter::new("size", SUMMARY).metric(MetricWriter::new(&[]).summary(
            3,
            4.5,
            &[(0.5, 1.0), (0.9, 2.0)],
            None,
        )),
    ];
    let mut out = Vec::new();
    families.iter().for_each(|f| f.put(&mut out));
    out
}

const TEXT: &str = "# TYPE plain_seconds histogram\nplain_seconds_bucket{le=\"0.5\"} 2\nplain_seconds_bucket{le=\"1\"} 6\n\
    plain_seconds_bucket{le=\"+Inf\"} 8\nplain_seconds_sum 9.5\nplain_seconds_count 8\n";

/// An application that answers protobuf to who names it first, and text otherwise.
fn answering(start_ms: i64) -> u16 {
    application(move |request| {
        let request = request.to_lowercase();
        let first = request.lines().find_map(|l| l.strip_prefix("accept: ")).unwrap_or_default();
        if first.starts_with("application/vnd.google.protobuf;proto=io.prometheus") {
            (PROTOBUF, page(start_ms))
        } else {
            ("text/plain; version=0.0.4", TEXT.into())
        }
    })
}

fn scraping(port: u16, options: &str) -> String {
    format!(
        "global: {{scrape_interval: 250ms, scrape_timeout: 200ms}}\n\
         scrape_configs: [{{job_name: app, {options} static_configs: [{{targets: ['127.0.0.1:{port}']}}]}}]\n"
    )
}

fn scraped(b: &Bellwether) {
    eventually("it is up", || (b.value("up{job=\"app\"}") == Some(1.0)).then_some(()));
}

#[test]
fn native_histograms_are_scraped_by_protobuf() {
    let start_ms = now_ms() - 20_000;
    let port = answering(start_ms);
    let b = Bellwether::start(Some(&scraping(port, "scrape_native_histograms: true,")));
    scraped(&b);
    assert_eq!(b.value("histogram_count(took_seconds{path=\"/\"})"), Some(100.0));
    assert_eq!(b.value("histogram_sum(took_seconds)"), Some(60.5));
    // 67 below zero and around it; the 33 others lie between 1 and 2.
    let quantile = b.value("histogram_quantile(0.835, took_seconds)").expect("a quantile");
    assert!(quantile > 1.0 && quantile < 2.0, "{quantile}");
    assert_eq!(b.value("took_seconds_count"), None, "the native one is enough");
    assert_eq!(b.value("plain_seconds_bucket{le=\"0.5\"}"), Some(2.0));
    assert_eq!(b.value("size{quantile=\"0.9\"}"), Some(2.0));
    assert_eq!(b.value("jobs_total"), Some(30.0));
    let metadata = b.data("/api/v1/metadata?metric=took_seconds");
    assert_eq!(metadata["took_seconds"][0]["unit"], "seconds");
    let end = now_ms() / 1000 + 60;
    let exemplars =
        b.data(&format!("/api/v1/query_exemplars?query=took_seconds&start={}&end={end}", end - 600));
    assert_eq!(exemplars[0]["exemplars"][0]["labels"]["trace_id"], "abc", "{exemplars}");
}

#[test]
fn options_say_what_becomes_of_histograms() {
    let port = answering(now_ms() - 20_000);
    let both = "scrape_native_histograms: true, always_scrape_classic_histograms: true, native_histogram_bucket_limit: 3,";
    let b = Bellwether::start(Some(&scraping(port, both)));
    scraped(&b);
    assert_eq!(b.value("took_seconds_bucket{le=\"1.0\"}"), Some(67.0));
    assert_eq!(b.value("histogram_count(took_seconds)"), Some(100.0));
    // Without native histograms, text is asked for.
    let b = Bellwether::start(Some(&scraping(port, "convert_classic_histograms_to_nhcb: true,")));
    scraped(&b);
    assert_eq!(b.value("histogram_quantile(0.5, plain_seconds)"), Some(0.75));
    assert_eq!((b.value("plain_seconds_count"), b.value("jobs_total")), (None, None));
    let b = Bellwether::start(Some(&scraping(
        port,
        "convert_classic_histograms_to_nhcb: true, scrape_protocols: [PrometheusProto],",
    )));
    scraped(&b);
    assert_eq!(b.value("histogram_count(took_seconds)"), Some(100.0));
    assert_eq!(b.value("histogram_quantile(0.5, plain_seconds)"), Some(0.75));
}

#[test]
fn starts_of_protobuf_are_stored() {
    let start_ms = now_ms() / 1000 * 1000 - 20_000;
    let port = answering(start_ms);
    let features = ["--enable-feature=st-storage,use-start-timestamps,promql-experimental-functions"];
    let folder = tempfile::tempdir().expect("a folder");
    let b =
        Bellwether::start_with(folder, Some(&scraping(port, "scrape_native_histograms: true,")), &features);
    scraped(&b);
    for metric in ["jobs_total", "took_seconds"] {
        let got = eventually("it has a start", || b.value(&format!("start_timestamp({metric})")));
        assert!((got - start_ms as f64 / 1000.0).abs() < 0.5, "{metric} began at {got}");
    }
}

/// What a server answers to a query, without times.
fn answer(url: &str, query: &str) -> Value {
    let mut response =
        ureq::get(&format!("{url}/api/v1/query")).query("query", query).call().expect("an answer");
    let text = response.body_mut().read_to_string().expect("text");
    let mut answer: Value = serde_json::from_str(&text).expect("JSON");
    let mut result = answer["data"]["result"].take();
    for series in result.as_array_mut().expect("a vector") {
        for kind in ["value", "histogram"] {
            if let Some(pair) = series.get_mut(kind) {
                pair[0] = Value::Null;
            }
        }
    }
    let mut series: Vec<String> = result.as_array().expect("a vector").iter().map(Value::to_string).collect();
    series.sort();
    series.into()
}

#[test]
fn debians_prometheus_scrapes_the_same() {
    const TEST: &str = "debians_prometheus_scrapes_the_same";
    let Some(program) = find_program("prometheus") else {
        return skip(TEST, "prometheus is not installed");
    };
    let port = answering(now_ms() - 20_000);
    let (folder, own) = (tempfile::tempdir().expect("a folder"), free_port());
    let file = folder.path().join("prometheus.yml");
    std::fs::write(&file, scraping(port, "")).expect("written");
    let mut command = Command::new(program);
    command
        .arg(format!("--config.file={}", file.display()))
        .arg(format!("--storage.tsdb.path={}", folder.path().join("tsdb").display()))
        .arg(format!("--web.listen-address=127.0.0.1:{own}"))
        .arg("--enable-feature=native-histograms");
    let (_peer, ()) =
        Process::start_until(&mut command, |line| line.contains("Server is ready").then_some(()));
    let peer = format!("http://127.0.0.1:{own}");
    let b = Bellwether::start(Some(&scraping(port, "scrape_native_histograms: true,")));
    scraped(&b);
    eventually("Prometheus has scraped it", || {
        (answer(&peer, "up == 1").as_array().map(Vec::len) == Some(1)).then_some(())
    });
    std::thread::sleep(Duration::from_millis(500));
    for query in [
        "jobs_total",
        "histogram_count(took_seconds)",
        "histogram_sum(took_seconds)",
        "histogram_fraction(-1, 1, took_seconds)",
        "size",
        "size_count",
        "size_sum",
        "took_seconds",
        "{__name__=~\"plain_seconds.*\", le!~\"[0-9](.0)?\"}",
        "scrape_samples_scraped{job=\"app\"}",
    ] {
        let (ours, theirs) = (answer(&b.url, query), answer(&peer, query));
        assert_ne!(theirs, Value::Array(vec![]), "{query} answers nothing");
        assert_eq!(ours, theirs, "{query}");
    }
}
