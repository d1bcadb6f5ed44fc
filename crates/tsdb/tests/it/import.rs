//! Importing: sorting on the disk against a model, and parts that are committed once whatever fails.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use base::{CounterResetHint, Error, Histogram, Labels, MatchOp, Matcher, Result, Sample, Span, TimeRange};
use lake::Lake;
use lake::testing::{Fault, Random};
use tsdb::import::{DAY_MS, Importer, PartWriter, Source, Spill};

use crate::support::{FaultyDisk, Found, START_MS, clock_at, labels, open, select};

/// Floats by series and time, as bits.
type Model = BTreeMap<(String, Labels), BTreeMap<i64, u64>>;

/// Series with floats, in order.
type Rows = Vec<(Labels, Vec<Sample>)>;

fn key(labels: &Labels) -> (String, Labels) {
    (labels.metric().to_owned(), labels.clone())
}

fn found(model: &Model) -> Found {
    let mut found: Found =
        model.iter().map(|((_, l), s)| (l.clone(), s.iter().map(|(t, v)| (*t, *v)).collect())).collect();
    found.sort();
    found
}

/// Series with names and without, and with a label that sorts before the name.
fn series() -> Vec<Labels> {
    vec![
        labels("b", "1"),
        labels("a", "2"),
        labels("a", "10"),
        Labels::from_pairs([("Zone", "z"), ("__name__", "a")]),
        Labels::from_pairs([("instance", "nameless")]),
    ]
}

fn write_day(part: &mut PartWriter, model: &Model, day: i64) -> Result<()> {
    for ((_, labels), samples) in model {
        let of_day = samples.range(day * DAY_MS..(day + 1) * DAY_MS);
        let floats: Vec<Sample> =
            of_day.map(|(t_ms, v)| Sample { t_ms: *t_ms, value: f64::from_bits(*v) }).collect();
        if !floats.is_empty() {
            part.series(labels, &floats, &[])?;
        }
    }
    Ok(())
}

fn all() -> [Matcher; 1] {
    [Matcher::new("__name__", MatchOp::Regex, ".*").unwrap()]
}

#[test]
fn sorts_like_a_model_whatever_memory_it_has() {
    for (seed, sort_bytes) in [(1, 500), (2, 4_000), (3, 1 << 20)] {
        let folder = tempfile::tempdir().unwrap();
        let mut spill = Spill::create(folder.path()).unwrap().with_sort_bytes(sort_bytes);
        let (mut random, mut model) = (Random::new(seed), Model::new());
        for i in 0..3000u64 {
            let labels = &series()[random.below(5) as usize];
            // Few times, so that many come twice: the first counts.
            let t_ms = START_MS - DAY_MS + (random.below(900) * 480_000) as i64;
            let sample = Sample { t_ms, value: i as f64 };
            spill.float(labels, sample).unwrap();
            model.entry(key(labels)).or_default().entry(t_ms).or_insert(sample.value.to_bits());
        }
        assert_eq!(spill.len(), 3000);
        let sorted = spill.finish().unwrap();
        let (mut read, mut last) = (Model::new(), None);
        for day in sorted.days() {
            sorted
                .read_day(day, &mut |labels, floats, histograms| {
                    assert!(histograms.is_empty());
                    assert!(last.replace((day, key(labels))) < Some((day, key(labels))), "{seed}: {labels}");
                    let samples = floats.iter().map(|s| (s.t_ms, s.value.to_bits()));
                    read.entry(key(labels)).or_default().extend(samples);
                    Ok(())
                })
                .unwrap();
        }
        assert_eq!(read, model, "seed {seed}");
        assert!(sorted.days().len() == 5, "{:?}", sorted.days());
        drop(sorted);
        assert!(!folder.path().exists());
    }
}

#[test]
fn histograms_survive_the_disk() {
    let folder = tempfile::tempdir().unwrap();
    let mut spill = Spill::create(folder.path()).unwrap().with_sort_bytes(1);
    let exponential = Histogram {
        counter_reset_hint: CounterResetHint::Gauge,
        schema: -4,
        zero_threshold: 1e-9,
        zero_count: 1.0,
        count: 7.0,
        sum: -3.5,
        positive_spans: vec![Span { offset: -7, length: 2 }],
        positive: vec![1.0, 2.0],
        negative_spans: vec![Span { offset: 300, length: 1 }],
        negative: vec![3.0],
        ..Histogram::default()
    };
    let custom = Histogram {
        is_float: true,
        schema: base::CUSTOM_BUCKETS_SCHEMA,
        count: 1.5,
        sum: f64::NAN,
        positive_spans: vec![Span { offset: 1, length: 1 }],
        positive: vec![1.5],
        custom_bounds: [0.25, 4.0].into(),
        ..Histogram::default()
    };
    let want = vec![(START_MS, exponential), (START_MS + 1, custom), (START_MS + 2, Histogram::stale())];
    for (t_ms, histogram) in want.iter().rev() {
        spill.histogram(&labels("h", "1"), *t_ms, histogram.clone()).unwrap();
    }
    let sorted = spill.finish().unwrap();
    let mut read = Vec::new();
    sorted
        .read_day(START_MS / DAY_MS, &mut |_, _, histograms| {
            read.extend_from_slice(histograms);
            Ok(())
        })
        .unwrap();
    assert_eq!(read, want);
}

