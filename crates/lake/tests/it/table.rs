//! Tables: exactly-once seals, pruned scans, removal and vacuum.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use arrow::array::{Array, ArrayRef, BooleanArray, Int64Array, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Schema, TimeUnit};
use base::{ErrorKind, ManualClock, TimeRange};
use futures::{StreamExt, TryStreamExt};
use lake::testing::{Fault, FaultFs, FaultStore, Faults, Random};
use lake::{Block, Keys, Lake, Layout, NewSegment, Reason, Scan, Segment, Table, TableSpec, TimeColumns};
use object_store::ObjectStore;

pub(crate) const ROWS: i64 = 40_000;
const LAYOUT: Layout = Layout { row_group_rows: 16 << 10, page_rows: 512 };

pub(crate) fn spec() -> TableSpec {
    let field = |name: &str, data_type| Field::new(name, data_type, false);
    TableSpec {
        name: "events",
        schema: Arc::new(Schema::new(vec![
            field("key", DataType::Utf8),
            field("from", DataType::Int64),
            field("to", DataType::Int64),
            field("payload", DataType::Utf8),
        ])),
        sort: &["key", "from"],
        time: TimeColumns { first: "from", last: "to", unit: TimeUnit::Millisecond },
        dictionary: &["key"],
        encodings: &[],
        statistics: &[],
        bloom: &[],
        layout: LAYOUT,
    }
}

struct Disk {
    faults: Arc<Faults>,
    fs: FaultFs,
    store: FaultStore,
}

impl Disk {
    fn new() -> Self {
        let faults = Faults::none();
        Self { fs: FaultFs::new(faults.clone()), store: FaultStore::new(faults.clone()), faults }
    }

    /// A writer of its own for each folder, all in one store.
    async fn table(&self, folder: &str) -> Table {
        let clock = Arc::new(ManualClock::new(1_767_225_600_000));
        self.lake(folder, &clock).table(spec()).await.unwrap()
    }

    fn lake(&self, folder: &str, clock: &Arc<ManualClock>) -> Lake {
        let store: Arc<dyn ObjectStore> = Arc::new(self.store.clone());
        Lake::open(Path::new(folder), Arc::new(self.fs.clone()), store, clock.clone()).unwrap()
    }

    async fn parquet_files(&self) -> usize {
        let files: Vec<_> = self.store.list(None).try_collect().await.unwrap();
        let data = |path: &str| path.ends_with(".parquet") && !path.contains("_delta_log");
        files.iter().filter(|f| data(f.location.as_ref())).count()
    }
}

/// `rows` rows of a hundred keys, as many of each.
pub(crate) async fn segment(table: &Table, epoch: i64, rows: i64) -> NewSegment {
    let key = |i: i64| format!("key-{:02}", i * 100 / rows);
    let columns: Vec<ArrayRef> = vec![
        Arc::new(StringArray::from_iter_values((0..rows).map(key))),
        Arc::new(Int64Array::from_iter_values((0..rows).map(|i| epoch * 1000 + i % 7))),
        Arc::new(Int64Array::from_iter_values((0..rows).map(|i| epoch * 1000 + 10 + i % 7))),
        Arc::new(StringArray::from_iter_values((0..rows).map(|i| format!("payload {i}")))),
    ];
    let batch = RecordBatch::try_new(spec().schema, columns).unwrap();
    let mut writer = table.segment_writer("t", "2026-01-01", epoch).unwrap();
    writer.write(&batch).await.unwrap();
    writer.finish().await.unwrap()
}

pub(crate) async fn read(table: &Table, segment: &Segment, scan: &Scan) -> Vec<RecordBatch> {
    table.scan(segment, scan).await.unwrap().try_collect().await.unwrap()
}

pub(crate) fn rows(batches: &[RecordBatch]) -> i64 {
    batches.iter().map(|b| b.num_rows() as i64).sum()
}

