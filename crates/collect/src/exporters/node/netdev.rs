//! Traffic of network interfaces, from `/proc/net/dev`.
//!
//! node_exporter asks by netlink and folds the answer into the columns of this file, which the kernel fills by the same
//! sums. Only packets that nobody handled are not in it: they come from `/sys/class/net`.

use super::tree::{attribute, number};
use super::{Failure, Scrape};
use crate::family::{Description, Families, counter};

/// The columns after the name of the interface.
const COLUMNS: [Description; 16] = [
    counter("node_network_receive_bytes_total", "Network device statistic receive_bytes."),
    counter("node_network_receive_packets_total", "Network device statistic receive_packets."),
    counter("node_network_receive_errs_total", "Network device statistic receive_errs."),
    counter("node_network_receive_drop_total", "Network device statistic receive_drop."),
    counter("node_network_receive_fifo_total", "Network device statistic receive_fifo."),
    counter("node_network_receive_frame_total", "Network device statistic receive_frame."),
    counter("node_network_receive_compressed_total", "Network device statistic receive_compressed."),
    counter("node_network_receive_multicast_total", "Network device statistic receive_multicast."),
    counter("node_network_transmit_bytes_total", "Network device statistic transmit_bytes."),
    counter("node_network_transmit_packets_total", "Network device statistic transmit_packets."),
    counter("node_network_transmit_errs_total", "Network device statistic transmit_errs."),
    counter("node_network_transmit_drop_total", "Network device statistic transmit_drop."),
    counter("node_network_transmit_fifo_total", "Network device statistic transmit_fifo."),
    counter("node_network_transmit_colls_total", "Network device statistic transmit_colls."),
    counter("node_network_transmit_carrier_total", "Network device statistic transmit_carrier."),
    counter("node_network_transmit_compressed_total", "Network device statistic transmit_compressed."),
];
const NO_HANDLER: Description =
    counter("node_network_receive_nohandler_total", "Network device statistic receive_nohandler.");

pub(super) fn collect(scrape: &Scrape, out: &mut Families) -> Result<(), Failure> {
    let text = scrape.tree.proc("net/dev")?;
    // Two lines of headings have no colon.
    for line in text.lines() {
        // The name of an alias has a colon of its own.
        let Some((device, columns)) = line.rsplit_once(':') else { continue };
        let device = device.trim();
        let values: Vec<f64> = columns.split_ascii_whitespace().map_while(number).collect();
        if values.len() < COLUMNS.len() || scrape.settings.netdev_devices.ignores(device) {
            continue;
        }
        let labels = [("device", device)];
        for (family, value) in COLUMNS.iter().zip(values) {
            out.add(family, value, &labels);
        }
        let file = scrape.tree.sys.join("class/net").join(device).join("statistics/rx_nohandler");
        if let Some(value) = attribute(&file).ok().as_deref().and_then(number) {
            out.add(&NO_HANDLER, value, &labels);
        }
    }
    Ok(())
}
