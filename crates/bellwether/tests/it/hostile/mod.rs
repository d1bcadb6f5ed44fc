//! Requests that mean harm, or look like it: each is refused in the right words or does nothing, and the server is none the worse.

mod asked;
mod grpc;
mod protocol;
mod pushed;
mod wire;

use std::io::Write;
use std::net::TcpStream;
use std::sync::{Arc, Mutex};

use ingest::testing::RequestWriter;

use self::wire::connect;
use crate::harness::{Bellwether, free_port};
use crate::remote_write::{ENABLED, now_ms, write};

/// Memory that all of it may leave behind, and take for a moment.
const KEPT_BYTES: u64 = 200 << 20;
const PEAK_BYTES: u64 = 600 << 20;

/// Connections that say something and then nothing more.
const SLOW: usize = 40;

#[test]
fn hostile_requests_do_no_harm() {
    let log = Arc::new(Mutex::new(Vec::new()));
    let grpc = format!("127.0.0.1:{}", free_port());
    let b = started(&grpc, &log);
    let now = now_ms();
    let good = |instance: &str, value: f64| {
        RequestWriter::new().series(&[("__name__", "good"), ("instance", instance)]).sample(now, value).body()
    };
    assert_eq!(write(&b, &good("before", 1.5)).0, 204);
    assert_eq!(b.value("good"), Some(1.5));
    let before = memory(&b, "VmRSS");
    let slow = slow_ones(&b.url);
    let mut faults = Vec::new();
    for table in
        [pushed::remote_write, pushed::otlp, asked::queries, asked::look_ups, asked::others, protocol::all]
    {
        faults.extend(table().iter().filter_map(|hostile| hostile.fault(&b.url)));
    }
    faults.extend(grpc::faults(&grpc));
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    assert_eq!(write(&b, &good("after", 2.5)).0, 204);
    assert_eq!(b.value("last_over_time(good{instance='before'}[1h])"), Some(1.5));
    assert_eq!(b.value("sum(last_over_time(good[1h]))"), Some(4.0));
    let stored = b.value("count(last_over_time({__name__=~'.+'}[1h]))");
    assert_eq!(stored, Some(2.0), "nothing of what was refused is stored");
    assert_eq!(b.get_text("/-/healthy").0, 200);
    drop(slow);
    let (kept, peak) =
        (memory(&b, "VmRSS").saturating_sub(before), memory(&b, "VmHWM").saturating_sub(before));
    assert!(kept < KEPT_BYTES && peak < PEAK_BYTES, "{kept} bytes are kept, {peak} were taken");
    let (orderly, _folder) = b.terminate();
    assert!(orderly, "it stops in order");
    let log = log.lock().expect("nobody panics with it");
    let panics: Vec<&String> = log.iter().filter(|line| line.contains("panic")).collect();
    assert!(panics.is_empty(), "{panics:?}");
    assert!(!log.is_empty(), "the log is read");
}

fn started(grpc: &str, log: &Arc<Mutex<Vec<String>>>) -> Bellwether {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut command = Bellwether::command(folder.path());
    command.args([ENABLED, "--web.enable-otlp-receiver", "--otlp.grpc-listen-address", grpc]);
    let log = Arc::clone(log);
    let watch = move |line: &str| log.lock().expect("nobody panics with it").push(line.to_owned());
    Bellwether::start_watched(command, folder, Some("scrape_configs: []"), watch)
}

/// Bytes of a process' memory, by the system's name for them.
fn memory(b: &Bellwether, name: &str) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", b.pid())).expect("it runs");
    let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    let kib = line.and_then(|rest| rest.trim().strip_suffix(" kB")?.parse::<u64>().ok());
    kib.expect("the system says so") << 10
}

/// Requests that do not go on, for as long as they are kept.
fn slow_ones(url: &str) -> Vec<TcpStream> {
    let heads = [
        "POST /api/v1/write HTTP/1.1\r\nHost: h\r\nContent-Length: 1000\r\n\r\nx",
        "POST /api/v1/query HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nqu",
        "GET /api/v1/query?query=up HTTP/1.1\r\nHost: h\r\nX: ",
        "POST /api/v1/otlp/v1/metrics HTTP/1.1\r\nHost: h\r\nContent-Type: application/json\r\nContent-Length: 99\r\n\r\n{",
    ];
    let open = |at: usize| {
        let mut connection = connect(url);
        connection.write_all(heads[at % heads.len()].as_bytes()).expect("it takes a few bytes");
        connection
    };
    (0..SLOW).map(open).collect()
}
