//! The WAL under torn writes, bad disks, full disks and failing fsyncs.

use std::path::Path;
use std::sync::Arc;

use base::{ErrorKind, ManualClock, Result};
use lake::frames::{FrameWriter, read_frames};
use lake::fs::Fs;
use lake::testing::{Fault, FaultFs, Faults, Random};
use lake::{
    Group, ReplayFrom, ReplayReport, Reserve, Wal, WalClient, WalMetrics, WalOptions, filenames, replay,
};
use parking_lot::Mutex;

pub(crate) const DIR: &str = "/wal/t";

/// Logs texts, and remembers those applied.
pub(crate) struct Texts {
    applied: Arc<Mutex<Vec<String>>>,
}

impl WalClient for Texts {
    type Item = (i64, String);
    type Outcome = usize;

    fn encode(&mut self, (epoch, text): &mut Self::Item, group: &mut Group) {
        group.frame(*epoch, |out| out.extend_from_slice(text.as_bytes()));
    }

    fn apply(&mut self, (_, text): Self::Item) -> usize {
        let mut applied = self.applied.lock();
        applied.push(text);
        applied.len()
    }

    fn abandon(&mut self, _: &mut [Self::Item]) {}
}

fn start(fs: &FaultFs) -> (Wal<Texts>, Vec<(i64, String)>, ReplayReport) {
    try_start(fs).unwrap()
}

/// A log, what its replay gave, and what it found.
pub(crate) type Started = (Wal<Texts>, Vec<(i64, String)>, ReplayReport);

fn try_start(fs: &FaultFs) -> Result<Started> {
    try_start_with(fs, wal_metrics(), Reserve::none())
}

pub(crate) fn wal_metrics() -> WalMetrics {
    WalMetrics {
        fsync_seconds: prometheus::Histogram::with_opts(prometheus::HistogramOpts::new("a", "a")).unwrap(),
        written_bytes: prometheus::IntCounter::new("b", "b").unwrap(),
        failures: prometheus::IntCounter::new("c", "c").unwrap(),
        held_bytes: prometheus::IntGauge::new("d", "d").unwrap(),
        dropped_unread_bytes: prometheus::IntCounter::new("e", "e").unwrap(),
        files_to_repair: prometheus::IntGauge::new("f", "f").unwrap(),
    }
}

pub(crate) fn try_start_with(fs: &FaultFs, metrics: WalMetrics, reserve: Reserve) -> Result<Started> {
    let (found, report) = read(fs, i64::MIN)?;
    let clock = Arc::new(ManualClock::new(0));
    let reserve = Arc::new(reserve);
    let options = WalOptions { fs: Arc::new(fs.clone()), dir: DIR.into(), clock, metrics, reserve };
    let wal = Wal::start(options, &report, Texts { applied: Arc::default() })?;
    Ok((wal, found, report))
}

pub(crate) fn read(fs: &FaultFs, sealed_until: i64) -> Result<(Vec<(i64, String)>, ReplayReport)> {
    let fs: Arc<dyn Fs> = Arc::new(fs.clone());
    let mut found = Vec::new();
    let report =
        replay(&fs, Path::new(DIR), ReplayFrom { sealed_until, sequence: 0 }, &mut |origin, payload| {
            found.push((origin.epoch, String::from_utf8(payload.to_vec()).unwrap()));
            Ok(())
        })?;
    Ok((found, report))
}

pub(crate) fn item(epoch: i64, n: u64) -> (i64, String) {
    (epoch, format!("record {n} of {epoch} {}", "x".repeat((n % 50) as usize)))
}

#[tokio::test]
async fn rotation_divides_before_from_after_and_what_a_checkpoint_has_goes() {
    let fs = FaultFs::new(Faults::none());
    let (wal, ..) = start(&fs);
    for n in 0..4 {
        wal.append(item(1 + n as i64 % 2, n), 1).await.unwrap();
    }
    let sequence = wal.rotate().await.unwrap();
    assert_eq!(wal.rotate().await.unwrap(), sequence, "nothing was written between");
    let before = wal.live_bytes();
    wal.append(item(1, 4), 1).await.unwrap();
    assert!(wal.live_bytes() > before);
    wal.delete_before(sequence).await.unwrap();
    assert!(wal.live_bytes() < before);
    wal.close().await.unwrap();
    let live_bytes = wal.live_bytes();
    drop(wal);
    let (wal, found, report) = start(&fs);
    assert_eq!((found, report.files), (vec![item(1, 4)], 1));
    wal.append(item(2, 5), 1).await.unwrap();
    assert!(wal.live_bytes() > live_bytes, "replayed files count");
    wal.close().await.unwrap();
    // A start from a later checkpoint leaves out and removes what lies before it, and numbers go on behind it.
    let fs: Arc<dyn Fs> = Arc::new(fs);
    let from = ReplayFrom { sealed_until: i64::MIN, sequence: sequence + 100 };
    let report = replay(&fs, Path::new(DIR), from, &mut |_, _| panic!("nothing is left")).unwrap();
    assert_eq!(report.files, 0);
    assert_eq!(fs.list(Path::new(DIR)).unwrap(), [""; 0]);
}

