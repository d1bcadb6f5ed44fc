//! Readers beside writers and sealing: a visible sample stays visible, once.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};

use base::{Clock, TimeRange};

use crate::support::{START_MS, append, clock_at, labels, minutes, open, sample, select};

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn readers_see_every_sample_once_while_windows_are_sealed() {
    let dir = tempfile::tempdir().unwrap();
    let clock = clock_at(START_MS);
    let store = Arc::new(open(dir.path(), &clock).await);
    let (acknowledged, done) = (Arc::new(AtomicI64::new(0)), Arc::new(AtomicBool::new(false)));
    let readers: Vec<_> = (0..2)
        .map(|_| {
            let (store, acknowledged, done) = (store.clone(), acknowledged.clone(), done.clone());
            tokio::spawn(async move {
                let mut looks = 0;
                while !done.load(Ordering::SeqCst) {
                    let before = acknowledged.load(Ordering::SeqCst);
                    for (labels, samples) in select(&store, &[], TimeRange::ALL).await {
                        let times: Vec<i64> = samples.iter().map(|(t, _)| (t - START_MS) / 60_000).collect();
                        let want: Vec<i64> = (0..times.len() as i64).collect();
                        assert_eq!(times, want, "{labels}");
                        assert!(times.len() as i64 >= before, "{labels}: {} < {before}", times.len());
                    }
                    looks += 1;
                }
                looks
            })
        })
        .collect();
    let sealer = {
        let (store, done) = (store.clone(), done.clone());
        tokio::spawn(async move {
            let mut sealed = 0;
            while !done.load(Ordering::SeqCst) {
                sealed += store.maintain().await.unwrap().sealed;
                tokio::task::yield_now().await;
            }
            sealed
        })
    };
    let series = [labels("a", "1"), labels("a", "2"), labels("b", "1")];
    for n in 0..900 {
        let batch: Vec<_> = series.iter().map(|l| sample(l, clock.now_ms(), n as f64)).collect();
        assert_eq!(append(&store, &batch).await.unwrap().accepted, 3);
        acknowledged.store(n + 1, Ordering::SeqCst);
        clock.advance(minutes(1));
    }
    done.store(true, Ordering::SeqCst);
    assert!(sealer.await.unwrap() >= 3, "windows were sealed while readers looked");
    for reader in readers {
        assert!(reader.await.unwrap() > 10);
    }
}
