//! What the firmware says of the machine. Read once: it cannot change before the next boot.

use super::tree::{Unreadable, attribute};
use super::{Failure, Scrape, Tree};
use crate::family::{Description, Families, gauge};

const INFO: Description = gauge(
    "node_dmi_info",
    "A metric with a constant '1' value labeled by bios_date, bios_release, bios_vendor, bios_version, \
     board_asset_tag, board_name, board_serial, board_vendor, board_version, chassis_asset_tag, \
     chassis_serial, chassis_vendor, chassis_version, product_family, product_name, product_serial, \
     product_sku, product_uuid, product_version, system_vendor if provided by DMI.",
);

/// Files, and the labels that they become.
const ATTRIBUTES: [(&str, &str); 20] = [
    ("bios_date", "bios_date"),
    ("bios_release", "bios_release"),
    ("bios_vendor", "bios_vendor"),
    ("bios_version", "bios_version"),
    ("board_asset_tag", "board_asset_tag"),
    ("board_name", "board_name"),
    ("board_serial", "board_serial"),
    ("board_vendor", "board_vendor"),
    ("board_version", "board_version"),
    ("chassis_asset_tag", "chassis_asset_tag"),
    ("chassis_serial", "chassis_serial"),
    ("chassis_vendor", "chassis_vendor"),
    ("chassis_version", "chassis_version"),
    ("product_family", "product_family"),
    ("product_name", "product_name"),
    ("product_serial", "product_serial"),
    ("product_sku", "product_sku"),
    ("product_uuid", "product_uuid"),
    ("product_version", "product_version"),
    ("sys_vendor", "system_vendor"),
];

/// The labels, once they were read.
#[derive(Default)]
pub(super) struct Dmi {
    labels: Option<Vec<(&'static str, String)>>,
}

impl super::Collect for Dmi {
    fn collect(&mut self, scrape: &Scrape, out: &mut Families) -> Result<(), Failure> {
        let labels = match &mut self.labels {
            Some(labels) => labels,
            none => none.insert(read(scrape)?),
        };
        if labels.is_empty() {
            return Err(Failure::NoData);
        }
        let labels: Vec<(&'static str, &str)> = labels.iter().map(|(k, v)| (*k, v.as_str())).collect();
        out.add(&INFO, 1.0, &labels);
        Ok(())
    }
}

fn read(scrape: &Scrape) -> Result<Vec<(&'static str, String)>, Failure> {
    let folder = scrape.tree.sys.join("class/dmi/id");
    let files = match Tree::list(&folder) {
        Err(e) if e.is_missing() => return Ok(Vec::new()),
        files => files?,
    };
    let mut labels = Vec::new();
    for (file, label) in ATTRIBUTES {
        if files.iter().any(|f| f == file) {
            match attribute(&folder.join(file)) {
                Ok(value) => labels.push((label, value)),
                // Serial numbers are for root only.
                Err(e) if Unreadable::is_denied(&e) => {}
                Err(e) => return Err(e.into()),
            }
        }
    }
    Ok(labels)
}
