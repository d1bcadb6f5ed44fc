//! Pressure stall information: time that tasks waited for a resource.

use super::tree::malformed;
use super::{Failure, Scrape};
use crate::family::{Description, Families, counter};

/// Resource, line of its file, and what its total becomes. The CPU has no useful `full`, interrupts have no `some`.
const TOTALS: [(&str, &str, Description); 6] = [
    (
        "cpu",
        "some",
        counter(
            "node_pressure_cpu_waiting_seconds_total",
            "Total time in seconds that processes have waited for CPU time",
        ),
    ),
    (
        "io",
        "some",
        counter(
            "node_pressure_io_waiting_seconds_total",
            "Total time in seconds that processes have waited due to IO congestion",
        ),
    ),
    (
        "io",
        "full",
        counter(
            "node_pressure_io_stalled_seconds_total",
            "Total time in seconds no process could make progress due to IO congestion",
        ),
    ),
    (
        "memory",
        "some",
        counter(
            "node_pressure_memory_waiting_seconds_total",
            "Total time in seconds that processes have waited for memory",
        ),
    ),
    (
        "memory",
        "full",
        counter(
            "node_pressure_memory_stalled_seconds_total",
            "Total time in seconds no process could make progress due to memory congestion",
        ),
    ),
    (
        "irq",
        "full",
        counter(
            "node_pressure_irq_stalled_seconds_total",
            "Total time in seconds no process could make progress due to IRQ congestion",
        ),
    ),
];

pub(super) fn collect(scrape: &Scrape, out: &mut Families) -> Result<(), Failure> {
    let mut found = false;
    for resource in ["cpu", "io", "memory", "irq"] {
        let text = match scrape.tree.proc(&format!("pressure/{resource}")) {
            Ok(text) => text,
            // Older kernels have none, or not that of interrupts; `psi=0` makes the files answer EOPNOTSUPP.
            Err(e) if e.is_missing() => continue,
            Err(e) if e.is_absent_value() => return Err(Failure::NoData),
            Err(e) => return Err(e.into()),
        };
        for (_, line, family) in TOTALS.iter().filter(|(r, _, _)| *r == resource) {
            let microseconds = total(&text, line).ok_or_else(|| malformed(resource, &text))?;
            out.add(family, microseconds as f64 / 1000.0 / 1000.0, &[]);
        }
        found = true;
    }
    if found { Ok(()) } else { Err(Failure::NoData) }
}

/// The total of `some avg10=0.00 avg60=0.00 avg300=0.00 total=14036781`.
fn total(text: &str, kind: &str) -> Option<u64> {
    let line = text.lines().find_map(|l| l.strip_prefix(kind))?;
    line.split_ascii_whitespace().find_map(|f| f.strip_prefix("total="))?.parse().ok()
}
