//! Remote write 2.0 into Bellwether.

use base::{CUSTOM_BUCKETS_SCHEMA, Histogram, Span};
use ingest::testing::{RequestWriter, RequestWriterV2, compress};

use crate::harness::Bellwether;
use crate::remote_write::{ENABLED, HEADERS, now_ms, receiver};

pub(crate) const MESSAGE: &str = "application/x-protobuf;proto=io.prometheus.write.v2.Request";

/// Status, text, and what the headers say was written: samples, histograms, exemplars.
pub(crate) fn send(b: &Bellwether, content_type: &str, body: &[u8]) -> (u16, String, Option<[u64; 3]>) {
    let mut answer = ureq::post(format!("{}/api/v1/write", b.url))
        .config()
        .http_status_as_error(false)
        .build()
        .header("Content-Type", content_type)
        .header("Content-Encoding", "snappy")
        .header("X-Prometheus-Remote-Write-Version", "2.0.0")
        .send(body)
        .expect("it answers");
    let of = |what: &str| {
        let value = answer.headers().get(format!("X-Prometheus-Remote-Write-{what}-Written"))?;
        Some(value.to_str().expect("text").parse().expect("a number"))
    };
    let written = of("Samples").zip(of("Histograms")).zip(of("Exemplars")).map(|((s, h), e)| [s, h, e]);
    (answer.status().as_u16(), answer.body_mut().read_to_string().expect("text"), written)
}

fn custom() -> Histogram {
    Histogram {
        schema: CUSTOM_BUCKETS_SCHEMA,
        count: 4.0,
        sum: 9.0,
        positive_spans: vec![Span { offset: 0, length: 3 }],
        positive: vec![1.0, 2.0, 1.0],
        custom_bounds: [0.5, 1.0].into(),
        ..Histogram::default()
    }
}

#[test]
fn what_is_written_is_there_and_headers_count_it() {
    let b = receiver(&[]);
    let now = now_ms();
    let body = RequestWriterV2::new()
        .series(&[("__name__", "jobs_total"), ("instance", "a")])
        .metadata(1, "Jobs done.", "jobs")
        .sample(now - 1000, 1.5)
        .sample_since(now, 2.5, now - 5000)
        .exemplar(now, 0.7, "0123456789abcdef")
        .series(&[("__name__", "took_seconds")])
        .metadata(3, "Time taken.", "seconds")
        .histogram(now, &custom(), 0)
        .body();
    assert_eq!(send(&b, MESSAGE, &body), (204, String::new(), Some([2, 1, 1])));
    assert_eq!(b.value("jobs_total"), Some(2.5));
    assert_eq!(b.value("histogram_count(took_seconds)"), Some(4.0));
    assert_eq!(b.value("histogram_sum(took_seconds)"), Some(9.0));
    assert_eq!(
        b.value("count_over_time(jobs_total[1m])"),
        Some(2.0),
        "a start is no sample unless asked for"
    );
    let metadata = b.data("/api/v1/metadata");
    assert_eq!(metadata["jobs_total"][0]["type"], "counter");
    assert_eq!(metadata["took_seconds"][0]["unit"], "seconds");
    // Sent again, as senders do when they saw no answer.
    assert_eq!(send(&b, MESSAGE, &body).2, Some([1, 1, 1]));
}

