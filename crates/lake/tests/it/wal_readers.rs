//! Reading a log while it is written: each record once, over restarts, within limits of what is held.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use base::ManualClock;
use lake::fs::Fs;
use lake::testing::{FaultFs, Faults};
use lake::{
    Group, HeldLimits, LogReader, Look, Position, ReplayFrom, Reserve, Wal, WalClient, WalMetrics,
    WalOptions, replay,
};

const DIR: &str = "/wal/t";

struct Texts;

impl WalClient for Texts {
    type Item = (i64, String);
    type Outcome = ();

    fn encode(&mut self, (epoch, text): &mut Self::Item, group: &mut Group) {
        group.frame(*epoch, |out| out.extend_from_slice(text.as_bytes()));
    }

    fn apply(&mut self, _: Self::Item) {}

    fn abandon(&mut self, _: &mut [Self::Item]) {}
}

struct Log {
    wal: Wal<Texts>,
    clock: Arc<ManualClock>,
    metrics: WalMetrics,
    fs: FaultFs,
}

impl Log {
    /// Starts as after a checkpoint before the file `sequence`, with epochs up to `sealed_until` sealed.
    fn start(fs: &FaultFs, sealed_until: i64, sequence: u64) -> Self {
        let shared: Arc<dyn Fs> = Arc::new(fs.clone());
        let from = ReplayFrom { sealed_until, sequence };
        let report = replay(&shared, Path::new(DIR), from, &mut |_, _| Ok(())).unwrap();
        let counter = |name: &str| prometheus::IntCounter::new(name, name).unwrap();
        let metrics = WalMetrics {
            fsync_seconds: prometheus::Histogram::with_opts(prometheus::HistogramOpts::new("a", "a"))
                .unwrap(),
            written_bytes: counter("b"),
            failures: counter("c"),
            held_bytes: prometheus::IntGauge::new("d", "d").unwrap(),
            dropped_unread_bytes: counter("e"),
            files_to_repair: prometheus::IntGauge::new("f", "f").unwrap(),
        };
        let clock = Arc::new(ManualClock::new(0));
        let reserve = Arc::new(Reserve::none());
        let options = WalOptions {
            fs: shared,
            dir: DIR.into(),
            clock: clock.clone(),
            metrics: metrics.clone(),
            reserve,
        };
        let wal = Wal::start(options, &report, Texts).unwrap();
        Self { wal, clock, metrics, fs: fs.clone() }
    }

    async fn append(&self, epoch: i64, text: &str) {
        self.wal.append((epoch, text.to_owned()), 1).await.unwrap();
    }

    fn files(&self) -> usize {
        self.fs.list(Path::new(DIR)).unwrap().iter().filter(|name| name.ends_with(".wal")).count()
    }
}

/// What a reader gives: texts, with `=` before those that were known and `~` before those that may come again.
fn read(reader: &mut LogReader, max_bytes: usize) -> (Vec<String>, Position, Look) {
    let mut texts = Vec::new();
    let mut position = reader.position().clone();
    let look = reader
        .read(max_bytes, &mut |found| {
            let sign = if found.known {
                "="
            } else if found.again {
                "~"
            } else {
                ""
            };
            texts.push(format!("{sign}{}", std::str::from_utf8(found.payload).unwrap()));
            if !found.known {
                position.advance(&found.mark);
            }
            Ok(())
        })
        .unwrap();
    (texts, position, look)
}

const ALL: usize = usize::MAX;

#[tokio::test]
async fn a_reader_gets_each_record_once_in_the_order_of_epochs() {
    let log = Log::start(&FaultFs::new(Faults::none()), 0, 0);
    log.append(10, "before").await;
    let mut reader = log.wal.reader("r").unwrap();
    let mut handle = reader.handle();
    log.append(20, "a20").await;
    log.append(10, "a10").await;
    handle.changed().await;
    // Of what is known the file's own definitions may be needed.
    assert_eq!(read(&mut reader, ALL).0, ["=before", "a10", "a20"]);
    assert_eq!(read(&mut reader, ALL).0, [""; 0]);
    log.wal.rotate().await.unwrap();
    log.append(10, "b10").await;
    log.append(30, "b30").await;
    log.append(10, "c10").await;
    assert_eq!(read(&mut reader, ALL).0, ["b10", "c10", "b30"]);
}

