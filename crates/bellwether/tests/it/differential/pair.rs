//! Debian's Prometheus and Bellwether with the same samples: an hour and a half of them written by remote write, and then ten minutes
//! scraped from one and the same page.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use ingest::testing::RequestWriter;
use serde_json::Value;
use tempfile::TempDir;

use super::answer::Answer;
use super::demo::{Demo, INSTANCES, Labels, TICK_MS, instance_name, offset_ms, page};
use crate::harness::{Bellwether, Process, eventually, free_port, signal};
use crate::remote_write::{ENABLED, HEADERS, now_ms, send};

/// Ticks that are written: an hour and a half.
const WRITTEN: i64 = 540;
/// Ticks in one request.
const WRITTEN_AT_ONCE: i64 = 60;
/// Ticks that are scraped: ten minutes.
const SCRAPED: i64 = 60;

/// A value that says that a series has ended.
const STALE: f64 = f64::from_bits(0x7ff0_0000_0000_0002);
/// Series of which scraping would say that they are gone. The other ones just stop.
const SAY_GOODBYE: [&str; 2] = ["demo_intermittent_metric", "demo_odd_gauge|töpfe 🪣"];

/// Names and values, in order of the names.
type LabelSet = Vec<(String, String)>;

/// A stretch of time in which to ask; its ends are off the grid of samples, and off that of subqueries.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Window {
    pub(crate) start_ms: i64,
    pub(crate) end_ms: i64,
}

/// When a query is evaluated.
#[derive(Debug, Clone, Copy)]
pub(crate) enum At {
    Instant(i64),
    Range { start_ms: i64, end_ms: i64, step_ms: i64 },
}

/// Both servers.
pub(crate) struct Pair {
    prometheus: Prometheus,
    bellwether: Bellwether,
    agent: ureq::Agent,
    /// Ten minutes of what was written.
    pub(crate) written: Window,
    /// What was scraped.
    pub(crate) scraped: Window,
    /// All of it, with some time before and after in which there is nothing.
    pub(crate) whole: Window,
}

struct Prometheus {
    _process: Process,
    pid: u32,
    url: String,
    folder: TempDir,
}

impl Prometheus {
    fn start(program: &Path) -> Self {
        let (folder, port) = (tempfile::tempdir().expect("a temporary folder"), free_port());
        let file = folder.path().join("prometheus.yml");
        std::fs::write(&file, "scrape_configs: []\n").expect("the configuration is written");
        let mut command = Command::new(program);
        command
            .arg(format!("--config.file={}", file.display()))
            .arg(format!("--storage.tsdb.path={}", folder.path().join("tsdb").display()))
            .arg(format!("--web.listen-address=127.0.0.1:{port}"))
            .arg(ENABLED);
        let (process, ()) =
            Process::start_until(&mut command, |line| line.contains("Server is ready").then_some(()));
        let pid = process.child.id();
        Self { _process: process, pid, url: format!("http://127.0.0.1:{port}"), folder }
    }
}

