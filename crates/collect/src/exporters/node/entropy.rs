//! The kernel's entropy pool.

use super::{Failure, Scrape};
use crate::family::{Description, Families, gauge};

const AVAILABLE: Description = gauge("node_entropy_available_bits", "Bits of available entropy.");
const POOL_SIZE: Description = gauge("node_entropy_pool_size_bits", "Bits of entropy pool.");

pub(super) fn collect(scrape: &Scrape, out: &mut Families) -> Result<(), Failure> {
    out.add(&AVAILABLE, scrape.tree.proc_number("sys/kernel/random/entropy_avail")?, &[]);
    out.add(&POOL_SIZE, scrape.tree.proc_number("sys/kernel/random/poolsize")?, &[]);
    Ok(())
}
