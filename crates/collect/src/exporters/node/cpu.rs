//! CPU time per mode from `/proc/stat`; throttling, isolation and online state from `/sys`; models from `/proc/cpuinfo`.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::Path;

use regex::Regex;

use super::tree::{attribute, attribute_number, malformed, number, read_text};
use super::{Failure, Scrape, Tree};
use crate::family::{Description, Families, counter, gauge};

const SECONDS: Description = counter("node_cpu_seconds_total", "Seconds the CPUs spent in each mode.");
const GUEST: Description =
    counter("node_cpu_guest_seconds_total", "Seconds the CPUs spent in guests (VMs) for each mode.");
const CORE_THROTTLES: Description =
    counter("node_cpu_core_throttles_total", "Number of times this CPU core has been throttled.");
const PACKAGE_THROTTLES: Description =
    counter("node_cpu_package_throttles_total", "Number of times this CPU package has been throttled.");
const ISOLATED: Description = gauge(
    "node_cpu_isolated",
    "Whether each core is isolated, information from /sys/devices/system/cpu/isolated.",
);
const ONLINE: Description = gauge("node_cpu_online", "CPUs that are online and being scheduled.");
const INFO: Description = gauge("node_cpu_info", "CPU information from /proc/cpuinfo.");
const FREQUENCY: Description =
    gauge("node_cpu_frequency_hertz", "CPU frequency in hertz from /proc/cpuinfo.");
const FLAG: Description = gauge(
    "node_cpu_flag_info",
    "The `flags` field of CPU information from /proc/cpuinfo taken from the first core.",
);
const BUG: Description = gauge(
    "node_cpu_bug_info",
    "The `bugs` field of CPU information from /proc/cpuinfo taken from the first core.",
);

/// The columns of a cpu line of `/proc/stat`; the last two are time in guests.
const MODES: [&str; 10] =
    ["user", "nice", "system", "idle", "iowait", "irq", "softirq", "steal", "user", "nice"];
const IDLE: usize = 3;
const FIRST_GUEST: usize = 8;

/// The kernel's unit of CPU time for user space, in hertz: the same on every architecture that Rust's std runs on.
const USER_HZ: f64 = 100.0;

/// Idle time that falls by this many seconds means that the CPU was unplugged and came back, not that it jittered.
const JUMP_BACK_SECONDS: f64 = 3.0;

/// Remembers what only ever grows, or never changes while the kernel runs.
#[derive(Default)]
pub(super) struct Cpu {
    seconds: BTreeMap<u32, [f64; 10]>,
    isolated: Option<Vec<u32>>,
    /// Package and core of each CPU.
    topology: HashMap<String, (u64, u64)>,
}

impl super::Collect for Cpu {
    fn collect(&mut self, scrape: &Scrape, out: &mut Families) -> Result<(), Failure> {
        if scrape.settings.cpu_info
            || scrape.settings.cpu_info_flags.is_some()
            || scrape.settings.cpu_info_bugs.is_some()
        {
            collect_info(scrape, out)?;
        }
        self.collect_seconds(scrape.proc_stat()?, out);
        let folder = scrape.tree.sys.join("devices/system/cpu");
        for cpu in self.isolated(&folder) {
            out.add(&ISOLATED, 1.0, &[("cpu", &cpu.to_string())]);
        }
        let cpus = Tree::numbered(&folder, "cpu")?;
        self.collect_throttles(&cpus, out);
        collect_online(&cpus, out);
        Ok(())
    }
}

impl Cpu {
    fn collect_seconds(&mut self, stat: &str, out: &mut Families) {
        let mut present = BTreeSet::new();
        for line in stat.lines() {
            let Some((cpu, now)) = parse_cpu_line(line) else { continue };
            present.insert(cpu);
            let seconds = self.seconds.entry(cpu).or_default();
            if seconds[IDLE] - now[IDLE] >= JUMP_BACK_SECONDS {
                *seconds = [0.0; 10];
            }
            // The kernel lets iowait, and idle with it, step back a little; a counter must not.
            for (kept, now) in seconds.iter_mut().zip(now) {
                *kept = kept.max(now);
            }
        }
        self.seconds.retain(|cpu, _| present.contains(cpu));
        for (cpu, seconds) in &self.seconds {
            let cpu = cpu.to_string();
            for (column, (mode, value)) in MODES.iter().zip(seconds).enumerate() {
                let family = if column < FIRST_GUEST { &SECONDS } else { &GUEST };
                out.add(family, *value, &[("cpu", &cpu), ("mode", mode)]);
            }
        }
    }

