//! Interrupts, context switches, forks, running and blocked tasks, and the time of boot, from `/proc/stat`.

use super::tree::number;
use super::{Failure, Scrape};
use crate::family::{Description, Families, counter, gauge};

/// Keys of the file, whose first value is told.
const FIELDS: [(&str, Description); 6] = [
    ("intr", counter("node_intr_total", "Total number of interrupts serviced.")),
    ("ctxt", counter("node_context_switches_total", "Total number of context switches.")),
    ("processes", counter("node_forks_total", "Total number of forks.")),
    ("btime", gauge("node_boot_time_seconds", "Node boot time, in unixtime.")),
    ("procs_running", gauge("node_procs_running", "Number of processes in runnable state.")),
    (
        "procs_blocked",
        gauge("node_procs_blocked", "Number of processes blocked waiting for I/O to complete."),
    ),
];
const SOFTIRQS: Description = counter("node_softirqs_total", "Number of softirq calls.");

/// The vectors of the softirq line, after its total.
const VECTORS: [&str; 10] =
    ["hi", "timer", "net_tx", "net_rx", "block", "block_iopoll", "tasklet", "sched", "hrtimer", "rcu"];

pub(super) fn collect(scrape: &Scrape, out: &mut Families) -> Result<(), Failure> {
    for line in scrape.proc_stat()?.lines() {
        // The interrupt line is very long: look at no more of it than is told.
        let Some((key, rest)) = line.split_once(' ') else { continue };
        let mut values = rest.split(' ').map_while(number);
        if let Some((_, family)) = FIELDS.iter().find(|(k, _)| *k == key)
            && let Some(value) = values.next()
        {
            out.add(family, value, &[]);
        }
        if key == "softirq" && scrape.settings.softirqs {
            for (vector, value) in VECTORS.iter().zip(values.skip(1)) {
                out.add(&SOFTIRQS, value, &[("vector", vector)]);
            }
        }
    }
    Ok(())
}
