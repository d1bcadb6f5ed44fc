//! Chunk codecs and the append path. `cargo bench -p tsdb`

use std::sync::Arc;

use base::{Labels, ManualClock, Sample, SeriesSample};
use divan::counter::ItemsCount;
use divan::{Bencher, black_box};
use lake::Lake;
use lake::testing::{FaultFs, FaultStore, Faults, Random};
use tsdb::chunk::sealed::Effort;
use tsdb::chunk::{head, sealed};
use tsdb::{MetricStore, StoreOptions};

const SAMPLES: usize = 480;
const START_MS: i64 = 1_767_225_600_000;

fn main() {
    divan::main();
}

/// A counter that grows unevenly, scraped with a jitter of some milliseconds.
fn series() -> (Vec<i64>, Vec<f64>) {
    let mut random = Random::new(1);
    let mut value = 1_000_000u64;
    (0..SAMPLES as i64)
        .map(|i| {
            value += random.below(5000);
            (START_MS + i * 15_000 + random.below(3) as i64, value as f64)
        })
        .unzip()
}

fn head_chunk() -> head::OpenChunk {
    let (t, v) = series();
    let mut chunk = head::OpenChunk::new(t[0], v[0]);
    for i in 1..SAMPLES {
        chunk.push(t[i], v[i]);
    }
    chunk
}

#[divan::bench]
fn head_encode(bencher: Bencher<'_, '_>) {
    bencher.counter(ItemsCount::new(SAMPLES)).bench(head_chunk);
}

#[divan::bench]
fn head_decode(bencher: Bencher<'_, '_>) {
    let chunk = head_chunk();
    let (mut t, mut v) = (Vec::new(), Vec::new());
    bencher.counter(ItemsCount::new(SAMPLES)).bench_local(|| {
        t.clear();
        v.clear();
        head::decode(black_box(chunk.bytes()), SAMPLES, &mut t, &mut v)
    });
}

#[divan::bench]
fn sealed_encode(bencher: Bencher<'_, '_>) {
    let (t, v) = series();
    bencher.counter(ItemsCount::new(SAMPLES)).bench(|| {
        (
            sealed::encode_timestamps(black_box(&t), Effort::Quick),
            sealed::encode_values(black_box(&v), Effort::Quick),
        )
    });
}

#[divan::bench]
fn sealed_decode(bencher: Bencher<'_, '_>) {
    let (times, values) = series();
    let (times, values) = (
        sealed::encode_timestamps(&times, Effort::Thorough),
        sealed::encode_values(&values, Effort::Thorough),
    );
    let (mut t, mut v) = (Vec::new(), Vec::new());
    bencher.counter(ItemsCount::new(SAMPLES)).bench_local(|| {
        t.clear();
        v.clear();
        sealed::decode_timestamps(black_box(&times), SAMPLES, &mut t)?;
        sealed::decode_values(black_box(&values), SAMPLES, &mut v)
    });
}

/// Appends of one sample to each of 5,000 known series, without a disk's fsync.
#[divan::bench]
fn append(bencher: Bencher<'_, '_>) {
    const SERIES: usize = 5000;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).build().expect("a runtime");
    let clock = Arc::new(ManualClock::new(START_MS));
    let faults = Faults::none();
    let fs = Arc::new(FaultFs::new(faults.clone()));
    let lake = Lake::open("/data".as_ref(), fs, Arc::new(FaultStore::new(faults)), clock.clone());
    let lake = Arc::new(lake.expect("an empty lake opens"));
    let registry = prometheus::Registry::new();
    let opened = MetricStore::open(lake, StoreOptions::default(), clock.clone(), &registry);
    let store = runtime.block_on(opened).expect("an empty store opens");
    let mut batch: Vec<SeriesSample> = (0..SERIES)
        .map(|i| SeriesSample {
            labels: Labels::from_pairs([
                ("__name__", "node_network_receive_bytes_total"),
                ("instance", format!("host-{i}:9100").as_str()),
                ("job", "node"),
                ("device", "eth0"),
            ]),
            sample: Sample { t_ms: START_MS, value: 0.0 },
            start_ms: 0,
        })
        .collect();
    bencher.counter(ItemsCount::new(SERIES)).bench_local(|| {
        clock.advance(std::time::Duration::from_secs(1));
        for sample in &mut batch {
            sample.sample.t_ms += 1000;
            sample.sample.value += 17.0;
        }
        runtime.block_on(store.append(batch.as_slice().into())).expect("nothing fails")
    });
}
