//! OTLP metrics into Bellwether: from requests made by hand, and from OpenTelemetry's SDK for Python, over HTTP and gRPC.

use std::io::Write;
use std::process::Command;

use ingest::testing::otlp::{CUMULATIVE, Common, DELTA, OtlpWriter, texts};
use serde_json::Value;

use crate::harness::{Bellwether, eventually, free_port, skip};
use crate::peers::python_with;
use crate::remote_write::now_ms;

const ENABLED: &str = "--web.enable-otlp-receiver";
const PROTOBUF: &str = "application/x-protobuf";
const JSON: &str = "application/json";

fn receiver(configuration: &str, arguments: &[&str]) -> Bellwether {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = format!("scrape_configs: []\n{configuration}");
    let arguments: Vec<&str> = [ENABLED].iter().chain(arguments).copied().collect();
    Bellwether::start_with(folder, Some(&file), &arguments)
}

/// Status, type and bytes of an answer.
fn send(b: &Bellwether, headers: &[(&str, &str)], body: &[u8]) -> (u16, String, Vec<u8>) {
    let mut request =
        ureq::post(format!("{}/api/v1/otlp/v1/metrics", b.url)).config().http_status_as_error(false).build();
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let mut answer = request.send(body).expect("it answers");
    let content_type = answer.headers().get("Content-Type").map(|v| v.to_str().expect("text").to_owned());
    let bytes = answer.body_mut().read_to_vec().expect("bytes");
    (answer.status().as_u16(), content_type.unwrap_or_default(), bytes)
}

pub(crate) fn post(b: &Bellwether, message: &[u8]) -> (u16, String, Vec<u8>) {
    send(b, &[("Content-Type", PROTOBUF)], message)
}

fn now() -> Common {
    Common { time_ns: now_ms() as u64 * 1_000_000, ..Common::default() }
}

fn writer() -> OtlpWriter {
    let mut writer = OtlpWriter::new();
    let resource = [("service.name", "shop"), ("service.instance.id", "1"), ("host.name", "h")];
    writer.resource(&texts(&resource)).scope("lib", "1", "", &vec![]);
    writer
}

fn gzip(content: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(content).expect("memory takes it");
    encoder.finish().expect("memory takes it")
}

