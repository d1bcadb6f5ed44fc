//! `kill -9` in the middle of ingest: what was visible before is there after.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use crate::harness::{Bellwether, eventually};

/// A target that exposes how often it was scraped, so that a lost scrape leaves a gap.
pub(crate) struct Sequence {
    pub(crate) port: u16,
    scrapes: Arc<AtomicU64>,
    stopped: Arc<AtomicBool>,
}

impl Sequence {
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let port = listener.local_addr().expect("bound").port();
        let scrapes = Arc::new(AtomicU64::new(0));
        let counter = Arc::clone(&scrapes);
        let stopped = Arc::new(AtomicBool::new(false));
        let stops = Arc::clone(&stopped);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let Ok(mut stream) = stream else { continue };
                let counter = Arc::clone(&counter);
                let stops = Arc::clone(&stops);
                std::thread::spawn(move || {
                    let mut request = [0; 4096];
                    while stream.read(&mut request).is_ok_and(|n| n > 0) {
                        if stops.load(Ordering::SeqCst) {
                            return;
                        }
                        let n = counter.fetch_add(1, Ordering::SeqCst);
                        let mut body = format!("# TYPE scrape_sequence counter\nscrape_sequence {n}\n");
                        for i in 0..200 {
                            body += &format!("filler{{i=\"{i}\"}} {n}\n");
                        }
                        let head =
                            "HTTP/1.1 200 OK\r\nContent-Type: text/plain; version=0.0.4\r\nContent-Length";
                        if write!(stream, "{head}: {}\r\n\r\n{body}", body.len()).is_err() {
                            return;
                        }
                    }
                });
            }
        });
        Self { port, scrapes, stopped }
    }

    /// How often it was scraped.
    pub(crate) fn scraped(&self) -> u64 {
        self.scrapes.load(Ordering::SeqCst)
    }

    /// Answers no more.
    pub(crate) fn stop(&self) {
        self.stopped.store(true, Ordering::SeqCst);
    }
}

/// The values of the sequence that a query sees.
fn visible(b: &Bellwether) -> Vec<u64> {
    let data = b.data("/api/v1/query?query=scrape_sequence[1h]");
    let Some(values) = data["result"][0]["values"].as_array() else { return vec![] };
    values.iter().map(|p| p[1].as_str().expect("text").parse().expect("a number")).collect()
}

#[test]
fn what_was_visible_survives_kill_9() {
    let target = Sequence::start();
    let configuration = format!(
        "global: {{scrape_interval: 50ms, scrape_timeout: 50ms}}\n\
         scrape_configs: [{{job_name: sequence, static_configs: [{{targets: ['127.0.0.1:{}']}}]}}]",
        target.port
    );
    let mut folder = tempfile::tempdir().expect("a folder");
    let mut before: Vec<u64> = vec![];
    for round in 0..4 {
        let b = Bellwether::start_in(folder, Some(&configuration));
        let replayed = visible(&b);
        assert!(
            replayed.len() >= before.len(),
            "round {round}: {} of {} are back",
            replayed.len(),
            before.len()
        );
        assert_eq!(replayed[..before.len()], before[..], "round {round}: each once, in order");
        let scraped = target.scrapes.load(Ordering::SeqCst);
        eventually("more scrapes", || (target.scrapes.load(Ordering::SeqCst) > scraped + 20).then_some(()));
        before = visible(&b);
        assert!(before.len() >= 15 * (round + 1), "round {round}: {} are visible", before.len());
        // A scrape that took too long ends all series until the next one.
        eventually("all series are there", || (b.value("count(filler)") == Some(200.0)).then_some(()));
        folder = b.kill();
    }
}
