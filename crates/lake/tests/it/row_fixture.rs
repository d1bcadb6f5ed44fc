//! A data folder with a table of rows that this or an earlier version wrote opens in this one.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::RecordBatch;
use base::{ManualClock, TimeRange};
use futures::TryStreamExt;
use lake::catalog::LOGS;
use lake::testing::{Random, copy_folder};
use lake::{Lake, RowOptions, RowStore, Scan, filenames};
use prometheus::Registry;

use crate::any_rows::{DAY_MS, START_MS, batch, counted};

/// WAL version 1, rows version 1, the table `logs` as first released: a sealed segment for each of two dates, and two appends in the log.
const FIXTURE: &str = "tests/fixtures/rows-1";
/// Beside the data: the names of the columns in the first line, then a line for each row, sorted.
const CONTENT: &str = "content.txt";

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(FIXTURE)
}

async fn open(folder: &Path) -> RowStore {
    let lake = Arc::new(Lake::open_local(folder, Arc::new(ManualClock::new(START_MS))).unwrap());
    RowStore::open(lake, LOGS.spec(), RowOptions::default(), &Registry::new()).await.unwrap()
}

/// The columns that the fixture has, which a later version may have more of.
async fn read(store: &RowStore, columns: &str) -> BTreeMap<String, usize> {
    let names: Vec<&str> = columns.split(' ').collect();
    let columns = LOGS.columns().map(|c| c.name).filter(|name| names.contains(name)).collect::<Vec<_>>();
    assert_eq!(columns, names);
    let rows = store.scan("t", Scan::range(columns, TimeRange::ALL)).unwrap();
    counted(&rows.try_collect::<Vec<RecordBatch>>().await.unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn opens_what_an_earlier_version_wrote() {
    if std::env::var_os("BELLWETHER_WRITE_FIXTURE").is_some() {
        write_fixture().await;
    }
    let dir = tempfile::tempdir().unwrap();
    copy_folder(&folder(), dir.path()).unwrap();
    let content = std::fs::read_to_string(folder().join(CONTENT)).unwrap();
    let (columns, rows) = content.split_once('\n').unwrap();
    let want: BTreeMap<String, usize> = rows.lines().map(|line| (line.to_owned(), 1)).collect();
    assert_eq!(want.len(), 20);
    let store = open(dir.path()).await;
    assert_eq!(store.table().view().segments.len(), 2);
    assert_eq!(store.head_size().0, 10);
    assert_eq!(read(&store, columns).await, want);
    assert_eq!(store.seal().await.unwrap(), 10);
    assert_eq!(read(&store, columns).await, want);
}

/// For when a format gets a new version; then the folder gets a new name too.
async fn write_fixture() {
    std::fs::remove_dir_all(folder()).ok();
    let store = open(&folder()).await;
    let (spec, mut random) = (LOGS.spec(), Random::new(2));
    let batches: Vec<_> = (0..4).map(|_| batch(&spec, &mut random, 5, START_MS, 2 * DAY_MS)).collect();
    for (i, batch) in batches.iter().enumerate() {
        store.append("t", batch).await.unwrap();
        if i == 1 {
            store.seal().await.unwrap();
        }
    }
    store.close().await.unwrap();
    drop(store);
    std::fs::remove_file(folder().join(filenames::LOCK)).unwrap();
    let names: Vec<&str> = LOGS.columns().map(|c| c.name).collect();
    let rows: Vec<String> = counted(&batches).into_keys().collect();
    std::fs::write(folder().join(CONTENT), format!("{}\n{}\n", names.join(" "), rows.join("\n"))).unwrap();
}
