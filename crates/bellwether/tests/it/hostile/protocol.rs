//! Bytes that are HTTP only in part.

use super::wire::{CLOSED, Hostile};

const REFUSED: &[u16] = &[400, 408, 413, 414, 431, CLOSED];

pub(super) fn all() -> Vec<Hostile> {
    let raw = |what, bytes: &[u8], statuses| Hostile::raw(what, bytes, statuses, "");
    let header = "X-A: b\r\n";
    let flood = format!("GET /-/healthy HTTP/1.1\r\nHost: h\r\n{}\r\n", header.repeat(20_000));
    let long = format!("GET /-/healthy HTTP/1.1\r\nHost: h\r\nX-A: {}\r\n\r\n", "a".repeat(4 << 20));
    let path = format!("GET /{} HTTP/1.1\r\nHost: h\r\n\r\n", "a".repeat(1 << 20));
    let post = |rest: &str| {
        format!("POST /api/v1/query HTTP/1.1\r\nHost: h\r\nConnection: close\r\n{rest}").into_bytes()
    };
    let upgrade = b"GET /api/v1/query?query=1 HTTP/1.1\r\nHost: h\r\nConnection: Upgrade, close\r\nUpgrade: websocket\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n\r\n";
    let preface = [&b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"[..], &[0xff; 4096]].concat();
    // A frame of settings, then headers whose length is beyond what was agreed.
    let frames = [
        &b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"[..],
        &[0, 0, 0, 4, 0, 0, 0, 0, 0],
        &[0xff, 0xff, 0xff, 1, 4, 0, 0, 0, 1],
    ]
    .concat();
    vec![
        raw("20,000 lines of a head", flood.as_bytes(), REFUSED),
        raw("a line of 4 MiB", long.as_bytes(), REFUSED),
        raw("a path of 1 MiB", path.as_bytes(), REFUSED),
        raw("another protocol", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", REFUSED),
        raw("no protocol", &[0; 4096], REFUSED),
        raw("HTTP/2 that is none", &preface, REFUSED),
        raw("a frame of 16 MiB", &frames, REFUSED),
        raw("an upgrade", upgrade, &[200]),
        raw("two lengths", &post("Content-Length: 1\r\nContent-Length: 2\r\n\r\nab"), REFUSED),
        raw(
            "a length and chunks",
            &post("Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
            &[400, CLOSED],
        ),
        raw("a length below zero", &post("Content-Length: -1\r\n\r\n"), REFUSED),
        raw(
            "chunks that are none",
            &post(
                "Content-Type: application/x-www-form-urlencoded\r\nTransfer-Encoding: chunked\r\n\r\nfffffffffffffffffff\r\na",
            ),
            REFUSED,
        ),
        raw(
            "another method",
            b"PROPFIND /api/v1/query HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n",
            &[404, 405],
        ),
        raw("a head that is cut", b"GET /-/healthy HT", REFUSED),
    ]
}
