//! Time that CPUs ran tasks, and tasks waited for them.

use super::tree::number;
use super::{Failure, Scrape, Unreadable};
use crate::family::{Description, Families, counter};

const NANOSECONDS: f64 = 1e9;

/// Columns of a cpu line after its name, with the divisor to base units.
const COLUMNS: [(usize, f64, Description); 3] = [
    (
        6,
        NANOSECONDS,
        counter("node_schedstat_running_seconds_total", "Number of seconds CPU spent running a process."),
    ),
    (
        7,
        NANOSECONDS,
        counter(
            "node_schedstat_waiting_seconds_total",
            "Number of seconds spent by processing waiting for this CPU.",
        ),
    ),
    (8, 1.0, counter("node_schedstat_timeslices_total", "Number of timeslices executed by CPU.")),
];

pub(super) fn collect(scrape: &Scrape, out: &mut Families) -> Result<(), Failure> {
    let text = scrape.tree.proc("schedstat").map_err(Unreadable::or_no_data)?;
    for line in text.lines() {
        let mut words = line.split_ascii_whitespace();
        let Some(cpu) = words.next().and_then(|w| w.strip_prefix("cpu")) else { continue };
        let values: Vec<f64> = words.map_while(number).collect();
        for (column, divisor, family) in &COLUMNS {
            if let Some(value) = values.get(*column) {
                out.add(family, value / divisor, &[("cpu", cpu)]);
            }
        }
    }
    Ok(())
}