#[tokio::test(flavor = "multi_thread")]
async fn scans_prune_by_key_and_time_and_filter_rows() {
    let disk = Disk::new();
    let table = disk.table("/a").await;
    let new = segment(&table, 1, ROWS).await;
    let view = table.commit_seal(1, &[new]).await.unwrap();
    let committed = view.segments[0].clone();
    assert_eq!((committed.rows(), committed.time()), (ROWS as u64, TimeRange::new(1000, 1016)));
    assert_eq!(committed.tenant(), "t");
    let scan = |keys: Keys, range: TimeRange| Scan { keys, ..Scan::range(vec!["key"], range) };
    let all = rows(&read(&table, &committed, &scan(Keys::All, TimeRange::ALL)).await);
    assert_eq!(all, ROWS);
    let some = read(&table, &committed, &scan(Keys::Only(vec!["key-17".into()]), TimeRange::ALL)).await;
    let keys = some.iter().flat_map(|b| {
        let keys: &StringArray = b.column(0).as_any().downcast_ref().unwrap();
        keys.iter().map(|k| k.unwrap().to_owned()).collect::<Vec<_>>()
    });
    let wanted = keys.filter(|k| k == "key-17").count();
    assert_eq!(wanted as i64, ROWS / 100, "every row of the key is read");
    assert!(rows(&some) <= ROWS / 100 + 2 * LAYOUT.page_rows as i64, "{} rows were read", rows(&some));
    for nothing in [
        scan(Keys::Only(vec!["key".into(), "z".into()]), TimeRange::ALL),
        scan(Keys::All, TimeRange::new(0, 999)),
        scan(Keys::All, TimeRange::new(1017, 2000)),
    ] {
        assert_eq!(rows(&read(&table, &committed, &nothing).await), 0);
    }
    let exactly: lake::RowPredicate = Arc::new(|batch| {
        let payloads: &StringArray = batch.column(0).as_any().downcast_ref().unwrap();
        Ok(payloads.iter().map(|p| Some(p == Some("payload 31007"))).collect::<BooleanArray>())
    });
    let predicate = Some((vec!["payload"], exactly));
    let one = Scan { predicate, ..Scan::range(vec!["from"], TimeRange::ALL) };
    assert_eq!(rows(&read(&table, &committed, &one).await), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn blocks_are_the_same_rows_whoever_asks() {
    let disk = Disk::new();
    let table = disk.table("/a").await;
    let new = segment(&table, 1, ROWS).await;
    let committed = table.commit_seal(1, &[new]).await.unwrap().segments[0].clone();
    let all = table.blocks(&committed, &Keys::All, TimeRange::ALL).await.unwrap();
    assert_eq!(all.iter().map(|b| b.rows() as i64).sum::<i64>(), ROWS);
    let groups: Vec<usize> = all.chunk_by(|a, b| a.group() == b.group()).map(<[_]>::len).collect();
    assert_eq!(groups, [32, 32, 15], "{ROWS} rows in groups of 32 pages");
    let one = table.blocks(&committed, &Keys::Only(vec!["key-17".into()]), TimeRange::ALL).await.unwrap();
    assert!((1..=3).contains(&one.len()) && one.iter().all(|b| all.contains(b)), "{one:?}");
    assert!(table.blocks(&committed, &Keys::All, TimeRange::new(0, 999)).await.unwrap().is_empty());
    let none = Keys::Only(vec!["z".into()]);
    assert!(table.blocks(&committed, &none, TimeRange::ALL).await.unwrap().is_empty());

    let mut random = Random::new(5);
    for _ in 0..8 {
        let some: Vec<Block> = all.iter().filter(|_| random.below(3) == 0).copied().collect();
        let read = table.read_blocks(&committed, &["payload"], &some).await.unwrap();
        assert_eq!(read.len(), some.len());
        for (block, batch) in some.iter().zip(&read) {
            let payloads: &StringArray = batch.column(0).as_any().downcast_ref().unwrap();
            let first = block.group() * LAYOUT.row_group_rows + block.first();
            let want = (first..first + block.rows()).map(|i| format!("payload {i}"));
            assert!(payloads.iter().eq(want.map(Some).collect::<Vec<_>>().iter().map(Option::as_deref)));
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_seal_happens_once_however_often_it_is_tried() {
    let disk = Disk::new();
    let table = disk.table("/a").await;
    let first = segment(&table, 5, 10).await;
    // The commit reaches the store, and its answer is lost.
    disk.faults.at(disk.faults.steps(), Fault::Fail { done: true });
    table.commit_seal(5, std::slice::from_ref(&first)).await.unwrap();
    assert!(disk.faults.happened().is_some());
    let again = segment(&table, 5, 10).await;
    let view = table.commit_seal(5, &[again]).await.unwrap();
    assert_eq!((view.segments.len(), view.sealed_until), (1, 5));
    assert_eq!(disk.parquet_files().await, 2);
    assert_eq!(table.vacuum().await.unwrap(), 1, "the second upload is no part of the table");
    let view = disk.table("/a").await.view();
    assert_eq!((view.segments.len(), view.sealed_until), (1, 5));
}

#[tokio::test(flavor = "multi_thread")]
async fn writers_share_a_table_without_touching_each_other() {
    let disk = Disk::new();
    let (a, b) = (disk.table("/a").await, disk.table("/b").await);
    for epoch in 1..5 {
        let (of_a, of_b) = (segment(&a, epoch, 10).await, segment(&b, epoch, 10).await);
        let (of_a, of_b) = ([of_a], [of_b]);
        let (a, b) = tokio::join!(a.commit_seal(epoch, &of_a), b.commit_seal(epoch, &of_b));
        a.unwrap();
        b.unwrap();
    }
    let not_committed = segment(&b, 3, 10).await;
    assert!(not_committed.size_bytes() > 0);
    let view = a.refresh().await.unwrap();
    assert_eq!((view.segments.len(), view.sealed_until), (8, 4));
    assert_eq!(a.vacuum().await.unwrap(), 0, "what another writer uploads may be about to be committed");
    assert_eq!(b.vacuum().await.unwrap(), 0, "nor is deleted what may still be committed by this one");
    drop(not_committed);
    assert_eq!(b.vacuum().await.unwrap(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_removed_segment_is_readable_until_its_last_reader_is_done() {
    let disk = Disk::new();
    let table = disk.table("/a").await;
    let new = segment(&table, 1, 10).await;
    let held = table.commit_seal(1, &[new]).await.unwrap().segments[0].clone();
    let view = table.remove(&[held.path().to_owned()]).await.unwrap();
    assert!(view.segments.is_empty());
    drop(view);
    assert_eq!(table.vacuum().await.unwrap(), 0);
    let scan = Scan::range(vec!["key"], TimeRange::ALL);
    assert_eq!(rows(&read(&table, &held, &scan).await), 10);
    drop(held);
    assert_eq!(table.vacuum().await.unwrap(), 1);
    assert_eq!(disk.parquet_files().await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn in_a_shared_store_files_go_by_their_age() {
    const MINUTE: Duration = Duration::from_secs(60);
    let disk = Disk::new();
    // The store in memory dates its files by the real clock, so that they are years old for this one.
    let clock = Arc::new(ManualClock::new(4_102_444_800_000));
    let (lake_a, lake_b) = (disk.lake("/a", &clock).into_shared(), disk.lake("/b", &clock).into_shared());
    let (a, b) = (lake_a.table(spec()).await.unwrap(), lake_b.table(spec()).await.unwrap());
    let (kept, removed) = (segment(&a, 1, 10).await, segment(&a, 2, 10).await);
    a.commit_seal(2, &[kept, removed.clone()]).await.unwrap();
    drop(segment(&b, 5, 10).await);
    b.remove(&[removed.path().to_owned()]).await.unwrap();
    drop(removed);
    let garbage = a.garbage().await.unwrap();
    let reasons: Vec<_> = garbage.iter().map(|g| g.reason).collect();
    assert_eq!(reasons, [Reason::Abandoned], "the removed one may be read for an hour yet");
    assert_eq!(a.unreferenced().await.unwrap().len(), 1);
    assert_eq!((a.vacuum().await.unwrap(), disk.parquet_files().await), (1, 2));
    // Within the hour nobody searches again, and after it the other writer's removal is long known.
    clock.advance(MINUTE * 59);
    assert_eq!(a.vacuum().await.unwrap(), 0);
    clock.advance(MINUTE);
    assert_eq!((a.vacuum().await.unwrap(), disk.parquet_files().await), (1, 1));
    assert_eq!(a.view().segments.len(), 1, "vacuum looks at the log again");
}

#[tokio::test(flavor = "multi_thread")]
async fn files_that_a_crash_left_without_their_names_go_by_their_age() {
    let dir = tempfile::tempdir().unwrap();
    let now_ms = 1_767_225_600_000;
    let at = |ms: i64| std::time::UNIX_EPOCH + Duration::from_millis(ms.unsigned_abs());
    let clock = Arc::new(ManualClock::new(now_ms));
    let lake = Lake::open_local(dir.path(), clock.clone()).unwrap();
    let table = lake.table(spec()).await.unwrap();
    let new = segment(&table, 1, 10).await;
    let kept = table.commit_seal(1, &[new]).await.unwrap().segments[0].clone();
    let folder = dir.path().join("tables/events");
    // A large upload, and a process that is no more before its end.
    let store = lake::LocalStore::new(dir.path()).unwrap();
    let path = object_store::path::Path::from("tables/events/tenant=t/date=2026-01-01/w-2.parquet");
    let mut upload = store.put_multipart_opts(&path, Default::default()).await.unwrap();
    upload.put_part("half of it".into()).await.unwrap();
    // Leaked on purpose: dropping it would clean up, which a process that dies does not.
    let upload = Box::leak(Box::new(upload));
    assert!(format!("{upload:?}").contains("Upload"));
    let uploaded: Vec<_> = std::fs::read_dir(folder.join("tenant=t/date=2026-01-01"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.to_string_lossy().contains('#'))
        .collect();
    assert_eq!(uploaded.len(), 1, "the store stages uploads");
    let write = |path: &Path, modified_ms: i64| {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        let file = std::fs::OpenOptions::new().create(true).append(true).open(path).unwrap();
        file.set_modified(at(modified_ms)).unwrap();
    };
    let day_ms = 86_400_000;
    write(&uploaded[0], now_ms - day_ms);
    for old in
        ["_delta_log/00000000000000000007.json#3", "_tombstones/t/x#12", "_delta_log/y#", "_delta_log/z#a"]
    {
        write(&folder.join(old), now_ms - day_ms);
    }
    write(&folder.join("_delta_log/00000000000000000008.json#4"), now_ms - day_ms + 60_000);
    let garbage = table.garbage().await.unwrap();
    assert!(garbage.iter().all(|g| g.reason == Reason::Unfinished), "{garbage:?}");
    let mut paths: Vec<&str> = garbage.iter().map(|g| g.path.as_str()).collect();
    paths.sort_unstable();
    assert_eq!(paths[..2], ["_delta_log/00000000000000000007.json#3", "_tombstones/t/x#12"]);
    assert_eq!((paths.len(), table.vacuum().await.unwrap()), (3, 3));
    let left = |name: &str| folder.join(name).exists();
    assert!(left("_delta_log/y#") && left("_delta_log/z#a"), "names of somebody else");
    assert!(left("_delta_log/00000000000000000008.json#4"), "somebody may be writing it");
    assert_eq!(rows(&read(&table, &kept, &Scan::range(vec!["key"], TimeRange::ALL)).await), 10);
    drop((table, lake));
    let at_rest = lake::inspect::LakeAtRest::open_folder(dir.path(), clock).unwrap();
    let table = at_rest.table(spec()).await.unwrap();
    assert_eq!(table.vacuum().await.unwrap(), 1, "nobody can be writing now");
}

#[tokio::test(flavor = "multi_thread")]
async fn many_commits_leave_checkpoints_and_open_again() {
    let disk = Disk::new();
    let table = disk.table("/a").await;
    for epoch in 1..=70 {
        let new = segment(&table, epoch, 10).await;
        table.commit_seal(epoch, &[new]).await.unwrap();
    }
    let checkpoints = disk.store.list(None).filter(|f| {
        let checkpoint = f.as_ref().is_ok_and(|f| f.location.as_ref().contains(".checkpoint"));
        std::future::ready(checkpoint)
    });
    assert_eq!(checkpoints.count().await, 2);
    let view = disk.table("/a").await.view();
    assert_eq!((view.segments.len(), view.sealed_until), (70, 70));
    assert!(view.segments.iter().all(|s| s.crc().is_some()), "so do checksums");
    assert_eq!(view.segments[69].time(), TimeRange::new(70_000, 70_016), "statistics survive a checkpoint");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_has_everything_and_goes_its_own_way() {
    let disk = Disk::new();
    let clock = Arc::new(ManualClock::new(1_767_225_600_000));
    let lake = disk.lake("/a", &clock);
    let table = lake.table(spec()).await.unwrap();
    for epoch in 1..=2 {
        let new = segment(&table, epoch, 10).await;
        table.commit_seal(epoch, &[new]).await.unwrap();
    }
    let copy = lake.snapshot_table(spec(), "s").await.unwrap();
    let more = segment(&copy, 3, 10).await;
    let view = table.copy_to(&copy, &[more]).await.unwrap();
    let of = |view: &lake::TableView| -> Vec<_> {
        let facts = |s: &Arc<Segment>| (s.path().to_owned(), s.size_bytes(), s.time(), s.crc());
        view.segments.iter().map(facts).collect()
    };
    let (original, copied) = (of(&table.view()), of(&view));
    assert_eq!(copied[..2], original[..]);
    assert!(copied.len() == 3 && copied.iter().all(|(.., crc)| crc.is_some()), "{copied:?}");
    // What leaves the original stays in the copy.
    let gone: Vec<String> = original.iter().map(|(path, ..)| path.clone()).collect();
    table.remove(&gone).await.unwrap();
    assert_eq!(table.vacuum().await.unwrap(), 2);
    for segment in view.segments.iter() {
        assert_eq!(rows(&read(&copy, segment, &Scan::range(vec!["key"], TimeRange::ALL)).await), 10);
    }
}

#[tokio::test]
async fn refuses_tenants_that_do_not_fit_into_a_path() {
    let disk = Disk::new();
    let table = disk.table("/a").await;
    for tenant in ["", "a/b", "..", "a b", "ä"] {
        let refused = table.segment_writer(tenant, "2026-01-01", 1).err().unwrap();
        assert_eq!(refused.kind(), ErrorKind::Invalid, "{tenant}");
    }
}
