//! Readers beside writers and sealing: a visible sample stays visible, once.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicUsize, Ordering};

use base::{Clock, TimeRange};

use crate::support::{START_MS, append, clock_at, labels, minutes, open, sample, select};

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn readers_see_every_sample_once_while_windows_are_sealed() {
    let dir = tempfile::tempdir().unwrap();
    let clock = clock_at(START_MS);
    let store = Arc::new(open(dir.path(), &clock).await);
    let (acknowledged, done) = (Arc::new(AtomicI64::new(0)), Arc::new(AtomicBool::new(false)));
    let looks: [_; 2] = std::array::from_fn(|_| Arc::new(AtomicUsize::new(0)));
    let readers: Vec<_> = looks
        .iter()
        .map(|looks| {
            let (store, acknowledged, done) = (store.clone(), acknowledged.clone(), done.clone());
            let looks = looks.clone();
            tokio::spawn(async move {
                while !done.load(Ordering::SeqCst) {
                    let before = acknowledged.load(Ordering::SeqCst);
                    for (labels, samples) in select(&store, &[], TimeRange::ALL).await {
                        let times: Vec<i64> = samples.iter().map(|(t, _)| (t - START_MS) / 60_000).collect();
                        let want: Vec<i64> = (0..times.len() as i64).collect();
                        assert_eq!(times, want, "{labels}");
                        assert!(times.len() as i64 >= before, "{labels}: {} < {before}", times.len());
                    }
                    looks.fetch_add(1, Ordering::SeqCst);
                }
            })
        })
        .collect();
    let sealed = Arc::new(AtomicUsize::new(0));
    let sealer = {
        let (store, done, sealed) = (store.clone(), done.clone(), sealed.clone());
        tokio::spawn(async move {
            while !done.load(Ordering::SeqCst) {
                sealed.fetch_add(store.maintain().await.unwrap().sealed, Ordering::SeqCst);
                tokio::task::yield_now().await;
            }
        })
    };
    // However the machine divides its time between them, windows are sealed and looked at while others are written.
    let enough = || sealed.load(Ordering::SeqCst) >= 3 && looks.iter().all(|l| l.load(Ordering::SeqCst) > 10);
    let series = [labels("a", "1"), labels("a", "2"), labels("b", "1")];
    let mut n = 0;
    while n < 900 || !enough() {
        assert!(n < 100_000, "nothing is sealed or looked at");
        let batch: Vec<_> = series.iter().map(|l| sample(l, clock.now_ms(), n as f64)).collect();
        assert_eq!(append(&store, &batch).await.unwrap().accepted, 3);
        acknowledged.store(n + 1, Ordering::SeqCst);
        clock.advance(minutes(1));
        n += 1;
    }
    done.store(true, Ordering::SeqCst);
    sealer.await.unwrap();
    for reader in readers {
        reader.await.unwrap();
    }
}
