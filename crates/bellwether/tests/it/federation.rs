//! `/federate`, as a client sees it and as Debian's Prometheus scrapes it; and remote read, which that Prometheus does too.

use std::path::Path;
use std::process::Command;

use ingest::put;
use ingest::testing::{RequestWriter, compress};
use serde_json::Value;

use crate::harness::{Bellwether, Process, eventually, fetch, find_program, free_port, skip};
use crate::remote_write::{ENABLED, now_ms, write};

/// A server with some series, and external labels.
fn with_series() -> Bellwether {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let configuration = "global: {external_labels: {region: eu}}\nscrape_configs: []";
    let b = Bellwether::start_with(folder, Some(configuration), &[ENABLED]);
    let now = now_ms() / 1000 * 1000;
    let mut request = RequestWriter::new();
    for (instance, value) in [("a", 1.0), ("b", 2.5)] {
        request.series(&[("__name__", "fed"), ("instance", instance), ("job", "x")]);
        for i in 0..300i64 {
            request.sample(now - (300 - i) * 1000, value * i as f64);
        }
    }
    request.series(&[("__name__", "job:fed:sum"), ("job", "x")]).sample(now - 2000, 7.0);
    request.series(&[("__name__", "ended"), ("job", "x")]).sample(now - 2000, 7.0);
    request.sample(now - 1000, f64::from_bits(base::STALE_NAN));
    request.series(&[("__name__", "old"), ("job", "x")]).sample(now - 400_000, 7.0);
    assert_eq!(write(&b, &request.body()), (204, String::new()));
    b
}

fn get(url: &str, accept: &str) -> (String, Vec<u8>) {
    let mut answer = ureq::get(url).header("Accept", accept).call().expect("it answers");
    let content_type = answer.headers()["content-type"].to_str().expect("text").to_owned();
    (content_type, answer.body_mut().read_to_vec().expect("a body"))
}

#[test]
fn what_is_present_comes_in_the_format_asked_for() {
    let b = with_series();
    let (status, text) = b.get_text("/federate?match[]={job=\"x\"}&match[]=fed");
    assert_eq!(status, 200);
    let lines: Vec<&str> = text.lines().collect();
    let series: Vec<&str> = lines.iter().filter_map(|l| l.rsplit_once(' ')).map(|(l, _)| l).collect();
    assert_eq!(
        series,
        [
            "# TYPE fed",
            "fed{instance=\"a\",job=\"x\",region=\"eu\"} 299",
            "fed{instance=\"b\",job=\"x\",region=\"eu\"} 747.5",
            "# TYPE job:fed:sum",
            "job:fed:sum{job=\"x\",instance=\"\",region=\"eu\"} 7",
        ],
        "{text}"
    );
    let url = format!("{}/federate?match[]=job:fed:sum", b.url);
    let (content_type, text) = get(&url, "application/openmetrics-text;version=1.0.0,text/plain;q=0.5");
    assert_eq!(
        content_type,
        "application/openmetrics-text; version=1.0.0; charset=utf-8; escaping=underscores"
    );
    let text = String::from_utf8(text).expect("text");
    assert!(text.ends_with("# EOF\n") && text.contains("} 7.0 "), "{text}");
    let (content_type, body) = get(
        &url,
        "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited",
    );
    assert!(content_type.starts_with("application/vnd.google.protobuf"), "{content_type}");
    assert_eq!(usize::from(body[0]), body.len() - 1, "one family after its length");
    let (status, text) = b.get_text("/federate?match[]={");
    assert_eq!(status, 400, "{text}");
    assert_eq!(b.get_text("/federate"), (200, String::new()));
    let (_, own) = b.get_text("/metrics");
    for name in ["prometheus_web_federation_errors_total", "prometheus_web_federation_warnings_total"] {
        assert!(own.contains(&format!("\n{name} 0\n")), "{name}");
    }
}

/// Starts Debian's Prometheus with a configuration.
fn prometheus(program: &Path, folder: &Path, configuration: &str) -> (Process, String) {
    let port = free_port();
    let file = folder.join("prometheus.yml");
    std::fs::write(&file, configuration).expect("the configuration is written");
    let mut command = Command::new(program);
    command
        .arg(format!("--config.file={}", file.display()))
        .arg(format!("--storage.tsdb.path={}", folder.join("tsdb").display()))
        .arg(format!("--web.listen-address=127.0.0.1:{port}"));
    let (process, ()) =
        Process::start_until(&mut command, |line| line.contains("Server is ready").then_some(()));
    (process, format!("http://127.0.0.1:{port}"))
}

fn result(url: &str, path: &str) -> Vec<Value> {
    let (status, body) = fetch(&format!("{url}{path}"));
    let body: Value = serde_json::from_str(&body).unwrap_or_else(|e| panic!("{path} {status} {body}: {e}"));
    assert_eq!(status, 200, "{path}: {body}");
    body["data"]["result"].as_array().unwrap_or_else(|| panic!("{path}: {body}")).clone()
}

