//! Following the log: every sample once, with its labels, over checkpoints, seals and restarts.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use base::{Exemplar, Histogram, Labels, ManualClock, SeriesExemplar, SeriesSample, WriteBatch};
use lake::{Mark, Position};
use tsdb::tail::{SampleTail, TailSink};
use tsdb::{ExemplarOptions, ExemplarStore, ExemplarTail, MetricStore};

use crate::support::{HOUR_MS, START_MS, append, clock_at, labels, open, sample};

/// What was read: samples by series in the order of reading.
#[derive(Default)]
struct Seen {
    names: HashMap<u32, Labels>,
    samples: BTreeMap<Labels, Vec<(i64, u64)>>,
    histograms: usize,
    /// Times and starts of what has one, histograms too.
    starts: Vec<(i64, i64)>,
    /// Where the log is done once all of that is.
    done: Option<Position>,
    again: usize,
}

impl TailSink for Seen {
    fn series(&mut self, series: u32, labels: Labels) {
        assert!(self.names.insert(series, labels).is_none(), "a number is given once");
    }

    fn forget(&mut self, series: u32) {
        self.names.remove(&series).expect("it was given");
    }

    fn float(&mut self, series: u32, t_ms: i64, value: f64, start_ms: i64) {
        self.starts.extend((start_ms != 0).then_some((t_ms, start_ms)));
        let labels = self.names.get(&series).expect("labels come first").clone();
        self.samples.entry(labels).or_default().push((t_ms, value.to_bits()));
    }

    fn histogram(&mut self, _: u32, t_ms: i64, _: &Histogram, start_ms: i64) {
        self.starts.extend((start_ms != 0).then_some((t_ms, start_ms)));
        self.histograms += 1;
    }

    fn record(&mut self, mark: Mark, again: bool) {
        self.done.as_mut().expect("set at the start").advance(&mark);
        self.again += usize::from(again);
    }
}

/// A tail and what it has given.
struct Reader {
    tail: SampleTail,
    seen: Seen,
}

impl Reader {
    fn new(store: &MetricStore) -> Self {
        let tail = store.tail("r").unwrap();
        let done = Some(tail.position().clone());
        Self { tail, seen: Seen { done, ..Seen::default() } }
    }

    /// Reads all there is, a little at a time.
    fn read(&mut self) {
        while self.look(100) {}
    }

    fn look(&mut self, max_bytes: usize) -> bool {
        let look = self.tail.read(max_bytes, &mut self.seen).unwrap();
        assert_eq!((look.orphans, look.damaged, look.lost_files), (0, 0, 0));
        look.more
    }

    fn done(&self) {
        self.tail.handle().done(self.seen.done.as_ref().unwrap(), true).unwrap();
    }
}

/// Samples of some series at a time; the value says which.
fn scrape(series: std::ops::Range<u32>, t_ms: i64) -> Vec<SeriesSample> {
    let one = |n: u32| sample(&labels("m", &format!("i{n}")), t_ms, f64::from(n) + t_ms as f64);
    series.map(one).collect()
}

fn expect(seen: &Seen, scrapes: &[(std::ops::Range<u32>, i64)]) {
    let mut want: BTreeMap<Labels, Vec<(i64, u64)>> = BTreeMap::new();
    for s in scrapes.iter().flat_map(|(series, t_ms)| scrape(series.clone(), *t_ms)) {
        want.entry(s.labels).or_default().push((s.sample.t_ms, s.sample.value.to_bits()));
    }
    assert_eq!(seen.samples, want);
}

async fn start(folder: &std::path::Path, t_ms: i64) -> (MetricStore, Arc<ManualClock>) {
    let clock = clock_at(t_ms);
    (open(folder, &clock).await, clock)
}

