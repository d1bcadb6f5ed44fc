//! Sends a recorded data set to a server, the same bytes to each, and makes sure that all of it arrived.

use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};

use crate::clock::{Stopwatch, sleep};
use crate::data::{Phase, Recording};
use crate::limits::{IDLE_POLL, PATIENCE};
use crate::servers::client::Client;
use crate::servers::process::Server;

/// What sending one phase cost.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Load {
    /// CPU time that the server spent until it had acknowledged everything.
    pub(crate) cpu: Duration,
    pub(crate) wall: Duration,
    /// Requests that the server asked to send again later.
    pub(crate) retries: u64,
}

/// Sends one phase over a connection per lane.
pub(crate) fn send(server: &Server, recording: &Recording, phase: &Phase) -> Result<Load> {
    let cpu_before = server.cpu()?;
    let watch = Stopwatch::start();
    let retries = AtomicU64::new(0);
    let failed = AtomicBool::new(false);
    let lanes = phase.rounds.first().map_or(0, |r| r.len());
    let barrier = Barrier::new(lanes);
    let results: Vec<Result<()>> = std::thread::scope(|scope| {
        let run = |lane: usize| {
            let (client, barrier, retries, failed) = (server.client.separate(), &barrier, &retries, &failed);
            scope.spawn(move || {
                let mut result = Ok(());
                let mut bytes = Vec::new();
                for round in &phase.rounds {
                    // A lane that failed still has to meet the others, or they would wait for ever.
                    if !failed.load(Ordering::Relaxed) {
                        result = send_lane(&client, recording, &round[lane], &mut bytes, retries);
                        if result.is_err() {
                            failed.store(true, Ordering::Relaxed);
                        }
                    }
                    barrier.wait();
                    if failed.load(Ordering::Relaxed) {
                        break;
                    }
                    // Nobody may fail before everybody has seen that nobody failed in this round.
                    barrier.wait();
                }
                result
            })
        };
        let threads: Vec<_> = (0..lanes).map(run).collect();
        threads
            .into_iter()
            .map(|t| t.join().unwrap_or_else(|_| Err(anyhow::anyhow!("a lane ended early"))))
            .collect()
    });
    results.into_iter().collect::<Result<Vec<()>>>()?;
    Ok(Load {
        cpu: server.cpu()?.saturating_sub(cpu_before),
        wall: watch.elapsed(),
        retries: retries.into_inner(),
    })
}

fn send_lane(
    client: &Client,
    recording: &Recording,
    requests: &[crate::data::Request],
    bytes: &mut Vec<u8>,
    retries: &AtomicU64,
) -> Result<()> {
    for request in requests {
        recording.read(*request, bytes)?;
        let sent = client.write(bytes)?;
        retries.fetch_add(sent.retries, Ordering::Relaxed);
    }
    Ok(())
}

/// Sends all phases without measuring them.
pub(crate) fn send_all(server: &Server, recording: &Recording) -> Result<()> {
    recording.phases.iter().try_for_each(|phase| send(server, recording, phase).map(drop))
}

/// Samples that a query finds, over all groups. Groups are counted one by one, as servers limit what one query may read.
pub(crate) fn stored(server: &Server, recording: &Recording) -> Result<u64> {
    let window_s = (recording.end_ms - recording.start_ms) / 1000 + 60;
    let mut sum = 0.0;
    for group in &recording.groups {
        let query = format!("sum(count_over_time({}[{window_s}s]))", group.metric);
        sum += server.client.number(&query, recording.end_ms + 1000)?;
    }
    Ok(sum as u64)
}

/// Fails unless the server shows exactly the samples that it acknowledged; waits a little for those that hide them.
pub(crate) fn verify(server: &Server, recording: &Recording) -> Result<()> {
    let missing = missing(server, recording)?;
    ensure!(
        missing == 0,
        "{} has {} samples {} than the {} that it acknowledged",
        server.kind,
        missing.abs(),
        if missing > 0 { "fewer" } else { "more" },
        recording.visible_samples()
    );
    Ok(())
}

/// How many acknowledged samples a server does not show; negative if it shows more than it was given.
pub(crate) fn missing(server: &Server, recording: &Recording) -> Result<i64> {
    let watch = Stopwatch::start();
    let mut unchanged = 0;
    let mut last = None;
    loop {
        server.client.flush()?;
        let stored = stored(server, recording)?;
        let missing = recording.visible_samples() as i64 - stored as i64;
        unchanged = if last == Some(missing) { unchanged + 1 } else { 0 };
        last = Some(missing);
        // What is not there after a few looks will not come.
        if missing == 0 || unchanged >= 3 || watch.elapsed() > PATIENCE {
            return last.context("nothing was counted");
        }
        sleep(IDLE_POLL);
    }
}
