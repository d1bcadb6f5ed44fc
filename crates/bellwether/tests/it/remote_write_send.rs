//! Sending on by remote write: to Debian's Prometheus, to VictoriaMetrics and to another Bellwether. The receiver goes away for
//! a while, the sender is killed with it and without it, and in the end the receiver has every sample that the sender has.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use ingest::testing::RequestWriter;
use serde_json::Value;
use tempfile::TempDir;

use crate::crash::Sequence;
use crate::harness::{Bellwether, Process, eventually, fetch, find_program, free_port, signal, skip};
use crate::remote_write::{ENABLED, now_ms, write};

/// Samples by series: milliseconds and the bits of values.
type Samples = BTreeMap<String, Vec<(i64, u64)>>;

/// Somebody who takes remote write.
trait Receiver {
    fn start(&mut self);
    fn stop(&mut self);
    /// All samples of the job, with labels as text.
    fn samples(&self) -> Samples;
    fn write_url(&self) -> String;
}

/// A range selector's result.
fn of_matrix(result: &Value) -> Samples {
    let mut samples = Samples::new();
    for series in result.as_array().expect("a list") {
        let mut points = Vec::new();
        for point in series["values"].as_array().expect("values") {
            let t_ms = (point[0].as_f64().expect("a time") * 1000.0).round() as i64;
            let value: f64 = point[1].as_str().expect("text").parse().expect("a number");
            points.push((t_ms, value.to_bits()));
        }
        samples.insert(text_of(&series["metric"]), points);
    }
    samples
}

/// Labels as text, without the one that only what was sent has.
fn text_of(labels: &Value) -> String {
    let labels: BTreeMap<_, _> =
        labels.as_object().expect("labels").iter().filter(|(n, _)| *n != "site").collect();
    format!("{labels:?}")
}

const ALL: &str = "{job=\"sequence\"}[1h]";

fn query_all(url: &str) -> Samples {
    let encoded: String = form_urlencoded::byte_serialize(ALL.as_bytes()).collect();
    let (status, text) = fetch(&format!("{url}/api/v1/query?query={encoded}"));
    assert_eq!(status, 200, "{text}");
    let answer: Value = serde_json::from_str(&text).expect("JSON");
    of_matrix(&answer["data"]["result"])
}

struct Prometheus {
    program: PathBuf,
    folder: TempDir,
    port: u16,
    process: Option<Process>,
}

impl Receiver for Prometheus {
    fn start(&mut self) {
        let file = self.folder.path().join("prometheus.yml");
        std::fs::write(&file, "global: {}\n").expect("the configuration is written");
        let mut command = Command::new(&self.program);
        command
            .arg(format!("--config.file={}", file.display()))
            .arg(format!("--storage.tsdb.path={}", self.folder.path().join("tsdb").display()))
            .arg(format!("--web.listen-address=127.0.0.1:{}", self.port))
            .arg("--web.enable-remote-write-receiver");
        let (process, ()) =
            Process::start_until(&mut command, |line| line.contains("Server is ready").then_some(()));
        self.process = Some(process);
    }

    fn stop(&mut self) {
        terminate(self.process.take());
    }

    fn samples(&self) -> Samples {
        query_all(&format!("http://127.0.0.1:{}", self.port))
    }

    fn write_url(&self) -> String {
        format!("http://127.0.0.1:{}/api/v1/write", self.port)
    }
}

fn terminate(process: Option<Process>) {
    let mut process = process.expect("it runs");
    signal(process.child.id(), "TERM");
    let status = eventually("the receiver stops", || process.child.try_wait().expect("it can be waited for"));
    assert!(status.success(), "{status}");
}

struct VictoriaMetrics {
    program: PathBuf,
    folder: TempDir,
    port: u16,
    process: Option<Process>,
}

impl Receiver for VictoriaMetrics {
    fn start(&mut self) {
        let mut command = Command::new(&self.program);
        command
            .arg(format!("-storageDataPath={}", self.folder.path().display()))
            .arg(format!("-httpListenAddr=127.0.0.1:{}", self.port));
        let (process, ()) =
            Process::start_until(&mut command, |line| line.contains("started VictoriaMetrics").then_some(()));
        self.process = Some(process);
    }

