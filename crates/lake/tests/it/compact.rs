//! Compaction of tables with plain rows: sorted and complete results, one commit, conflicts, and room on the disk.

use std::path::Path;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, BooleanArray, Int64Array, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Schema, TimeUnit};
use base::ManualClock;
use futures::TryStreamExt;
use lake::compact::{Job, Outcome, Policy, RowFilter, decide, merge_rows};
use lake::testing::{FakeDisk, Fault, FaultFs, FaultStore, Faults, Random};
use lake::{Lake, Layout, Segment, Table, TableSpec, TimeColumns};
use object_store::ObjectStore;

const DATE: &str = "2026-01-01";
const AFTER_MS: i64 = 1_767_225_600_000 + 30 * 3_600_000;

fn spec() -> TableSpec {
    let field = |name: &str, data_type| Field::new(name, data_type, false);
    TableSpec {
        name: "events",
        schema: Arc::new(Schema::new(vec![
            field("key", DataType::Utf8),
            field("from", DataType::Int64),
            field("to", DataType::Int64),
        ])),
        sort: &["key", "from"],
        time: TimeColumns { first: "from", last: "to", unit: TimeUnit::Millisecond },
        dictionary: &["key"],
        encodings: &[],
        statistics: &[],
        bloom: &[],
        layout: Layout { row_group_rows: 4096, page_rows: 512 },
    }
}

struct World {
    faults: Arc<Faults>,
    fs: FaultFs,
    store: FaultStore,
    disk: Arc<FakeDisk>,
}

impl World {
    fn new() -> Self {
        let faults = Faults::none();
        let (fs, store) = (FaultFs::new(faults.clone()), FaultStore::new(faults.clone()));
        Self { fs, store, faults, disk: FakeDisk::new(1 << 40) }
    }

    async fn table(&self, folder: &str) -> Table {
        let clock = Arc::new(ManualClock::new(AFTER_MS));
        let store: Arc<dyn ObjectStore> = Arc::new(self.store.clone());
        let lake = Lake::open(Path::new(folder), Arc::new(self.fs.clone()), store, clock).unwrap();
        lake.with_disk(self.disk.clone()).table(spec()).await.unwrap()
    }

    async fn files(&self) -> usize {
        let files: Vec<_> = self.store.list(None).try_collect().await.unwrap();
        files.iter().filter(|f| f.location.as_ref().contains("tenant=")).count()
    }
}

type Row = (String, i64);

/// Seals segments of random rows; returns all of them, sorted.
async fn fill(table: &Table, segments: i64, rows: usize) -> Vec<Row> {
    let mut random = Random::new(7);
    let mut all: Vec<Row> = Vec::new();
    for epoch in 1..=segments {
        let mut some: Vec<Row> = (0..rows)
            .map(|_| (format!("k{:03}", random.below(300)), random.below(1_000_000) as i64))
            .collect();
        some.sort();
        let columns: Vec<ArrayRef> = vec![
            Arc::new(StringArray::from_iter_values(some.iter().map(|(k, _)| k))),
            Arc::new(Int64Array::from_iter_values(some.iter().map(|(_, t)| *t))),
            Arc::new(Int64Array::from_iter_values(some.iter().map(|(_, t)| *t + 5))),
        ];
        let mut writer = table.segment_writer("t", DATE, epoch).unwrap();
        writer.write(&RecordBatch::try_new(spec().schema, columns).unwrap()).await.unwrap();
        let sealed = writer.finish().await.unwrap();
        table.commit_seal(epoch, &[sealed]).await.unwrap();
        all.extend(some);
    }
    all.sort();
    all
}

async fn read(table: &Table, segment: &Segment) -> Vec<Row> {
    let batches: Vec<RecordBatch> = table.scan_all(segment).await.unwrap().try_collect().await.unwrap();
    let rows = batches.iter().flat_map(|b| {
        let keys: &StringArray = b.column(0).as_any().downcast_ref().unwrap();
        let times: &Int64Array = b.column(1).as_any().downcast_ref().unwrap();
        (0..keys.len()).map(|i| (keys.value(i).to_owned(), times.value(i))).collect::<Vec<_>>()
    });
    rows.collect()
}

