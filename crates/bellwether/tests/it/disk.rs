//! Disks that are full or may only be read: writes are refused, queries go on, and all is well again once the disk is.

use std::collections::BTreeMap;
use std::fs::OpenOptions;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use ingest::testing::RequestWriter;
use tempfile::TempDir;

use crate::harness::{Bellwether, eventually, signal, skip};
use crate::remote_write::{ENABLED, HEADERS, now_ms, send};

/// A file system in memory, mounted in a temporary folder until it is dropped.
struct SmallDisk {
    folder: PathBuf,
    at: PathBuf,
    /// What runs `mount`: root itself, or sudo where it asks for no password.
    sudo: bool,
}

impl SmallDisk {
    /// Mounts it, or says why it cannot.
    fn mount(folder: &TempDir, at: &str, size: &str) -> Result<Self, String> {
        let at = folder.path().join(at);
        std::fs::create_dir_all(&at).expect("a folder to mount on");
        let option = format!("size={size},mode=1777");
        let mut error = String::new();
        for sudo in [false, true] {
            match run(sudo, "mount", &["-t", "tmpfs", "-o", &option, "tmpfs"], &at) {
                Ok(()) => return Ok(Self { folder: folder.path().into(), at, sudo }),
                Err(e) => error += &e,
            }
        }
        Err(error)
    }

    fn remount(&self, option: &str) {
        run(self.sudo, "mount", &["-o", &format!("remount,{option}")], &self.at).expect("it is mounted anew");
    }

