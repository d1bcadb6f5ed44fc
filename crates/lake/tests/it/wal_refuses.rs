//! The WAL on a disk that is full or may only be read: appends are refused, what is there is replayed, and both end by themselves.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use base::{ErrorKind, ManualClock};
use lake::fs::Fs;
use lake::testing::{FakeDisk, FaultFs, Faults};
use lake::{Reserve, filenames};

use crate::wal::{DIR, item, read, try_start_with, wal_metrics};

const FOLDER: &str = "/data";
const RESERVE: u64 = 1000;

fn has_reserve(fs: &FaultFs) -> bool {
    fs.list(Path::new(FOLDER)).unwrap().iter().any(|name| name == filenames::RESERVE)
}

#[tokio::test]
async fn a_full_disk_gives_its_reserve_to_sealing_and_takes_it_back_before_appends() {
    let faults = Faults::none();
    let (fs, disk, clock) = (FaultFs::new(faults.clone()), FakeDisk::new(100_000), ManualClock::new(0));
    let clock = Arc::new(clock);
    let take =
        || Reserve::of_size(RESERVE, Path::new(FOLDER), Arc::new(fs.clone()), disk.clone(), clock.clone());
    let reserve = take();
    let metrics = reserve.metrics().clone();
    let (wal, ..) = try_start_with(&fs, wal_metrics(), reserve).unwrap();
    wal.append(item(1, 0), 1).await.unwrap();
    assert!(has_reserve(&fs));

    disk.set_available(0);
    faults.set_disk_full(true);
    let first = wal.append(item(1, 1), 1).await.unwrap_err();
    assert!(first.message().contains("injected: no space left"), "{first}");
    assert!(!has_reserve(&fs), "there is space for sealing");
    // Now sealing could write, and the log must not.
    faults.set_disk_full(false);
    disk.set_available(RESERVE);
    for n in 2..5 {
        clock.advance(Duration::from_secs(2));
        let error = wal.append(item(1, n), 1).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unavailable);
        assert!(error.message().contains("no space left on the disk of /data"), "{error}");
        assert!(error.message().contains("limit reserve_bytes"), "{error}");
    }
    assert_eq!(metrics.refused_total(), 3);
    disk.set_available(2 * RESERVE);
    assert!(wal.append(item(1, 5), 1).await.is_err(), "the disk is looked at once a second");
    clock.advance(Duration::from_secs(2));
    wal.append(item(1, 6), 1).await.unwrap();
    assert!(has_reserve(&fs));
    assert_eq!(read(&fs, -1).unwrap().0, vec![item(1, 0), item(1, 6)]);

    // A process that starts where there is no space refuses at once.
    drop(wal);
    fs.remove(&Path::new(FOLDER).join(filenames::RESERVE)).unwrap();
    disk.set_available(RESERVE);
    let (wal, found, _) = try_start_with(&fs, wal_metrics(), take()).unwrap();
    assert_eq!(found, vec![item(1, 0), item(1, 6)]);
    assert!(wal.append(item(1, 7), 1).await.is_err());
    disk.set_available(2 * RESERVE);
    clock.advance(Duration::from_secs(2));
    wal.append(item(1, 8), 1).await.unwrap();
}

#[test]
fn maintenance_that_fails_gets_the_reserve_only_where_space_is_short() {
    let (fs, disk) = (FaultFs::new(Faults::none()), FakeDisk::new(100_000));
    let clock = Arc::new(ManualClock::new(0));
    let reserve = Reserve::of_size(RESERVE, Path::new(FOLDER), Arc::new(fs.clone()), disk.clone(), clock);
    disk.set_available(RESERVE);
    assert!(!reserve.give_way() && has_reserve(&fs));
    disk.set_available(RESERVE - 1);
    assert!(reserve.give_way() && !has_reserve(&fs));
    assert!(!reserve.give_way(), "there is nothing left to give");
    reserve.restore();
    assert!(reserve.is_given_up());
    disk.set_available(2 * RESERVE);
    reserve.restore();
    assert!(!reserve.is_given_up() && has_reserve(&fs));
}

#[tokio::test]
async fn a_log_that_may_only_be_read_is_replayed_as_it_is_and_repaired_once_it_may_be_written() {
    let faults = Faults::none();
    let fs = FaultFs::new(faults.clone());
    let (wal, ..) = try_start_with(&fs, wal_metrics(), Reserve::none()).unwrap();
    for n in 0..3 {
        wal.append(item(n as i64, n), 1).await.unwrap();
    }
    drop(wal);
    let path = |epoch: i64| Path::new(DIR).join(filenames::wal_file(epoch, epoch.unsigned_abs()));
    // One has a torn tail, one is damaged before a good frame, and one is whole.
    fs.open_append(&path(0)).unwrap().append(b"torn").unwrap();
    let good = fs.content(&path(1));
    fs.open_append(&path(1)).unwrap().append(&good[8..]).unwrap();
    fs.flip(&path(1), 30);
    let before: Vec<Vec<u8>> = (0..3).map(|epoch| fs.content(&path(epoch))).collect();

    faults.set_read_only(true);
    let metrics = wal_metrics();
    let (wal, found, report) = try_start_with(&fs, metrics.clone(), Reserve::none()).unwrap();
    assert_eq!(found, vec![item(0, 0), item(1, 1), item(2, 2)]);
    assert_eq!((report.torn_bytes, report.corruptions.len()), (4, 1));
    assert_eq!(metrics.files_to_repair.get(), 3);
    let error = wal.append(item(5, 5), 1).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert!(error.message().starts_with("cannot repair WAL file"), "{error}");
    let now: Vec<Vec<u8>> = (0..3).map(|epoch| fs.content(&path(epoch))).collect();
    assert_eq!(before, now, "nothing was touched");

    faults.set_read_only(false);
    wal.append(item(5, 6), 1).await.unwrap();
    assert_eq!(metrics.files_to_repair.get(), 0);
    assert_eq!(fs.content(&path(0)), &before[0][..before[0].len() - 4], "the torn tail is gone");
    drop(wal);
    fs.crash(3);
    let (found, report) = read(&fs, -1).unwrap();
    assert_eq!(found, vec![item(0, 0), item(1, 1), item(2, 2), item(5, 6)]);
    assert_eq!((report.torn_bytes, report.corruptions.len()), (0, 1));
}