#[tokio::test]
async fn starts_are_handed_over_with_their_samples() {
    let dir = tempfile::tempdir().unwrap();
    let (store, _) = start(dir.path(), START_MS).await;
    let mut reader = Reader::new(&store);
    let mut batch = WriteBatch::new();
    for (n, start_ms) in [(0, 5), (1, 0), (2, START_MS), (3, START_MS)] {
        batch.begin(&labels("m", &n.to_string()));
        batch.sample_since(START_MS + n, 0.5, start_ms);
    }
    batch.begin(&labels("h", "1"));
    batch.histogram_since(START_MS + 9, Histogram::default(), 7);
    store.append(batch).await.unwrap();
    append(&store, &scrape(0..2, START_MS + 10)).await.unwrap();
    reader.read();
    let seen = &reader.seen;
    assert_eq!((seen.samples.len(), seen.histograms), (6, 1));
    let want = [(0, 5), (2, START_MS), (3, START_MS), (9, 7)];
    assert_eq!(seen.starts, want.map(|(after, start)| (START_MS + after, start)));
}

#[tokio::test]
async fn series_keep_their_labels_over_checkpoints_and_restarts() {
    let dir = tempfile::tempdir().unwrap();
    let (store, _) = start(dir.path(), START_MS).await;
    append(&store, &scrape(0..3, START_MS)).await.unwrap();
    let mut reader = Reader::new(&store);
    let mut scrapes = Vec::new();
    let mut t_ms = START_MS;
    // The reader never says that it is done, so all of it comes again below.
    for round in 0..4 {
        for series in [0..3, round..round + 5] {
            t_ms += 1000;
            append(&store, &scrape(series.clone(), t_ms)).await.unwrap();
            scrapes.push((series, t_ms));
        }
        if round == 1 {
            reader.read();
        }
        store.checkpoint().await.unwrap();
        t_ms += 1000;
        append(&store, &scrape(0..3, t_ms)).await.unwrap();
        scrapes.push((0..3, t_ms));
    }
    reader.read();
    expect(&reader.seen, &scrapes);
    assert_eq!(reader.seen.again, 0);
    drop((reader, store));

    // Another process, whose numbers of series are others.
    let (store, _) = start(dir.path(), START_MS).await;
    let mut reader = Reader::new(&store);
    for series in [20..30, 0..8] {
        t_ms += 1000;
        append(&store, &scrape(series.clone(), t_ms)).await.unwrap();
        scrapes.push((series, t_ms));
    }
    store.checkpoint().await.unwrap();
    t_ms += 1000;
    append(&store, &scrape(0..30, t_ms)).await.unwrap();
    scrapes.push((0..30, t_ms));
    reader.read();
    expect(&reader.seen, &scrapes);
    assert!(reader.seen.again > 0);
    reader.done();
    drop((reader, store));

    let (store, _) = start(dir.path(), START_MS).await;
    let mut reader = Reader::new(&store);
    reader.read();
    expect(&reader.seen, &[]);
    t_ms += 1000;
    append(&store, &scrape(5..25, t_ms)).await.unwrap();
    reader.read();
    expect(&reader.seen, &[(5..25, t_ms)]);
}

#[tokio::test]
async fn a_reader_that_lags_behind_seals_gets_all_in_order() {
    let dir = tempfile::tempdir().unwrap();
    let (store, clock) = start(dir.path(), START_MS).await;
    let mut reader = Reader::new(&store);
    let mut scrapes = Vec::new();
    for step in 0..60 {
        let t_ms = START_MS + step * HOUR_MS / 6;
        clock.set(t_ms);
        // Series come and go, so that their numbers are used again.
        let series = (step / 6 * 4) as u32..(step / 6 * 4 + 6) as u32;
        append(&store, &scrape(series.clone(), t_ms)).await.unwrap();
        scrapes.push((series, t_ms));
        if step % 7 == 6 {
            store.checkpoint().await.unwrap();
        }
        if step % 5 == 4 {
            store.maintain().await.unwrap();
        }
    }
    assert!(store.time().unwrap().start_ms <= START_MS, "it is sealed, not gone");
    reader.read();
    expect(&reader.seen, &scrapes);
    reader.done();
    // Nothing is held any more: the oldest file is one of those that a start would replay.
    let held: Vec<String> = std::fs::read_dir(dir.path().join("wal/metrics"))
        .unwrap()
        .map(|f| f.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.ends_with(".wal"))
        .collect();
    assert!(held.len() <= 3, "{held:?}");
    store.forget_tail("r").unwrap();
    assert_eq!(store.tails(), [""; 0]);
}

