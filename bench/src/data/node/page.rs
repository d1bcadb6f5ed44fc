//! What stands on a page of node_exporter: about 1,200 series of a host with eight CPUs, modelled on the page of
//! Debian's package with the systemd collector on, and the request histogram of a web server beside it.

use super::motion::Motion;
use crate::random::Random;

/// A series without the labels that its target adds.
#[derive(Debug, Clone)]
pub(super) struct Template {
    pub(super) metric: String,
    pub(super) labels: Vec<(&'static str, String)>,
    pub(super) motion: Motion,
}

const CPUS: usize = 8;
const CPU_MODES: [(&str, f64); 8] = [
    ("idle", 0.8),
    ("iowait", 0.01),
    ("irq", 0.0),
    ("nice", 0.002),
    ("softirq", 0.005),
    ("steal", 0.001),
    ("system", 0.05),
    ("user", 0.12),
];
const DISKS: [&str; 4] = ["nvme0n1", "sda", "dm-0", "dm-1"];
const INTERFACES: [&str; 6] = ["lo", "eth0", "eth1", "bond0", "docker0", "veth3f2a"];
const MOUNTS: [(&str, &str, &str); 10] = [
    ("/dev/nvme0n1p2", "ext4", "/"),
    ("/dev/nvme0n1p1", "vfat", "/boot/efi"),
    ("/dev/mapper/vg-var", "xfs", "/var"),
    ("/dev/mapper/vg-data", "xfs", "/srv"),
    ("/dev/sda1", "ext4", "/backup"),
    ("tmpfs", "tmpfs", "/run"),
    ("tmpfs", "tmpfs", "/run/lock"),
    ("tmpfs", "tmpfs", "/run/user/1000"),
    ("tmpfs", "tmpfs", "/dev/shm"),
    ("overlay", "overlay", "/var/lib/docker/overlay2/a1"),
];
const UNITS: usize = 62;
const COLLECTORS: [&str; 42] = [
    "arp",
    "bcache",
    "bonding",
    "btrfs",
    "conntrack",
    "cpu",
    "cpufreq",
    "diskstats",
    "dmi",
    "edac",
    "entropy",
    "fibrechannel",
    "filefd",
    "filesystem",
    "hwmon",
    "infiniband",
    "ipvs",
    "loadavg",
    "mdadm",
    "meminfo",
    "netclass",
    "netdev",
    "netstat",
    "nfs",
    "nfsd",
    "nvme",
    "os",
    "powersupplyclass",
    "pressure",
    "rapl",
    "schedstat",
    "selinux",
    "sockstat",
    "softnet",
    "stat",
    "systemd",
    "tapestats",
    "textfile",
    "thermal_zone",
    "time",
    "timex",
    "vmstat",
];
const MEMORY: [&str; 50] = [
    "Active",
    "Active_anon",
    "Active_file",
    "AnonHugePages",
    "AnonPages",
    "Bounce",
    "Buffers",
    "Cached",
    "CommitLimit",
    "Committed_AS",
    "DirectMap1G",
    "DirectMap2M",
    "DirectMap4k",
    "Dirty",
    "FileHugePages",
    "FilePmdMapped",
    "HardwareCorrupted",
    "HugePages_Free",
    "HugePages_Rsvd",
    "HugePages_Surp",
    "HugePages_Total",
    "Hugepagesize",
    "Hugetlb",
    "Inactive",
    "Inactive_anon",
    "Inactive_file",
    "KReclaimable",
    "KernelStack",
    "Mapped",
    "MemAvailable",
    "MemFree",
    "MemTotal",
    "Mlocked",
    "NFS_Unstable",
    "PageTables",
    "Percpu",
    "SReclaimable",
    "SUnreclaim",
    "Shmem",
    "ShmemHugePages",
    "ShmemPmdMapped",
    "Slab",
    "SwapCached",
    "SwapFree",
    "SwapTotal",
    "Unevictable",
    "VmallocChunk",
    "VmallocTotal",
    "VmallocUsed",
    "Writeback",
];
/// Those of [`MEMORY`] that change while a host works.
const MEMORY_MOVES: [&str; 22] = [
    "Active",
    "Active_anon",
    "Active_file",
    "AnonPages",
    "Buffers",
    "Cached",
    "Committed_AS",
    "Dirty",
    "Inactive",
    "Inactive_anon",
    "Inactive_file",
    "KReclaimable",
    "KernelStack",
    "Mapped",
    "MemAvailable",
    "MemFree",
    "PageTables",
    "SReclaimable",
    "SUnreclaim",
    "Shmem",
    "Slab",
    "Writeback",
];
const NETSTAT: [(&str, f64); 44] = [
    ("Icmp6_InErrors", 0.0),
    ("Icmp6_InMsgs", 0.01),
    ("Icmp6_OutMsgs", 0.01),
    ("Icmp_InErrors", 0.0),
    ("Icmp_InMsgs", 0.1),
    ("Icmp_OutMsgs", 0.1),
    ("Ip6_InOctets", 500.0),
    ("Ip6_OutOctets", 500.0),
    ("IpExt_InOctets", 2e5),
    ("IpExt_OutOctets", 3e5),
    ("Ip_Forwarding", 0.0),
    ("TcpExt_ListenDrops", 0.0),
    ("TcpExt_ListenOverflows", 0.0),
    ("TcpExt_SyncookiesFailed", 0.0),
    ("TcpExt_SyncookiesRecv", 0.0),
    ("TcpExt_SyncookiesSent", 0.0),
    ("TcpExt_TCPSynRetrans", 0.02),
    ("TcpExt_TCPTimeouts", 0.02),
    ("Tcp_ActiveOpens", 3.0),
    ("Tcp_CurrEstab", -1.0),
    ("Tcp_InErrs", 0.0),
    ("Tcp_InSegs", 300.0),
    ("Tcp_OutRsts", 0.5),
    ("Tcp_OutSegs", 320.0),
    ("Tcp_PassiveOpens", 4.0),
    ("Tcp_RetransSegs", 0.1),
    ("Udp6_InDatagrams", 0.1),
    ("Udp6_InErrors", 0.0),
    ("Udp6_NoPorts", 0.0),
    ("Udp6_OutDatagrams", 0.1),
    ("Udp6_RcvbufErrors", 0.0),
    ("Udp6_SndbufErrors", 0.0),
    ("UdpLite6_InErrors", 0.0),
    ("UdpLite_InErrors", 0.0),
    ("Udp_InDatagrams", 10.0),
    ("Udp_InErrors", 0.0),
    ("Udp_NoPorts", 0.01),
    ("Udp_OutDatagrams", 10.0),
    ("Udp_RcvbufErrors", 0.0),
    ("Udp_SndbufErrors", 0.0),
    ("Tcp_MaxConn", 0.0),
    ("Ip_InReceives", 310.0),
    ("Ip_OutRequests", 330.0),
    ("Ip_InDiscards", 0.0),
];

/// Collects the series of a page.
struct Page<'a> {
    series: Vec<Template>,
    random: &'a mut Random,
}