#[test]
fn debians_prometheus_federates_from_here() {
    let Some(program) = find_program("prometheus") else {
        return skip("debians_prometheus_federates_from_here", "prometheus is not installed");
    };
    let b = with_series();
    let folder = tempfile::tempdir().expect("a folder");
    let target = b.url.strip_prefix("http://").expect("an address");
    let configuration = format!(
        "scrape_configs: [{{job_name: federate, scrape_interval: 500ms, scrape_timeout: 400ms, honor_labels: true, \
         metrics_path: /federate, params: {{'match[]': ['{{job=\"x\"}}']}}, static_configs: [{{targets: ['{target}']}}]}}]\n"
    );
    let (_process, url) = prometheus(&program, folder.path(), &configuration);
    let found = eventually("it has the series", || {
        Some(result(&url, "/api/v1/query?query=fed")).filter(|r| r.len() == 2)
    });
    assert_eq!(found[1]["metric"]["region"], "eu");
    assert_eq!(found[1]["metric"]["instance"], "b");
    let sum = result(&url, "/api/v1/query?query=job:fed:sum");
    assert_eq!((sum[0]["metric"].get("instance"), &sum[0]["value"][1]), (None, &Value::from("7")));
    let up = result(&url, "/api/v1/query?query=up{job=\"federate\"}");
    assert_eq!(up[0]["value"][1], "1");
}

#[test]
fn debians_prometheus_reads_from_here() {
    let Some(program) = find_program("prometheus") else {
        return skip("debians_prometheus_reads_from_here", "prometheus is not installed");
    };
    let b = with_series();
    // Below `--storage.remote.read-max-bytes-in-frame` a series is one frame; with many series there are many.
    let now = now_ms() / 1000 * 1000;
    let mut request = RequestWriter::new();
    for i in 0..500 {
        request.series(&[("__name__".to_owned(), "many".to_owned()), ("n".to_owned(), format!("{i:03}"))]);
        for k in 0..20i64 {
            request.sample(now - (20 - k) * 5000, f64::from(i).sqrt() * k as f64);
        }
    }
    assert_eq!(write(&b, &request.body()), (204, String::new()));
    let folder = tempfile::tempdir().expect("a folder");
    let configuration = format!(
        "scrape_configs: []\n\
         remote_read: [{{url: '{}/api/v1/read', read_recent: true}}]\n",
        b.url
    );
    let (_process, url) = prometheus(&program, folder.path(), &configuration);
    let (start, end) = (now / 1000 - 250, now / 1000 - 10);
    for query in [
        "fed",
        "sum(rate(fed[1m]))",
        "fed{instance=~\"a|c\"} > 5",
        "count(many)",
        "topk(3, sum_over_time(many[1m]))",
        "fed{instance!=\"a\"} offset 30s",
        "absent(nothing_there)",
    ] {
        let escaped: String = form_urlencoded::byte_serialize(query.as_bytes()).collect();
        // Off the grid of the samples, where Prometheus 2 and 3 choose the same ones.
        let path = format!("/api/v1/query_range?query={escaped}&start={start}.5&end={end}.5&step=7");
        let strip = |mut series: Vec<Value>| -> Vec<String> {
            for s in &mut series {
                // An external label of the one that answers comes with its series.
                s["metric"].as_object_mut().expect("labels").remove("region");
            }
            let mut shown: Vec<String> = series.iter().map(Value::to_string).collect();
            shown.sort();
            shown
        };
        let (theirs, ours) = (strip(result(&url, &path)), strip(result(&b.url, &path)));
        assert!(!ours.is_empty(), "{query}");
        assert_eq!(theirs, ours, "{query}");
    }
    let read = result(&url, "/api/v1/query?query=job:fed:sum");
    assert_eq!(read[0]["metric"]["region"], "eu");
}

#[test]
fn remote_reads_that_are_none_do_no_harm() {
    let b = with_series();
    let send = |body: &[u8]| -> (u16, String) {
        let request =
            ureq::post(format!("{}/api/v1/read", b.url)).config().http_status_as_error(false).build();
        let mut answer = request.send(body).expect("it answers");
        (answer.status().as_u16(), answer.body_mut().read_to_string().unwrap_or_default())
    };
    let check = |body: &[u8], want: &str| {
        let (status, text) = send(body);
        assert!(status == 400 && text.contains(want), "{status} {text}");
    };
    check(b"", "snappy");
    check(b"not snappy at all", "snappy");
    // 4 GiB, said in five bytes.
    check(&[0xff, 0xff, 0xff, 0xff, 0x0f, 0, 0], "limit decompressed_bytes");
    check(&compress(b"\x0a\x05ab"), "unexpected EOF");
    check(&compress(b"\x12\x01\x09"), "does not support any of the requested response types");
    let mut regex = Vec::new();
    put::message(&mut regex, 1, |query| {
        put::message(query, 3, |m| {
            put::number(m, 1, 2);
            put::bytes(m, 2, b"a");
            put::bytes(m, 3, b"(((((((x{1000}){1000}){1000})");
        });
    });
    check(&compress(&regex), "cannot compile regular expression");
    assert_eq!(b.get_text("/api/v1/read").0, 405);
    assert_eq!(b.value("count(fed)"), Some(2.0), "nothing else is disturbed");
}
