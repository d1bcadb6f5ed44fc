//! NVMe controllers and their namespaces.

use super::tree::attribute;
use super::{Failure, Scrape, Tree, Unreadable};
use crate::family::{Description, Families, gauge};

const INFO: Description =
    gauge("node_nvme_info", "Non-numeric data from /sys/class/nvme/<device>, value is always 1.");
const NAMESPACE_INFO: Description =
    gauge("node_nvme_namespace_info", "Information about NVMe namespaces. Value is always 1");
const CAPACITY: Description = gauge(
    "node_nvme_namespace_capacity_bytes",
    "Capacity of the NVMe namespace in bytes. Computed as namespace_size * namespace_logical_block_size",
);
const SIZE: Description = gauge(
    "node_nvme_namespace_size_bytes",
    "Size of the NVMe namespace in bytes. Available in /sys/class/nvme/<device>/<namespace>/size",
);
const USED: Description = gauge(
    "node_nvme_namespace_used_bytes",
    "Used space of the NVMe namespace in bytes. Available in /sys/class/nvme/<device>/<namespace>/nuse",
);
const BLOCK_SIZE: Description = gauge(
    "node_nvme_namespace_logical_block_size_bytes",
    "Logical block size of the NVMe namespace in bytes. Usually 4Kb. Available in \
     /sys/class/nvme/<device>/<namespace>/queue/logical_block_size",
);

pub(super) fn collect(scrape: &Scrape, out: &mut Families) -> Result<(), Failure> {
    let class = scrape.tree.sys.join("class/nvme");
    for device in Tree::list(&class).map_err(Unreadable::or_no_data)? {
        let folder = class.join(&device);
        let text = |file: &str| attribute(&folder.join(file)).map_err(Unreadable::or_no_data);
        let labels = [
            ("device", device.as_str()),
            ("firmware_revision", &text("firmware_rev")?),
            ("model", &text("model")?),
            ("serial", &text("serial")?),
            ("state", &text("state")?),
            ("cntlid", &text("cntlid")?),
        ];
        out.add(&INFO, 1.0, &labels);
        for name in Tree::list(&folder)? {
            let Some(id) = namespace_id(&name) else { continue };
            let folder = folder.join(&name);
            let text = |file: &str| attribute(&folder.join(file)).map_err(Unreadable::or_no_data);
            let count = |file: &str| text(file).map(|t| t.parse::<u64>().unwrap_or(0));
            let block = count("queue/logical_block_size")?;
            let size = count("size")?.wrapping_mul(block) as f64;
            let state = attribute(&folder.join("ana_state")).unwrap_or_else(|_| "unknown".to_owned());
            let labels = [("device", device.as_str()), ("nsid", id)];
            out.add(&NAMESPACE_INFO, 1.0, &[labels[0], labels[1], ("ana_state", &state)]);
            out.add(&CAPACITY, size, &labels);
            out.add(&SIZE, size, &labels);
            out.add(&USED, count("nuse")?.wrapping_mul(block) as f64, &labels);
            out.add(&BLOCK_SIZE, block as f64, &labels);
        }
    }
    Ok(())
}

/// The last number of `nvme0n1`; a path of a multipath namespace, `nvme0c1n1`, is no namespace.
fn namespace_id(name: &str) -> Option<&str> {
    let rest = name.strip_prefix("nvme")?;
    let (controller, id) = rest.split_once('n')?;
    let digits = |s: &str| !s.is_empty() && s.bytes().all(|b| b.is_ascii_digit());
    (digits(controller) && digits(id)).then_some(id)
}

#[cfg(test)]
mod tests {
    use super::namespace_id;

    #[test]
    fn namespaces_are_recognised() {
        assert_eq!(namespace_id("nvme0n12"), Some("12"));
        assert_eq!(namespace_id("nvme0c0n1"), None);
        assert_eq!(namespace_id("nvme0"), None);
        assert_eq!(namespace_id("model"), None);
    }
}
