//! Calls of gRPC.

use bytes::Bytes;
use http_body_util::Full;
use hyper::Request;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpStream;

use super::pushed::gzip;

const EXPORT: &str = "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export";

/// A method, a way of compressing, the bytes, and gRPC's code for what has to come of it.
type Call = (&'static str, &'static str, &'static str, Vec<u8>, &'static str);

fn calls() -> Vec<Call> {
    let frame = |flag: u8, content: &[u8]| {
        let length = u32::try_from(content.len()).expect("a test's frame is short");
        [&[flag][..], &length.to_be_bytes(), content].concat()
    };
    vec![
        ("a frame of 4 GiB", EXPORT, "identity", vec![0, 0xff, 0xff, 0xff, 0xff, 1], "8"),
        ("a frame that is cut", EXPORT, "identity", vec![0, 0, 0, 1, 0, 1, 2], "3"),
        ("two messages", EXPORT, "identity", [frame(0, b""), frame(0, b"")].concat(), "3"),
        ("a gzip bomb", EXPORT, "gzip", frame(1, &gzip(&vec![0; 70 << 20])), "8"),
        ("another compression", EXPORT, "zstd", frame(1, b"a"), "12"),
        ("no message", EXPORT, "identity", frame(0, &[0xff; 100]), "3"),
        ("another method", "/a.b/C", "identity", frame(0, b""), "12"),
    ]
}

pub(super) fn faults(address: &str) -> Vec<String> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("it starts");
    let fault = |(what, path, encoding, body, code): Call| {
        let got = runtime.block_on(status(address, path, encoding, body));
        (got != code).then(|| format!("gRPC, {what}: {got}, not {code}"))
    };
    calls().into_iter().filter_map(fault).collect()
}

async fn status(address: &str, path: &str, encoding: &str, body: Vec<u8>) -> String {
    let connection = TcpStream::connect(address).await.expect("it takes connections");
    let handshake = hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(connection));
    let (mut sender, connection) = handshake.await.expect("HTTP/2 is spoken there");
    tokio::spawn(connection);
    let request = Request::post(format!("http://{address}{path}"))
        .header("content-type", "application/grpc")
        .header("grpc-encoding", encoding)
        .body(Full::new(Bytes::from(body)))
        .expect("a sound request");
    let answer = sender.send_request(request).await.expect("it answers");
    let code = answer.headers().get("grpc-status").and_then(|v| v.to_str().ok());
    code.unwrap_or("no failure").to_owned()
}