#[tokio::test(flavor = "multi_thread")]
async fn refuses_what_readers_rely_on_not_to_be() {
    let folder = tempfile::tempdir().unwrap();
    let lake = Arc::new(Lake::open_local(folder.path(), clock_at(START_MS)).unwrap());
    let importer = Importer::open(lake, "default").await.unwrap();
    let day = START_MS / DAY_MS;
    let source = Source::new("default", "test", b"x");
    let at = |t_ms| vec![Sample { t_ms, value: 1.0 }];
    let cases: [(&str, Rows); 4] = [
        ("in order", vec![(labels("b", "1"), at(START_MS)), (labels("a", "1"), at(START_MS))]),
        ("in order", vec![(labels("b", "1"), at(START_MS)), (labels("b", "1"), at(START_MS + 1))]),
        ("outside their day", vec![(labels("b", "1"), at(START_MS - 1))]),
        ("ascend", vec![(labels("b", "1"), [at(START_MS), at(START_MS)].concat())]),
    ];
    for (want, rows) in cases {
        let written = importer.write_part(&source, day, day, move |part| {
            rows.iter().try_for_each(|(labels, floats)| part.series(labels, floats, &[]))
        });
        let error = written.await.unwrap().unwrap_err();
        assert!(error.message().contains(want), "{error}");
    }
    // No engine reads a log that has such a day, so that everything else of the table would be gone with it.
    for day in [-719_163, 2_932_897, i64::MAX / DAY_MS] {
        let far = Sample { t_ms: day * DAY_MS, value: 1.0 };
        let written =
            importer.write_part(&source, day, day, move |part| part.series(&labels("b", "1"), &[far], &[]));
        let error = written.await.unwrap_err();
        assert!(error.message().contains("is none from 0001-01-01 to 9999-12-31"), "{error}");
    }
    assert_eq!(importer.last_part(&source).await.unwrap(), None);
    drop(importer);
    let store = open(folder.path(), &clock_at(START_MS)).await;
    assert_eq!(select(&store, &all(), TimeRange::ALL).await, []);
}

/// Imports three days, with a fault at a step; then again, as often as it takes. Returns whether the fault has happened.
async fn imports_despite(step: u64, fault: Fault) -> bool {
    let disk = FaultyDisk::new();
    let clock = clock_at(START_MS);
    disk.faults.at(step, fault);
    let mut model = Model::new();
    let day = START_MS / DAY_MS;
    for (i, labels) in series().iter().enumerate() {
        for n in 0..30i64 {
            let value = (n as f64 + i as f64 / 8.0).to_bits();
            model.entry(key(labels)).or_default().insert(START_MS + n * DAY_MS / 10 + i as i64, value);
        }
    }
    let model = Arc::new(model);
    let source = Source::new("default", "test", b"three days");
    let attempt = || async {
        let (fs, store) = (Arc::new(disk.fs.clone()), Arc::new(disk.store.clone()));
        let lake = Arc::new(Lake::open(Path::new("/data"), fs, store, clock.clone())?);
        let importer = Importer::open(lake, "default").await?;
        let last = importer.last_part(&source).await?;
        for part in day..day + 3 {
            if last.is_some_and(|last| part <= last) {
                continue;
            }
            let model = Arc::clone(&model);
            importer.write_part(&source, part, part, move |p| write_day(p, &model, part)).await??;
        }
        Ok::<_, Error>(())
    };
    attempt().await.ok();
    let happened = disk.faults.happened();
    disk.faults.revive();
    disk.fs.crash(step);
    attempt().await.unwrap_or_else(|e| panic!("{happened:?}: {e}"));
    let store = disk.open(&clock).await.unwrap();
    assert_eq!(select(&store, &all(), TimeRange::ALL).await, found(&model), "{happened:?}");
    // Five series on three days, each a row: no day was committed twice.
    drop(store);
    let (fs, objects) = (Arc::new(disk.fs.clone()), Arc::new(disk.store.clone()));
    let lake = Arc::new(Lake::open(Path::new("/data"), fs, objects, clock.clone()).unwrap());
    let rows = Importer::open(lake, "default").await.unwrap().rows();
    assert_eq!(rows, 15, "{happened:?}");
    disk.check_invariants(&clock, &format!("{happened:?}")).await;
    happened.is_some()
}

#[tokio::test(flavor = "multi_thread")]
async fn imports_each_day_once_whatever_fails() {
    for fault in [false, true].into_iter().flat_map(|done| [Fault::Fail { done }, Fault::Crash { done }]) {
        let mut step = 0;
        while imports_despite(step, fault).await {
            step += 1;
        }
        assert!(step > 8, "the import has only {step} steps");
    }
}
