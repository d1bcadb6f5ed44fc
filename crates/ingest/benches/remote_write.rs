//! Decoding of requests as a busy sender makes them: `cargo bench -p ingest --bench remote_write`.

use divan::Bencher;
use divan::counter::ItemsCount;
use ingest::LabelLimits;
use ingest::remote_write::{Decoder, Message};
use ingest::testing::{RequestWriter, RequestWriterV2};

fn main() {
    divan::main();
}

const SERIES: usize = 5_000;

/// Ten labels a series and one sample, as node_exporter's metrics have them.
fn labels(i: usize) -> Vec<(String, String)> {
    [
        ("__name__", format!("node_network_metric_{}_total", i % 50)),
        ("cluster", "production-eu-west-1".into()),
        ("device", format!("eth{}", i % 7)),
        ("environment", "production".into()),
        ("instance", format!("host-{:05}.example.com:9100", i / 50)),
        ("job", "node".into()),
        ("mode", ["idle", "user", "system", "iowait"][i % 4].into()),
        ("rack", format!("r{:03}", i % 200)),
        ("region", "eu-west-1".into()),
        ("team", "infrastructure".into()),
    ]
    .map(|(n, v)| (n.to_owned(), v))
    .into()
}

fn body(order: fn(&mut Vec<(String, String)>)) -> Vec<u8> {
    let mut writer = RequestWriter::new();
    for i in 0..SERIES {
        let mut labels = labels(i);
        order(&mut labels);
        writer.series(&labels).sample(1_700_000_000_000 + i as i64, i as f64 * 1.5);
    }
    writer.body()
}

/// The same series by remote write 2.0, with what is to be said of their metrics.
fn body_v2(order: fn(&mut Vec<(String, String)>)) -> Vec<u8> {
    let mut writer = RequestWriterV2::new();
    for i in 0..SERIES {
        let mut labels = labels(i);
        order(&mut labels);
        writer.series(&labels).metadata(1, &format!("Help of metric {}.", i % 50), "");
        writer.sample(1_700_000_000_000 + i as i64, i as f64 * 1.5);
    }
    writer.body()
}

#[divan::bench]
fn sorted(bencher: Bencher<'_, '_>) {
    run(bencher, &body(|_| ()), Message::V1);
}

#[divan::bench]
fn unsorted(bencher: Bencher<'_, '_>) {
    run(bencher, &body(|labels| labels.rotate_left(3)), Message::V1);
}

#[divan::bench]
fn sorted_v2(bencher: Bencher<'_, '_>) {
    run(bencher, &body_v2(|_| ()), Message::V2);
}

#[divan::bench]
fn unsorted_v2(bencher: Bencher<'_, '_>) {
    run(bencher, &body_v2(|labels| labels.rotate_left(3)), Message::V2);
}

/// What of it is snappy's.
#[divan::bench]
fn decompress(bencher: Bencher<'_, '_>) {
    let body = body(|_| ());
    let mut out = vec![0; snap::raw::decompress_len(&body).expect("a header")];
    bencher
        .counter(ItemsCount::new(SERIES))
        .bench_local(|| snap::raw::Decoder::new().decompress(&body, &mut out).expect("a block"));
}

fn run(bencher: Bencher<'_, '_>, body: &[u8], message: Message) {
    let mut decoder = Decoder::new(LabelLimits::default());
    bencher.counter(ItemsCount::new(SERIES)).bench_local(|| {
        let decoded = decoder.decode(body, message).expect("it is a request");
        assert_eq!(decoded.batch.len(), SERIES);
        decoded
    });
}