#[tokio::test]
async fn a_small_look_says_that_there_is_more() {
    let log = Log::start(&FaultFs::new(Faults::none()), 0, 0);
    let mut reader = log.wal.reader("r").unwrap();
    for n in 0..5 {
        log.append(10 + n % 2, &format!("r{n}")).await;
    }
    let mut found = Vec::new();
    loop {
        let (texts, _, look) = read(&mut reader, 1);
        assert!(texts.len() <= 1, "{texts:?}");
        found.extend(texts);
        if !look.more {
            break;
        }
    }
    assert_eq!(found, ["r0", "r2", "r4", "r1", "r3"]);
}

#[tokio::test]
async fn what_its_reader_could_not_take_is_given_again() {
    let log = Log::start(&FaultFs::new(Faults::none()), 0, 0);
    let mut reader = log.wal.reader("r").unwrap();
    let mut expected = reader.position().clone();
    for text in ["a", "b", "c"] {
        log.append(10, text).await;
    }
    for fails_at in ["a", "b", "b"] {
        let said = reader.read(ALL, &mut |found| match found.payload == fails_at.as_bytes() {
            true => Err(base::Error::unavailable("not now")),
            false => {
                if !found.known {
                    expected.advance(&found.mark);
                }
                Ok(())
            }
        });
        assert_eq!(said.unwrap_err().message(), "not now");
    }
    let mut texts = Vec::new();
    let read = reader.read(ALL, &mut |found| {
        texts.push((std::str::from_utf8(found.payload).unwrap().to_owned(), found.known));
        if !found.known {
            expected.advance(&found.mark);
        }
        Ok(())
    });
    assert!(!read.unwrap().more);
    let want = [("a", true), ("b", false), ("c", false)].map(|(text, known)| (text.to_owned(), known));
    assert_eq!(texts, want);
    assert_eq!(expected, *reader.position(), "the marks that were given tell the same");
}

#[tokio::test]
async fn files_that_end_before_a_record_that_is_not_taken_are_told_of_later() {
    let log = Log::start(&FaultFs::new(Faults::none()), 0, 0);
    let mut reader = log.wal.reader("r").unwrap();
    log.append(10, "a").await;
    log.append(20, "b").await;
    log.wal.rotate().await.unwrap();
    log.append(30, "c").await;
    let mut done = reader.position().clone();
    let said = reader.read(ALL, &mut |found| match found.payload {
        b"c" => Err(base::Error::unavailable("not now")),
        _ => {
            done.advance(&found.mark);
            Ok(())
        }
    });
    assert_eq!(said.unwrap_err().message(), "not now");
    let (texts, _, look) = read(&mut reader, ALL);
    assert_eq!(texts, ["c"]);
    let epochs: Vec<i64> = look.finished.iter().map(|origin| origin.epoch).collect();
    assert_eq!(epochs, [10, 20]);
    assert_eq!(read(&mut reader, ALL).2, Look::default(), "it is told once");
}

#[tokio::test]
async fn a_reader_that_was_forgotten_does_not_come_back_by_what_it_still_notes() {
    let fs = FaultFs::new(Faults::none());
    let log = Log::start(&fs, 0, 0);
    let mut reader = log.wal.reader("r").unwrap();
    log.append(10, "a").await;
    let (_, position, _) = read(&mut reader, ALL);
    log.wal.forget_reader("r").unwrap();
    reader.handle().done(&position, true).unwrap();
    drop((reader, log));
    let log = Log::start(&fs, 0, 0);
    assert_eq!(log.wal.readers(), [""; 0]);
    log.append(20, "b").await;
    log.wal.delete_up_to(20).await.unwrap();
    assert_eq!(log.files(), 0, "nothing is held for it");
}

