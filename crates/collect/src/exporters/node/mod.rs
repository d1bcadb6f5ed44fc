//! The node collector: what node_exporter tells of a Linux host, under the same names, labels, types and help.
//!
//! Owns the list of collectors, their running side by side, and their deadline. One collector per file; what it reads
//! comes through [`tree::Tree`] (files) and [`Host`] (system calls), so that a frozen tree collects like a live host.
//! Knows nothing of targets, intervals or HTTP.

mod arp;
mod bonding;
mod conntrack;
mod cpu;
mod cpufreq;
mod diskstats;
mod dmi;
mod edac;
mod entropy;
mod filefd;
mod filesystem;
mod host;
mod hwmon;
mod kernel_hung;
pub mod limits;
mod loadavg;
mod mdadm;
mod meminfo;
mod mount_space;
mod netclass;
mod netdev;
mod netstat;
mod nvme;
mod os_release;
mod powersupply;
mod pressure;
mod rapl;
mod schedstat;
mod selinux;
mod settings;
mod sockstat;
mod softnet;
mod stat;
mod thermal_zone;
mod time;
mod timex;
mod tree;
mod udp_queues;
mod uname;
mod vmstat;
mod watchdog;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::thread;
use std::time::Duration;

use base::{Clock, Error};
use parking_lot::Mutex;
use tokio::sync::mpsc;

pub use host::{Host, Space, SystemHost, Timex, Uname};
pub use settings::{Filter, NodeSettings};

use crate::family::{Description, Families, Family, gauge};
use tree::{Failure, Tree, Unreadable};

const DURATION: Description =
    gauge("node_scrape_collector_duration_seconds", "node_exporter: Duration of a collector scrape.");
const SUCCESS: Description =
    gauge("node_scrape_collector_success", "node_exporter: Whether a collector succeeded.");

/// Where a node collector looks, and what it may spend.
#[derive(Clone)]
pub struct NodeOptions {
    /// Where procfs is mounted.
    pub proc_root: PathBuf,
    /// Where sysfs is mounted.
    pub sys_root: PathBuf,
    /// Where the root file system of the host is mounted; stripped from the mount points that are reported.
    pub rootfs: PathBuf,
    /// Where udev keeps its database.
    pub udev_data: PathBuf,
    /// Which devices and fields are collected.
    pub settings: NodeSettings,
    /// How long one collection may take.
    pub deadline: Duration,
    /// How long one mount may take to answer.
    pub mount_deadline: Duration,
    /// The system calls.
    pub host: Arc<dyn Host>,
    /// Tells the time of `node_time_seconds` and measures the collectors.
    pub clock: Arc<dyn Clock>,
}

impl NodeOptions {
    /// The running host, with node_exporter's defaults.
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self {
            proc_root: "/proc".into(),
            sys_root: "/sys".into(),
            rootfs: "/".into(),
            udev_data: "/run/udev/data".into(),
            settings: NodeSettings::default(),
            deadline: limits::COLLECT_DEADLINE,
            mount_deadline: limits::MOUNT_DEADLINE,
            host: Arc::new(SystemHost),
            clock,
        }
    }
}

/// One kind of thing to know of a host. Called by one thread at a time, and not again before it has returned.
trait Collect: Send {
    /// Adds what there is to `out`. What was added before a failure is kept.
    fn collect(&mut self, scrape: &Scrape, out: &mut Families) -> Result<(), Failure>;
}

impl<F: FnMut(&Scrape, &mut Families) -> Result<(), Failure> + Send> Collect for F {
    fn collect(&mut self, scrape: &Scrape, out: &mut Families) -> Result<(), Failure> {
        self(scrape, out)
    }
}

