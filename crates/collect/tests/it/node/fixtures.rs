//! node_exporter's own end-to-end test: its trees of `/proc` and `/sys`, and what it says of them.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use collect::exporters::node::{Filter, NodeSettings};
use regex::Regex;

use super::exposition_text::{TextFamily, parse};
use super::{frozen, ttar};
use crate::conformance;

/// Families that end-to-end test has and we do not, by the start of their names, with the reason.
const NOT_COVERED: [(&str, &str); 36] = [
    ("go_", "the Go runtime of node_exporter itself"),
    ("process_", "the process of node_exporter itself"),
    ("promhttp_", "the HTTP server of node_exporter itself"),
    ("node_exporter_build_info", "node_exporter itself"),
    ("node_bcache", "no bcache collector"),
    ("node_bcachefs", "no bcachefs collector"),
    ("node_btrfs", "no btrfs collector"),
    ("node_buddyinfo", "off by default"),
    ("node_cgroups", "off by default"),
    ("node_cpu_vulnerabilities", "off by default"),
    ("node_dmmultipath", "no dmmultipath collector"),
    ("node_drbd", "off by default"),
    ("node_fibrechannel", "no fibrechannel collector"),
    ("node_infiniband", "no infiniband collector"),
    ("node_interrupts", "off by default"),
    ("node_ipvs", "no ipvs collector"),
    ("node_ksmd", "off by default"),
    ("node_lnstat", "off by default"),
    ("node_memory_numa", "off by default"),
    ("node_mountstats", "off by default"),
    ("node_nfs_", "no nfs collector"),
    ("node_nfsd", "no nfsd collector"),
    ("node_pcidevice", "off by default"),
    ("node_processes", "off by default"),
    ("node_qdisc", "off by default"),
    ("node_slabinfo", "off by default"),
    ("node_softirqs_functions_total", "off by default"),
    ("node_sysctl", "off by default"),
    ("node_tape", "no tapestats collector"),
    ("node_textfile", "no textfile collector"),
    ("testmetric", "no textfile collector"),
    ("node_wifi", "off by default"),
    ("node_xfrm", "off by default"),
    ("node_xfs", "no xfs collector"),
    ("node_zfs", "no zfs collector"),
    ("node_zoneinfo", "off by default"),
];

/// Families that we have and the expected output has not, by the start of their names, with the reason.
const NOT_EXPECTED: [(&str, &str); 11] = [
    ("node_time_seconds", "left out of the comparison upstream: the time of the run"),
    ("node_time_zone_offset_seconds", "left out of the comparison upstream: the time of the run"),
    ("node_network_receive_bytes_total", "left out of the comparison upstream: the traffic of the run"),
    ("node_network_receive_packets_total", "left out of the comparison upstream: the traffic of the run"),
    ("node_network_transmit_bytes_total", "left out of the comparison upstream: the traffic of the run"),
    ("node_network_transmit_packets_total", "left out of the comparison upstream: the traffic of the run"),
    ("node_memory_", "a field of the fixture that is not on node_exporter's list"),
    ("node_filesystem_", "switched off upstream: the mounts of the runner"),
    ("node_selinux_", "switched off upstream"),
    ("node_timex_", "switched off upstream: the clock of the runner"),
    ("node_uname_", "switched off upstream: the runner"),
];

fn settings() -> NodeSettings {
    let pattern = |p: &str| Some(Regex::new(p).expect("a good pattern"));
    NodeSettings {
        arp_devices: Filter { exclude: pattern("nope"), include: None },
        cpu_info: true,
        cpu_info_flags: pattern("^(aes|avx.?|constant_tsc)$"),
        cpu_info_bugs: pattern("^(cpu_meltdown|spectre_.*|mds)$"),
        hwmon_chips: Filter {
            exclude: None,
            include: pattern("(applesmc|asus_nb_wmi|coretemp|hwmon4|ieee80211|nct6779)"),
        },
        netclass_devices: Filter { exclude: pattern("(dmz|int|^lo$)"), include: None },
        netclass_ignore_invalid_speed: true,
        netdev_devices: Filter { exclude: None, include: pattern("lo") },
        softirqs: true,
        ..NodeSettings::default()
    }
}

