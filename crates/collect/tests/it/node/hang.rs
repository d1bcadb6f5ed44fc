//! System calls that do not return: the scrape goes on without them, and takes them up again when they do.

use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use collect::exporters::node::{Host, NodeCollector, NodeOptions, NodeSettings, Space, Timex, Uname};
use collect::family::encode_text;

use super::exposition_text::parse;
use super::frozen::{FrozenHost, options};

/// Lets nobody through until it is opened.
#[derive(Default)]
struct Gate {
    open: Mutex<bool>,
    opened: Condvar,
    arrivals: AtomicUsize,
}

impl Gate {
    fn pass(&self) {
        self.arrivals.fetch_add(1, Ordering::SeqCst);
        let mut open = self.open.lock().expect("nobody panics with this lock");
        while !*open {
            open = self.opened.wait(open).expect("nobody panics with this lock");
        }
    }

    fn open(&self) {
        *self.open.lock().expect("nobody panics with this lock") = true;
        self.opened.notify_all();
    }
}

/// A frozen host with a gate before some of its calls.
#[derive(Default)]
struct SickHost {
    statfs_of_gone: Option<Gate>,
    uname: Option<Gate>,
}

impl Host for SickHost {
    fn statfs(&self, mount_point: &Path) -> io::Result<Space> {
        match &self.statfs_of_gone {
            Some(gate) if mount_point.ends_with("gone") => {
                gate.pass();
                FrozenHost.statfs(Path::new("/"))
            }
            _ => FrozenHost.statfs(mount_point),
        }
    }

    fn uname(&self) -> io::Result<Uname> {
        self.uname.iter().for_each(Gate::pass);
        FrozenHost.uname()
    }

    fn timex(&self) -> io::Result<Timex> {
        FrozenHost.timex()
    }

    fn time_zone(&self, now_ms: i64) -> (String, i32) {
        FrozenHost.time_zone(now_ms)
    }

    fn page_size(&self) -> usize {
        4096
    }
}

fn frozen_tree() -> NodeOptions {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/node");
    options(&root, NodeSettings::default())
}

/// Collects and looks a series up.
struct Scraper {
    collector: NodeCollector,
    runtime: tokio::runtime::Runtime,
}

impl Scraper {
    fn new(options: NodeOptions) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
        Self { collector: NodeCollector::new(options), runtime }
    }

    fn scrape(&self) -> impl Fn(&str) -> Option<String> + use<> {
        let families = self.runtime.block_on(self.collector.collect());
        let mut text = Vec::new();
        encode_text(&families, &mut text);
        let families = parse(&String::from_utf8(text).expect("an exposition is UTF-8"));
        move |series| families.values().find_map(|f| f.samples.get(series).cloned())
    }
}

#[test]
fn a_dead_mount_is_an_error_of_its_own() {
    let host = Arc::new(SickHost { statfs_of_gone: Some(Gate::default()), ..SickHost::default() });
    let scraper = Scraper::new(NodeOptions {
        host: host.clone(),
        // Long enough for a healthy mount on a busy machine; waited for once.
        mount_deadline: Duration::from_secs(1),
        ..frozen_tree()
    });
    let gate = host.statfs_of_gone.as_ref().expect("the host has this gate");
    let gone = |family: &str, error: &str| {
        format!(
            "node_filesystem_{family}{{device=\"192.0.2.7:/export\",device_error=\"{error}\",fstype=\"nfs4\",mountpoint=\"/mnt/gone\"}}"
        )
    };
    let root = r#"node_filesystem_files{device="/dev/vda",device_error="",fstype="ext4",mountpoint="/"}"#;
    for _ in 0..3 {
        let value = scraper.scrape();
        assert_eq!(value(&gone("device_error", "mountpoint timeout")).as_deref(), Some("1"));
        assert_eq!(value(&gone("size_bytes", "mountpoint timeout")), None);
        assert_eq!(value(root).as_deref(), Some("250000"));
        assert_eq!(value(r#"node_scrape_collector_success{collector="filesystem"}"#).as_deref(), Some("1"));
    }
    assert_eq!(gate.arrivals.load(Ordering::SeqCst), 1, "a hanging mount is not asked again");

    gate.open();
    let recovered =
        (0..200).any(|_| scraper.scrape()(&gone("size_bytes", "")).as_deref() == Some("4.096e+09"));
    assert!(recovered, "a mount that answers again is told again");
}

#[test]
fn a_collector_that_hangs_is_passed_over() {
    let host = Arc::new(SickHost { uname: Some(Gate::default()), ..SickHost::default() });
    // Long enough for the healthy collectors on a busy machine; waited for once.
    let deadline = Duration::from_secs(5);
    let scraper = Scraper::new(NodeOptions { host: host.clone(), deadline, ..frozen_tree() });
    let gate = host.uname.as_ref().expect("the host has this gate");
    let success = |collector: &str| format!("node_scrape_collector_success{{collector=\"{collector}\"}}");

    let clock = super::live::system_clock();
    for round in 0..3 {
        let started = clock.monotonic();
        let value = scraper.scrape();
        let took = clock.monotonic() - started;
        assert_eq!(value(&success("uname")).as_deref(), Some("0"));
        for collector in ["filesystem", "cpu", "vmstat", "watchdog"] {
            assert_eq!(value(&success(collector)).as_deref(), Some("1"), "{collector}");
        }
        assert!(round == 0 || took < deadline, "round {round} waited again: {took:?}");
    }
    assert_eq!(gate.arrivals.load(Ordering::SeqCst), 1);

    gate.open();
    let recovered = (0..200).any(|_| scraper.scrape()(&success("uname")).as_deref() == Some("1"));
    assert!(recovered, "a collector that returns is asked again");
}