impl Page<'_> {
    fn add(&mut self, metric: &str, labels: &[(&'static str, &str)], motion: Motion) {
        let labels = labels.iter().map(|(n, v)| (*n, (*v).to_owned())).collect();
        self.series.push(Template { metric: metric.to_owned(), labels, motion });
    }

    /// A counter of about this pace, within a factor of three between hosts; none at all if that is 0.
    fn counter(&mut self, metric: &str, labels: &[(&'static str, &str)], pace: f64) {
        let pace = pace * 3_f64.powf(self.random.between(-1.0, 1.0));
        let quiet = if pace < 1.0 { 0.5 } else { 0.0 };
        let motion = if pace == 0.0 { Motion::Constant(0.0) } else { Motion::Counter { pace, quiet } };
        self.add(metric, labels, motion);
    }

    fn seconds(&mut self, metric: &str, labels: &[(&'static str, &str)], share: f64, decimals: i32) {
        let share = share * self.random.between(0.5, 1.2);
        let motion = if share == 0.0 { Motion::Constant(0.0) } else { Motion::Seconds { share, decimals } };
        self.add(metric, labels, motion);
    }

    fn constants(&mut self, prefix: &str, names: &[(&str, f64)], labels: &[(&'static str, &str)]) {
        for (name, v) in names {
            self.add(&format!("{prefix}{name}"), labels, Motion::Constant(*v));
        }
    }
}

/// The series of one host, which has paces and sizes of its own.
pub(super) fn page(random: &mut Random) -> Vec<Template> {
    let mut page = Page { series: Vec::new(), random };
    cpus(&mut page);
    disks(&mut page);
    network(&mut page);
    memory(&mut page);
    kernel(&mut page);
    sensors_and_units(&mut page);
    exporter(&mut page);
    web_server(&mut page);
    page.series
}

fn cpus(page: &mut Page<'_>) {
    for cpu in 0..CPUS {
        let cpu = &cpu.to_string()[..];
        for (mode, share) in CPU_MODES {
            page.seconds("node_cpu_seconds_total", &[("cpu", cpu), ("mode", mode)], share, 2);
        }
        for mode in ["nice", "user"] {
            page.add("node_cpu_guest_seconds_total", &[("cpu", cpu), ("mode", mode)], Motion::Constant(0.0));
        }
        let of = [("cpu", cpu)];
        let frequency = Motion::Walk { low: 1.2e9, high: 3.4e9, step: 2e8, decimals: -6 };
        page.add("node_cpu_scaling_frequency_hertz", &of, frequency);
        page.constants(
            "node_cpu_",
            &[("scaling_frequency_max_hertz", 3.4e9), ("scaling_frequency_min_hertz", 1.2e9)],
            &of,
        );
        page.counter("node_cpu_core_throttles_total", &of, 0.0);
        page.seconds("node_schedstat_running_seconds_total", &of, 0.2, 9);
        page.seconds("node_schedstat_waiting_seconds_total", &of, 0.02, 9);
        page.counter("node_schedstat_timeslices_total", &of, 800.0);
        page.counter("node_softnet_processed_total", &of, 120.0);
        page.counter("node_softnet_dropped_total", &of, 0.0);
        page.counter("node_softnet_times_squeezed_total", &of, 0.01);
    }
}

fn disks(page: &mut Page<'_>) {
    for (i, device) in DISKS.into_iter().enumerate() {
        let of = [("device", device)];
        let busy = [1.0, 0.0, 0.7, 0.3][i];
        for (metric, pace) in [
            ("discards_completed_total", 0.02),
            ("discards_merged_total", 0.0),
            ("flush_requests_total", 1.0),
            ("reads_completed_total", 5.0),
            ("reads_merged_total", 0.5),
            ("writes_completed_total", 20.0),
            ("writes_merged_total", 8.0),
            ("read_bytes_total", 4e4),
            ("written_bytes_total", 1e5),
        ] {
            page.counter(&format!("node_disk_{metric}"), &of, pace * busy);
        }
        for (metric, share) in [
            ("discard_time_seconds_total", 0.0),
            ("flush_requests_time_seconds_total", 0.001),
            ("io_time_seconds_total", 0.03),
            ("io_time_weighted_seconds_total", 0.05),
            ("read_time_seconds_total", 0.01),
            ("write_time_seconds_total", 0.04),
        ] {
            page.seconds(&format!("node_disk_{metric}"), &of, share * busy, 3);
        }
        page.add(
            "node_disk_io_now",
            &of,
            Motion::Walk { low: 0.0, high: 3.0 * busy, step: 0.4, decimals: 0 },
        );
        page.add("node_disk_discarded_sectors_total", &of, Motion::Constant(0.0));
        let info = [("device", device), ("major", "259"), ("minor", &i.to_string()[..]), ("model", "MX500")];
        page.add("node_disk_info", &info, Motion::Constant(1.0));
    }
    for (device, fstype, mountpoint) in MOUNTS {
        let of = [("device", device), ("fstype", fstype), ("mountpoint", mountpoint)];
        let size = (page.random.between(1e9, 1e12) / 4096.0).trunc() * 4096.0;
        let busy = if fstype == "tmpfs" { 0.05 } else { 0.6 };
        let free = Motion::Bytes { low: size * 0.1, high: size * 0.6, busy };
        page.add("node_filesystem_avail_bytes", &of, free.clone());
        page.add("node_filesystem_free_bytes", &of, free);
        let files = Motion::Walk { low: 1e6, high: 9e6, step: 3.0, decimals: 0 };
        page.add("node_filesystem_files_free", &of, files);
        page.constants(
            "node_filesystem_",
            &[("size_bytes", size), ("files", 1e7), ("readonly", 0.0), ("device_error", 0.0)],
            &of,
        );
    }
}

fn network(page: &mut Page<'_>) {
    for (i, device) in INTERFACES.into_iter().enumerate() {
        let of = [("device", device)];
        let busy = [0.3, 1.0, 0.0, 1.0, 0.05, 0.1][i];
        for way in ["receive", "transmit"] {
            page.counter(&format!("node_network_{way}_bytes_total"), &of, 2e5 * busy);
            page.counter(&format!("node_network_{way}_packets_total"), &of, 300.0 * busy);
            page.counter(&format!("node_network_{way}_drop_total"), &of, 0.005 * busy);
            for silent in ["compressed", "errs", "fifo"] {
                page.counter(&format!("node_network_{way}_{silent}_total"), &of, 0.0);
            }
        }
        page.counter("node_network_receive_multicast_total", &of, 0.2 * busy);
        for silent in ["receive_frame", "receive_nohandler", "transmit_carrier", "transmit_colls"] {
            page.counter(&format!("node_network_{silent}_total"), &of, 0.0);
        }
        page.constants(
            "node_network_",
            &[
                ("address_assign_type", 0.0),
                ("carrier", 1.0),
                ("carrier_changes_total", 2.0),
                ("carrier_down_changes_total", 1.0),
                ("carrier_up_changes_total", 1.0),
                ("device_id", 0.0),
                ("dormant", 0.0),
                ("flags", 4099.0),
                ("iface_id", i as f64 + 1.0),
                ("iface_link", 2.0),
                ("mtu_bytes", 1500.0),
                ("net_dev_group", 0.0),
                ("protocol_type", 1.0),
                ("speed_bytes", 1.25e8),
                ("transmit_queue_length", 1000.0),
                ("up", 1.0),
            ],
            &of,
        );
        page.add("node_arp_entries", &of, Motion::Walk { low: 0.0, high: 9.0, step: 0.15, decimals: 0 });
    }
    for (name, pace) in NETSTAT {
        let metric = format!("node_netstat_{name}");
        if pace < 0.0 {
            page.add(&metric, &[], Motion::Walk { low: 20.0, high: 200.0, step: 3.0, decimals: 0 });
        } else {
            page.counter(&metric, &[], pace);
        }
    }
    for name in ["TCP_alloc", "TCP_inuse", "TCP_tw", "UDP_inuse", "sockets_used", "TCP_mem"] {
        let motion = Motion::Walk { low: 10.0, high: 300.0, step: 3.0, decimals: 0 };
        page.add(&format!("node_sockstat_{name}"), &[], motion);
    }
    for name in [
        "FRAG6_inuse",
        "FRAG6_memory",
        "FRAG_inuse",
        "FRAG_memory",
        "RAW6_inuse",
        "RAW_inuse",
        "TCP6_inuse",
        "TCP_orphan",
        "UDP6_inuse",
        "UDPLITE6_inuse",
        "UDPLITE_inuse",
        "UDP_mem",
    ] {
        page.add(&format!("node_sockstat_{name}"), &[], Motion::Constant(0.0));
    }
}

fn memory(page: &mut Page<'_>) {
    for name in MEMORY {
        let metric = format!("node_memory_{name}_bytes");
        if MEMORY_MOVES.contains(&name) {
            let high =
                if name == "MemAvailable" { 3e10 } else { 10_f64.powf(page.random.between(7.0, 10.3)) };
            page.add(&metric, &[], Motion::Bytes { low: high * 0.1, high, busy: 0.8 });
        } else {
            let v = if name == "MemTotal" { 33_564_663_808.0 } else { 0.0 };
            page.add(&metric, &[], Motion::Constant(v));
        }
    }
    for (name, pace) in [
        ("oom_kill", 0.0),
        ("pgfault", 3e3),
        ("pgmajfault", 0.1),
        ("pgpgin", 60.0),
        ("pgpgout", 300.0),
        ("pswpin", 0.0),
        ("pswpout", 0.0),
    ] {
        page.counter(&format!("node_vmstat_{name}"), &[], pace);
    }
}

fn kernel(page: &mut Page<'_>) {
    for name in ["cpu_waiting", "io_stalled", "io_waiting", "memory_stalled", "memory_waiting"] {
        let share = if name.starts_with("memory") { 0.0 } else { 0.01 };
        page.seconds(&format!("node_pressure_{name}_seconds_total"), &[], share, 6);
    }
    for (name, step) in [("node_load1", 0.15), ("node_load5", 0.04), ("node_load15", 0.015)] {
        page.add(name, &[], Motion::Walk { low: 0.0, high: 12.0, step, decimals: 2 });
    }
    page.counter("node_context_switches_total", &[], 8e3);
    page.counter("node_intr_total", &[], 5e3);
    page.counter("node_forks_total", &[], 4.0);
    page.add("node_procs_running", &[], Motion::Walk { low: 1.0, high: 9.0, step: 0.8, decimals: 0 });
    page.add("node_procs_blocked", &[], Motion::Walk { low: 0.0, high: 3.0, step: 0.2, decimals: 0 });
    page.add("node_time_seconds", &[], Motion::Clock);
    page.constants(
        "node_",
        &[
            ("boot_time_seconds", 1.7e9),
            ("time_zone_offset_seconds", 0.0),
            ("entropy_available_bits", 256.0),
            ("entropy_pool_size_bits", 256.0),
            ("filefd_maximum", 9.2e18),
            ("nf_conntrack_entries_limit", 262_144.0),
            ("selinux_enabled", 0.0),
            ("textfile_scrape_error", 0.0),
        ],
        &[],
    );
    page.add("node_filefd_allocated", &[], Motion::Walk { low: 1e3, high: 9e3, step: 20.0, decimals: -1 });
    page.add(
        "node_nf_conntrack_entries",
        &[],
        Motion::Walk { low: 50.0, high: 900.0, step: 9.0, decimals: 0 },
    );
    for vector in
        ["block", "hi", "hrtimer", "irq_poll", "net_rx", "net_tx", "rcu", "sched", "tasklet", "timer"]
    {
        page.counter("node_softirqs_total", &[("vector", vector)], 200.0);
    }
    for (name, step, decimals) in
        [("offset_seconds", 1e-5, 9), ("frequency_adjustment_ratio", 1e-8, 12), ("maxerror_seconds", 5e-3, 6)]
    {
        page.add(&format!("node_timex_{name}"), &[], Motion::Walk { low: 0.0, high: 1.0, step, decimals });
    }
    page.constants(
        "node_timex_",
        &[
            ("estimated_error_seconds", 0.0),
            ("loop_time_constant", 7.0),
            ("pps_calibration_total", 0.0),
            ("pps_error_total", 0.0),
            ("pps_frequency_hertz", 0.0),
            ("pps_jitter_seconds", 0.0),
            ("pps_jitter_total", 0.0),
            ("pps_shift_seconds", 0.0),
            ("pps_stability_exceeded_total", 0.0),
            ("pps_stability_hertz", 0.0),
            ("status", 24_577.0),
            ("sync_status", 1.0),
            ("tai_offset_seconds", 37.0),
            ("tick_seconds", 0.01),
        ],
        &[],
    );
}

fn sensors_and_units(page: &mut Page<'_>) {
    for sensor in 0..12 {
        let of = [("chip", "platform_coretemp_0"), ("sensor", &format!("temp{}", sensor + 1)[..])];
        let motion = Motion::Walk { low: 30.0, high: 80.0, step: 0.7, decimals: 0 };
        page.add("node_hwmon_temp_celsius", &of, motion);
        page.constants("node_hwmon_temp_", &[("crit_celsius", 100.0), ("max_celsius", 82.0)], &of);
    }
    for unit in 0..UNITS {
        let name = format!("unit-{unit:02}.service");
        let active = if unit % 5 == 0 { "inactive" } else { "active" };
        for state in ["activating", "active", "deactivating", "failed", "inactive"] {
            let of = [("name", &name[..]), ("state", state), ("type", "simple")];
            let v = f64::from(u8::from(state == active));
            page.add("node_systemd_unit_state", &of, Motion::Constant(v));
        }
    }
    let uname = [
        ("domainname", "(none)"),
        ("machine", "x86_64"),
        ("nodename", "node"),
        ("release", "6.1.0"),
        ("sysname", "Linux"),
    ];
    page.add("node_uname_info", &uname, Motion::Constant(1.0));
    page.add("node_os_info", &[("id", "debian"), ("version_id", "12")], Motion::Constant(1.0));
    page.add("node_dmi_info", &[("bios_vendor", "acme"), ("product_name", "box")], Motion::Constant(1.0));
}

fn exporter(page: &mut Page<'_>) {
    for collector in COLLECTORS {
        let of = [("collector", collector)];
        page.add("node_scrape_collector_duration_seconds", &of, Motion::Noise { low: 1e-5, high: 9e-3 });
        page.add("node_scrape_collector_success", &of, Motion::Constant(1.0));
    }
    page.add("node_exporter_build_info", &[("version", "1.5.0")], Motion::Constant(1.0));
    page.add("go_info", &[("version", "go1.19.8")], Motion::Constant(1.0));
    page.add("go_goroutines", &[], Motion::Walk { low: 7.0, high: 12.0, step: 0.3, decimals: 0 });
    page.add("go_threads", &[], Motion::Constant(11.0));
    for name in [
        "alloc_bytes",
        "heap_alloc_bytes",
        "heap_idle_bytes",
        "heap_inuse_bytes",
        "heap_objects",
        "heap_released_bytes",
        "next_gc_bytes",
        "stack_inuse_bytes",
        "mspan_inuse_bytes",
        "last_gc_time_seconds",
    ] {
        page.add(&format!("go_memstats_{name}"), &[], Motion::Noise { low: 1e6, high: 9e6 });
    }
    for name in [
        "buck_hash_sys_bytes",
        "gc_sys_bytes",
        "heap_sys_bytes",
        "lookups_total",
        "mcache_inuse_bytes",
        "mcache_sys_bytes",
        "mspan_sys_bytes",
        "other_sys_bytes",
        "stack_sys_bytes",
        "sys_bytes",
    ] {
        page.add(&format!("go_memstats_{name}"), &[], Motion::Constant(1_638_400.0));
    }
    for name in ["alloc_bytes_total", "frees_total", "mallocs_total"] {
        page.counter(&format!("go_memstats_{name}"), &[], 5e4);
    }
    for quantile in ["0", "0.25", "0.5", "0.75", "1"] {
        page.add(
            "go_gc_duration_seconds",
            &[("quantile", quantile)],
            Motion::Walk { low: 1e-5, high: 9e-4, step: 1e-6, decimals: 9 },
        );
    }
    page.seconds("go_gc_duration_seconds_sum", &[], 1e-4, 9);
    page.counter("go_gc_duration_seconds_count", &[], 0.05);
    page.seconds("process_cpu_seconds_total", &[], 0.003, 2);
    page.add("process_resident_memory_bytes", &[], Motion::Bytes { low: 1.2e7, high: 3e7, busy: 0.2 });
    page.add("process_open_fds", &[], Motion::Walk { low: 9.0, high: 12.0, step: 0.3, decimals: 0 });
    page.constants(
        "process_",
        &[
            ("max_fds", 524_288.0),
            ("start_time_seconds", 1.7e9 + 0.82),
            ("virtual_memory_bytes", 7.4e8),
            ("virtual_memory_max_bytes", 1.8e19),
        ],
        &[],
    );
    page.constants("promhttp_", &[("metric_handler_requests_in_flight", 1.0)], &[]);
    for (code, pace) in [("200", 0.1), ("500", 0.0), ("503", 0.0)] {
        page.counter("promhttp_metric_handler_requests_total", &[("code", code)], pace);
    }
}

/// Upper ends of the buckets with the share of requests below each.
const BUCKETS: [(&str, f64); 12] = [
    ("0.005", 0.05),
    ("0.01", 0.15),
    ("0.025", 0.4),
    ("0.05", 0.6),
    ("0.1", 0.75),
    ("0.25", 0.88),
    ("0.5", 0.94),
    ("1", 0.97),
    ("2.5", 0.99),
    ("5", 0.997),
    ("10", 0.9995),
    ("+Inf", 1.0),
];

fn web_server(page: &mut Page<'_>) {
    for (handler, pace) in [("/", 40.0), ("/login", 3.0), ("/api", 120.0)] {
        let pace = pace * page.random.between(0.5, 2.0);
        for (le, share) in BUCKETS {
            let of = [("handler", handler), ("le", le)];
            page.add("http_request_duration_seconds_bucket", &of, Motion::Bucket { pace, share });
        }
        let of = [("handler", handler)];
        page.add("http_request_duration_seconds_count", &of, Motion::Bucket { pace, share: 1.0 });
        page.seconds("http_request_duration_seconds_sum", &of, 0.5, 6);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn a_page_is_as_long_as_a_real_one() {
        let page = page(&mut Random::new(1));
        assert!((1_150..1_250).contains(&page.len()), "{} series", page.len());
        let distinct: BTreeSet<String> = page.iter().map(|t| format!("{}{:?}", t.metric, t.labels)).collect();
        assert_eq!(distinct.len(), page.len());
        let constant = page.iter().filter(|t| matches!(t.motion, Motion::Constant(_))).count();
        let share = constant as f64 / page.len() as f64;
        assert!((0.5..0.75).contains(&share), "{share} of the series are constant");
    }
}
