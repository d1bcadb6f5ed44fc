//! The machine that a benchmark ran on: what matters for its numbers, and nothing that names it.

use serde_json::{Value, json};

/// Kind and size of the machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Machine {
    cpu: String,
    cores: usize,
    memory_bytes: u64,
    kernel: String,
}

impl Machine {
    /// The machine this runs on.
    pub(crate) fn this() -> Self {
        let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
        Self::from_proc(&read("/proc/cpuinfo"), &read("/proc/meminfo"), &read("/proc/sys/kernel/osrelease"))
    }

    fn from_proc(cpuinfo: &str, meminfo: &str, release: &str) -> Self {
        let value = |line: &str| line.split_once(':').map(|(_, v)| v.trim().to_owned());
        let cpu = cpuinfo.lines().find(|l| l.starts_with("model name")).and_then(value);
        let cores = cpuinfo.lines().filter(|l| l.starts_with("processor")).count();
        let memory = meminfo.lines().find(|l| l.starts_with("MemTotal:")).and_then(value);
        let kib = memory.and_then(|m| m.split_whitespace().next()?.parse::<u64>().ok()).unwrap_or(0);
        // What follows the number is how somebody built the kernel, which may name a place.
        let kernel = release.trim().split(['-', '+']).next().unwrap_or("").to_owned();
        Self { cpu: cpu.unwrap_or_else(|| "unknown CPU".to_owned()), cores, memory_bytes: kib * 1024, kernel }
    }

    /// One line.
    pub(crate) fn text(&self) -> String {
        let gib = self.memory_bytes as f64 / f64::from(1 << 30);
        format!("{}, {} cores, {gib:.0} GiB of memory, Linux {}", self.cpu, self.cores, self.kernel)
    }

    pub(super) fn json(&self) -> Value {
        json!({
            "cpu": self.cpu,
            "cores": self.cores,
            "memory_bytes": self.memory_bytes,
            "kernel": self.kernel,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn says_what_matters() {
        let cpuinfo = "processor\t: 0\nmodel name\t: AMD EPYC\n\nprocessor\t: 1\nmodel name\t: AMD EPYC\n";
        let machine = Machine::from_proc(cpuinfo, "MemTotal:       16777216 kB\n", "6.1.0-37-someplace\n");
        assert_eq!(machine.text(), "AMD EPYC, 2 cores, 16 GiB of memory, Linux 6.1.0");
        assert!(Machine::this().cores > 0);
    }
}
