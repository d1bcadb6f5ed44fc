//! Start timestamps: from a scrape, remote write 2.0 and OTLP to queries, after a crash too, and on to another server.

use ingest::testing::RequestWriterV2;
use ingest::testing::otlp::{CUMULATIVE, Common, OtlpWriter};
use tempfile::TempDir;

use crate::harness::{Bellwether, OPENMETRICS, application, eventually};
use crate::remote_write::{ENABLED, now_ms};
use crate::{otlp, remote_write_v2};

const FEATURES: &str = "--enable-feature=st-storage,use-start-timestamps,promql-experimental-functions";
const STARTED: [&str; 3] = ["scraped_total", "written_total", "exported_total"];

/// An application that says when its counter began.
fn counting_since(start_s: i64) -> u16 {
    let body = format!(
        "# TYPE scraped counter\nscraped_total 30\nscraped_created {start_s}\n# TYPE plain gauge\nplain 1\n# EOF\n"
    );
    application(move |_| (OPENMETRICS, body.clone().into_bytes()))
}

fn start(folder: TempDir, configuration: &str, features: &str) -> Bellwether {
    let arguments = [ENABLED, "--web.enable-otlp-receiver", features];
    Bellwether::start_with(folder, Some(configuration), &arguments)
}

fn folder() -> TempDir {
    tempfile::tempdir().expect("a temporary folder")
}

fn scraping(port: u16) -> String {
    format!(
        "global: {{scrape_interval: 250ms, scrape_timeout: 200ms}}\n\
         scrape_configs: [{{job_name: app, static_configs: [{{targets: ['127.0.0.1:{port}']}}]}}]\n"
    )
}

fn write_both(b: &Bellwether, start_ms: i64) {
    let now = now_ms();
    let body = RequestWriterV2::new()
        .series(&[("__name__", "written_total")])
        .sample_since(now - 1000, 30.0, start_ms)
        .sample_since(now, 30.0, start_ms)
        .body();
    assert_eq!(remote_write_v2::send(b, remote_write_v2::MESSAGE, &body).2, Some([2, 0, 0]));
    let mut request = OtlpWriter::new();
    request.resource(&vec![]).scope("", "", "", &vec![]);
    let at = |time_ms: i64| Common {
        time_ns: time_ms as u64 * 1_000_000,
        start_ns: start_ms as u64 * 1_000_000,
        ..Common::default()
    };
    request.sum("exported", "", CUMULATIVE, true).int(&at(now - 1000), 30).int(&at(now), 30);
    assert_eq!(otlp::post(b, &request.message()).0, 200);
}

#[test]
fn starts_are_stored_used_and_sent_on() {
    let start_s = now_ms() / 1000 - 20;
    let second = start(folder(), "scrape_configs: []", FEATURES);
    let configuration = format!(
        "{}remote_write: [{{url: '{}/api/v1/write', protobuf_message: io.prometheus.write.v2.Request}}]\n",
        scraping(counting_since(start_s)),
        second.url
    );
    let first = start(folder(), &configuration, FEATURES);
    write_both(&first, start_s * 1000);
    let check = |b: &Bellwether, which: &str| {
        for metric in STARTED {
            let got = eventually(&format!("{which} has {metric}"), || {
                b.value(&format!("start_timestamp({metric})"))
            });
            assert!((got - start_s as f64).abs() < 1.0, "{which}: {metric} began at {got}, not {start_s}");
            // Nothing but the start tells that it counted up to 30.
            eventually(&format!("{which} counts {metric} from its start"), || {
                (b.value(&format!("increase({metric}[5m])")) >= Some(29.0)).then_some(())
            });
        }
        assert_eq!(b.value("scraped_created"), None, "it is no series");
    };
    check(&first, "the first");
    assert_eq!(first.value("plain"), Some(1.0));
    check(&second, "the second");
    let first = start(first.kill(), "scrape_configs: []", FEATURES);
    check(&first, "the first after a crash");
}

#[test]
fn zeros_are_stored_where_scraped_counters_began() {
    let start_s = now_ms() / 1000 - 20;
    let port = counting_since(start_s);
    let b = start(folder(), &scraping(port), "--enable-feature=created-timestamp-zero-ingestion");
    eventually("it was scraped several times", || {
        (b.value("count_over_time(scraped_total[1m])") >= Some(4.0)).then_some(())
    });
    assert_eq!(b.value("min_over_time(scraped_total[5m])"), Some(0.0));
    assert_eq!(b.value("scraped_created"), None);
    assert_eq!(b.value("up"), Some(1.0));
    let b = start(folder(), &scraping(port), "--enable-feature=type-and-unit-labels");
    eventually("without it the start is a series", || (b.value("scraped_created") > Some(0.0)).then_some(()));
    assert_eq!(b.value("min_over_time(scraped_total[5m])"), Some(30.0));
}
