//! How much memory this process may use: what the machine has, or less where a control group says so.

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