#[test]
fn files_of_frames_read_back_and_name_their_damage() {
    let fs: Arc<dyn Fs> = Arc::new(FaultFs::new(Faults::none()));
    fs.create_dir_all(Path::new(DIR)).unwrap();
    let path = Path::new(DIR).join(filenames::checkpoint_file(1, filenames::CheckpointPart::State));
    let temporary = lake::frames::temporary(&path);
    let mut writer = FrameWriter::create(&fs, &temporary).unwrap();
    for text in ["one", "two", "three"] {
        writer.frame(|out| out.extend_from_slice(text.as_bytes())).unwrap();
    }
    let bytes = writer.finish(Some(&path)).unwrap();
    let read = || {
        let mut found = Vec::new();
        let damage = read_frames(&fs, &path, &mut |payload| {
            found.push(String::from_utf8(payload.to_vec()).unwrap());
            Ok(())
        });
        (found, damage.unwrap())
    };
    assert_eq!(read(), (vec!["one".into(), "two".into(), "three".into()], vec![]));
    let mut whole = vec![0; bytes as usize];
    assert_eq!(fs.read_at(&path, 0, &mut whole).unwrap(), whole.len());
    let second = whole.windows(3).position(|w| w == b"two").unwrap();
    whole[second] ^= 1;
    let mut file = fs.open_append(&path).unwrap();
    file.truncate(0).unwrap();
    file.append(&whole[..whole.len() - 1]).unwrap();
    let (found, damage) = read();
    assert_eq!(found, ["one"]);
    let texts: Vec<String> = damage.iter().map(ToString::to_string).collect();
    assert!(texts[0].contains("offset 23"), "{texts:?}");
    assert_eq!(damage.len(), 1);
}

#[tokio::test]
async fn replays_by_epoch_what_was_appended_and_deletes_what_is_sealed() {
    let fs = FaultFs::new(Faults::none());
    let (wal, ..) = start(&fs);
    for n in 0..10 {
        wal.append(item(1 + n as i64 % 2, n), 1).await.unwrap();
    }
    wal.close().await.unwrap();
    assert_eq!(wal.append(item(1, 1), 1).await.unwrap_err().kind(), ErrorKind::Unavailable);
    let (wal, found, report) = start(&fs);
    let want: Vec<_> = [0, 2, 4, 6, 8, 1, 3, 5, 7, 9].iter().map(|n| item(1 + n % 2, *n as u64)).collect();
    assert_eq!(found, want);
    assert_eq!((report.files, report.frames, report.torn_bytes), (2, 10, 0));
    wal.append(item(3, 10), 1).await.unwrap();
    wal.delete_up_to(1).await.unwrap();
    assert_eq!(read(&fs, i64::MIN).unwrap().0.len(), 6);
    assert_eq!(read(&fs, 2).unwrap().0, [item(3, 10)]);
    assert_eq!(fs.list(Path::new(DIR)).unwrap().len(), 1, "sealed epochs are removed at start too");
}

#[tokio::test]
async fn concurrent_appends_share_groups_and_all_arrive() {
    let fs = FaultFs::new(Faults::none());
    let (wal, ..) = start(&fs);
    let wal = Arc::new(wal);
    let tasks: Vec<_> = (0..200)
        .map(|n| {
            let wal = wal.clone();
            tokio::spawn(async move { wal.append(item(1, n), 1000).await.unwrap() })
        })
        .collect();
    let mut positions = Vec::new();
    for task in tasks {
        positions.push(task.await.unwrap());
    }
    positions.sort_unstable();
    assert_eq!(positions, (1..=200).collect::<Vec<_>>());
    assert_eq!(read(&fs, 0).unwrap().1.frames, 200);
}

#[tokio::test]
async fn a_torn_tail_is_cut_at_every_length() {
    let fs = FaultFs::new(Faults::none());
    let (wal, ..) = start(&fs);
    for n in 0..3 {
        wal.append(item(1, n), 1).await.unwrap();
    }
    wal.close().await.unwrap();
    let path = Path::new(DIR).join(filenames::wal_file(1, 0));
    let whole = fs.content(&path);
    for len in 0..whole.len() {
        let torn = FaultFs::new(Faults::none());
        let mut file = torn.open_append(&path).unwrap();
        file.append(&whole[..len]).unwrap();
        let (found, report) = read(&torn, 0).unwrap();
        let frames = found.len();
        assert!(found.iter().zip(0..).all(|(f, n)| *f == item(1, n)));
        assert_eq!(report.corruptions, []);
        let (again, second) = read(&torn, 0).unwrap();
        assert_eq!((again.len(), second.torn_bytes), (frames, 0), "cut at {len}");
        assert_eq!(report.torn_bytes > 0, len > 0 && second.files == 0 || torn_len(&torn, &path) < len);
    }
}

