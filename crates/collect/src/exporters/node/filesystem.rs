//! Space and state of mounted file systems.

use std::collections::HashSet;
use std::path::Path;

use super::mount_space::{Answer, MountSpace};
use super::tree::malformed;
use super::{Failure, NodeOptions, Scrape};
use crate::family::{Description, Families, gauge};

const SIZE: Description = gauge("node_filesystem_size_bytes", "Filesystem size in bytes.");
const FREE: Description = gauge("node_filesystem_free_bytes", "Filesystem free space in bytes.");
const AVAILABLE: Description =
    gauge("node_filesystem_avail_bytes", "Filesystem space available to non-root users in bytes.");
const FILES: Description = gauge("node_filesystem_files", "Filesystem total file nodes.");
const FILES_FREE: Description = gauge("node_filesystem_files_free", "Filesystem total free file nodes.");
const READ_ONLY: Description = gauge("node_filesystem_readonly", "Filesystem read-only status.");
const DEVICE_ERROR: Description = gauge(
    "node_filesystem_device_error",
    "Whether an error occurred while getting statistics for the given device.",
);
const MOUNT_INFO: Description = gauge("node_filesystem_mount_info", "Filesystem mount information.");

/// Asks mounts for their space, and remembers which of them hang.
pub(super) struct Filesystem {
    space: MountSpace,
}

impl Filesystem {
    pub(super) fn new(options: &NodeOptions) -> Self {
        let space = MountSpace::new(options.host.clone(), options.clock.clone(), options.mount_deadline);
        Self { space }
    }
}

/// One line of `mountinfo`, as far as it is told.
#[derive(Debug, PartialEq, Eq)]
struct Mount {
    device: String,
    /// As the host sees it.
    mount_point: String,
    fs_type: String,
    major: String,
    minor: String,
    read_only: bool,
}

impl super::Collect for Filesystem {
    fn collect(&mut self, scrape: &Scrape, out: &mut Families) -> Result<(), Failure> {
        let mut mounts = read_mounts(scrape)?;
        // Of a device that is mounted twice at one place only one sample can be told.
        let mut seen = HashSet::new();
        mounts.retain(|m| {
            !scrape.settings.mount_points.ignores(&m.mount_point)
                && !scrape.settings.filesystem_types.ignores(&m.fs_type)
                && seen.insert((m.device.clone(), m.mount_point.clone(), m.fs_type.clone()))
        });
        let paths: Vec<_> =
            mounts.iter().map(|m| scrape.tree.rootfs.join(m.mount_point.trim_start_matches('/'))).collect();
        for (mount, answer) in mounts.iter().zip(self.space.ask(paths)) {
            collect_mount(mount, &answer, out);
        }
        Ok(())
    }
}

fn collect_mount(mount: &Mount, answer: &Answer, out: &mut Families) {
    let error = match answer {
        Answer::Space(_) => "",
        Answer::Error(words) => words,
    };
    let labels = [
        ("device", mount.device.as_str()),
        ("mountpoint", mount.mount_point.as_str()),
        ("fstype", mount.fs_type.as_str()),
        ("device_error", error),
    ];
    let flag = |b: bool| f64::from(u8::from(b));
    out.add(&DEVICE_ERROR, flag(!error.is_empty()), &labels);
    out.add(&READ_ONLY, flag(mount.read_only), &labels);
    let Answer::Space(space) = answer else { return };
    let block = space.block_size as f64;
    out.add(&SIZE, space.blocks as f64 * block, &labels);
    out.add(&FREE, space.blocks_free as f64 * block, &labels);
    out.add(&AVAILABLE, space.blocks_available as f64 * block, &labels);
    out.add(&FILES, space.files as f64, &labels);
    out.add(&FILES_FREE, space.files_free as f64, &labels);
    let info = [
        ("device", mount.device.as_str()),
        ("major", mount.major.as_str()),
        ("minor", mount.minor.as_str()),
        ("mountpoint", mount.mount_point.as_str()),
    ];
    out.add(&MOUNT_INFO, 1.0, &info);
}

/// The mounts of the first process, which are the host's; those of this one where `hidepid` keeps the former back.
fn read_mounts(scrape: &Scrape) -> Result<Vec<Mount>, Failure> {
    let text = match scrape.tree.proc("1/mountinfo") {
        Err(e) if e.is_missing() || e.is_denied() => scrape.tree.proc("self/mountinfo")?,
        text => text?,
    };
    let mounts: Vec<Mount> = text.lines().filter_map(|line| parse_mount(line, &scrape.tree.rootfs)).collect();
    if mounts.is_empty() && !text.trim().is_empty() {
        return Err(malformed("mountinfo", &text));
    }
    Ok(mounts)
}

/// Parses `36 35 98:0 / /mnt rw,noatime master:1 - ext3 /dev/root rw,errors=continue`.
fn parse_mount(line: &str, rootfs: &Path) -> Option<Mount> {
    let fields: Vec<&str> = line.split(' ').collect();
    let separator = fields.iter().position(|f| *f == "-")?;
    let [_, _, numbers, _, mount_point, options, ..] = fields[..separator] else { return None };
    let [fs_type, device, super_options] = fields[separator + 1..] else { return None };
    let (major, minor) = numbers.split_once(':')?;
    let read_only = options.split(',').any(|o| o == "ro")
        || super_options.split(',').any(|o| o == "ro" || o == "emergency_ro");
    Some(Mount {
        device: device.to_owned(),
        mount_point: strip_rootfs(&mount_point.replace("\\040", " ").replace("\\011", "\t"), rootfs),
        fs_type: fs_type.to_owned(),
        major: major.to_owned(),
        minor: minor.to_owned(),
        read_only,
    })
}

fn strip_rootfs(mount_point: &str, rootfs: &Path) -> String {
    let Some(rootfs) = rootfs.to_str().filter(|r| *r != "/") else { return mount_point.to_owned() };
    match mount_point.strip_prefix(rootfs) {
        Some("") => "/".to_owned(),
        Some(rest) => rest.to_owned(),
        None => mount_point.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mounts_are_parsed() {
        let line =
            r"36 35 98:7 / /mnt/my\040disk rw,noatime master:1 shared:2 - ext3 /dev/root rw,errors=continue";
        let mount = parse_mount(line, Path::new("/")).expect("a good line");
        assert_eq!(mount.mount_point, "/mnt/my disk");
        assert_eq!((mount.device.as_str(), mount.fs_type.as_str()), ("/dev/root", "ext3"));
        assert_eq!((mount.major.as_str(), mount.minor.as_str(), mount.read_only), ("98", "7", false));
        let read_only = |line| parse_mount(line, Path::new("/")).map(|m| m.read_only);
        assert_eq!(read_only("1 2 0:1 / /a ro - ext4 /dev/x rw"), Some(true));
        assert_eq!(read_only("1 2 0:1 / /a rw - ext4 /dev/x rw,emergency_ro"), Some(true));
        assert_eq!(read_only("1 2 0:1 / /a rw - ext4 /dev/x"), None);
        assert_eq!(read_only("garbage"), None);
    }

    #[test]
    fn the_root_of_the_host_is_stripped() {
        assert_eq!(strip_rootfs("/host/var", Path::new("/host")), "/var");
        assert_eq!(strip_rootfs("/host", Path::new("/host")), "/");
        assert_eq!(strip_rootfs("/var", Path::new("/host")), "/var");
        assert_eq!(strip_rootfs("/var", Path::new("/")), "/var");
    }
}
