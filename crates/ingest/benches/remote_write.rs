//! Decoding of requests as a busy sender makes them: `cargo bench -p ingest --bench remote_write`.

use divan::Bencher;
use divan::counter::ItemsCount;
use ingest::LabelLimits;
use ingest::remote_write::Decoder;
use ingest::testing::RequestWriter;

fn main() {
    divan::main();
}

const SERIES: usize = 5_000;

/// Ten labels a series and one sample, as node_exporter's metrics have them.
fn body(order: fn(&mut Vec<(String, String)>)) -> Vec<u8> {
    let mut writer = RequestWriter::new();
    for i in 0..SERIES {
        let mut labels: Vec<(String, String)> = [
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
        .into();
        order(&mut labels);
        writer.series(&labels).sample(1_700_000_000_000 + i as i64, i as f64 * 1.5);
    }
    writer.body()
}

#[divan::bench]
fn sorted(bencher: Bencher<'_, '_>) {
    run(bencher, &body(|_| ()));
}

#[divan::bench]
fn unsorted(bencher: Bencher<'_, '_>) {
    run(bencher, &body(|labels| labels.rotate_left(3)));
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

fn run(bencher: Bencher<'_, '_>, body: &[u8]) {
    let mut decoder = Decoder::new(LabelLimits::default());
    bencher.counter(ItemsCount::new(SERIES)).bench_local(|| {
        let decoded = decoder.decode(body).expect("it is a request");
        assert_eq!(decoded.batch.len(), SERIES);
        decoded
    });
}
