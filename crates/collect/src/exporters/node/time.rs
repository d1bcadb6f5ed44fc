//! The time of day, its zone, and where the kernel takes it from.

use super::tree::attribute;
use super::{Failure, Scrape, Tree};
use crate::family::{Description, Families, gauge};

const SECONDS: Description = gauge("node_time_seconds", "System time in seconds since epoch (1970).");
const ZONE: Description = gauge("node_time_zone_offset_seconds", "System time zone offset in seconds.");
const AVAILABLE: Description = gauge(
    "node_time_clocksource_available_info",
    "Available clocksources read from '/sys/devices/system/clocksource'.",
);
const CURRENT: Description = gauge(
    "node_time_clocksource_current_info",
    "Current clocksource read from '/sys/devices/system/clocksource'.",
);

pub(super) fn collect(scrape: &Scrape, out: &mut Families) -> Result<(), Failure> {
    let now_ms = scrape.clock.now_ms();
    out.add(&SECONDS, now_ms as f64 / 1000.0, &[]);
    let (zone, offset) = scrape.host.time_zone(now_ms);
    out.add(&ZONE, f64::from(offset), &[("time_zone", &zone)]);
    for (device, folder) in
        Tree::numbered(&scrape.tree.sys.join("devices/system/clocksource"), "clocksource")?
    {
        let available = attribute(&folder.join("available_clocksource"))?;
        for source in available.split_ascii_whitespace() {
            out.add(&AVAILABLE, 1.0, &[("device", &device), ("clocksource", source)]);
        }
        let current = attribute(&folder.join("current_clocksource"))?;
        out.add(&CURRENT, 1.0, &[("device", &device), ("clocksource", &current)]);
    }
    Ok(())
}
