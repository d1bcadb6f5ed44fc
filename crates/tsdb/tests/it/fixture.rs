//! Data folders that released versions wrote open in this one.

use std::path::{Path, PathBuf};

use base::{STALE_NAN, TimeRange};
use lake::testing::copy_folder;

use crate::support::{Found, START_MS, append, clock_at, labels, minutes, open, sample, select};

/// Chunk version 1, WAL version 1, the table `metrics` as of 0.1.
fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/data-0.1")
}

/// Five hours at one minute of three series: two sealed windows, and an hour in the log.
fn content() -> Found {
    let of = |i: i64, n: u32| match n {
        0 => i as f64,
        1 => 0.25,
        _ if i % 30 == 29 => f64::from_bits(STALE_NAN),
        _ => (i as f64).sqrt(),
    };
    [labels("a", "1"), labels("a", "2"), labels("b", "1")]
        .into_iter()
        .zip(0..)
        .map(|(l, n)| (l, (0..300).map(|i| (START_MS + i * 60_000, of(i, n).to_bits())).collect()))
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn opens_what_0_1_wrote() {
    if std::env::var_os("BELLWETHER_WRITE_FIXTURE").is_some() {
        write_fixture().await;
    }
    let dir = tempfile::tempdir().unwrap();
    copy_folder(&folder(), dir.path()).unwrap();
    let clock = clock_at(START_MS + 5 * 3_600_000);
    let store = open(dir.path(), &clock).await;
    assert_eq!(store.stats().head_series, 3);
    assert_eq!(select(&store, &[], TimeRange::ALL).await, content());
    clock.advance(minutes(120));
    assert_eq!(store.maintain().await.unwrap().sealed, 1);
    assert_eq!(select(&store, &[], TimeRange::ALL).await, content());
}

/// For when a format gets a new version; then the folder gets a new name too.
async fn write_fixture() {
    std::fs::remove_dir_all(folder()).ok();
    let clock = clock_at(START_MS);
    let store = open(&folder(), &clock).await;
    let content = content();
    for i in 0..300 {
        let batch: Vec<_> = content.iter().map(|(l, s)| sample(l, s[i].0, f64::from_bits(s[i].1))).collect();
        append(&store, &batch).await.unwrap();
        clock.advance(minutes(1));
    }
    assert_eq!(store.maintain().await.unwrap().sealed, 2);
    store.close().await.unwrap();
    drop(store);
    std::fs::remove_file(folder().join(lake::filenames::LOCK)).unwrap();
}