#[tokio::test]
async fn histograms_are_given_too() {
    let dir = tempfile::tempdir().unwrap();
    let (store, _) = start(dir.path(), START_MS).await;
    let mut reader = Reader::new(&store);
    let mut batch = WriteBatch::new();
    batch.begin(&labels("h", "a"));
    batch.histogram(START_MS, Histogram { count: 1.0, zero_count: 1.0, ..Histogram::default() });
    store.append(batch).await.unwrap();
    reader.read();
    assert_eq!(reader.seen.histograms, 1);
}

/// A disk with little space left.
#[derive(Debug)]
struct Full;

impl lake::Disk for Full {
    fn space(&self) -> std::io::Result<Option<lake::DiskSpace>> {
        Ok(Some(lake::DiskSpace { available_bytes: 1 << 20, total_bytes: 1 << 40 }))
    }
}

#[tokio::test]
async fn nothing_is_held_where_the_disk_is_full() {
    let dir = tempfile::tempdir().unwrap();
    let clock = clock_at(START_MS);
    let lake = lake::Lake::open_local(dir.path(), clock.clone()).unwrap().with_disk(Arc::new(Full));
    let options = tsdb::StoreOptions::default();
    let store = MetricStore::open(Arc::new(lake), options, clock.clone(), &prometheus::Registry::new())
        .await
        .unwrap();
    let mut reader = Reader::new(&store);
    append(&store, &scrape(0..3, START_MS)).await.unwrap();
    store.checkpoint().await.unwrap();
    append(&store, &scrape(0..2, START_MS + 1000)).await.unwrap();
    store.maintain().await.unwrap();
    reader.read();
    expect(&reader.seen, &[(0..2, START_MS + 1000)]);
}

#[tokio::test]
async fn exemplars_are_followed_too_over_seals_and_restarts() {
    let dir = tempfile::tempdir().unwrap();
    let clock = clock_at(START_MS);
    let open = async || {
        let lake = Arc::new(lake::Lake::open_local(dir.path(), clock.clone()).unwrap());
        let options = ExemplarOptions {
            in_memory: 100,
            out_of_order: std::time::Duration::ZERO,
            retention: std::time::Duration::from_secs(86_400),
            tenant: "default".into(),
        };
        ExemplarStore::open(lake, options, &prometheus::Registry::new()).await.unwrap()
    };
    let exemplar = |at: i64| SeriesExemplar {
        labels: labels("m", "a"),
        exemplar: Exemplar {
            labels: Labels::from_pairs([("trace_id", at.to_string())]),
            value: at as f64,
            t_ms: START_MS + at,
        },
    };
    let read = |tail: &mut ExemplarTail| {
        let (mut found, mut done) = (Vec::new(), tail.position().clone());
        tail.read(usize::MAX, &mut |exemplars, mark, again| {
            found.push((exemplars, again));
            done.advance(&mark);
        })
        .unwrap();
        (found, done)
    };
    let store = open().await;
    store.append(vec![exemplar(1)]).await.unwrap();
    let mut tail = store.tail("r").unwrap();
    store.append(vec![exemplar(2), exemplar(3)]).await.unwrap();
    // Old enough to be sealed, which would remove the log.
    clock.advance(std::time::Duration::from_secs(86_000));
    store.maintain().await.unwrap();
    let (found, done) = read(&mut tail);
    assert_eq!(found, [(vec![exemplar(2), exemplar(3)], false)]);
    drop((tail, store));

    let store = open().await;
    let mut tail = store.tail("r").unwrap();
    assert_eq!(read(&mut tail).0, [(vec![exemplar(2), exemplar(3)], true)], "nobody said that it is done");
    tail.handle().done(&done, true).unwrap();
    drop((tail, store));

    let store = open().await;
    let mut tail = store.tail("r").unwrap();
    assert_eq!(read(&mut tail).0, []);
    assert_eq!(store.tails(), ["r"]);
    store.forget_tail("r").unwrap();
    assert_eq!(store.tails(), [""; 0]);
}
