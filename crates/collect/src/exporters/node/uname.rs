//! Names of the host and its kernel.

use base::Error;

use super::{Failure, Scrape};
use crate::family::{Description, Families, gauge};

const INFO: Description =
    gauge("node_uname_info", "Labeled system information as provided by the uname system call.");

pub(super) fn collect(scrape: &Scrape, out: &mut Families) -> Result<(), Failure> {
    let uname = scrape
        .host
        .uname()
        .map_err(|e| Failure::Failed(Error::unavailable(format!("cannot ask uname: {e}"))))?;
    let labels = [
        ("sysname", uname.sysname.as_str()),
        ("release", &uname.release),
        ("version", &uname.version),
        ("machine", &uname.machine),
        ("nodename", &uname.nodename),
        ("domainname", &uname.domainname),
    ];
    out.add(&INFO, 1.0, &labels);
    Ok(())
}