    fn isolated(&mut self, folder: &Path) -> &[u32] {
        self.isolated.get_or_insert_with(|| {
            attribute(&folder.join("isolated")).map(|text| parse_cpu_list(&text)).unwrap_or_default()
        })
    }

    /// Reads the throttle counts of each core and package once, on the first of its CPUs that has them.
    fn collect_throttles(&mut self, cpus: &[(String, std::path::PathBuf)], out: &mut Families) {
        let mut cores: BTreeMap<(u64, u64), f64> = BTreeMap::new();
        let mut packages: BTreeMap<u64, f64> = BTreeMap::new();
        for (cpu, folder) in cpus {
            let Some((package, core)) = self.place(cpu, folder) else { continue };
            let count = |file: &str| attribute_number(&folder.join("thermal_throttle").join(file)).ok();
            // Some CPUs count throttling per core only, and guests not at all.
            if !cores.contains_key(&(package, core))
                && let Some(n) = count("core_throttle_count")
            {
                cores.insert((package, core), n);
            }
            if !packages.contains_key(&package)
                && let Some(n) = count("package_throttle_count")
            {
                packages.insert(package, n);
            }
        }
        for (package, n) in packages {
            out.add(&PACKAGE_THROTTLES, n, &[("package", &package.to_string())]);
        }
        for ((package, core), n) in cores {
            out.add(&CORE_THROTTLES, n, &[("package", &package.to_string()), ("core", &core.to_string())]);
        }
    }

    fn place(&mut self, cpu: &str, folder: &Path) -> Option<(u64, u64)> {
        if let Some(place) = self.topology.get(cpu) {
            return Some(*place);
        }
        let id = |file: &str| attribute(&folder.join("topology").join(file)).ok()?.parse().ok();
        let place = (id("physical_package_id")?, id("core_id")?);
        self.topology.insert(cpu.to_owned(), place);
        Some(place)
    }
}

/// The CPU and its seconds, from a line such as `cpu3 1 2 3 4 5 6 7 8 9 10`. Old kernels have fewer columns.
fn parse_cpu_line(line: &str) -> Option<(u32, [f64; 10])> {
    let mut fields = line.strip_prefix("cpu")?.split_ascii_whitespace();
    // The line of all CPUs together begins with a blank.
    if line.as_bytes().get(3) == Some(&b' ') {
        return None;
    }
    let cpu = fields.next()?.parse().ok()?;
    let mut seconds = [0.0; 10];
    for (slot, field) in seconds.iter_mut().zip(fields) {
        *slot = number(field)? / USER_HZ;
    }
    Some((cpu, seconds))
}

/// Parses `0,2-4`.
fn parse_cpu_list(text: &str) -> Vec<u32> {
    let mut cpus = Vec::new();
    for part in text.split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        // More CPUs than a kernel can have would be a broken file, not a large host.
        if let (Ok(first), Ok(last)) = (first.parse::<u16>(), last.parse::<u16>()) {
            cpus.extend(u32::from(first)..=u32::from(last));
        }
    }
    cpus
}

fn collect_online(cpus: &[(String, std::path::PathBuf)], out: &mut Families) {
    let online = |folder: &Path| attribute(&folder.join("online"));
    // Where the first CPU does not say, the kernel supports no unplugging of the boot CPU, and node_exporter says nothing.
    let Some((_, first)) = cpus.first() else { return };
    if online(first).is_err_and(|e| e.is_missing()) {
        return;
    }
    for (cpu, folder) in cpus {
        let is_online = online(folder).is_ok_and(|v| v == "1");
        out.add(&ONLINE, f64::from(u8::from(is_online)), &[("cpu", cpu)]);
    }
}

