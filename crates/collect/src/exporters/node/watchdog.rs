//! Watchdog timers.

use super::tree::{attribute, integer};
use super::{Failure, Scrape, Tree};
use crate::family::{Description, Families, gauge};

const NUMBERS: [(&str, Description); 7] = [
    ("bootstatus", gauge("node_watchdog_bootstatus", "Value of /sys/class/watchdog/<watchdog>/bootstatus")),
    ("fw_version", gauge("node_watchdog_fw_version", "Value of /sys/class/watchdog/<watchdog>/fw_version")),
    ("nowayout", gauge("node_watchdog_nowayout", "Value of /sys/class/watchdog/<watchdog>/nowayout")),
    ("timeleft", gauge("node_watchdog_timeleft_seconds", "Value of /sys/class/watchdog/<watchdog>/timeleft")),
    ("timeout", gauge("node_watchdog_timeout_seconds", "Value of /sys/class/watchdog/<watchdog>/timeout")),
    (
        "pretimeout",
        gauge("node_watchdog_pretimeout_seconds", "Value of /sys/class/watchdog/<watchdog>/pretimeout"),
    ),
    ("access_cs0", gauge("node_watchdog_access_cs0", "Value of /sys/class/watchdog/<watchdog>/access_cs0")),
];
const INFO: Description = gauge("node_watchdog_info", "Info of /sys/class/watchdog/<watchdog>");

pub(super) fn collect(scrape: &Scrape, out: &mut Families) -> Result<(), Failure> {
    let class = scrape.tree.sys.join("class/watchdog");
    for name in
        Tree::list(&class).map_err(|e| if e.is_denied() { Failure::NoData } else { e.or_no_data() })?
    {
        let folder = class.join(&name);
        // A driver has some of these; none is worth losing the others.
        let text = |file: &str| attribute(&folder.join(file)).unwrap_or_default();
        for (file, family) in &NUMBERS {
            if let Some(value) = integer(&text(file)) {
                out.add(family, value as f64, &[("name", &name)]);
            }
        }
        let labels = [
            ("name", name.as_str()),
            ("options", &text("options")),
            ("identity", &text("identity")),
            ("state", &text("state")),
            ("status", &text("status")),
            ("pretimeout_governor", &text("pretimeout_governor")),
        ];
        out.add(&INFO, 1.0, &labels);
    }
    Ok(())
}
