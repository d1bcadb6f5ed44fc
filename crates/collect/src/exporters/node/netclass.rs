//! Properties of network interfaces, from `/sys/class/net`.

use super::tree::{attribute, integer};
use super::{Failure, Scrape, Tree, Unreadable};
use crate::family::{Description, Families, counter, gauge};

const UP: Description = gauge("node_network_up", "Value is 1 if operstate is 'up', 0 otherwise.");
const INFO: Description =
    gauge("node_network_info", "Non-numeric data from /sys/class/net/<iface>, value is always 1.");
const SPEED: Description = gauge("node_network_speed_bytes", "Network device property: speed_bytes");

/// Files that are numbers, and what they become.
const NUMBERS: [(&str, Description); 16] = [
    (
        "addr_assign_type",
        gauge("node_network_address_assign_type", "Network device property: address_assign_type"),
    ),
    ("carrier", gauge("node_network_carrier", "Network device property: carrier")),
    (
        "carrier_changes",
        counter("node_network_carrier_changes_total", "Network device property: carrier_changes_total"),
    ),
    (
        "carrier_up_count",
        counter("node_network_carrier_up_changes_total", "Network device property: carrier_up_changes_total"),
    ),
    (
        "carrier_down_count",
        counter(
            "node_network_carrier_down_changes_total",
            "Network device property: carrier_down_changes_total",
        ),
    ),
    ("dev_id", gauge("node_network_device_id", "Network device property: device_id")),
    ("dormant", gauge("node_network_dormant", "Network device property: dormant")),
    ("flags", gauge("node_network_flags", "Network device property: flags")),
    ("ifindex", gauge("node_network_iface_id", "Network device property: iface_id")),
    ("iflink", gauge("node_network_iface_link", "Network device property: iface_link")),
    ("link_mode", gauge("node_network_iface_link_mode", "Network device property: iface_link_mode")),
    ("mtu", gauge("node_network_mtu_bytes", "Network device property: mtu_bytes")),
    ("name_assign_type", gauge("node_network_name_assign_type", "Network device property: name_assign_type")),
    ("netdev_group", gauge("node_network_net_dev_group", "Network device property: net_dev_group")),
    (
        "tx_queue_len",
        gauge("node_network_transmit_queue_length", "Network device property: transmit_queue_length"),
    ),
    ("type", gauge("node_network_protocol_type", "Network device property: protocol_type")),
];

/// The flag of an interface that an administrator has brought up.
const IFF_UP: i64 = 1;

pub(super) fn collect(scrape: &Scrape, out: &mut Families) -> Result<(), Failure> {
    let class = scrape.tree.sys.join("class/net");
    for device in
        Tree::list(&class).map_err(|e| if e.is_denied() { Failure::NoData } else { e.or_no_data() })?
    {
        let folder = class.join(&device);
        // Bonding puts a plain file among the interfaces.
        if scrape.settings.netclass_devices.ignores(&device) || !folder.is_dir() {
            continue;
        }
        // An interface without carrier answers EINVAL to some of these.
        let read = |file: &str| match attribute(&folder.join(file)) {
            Ok(value) => Ok(Some(value)),
            Err(e) if e.is_absent_value() => Ok(None),
            Err(e) => Err(e),
        };
        collect_device(scrape, &device, read, out)?;
    }
    Ok(())
}

fn collect_device(
    scrape: &Scrape,
    device: &str,
    read: impl Fn(&str) -> Result<Option<String>, Unreadable>,
    out: &mut Families,
) -> Result<(), Failure> {
    let labels = [("device", device)];
    let mut flags = None;
    for (file, family) in &NUMBERS {
        let Some(value) = read(file)?.as_deref().and_then(integer) else { continue };
        if *file == "flags" {
            flags = Some(value);
        }
        out.add(family, value as f64, &labels);
    }
    if let Some(megabits) = read("speed")?.as_deref().and_then(integer)
        && (megabits >= 0 || !scrape.settings.netclass_ignore_invalid_speed)
    {
        // In whole bytes per second, as node_exporter divides.
        out.add(&SPEED, (megabits.saturating_mul(1_000_000) / 8) as f64, &labels);
    }
    let text = |file: &str| read(file).map(Option::unwrap_or_default);
    let state = text("operstate")?;
    out.add(&UP, f64::from(u8::from(state == "up")), &labels);
    let admin = match flags {
        None => "unknown",
        Some(flags) if flags & IFF_UP != 0 => "up",
        Some(_) => "down",
    };
    let info = [
        ("device", device),
        ("address", &text("address")?),
        ("broadcast", &text("broadcast")?),
        ("duplex", &text("duplex")?),
        ("operstate", &state),
        ("adminstate", admin),
        ("ifalias", &text("ifalias")?),
    ];
    out.add(&INFO, 1.0, &info);
    Ok(())
}
