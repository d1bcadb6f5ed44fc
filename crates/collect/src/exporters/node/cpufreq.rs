//! CPU frequencies and governors.

use super::tree::{attribute, integer};
use super::{Failure, Scrape, Tree};
use crate::family::{Description, Families, gauge};

/// Files below `cpufreq`, in kilohertz.
const FREQUENCIES: [(&str, Description); 7] = [
    ("cpuinfo_cur_freq", gauge("node_cpu_frequency_hertz", "Current CPU thread frequency in hertz.")),
    ("cpuinfo_avg_freq", gauge("node_cpu_frequency_avg_hertz", "Average CPU thread frequency in hertz.")),
    ("cpuinfo_min_freq", gauge("node_cpu_frequency_min_hertz", "Minimum CPU thread frequency in hertz.")),
    ("cpuinfo_max_freq", gauge("node_cpu_frequency_max_hertz", "Maximum CPU thread frequency in hertz.")),
    (
        "scaling_cur_freq",
        gauge("node_cpu_scaling_frequency_hertz", "Current scaled CPU thread frequency in hertz."),
    ),
    (
        "scaling_min_freq",
        gauge("node_cpu_scaling_frequency_min_hertz", "Minimum scaled CPU thread frequency in hertz."),
    ),
    (
        "scaling_max_freq",
        gauge("node_cpu_scaling_frequency_max_hertz", "Maximum scaled CPU thread frequency in hertz."),
    ),
];
const GOVERNOR: Description = gauge("node_cpu_scaling_governor", "Current enabled CPU frequency governor.");

pub(super) fn collect(scrape: &Scrape, out: &mut Families) -> Result<(), Failure> {
    for (cpu, folder) in Tree::numbered(&scrape.tree.sys.join("devices/system/cpu"), "cpu")? {
        let folder = folder.join("cpufreq");
        // Offline CPUs and guests have none.
        if !folder.is_dir() {
            continue;
        }
        for (file, family) in &FREQUENCIES {
            if let Ok(text) = attribute(&folder.join(file))
                && let Some(kilohertz) = integer(&text)
            {
                out.add(family, kilohertz as f64 * 1000.0, &[("cpu", &cpu)]);
            }
        }
        let (Ok(governor), Ok(available)) = (
            attribute(&folder.join("scaling_governor")),
            attribute(&folder.join("scaling_available_governors")),
        ) else {
            continue;
        };
        for one in available.split(' ').filter(|_| !governor.is_empty()) {
            let enabled = f64::from(u8::from(one == governor));
            out.add(&GOVERNOR, enabled, &[("cpu", &cpu), ("governor", one)]);
        }
    }
    Ok(())
}
