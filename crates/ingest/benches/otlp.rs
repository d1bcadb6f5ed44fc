//! Decoding of OTLP requests as a Collector sends them: `cargo bench -p ingest --bench otlp`.

use divan::Bencher;
use divan::counter::ItemsCount;
use ingest::LabelLimits;
use ingest::otlp::{Format, Settings, decode, unfold};
use ingest::testing::otlp::{CUMULATIVE, Common, OtlpWriter, texts};

fn main() {
    divan::main();
}

const POINTS: usize = 5_000;

/// Fifty counters of a hundred data points with seven attributes each; resource and scope give three labels more.
fn message() -> Vec<u8> {
    let mut writer = OtlpWriter::new();
    let resource = [
        ("service.name", "node"),
        ("service.namespace", "production"),
        ("service.instance.id", "host-00001"),
    ];
    writer.resource(&texts(&resource)).scope("lib", "1.0", "", &vec![]);
    for metric in 0..POINTS / 100 {
        writer.sum(&format!("node.network.metric.{metric}"), "By", CUMULATIVE, true);
        for i in 0..100 {
            let (device, rack) = (format!("eth{}", i % 7), format!("r{i:03}"));
            let attributes = texts(&[
                ("cluster", "production-eu-west-1"),
                ("device", &device),
                ("deployment.environment", "production"),
                ("mode", ["idle", "user", "system", "iowait"][i % 4]),
                ("rack", &rack),
                ("cloud.region", "eu-west-1"),
                ("team", "infrastructure"),
            ]);
            let point =
                Common { attributes, start_ns: 1, time_ns: 1_700_000_000_000_000_000, ..Common::default() };
            writer.int(&point, i as i64);
        }
    }
    writer.message()
}

#[divan::bench]
fn protobuf(bencher: Bencher<'_, '_>) {
    let (message, settings) = (message(), Settings::default());
    bencher.counter(ItemsCount::new(POINTS)).bench_local(|| {
        let message = unfold(&message, false, Format::Protobuf).expect("it is a message");
        let decoded = decode(&message, &settings, LabelLimits::default(), 0).expect("it is a request");
        assert_eq!(decoded.batch.len(), POINTS);
        decoded
    });
}
