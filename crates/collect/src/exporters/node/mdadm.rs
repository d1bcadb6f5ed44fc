//! Software RAID, from `/proc/mdstat` and `/sys/block/md*`.

use super::tree::{attribute, attribute_number, malformed};
use super::{Failure, Scrape, Tree, Unreadable};
use crate::family::{Description, Families, gauge};

const STATE: Description = gauge("node_md_state", "Indicates the state of md-device.");
const DISKS: Description = gauge("node_md_disks", "Number of active/failed/spare disks of device.");
const DISKS_REQUIRED: Description = gauge("node_md_disks_required", "Total number of disks of device.");
const BLOCKS: Description = gauge("node_md_blocks", "Total number of blocks on device.");
const BLOCKS_SYNCED: Description = gauge("node_md_blocks_synced", "Number of blocks synced on device.");
const RAID_DISKS: Description = gauge("node_md_raid_disks", "Number of raid disks on device.");
const DEGRADED: Description = gauge("node_md_degraded", "Number of degraded disks on device.");

/// The states that are told, and the words of the parser for them.
const STATES: [(&str, Activity); 5] = [
    ("active", Activity::Active),
    ("inactive", Activity::Inactive),
    ("recovering", Activity::Recovering),
    ("resync", Activity::Resyncing),
    ("check", Activity::Checking),
];

/// What an array is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Activity {
    Active,
    Inactive,
    Recovering,
    Resyncing,
    Checking,
    /// Reshaping, broken, or a word of a later kernel.
    Other,
}

/// One array of `mdstat`.
#[derive(Debug, PartialEq)]
struct Array<'a> {
    device: &'a str,
    activity: Activity,
    disks_active: u64,
    disks_required: u64,
    disks_failed: usize,
    disks_spare: usize,
    blocks: u64,
    blocks_synced: u64,
}

pub(super) fn collect(scrape: &Scrape, out: &mut Families) -> Result<(), Failure> {
    let text = scrape.tree.proc("mdstat").map_err(Unreadable::or_no_data)?;
    let lines: Vec<&str> = text.lines().collect();
    let mut failure = None;
    for (at, line) in lines.iter().enumerate() {
        let is_array = !line.trim().is_empty()
            && !line.starts_with([' ', '\t'])
            && !line.starts_with("unused")
            && !line.starts_with("Personalities");
        if !is_array {
            continue;
        }
        // An array that cannot be understood costs itself, and the collector's success.
        match parse_array(&lines[at..]) {
            Some(array) => collect_array(&array, out),
            None => failure = Some(malformed("mdstat", line)),
        }
    }
    collect_members(scrape, out)?;
    failure.map_or(Ok(()), Err)
}

fn collect_array(array: &Array<'_>, out: &mut Families) {
    let device = ("device", array.device);
    out.add(&DISKS_REQUIRED, array.disks_required as f64, &[device]);
    out.add(&DISKS, array.disks_active as f64, &[device, ("state", "active")]);
    out.add(&DISKS, array.disks_failed as f64, &[device, ("state", "failed")]);
    out.add(&DISKS, array.disks_spare as f64, &[device, ("state", "spare")]);
    for (word, activity) in STATES {
        let is = f64::from(u8::from(array.activity == activity));
        out.add(&STATE, is, &[device, ("state", word)]);
    }
    out.add(&BLOCKS, array.blocks as f64, &[device]);
    out.add(&BLOCKS_SYNCED, array.blocks_synced as f64, &[device]);
}

