//! Bytes in the queues of all UDP sockets.

use super::tree::malformed;
use super::{Failure, Scrape};
use crate::family::{Description, Families, gauge};

const QUEUES: Description =
    gauge("node_udp_queues", "Number of allocated memory in the kernel for UDP datagrams in bytes.");

pub(super) fn collect(scrape: &Scrape, out: &mut Families) -> Result<(), Failure> {
    let mut found = false;
    for (file, version) in [("net/udp", "v4"), ("net/udp6", "v6")] {
        let text = match scrape.tree.proc(file) {
            // This family of addresses is off.
            Err(e) if e.is_missing() => continue,
            text => text?,
        };
        let (mut sent, mut received) = (0_u64, 0_u64);
        for line in text.lines().skip(1) {
            let (tx, rx) = parse_queues(line).ok_or_else(|| malformed(file, line))?;
            sent = sent.wrapping_add(tx);
            received = received.wrapping_add(rx);
        }
        out.add(&QUEUES, sent as f64, &[("queue", "tx"), ("ip", version)]);
        out.add(&QUEUES, received as f64, &[("queue", "rx"), ("ip", version)]);
        found = true;
    }
    if found { Ok(()) } else { Err(Failure::NoData) }
}

/// The fifth word of a socket's line: `00000015:00000000`.
fn parse_queues(line: &str) -> Option<(u64, u64)> {
    let (tx, rx) = line.split_ascii_whitespace().nth(4)?.split_once(':')?;
    Some((u64::from_str_radix(tx, 16).ok()?, u64::from_str_radix(rx, 16).ok()?))
}
