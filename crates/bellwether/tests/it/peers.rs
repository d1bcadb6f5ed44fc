//! Beside programs that others wrote: Debian's node_exporter and promtool, and Python's prometheus_client.

use std::path::PathBuf;
use std::process::Command;

use crate::harness::{Bellwether, Process, eventually, fetch, find_program, free_port, skip};

fn scraping(job: &str, port: u16) -> String {
    format!(
        "global: {{scrape_interval: 500ms, scrape_timeout: 500ms}}\n\
         scrape_configs: [{{job_name: {job}, static_configs: [{{targets: ['127.0.0.1:{port}']}}]}}]"
    )
}

#[test]
fn scrapes_debians_node_exporter() {
    let Some(program) = find_program("prometheus-node-exporter") else {
        return skip("scrapes_debians_node_exporter", "prometheus-node-exporter is not installed");
    };
    let port = free_port();
    let mut command = Command::new(program);
    command.arg(format!("--web.listen-address=127.0.0.1:{port}"));
    let (_exporter, ()) =
        Process::start_until(&mut command, |line| line.contains("istening on").then_some(()));
    let b = Bellwether::start(Some(&scraping("node", port)));
    eventually("it is up", || (b.value("up{job=\"node\"}") == Some(1.0)).then_some(()));
    let (_, page) = fetch(&format!("http://127.0.0.1:{port}/metrics"));
    let exposed = page.lines().filter(|l| !l.starts_with('#') && !l.is_empty()).count() as f64;
    let stored = b.value("count({job=\"node\",__name__!~\"up|scrape_.*\"})").expect("series");
    assert!((stored - exposed).abs() <= exposed * 0.02, "{stored} of {exposed} series");
    assert_eq!(b.value("scrape_samples_scraped"), Some(stored));
    let here = b.value("node_memory_MemTotal_bytes").expect("memory");
    let there: f64 = page
        .lines()
        .find_map(|l| l.strip_prefix("node_memory_MemTotal_bytes "))
        .and_then(|v| v.parse().ok())
        .expect("the exporter has it");
    assert_eq!(here, there);
}

/// A Python that has the named module.
pub(crate) fn python_with(module: &str) -> Option<PathBuf> {
    let named = std::env::var_os("BELLWETHER_PYTHON").map(PathBuf::from);
    let candidates = named.into_iter().chain(find_program("python3"));
    let has = |p: &PathBuf| {
        let run = Command::new(p).args(["-c", &format!("import {module}")]).output();
        run.is_ok_and(|o| o.status.success())
    };
    candidates.into_iter().find(has)
}

#[test]
fn scrapes_a_python_application() {
    let Some(python) = python_with("prometheus_client") else {
        return skip("scrapes_a_python_application", "Python's prometheus_client is not installed");
    };
    let port = free_port();
    let program = format!(
        "import time\n\
         from prometheus_client import start_http_server, Counter, Histogram\n\
         c = Counter('jobs', 'Jobs done.', ['kind'])\n\
         h = Histogram('took_seconds', 'Time taken.', buckets=(0.1, 1, 10))\n\
         start_http_server({port}, addr='127.0.0.1')\n\
         c.labels('a \"quoted\\\\\" kind').inc(3)\n\
         [h.observe(v) for v in (0.05, 0.5, 0.5, 5)]\n\
         print('serving', flush=True)\n\
         time.sleep(600)\n"
    );
    let mut command = Command::new(python);
    command.args(["-c", &program]);
    let (_application, ()) = Process::start_until(&mut command, |line| (line == "serving").then_some(()));
    let b = Bellwether::start(Some(&scraping("app", port)));
    eventually("it is up", || (b.value("up") == Some(1.0)).then_some(()));
    assert_eq!(b.value("jobs_total"), Some(3.0));
    assert_eq!(b.value("histogram_quantile(0.5, took_seconds_bucket)"), Some(0.55));
    let metadata = b.data("/api/v1/metadata?metric=took_seconds");
    assert_eq!(metadata["took_seconds"][0]["help"], "Time taken.");
}

#[test]
fn promtool_queries_work() {
    let Some(promtool) = find_program("promtool") else {
        return skip("promtool_queries_work", "promtool is not installed");
    };
    let b = Bellwether::start(None);
    eventually("both targets are up", || (b.value("count(up == 1)") == Some(2.0)).then_some(()));
    let run = |args: &[&str]| {
        let output = Command::new(&promtool).arg("query").args(args).output().expect("it runs");
        assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).expect("UTF-8")
    };
    let instant = run(&["instant", &b.url, "count(up)"]);
    assert!(instant.starts_with("{} => 2 @["), "{instant}");
    let range = run(&["range", "--step=1s", &b.url, "up{job=\"node\"}"]);
    assert!(range.contains("up{") && range.contains("job=\"node\"") && range.contains("1 @["), "{range}");
    let series = run(&["series", "--match=up", &b.url]);
    assert_eq!(series.lines().count(), 2, "{series}");
    let labels = run(&["labels", &b.url, "job"]);
    assert_eq!(labels.lines().collect::<Vec<_>>(), ["bellwether", "node"]);
}

#[test]
fn a_target_that_answers_garbage_costs_its_scrape_only() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let port = listener.local_addr().expect("bound").port();
    std::thread::spawn(move || {
        use std::io::{Read, Write};
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { continue };
            let mut request = [0; 4096];
            let _ = stream.read(&mut request);
            let body = "good 1\nalso_good 2\nbad{ 3\n";
            let head = "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nConnection: close\r\nContent-Length";
            let _ = write!(stream, "{head}: {}\r\n\r\n{body}", body.len());
        }
    });
    let configuration = scraping("garbage", port) + "\nexporters: {node: {enabled: true}}";
    let b = Bellwether::start(Some(&configuration));
    eventually("it is down", || (b.value("up{job=\"garbage\"}") == Some(0.0)).then_some(()));
    eventually("the other one is up", || (b.value("up{job=\"node\"}") == Some(1.0)).then_some(()));
    assert_eq!(b.value("good"), None);
    let targets = b.data("/api/v1/targets?scrapePool=garbage");
    let error = targets["activeTargets"][0]["lastError"].as_str().expect("text").to_string();
    assert!(error.contains("line 3"), "{error}");
}
