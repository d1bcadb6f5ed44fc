//! Sockets in use and the memory they hold.

use base::MetricType;

use super::tree::number;
use super::{Failure, Scrape};
use crate::family::{Description, Families, gauge};

const USED: Description = gauge("node_sockstat_sockets_used", "Number of IPv4 sockets in use.");

/// The states that are told.
const STATES: [&str; 6] = ["inuse", "orphan", "tw", "alloc", "mem", "memory"];

pub(super) fn collect(scrape: &Scrape, out: &mut Families) -> Result<(), Failure> {
    for file in ["net/sockstat", "net/sockstat6"] {
        let text = match scrape.tree.proc(file) {
            // This family of addresses is off.
            Err(e) if e.is_missing() => continue,
            text => text?,
        };
        for line in text.lines() {
            let Some((protocol, rest)) = line.split_once(':') else { continue };
            let words: Vec<&str> = rest.split_ascii_whitespace().collect();
            for pair in words.chunks_exact(2) {
                if let Some(value) = number(pair[1]) {
                    collect_state(scrape, protocol, pair[0], value, out);
                }
            }
        }
    }
    Ok(())
}

fn collect_state(scrape: &Scrape, protocol: &str, state: &str, value: f64, out: &mut Families) {
    if protocol == "sockets" {
        if state == "used" {
            out.add(&USED, value, &[]);
        }
        return;
    }
    if !STATES.contains(&state) {
        return;
    }
    let mut add = |state: &str, value: f64| {
        let help = format!("Number of {protocol} sockets in state {state}.");
        out.add_named(MetricType::Gauge, format!("node_sockstat_{protocol}_{state}"), help, value, &[]);
    };
    add(state, value);
    // Memory of TCP and UDP is counted in pages.
    if state == "mem" {
        add("mem_bytes", value * scrape.host.page_size() as f64);
    }
}