#[tokio::test]
async fn files_are_held_for_a_reader_until_it_is_done_with_them() {
    let fs = FaultFs::new(Faults::none());
    let log = Log::start(&fs, 0, 0);
    let mut reader = log.wal.reader("r").unwrap();
    log.append(10, "a").await;
    log.append(10, "b").await;
    let sequence = log.wal.rotate().await.unwrap();
    log.append(20, "c").await;
    log.wal.delete_before(sequence).await.unwrap();
    log.wal.delete_up_to(20).await.unwrap();
    log.append(30, "d").await;
    assert_eq!(log.files(), 3, "two are held");
    assert!(log.metrics.held_bytes.get() > 0);
    let live = log.wal.live_bytes();
    // The first record is read and done, the others are only read.
    let (texts, done, _) = read(&mut reader, 1);
    assert_eq!(texts, ["a"]);
    reader.handle().done(&done, true).unwrap();
    assert_eq!(read(&mut reader, ALL).0, ["b", "c", "d"]);
    drop((reader, log));

    // A start that needs none of these for its replay still has them for the reader.
    let log = Log::start(&fs, 20, sequence);
    assert_eq!((log.files(), log.wal.live_bytes()), (3, live));
    let mut reader = log.wal.reader("r").unwrap();
    assert!(reader.handle().bytes_behind(reader.position()) > 0);
    log.append(40, "e").await;
    let (texts, position, look) = read(&mut reader, ALL);
    assert_eq!(texts, ["=a", "~b", "~c", "~d", "e"]);
    assert_eq!((look.lost, look.damaged, look.finished.len()), (0, 0, 3));
    reader.handle().done(&position, false).unwrap();
    assert_eq!((log.files(), log.metrics.held_bytes.get()), (2, 0), "only what a replay needs");
    drop((reader, log));

    let log = Log::start(&fs, 20, sequence);
    let mut reader = log.wal.reader("r").unwrap();
    assert_eq!(read(&mut reader, ALL).0, [""; 0]);
    log.wal.forget_reader("r").unwrap();
    assert_eq!((log.wal.readers().len(), log.wal.lowest_read()), (0, None));
}

#[tokio::test]
async fn what_is_held_has_limits_of_bytes_and_time() {
    let fs = FaultFs::new(Faults::none());
    let log = Log::start(&fs, 0, 0);
    let mut reader = log.wal.reader("r").unwrap();
    for epoch in 1..=4 {
        log.append(epoch, &"x".repeat(1000)).await;
    }
    log.wal.limit_held(HeldLimits { bytes: 2500, age: Duration::from_secs(60) });
    log.wal.delete_up_to(3).await.unwrap();
    assert_eq!(log.files(), 3, "the oldest of three is dropped");
    let dropped = log.metrics.dropped_unread_bytes.get();
    assert!((1000..1100).contains(&dropped), "{dropped}");
    let (texts, _, look) = read(&mut reader, 1);
    assert_eq!((texts.len(), look.lost), (1, 0), "it was never met");
    log.clock.advance(Duration::from_secs(61));
    log.wal.sweep_held();
    assert_eq!(log.files(), 1, "only what a replay needs");
    let (texts, _, look) = read(&mut reader, ALL);
    assert_eq!((texts.len(), look.lost), (1, 1), "of those that are gone one was read to its end");
}

#[tokio::test]
async fn a_reader_whose_position_is_damaged_begins_with_the_oldest_file() {
    let fs = FaultFs::new(Faults::none());
    let log = Log::start(&fs, 0, 0);
    let reader = log.wal.reader("r").unwrap();
    log.append(1, "a").await;
    drop((reader, log));
    let path = Path::new(DIR).join("r.reader");
    fs.open_append(&path).unwrap().truncate(20).unwrap();
    let log = Log::start(&fs, 0, 0);
    let mut reader = log.wal.reader("r").unwrap();
    assert_eq!(read(&mut reader, ALL).0, ["~a"]);
}

#[tokio::test]
async fn numbers_of_files_do_not_come_again() {
    let fs = FaultFs::new(Faults::none());
    let log = Log::start(&fs, 0, 0);
    let mut reader = log.wal.reader("r").unwrap();
    log.append(1, "a").await;
    let (_, position, _) = read(&mut reader, ALL);
    reader.handle().done(&position, true).unwrap();
    drop((reader, log));
    // All of the log is sealed, so that no file is left.
    let log = Log::start(&fs, 1, 0);
    assert_eq!(log.files(), 0);
    let mut reader = log.wal.reader("r").unwrap();
    log.append(2, "b").await;
    assert_eq!(read(&mut reader, ALL).0, ["b"]);
}
