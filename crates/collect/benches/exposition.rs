//! Speed of the exposition parsers: bytes per second on one core.
//!
//! Reads the published payloads where the conformance data is at hand, and always a generated one.
#![expect(clippy::disallowed_macros, reason = "a benchmark says what it skips on standard output")]

use std::fmt::Write as _;
use std::path::PathBuf;

use base::Span;
use collect::exposition::{Event, Format, Histograms, Parser};
use divan::counter::BytesCount;
use divan::{Bencher, black_box};
use ingest::testing::families::{FamilyWriter, HISTOGRAM, HistogramWriter, MetricWriter};

fn main() {
    divan::main();
}

fn payload(name: &str) -> Option<Vec<u8>> {
    let root = std::env::var_os("BELLWETHER_CONFORMANCE").map_or_else(
        || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/conformance")),
        PathBuf::from,
    );
    std::fs::read(root.join("prometheus/model/textparse/testdata").join(name)).ok()
}

/// Series like those of an HTTP service: histograms with ten labels, 5,000 lines.
fn generated() -> Vec<u8> {
    let mut out = String::from("# HELP http_request_duration_seconds Time to answer.\n");
    out.push_str("# TYPE http_request_duration_seconds histogram\n");
    for i in 0..5_000 {
        writeln!(
            out,
            "http_request_duration_seconds_bucket{{cluster=\"eu-1\",namespace=\"shop\",pod=\"cart-{:x}\",container=\"app\",\
             method=\"GET\",path=\"/api/v1/cart/{}\",code=\"200\",version=\"2.31.0\",zone=\"b\",le=\"0.{}\"}} {}",
            i / 50,
            i % 50,
            i % 10,
            i * 37
        )
        .expect("writing to a string cannot fail");
    }
    out.into_bytes()
}

/// The same service in protobuf: 500 histograms of ten labels, with ten classic buckets each, or with 40 native ones.
fn generated_protobuf(native: bool) -> Vec<u8> {
    let mut family =
        FamilyWriter::new("http_request_duration_seconds", HISTOGRAM).about("Time to answer.", "");
    for i in 0..500u64 {
        let (pod, path) = (format!("cart-{:x}", i / 50), format!("/api/v1/cart/{}", i % 50));
        let labels = [
            ("cluster", "eu-1"),
            ("namespace", "shop"),
            ("pod", pod.as_str()),
            ("container", "app"),
            ("method", "GET"),
            ("path", path.as_str()),
            ("code", "200"),
            ("version", "2.31.0"),
            ("zone", "b"),
        ];
        let histogram = if native {
            HistogramWriter::new(820 + i, 7.5)
                .schema(3, 1e-9, i)
                .positive(&[Span { offset: -20, length: 40 }], &[[1; 20], [-1; 20]].concat())
        } else {
            (0..10).fold(HistogramWriter::new(37 * i + 9, 7.5), |h, b| {
                h.bucket(b as f64 / 10.0, 37 * i + b, None)
            })
        };
        family = family.metric(MetricWriter::new(&labels).histogram(&histogram));
    }
    let mut page = Vec::new();
    family.put(&mut page);
    page
}

fn parse(format: Format, body: &[u8]) -> f64 {
    let histograms = Histograms { native: true, ..Histograms::default() };
    let mut parser = Parser::with_histograms(format, body, histograms);
    let mut sum = 0.0;
    loop {
        match parser.next() {
            Ok(Some(Event::Series(s))) => sum += s.value + s.bytes().len() as f64,
            Ok(Some(Event::Histogram(_, native))) => sum += native.histogram.count,
            Ok(Some(_)) => {}
            Ok(None) => return sum,
            Err(e) => panic!("the payload does not parse: {e}"),
        }
    }
}

fn run(bencher: Bencher<'_, '_>, format: Format, body: Option<Vec<u8>>) {
    let Some(body) = body else {
        println!("SKIPPED: no conformance data");
        return;
    };
    bencher.counter(BytesCount::of_slice(&body)).bench_local(|| parse(format, black_box(&body)));
}

#[divan::bench]
fn alltypes_prometheus(bencher: Bencher<'_, '_>) {
    run(bencher, Format::Prometheus, payload("alltypes.237mfs.prom.txt"));
}

#[divan::bench]
fn alltypes_without_metadata(bencher: Bencher<'_, '_>) {
    run(bencher, Format::Prometheus, payload("alltypes.237mfs.nometa.prom.txt"));
}

#[divan::bench]
fn alltypes_openmetrics(bencher: Bencher<'_, '_>) {
    run(bencher, Format::OpenMetrics, payload("alltypes.5mfs.om.txt"));
}

#[divan::bench]
fn generated_prometheus(bencher: Bencher<'_, '_>) {
    run(bencher, Format::Prometheus, Some(generated()));
}

#[divan::bench]
fn generated_protobuf_classic(bencher: Bencher<'_, '_>) {
    run(bencher, Format::Protobuf, Some(generated_protobuf(false)));
}

#[divan::bench]
fn generated_protobuf_native(bencher: Bencher<'_, '_>) {
    run(bencher, Format::Protobuf, Some(generated_protobuf(true)));
}