#[test]
fn of_a_request_that_is_partly_wrong_the_rest_is_written() {
    let b = receiver(&[]);
    let now = now_ms();
    let good =
        |writer: &mut RequestWriterV2, t_ms| writer.series(&[("__name__", "good")]).sample(t_ms, 1.0).body();
    assert_eq!(send(&b, MESSAGE, &good(&mut RequestWriterV2::new(), now - 10)).0, 204);
    let mut writer = RequestWriterV2::new();
    writer.series_of_refs(&[1, 99]).sample(now, 1.0);
    writer.series(&[("__name__", "future")]).sample(now + 3_600_000, 1.0);
    writer.series(&[("__name__", "empty")]);
    writer.series(&[("__name__", "h")]).histogram(now, &Histogram { count: 5.0, ..custom() }, 0);
    let (status, text, written) = send(&b, MESSAGE, &good(&mut writer, now));
    assert_eq!((status, written), (400, Some([1, 0, 0])), "{text}");
    for said in [
        "out of bounds for series future (3 of 4 samples refused, the others are stored)",
        "labelRefs 1 (name) = 99 (value) outside of symbols table",
        "TimeSeries must contain at least one sample or histogram for series",
        "its count is 5",
    ] {
        assert!(text.contains(said), "{said} is not in {text}");
    }
    assert_eq!(b.value("count_over_time(good[1m])"), Some(2.0));
    let late = good(&mut RequestWriterV2::new(), now - 5);
    let (status, text, written) = send(&b, MESSAGE, &late);
    assert!(status == 400 && text.starts_with("out of order sample for series good"), "{text}");
    assert_eq!(written, Some([0, 0, 0]));
    let page = b.get_text("/metrics").1;
    for line in [
        "prometheus_api_remote_write_invalid_labels_samples_total 1",
        "bellwether_remote_write_refused_samples_total{reason=\"out of order sample\"} 1",
    ] {
        assert!(page.contains(line), "{line} is not on the page:\n{page}");
    }
}

#[test]
fn the_content_type_says_which_version_it_is() {
    let b = receiver(&[]);
    let v2 = RequestWriterV2::new().series(&[("__name__", "two")]).sample(now_ms(), 1.0).body();
    let v1 = RequestWriter::new().series(&[("__name__", "one")]).sample(now_ms(), 1.0).body();
    // The fields of one version are unknown to the other: nothing is in it.
    assert_eq!(send(&b, MESSAGE, &v1), (204, String::new(), Some([0, 0, 0])));
    assert_eq!(send(&b, HEADERS[0].1, &v2), (204, String::new(), None));
    assert_eq!(b.value("count({__name__=~\"one|two\"})"), None);
    assert_eq!(send(&b, HEADERS[0].1, &v1).0, 204);
    assert_eq!(send(&b, MESSAGE, &v2).2, Some([1, 0, 0]));
    assert_eq!(b.value("count({__name__=~\"one|two\"})"), Some(2.0));
    // What is no message of its version says that nothing was written.
    let (status, text, written) = send(&b, MESSAGE, &compress(b"\x2a\x05no"));
    assert_eq!((status, written), (400, Some([0, 0, 0])), "{text}");

    let only_v2 =
        receiver(&["--web.remote-write-receiver.accepted-protobuf-messages=io.prometheus.write.v2.Request"]);
    let (status, text, _) = send(&only_v2, HEADERS[0].1, &v1);
    assert!(status == 415 && text.contains("only accepts io.prometheus.write.v2.Request"), "{text}");
    assert_eq!(send(&only_v2, MESSAGE, &v2).0, 204);
}

#[test]
fn starts_and_types_become_samples_and_labels_if_asked_for() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = "scrape_configs: []\nenable_features: [type-and-unit-labels]";
    let arguments = [ENABLED, "--enable-feature=created-timestamp-zero-ingestion"];
    let b = Bellwether::start_with(folder, Some(file), &arguments);
    let now = now_ms();
    for t_ms in [now - 1000, now] {
        let body = RequestWriterV2::new()
            .series(&[("__name__", "jobs_total")])
            .metadata(1, "", "jobs")
            .sample_since(t_ms, 7.0, now - 30_000)
            .body();
        assert_eq!(send(&b, MESSAGE, &body).2, Some([1, 0, 0]));
    }
    let counted = r#"count_over_time(jobs_total{__type__="counter",__unit__="jobs"}[1m])"#;
    assert_eq!(b.value(counted), Some(3.0));
    assert_eq!(b.value("min_over_time(jobs_total[1m])"), Some(0.0));
}