    fn stop(&mut self) {
        terminate(self.process.take());
    }

    fn samples(&self) -> Samples {
        let (status, text) =
            fetch(&format!("http://127.0.0.1:{}/api/v1/export?match[]={{job=\"sequence\"}}", self.port));
        assert_eq!(status, 200, "{text}");
        let mut samples = Samples::new();
        for line in text.lines() {
            let series: Value = serde_json::from_str(line).expect("JSON");
            let of = samples.entry(text_of(&series["metric"])).or_default();
            let list = |key: &str| series[key].as_array().expect("a list").clone();
            for (t_ms, value) in list("timestamps").iter().zip(list("values")) {
                // The marker that ends a series is no number.
                if let Some(value) = value.as_f64() {
                    of.push((t_ms.as_i64().expect("milliseconds"), value.to_bits()));
                }
            }
        }
        // It keeps what comes twice.
        for of in samples.values_mut() {
            of.sort_unstable();
            of.dedup();
        }
        samples
    }

    fn write_url(&self) -> String {
        format!("http://127.0.0.1:{}/api/v1/write", self.port)
    }
}

struct Other {
    port: u16,
    running: Option<Bellwether>,
    folder: Option<TempDir>,
}

impl Other {
    fn new() -> Self {
        let folder = Some(tempfile::tempdir().expect("a folder"));
        Self { port: free_port(), running: None, folder }
    }
}

impl Receiver for Other {
    fn start(&mut self) {
        let folder = self.folder.take().expect("it does not run");
        let mut command = crate::harness::bellwether();
        let address = format!("127.0.0.1:{}", self.port);
        command
            .args(["serve", "--web.listen-address", &address, "--web.enable-remote-write-receiver"])
            .arg("--storage.path")
            .arg(folder.path().join("data"));
        self.running = Some(Bellwether::start_command(command, folder, Some("global: {}")));
    }

    fn stop(&mut self) {
        let (stopped, folder) = self.running.take().expect("it runs").terminate();
        assert!(stopped);
        self.folder = Some(folder);
    }

    fn samples(&self) -> Samples {
        query_all(&self.running.as_ref().expect("it runs").url)
    }

    fn write_url(&self) -> String {
        format!("http://127.0.0.1:{}/api/v1/write", self.port)
    }
}

/// Bellwether that scrapes a target and sends on what it gets.
fn sender(folder: TempDir, target: &Sequence, receiver: &dyn Receiver, more: &str) -> Bellwether {
    let configuration = format!(
        "global: {{scrape_interval: 50ms, scrape_timeout: 50ms, external_labels: {{site: here}}}}\n\
         scrape_configs: [{{job_name: sequence, static_configs: [{{targets: ['127.0.0.1:{}']}}]}}]\n\
         remote_write:\n\
         - url: {}\n  \
           queue_config: {{batch_send_deadline: 100ms, max_backoff: 500ms, max_samples_per_send: 300, min_shards: 2}}\n{more}",
        target.port,
        receiver.write_url()
    );
    Bellwether::start_in(folder, Some(&configuration))
}

pub(crate) fn metric(b: &Bellwether, name: &str) -> f64 {
    let (_, page) = b.get_text("/metrics");
    let value = |line: &str| line.rsplit(' ').next().and_then(|v| v.parse::<f64>().ok());
    page.lines().filter(|line| line.starts_with(name)).filter_map(value).sum()
}

fn count(samples: &Samples) -> usize {
    samples.values().map(Vec::len).sum()
}

/// Lets some scrapes pass.
fn scrapes(target: &Sequence, more: u64) {
    let before = target.scraped();
    eventually("more scrapes", || (target.scraped() >= before + more).then_some(()));
}

