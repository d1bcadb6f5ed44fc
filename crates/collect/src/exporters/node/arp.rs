//! ARP entries per device, from `net/arp`.

use std::collections::BTreeMap;

use super::{Failure, Scrape};
use crate::family::{Description, Families, gauge};

const ENTRIES: Description = gauge("node_arp_entries", "ARP entries by device");

pub(super) fn collect(scrape: &Scrape, out: &mut Families) -> Result<(), Failure> {
    let text = scrape.tree.proc("net/arp")?;
    let mut entries: BTreeMap<&str, u32> = BTreeMap::new();
    for line in text.lines().skip(1) {
        if let Some(device) = line.split_ascii_whitespace().nth(5) {
            *entries.entry(device).or_default() += 1;
        }
    }
    for (device, count) in entries {
        if !scrape.settings.arp_devices.ignores(device) {
            out.add(&ENTRIES, f64::from(count), &[("device", device)]);
        }
    }
    Ok(())
}
