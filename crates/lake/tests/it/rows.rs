//! Stores of rows: what goes in comes out, from memory and from segments, for every table.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, Int64Array, RecordBatch, StringArray};
use arrow::datatypes::Int64Type;
use base::{ErrorKind, ManualClock, TimeRange};
use futures::{StreamExt, TryStreamExt};
use lake::catalog::{ALL, EVENTS, LOGS, SPANS};
use lake::testing::{FaultFs, FaultStore, Faults, Random};
use lake::{Keys, Lake, RowOptions, RowPredicate, RowStore, Scan, TableSpec};
use prometheus::Registry;

use crate::any_rows::{DAY_MS, HOUR_MS, START_MS, batch, counted};

/// A disk and a bucket whose operations fail as planned.
pub(crate) struct FaultyDisk {
    pub(crate) faults: Arc<Faults>,
    pub(crate) fs: FaultFs,
    pub(crate) store: FaultStore,
    pub(crate) clock: Arc<ManualClock>,
}

impl FaultyDisk {
    pub(crate) fn new() -> Self {
        let faults = Faults::none();
        let clock = Arc::new(ManualClock::new(START_MS));
        Self { fs: FaultFs::new(faults.clone()), store: FaultStore::new(faults.clone()), faults, clock }
    }

    pub(crate) fn lake(&self) -> base::Result<Arc<Lake>> {
        let (fs, store) = (Arc::new(self.fs.clone()), Arc::new(self.store.clone()));
        Ok(Arc::new(Lake::open(Path::new("/data"), fs, store, self.clock.clone())?))
    }

    pub(crate) async fn open(&self, spec: TableSpec, options: RowOptions) -> base::Result<RowStore> {
        RowStore::open(self.lake()?, spec, options, &Registry::new()).await
    }
}

/// All columns of the rows that a scan of everything gives.
pub(crate) async fn read(store: &RowStore, tenant: &str, range: TimeRange) -> Vec<RecordBatch> {
    let columns: Vec<&'static str> = ALL
        .iter()
        .find(|t| t.name() == store.table().spec().name)
        .unwrap()
        .columns()
        .map(|c| c.name)
        .collect();
    scan(store, tenant, Scan::range(columns, range)).await
}

async fn scan(store: &RowStore, tenant: &str, scan: Scan) -> Vec<RecordBatch> {
    store.scan(tenant, scan).unwrap().try_collect().await.unwrap()
}

/// Opens every table of a lake.
async fn open_all(folder: &Path) -> Vec<RowStore> {
    let clock = Arc::new(ManualClock::new(START_MS));
    let lake = Arc::new(Lake::open_local(folder, clock).unwrap());
    let (mut stores, registry) = (Vec::new(), Registry::new());
    for table in ALL {
        let store = RowStore::open(lake.clone(), table.spec(), RowOptions::default(), &registry).await;
        stores.push(store.unwrap());
    }
    stores
}

#[tokio::test(flavor = "multi_thread")]
async fn every_table_gives_back_what_it_got() {
    let dir = tempfile::tempdir().unwrap();
    let stores = open_all(dir.path()).await;
    let mut random = Random::new(7);
    let mut want = Vec::new();
    for store in &stores {
        let spec = store.table().spec();
        let rows = |i: usize| 1 + i * 5 % 90;
        let batches: Vec<_> =
            (0..40).map(|i| batch(spec, &mut random, rows(i), START_MS, 3 * DAY_MS)).collect();
        // One that is part of a larger one.
        let of_b = batches[19].slice(1, 3);
        store.append("b", &of_b).await.unwrap();
        for (i, batch) in batches.iter().enumerate() {
            store.append("a", batch).await.unwrap();
            if i == 19 {
                let rows = counted(&batches[..20]).values().sum::<usize>() as u64 + 3;
                assert_eq!(store.seal().await.unwrap(), rows);
                assert_eq!(store.head_size(), (0, 0));
                assert_eq!(store.table().view().segments.len(), 3 + counted_dates(&of_b, spec));
            }
        }
        want.push((counted(&batches), counted([&of_b])));
    }
    let check = async |stores: &[RowStore], moment: &str| {
        for (store, (of_a, of_b)) in stores.iter().zip(&want) {
            let name = store.table().spec().name;
            assert_eq!(counted(&read(store, "a", TimeRange::ALL).await), *of_a, "{name} {moment}");
            assert_eq!(counted(&read(store, "b", TimeRange::ALL).await), *of_b, "{name} {moment}");
            assert_eq!(read(store, "c", TimeRange::ALL).await, [], "{name} {moment}");
        }
    };
    check(&stores, "half in memory").await;
    drop(stores);
    let stores = open_all(dir.path()).await;
    check(&stores, "reopened").await;
    for store in &stores {
        store.seal().await.unwrap();
    }
    check(&stores, "in segments").await;
    drop(stores);
    check(&open_all(dir.path()).await, "in segments, reopened").await;
}

