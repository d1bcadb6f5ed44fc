//! Configured and active members of bonded network interfaces.

use super::tree::{attribute, read_text};
use super::{Failure, Scrape, Unreadable};
use crate::family::{Description, Families, gauge};

const SLAVES: Description =
    gauge("node_bonding_slaves", "Number of configured slaves per bonding interface.");
const ACTIVE: Description = gauge("node_bonding_active", "Number of active slaves per bonding interface.");

pub(super) fn collect(scrape: &Scrape, out: &mut Families) -> Result<(), Failure> {
    let net = scrape.tree.sys.join("class/net");
    let masters = read_text(&net.join("bonding_masters")).map_err(Unreadable::or_no_data)?;
    for master in masters.split_ascii_whitespace() {
        let folder = net.join(master);
        let slaves = read_text(&folder.join("bonding/slaves")).map_err(Unreadable::or_no_data)?;
        let (mut configured, mut active) = (0_u32, 0_u32);
        for slave in slaves.split_ascii_whitespace() {
            // Older kernels say `slave_`.
            let state =
                |prefix: &str| attribute(&folder.join(format!("{prefix}_{slave}/bonding_slave/mii_status")));
            let state = match state("lower") {
                Err(e) if e.is_missing() => state("slave"),
                state => state,
            }
            .map_err(Unreadable::or_no_data)?;
            configured += 1;
            active += u32::from(state == "up");
        }
        out.add(&SLAVES, f64::from(configured), &[("master", master)]);
        out.add(&ACTIVE, f64::from(active), &[("master", master)]);
    }
    Ok(())
}