/// Parses the lines of one array: its members, its size, perhaps a bitmap, perhaps the progress of a sync.
fn parse_array<'a>(lines: &[&'a str]) -> Option<Array<'a>> {
    let members = *lines.first()?;
    let size = lines.get(1)?;
    let mut words = members.split_ascii_whitespace();
    let device = words.next()?;
    let state = words.nth(1)?;
    let blocks = size.split_ascii_whitespace().next()?.parse().ok()?;
    let (disks_required, disks_active) = if members.contains("raid0") || members.contains("linear") {
        // Without redundancy the size line has no `[2/2]`: every member counts.
        let n = members.matches('[').count() as u64;
        (n, n)
    } else if members.contains("inactive") {
        (0, 0)
    } else {
        parse_required_and_active(size)?
    };
    let mut progress = lines.get(2).copied().unwrap_or_default();
    if progress.contains("bitmap") {
        progress = lines.get(3).copied().unwrap_or_default();
    }
    let under_way = [
        ("recovery", Activity::Recovering),
        ("reshape", Activity::Other),
        ("check", Activity::Checking),
        ("resync", Activity::Resyncing),
    ]
    .into_iter()
    .find(|(word, _)| progress.contains(word));
    let (activity, blocks_synced) = match under_way {
        None => match state {
            "active" => (Activity::Active, blocks),
            "inactive" => (Activity::Inactive, blocks),
            _ => (Activity::Other, blocks),
        },
        Some((_, activity)) if progress.contains("PENDING") || progress.contains("DELAYED") => (activity, 0),
        Some((_, activity)) => (activity, parse_synced(progress)?),
    };
    Some(Array {
        device,
        activity,
        disks_active,
        disks_required,
        disks_failed: members.matches("(F)").count(),
        disks_spare: members.matches("(S)").count(),
        blocks,
        blocks_synced,
    })
}

/// Finds `[2/1]` in `248896 blocks [2/1] [U_]`.
fn parse_required_and_active(size: &str) -> Option<(u64, u64)> {
    size.split_ascii_whitespace().find_map(|word| {
        let (required, active) = word.strip_prefix('[')?.strip_suffix(']')?.split_once('/')?;
        Some((required.parse().ok()?, active.parse().ok()?))
    })
}

/// Finds the first number of `(1507328/3068392)`.
fn parse_synced(progress: &str) -> Option<u64> {
    progress.split_ascii_whitespace().find_map(|word| {
        let (synced, _) = word.strip_prefix('(')?.strip_suffix(')')?.split_once('/')?;
        synced.parse().ok()
    })
}

fn collect_members(scrape: &Scrape, out: &mut Families) -> Result<(), Failure> {
    let block = scrape.tree.sys.join("block");
    let devices = match Tree::list(&block) {
        Err(e) if e.is_missing() => return Ok(()),
        devices => devices?,
    };
    for device in devices.iter().filter(|d| d.starts_with("md")) {
        let folder = block.join(device).join("md");
        if !folder.is_dir() {
            continue;
        }
        let level = attribute(&folder.join("level"))?;
        let labels = [("device", device.as_str())];
        // Containers have no disks of their own, and an array without a level cannot be judged.
        if !matches!(level.as_str(), "container" | "imsm" | "ddf" | "") {
            let disks = attribute(&folder.join("raid_disks"))?;
            // While it grows there are two: `11 (10)`.
            if let Some(disks) = disks.split(' ').next().and_then(|d| d.parse::<u32>().ok()) {
                out.add(&RAID_DISKS, f64::from(disks), &labels);
            }
        }
        let has_redundancy = matches!(level.as_str(), "raid1" | "raid4" | "raid5" | "raid6" | "raid10");
        let degraded = if has_redundancy { attribute_number(&folder.join("degraded"))? } else { 0.0 };
        out.add(&DEGRADED, degraded, &labels);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_recovering_array() {
        let lines = [
            "md4 : active raid1 sda3[0](F) sdb3[1](S)",
            "      4883648 blocks [2/1] [U_]",
            "      bitmap: 0/1 pages",
            "      [=>...]  recovery =  8.5% (16775552/195310144) finish=17.0min speed=259783K/sec",
        ];
        let array = parse_array(&lines).expect("a good array");
        assert_eq!((array.activity, array.blocks_synced), (Activity::Recovering, 16_775_552));
        assert_eq!((array.disks_required, array.disks_active), (2, 1));
        assert_eq!((array.disks_failed, array.disks_spare), (1, 1));
        assert_eq!(parse_array(&lines[..1]), None);
        assert_eq!(parse_array(&["md0 : active raid1", "x blocks"]), None);
    }
}
