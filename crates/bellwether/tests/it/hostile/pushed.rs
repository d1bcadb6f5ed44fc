//! Bodies of remote write and of OTLP.

use std::io::Write;

use base::{Histogram, Span};
use flate2::Compression;
use flate2::write::GzEncoder;
use ingest::testing::otlp::{Common, OtlpWriter, texts};
use ingest::testing::{RequestWriter, compress};

use super::wire::{CLOSED, Hostile};
use crate::remote_write::now_ms;

const WRITE: &str = "/api/v1/write";
const OTLP: &str = "/api/v1/otlp/v1/metrics";
const SNAPPY: &str = "Content-Type: application/x-protobuf\r\nContent-Encoding: snappy\r\n";
const V2: &str = "Content-Type: application/x-protobuf;proto=io.prometheus.write.v2.Request\r\nContent-Encoding: snappy\r\n";
const PROTOBUF: &str = "Content-Type: application/x-protobuf\r\n";
const GZIP: &str = "Content-Type: application/x-protobuf\r\nContent-Encoding: gzip\r\n";
const JSON: &str = "Content-Type: application/json\r\n";
const MIB: usize = 1 << 20;

pub(super) fn gzip(content: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(content).expect("memory takes it");
    encoder.finish().expect("memory takes it")
}

/// A request of one series with a sample.
fn series(labels: &[(&[u8], &[u8])], t_ms: i64) -> Vec<u8> {
    RequestWriter::new().series(labels).sample(t_ms, 1.0).body()
}

pub(super) fn remote_write() -> Vec<Hostile> {
    let now = now_ms();
    let good = RequestWriter::new().series(&[("__name__", "hostile")]).sample(now, 1.0).message();
    let write =
        |what, head, body: &[u8], statuses, says| Hostile::post(what, (WRITE, head), body, statuses, says);
    let refused = |what, body: &[u8], says| write(what, SNAPPY, body, &[400], says);
    let far = |t_ms| series(&[(b"__name__", b"far")], t_ms);
    let mut all = vec![
        write("a claim of 4 GiB", SNAPPY, b"\xff\xff\xff\xff\x0f\x00a", &[400, 413], "decompressed"),
        write("65 MiB of zeros", SNAPPY, &compress(&vec![0; 65 * MIB]), &[400, 413], "decompressed"),
        refused("60 MiB of zeros", &compress(&vec![0; 60 * MIB]), "illegal tag 0"),
        write("a gzip bomb", GZIP, &gzip(&vec![0; 70 * MIB]), &[415], "only snappy is acceptable"),
        write("zstd", "Content-Encoding: zstd\r\n", b"\x28\xb5\x2f\xfd", &[415], "only snappy is acceptable"),
        write(
            "a page of HTML",
            "Content-Type: text/html\r\n",
            b"<html>",
            &[415],
            "expected application/x-protobuf",
        ),
        refused("snappy that is cut", &compress(&vec![7; 5000])[..40], "corrupt input"),
        refused("a message that is cut", &compress(&good[..good.len() - 3]), "cannot decode"),
        refused("a group without end", &compress(&[0x0b; 10_000]), "cannot decode"),
        refused("the largest time", &far(i64::MAX), "out of bounds"),
        refused("the smallest time", &far(i64::MIN), "out of bounds"),
        refused("no name", &series(&[(b"a", b"b")], now), "invalid metric name"),
        refused(
            "text that is none",
            &series(&[(b"__name__", b"\xff\xfe")], now),
            "invalid metric name or labels",
        ),
        refused("a value that is none", &series(&[(b"__name__", b"x"), (b"a", b"\xc3(")], now), "invalid"),
        write("nothing", SNAPPY, b"", &[204, 400], ""),
    ];
    all.extend(beyond_limits(now));
    all
}