#[test]
fn says_of_the_fixtures_what_node_exporter_says() {
    const SUITE: &str = "node_exporter end-to-end";
    let Some(data) = conformance::locate(SUITE, "node_exporter/collector/fixtures") else { return };
    let root = tempfile::tempdir().expect("a temporary folder");
    copy_folder(&data.join("proc"), &root.path().join("proc"));
    ttar::unpack(&data.join("sys.ttar"), root.path());
    ttar::unpack(&data.join("udev.ttar"), root.path());
    // Upstream asks its own kernel for `lo` by netlink, where the runner has seen no packet.
    let headings = "Inter-| Receive | Transmit\n face |bytes |bytes\n";
    let lo = format!("{headings}    lo:{}\n", " 0".repeat(16));
    fs::write(root.path().join("proc/net/dev"), lo).expect("a file can be written");
    // The netclass collector of upstream finds no such folder, so the settings leave it out there.
    fs::create_dir_all(root.path().join("sys/class/net/lo/statistics")).expect("a folder can be made");
    fs::write(root.path().join("sys/class/net/lo/statistics/rx_nohandler"), "0\n")
        .expect("a file can be written");

    // The file is not among the data; this is what the expected output was made from, as far as it tells.
    let os_release = "NAME=\"Ubuntu\"\nVERSION=\"20.04.2 LTS (Focal Fossa)\"\nID=ubuntu\nID_LIKE=debian\n\
                      PRETTY_NAME=\"Ubuntu 20.04.2 LTS\"\nVERSION_ID=\"20.04\"\nVERSION_CODENAME=focal\n";
    fs::create_dir_all(root.path().join("usr/lib")).expect("a folder can be made");
    fs::write(root.path().join("usr/lib/os-release"), os_release).expect("a file can be written");

    let text = frozen::collect_text(frozen::options(root.path(), settings()));
    let text = text.replace(&*root.path().to_string_lossy(), "collector/fixtures");
    let got = parse(&text);
    let want = fs::read_to_string(data.join("e2e-output.txt")).expect("the expected output can be read");
    let summary = compare(&got, &parse(&want));
    println!(
        "{SUITE}: {} of {} families, {} samples equal",
        summary.families, summary.expected_families, summary.samples
    );
    for ((start, reason), count) in &summary.not_covered {
        println!("{SUITE}: not covered: {start}*, {count} families: {reason}");
    }
    for entry in &NOT_COVERED {
        assert!(summary.not_covered.contains_key(entry), "the exception {entry:?} explains nothing");
    }
    assert!(summary.differences.is_empty(), "{}", summary.differences.join("\n"));
    assert_eq!((summary.families, summary.samples), (330, 1021), "the counts of what is compared");
}

#[derive(Default)]
struct Summary {
    families: usize,
    expected_families: usize,
    samples: usize,
    differences: Vec<String>,
    not_covered: BTreeMap<(&'static str, &'static str), usize>,
}

/// Whether we may have what the expected output has not.
fn is_extra(name: &str) -> bool {
    NOT_EXPECTED.iter().any(|(start, _)| name.starts_with(start))
}

fn compare(got: &BTreeMap<String, TextFamily>, want: &BTreeMap<String, TextFamily>) -> Summary {
    let mut summary = Summary { expected_families: want.len(), ..Summary::default() };
    let mut differ = |what: String| summary.differences.push(what);
    for (name, want) in want {
        let Some(got) = got.get(name) else {
            match NOT_COVERED.iter().rfind(|(start, _)| name.starts_with(start)) {
                Some(entry) => *summary.not_covered.entry(*entry).or_default() += 1,
                None => differ(format!("{name} is missing")),
            }
            continue;
        };
        if (&got.help, &got.metric_type) != (&want.help, &want.metric_type) {
            differ(format!(
                "{name}: {} {:?}, want {} {:?}",
                got.metric_type, got.help, want.metric_type, want.help
            ));
        }
        for (series, value) in &want.samples {
            match got.samples.get(series) {
                Some(v) if v == value => summary.samples += 1,
                Some(v) => differ(format!("{series} is {v}, want {value}")),
                // Of the collectors that we lack.
                None if name.starts_with("node_scrape_collector_") => {}
                None => differ(format!("{series} is missing")),
            }
        }
        for series in got.samples.keys().filter(|s| !want.samples.contains_key(*s)) {
            if !name.starts_with("node_scrape_collector_") && !is_extra(name) {
                differ(format!("{series} is not expected"));
            }
        }
        summary.families += 1;
    }
    for name in got.keys().filter(|n| !want.contains_key(*n)) {
        if !is_extra(name) {
            differ(format!("{name} is not expected"));
        }
    }
    summary
}

pub(super) fn copy_folder(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a folder can be made");
    for entry in fs::read_dir(from).expect("a folder can be read") {
        let entry = entry.expect("a folder can be read");
        let (from, to) = (entry.path(), to.join(entry.file_name()));
        let kind = entry.file_type().expect("an entry has a type");
        if kind.is_dir() {
            copy_folder(&from, &to);
        } else if kind.is_symlink() {
            let target = fs::read_link(&from).expect("a link can be read");
            std::os::unix::fs::symlink(target, &to).expect("a link can be made");
        } else {
            fs::write(&to, fs::read(&from).expect("a file can be read")).expect("a file can be written");
        }
    }
}
