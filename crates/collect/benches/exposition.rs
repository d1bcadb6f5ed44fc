//! Speed of the exposition parsers: bytes per second on one core.
//!
//! Reads the published payloads where the conformance data is at hand, and always a generated one.
#![expect(clippy::disallowed_macros, reason = "a benchmark says what it skips on standard output")]

use std::fmt::Write as _;
use std::path::PathBuf;

use collect::exposition::{Event, Format, Parser};
use divan::counter::BytesCount;
use divan::{Bencher, black_box};

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

fn parse(format: Format, body: &[u8]) -> f64 {
    let mut parser = Parser::new(format, body);
    let mut sum = 0.0;
    loop {
        match parser.next() {
            Ok(Some(Event::Series(s))) => sum += s.value + s.bytes().len() as f64,
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
