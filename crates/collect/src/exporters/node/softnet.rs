//! Packets on their way from the devices into the network stack, per CPU.

use super::tree::malformed;
use super::{Failure, Scrape};
use crate::family::{Description, Families, counter, gauge};

/// Columns of a line, in hexadecimal.
const COLUMNS: [(usize, Description); 7] = [
    (0, counter("node_softnet_processed_total", "Number of processed packets")),
    (1, counter("node_softnet_dropped_total", "Number of dropped packets")),
    (2, counter("node_softnet_times_squeezed_total", "Number of times processing packets ran out of quota")),
    (
        8,
        counter(
            "node_softnet_cpu_collision_total",
            "Number of collision occur while obtaining device lock while transmitting",
        ),
    ),
    (9, counter("node_softnet_received_rps_total", "Number of times cpu woken up received_rps")),
    (10, counter("node_softnet_flow_limit_count_total", "Number of times flow limit has been reached")),
    (11, gauge("node_softnet_backlog_len", "Softnet backlog status")),
];

/// The columns of the oldest kernel with this file.
const COLUMNS_LEAST: usize = 9;
/// Since Linux 5.14 a line says which CPU it is of; offline ones are left out.
const CPU_COLUMN: usize = 12;

pub(super) fn collect(scrape: &Scrape, out: &mut Families) -> Result<(), Failure> {
    const FILE: &str = "net/softnet_stat";
    let text = scrape.tree.proc(FILE)?;
    for (index, line) in text.lines().enumerate() {
        let values: Vec<u32> =
            line.split_ascii_whitespace().map_while(|w| u32::from_str_radix(w, 16).ok()).collect();
        if values.len() < COLUMNS_LEAST {
            return Err(malformed(FILE, line));
        }
        let cpu = values.get(CPU_COLUMN).map_or_else(|| index.to_string(), u32::to_string);
        let has_backlog = values.len() > CPU_COLUMN;
        for (column, family) in &COLUMNS {
            // The backlog came together with the CPU; what a kernel does not tell is zero, as node_exporter has it.
            let value = values.get(*column).filter(|_| *column < 11 || has_backlog).copied().unwrap_or(0);
            out.add(family, f64::from(value), &[("cpu", &cpu)]);
        }
    }
    Ok(())
}