fn counted_dates(batch: &RecordBatch, spec: &TableSpec) -> usize {
    let times = arrow::compute::cast(
        batch.column_by_name(spec.time.first).unwrap(),
        &arrow::datatypes::DataType::Int64,
    );
    let times = times.unwrap();
    let times = times.as_primitive::<Int64Type>().values().iter().map(|t| spec.time.to_ms(*t) / DAY_MS);
    times.collect::<std::collections::BTreeSet<_>>().len()
}

/// Spans of three services; the trace of row `i` is `i`, its duration `i` seconds; one begins each minute.
fn spans(from: i64, rows: i64) -> RecordBatch {
    let spec = SPANS.spec();
    let mut random = Random::new(1);
    let filler = batch(&spec, &mut random, rows as usize, START_MS, 1);
    let ids = from..from + rows;
    let starts: Vec<i64> = ids.clone().map(|i| (START_MS + i * 60_000) * 1_000_000).collect();
    let columns = spec.schema.fields().iter().zip(filler.columns()).map(|(field, any)| -> ArrayRef {
        match field.name().as_str() {
            "service_name" => {
                Arc::new(ids.clone().map(|i| Some(format!("service-{}", i % 3))).collect::<StringArray>())
            }
            "trace_id" => Arc::new(ids.clone().map(|i| Some(format!("{i:032x}"))).collect::<StringArray>()),
            "start_time_unix_nano" => Arc::new(Int64Array::from(starts.clone())),
            "end_time_unix_nano" => Arc::new(
                starts
                    .iter()
                    .zip(ids.clone())
                    .map(|(t, i)| Some(t + i * 1_000_000_000))
                    .collect::<Int64Array>(),
            ),
            "duration_nano" => Arc::new(Int64Array::from_iter_values(ids.clone().map(|i| i * 1_000_000_000))),
            _ => any.clone(),
        }
    });
    RecordBatch::try_new(spec.schema.clone(), columns.collect()).unwrap()
}

/// The numbers of the spans that a scan finds, sorted.
async fn numbers(store: &RowStore, scan: Scan) -> Vec<i64> {
    let scan = Scan { columns: vec!["trace_id"], ..scan };
    let batches: Vec<RecordBatch> = store.scan("t", scan).unwrap().try_collect().await.unwrap();
    let ids = batches.iter().flat_map(|b| b.column(0).as_string::<i32>().iter());
    let mut ids: Vec<i64> = ids.map(|id| i64::from_str_radix(id.unwrap(), 16).unwrap()).collect();
    ids.sort_unstable();
    ids
}