async fn compact(table: &Table, keep: Option<RowFilter>) -> base::Result<Outcome> {
    let jobs = decide(&table.compaction_state("t", |_| 0), AFTER_MS, &Policy::default());
    let Some(job @ Job::Merge { level, .. }) = jobs.first() else { panic!("nothing to merge: {jobs:?}") };
    let inputs = table.inputs_of(job).unwrap();
    let dropped = keep.is_some();
    table.replace(&inputs, dropped, merge_rows(table, &inputs, *level, keep)).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_merge_keeps_every_row_in_order_and_its_inputs_go() {
    let world = World::new();
    let table = world.table("/a").await;
    let want = fill(&table, 5, 3000).await;
    let Outcome::Done(view) = compact(&table, None).await.unwrap() else {
        panic!("there is nobody to conflict with")
    };
    assert_eq!((view.segments.len(), view.sealed_until), (1, 5));
    let merged = view.segments[0].clone();
    assert_eq!((merged.rows(), merged.date(), merged.name().unwrap().level), (15_000, DATE, 2));
    assert_eq!(read(&table, &merged).await, want);
    assert_eq!(table.vacuum().await.unwrap(), 5);
    assert!(decide(&table.compaction_state("t", |_| 0), AFTER_MS, &Policy::default()).is_empty());
    let view = world.table("/a").await.view();
    assert_eq!(view.segments[0].path(), merged.path(), "the log says so too");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_filter_drops_rows() {
    let world = World::new();
    let table = world.table("/a").await;
    let want = fill(&table, 2, 500).await;
    let keep: RowFilter = Arc::new(|batch| {
        let times: &Int64Array = batch.column(1).as_any().downcast_ref().unwrap();
        Ok(times.iter().map(|t| Some(t.unwrap() % 2 == 0)).collect::<BooleanArray>())
    });
    let Outcome::Done(view) = compact(&table, Some(keep)).await.unwrap() else { panic!("no conflict") };
    let want: Vec<Row> = want.into_iter().filter(|(_, t)| t % 2 == 0).collect();
    assert_eq!(read(&table, &view.segments[0]).await, want);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_that_compact_the_same_segments_one_gives_way() {
    let world = World::new();
    let a = world.table("/a").await;
    let want = fill(&a, 3, 1000).await;
    let b = world.table("/b").await;
    let (of_a, of_b) = tokio::join!(compact(&a, None), compact(&b, None));
    let conflicts = [of_a.unwrap(), of_b.unwrap()].iter().filter(|o| matches!(o, Outcome::Conflict)).count();
    assert_eq!(conflicts, 1);
    let view = a.refresh().await.unwrap();
    assert_eq!(view.segments.len(), 1);
    assert_eq!(read(&a, &view.segments[0]).await, want);
    drop(view);
    b.refresh().await.unwrap();
    a.vacuum().await.unwrap();
    b.vacuum().await.unwrap();
    assert_eq!(world.files().await, 1, "neither inputs nor the losing result stay");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_whose_answer_is_lost_is_found_in_the_log() {
    let world = World::new();
    let table = world.table("/a").await;
    let want = fill(&table, 3, 100).await;
    let inputs: Vec<_> = table.view().segments.to_vec();
    let made = merge_rows(&table, &inputs, 2, None).await.unwrap();
    assert_eq!(table.vacuum().await.unwrap(), 0, "what is about to be committed is left alone");
    world.faults.at(world.faults.steps(), Fault::Fail { done: true });
    let paths: Vec<String> = inputs.iter().map(|s| s.path().to_owned()).collect();
    let view = table.commit_replace(&paths, &made, false).await.unwrap().unwrap();
    assert!(world.faults.happened().is_some());
    assert_eq!(read(&table, &view.segments[0]).await, want);
    assert!(table.commit_replace(&paths, &made, false).await.unwrap().is_none(), "its inputs are gone");
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_begins_without_room_for_it() {
    let world = World::new();
    let table = world.table("/a").await;
    fill(&table, 2, 100).await;
    world.disk.set_available(lake::limits::COMPACTION_SPARE_BYTES);
    let refused = compact(&table, None).await.unwrap_err();
    assert!(refused.message().contains("the disk has"), "{refused}");
    assert_eq!(world.files().await, 2);
    world.disk.set_available(1 << 40);
    assert!(matches!(compact(&table, None).await.unwrap(), Outcome::Done(_)));
}