fn nothing_is_lost(receiver: &mut dyn Receiver, more: &str) {
    let target = Sequence::start();
    receiver.start();
    let b = sender(tempfile::tempdir().expect("a folder"), &target, receiver, more);
    eventually("the first samples arrive", || (count(&receiver.samples()) > 1000).then_some(()));

    // The receiver goes away, and the sender dies while it is.
    receiver.stop();
    scrapes(&target, 20);
    let b = sender(b.kill(), &target, receiver, more);
    scrapes(&target, 20);
    receiver.start();
    // And it dies while it catches up, again and again.
    let mut b = b;
    for _ in 0..3 {
        scrapes(&target, 6);
        b = sender(b.kill(), &target, receiver, more);
    }
    scrapes(&target, 10);
    target.stop();

    // What was scraped last stays the last: then both are the same.
    let stored = || query_all(&b.url);
    let mut last = count(&stored());
    eventually("nothing more is scraped", || {
        std::thread::sleep(Duration::from_millis(300));
        let n = count(&stored().into_iter().filter(|(name, _)| name.contains("filler")).collect());
        (std::mem::replace(&mut last, n) == n).then_some(())
    });
    let of_target = |samples: Samples| -> Samples {
        samples
            .into_iter()
            .filter(|(name, _)| name.contains("filler") || name.contains("scrape_sequence"))
            .collect()
    };
    let here = of_target(stored());
    assert!(here.len() == 201 && count(&here) > 201 * 60, "{} series, {} samples", here.len(), count(&here));
    let there = eventually("all has arrived", || {
        let there = of_target(receiver.samples());
        (count(&there) >= count(&here)).then_some(there)
    });
    for (series, samples) in &here {
        let got = there.get(series).unwrap_or_else(|| panic!("{series} has not arrived"));
        let missing: Vec<_> = samples.iter().filter(|s| !got.contains(s)).collect();
        assert!(missing.is_empty(), "{series} lacks {} of {}: {missing:?}", missing.len(), samples.len());
        assert_eq!(got.len(), samples.len(), "{series} has more than was sent");
    }
    assert_eq!(there.len(), here.len());
    assert_eq!(metric(&b, "prometheus_remote_storage_samples_failed_total"), 0.0);
    let (stopped, _) = b.terminate();
    assert!(stopped);
    receiver.stop();
}

#[test]
fn prometheus_gets_every_sample() {
    let Some(program) = find_program("prometheus") else {
        return skip("prometheus_gets_every_sample", "prometheus is not installed");
    };
    let folder = tempfile::tempdir().expect("a folder");
    nothing_is_lost(&mut Prometheus { program, folder, port: free_port(), process: None }, "");
}

#[test]
fn victoria_metrics_gets_every_sample() {
    let Some(program) = find_program("victoria-metrics") else {
        return skip("victoria_metrics_gets_every_sample", "victoria-metrics is not installed");
    };
    let folder = tempfile::tempdir().expect("a folder");
    nothing_is_lost(&mut VictoriaMetrics { program, folder, port: free_port(), process: None }, "");
}

#[test]
fn another_bellwether_gets_every_sample() {
    nothing_is_lost(&mut Other::new(), "");
}

#[test]
fn stopping_flushes_and_a_reload_keeps_the_place_in_the_log() {
    let target = Sequence::start();
    let mut receiver = Other::new();
    receiver.start();
    let b = sender(tempfile::tempdir().expect("a folder"), &target, &receiver, "");
    eventually("the first samples arrive", || (count(&receiver.samples()) > 500).then_some(()));
    let sent = metric(&b, "prometheus_remote_storage_samples_total");
    let file = b.folder().join("prometheus.yml");
    let before = std::fs::read_to_string(&file).expect("it is there");
    let reload = || {
        signal(b.pid(), "HUP");
        std::thread::sleep(Duration::from_millis(500));
    };
    reload();
    assert!(metric(&b, "prometheus_remote_storage_samples_total") > sent, "the same queue counts on");
    // Another setting makes another queue, which goes on where the first one was.
    std::fs::write(&file, before.replace("min_shards: 2", "min_shards: 3")).expect("it is written");
    reload();
    eventually("the new queue runs", || {
        (metric(&b, "prometheus_remote_storage_shards{") == 3.0).then_some(())
    });
    scrapes(&target, 5);
    target.stop();
    let is_filler = |samples: Samples| -> Samples {
        samples.into_iter().filter(|(name, _)| name.contains("filler")).collect()
    };
    std::thread::sleep(Duration::from_millis(300));
    let here = is_filler(query_all(&b.url));
    let (stopped, folder) = b.terminate();
    assert!(stopped);
    assert_eq!(is_filler(receiver.samples()), here, "all was sent before it ended");
    // Without the section nothing is kept for the endpoint any more.
    let readers = |folder: &Path| {
        let files = std::fs::read_dir(folder.join("data/wal/metrics")).expect("the log is there");
        files
            .filter(|f| f.as_ref().is_ok_and(|f| f.path().extension().is_some_and(|e| e == "reader")))
            .count()
    };
    assert_eq!(readers(folder.path()), 1);
    let b = Bellwether::start_in(folder, Some("global: {}"));
    assert_eq!(readers(b.folder()), 0);
    receiver.stop();
}

