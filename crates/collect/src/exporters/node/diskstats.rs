//! Traffic of block devices from `/proc/diskstats`, and what udev knows of them.

use std::collections::HashMap;

use super::tree::{attribute, number, read_text};
use super::{Failure, Scrape};
use crate::family::{Description, Families, counter, gauge};

/// A sector of these files is 512 bytes, whatever the device's own are.
const SECTOR_BYTES: f64 = 512.0;
const SECONDS_PER_TICK: f64 = 1.0 / 1000.0;

/// The columns after major, minor and name, each with the factor from the kernel's unit.
const COLUMNS: [(f64, Description); 17] = [
    (1.0, counter("node_disk_reads_completed_total", "The total number of reads completed successfully.")),
    (1.0, counter("node_disk_reads_merged_total", "The total number of reads merged.")),
    (SECTOR_BYTES, counter("node_disk_read_bytes_total", "The total number of bytes read successfully.")),
    (
        SECONDS_PER_TICK,
        counter("node_disk_read_time_seconds_total", "The total number of seconds spent by all reads."),
    ),
    (1.0, counter("node_disk_writes_completed_total", "The total number of writes completed successfully.")),
    (1.0, counter("node_disk_writes_merged_total", "The number of writes merged.")),
    (
        SECTOR_BYTES,
        counter("node_disk_written_bytes_total", "The total number of bytes written successfully."),
    ),
    (
        SECONDS_PER_TICK,
        counter(
            "node_disk_write_time_seconds_total",
            "This is the total number of seconds spent by all writes.",
        ),
    ),
    (1.0, gauge("node_disk_io_now", "The number of I/Os currently in progress.")),
    (SECONDS_PER_TICK, counter("node_disk_io_time_seconds_total", "Total seconds spent doing I/Os.")),
    (
        SECONDS_PER_TICK,
        counter("node_disk_io_time_weighted_seconds_total", "The weighted # of seconds spent doing I/Os."),
    ),
    (
        1.0,
        counter("node_disk_discards_completed_total", "The total number of discards completed successfully."),
    ),
    (1.0, counter("node_disk_discards_merged_total", "The total number of discards merged.")),
    (
        1.0,
        counter("node_disk_discarded_sectors_total", "The total number of sectors discarded successfully."),
    ),
    (
        SECONDS_PER_TICK,
        counter(
            "node_disk_discard_time_seconds_total",
            "This is the total number of seconds spent by all discards.",
        ),
    ),
    (
        1.0,
        counter(
            "node_disk_flush_requests_total",
            "The total number of flush requests completed successfully",
        ),
    ),
    (
        SECONDS_PER_TICK,
        counter(
            "node_disk_flush_requests_time_seconds_total",
            "This is the total number of seconds spent by all flush requests.",
        ),
    ),
];

/// Fewer columns than this after the name are a partition of an ancient kernel.
const COLUMNS_LEAST: usize = 11;

const INFO: Description = gauge("node_disk_info", "Info of /sys/block/<block_device>.");
const FILESYSTEM_INFO: Description = gauge("node_disk_filesystem_info", "Info about disk filesystem.");
const DEVICE_MAPPER_INFO: Description =
    gauge("node_disk_device_mapper_info", "Info about disk device mapper.");

/// Properties of ATA disks that are numbers.
const ATA: [(&str, Description); 3] = [
    ("ID_ATA_WRITE_CACHE", gauge("node_disk_ata_write_cache", "ATA disk has a write cache.")),
    (
        "ID_ATA_WRITE_CACHE_ENABLED",
        gauge("node_disk_ata_write_cache_enabled", "ATA disk has its write cache enabled."),
    ),
    (
        "ID_ATA_ROTATION_RATE_RPM",
        gauge("node_disk_ata_rotation_rate_rpm", "ATA disk rotation rate in RPMs (0 for SSDs)."),
    ),
];

pub(super) fn collect(scrape: &Scrape, out: &mut Families) -> Result<(), Failure> {
    let text = scrape.tree.proc("diskstats")?;
    let has_udev = scrape.tree.udev_data.is_dir();
    for line in text.lines() {
        let mut fields = line.split_ascii_whitespace();
        let (Some(major), Some(minor), Some(device)) = (fields.next(), fields.next(), fields.next()) else {
            continue;
        };
        let values: Vec<f64> = fields.map_while(number).collect();
        if values.len() < COLUMNS_LEAST || scrape.settings.disks.ignores(device) {
            continue;
        }
        for ((factor, family), value) in COLUMNS.iter().zip(values) {
            out.add(family, value * factor, &[("device", device)]);
        }
        let udev = if has_udev { udev_properties(scrape, major, minor) } else { HashMap::new() };
        collect_properties(scrape, (device, major, minor), &udev, out);
    }
    Ok(())
}

/// The `E:` lines of udev's record of a device; none where it has no record.
fn udev_properties(scrape: &Scrape, major: &str, minor: &str) -> HashMap<String, String> {
    let Ok(text) = read_text(&scrape.tree.udev_data.join(format!("b{major}:{minor}"))) else {
        return HashMap::new();
    };
    text.lines()
        .filter_map(|line| line.strip_prefix("E:")?.split_once('='))
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect()
}

fn collect_properties(
    scrape: &Scrape,
    (device, major, minor): (&str, &str, &str),
    udev: &HashMap<String, String>,
    out: &mut Families,
) {
    let property = |name: &str| udev.get(name).map(String::as_str).unwrap_or_default();
    // As printed on the disk; virtio disks have only the last.
    let serial = ["SCSI_IDENT_SERIAL", "ID_SERIAL_SHORT", "ID_SERIAL"]
        .into_iter()
        .map(property)
        .find(|v| !v.is_empty())
        .unwrap_or_default();
    // Partitions and some virtual devices have no queue.
    let queue = scrape.tree.sys.join("block").join(device).join("queue/rotational");
    let rotational = if attribute(&queue).is_ok_and(|v| v == "1") { "1" } else { "0" };
    let info = [
        ("device", device),
        ("major", major),
        ("minor", minor),
        ("path", property("ID_PATH")),
        ("wwn", property("ID_WWN")),
        ("model", property("ID_MODEL")),
        ("serial", serial),
        ("revision", property("ID_REVISION")),
        ("rotational", rotational),
    ];
    out.add(&INFO, 1.0, &info);
    if !property("ID_FS_TYPE").is_empty() {
        let labels = [
            ("device", device),
            ("type", property("ID_FS_TYPE")),
            ("usage", property("ID_FS_USAGE")),
            ("uuid", property("ID_FS_UUID")),
            ("version", property("ID_FS_VERSION")),
        ];
        out.add(&FILESYSTEM_INFO, 1.0, &labels);
    }
    if !property("DM_NAME").is_empty() {
        let labels = [
            ("device", device),
            ("name", property("DM_NAME")),
            ("uuid", property("DM_UUID")),
            ("vg_name", property("DM_VG_NAME")),
            ("lv_name", property("DM_LV_NAME")),
            ("lv_layer", property("DM_LV_LAYER")),
        ];
        out.add(&DEVICE_MAPPER_INFO, 1.0, &labels);
    }
    if !property("ID_ATA").is_empty() {
        for (name, family) in &ATA {
            if let Some(value) = udev.get(*name).and_then(|v| number(v)) {
                out.add(family, value, &[("device", device)]);
            }
        }
    }
}