/// All collectors, in node_exporter's spelling of their names. The slow ones first, so that they overlap the others.
fn collectors(options: &NodeOptions) -> Vec<(&'static str, Box<dyn Collect>)> {
    vec![
        ("filesystem", Box::new(filesystem::Filesystem::new(options))),
        ("cpu", Box::new(cpu::Cpu::default())),
        ("cpufreq", Box::new(cpufreq::collect)),
        ("netclass", Box::new(netclass::collect)),
        ("hwmon", Box::new(hwmon::collect)),
        ("arp", Box::new(arp::collect)),
        ("bonding", Box::new(bonding::collect)),
        ("conntrack", Box::new(conntrack::collect)),
        ("diskstats", Box::new(diskstats::collect)),
        ("dmi", Box::new(dmi::Dmi::default())),
        ("edac", Box::new(edac::collect)),
        ("entropy", Box::new(entropy::collect)),
        ("filefd", Box::new(filefd::collect)),
        ("kernel_hung", Box::new(kernel_hung::collect)),
        ("loadavg", Box::new(loadavg::collect)),
        ("mdadm", Box::new(mdadm::collect)),
        ("meminfo", Box::new(meminfo::collect)),
        ("netdev", Box::new(netdev::collect)),
        ("netstat", Box::new(netstat::collect)),
        ("nvme", Box::new(nvme::collect)),
        ("os", Box::new(os_release::collect)),
        ("powersupplyclass", Box::new(powersupply::collect)),
        ("pressure", Box::new(pressure::collect)),
        ("rapl", Box::new(rapl::collect)),
        ("schedstat", Box::new(schedstat::collect)),
        ("selinux", Box::new(selinux::collect)),
        ("sockstat", Box::new(sockstat::collect)),
        ("softnet", Box::new(softnet::collect)),
        ("stat", Box::new(stat::collect)),
        ("thermal_zone", Box::new(thermal_zone::collect)),
        ("time", Box::new(time::collect)),
        ("timex", Box::new(timex::collect)),
        ("udp_queues", Box::new(udp_queues::collect)),
        ("uname", Box::new(uname::collect)),
        ("vmstat", Box::new(vmstat::collect)),
        ("watchdog", Box::new(watchdog::collect)),
    ]
}

/// What the collectors of one round share.
struct Scrape {
    source: Arc<Source>,
    stat: OnceLock<Result<String, Error>>,
}

/// What does not change from round to round.
struct Source {
    tree: Tree,
    settings: NodeSettings,
    host: Arc<dyn Host>,
    clock: Arc<dyn Clock>,
}

impl std::ops::Deref for Scrape {
    type Target = Source;

    fn deref(&self) -> &Source {
        &self.source
    }
}

impl Scrape {
    /// `/proc/stat`, which two collectors need and which is dear on hosts with many CPUs and interrupts: read once.
    fn proc_stat(&self) -> Result<&str, Failure> {
        let text = self.stat.get_or_init(|| {
            self.tree.proc("stat").map_err(|e| match Failure::from(e) {
                Failure::Failed(e) => e,
                Failure::NoData => Error::internal("cannot read stat: no data"),
            })
        });
        text.as_deref().map_err(|e| Failure::Failed(e.clone()))
    }
}

/// A collector with its place in the list. The lock is held for as long as it runs, however long that is.
struct Slot {
    name: &'static str,
    collector: Mutex<Box<dyn Collect>>,
    failed_before: AtomicBool,
}

/// What one collector brought.
struct Outcome {
    slot: usize,
    families: Families,
    duration: Duration,
    success: bool,
}

/// Collects from one host.
pub struct NodeCollector {
    slots: Arc<[Slot]>,
    source: Arc<Source>,
    deadline: Duration,
    // Two rounds at a time would find each other's collectors busy and take them for stuck.
    round: tokio::sync::Mutex<()>,
}

impl NodeCollector {
    /// A collector of the host, or of the frozen tree, that the options name. Reads nothing yet.
    pub fn new(options: NodeOptions) -> Self {
        let slots = collectors(&options)
            .into_iter()
            .map(|(name, collector)| Slot {
                name,
                collector: Mutex::new(collector),
                failed_before: AtomicBool::new(false),
            })
            .collect();
        let tree = Tree {
            proc: options.proc_root,
            sys: options.sys_root,
            rootfs: options.rootfs,
            udev_data: options.udev_data,
        };
        let source = Source { tree, settings: options.settings, host: options.host, clock: options.clock };
        Self {
            slots,
            source: Arc::new(source),
            deadline: options.deadline,
            round: tokio::sync::Mutex::new(()),
        }
    }