/// Histograms and exemplars come with what is pushed, and metadata with what is scraped.
#[test]
fn histograms_exemplars_and_metadata_are_sent_by_both_versions() {
    for message in ["prometheus.WriteRequest", "io.prometheus.write.v2.Request"] {
        let mut receiver = Other::new();
        receiver.start();
        let target = Sequence::start();
        let configuration = format!(
            "global: {{scrape_interval: 100ms, scrape_timeout: 100ms}}\n\
             scrape_configs: [{{job_name: sequence, static_configs: [{{targets: ['127.0.0.1:{}']}}]}}]\n\
             storage: {{exemplars: {{max_exemplars: 1000}}}}\n\
             remote_write:\n\
             - url: {}\n  \
               protobuf_message: {message}\n  \
               send_exemplars: true\n  \
               send_native_histograms: true\n  \
               metadata_config: {{send_interval: 1s}}\n  \
               queue_config: {{batch_send_deadline: 100ms}}\n",
            target.port,
            receiver.write_url()
        );
        let folder = tempfile::tempdir().expect("a folder");
        let b = Bellwether::start_with(folder, Some(&configuration), &[ENABLED]);
        let now = now_ms();
        let h = base::Histogram {
            count: 3.0,
            sum: 4.5,
            zero_count: 3.0,
            zero_threshold: 0.001,
            ..base::Histogram::default()
        };
        let mut request = RequestWriter::new();
        request.series(&[("__name__", "h"), ("from", "hand")]).histogram(now, &h);
        request.series(&[("__name__", "c_total"), ("from", "hand")]).sample(now, 7.0);
        request.exemplar_with(&[("trace_id", "abc")], now, 0.25);
        assert_eq!(write(&b, &request.body()).0, 204, "{message}");
        let other = receiver.running.as_ref().expect("it runs");
        let taken = "prometheus_tsdb_head_samples_appended_total{type=\"histogram\"}";
        eventually("the histogram arrives", || (metric(other, taken) == 1.0).then_some(()));
        eventually("the sample arrives", || (other.value("c_total") == Some(7.0)).then_some(()));
        let taken = "prometheus_tsdb_exemplar_exemplars_appended_total";
        eventually("the exemplar arrives", || (metric(other, taken) == 1.0).then_some(()));
        let endpoint = b.data("/api/v1/status/remote_write")["endpoints"][0].clone();
        assert_eq!(
            (&endpoint["url"], &endpoint["failed"], &endpoint["lastError"], &endpoint["lastErrorTime"]),
            (&receiver.write_url().into(), &0.into(), &"".into(), &Value::Null),
            "{endpoint}"
        );
        assert!(endpoint["behindSeconds"].as_f64() < Some(60.0), "{endpoint}");
        eventually("metadata arrives", || {
            let metadata = other.data("/api/v1/metadata?metric=scrape_sequence");
            (metadata["scrape_sequence"][0]["type"] == "counter").then_some(())
        });
        assert_eq!(metric(&b, "prometheus_remote_storage_exemplars_total"), 1.0);
        assert_eq!(metric(&b, "prometheus_remote_storage_histograms_total"), 1.0);
        assert_eq!(metric(&b, "prometheus_remote_storage_samples_failed_total"), 0.0);
        assert_eq!(metric(&b, "prometheus_remote_storage_exemplars_failed_total"), 0.0);
    }
}

#[test]
fn another_bellwether_gets_every_sample_by_version_2() {
    nothing_is_lost(&mut Other::new(), "  protobuf_message: io.prometheus.write.v2.Request\n");
}
