//! Protocol statistics, from `/proc/net/netstat`, `snmp` and `snmp6`.

use base::MetricType;

use super::tree::{malformed, number};
use super::{Failure, Scrape};
use crate::family::Families;

pub(super) fn collect(scrape: &Scrape, out: &mut Families) -> Result<(), Failure> {
    for file in ["net/netstat", "net/snmp"] {
        let text = scrape.tree.proc(file)?;
        let mut lines = text.lines();
        // Names on one line, values on the next, both after the protocol.
        while let (Some(names), Some(values)) = (lines.next(), lines.next()) {
            let (Some((protocol, names)), Some((_, values))) =
                (names.split_once(':'), values.split_once(':'))
            else {
                return Err(malformed(file, names));
            };
            for (name, value) in names.split_ascii_whitespace().zip(values.split_ascii_whitespace()) {
                collect_field(scrape, protocol, name, value, out);
            }
        }
    }
    // Absent where IPv6 is off.
    let text = match scrape.tree.proc("net/snmp6") {
        Err(e) if e.is_missing() => return Ok(()),
        text => text?,
    };
    for line in text.lines() {
        let mut words = line.split_ascii_whitespace();
        let (Some(key), Some(value)) = (words.next(), words.next()) else { continue };
        // The protocol ends with the 6: `Udp6InErrors`.
        if let Some(six) = key.find('6') {
            let (protocol, name) = key.split_at(six + 1);
            collect_field(scrape, protocol, name, value, out);
        }
    }
    Ok(())
}

fn collect_field(scrape: &Scrape, protocol: &str, name: &str, value: &str, out: &mut Families) {
    let key = format!("{protocol}_{name}");
    if !scrape.settings.netstat_fields.is_match(&key) {
        return;
    }
    if let Some(value) = number(value) {
        let help = format!("Statistic {protocol}{name}.");
        out.add_named(MetricType::Unknown, format!("node_netstat_{key}"), help, value, &[]);
    }
}
