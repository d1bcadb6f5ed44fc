//! How much memory this process may use: what the machine has, or less where a control group says so. And giving back what it does not.

use std::path::{Path, PathBuf};

/// Share of the memory there is that `limits.memory` is by default, in percent. The rest is for what the limit does not count: buffers of
/// requests and scrapes, the allocator's waste, and the system's cache of the segments, without which every query reads the disk.
const DEFAULT_MEMORY_PERCENT: u64 = 60;

/// What is taken for the machine's memory where it cannot be found out.
const UNKNOWN_MEMORY_BYTES: u64 = 2 << 30;

/// The default of `limits.memory`.
pub(crate) fn default_memory_bytes() -> u64 {
    let bytes = memory_bytes(Path::new("/")).unwrap_or(UNKNOWN_MEMORY_BYTES);
    (bytes / 100 * DEFAULT_MEMORY_PERCENT).max(lake::limits::MEMORY_BYTES_LEAST)
}

/// Gives memory that is free within this process back to the system. glibc keeps it in an arena for each thread, and what sealing, merging and
/// rolling up have freed there is of no use to the others: of 20,000 series whose head takes 11 MB, 213 MB stayed resident after a day, and 89 MB
/// with this. Takes some milliseconds for every hundred megabytes.
#[cfg(target_env = "gnu")]
#[expect(unsafe_code, reason = "there is no safe binding of malloc_trim")]
pub(crate) fn give_memory_back() {
    // SAFETY: it may be called at any time by any thread, and only touches pages that the allocator knows to be free.
    unsafe { libc::malloc_trim(0) };
}

/// Other allocators need not be told.
#[cfg(not(target_env = "gnu"))]
pub(crate) fn give_memory_back() {}

/// Memory of the machine below `root`, or the least that a control group above this process allows.
fn memory_bytes(root: &Path) -> Option<u64> {
    let meminfo = std::fs::read_to_string(root.join("proc/meminfo")).ok()?;
    let total = meminfo.lines().find_map(|l| l.strip_prefix("MemTotal:"))?;
    let kib: u64 = total.split_whitespace().next()?.parse().ok()?;
    let groups = std::fs::read_to_string(root.join("proc/self/cgroup")).unwrap_or_default();
    let limits = groups.lines().flat_map(|line| limit_files(root, line)).filter_map(|file| {
        // Without a limit the file says `max`, or a number beyond any memory.
        std::fs::read_to_string(file).ok()?.trim().parse::<u64>().ok()
    });
    Some(limits.fold(kib << 10, u64::min))
}

/// The files that may hold a limit for a line of `/proc/self/cgroup`, such as `0::/a/b` or `7:memory:/a/b`.
fn limit_files(root: &Path, line: &str) -> Vec<PathBuf> {
    let mut fields = line.splitn(3, ':').skip(1);
    let (Some(controllers), Some(group)) = (fields.next(), fields.next()) else { return Vec::new() };
    let (mount, file) = match controllers {
        "" => ("sys/fs/cgroup", "memory.max"),
        c if c.split(',').any(|c| c == "memory") => ("sys/fs/cgroup/memory", "memory.limit_in_bytes"),
        _ => return Vec::new(),
    };
    // Each group bounds those below it. In a container the path may be the host's, where only the root is there.
    let group = Path::new(group.trim_start_matches('/'));
    group.ancestors().map(|g| root.join(mount).join(g).join(file)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn machine(files: &[(&str, &str)]) -> Option<u64> {
        let root = tempfile::tempdir().unwrap();
        for (name, text) in files {
            let path = root.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        memory_bytes(root.path())
    }

    const MEMINFO: (&str, &str) = ("proc/meminfo", "MemTotal:        8388608 kB\nMemFree: 1 kB\n");

    #[test]
    #[cfg(target_env = "gnu")]
    fn what_is_free_within_the_process_goes_back_to_the_system() {
        let resident_kib = || {
            let status = std::fs::read_to_string("/proc/self/status").unwrap();
            let line = status.lines().find_map(|l| l.strip_prefix("VmRSS:")).unwrap().to_owned();
            line.split_whitespace().next().unwrap().parse::<u64>().unwrap()
        };
        // Pieces that come from an arena, and between them some that stay, as series do.
        let mut pieces: Vec<Vec<u8>> = (0..200_000).map(|_| vec![1; 1000]).collect();
        let mut i = 0_u32;
        pieces.retain(|_| {
            i += 1;
            i.is_multiple_of(100)
        });
        let before = resident_kib();
        give_memory_back();
        let after = resident_kib();
        assert!(after + 100_000 < before, "{before} KiB, then {after} KiB of {} pieces", pieces.len());
    }

    #[test]
    fn the_least_limit_counts() {
        assert_eq!(machine(&[MEMINFO]), Some(8 << 30));
        assert_eq!(machine(&[]), None);
        let group = ("proc/self/cgroup", "0::/kubepods/pod\n");
        let above = ("sys/fs/cgroup/kubepods/memory.max", "1073741824\n");
        let own = ("sys/fs/cgroup/kubepods/pod/memory.max", "max\n");
        assert_eq!(machine(&[MEMINFO, group, above, own]), Some(1 << 30));
        let first = ("proc/self/cgroup", "4:cpu,cpuacct:/x\n7:memory:/docker/x\n");
        let container = ("sys/fs/cgroup/memory/memory.limit_in_bytes", "536870912\n");
        assert_eq!(machine(&[MEMINFO, first, container]), Some(512 << 20));
        let unlimited = ("sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n");
        assert_eq!(machine(&[MEMINFO, first, unlimited]), Some(8 << 30));
    }
}
