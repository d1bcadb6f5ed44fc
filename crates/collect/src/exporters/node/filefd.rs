//! Open file descriptors of the whole host.

use super::tree::{malformed, number};
use super::{Failure, Scrape};
use crate::family::{Description, Families, gauge};

const ALLOCATED: Description = gauge("node_filefd_allocated", "File descriptor statistics: allocated.");
const MAXIMUM: Description = gauge("node_filefd_maximum", "File descriptor statistics: maximum.");

pub(super) fn collect(scrape: &Scrape, out: &mut Families) -> Result<(), Failure> {
    const FILE: &str = "sys/fs/file-nr";
    let text = scrape.tree.proc(FILE)?;
    let fields: Vec<&str> = text.split_ascii_whitespace().collect();
    // The second has been zero since Linux 2.6.
    let [allocated, _, maximum, ..] = fields[..] else { return Err(malformed(FILE, &text)) };
    for (family, field) in [(&ALLOCATED, allocated), (&MAXIMUM, maximum)] {
        out.add(family, number(field).ok_or_else(|| malformed(FILE, &text))?, &[]);
    }
    Ok(())
}