fn beyond_limits(now: i64) -> Vec<Hostile> {
    let names: Vec<String> = (0..100_000).map(|i| format!("l{i:06}")).collect();
    let mut many: Vec<(&[u8], &[u8])> = vec![(b"__name__", b"many")];
    many.extend(names.iter().map(|name| (name.as_bytes(), &b"v"[..])));
    let long = vec![b'a'; 10 * MIB];
    let labels = |value: &[u8]| series(&[(b"__name__", b"long"), (b"a", value)], now);
    let name = |name: &[u8]| series(&[(b"__name__", b"long"), (name, b"v")], now);
    // A series that says nothing is two bytes on the wire.
    let empty: Vec<u8> = [0x0a, 0x00].repeat(600_000);
    let wide = Histogram {
        schema: 8,
        count: 1.0,
        positive_spans: vec![Span { offset: 0, length: u32::MAX }],
        positive: vec![1.0],
        ..Histogram::default()
    };
    let wide = RequestWriter::new().series(&[("__name__", "wide")]).histogram(now, &wide).body();
    let write =
        |what, head, body: &[u8], statuses, says| Hostile::post(what, (WRITE, head), body, statuses, says);
    // Symbols, and a series that refers to one that is not there.
    let nowhere = compress(&[&[0x22, 0, 0x2a, 8, 0x0a, 6][..], &[0xff, 0xff, 0xff, 0x7f, 1, 2]].concat());
    let huge = format!(
        "POST {WRITE} HTTP/1.1\r\nHost: h\r\nConnection: close\r\nContent-Length: 99999999999\r\n{SNAPPY}\r\n"
    );
    vec![
        write("100,000 labels", SNAPPY, &series(&many, now), &[400], "label_limit"),
        write("a value of 10 MiB", SNAPPY, &labels(&long), &[400], "label_value_length_limit"),
        write("a label's name of 10 MiB", SNAPPY, &name(&long), &[400], "label_name_length_limit"),
        write("600,000 series", SNAPPY, &compress(&empty), &[400, 413], "series_per_request"),
        write("a histogram of 4 billion buckets", SNAPPY, &wide, &[400], ""),
        write("a reference to nothing", V2, &nowhere, &[400], ""),
        Hostile::raw("100 GB to come", huge, &[413], "compressed_bytes"),
    ]
}

pub(super) fn otlp() -> Vec<Hostile> {
    let mut writer = OtlpWriter::new();
    writer.resource(&texts(&[("service.name", "hostile")])).scope("lib", "1", "", &vec![]);
    let far = Common { time_ns: u64::MAX, ..Common::default() };
    let far = writer.gauge("far", "").double(&far, 1.0).message();
    let post =
        |what, head, body: &[u8], statuses, says| Hostile::post(what, (OTLP, head), body, statuses, says);
    let deep = format!("{}{}", "[".repeat(200_000), "]".repeat(200_000));
    let nested = format!(
        r#"{{"resourceMetrics":[{{"resource":{{"attributes":[{{"key":"a","value":{}}}]}}}}]}}"#,
        attribute(5_000)
    );
    let numbers = format!(
        r#"{{"resourceMetrics":[{{"scopeMetrics":[{{"metrics":[{{"name":"a","gauge":{{"dataPoints":[{}{{}}]}}}}]}}]}}]}}"#,
        "{},".repeat(2_500_000)
    );
    vec![
        post("a gzip bomb", GZIP, &gzip(&vec![0; 70 * MIB]), &[400, 413], "decompressed"),
        post("gzip that is cut", GZIP, &gzip(&far)[..20], &[400, 413], ""),
        post("zstd", "Content-Type: application/json\r\nContent-Encoding: zstd\r\n", b"{}", &[415], "gzip"),
        post("a page of HTML", "Content-Type: text/html\r\n", b"<html>", &[415], "unsupported content type"),
        post("a message that is cut", PROTOBUF, &far[..far.len() - 2], &[400], ""),
        post("the largest time", PROTOBUF, &far, &[400], "out of bounds"),
        post("JSON of 200,000 levels", JSON, deep.as_bytes(), &[400], ""),
        post("an attribute of 5,000 levels", JSON, nested.as_bytes(), &[200, 400], ""),
        post("JSON of 2.5 million points", JSON, numbers.as_bytes(), &[400, 413], "limit"),
        post("YAML", JSON, b"a: &a [*a, *a]", &[400], ""),
        Hostile::post("nothing of a kind", ("/v1/metrics", PROTOBUF), &[0xff; 4096], &[400], ""),
        Hostile::post("logs", ("/v1/logs", PROTOBUF), b"", &[404, 405], ""),
        Hostile::raw(
            "a body that ends early",
            format!("POST {OTLP} HTTP/1.1\r\nHost: h\r\n{PROTOBUF}Transfer-Encoding: chunked\r\n\r\nZZ\r\nx"),
            &[400, CLOSED],
            "",
        ),
    ]
}

/// A list in a list, so many times.
fn attribute(levels: usize) -> String {
    let open = r#"{"arrayValue":{"values":["#.repeat(levels);
    format!(r#"{open}{{"intValue":"1"}}{}"#, "]}}".repeat(levels))
}