fn torn_len(fs: &FaultFs, path: &Path) -> usize {
    if fs.list(Path::new(DIR)).unwrap().is_empty() { 0 } else { fs.content(path).len() }
}

#[tokio::test]
async fn damage_in_the_middle_is_reported_and_costs_only_its_frame() {
    let fs = FaultFs::new(Faults::none());
    let (wal, ..) = start(&fs);
    for n in 0..5 {
        wal.append(item(1, n), 1).await.unwrap();
    }
    wal.close().await.unwrap();
    let path = Path::new(DIR).join(filenames::wal_file(1, 0));
    let text = b"record 2";
    let at = fs.content(&path).windows(text.len()).position(|w| w == text).unwrap();
    fs.flip(&path, at + 1);
    let (found, report) = read(&fs, 0).unwrap();
    assert_eq!(found, [item(1, 0), item(1, 1), item(1, 3), item(1, 4)]);
    let error = &report.corruptions[0];
    assert_eq!(error.kind(), ErrorKind::Corrupt);
    let begins = at - 12;
    assert!(error.message().contains(&format!("{} at offset {begins}:", path.display())), "{error}");
    let kept = format!("{}{}", path.display(), filenames::CORRUPT_SUFFIX);
    assert!(fs.content(Path::new(&kept)).len() > at);
    let (again, second) = read(&fs, 0).unwrap();
    assert_eq!((again, second.corruptions), (found, vec![]), "the good frames live on, reported once");
}

#[tokio::test]
async fn refuses_a_file_of_another_version() {
    let fs = FaultFs::new(Faults::none());
    let (wal, ..) = start(&fs);
    wal.append(item(1, 0), 1).await.unwrap();
    wal.close().await.unwrap();
    fs.flip(&Path::new(DIR).join(filenames::wal_file(1, 0)), 5);
    let error = read(&fs, 0).unwrap_err();
    assert!(error.message().contains("its format has version 65, this program reads version 1"), "{error}");
}

#[tokio::test]
async fn a_full_disk_refuses_appends_and_recovers() {
    let faults = Faults::none();
    let fs = FaultFs::new(faults.clone());
    let (wal, ..) = start(&fs);
    wal.append(item(1, 0), 1).await.unwrap();
    faults.set_disk_full(true);
    for n in 1..4 {
        let error = wal.append(item(n as i64 % 2, n), 1).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unavailable);
        assert!(error.message().contains("no space left"), "{error}");
    }
    faults.set_disk_full(false);
    wal.append(item(1, 4), 1).await.unwrap();
    fs.crash(7);
    let (found, report) = read(&fs, -1).unwrap();
    assert_eq!((found, report.corruptions), (vec![item(1, 0), item(1, 4)], vec![]));
}

/// One fault at each step of a short life, in each of its forms, with several crashes behind it: what was acknowledged is there, in
/// order, once; what was refused may be there.
#[tokio::test]
async fn nothing_acknowledged_is_lost_whatever_fails() {
    let forms = [true, false].map(|done| [Fault::Fail { done }, Fault::Crash { done }]).concat();
    for seed in 0..4u64 {
        for fault in &forms {
            for step in 0.. {
                let faults = Faults::none();
                faults.at(step, *fault);
                let fs = FaultFs::new(faults.clone());
                let context = format!("seed {seed} step {step} {fault:?}");
                if !life(&fs, &faults, seed, &context).await {
                    break;
                }
            }
        }
    }
}

/// Returns whether the planned fault has happened.
async fn life(fs: &FaultFs, faults: &Arc<Faults>, seed: u64, context: &str) -> bool {
    let mut random = Random::new(seed);
    let (mut acknowledged, mut refused) = (Vec::new(), Vec::new());
    let Ok((wal, ..)) = try_start(fs) else { return true };
    for n in 0..12 {
        let item = item(1 + random.below(2) as i64, n);
        match wal.append(item.clone(), 1).await {
            Ok(_) => acknowledged.push(item),
            Err(e) => {
                assert_eq!(e.kind(), ErrorKind::Unavailable, "{context}");
                refused.push(item);
            }
        }
    }
    let happened = faults.happened();
    drop(wal);
    faults.revive();
    fs.crash(seed ^ faults.steps());
    let (found, report) = read(fs, 0).unwrap();
    let context = format!("{context}: {happened:?} {report:?}");
    acknowledged.sort_by_key(|(epoch, _)| *epoch);
    let found_acknowledged: Vec<_> = found.iter().filter(|f| !refused.contains(f)).cloned().collect();
    assert_eq!(found_acknowledged, acknowledged, "{context}");
    for item in refused {
        assert!(found.iter().filter(|f| **f == item).count() <= 1, "{context}");
    }
    happened.is_some()
}