fn collect_info(scrape: &Scrape, out: &mut Families) -> Result<(), Failure> {
    let text = read_text(&scrape.tree.proc.join("cpuinfo"))?;
    let mut first = true;
    for block in text.split("\n\n").filter(|b| !b.trim().is_empty()) {
        let fields: HashMap<&str, &str> =
            block.lines().filter_map(|l| l.split_once(':')).map(|(k, v)| (k.trim(), v.trim())).collect();
        let field = |name: &str| fields.get(name).copied().unwrap_or_default();
        let Some(cpu) = fields.get("processor") else { return Err(malformed("cpuinfo", block)) };
        let place = [("package", field("physical id")), ("core", field("core id")), ("cpu", cpu)];
        let model = [
            ("vendor", field("vendor_id")),
            ("family", field("cpu family")),
            ("model", field("model")),
            ("model_name", field("model name")),
            ("microcode", field("microcode")),
            ("stepping", field("stepping")),
            ("cachesize", field("cache size")),
        ];
        out.add(&INFO, 1.0, &[place.as_slice(), model.as_slice()].concat());
        if let Some(mhz) = fields.get("cpu MHz").and_then(|v| number(v)) {
            out.add(&FREQUENCY, mhz * 1e6, &place);
        }
        if first {
            collect_words(&FLAG, "flag", field("flags"), scrape.settings.cpu_info_flags.as_ref(), out);
            collect_words(&BUG, "bug", field("bugs"), scrape.settings.cpu_info_bugs.as_ref(), out);
            first = false;
        }
    }
    Ok(())
}

fn collect_words(
    family: &Description,
    label: &'static str,
    words: &str,
    include: Option<&Regex>,
    out: &mut Families,
) {
    let Some(include) = include else { return };
    for word in words.split_ascii_whitespace().filter(|w| include.is_match(w)) {
        out.add(family, 1.0, &[(label, word)]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn idle(cpu: &mut Cpu, stat: &str) -> Vec<(String, f64)> {
        let mut out = Families::default();
        cpu.collect_seconds(stat, &mut out);
        let families = out.finish();
        let points = families.iter().filter(|f| f.name == "node_cpu_seconds_total").flat_map(|f| &f.points);
        points
            .filter(|p| p.labels.iter().any(|(_, v)| v == "idle"))
            .map(|p| (p.labels[0].1.clone(), p.value))
            .collect()
    }

    #[test]
    fn counters_do_not_step_back_unless_a_cpu_was_replugged() {
        let mut cpu = Cpu::default();
        let at = |v: f64| vec![("0".to_owned(), v)];
        assert_eq!(idle(&mut cpu, "cpu  9 9\ncpu0 0 0 0 1000 0 0 0 0 0 0\n"), at(10.0));
        assert_eq!(idle(&mut cpu, "cpu0 0 0 0 900 0 0 0 0 0 0\n"), at(10.0));
        assert_eq!(idle(&mut cpu, "cpu0 0 0 0 100 0 0 0 0 0 0\n"), at(1.0));
    }

    #[test]
    fn a_cpu_that_went_offline_is_forgotten_and_a_bad_line_costs_itself() {
        let mut cpu = Cpu::default();
        assert_eq!(idle(&mut cpu, "cpu0 0 0 0 100\ncpu1 0 0 0 200\n").len(), 2);
        assert_eq!(idle(&mut cpu, "cpu0 0 x 0 100\ncpu1 0 0 0 200\n"), vec![("1".to_owned(), 2.0)]);
    }

    #[test]
    fn lists_of_cpus() {
        assert_eq!(parse_cpu_list("1,3-5,9"), vec![1, 3, 4, 5, 9]);
        assert_eq!(parse_cpu_list(""), Vec::<u32>::new());
        assert_eq!(parse_cpu_list("7-x,99999999999"), Vec::<u32>::new());
    }
}
