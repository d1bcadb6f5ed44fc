//! Load averages.

use super::tree::{malformed, number};
use super::{Failure, Scrape};
use crate::family::{Description, Families, gauge};

const LOADS: [Description; 3] = [
    gauge("node_load1", "1m load average."),
    gauge("node_load5", "5m load average."),
    gauge("node_load15", "15m load average."),
];

pub(super) fn collect(scrape: &Scrape, out: &mut Families) -> Result<(), Failure> {
    let text = scrape.tree.proc("loadavg")?;
    let mut fields = text.split_ascii_whitespace();
    for family in &LOADS {
        let load = fields.next().and_then(number).ok_or_else(|| malformed("loadavg", &text))?;
        out.add(family, load, &[]);
    }
    Ok(())
}