#[test]
fn metrics_are_there_once_they_are_answered() {
    let b = receiver("otlp: {promote_resource_attributes: [host.name]}", &[]);
    let mut request = writer();
    let tagged = Common { attributes: texts(&[("http.method", "GET")]), ..now() };
    request.sum("http.requests", "", CUMULATIVE, true).int(&tagged, 7).gauge("load", "1").double(&now(), 0.5);
    request.histogram("took", "s", CUMULATIVE).buckets(&now(), Some(1.5), &[1, 3], &[0.5]);
    let (status, content_type, body) =
        send(&b, &[("Content-Type", PROTOBUF), ("Content-Encoding", "gzip")], &gzip(&request.message()));
    assert_eq!((status, content_type.as_str(), body.as_slice()), (200, PROTOBUF, &b""[..]));
    let requests = r#"http_requests_total{http_method="GET",job="shop",instance="1",host_name="h"}"#;
    assert_eq!(b.value(requests), Some(7.0));
    assert_eq!(b.value("load_ratio"), Some(0.5));
    assert_eq!(b.value(r#"took_seconds_bucket{le="0.5"}"#), Some(1.0));
    assert_eq!(b.value(r#"target_info{job="shop",instance="1",host_name="h"}"#), Some(1.0));
    let metadata = b.data("/api/v1/metadata?metric=took_seconds");
    assert_eq!(
        (&metadata["took_seconds"][0]["type"], &metadata["took_seconds"][0]["unit"]),
        (&"histogram".into(), &"seconds".into())
    );
    assert!(b.get_text("/metrics").1.contains("bellwether_otlp_samples_total 6"));

    // The settings follow the file.
    let file = b.folder().join("prometheus.yml");
    std::fs::write(file, "otlp: {translation_strategy: NoTranslation}")
        .expect("the configuration is written");
    assert_eq!(b.post("/-/reload", &[]).0, 200);
    assert_eq!(post(&b, &writer().gauge("disk.used", "By").int(&now(), 3).message()).0, 200);
    assert_eq!(b.value(r#"{"disk.used", job="shop"}"#), Some(3.0));
}

#[test]
fn json_is_understood_and_answered() {
    let b = receiver("", &[]);
    let json = |point: &str| {
        format!(
            r#"{{"resourceMetrics":[{{"resource":{{"attributes":[{{"key":"service.name","value":{{"stringValue":"shop"}}}}]}},
            "scopeMetrics":[{{"metrics":[{{"name":"temperature","unit":"Cel","gauge":{{"dataPoints":[{point}]}}}}]}}]}}]}}"#
        )
    };
    let good = json(&format!(r#"{{"timeUnixNano":"{}","asDouble":21.5}}"#, now().time_ns));
    let (status, content_type, body) = send(&b, &[("Content-Type", JSON)], good.as_bytes());
    assert_eq!((status, content_type.as_str(), body.as_slice()), (200, JSON, &b"{}"[..]));
    assert_eq!(b.value(r#"temperature_celsius{job="shop"}"#), Some(21.5));
    let far = json(r#"{"timeUnixNano":"4000000000000000000","asDouble":1}"#);
    let (status, _, body) = send(&b, &[("Content-Type", JSON)], far.as_bytes());
    let answer: Value = serde_json::from_slice(&body).expect("JSON");
    assert_eq!((status, &answer["code"]), (400, &3.into()), "{answer}");
    assert!(
        answer["message"].as_str().is_some_and(|m| m.starts_with("out of bounds for series")),
        "{answer}"
    );
    let (status, _, body) = send(&b, &[("Content-Type", JSON)], b"{\"resourceMetrics\": 1}");
    assert!(status == 400 && String::from_utf8_lossy(&body).contains("expected a list"), "{status}");
}

#[test]
fn of_a_request_that_is_partly_wrong_the_rest_is_stored() {
    let b = receiver("", &[]);
    let mut request = writer();
    request.sum("added", "", DELTA, true).int(&now(), 1).int(&now(), 2).gauge("good", "").int(&now(), 1);
    let (status, content_type, body) = post(&b, &request.message());
    assert_eq!((status, content_type.as_str()), (200, PROTOBUF));
    // partial_success { rejected_data_points: 2 error_message: … }
    assert!(body.len() > 4 && body[0] == 0x0a && body[2..4] == [0x08, 2], "{body:?}");
    assert!(String::from_utf8_lossy(&body).contains("invalid temporality and type combination"));
    assert_eq!((b.value("good"), b.value("added_total")), (Some(1.0), None));
    // Nothing of it can be stored.
    let (status, _, body) = post(&b, &writer().sum("added", "", DELTA, true).int(&now(), 1).message());
    assert!(status == 400 && body.starts_with(b"\x08\x03\x12"), "{status} {body:?}");
    assert!(b.get_text("/metrics").1.contains("bellwether_otlp_refused_data_points_total 3"));
}

#[test]
fn deltas_are_added_up_if_asked_for() {
    let b = receiver("", &["--enable-feature=otlp-deltatocumulative"]);
    let start = now();
    for (i, n) in [(0, 5), (1, 7)] {
        // Each begins where the one before ended, as SDKs send them.
        let time_ns = start.time_ns + i * 1_000_000;
        let point = Common { start_ns: time_ns - 1_000_000, time_ns, ..Common::default() };
        assert_eq!(post(&b, &writer().sum("added", "", DELTA, true).int(&point, n).message()).0, 200);
    }
    assert_eq!(b.value("added_total"), Some(12.0));
}

#[test]
fn hostile_requests_are_refused_and_harm_nothing() {
    let b = receiver("", &[]);
    let gz = [("Content-Type", PROTOBUF), ("Content-Encoding", "gzip")];
    assert_eq!(send(&b, &gz, &gzip(&vec![0; 65 << 20])).0, 413);
    let mut lying = gzip(&vec![0; 10 << 20]);
    let end = lying.len() - 4;
    lying[end..].copy_from_slice(&7u32.to_le_bytes());
    assert_eq!(send(&b, &gz, &lying).0, 400);
    assert_eq!(send(&b, &gz, b"no gzip\0\0\0\0").0, 400);
    assert_eq!(post(&b, b"\x0a\x05no").0, 400);
    assert_eq!(send(&b, &[("Content-Type", "text/plain")], b"").0, 415);
    assert_eq!(send(&b, &[("Content-Type", PROTOBUF), ("Content-Encoding", "zstd")], b"").0, 415);
    let deep = format!("{}1{}", "[".repeat(100_000), "]".repeat(100_000));
    assert_eq!(send(&b, &[("Content-Type", JSON)], deep.as_bytes()).0, 400);
    assert_eq!(post(&b, b"").0, 200, "nothing is nothing wrong");
    assert_eq!(b.value("count({__name__=~\".+\"})"), None);

    let off = Bellwether::start(Some("scrape_configs: []"));
    let (status, _, body) = post(&off, b"");
    assert!(status == 404 && String::from_utf8_lossy(&body).contains(ENABLED), "{status}");
}

/// Instruments of every kind; the meter provider exports once, when it is shut down.
const PROGRAM: &str = r#"
import sys
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.metrics.view import View, ExponentialBucketHistogramAggregation
from opentelemetry.sdk.resources import Resource
kind, endpoint = sys.argv[1:]
if kind == "http":
    from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
    from opentelemetry.exporter.otlp.proto.http import Compression
    exporter = OTLPMetricExporter(endpoint=endpoint, compression=Compression.Gzip)
else:
    from opentelemetry.exporter.otlp.proto.grpc.metric_exporter import OTLPMetricExporter
    import grpc
    exporter = OTLPMetricExporter(endpoint=endpoint, insecure=True, compression=grpc.Compression.Gzip)
reader = PeriodicExportingMetricReader(exporter, export_interval_millis=3_600_000)
resource = Resource.create({"service.name": kind, "service.instance.id": "1", "deployment.environment": "test"})
view = View(instrument_name="size", aggregation=ExponentialBucketHistogramAggregation())
provider = MeterProvider(metric_readers=[reader], resource=resource, views=[view])
meter = provider.get_meter("shop", "1.0")
meter.create_counter("orders.placed", description="Orders placed.").add(3, {"payment.method": "card"})
meter.create_up_down_counter("carts.open", unit="{cart}").add(-2)
meter.create_gauge("queue.fill", unit="1").set(0.25)
took = meter.create_histogram("took", unit="s", explicit_bucket_boundaries_advisory=[0.1, 1, 10])
[took.record(v) for v in (0.05, 0.5, 0.5, 50)]
size = meter.create_histogram("size", unit="By")
[size.record(v) for v in (1, 2, 3, 4000)]
assert provider.force_flush(10_000)
provider.shutdown()
print("exported")
"#;

fn sdk_exports(test: &str, kind: &str) {
    let Some(python) =
        python_with("opentelemetry.exporter.otlp.proto.http, opentelemetry.exporter.otlp.proto.grpc")
    else {
        return skip(test, "OpenTelemetry's SDK for Python is not installed");
    };
    let grpc = format!("127.0.0.1:{}", free_port());
    let b = receiver("", &["--otlp.grpc-listen-address", &grpc]);
    let endpoint = match kind {
        "http" => format!("{}/api/v1/otlp/v1/metrics", b.url),
        _ => format!("http://{grpc}"),
    };
    let output = Command::new(python).args(["-c", PROGRAM, kind, &endpoint]).output().expect("it runs");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && output.stdout.starts_with(b"exported"), "{said}");
    let value = |query: &str| eventually(query, || b.value(query));
    let of = format!("job=\"{kind}\",instance=\"1\"");
    assert_eq!(value(&format!("orders_placed_total{{payment_method=\"card\",{of}}}")), 3.0);
    assert_eq!(value(&format!("carts_open{{{of}}}")), -2.0);
    assert_eq!(value(&format!("queue_fill_ratio{{{of}}}")), 0.25);
    assert_eq!(value(&format!("took_seconds_bucket{{le=\"1\",{of}}}")), 3.0);
    assert_eq!(value(&format!("took_seconds_bucket{{le=\"+Inf\",{of}}}")), 4.0);
    assert_eq!(value(&format!("took_seconds_sum{{{of}}}")), 51.05);
    assert_eq!(value(&format!("target_info{{deployment_environment=\"test\",{of}}}")), 1.0);
    assert_eq!(value(&format!("histogram_count(size_bytes{{{of}}})")), 4.0);
    assert_eq!(value(&format!("histogram_sum(size_bytes{{{of}}})")), 4006.0);
    let metadata = b.data("/api/v1/metadata?metric=orders_placed_total");
    assert_eq!(metadata["orders_placed_total"][0]["help"], "Orders placed.");
    let page = b.get_text("/metrics").1;
    assert!(page.contains("bellwether_otlp_refused_data_points_total 0"), "{page}");
}

#[test]
fn pythons_sdk_exports_over_http() {
    sdk_exports("pythons_sdk_exports_over_http", "http");
}

#[test]
fn pythons_sdk_exports_over_grpc() {
    sdk_exports("pythons_sdk_exports_over_grpc", "grpc");
}
