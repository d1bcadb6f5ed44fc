//! What a collection of the node collector costs, on this host.

use std::sync::Arc;

use base::ManualClock;
use collect::exporters::node::{NodeCollector, NodeOptions};
use collect::family::encode_text;

fn main() {
    divan::main();
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime can be built")
}

/// Every collector once, as a scrape does. The `time` of the process over its iterations is the CPU it takes.
#[divan::bench]
fn collect(bencher: divan::Bencher) {
    let runtime = runtime();
    let collector = NodeCollector::new(NodeOptions::new(Arc::new(ManualClock::new(1_763_200_000_000))));
    bencher.bench_local(|| runtime.block_on(collector.collect()));
}

/// Writing what was collected as text.
#[divan::bench]
fn encode(bencher: divan::Bencher) {
    let collector = NodeCollector::new(NodeOptions::new(Arc::new(ManualClock::new(1_763_200_000_000))));
    let families = runtime().block_on(collector.collect());
    let mut text = Vec::new();
    bencher.bench_local(|| {
        text.clear();
        encode_text(divan::black_box(&families), &mut text);
    });
}