impl Pair {
    /// Starts both and gives them everything.
    pub(crate) fn start(prometheus: &Path) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let scraped_until = (now_ms() - 5 * 60_000) / TICK_MS * TICK_MS;
        let written_until = scraped_until - SCRAPED * TICK_MS;
        let config = ureq::Agent::config_builder().http_status_as_error(false);
        let mut this = Self {
            prometheus: Prometheus::start(prometheus),
            bellwether: Bellwether::start_with(folder, Some("scrape_configs: []"), &[ENABLED]),
            agent: config.timeout_global(Some(Duration::from_secs(120))).build().into(),
            written: Window {
                start_ms: written_until - 12 * 60_000 + 700,
                end_ms: written_until - 2 * 60_000 + 700,
            },
            scraped: Window { start_ms: written_until + 700, end_ms: scraped_until + 700 },
            whole: Window {
                start_ms: written_until - WRITTEN * TICK_MS - 10 * 60_000 + 700,
                end_ms: scraped_until + 20 * 60_000 + 700,
            },
        };
        let mut demos: Vec<Demo> = (0..INSTANCES).map(Demo::new).collect();
        let mut t_ms = written_until - WRITTEN * TICK_MS;
        while t_ms < written_until {
            this.write(&mut demos, t_ms);
            t_ms += WRITTEN_AT_ONCE * TICK_MS;
        }
        this.scrape(&mut demos, written_until);
        this
    }

    fn urls(&self) -> [&str; 2] {
        [&self.prometheus.url, &self.bellwether.url]
    }

    /// Writes some ticks to both.
    fn write(&mut self, demos: &mut [Demo], from_ms: i64) {
        for (instance, demo) in demos.iter_mut().enumerate() {
            let mut series: BTreeMap<LabelSet, Vec<(i64, f64)>> = BTreeMap::new();
            for tick in 0..WRITTEN_AT_ONCE {
                let t_ms = from_ms + tick * TICK_MS + offset_ms(instance);
                demo.tick(t_ms);
                demo.each(&mut |name, labels, value| {
                    series.entry(label_set(instance, name, labels)).or_default().push((t_ms, value));
                });
            }
            let mut request = RequestWriter::new();
            for (labels, samples) in &series {
                request.series(labels);
                let mut last = None;
                for (t_ms, value) in samples {
                    if let Some(gone) = last.map(|t| t + TICK_MS)
                        && gone != *t_ms
                        && says_goodbye(labels)
                    {
                        request.sample(gone, STALE);
                    }
                    request.sample(*t_ms, *value);
                    last = Some(*t_ms);
                }
            }
            let body = request.body();
            for url in self.urls() {
                let (status, text, _) = send(url, &HEADERS, &body);
                assert_eq!(status, 204, "{url}: {text}");
            }
        }
    }

    /// Has both scrape the same pages, one tick after the other.
    fn scrape(&mut self, demos: &mut [Demo], from_ms: i64) {
        let pages: Vec<Arc<Mutex<String>>> = demos.iter().map(|_| Arc::default()).collect();
        let ports: Vec<u16> = pages.iter().map(|page| serve(Arc::clone(page))).collect();
        let mut configuration = "global: {scrape_interval: 100ms, scrape_timeout: 100ms}\n\
             scrape_configs:\n- job_name: demo\n  static_configs:\n"
            .to_owned();
        for (instance, port) in ports.iter().enumerate() {
            let name = instance_name(instance);
            configuration +=
                &format!("  - {{targets: ['127.0.0.1:{port}'], labels: {{instance: '{name}'}}}}\n");
        }
        for (folder, pid) in [
            (self.prometheus.folder.path(), self.prometheus.pid),
            (self.bellwether.folder(), self.bellwether.pid()),
        ] {
            std::fs::write(folder.join("prometheus.yml"), &configuration)
                .expect("the configuration is written");
            signal(pid, "HUP");
        }
        for tick in 0..SCRAPED {
            let tick_ms = from_ms + tick * TICK_MS;
            for (instance, demo) in demos.iter_mut().enumerate() {
                let t_ms = tick_ms + offset_ms(instance);
                demo.tick(t_ms);
                *pages[instance].lock().expect("nobody panics with it") = page(demo, t_ms);
            }
            let at = At::Instant(tick_ms + TICK_MS - 1);
            for url in self.urls() {
                eventually("a page is scraped", || self.has_tick(url, at, tick_ms).then_some(()));
            }
        }
    }

    /// Whether each instance's last sample is of this tick.
    fn has_tick(&self, url: &str, at: At, tick_ms: i64) -> bool {
        let Answer::Series(_, series) = self.ask_one(url, "timestamp(demo_num_cpus)", at) else {
            return false;
        };
        let is_of_tick = |samples: &Vec<(i64, f64)>| samples[0].1 * 1000.0 >= tick_ms as f64;
        series.len() == INSTANCES && series.values().all(is_of_tick)
    }

    /// What Prometheus says, and what Bellwether does.
    pub(crate) fn ask(&self, query: &str, at: At) -> [Answer; 2] {
        let [prometheus, bellwether] = self.urls();
        let (there, here) = std::thread::scope(|s| {
            let there = s.spawn(|| self.body(prometheus, query, at));
            let here = self.body(bellwether, query, at);
            (there.join().expect("it answers"), here)
        });
        if there == here {
            // Most often it is the same to the letter, which saves half of the reading.
            let answer = Answer::read(&here);
            return [answer.clone(), answer];
        }
        [Answer::read(&there), Answer::read(&here)]
    }

    fn ask_one(&self, url: &str, query: &str, at: At) -> Answer {
        Answer::read(&self.body(url, query, at))
    }

    fn body(&self, url: &str, query: &str, at: At) -> String {
        let seconds = |ms: i64| format!("{}.{:03}", ms / 1000, ms % 1000);
        let (path, times) = match at {
            At::Instant(t_ms) => ("query", vec![("time", seconds(t_ms))]),
            At::Range { start_ms, end_ms, step_ms } => (
                "query_range",
                vec![("start", seconds(start_ms)), ("end", seconds(end_ms)), ("step", seconds(step_ms))],
            ),
        };
        let mut form = form_urlencoded::Serializer::new(String::new());
        form.append_pair("query", query).extend_pairs(times);
        let answer = self
            .agent
            .post(format!("{url}/api/v1/{path}"))
            .content_type("application/x-www-form-urlencoded")
            .send(form.finish());
        let mut answer = answer.unwrap_or_else(|e| panic!("{url} does not answer {query}: {e}"));
        answer.body_mut().with_config().limit(1 << 28).read_to_string().expect("text").trim_end().to_owned()
    }

    /// The version that Prometheus says it has.
    pub(crate) fn version(&self) -> String {
        let (_, text) = crate::harness::fetch(&format!("{}/api/v1/status/buildinfo", self.prometheus.url));
        let body: Value = serde_json::from_str(&text).expect("JSON");
        body["data"]["version"].as_str().expect("a version").to_owned()
    }
}

fn label_set(instance: usize, name: &str, labels: Labels<'_>) -> LabelSet {
    let instance = instance_name(instance);
    let more = [("__name__", name), ("instance", instance.as_str()), ("job", "demo")];
    let mut all: Vec<_> =
        labels.iter().chain(&more).map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect();
    all.sort();
    all
}

fn says_goodbye(labels: &[(String, String)]) -> bool {
    let value = |name: &str| labels.iter().find(|(n, _)| n == name).map_or("", |(_, v)| v.as_str());
    SAY_GOODBYE.iter().any(|who| {
        let (name, kind) = who.split_once('|').unwrap_or((who, ""));
        value("__name__") == name && value("kind") == kind
    })
}

/// Serves a page on a port of its own for as long as the process runs.
fn serve(page: Arc<Mutex<String>>) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let port = listener.local_addr().expect("bound").port();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { continue };
            let _ = stream.set_read_timeout(Some(Duration::from_secs(1)));
            let _ = stream.read(&mut [0; 4096]);
            let body = page.lock().expect("nobody panics with it").clone();
            let head = "HTTP/1.1 200 OK\r\nContent-Type: text/plain; version=0.0.4\r\nConnection: close\r\n";
            // A scraper that has gone asks again.
            let _ = write!(stream, "{head}Content-Length: {}\r\n\r\n{body}", body.len());
        }
    });
    port
}

/// Where Debian's Prometheus is.
pub(crate) fn prometheus() -> Option<PathBuf> {
    crate::harness::find_program("prometheus")
}