#[tokio::test(flavor = "multi_thread")]
async fn scans_give_exactly_what_they_ask_for_from_memory_and_segments() {
    let disk = FaultyDisk::new();
    let store = disk.open(SPANS.spec(), RowOptions::default()).await.unwrap();
    for i in 0..4 {
        store.append("t", &spans(i * 100, 100)).await.unwrap();
        store.append("other", &spans(i * 100, 100)).await.unwrap();
        if i % 2 == 0 {
            store.seal().await.unwrap();
        }
    }
    let all = |range| Scan::range(vec![], range);
    let minute = |i: i64| START_MS + i * 60_000;
    assert_eq!(numbers(&store, all(TimeRange::ALL)).await, (0..400).collect::<Vec<_>>());
    // A span that is under way in the range is found: number 60 takes a minute, 120 takes two.
    let found = numbers(&store, all(TimeRange::new(minute(150), minute(150)))).await;
    let want: Vec<i64> = (0..=150).filter(|i| i * 60 + i >= 150 * 60).collect();
    assert_eq!(found, want);
    let keys = Keys::Only(vec!["nothing".into(), "service-1".into()]);
    let of_one = numbers(&store, Scan { keys: keys.clone(), ..all(TimeRange::ALL) }).await;
    assert_eq!(of_one, (0..400).filter(|i| i % 3 == 1).collect::<Vec<_>>());
    let any_of = Some(("trace_id", vec![format!("{:032x}", 17), format!("{:032x}", 399), "f".repeat(32)]));
    assert_eq!(numbers(&store, Scan { any_of, ..all(TimeRange::ALL) }).await, [17, 399]);
    let long: RowPredicate = Arc::new(|batch| {
        let durations = batch.column(0).as_primitive::<Int64Type>();
        // A null is no yes.
        Ok(durations.iter().map(|d| d.map(|d| d >= 300_000_000_000).filter(|y| *y)).collect::<BooleanArray>())
    });
    let predicate = Some((vec!["duration_nano"], long));
    let range = TimeRange::new(minute(0), minute(350));
    let found = numbers(&store, Scan { keys, predicate, ..all(range) }).await;
    assert_eq!(found, (300..=350).filter(|i| i % 3 == 1).collect::<Vec<_>>());
    let unknown = store.scan("t", Scan::range(vec!["nonsense"], TimeRange::ALL)).err().unwrap();
    assert_eq!(unknown.kind(), ErrorKind::Invalid);
    // Nothing at all is read where statistics or bloom filters say so.
    let segment = store.table().view().segments[0].clone();
    let absent = Scan {
        any_of: Some(("trace_id", vec!["0".repeat(31) + "g"])),
        ..Scan::range(vec!["trace_id"], TimeRange::ALL)
    };
    let later = Scan::range(vec!["trace_id"], TimeRange::new(minute(2000), minute(2001)));
    for nothing in [absent, later] {
        let batches: Vec<_> =
            store.table().scan(&segment, &nothing).await.unwrap().try_collect().await.unwrap();
        assert_eq!(batches.iter().map(RecordBatch::num_rows).sum::<usize>(), 0);
    }
    assert_eq!(segment.key_bounds(), (Some("service-0"), Some("service-2")));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_without_an_end_is_found_at_its_beginning() {
    let disk = FaultyDisk::new();
    let spec = EVENTS.spec();
    let store = disk.open(spec.clone(), RowOptions::default()).await.unwrap();
    let mut random = Random::new(3);
    let batches: Vec<_> = (0..10).map(|_| batch(&spec, &mut random, 1, START_MS, HOUR_MS)).collect();
    for moment in ["in memory", "in segments"] {
        for one in &batches {
            if moment == "in memory" {
                store.append("t", one).await.unwrap();
            }
            let begin = one.column_by_name("time_unix_nano").unwrap().as_primitive::<Int64Type>().value(0)
                / 1_000_000;
            let found = read(&store, "t", TimeRange::new(begin, begin)).await;
            assert!(counted(&found).contains_key(counted([one]).keys().next().unwrap()), "{moment}");
        }
        store.seal().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn refuses_with_a_reason_what_cannot_be_stored() {
    let disk = FaultyDisk::new();
    let spec = LOGS.spec();
    let options = RowOptions { head_bytes: 1 << 20, ..RowOptions::default() };
    let store = disk.open(spec.clone(), options).await.unwrap();
    let mut random = Random::new(5);
    let good = batch(&spec, &mut random, 50, START_MS, DAY_MS);
    let refused = async |tenant: &str, batch: &RecordBatch, kind: ErrorKind, why: &str| {
        let error = store.append(tenant, batch).await.unwrap_err();
        assert_eq!(error.kind(), kind, "{error}");
        assert!(error.message().contains(why), "{error}");
        assert!(error.message().starts_with("cannot append"), "{error}");
    };
    for tenant in ["", "a/b", "..", "ä", &"a".repeat(129)] {
        refused(tenant, &good, ErrorKind::Invalid, "tenant").await;
    }
    refused("t", &spans(0, 1), ErrorKind::Invalid, "columns, the table has").await;
    let with = |name: &str, column: ArrayRef| {
        let mut columns = good.columns().to_vec();
        columns[spec.schema.index_of(name).unwrap()] = column;
        let fields = spec.schema.fields().iter().zip(&columns);
        let fields: Vec<_> = fields
            .map(|(f, c)| f.as_ref().clone().with_data_type(c.data_type().clone()).with_nullable(true))
            .collect();
        RecordBatch::try_new(Arc::new(arrow::datatypes::Schema::new(fields)), columns).unwrap()
    };
    let nulls: ArrayRef = Arc::new(StringArray::from(vec![None::<&str>; 50]));
    refused("t", &with("service_name", nulls), ErrorKind::Invalid, "service_name").await;
    refused("t", &with("body", Arc::new(Int64Array::from(vec![1; 50]))), ErrorKind::Invalid, "body").await;
    refused(
        "t",
        &with("time_unix_nano", Arc::new(Int64Array::from(vec![-1; 50]))),
        ErrorKind::Invalid,
        "1970",
    )
    .await;
    let line = "x".repeat(400 << 10);
    let large: ArrayRef = Arc::new(StringArray::from(vec![line.as_str(); 50]));
    refused("t", &with("body", large), ErrorKind::Limit, "limit append_bytes").await;
    // Many dates are as many files.
    let days: ArrayRef = Arc::new(Int64Array::from_iter_values((0..50).map(|i| i * DAY_MS * 1_000_000)));
    for year in 0..100i64 {
        let shifted =
            days.as_primitive::<Int64Type>().unary::<_, Int64Type>(|t| t + year * 50 * DAY_MS * 1_000_000);
        if store.append("t", &with("time_unix_nano", Arc::new(shifted))).await.is_err() {
            break;
        }
    }
    refused(
        "t",
        &with(
            "time_unix_nano",
            Arc::new(
                days.as_primitive::<Int64Type>().unary::<_, Int64Type>(|t| t + 8000 * DAY_MS * 1_000_000),
            ),
        ),
        ErrorKind::Unavailable,
        "limit head_",
    )
    .await;
    store.seal().await.unwrap();
    let half: ArrayRef = Arc::new(StringArray::from(vec!["x".repeat(15 << 10); 50]));
    store.append("t", &with("body", half.clone())).await.unwrap();
    refused("t", &with("body", half.clone()), ErrorKind::Unavailable, "limit head_bytes").await;
    store.seal().await.unwrap();
    store.append("t", &with("body", half)).await.unwrap();
    store.append("t", &good.slice(0, 0)).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn maintenance_seals_by_age_and_by_size_and_keeps_to_retention() {
    let disk = FaultyDisk::new();
    let spec = LOGS.spec();
    let options = RowOptions {
        seal_bytes: 256 << 10,
        seal_age: Duration::from_secs(60),
        retention: Some(Duration::from_secs(2 * 86_400)),
        ..RowOptions::default()
    };
    let store = disk.open(spec.clone(), options).await.unwrap();
    let mut random = Random::new(9);
    store.append("t", &batch(&spec, &mut random, 20, START_MS, 1000)).await.unwrap();
    assert_eq!(store.maintain().await.unwrap().sealed_rows, 0);
    disk.clock.advance(Duration::from_secs(60));
    assert_eq!(store.maintain().await.unwrap().sealed_rows, 20);
    let mut rows = 0;
    let large = tokio::time::timeout(Duration::from_secs(60), store.wait_until_large());
    let filled = async {
        while store.head_size().1 < 256 << 10 {
            store.append("t", &batch(&spec, &mut random, 100, START_MS, 1000)).await.unwrap();
            rows += 100;
        }
    };
    let (woken, ()) = tokio::join!(large, filled);
    woken.unwrap();
    assert_eq!(store.maintain().await.unwrap().sealed_rows, rows);
    let held = store.scan("t", Scan::range(vec!["body"], TimeRange::ALL)).unwrap();
    disk.clock.advance(Duration::from_secs(3 * 86_400));
    let done = store.maintain().await.unwrap();
    assert_eq!((done.sealed_rows, done.expired, done.vacuumed), (0, 2, 0), "a reader holds the segments");
    assert!(read(&store, "t", TimeRange::ALL).await.is_empty());
    let left: usize = held.map(|b| b.unwrap().num_rows()).fold(0, async |a, b| a + b).await;
    assert_eq!(left as u64, rows + 20);
}

#[tokio::test(flavor = "multi_thread")]
async fn readers_see_every_row_once_while_rows_are_sealed() {
    let disk = FaultyDisk::new();
    let store = Arc::new(disk.open(SPANS.spec(), RowOptions::default()).await.unwrap());
    let writer = {
        let store = store.clone();
        tokio::spawn(async move {
            for i in 0..60 {
                store.append("t", &spans(i * 10, 10)).await.unwrap();
                if i % 4 == 3 {
                    store.seal().await.unwrap();
                }
            }
        })
    };
    let mut seen = 0;
    while !writer.is_finished() {
        let found = numbers(&store, Scan::range(vec![], TimeRange::ALL)).await;
        assert!(found.len() >= seen && found.len() % 10 == 0, "{} after {seen}", found.len());
        assert_eq!(found, (0..found.len() as i64).collect::<Vec<_>>());
        seen = found.len();
    }
    writer.await.unwrap();
    assert_eq!(numbers(&store, Scan::range(vec![], TimeRange::ALL)).await.len(), 600);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_in_a_snapshot_opens_as_a_store_of_its_own() {
    let dir = tempfile::tempdir().unwrap();
    let clock = Arc::new(ManualClock::new(START_MS));
    let open = async |folder: &Path| {
        let lake = Arc::new(Lake::open_local(folder, clock.clone()).unwrap());
        RowStore::open(lake, LOGS.spec(), RowOptions::default(), &Registry::new()).await.unwrap()
    };
    let store = open(dir.path()).await;
    let mut random = Random::new(11);
    let mut rows = |n| batch(&LOGS.spec(), &mut random, n, START_MS, 3 * DAY_MS);
    let (sealed, in_memory, later) = (rows(50), rows(20), rows(5));
    store.append("a", &sealed).await.unwrap();
    store.seal().await.unwrap();
    store.append("a", &in_memory).await.unwrap();
    store.append("b", &in_memory).await.unwrap();
    store.copy_to("whole", false).await.unwrap();
    store.copy_to("sealed", true).await.unwrap();
    // Both go their own ways.
    assert_eq!(store.head_size().0, 40);
    store.append("a", &later).await.unwrap();
    let whole = open(&dir.path().join("snapshots/whole")).await;
    whole.append("b", &later).await.unwrap();
    whole.seal().await.unwrap();
    assert_eq!(counted(&read(&whole, "a", TimeRange::ALL).await), counted([&sealed, &in_memory]));
    assert_eq!(counted(&read(&whole, "b", TimeRange::ALL).await), counted([&in_memory, &later]));
    let without_head = open(&dir.path().join("snapshots/sealed")).await;
    assert_eq!(counted(&read(&without_head, "a", TimeRange::ALL).await), counted([&sealed]));
    assert_eq!(read(&without_head, "b", TimeRange::ALL).await, []);
    assert_eq!(counted(&read(&store, "a", TimeRange::ALL).await), counted([&sealed, &in_memory, &later]));
}
