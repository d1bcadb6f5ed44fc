//! Connection tracking: the table and what became of its lookups.

use super::tree::malformed;
use super::{Failure, Scrape, Unreadable};
use crate::family::{Description, Families, gauge};

const ENTRIES: Description =
    gauge("node_nf_conntrack_entries", "Number of currently allocated flow entries for connection tracking.");
const LIMIT: Description =
    gauge("node_nf_conntrack_entries_limit", "Maximum size of connection tracking table.");

/// Columns of `net/stat/nf_conntrack`, summed over the CPUs.
const COLUMNS: [(usize, Description); 8] = [
    (2, gauge("node_nf_conntrack_stat_found", "Number of searched entries which were successful.")),
    (4, gauge("node_nf_conntrack_stat_invalid", "Number of packets seen which can not be tracked.")),
    (
        5,
        gauge(
            "node_nf_conntrack_stat_ignore",
            "Number of packets seen which are already connected to a conntrack entry.",
        ),
    ),
    (8, gauge("node_nf_conntrack_stat_insert", "Number of entries inserted into the list.")),
    (
        9,
        gauge(
            "node_nf_conntrack_stat_insert_failed",
            "Number of entries for which list insertion was attempted but failed.",
        ),
    ),
    (10, gauge("node_nf_conntrack_stat_drop", "Number of packets dropped due to conntrack failure.")),
    (
        11,
        gauge(
            "node_nf_conntrack_stat_early_drop",
            "Number of dropped conntrack entries to make room for new ones, if maximum table size was reached.",
        ),
    ),
    (
        16,
        gauge(
            "node_nf_conntrack_stat_search_restart",
            "Number of conntrack table lookups which had to be restarted due to hashtable resizes.",
        ),
    ),
];

pub(super) fn collect(scrape: &Scrape, out: &mut Families) -> Result<(), Failure> {
    out.add(&ENTRIES, scrape.tree.proc_number("sys/net/netfilter/nf_conntrack_count")?, &[]);
    out.add(&LIMIT, scrape.tree.proc_number("sys/net/netfilter/nf_conntrack_max")?, &[]);
    let text = scrape.tree.proc("net/stat/nf_conntrack").map_err(Unreadable::or_no_data)?;
    let mut sums = [0_u64; COLUMNS.len()];
    for line in text.lines().skip(1) {
        let fields: Option<Vec<u64>> =
            line.split_ascii_whitespace().map(|f| u64::from_str_radix(f, 16).ok()).collect();
        let fields =
            fields.filter(|f| f.len() >= 16).ok_or_else(|| malformed("net/stat/nf_conntrack", line))?;
        for (sum, (column, _)) in sums.iter_mut().zip(&COLUMNS) {
            // The last column came with Linux 2.6.35.
            *sum = sum.wrapping_add(fields.get(*column).copied().unwrap_or(0));
        }
    }
    for (sum, (_, family)) in sums.into_iter().zip(&COLUMNS) {
        out.add(family, sum as f64, &[]);
    }
    Ok(())
}