    /// Everything that could be collected before the deadline, by name. A collector that fails, or has not returned,
    /// costs only its own families and says so in `node_scrape_collector_success`; one that is still at work from an
    /// earlier round is passed over. Needs a Tokio runtime with its timer.
    pub async fn collect(&self) -> Vec<Family> {
        let _round = self.round.lock().await;
        let started = self.source.clock.monotonic();
        let scrape = Arc::new(Scrape { source: Arc::clone(&self.source), stat: OnceLock::new() });
        let (results, mut arrived) = mpsc::channel(self.slots.len());
        let next = Arc::new(AtomicUsize::new(0));
        for _ in 0..limits::WORKERS {
            let (slots, scrape) = (Arc::clone(&self.slots), Arc::clone(&scrape));
            let (next, results) = (Arc::clone(&next), results.clone());
            // Threads of our own: a runtime waits for its blocking threads when it stops, and one of these may hang.
            let work = move || work(&slots, &scrape, &next, &results);
            if let Err(e) = thread::Builder::new().name("node-collect".into()).spawn(work) {
                tracing::warn!("cannot start a thread for the node collector: {e}");
            }
        }
        drop(results);

        let mut families = Families::default();
        let mut seen = vec![None; self.slots.len()];
        let all = async {
            while let Some(outcome) = arrived.recv().await {
                let Outcome { slot, families: brought, duration, success } = outcome;
                families.merge(brought);
                seen[slot] = Some((duration, success));
            }
        };
        if tokio::time::timeout(self.deadline, all).await.is_err() {
            tracing::warn!(deadline = ?self.deadline, "node collectors did not all return in time");
        }
        let elapsed = self.source.clock.monotonic().saturating_sub(started);
        for (slot, seen) in self.slots.iter().zip(seen) {
            let (duration, success) = seen.unwrap_or((elapsed, false));
            let labels = [("collector", slot.name)];
            families.add(&DURATION, duration.as_secs_f64(), &labels);
            families.add(&SUCCESS, f64::from(u8::from(success)), &labels);
        }
        families.finish()
    }
}

/// Takes collectors from the list until it is done. Every thread takes what no other has taken.
fn work(slots: &[Slot], scrape: &Scrape, next: &AtomicUsize, results: &mpsc::Sender<Outcome>) {
    loop {
        let at = next.fetch_add(1, Ordering::Relaxed);
        let Some(slot) = slots.get(at) else { return };
        let Some(mut collector) = slot.collector.try_lock() else { continue };
        let started = scrape.clock.monotonic();
        let mut families = Families::default();
        let outcome = catch_unwind(AssertUnwindSafe(|| collector.collect(scrape, &mut families)))
            .unwrap_or_else(|_| {
                Err(Failure::Failed(Error::internal("cannot collect: the collector panicked")))
            });
        let duration = scrape.clock.monotonic().saturating_sub(started);
        drop(collector);
        let success = outcome.is_ok();
        slot.note(outcome.err());
        // Nobody listens after the deadline.
        let _ = results.try_send(Outcome { slot: at, families, duration, success });
    }
}

impl Slot {
    /// Logs a failure when it begins, not on every round.
    fn note(&self, failure: Option<Failure>) {
        match failure {
            Some(Failure::Failed(e)) => {
                if !self.failed_before.swap(true, Ordering::Relaxed) {
                    tracing::warn!(collector = self.name, "{e}");
                }
            }
            Some(Failure::NoData) | None => self.failed_before.store(false, Ordering::Relaxed),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique() {
        let options = NodeOptions::new(Arc::new(base::ManualClock::new(0)));
        let mut names: Vec<_> = collectors(&options).iter().map(|(name, _)| *name).collect();
        let count = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), count);
    }
}