    /// Takes all space that is left.
    fn fill(&self) -> PathBuf {
        let path = self.at.join("ballast");
        let mut file = OpenOptions::new().create(true).append(true).open(&path).expect("created");
        for size in [1 << 16, 1 << 12, 1] {
            while file.write_all(&vec![7; size]).is_ok() {}
        }
        path
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Lazily, for the server may just be ending. What stays is a temporary folder.
        let _ = run(self.sudo, "umount", &["-l"], &self.at);
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

fn run(sudo: bool, program: &str, arguments: &[&str], at: &Path) -> Result<(), String> {
    let mut command = Command::new(if sudo { "sudo" } else { program });
    if sudo {
        command.args(["-n", program]);
    }
    let output = command.args(arguments).arg(at).output();
    let output = output.map_err(|e| format!("{program} cannot be run: {e}; "))?;
    match output.status.success() {
        true => Ok(()),
        false => Err(String::from_utf8_lossy(&output.stderr).into_owned()),
    }
}

/// What was sent, and what of it was acknowledged.
#[derive(Default)]
struct Sent {
    samples: BTreeMap<i64, f64>,
    acknowledged: BTreeMap<i64, f64>,
    last_ms: i64,
}

impl Sent {
    /// Sends a sample with the present time; returns status and text of the answer.
    fn one(&mut self, b: &Bellwether) -> (u16, String) {
        self.last_ms = now_ms().max(self.last_ms + 1);
        let value = self.samples.len() as f64;
        self.samples.insert(self.last_ms, value);
        self.again(b, self.last_ms)
    }

    /// Sends a sample of before.
    fn again(&mut self, b: &Bellwether, t_ms: i64) -> (u16, String) {
        let value = self.samples[&t_ms];
        // Labels of some length, so that few requests fill what a file has left of its last page.
        let filler = "x".repeat(1000);
        let body = RequestWriter::new()
            .series(&[("__name__", "sent")])
            .sample(t_ms, value)
            .series(&[("__name__", "filler"), ("at", &t_ms.to_string()), ("x", &filler)])
            .sample(t_ms, value)
            .body();
        let (status, text, retry) = send(&b.url, &HEADERS, &body);
        match status {
            204 => drop(self.acknowledged.insert(t_ms, value)),
            503 => assert!(retry.is_some(), "senders are told to come again"),
            _ => panic!("{status} {text}"),
        }
        (status, text)
    }

    /// Everything acknowledged is there, once, and nothing that was not sent.
    fn check(&self, b: &Bellwether, context: &str) {
        let data = b.data("/api/v1/query?query=sent[1h]");
        let values = data["result"][0]["values"].as_array().cloned().unwrap_or_default();
        let found: BTreeMap<i64, f64> = values
            .iter()
            .map(|p| {
                let t_ms = (p[0].as_f64().expect("a time") * 1000.0).round();
                (t_ms as i64, p[1].as_str().and_then(|v| v.parse().ok()).expect("a value"))
            })
            .collect();
        assert_eq!(found.len(), values.len(), "{context}: each once");
        for (t_ms, value) in &found {
            assert_eq!(self.samples.get(t_ms), Some(value), "{context}: only what was sent");
        }
        for (t_ms, value) in &self.acknowledged {
            assert_eq!(found.get(t_ms), Some(value), "{context}: {t_ms} was acknowledged");
        }
    }
}

fn start(folder: TempDir, configuration: &str) -> Bellwether {
    Bellwether::start_with(folder, Some(configuration), &[ENABLED])
}

/// The value of one of the program's own metrics.
fn own(b: &Bellwether, metric: &str) -> f64 {
    let (status, page) = b.get_text("/metrics");
    assert_eq!(status, 200);
    let line =
        page.lines().find_map(|l| l.strip_prefix(metric)).unwrap_or_else(|| panic!("{metric} on {page}"));
    line.trim().parse().expect("a number")
}

/// Sends until the server refuses, and returns what it says.
fn until_refused(b: &Bellwether, sent: &mut Sent) -> String {
    eventually("a write is refused", || {
        let (status, text) = sent.one(b);
        (status == 503).then_some(text)
    })
}

/// The last sample that was refused, again until it is taken.
fn until_taken(b: &Bellwether, sent: &mut Sent) {
    let refused = sent.last_ms;
    assert!(!sent.acknowledged.contains_key(&refused));
    eventually("a write is taken again", || (sent.again(b, refused).0 == 204).then_some(()));
}

/// A minute's samples of 500 series, of values that do not compress.
struct Old {
    start_ms: i64,
}

impl Old {
    const SERIES: usize = 500;
    const HOUR_MS: i64 = 3_600_000;

    /// They begin with a window, so many hours ago.
    fn new(hours_ago: i64) -> Self {
        Self { start_ms: now_ms() / (2 * Self::HOUR_MS) * (2 * Self::HOUR_MS) - hours_ago * Self::HOUR_MS }
    }

    fn value(i: usize, minute: i64) -> f64 {
        let mixed = (i as u64 * 1_000_000 + minute as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        ((mixed ^ (mixed >> 29)).wrapping_mul(0xBF58_476D_1CE4_E5B9) >> 12) as f64
    }

    fn send(&self, b: &Bellwether, minute: i64) -> (u16, String) {
        let mut body = RequestWriter::new();
        for i in 0..Self::SERIES {
            body.series(&[("__name__", "old"), ("i", &i.to_string())]);
            body.sample(self.start_ms + minute * 60_000, Self::value(i, minute));
        }
        let (status, text, _) = send(&b.url, &HEADERS, &body.body());
        (status, text)
    }

    /// Each of so many minutes is there once, with its value.
    fn check(&self, b: &Bellwether, minutes: i64, context: &str) {
        let at = (self.start_ms + minutes * 60_000) / 1000;
        let query =
            |q: &str| b.data(&format!("/api/v1/query?time={at}&query={q}"))["result"][0]["value"][1].clone();
        let count = query("sum(count_over_time(old[41h]))");
        let all = (minutes * Self::SERIES as i64).to_string();
        assert_eq!(count.as_str(), Some(all.as_str()), "{context}");
        let sum: f64 = (0..minutes).map(|m| Self::value(77, m)).sum();
        let found: f64 =
            query("sum_over_time(old{i=%2277%22}[41h])").as_str().expect("a sum").parse().expect("a number");
        assert!((found - sum).abs() < 1e-6 * sum, "{context}: {found} instead of {sum}");
    }
}

const SCRAPING: &str = "
global: {scrape_interval: 200ms, scrape_timeout: 200ms}
exporters: {node: {enabled: true}}
";

#[test]
fn a_full_disk_refuses_writes_and_answers_queries_until_there_is_space_again() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let disk = match SmallDisk::mount(&folder, "data", "24m") {
        Ok(disk) => disk,
        Err(e) => {
            return skip("a_full_disk_refuses_writes_and_answers_queries_until_there_is_space_again", &e);
        }
    };
    let mut sent = Sent::default();
    let b = start(folder, SCRAPING);
    for _ in 0..20 {
        assert_eq!(sent.one(&b).0, 204);
    }
    let scraped = "count_over_time(node_load1[1h])";
    eventually("some scrapes", || b.value(scraped).filter(|n| *n >= 3.0));
    let ballast = disk.fill();
    let said = until_refused(&b, &mut sent);
    let wal = ["cannot write WAL file", "cannot create WAL file", "cannot append to WAL"];
    assert!(wal.iter().any(|words| said.contains(words)), "{said}");
    // That of the system where this was the first to find it full, and else ours.
    assert!(said.to_lowercase().contains("no space left on"), "{said}");
    eventually("a scrape is refused", || {
        (own(&b, "bellwether_target_scrapes_append_failed_total") > 0.0).then_some(())
    });
    assert!(own(&b, "prometheus_tsdb_wal_writes_failed_total") > 0.0);
    let said = until_refused(&b, &mut sent);
    assert!(said.contains("(limit reserve_bytes)"), "{said}");
    assert!(own(&b, "bellwether_disk_appends_refused_total") > 0.0);
    assert_eq!(own(&b, "bellwether_disk_reserve_bytes "), 0.0);
    assert_eq!(b.get_text("/-/ready").0, 200, "it has data to show");
    sent.check(&b, "full");
    let scrapes = b.value(scraped).expect("scrapes");

    let b = start(b.kill(), SCRAPING);
    sent.check(&b, "killed and started while full");
    assert!(b.value(scraped) >= Some(scrapes));
    disk.fill();
    until_refused(&b, &mut sent);

    std::fs::remove_file(ballast).expect("removed");
    until_taken(&b, &mut sent);
    assert_eq!(own(&b, "bellwether_disk_reserve_bytes "), f64::from((24 << 20) / 32));
    let scrapes = b.value(scraped).expect("scrapes");
    eventually("scrapes go on", || b.value(scraped).filter(|n| *n > scrapes + 2.0));
    sent.check(&b, "with space again");
    disk.fill();
    until_refused(&b, &mut sent);
    sent.check(&b, "full again");
    std::fs::remove_file(disk.at.join("ballast")).expect("removed");
    until_taken(&b, &mut sent);

    let b = start(b.kill(), SCRAPING);
    sent.check(&b, "killed and started with space");
    assert_eq!(sent.one(&b).0, 204);
    drop(b);
}

#[test]
fn a_disk_filled_by_old_data_goes_on_where_it_stopped_once_it_is_larger() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let disk = match SmallDisk::mount(&folder, "data", "3m") {
        Ok(disk) => disk,
        Err(e) => return skip("a_disk_filled_by_old_data_goes_on_where_it_stopped_once_it_is_larger", &e),
    };
    let b = start(folder, "scrape_configs: []");
    let old = Old::new(40);
    let mut minutes = 0;
    let said = loop {
        let (status, text) = old.send(&b, minutes);
        if status == 503 {
            break text;
        }
        assert_eq!((status, text.as_str()), (204, ""), "minute {minutes}");
        minutes += 1;
        assert!(minutes < 36 * 60, "the disk does not get full");
    };
    assert!(said.to_lowercase().contains("no space left on"), "{said}");
    old.check(&b, minutes, "full");
    let b = start(b.kill(), "scrape_configs: []");
    old.check(&b, minutes, "killed and started while full");
    disk.remount("size=64m");
    let until = minutes + 4 * 60;
    for minute in minutes..until {
        eventually("it is taken", || (old.send(&b, minute).0 == 204).then_some(()));
    }
    old.check(&b, until, "larger");
    assert_eq!(own(&b, "prometheus_tsdb_out_of_bound_samples_total{type=\"float\"}"), 0.0);
    let b = start(b.kill(), "scrape_configs: []");
    old.check(&b, until, "killed and started with space");
    drop(b);
}

/// Another program fills the disk while a window is complete: what the log leaves free does not do for its segment.
#[test]
fn a_disk_filled_by_others_still_has_the_space_to_seal() {
    const MINUTES: i64 = 120;
    let test = "a_disk_filled_by_others_still_has_the_space_to_seal";
    let folder = tempfile::tempdir().expect("a temporary folder");
    let disk = match SmallDisk::mount(&folder, "data", "64m") {
        Ok(disk) => disk,
        Err(e) => return skip(test, &e),
    };
    let old = Old::new(40);
    let b = start(folder, "scrape_configs: []");
    for minute in 0..MINUTES {
        assert_eq!(old.send(&b, minute).0, 204);
    }
    let logs = |b: &Bellwether| {
        let files = std::fs::read_dir(b.folder().join("data/wal/metrics")).expect("listed");
        files.map(|f| f.expect("a file").metadata().expect("its size").len()).sum::<u64>()
    };
    let before = logs(&b);
    assert_eq!(own(&b, "prometheus_tsdb_compactions_total"), 0.0);
    let ballast = disk.fill();
    let size = std::fs::metadata(&ballast).expect("its size").len();
    let file = OpenOptions::new().write(true).open(&ballast).expect("opened");
    file.set_len(size - (96 << 10)).expect("truncated");
    drop(file);
    // What completes the window still finds space.
    let body = RequestWriter::new()
        .series(&[("__name__", "later")])
        .sample(old.start_ms + 4 * Old::HOUR_MS, 1.0)
        .body();
    assert_eq!(send(&b.url, &HEADERS, &body).0, 204);
    eventually("the window is sealed", || (own(&b, "prometheus_tsdb_compactions_total") > 0.0).then_some(()));
    assert!(own(&b, "prometheus_tsdb_compactions_failed_total") > 0.0, "96 KiB did not do");
    assert_eq!(own(&b, "bellwether_disk_reserve_released_total"), 1.0);
    assert!(logs(&b) < before / 2, "the log has gone");
    old.check(&b, MINUTES, "sealed on a full disk");
    let (status, said) = old.send(&b, 5 * 60);
    assert!(status == 503 && said.contains("(limit reserve_bytes)"), "{status} {said}");

    let b = start(b.kill(), "scrape_configs: []");
    old.check(&b, MINUTES, "killed and started");
    assert_eq!(old.send(&b, 5 * 60).0, 503);
    std::fs::remove_file(ballast).expect("removed");
    eventually("it is taken", || (old.send(&b, 5 * 60).0 == 204).then_some(()));
    assert_eq!(own(&b, "bellwether_disk_reserve_bytes "), f64::from((64 << 20) / 32));
    let b = start(b.kill(), "scrape_configs: []");
    old.check(&b, MINUTES, "with space again");
    drop(b);
}

#[test]
fn a_start_where_nothing_may_be_written_shows_what_there_is_and_takes_writes_once_it_may() {
    let test = "a_start_where_nothing_may_be_written_shows_what_there_is_and_takes_writes_once_it_may";
    let folder = tempfile::tempdir().expect("a temporary folder");
    let disk = match SmallDisk::mount(&folder, "data", "24m") {
        Ok(disk) => disk,
        Err(e) => return skip(test, &e),
    };
    let mut sent = Sent::default();
    let b = start(folder, SCRAPING);
    for _ in 0..20 {
        assert_eq!(sent.one(&b).0, 204);
    }
    let scraped = "count_over_time(node_load1[1h])";
    let scrapes = eventually("some scrapes", || b.value(scraped).filter(|n| *n >= 3.0));
    let folder = b.kill();
    for entry in std::fs::read_dir(disk.at.join("wal/metrics")).expect("listed") {
        let path = entry.expect("a file").path();
        if path.extension().is_some_and(|e| e == "wal") {
            let mut file = OpenOptions::new().append(true).open(path).expect("opened");
            file.write_all(b"half a record").expect("written");
        }
    }
    disk.remount("ro");
    let b = start(folder, SCRAPING);
    assert_eq!(b.get_text("/-/ready").0, 200, "it has data to show");
    sent.check(&b, "started where nothing may be written");
    assert!(b.value(scraped) >= Some(scrapes));
    let said = until_refused(&b, &mut sent);
    assert!(said.contains("cannot repair WAL file") && said.contains("Read-only file system"), "{said}");
    assert!(own(&b, "bellwether_wal_files_to_repair ") > 0.0);
    assert!(own(&b, "prometheus_tsdb_wal_writes_failed_total") > 0.0);
    eventually("a scrape is refused", || {
        (own(&b, "bellwether_target_scrapes_append_failed_total") > 0.0).then_some(())
    });

    disk.remount("rw");
    until_taken(&b, &mut sent);
    assert_eq!(own(&b, "bellwether_wal_files_to_repair "), 0.0);
    let scrapes = b.value(scraped).expect("scrapes");
    eventually("scrapes go on", || b.value(scraped).filter(|n| *n > scrapes + 2.0));
    sent.check(&b, "writable");
    let b = start(b.kill(), SCRAPING);
    sent.check(&b, "killed and started when writable");
    assert_eq!(own(&b, "prometheus_tsdb_wal_corruptions_total "), 0.0);
    drop(b);
}

/// The WAL, or the tables, are on a disk of their own: with the folder's lock on it, it could not be made read-only from outside.
fn read_only(part: &str, test: &str) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let disk = match SmallDisk::mount(&folder, &format!("data/{part}"), "24m") {
        Ok(disk) => disk,
        Err(e) => return skip(test, &e),
    };
    let mut sent = Sent::default();
    let b = start(folder, "scrape_configs: []");
    for _ in 0..20 {
        assert_eq!(sent.one(&b).0, 204);
    }
    // A new process has no file of the log open, which would keep the disk from becoming read-only.
    let b = start(b.kill(), "scrape_configs: []");
    disk.remount("ro");
    if part == "wal" {
        let said = until_refused(&b, &mut sent);
        assert!(said.contains("cannot create WAL file") && said.contains("Read-only file system"), "{said}");
        std::fs::write(b.folder().join("prometheus.yml"), SCRAPING).expect("written");
        signal(b.pid(), "HUP");
        eventually("a scrape is refused", || {
            (own(&b, "bellwether_target_scrapes_append_failed_total") > 0.0).then_some(())
        });
        assert!(own(&b, "prometheus_tsdb_wal_writes_failed_total") > 0.0);
        sent.check(&b, "read-only");
        disk.remount("rw");
        until_taken(&b, &mut sent);
        eventually("scrapes are stored", || b.value("node_load1"));
    } else {
        assert_eq!(sent.one(&b).0, 204, "the log is what takes writes");
        sent.check(&b, "read-only");
        let b = start(b.kill(), "scrape_configs: []");
        sent.check(&b, "killed and started while read-only");
        disk.remount("rw");
        assert_eq!(sent.one(&b).0, 204);
        sent.check(&b, "writable again");
        return;
    }
    let b = start(b.kill(), "scrape_configs: []");
    sent.check(&b, "killed and started when writable");
    drop(b);
}

#[test]
fn a_log_that_may_only_be_read_refuses_writes_and_answers_queries() {
    read_only("wal", "a_log_that_may_only_be_read_refuses_writes_and_answers_queries");
}

#[test]
fn tables_that_may_only_be_read_answer_queries_and_the_log_goes_on() {
    read_only("tables", "tables_that_may_only_be_read_answer_queries_and_the_log_goes_on");
}
