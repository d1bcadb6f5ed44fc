//! Which devices, mounts and fields are collected. The defaults are node_exporter's.

use regex::Regex;

/// Chooses names by two patterns, either of which may be absent.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// Names that match are left out.
    pub exclude: Option<Regex>,
    /// Names that do not match are left out.
    pub include: Option<Regex>,
}

impl Filter {
    /// A filter that leaves out what matches.
    fn excluding(pattern: &str) -> Self {
        Self { exclude: Some(built_in(pattern)), include: None }
    }

    /// Whether a name is left out.
    pub(super) fn ignores(&self, name: &str) -> bool {
        self.exclude.as_ref().is_some_and(|p| p.is_match(name))
            || self.include.as_ref().is_some_and(|p| !p.is_match(name))
    }
}

/// What is collected, of that which the host has. Each field says the flag of node_exporter that it stands for.
#[derive(Debug, Clone)]
pub struct NodeSettings {
    /// `collector.arp.device-*`
    pub arp_devices: Filter,
    /// `collector.cpu.info`
    pub cpu_info: bool,
    /// `collector.cpu.info.flags-include`
    pub cpu_info_flags: Option<Regex>,
    /// `collector.cpu.info.bugs-include`
    pub cpu_info_bugs: Option<Regex>,
    /// `collector.diskstats.device-*`
    pub disks: Filter,
    /// `collector.filesystem.mount-points-*`
    pub mount_points: Filter,
    /// `collector.filesystem.fs-types-*`
    pub filesystem_types: Filter,
    /// `collector.hwmon.chip-*`
    pub hwmon_chips: Filter,
    /// `collector.hwmon.sensor-*`, matched against `chip;sensor`
    pub hwmon_sensors: Filter,
    /// `collector.netclass.ignored-devices`
    pub netclass_devices: Filter,
    /// `collector.netclass.ignore-invalid-speed`
    pub netclass_ignore_invalid_speed: bool,
    /// `collector.netdev.device-*`
    pub netdev_devices: Filter,
    /// `collector.netstat.fields`
    pub netstat_fields: Regex,
    /// `collector.powersupply.ignored-supplies`
    pub power_supplies: Filter,
    /// `collector.stat.softirq`
    pub softirqs: bool,
    /// `collector.vmstat.fields`
    pub vmstat_fields: Regex,
}

impl Default for NodeSettings {
    fn default() -> Self {
        Self {
            arp_devices: Filter::default(),
            cpu_info: false,
            cpu_info_flags: None,
            cpu_info_bugs: None,
            disks: Filter::excluding(r"^(z?ram|loop|fd|(h|s|v|xv)d[a-z]|nvme[0-9]+n[0-9]+p)[0-9]+$"),
            mount_points: Filter::excluding(concat!(
                "^/(dev|proc|run/credentials/.+|sys|var/lib/docker/.+|",
                "var/lib/containers/storage/.+)($|/)"
            )),
            filesystem_types: Filter::excluding(concat!(
                "^(autofs|binfmt_misc|bpf|cgroup2?|configfs|debugfs|devpts|devtmpfs|fusectl|hugetlbfs|iso9660|",
                "mqueue|nsfs|overlay|proc|procfs|pstore|rpc_pipefs|securityfs|selinuxfs|squashfs|erofs|sysfs|tracefs)$"
            )),
            hwmon_chips: Filter::default(),
            hwmon_sensors: Filter::default(),
            netclass_devices: Filter::default(),
            netclass_ignore_invalid_speed: false,
            netdev_devices: Filter::default(),
            netstat_fields: built_in(concat!(
                "^(.*_(InErrors|InErrs)|Ip_Forwarding|Ip(6|Ext)_(InOctets|OutOctets)|Icmp6?_(InMsgs|OutMsgs)|",
                "TcpExt_(Listen.*|Syncookies.*|TCPSynRetrans|TCPTimeouts|TCPOFOQueue|TCPRcvQDrop)|",
                "Tcp_(ActiveOpens|InSegs|OutSegs|OutRsts|PassiveOpens|RetransSegs|CurrEstab)|",
                "Udp6?_(InDatagrams|OutDatagrams|NoPorts|RcvbufErrors|SndbufErrors))$"
            )),
            power_supplies: Filter::default(),
            softirqs: false,
            vmstat_fields: built_in("^(oom_kill|pgpg|pswp|pg.*fault).*"),
        }
    }
}

fn built_in(pattern: &str) -> Regex {
    Regex::new(pattern).expect("a built-in pattern is tested to be valid")
}
