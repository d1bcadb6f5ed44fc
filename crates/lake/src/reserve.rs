//! The reserve: space of the disk that the write-ahead log may not use, so that on a full disk sealing can make room.
//!
//! It is a file of which only the blocks count. A mere threshold on the free space would keep the log from filling the disk, but where
//! another program fills it nothing would be left. When a write finds the disk full, or when maintenance fails for want of space, the file is
//! removed and appends are refused; they go on once there is space for the file and as much again, so that neither appends nor seals
//! bring it straight back. On a file system that cannot hold blocks for a file the threshold has to do.
//!
//! Owns the file and the decision. Does not know what is appended or sealed.

use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use base::{Clock, Error, Result};
use parking_lot::Mutex;
use prometheus::{IntCounter, IntGauge, Registry};

use crate::disk::{Disk, DiskSpace};
use crate::filenames;
use crate::fs::Fs;
use crate::limits::{RESERVE_BYTES, RESERVE_DISK_PARTS, RESERVE_RETRY};

/// Space that is kept from appends.
pub struct Reserve {
    /// None where there is nothing to keep it on.
    kept: Option<Kept>,
    metrics: ReserveMetrics,
}

struct Kept {
    fs: Arc<dyn Fs>,
    disk: Arc<dyn Disk>,
    clock: Arc<dyn Clock>,
    path: PathBuf,
    bytes: u64,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    hold: Hold,
    /// When the disk is looked at again.
    next_look: Duration,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Hold {
    /// The file has the space.
    File,
    /// The file system cannot do that: the free space is looked at.
    Threshold,
    /// There was no space: appends are refused.
    Nothing,
    /// The file cannot be written for another reason. Then the log cannot either, and says so itself.
    Unwritable,
}

impl Reserve {
    /// No reserve: appends may use all space.
    pub fn none() -> Self {
        Self { kept: None, metrics: ReserveMetrics::default() }
    }

    /// Takes the reserve of a folder, as large as its disk calls for.
    pub(crate) fn take(folder: &Path, fs: Arc<dyn Fs>, disk: Arc<dyn Disk>, clock: Arc<dyn Clock>) -> Self {
        let Ok(Some(space)) = disk.space() else { return Self::none() };
        let bytes = RESERVE_BYTES.min(space.total_bytes / RESERVE_DISK_PARTS);
        Self::of_size(bytes, folder, fs, disk, clock)
    }

    /// Takes a reserve of so many bytes, for a lake that was opened over a seam.
    pub fn of_size(
        bytes: u64,
        folder: &Path,
        fs: Arc<dyn Fs>,
        disk: Arc<dyn Disk>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let state = Mutex::new(State { hold: Hold::Nothing, next_look: Duration::ZERO });
        let path = folder.join(filenames::RESERVE);
        let kept = Kept { fs, disk, clock, path, bytes, state };
        let this = Self { kept: Some(kept), metrics: ReserveMetrics::default() };
        this.restore();
        this
    }

    /// Whether appends may write now: an error of kind `Unavailable` says that they may not.
    pub(crate) fn admit(&self) -> Result<()> {
        let Some(kept) = &self.kept else { return Ok(()) };
        let mut state = kept.state.lock();
        if state.hold == Hold::File {
            return Ok(());
        }
        let now = kept.clock.monotonic();
        if state.hold == Hold::Threshold {
            match kept.available() {
                Some(available) if available < kept.bytes => self.give_up(kept, &mut state),
                _ => return Ok(()),
            }
        } else if now >= state.next_look {
            self.look(kept, &mut state);
        }
        if state.hold != Hold::Nothing {
            return Ok(());
        }
        drop(state);
        self.metrics.refused.inc();
        Err(Error::unavailable(format!(
            "cannot append to WAL: no space left on the disk of {}: what there is, up to {} bytes, is for sealing what was appended before \
             (limit reserve_bytes); appends go on when twice as much is free",
            kept.path.parent().unwrap_or(&kept.path).display(),
            kept.bytes,
        )))
    }

    /// Takes note of an error of the disk: a full one is what the reserve is for.
    pub(crate) fn note(&self, error: &io::Error) {
        let Some(kept) = &self.kept else { return };
        let mut state = kept.state.lock();
        if is_full(error) && state.hold != Hold::Nothing {
            self.give_up(kept, &mut state);
        }
    }

    /// Gives the space to sealing and what else makes room, which has failed. Returns whether it is worth another try: there is more space
    /// than before.
    pub fn give_way(&self) -> bool {
        let Some(kept) = &self.kept else { return false };
        let mut state = kept.state.lock();
        let is_short = kept.available().is_some_and(|available| available < kept.bytes);
        let gives = state.hold == Hold::File && is_short;
        if gives {
            self.give_up(kept, &mut state);
        }
        gives
    }

    /// Takes the space again if there is enough.
    pub fn restore(&self) {
        let Some(kept) = &self.kept else { return };
        let mut state = kept.state.lock();
        if !matches!(state.hold, Hold::File | Hold::Threshold) {
            self.look(kept, &mut state);
        }
    }

    /// Whether appends are refused for want of space.
    pub fn is_given_up(&self) -> bool {
        self.kept.as_ref().is_some_and(|kept| kept.state.lock().hold == Hold::Nothing)
    }

    /// What is counted.
    pub fn metrics(&self) -> &ReserveMetrics {
        &self.metrics
    }

    fn give_up(&self, kept: &Kept, state: &mut State) {
        if state.hold == Hold::File
            && let Err(error) = kept.fs.remove(&kept.path)
        {
            tracing::error!("cannot remove {}: {error}", kept.path.display());
        }
        state.hold = Hold::Nothing;
        state.next_look = kept.clock.monotonic() + RESERVE_RETRY;
        self.metrics.released.inc();
        self.metrics.held_bytes.set(0);
        tracing::error!(
            file = %kept.path.display(),
            bytes = kept.bytes,
            "the disk is full: appends are refused, and the reserve is there for sealing"
        );
    }

    /// Takes the space if there is enough, and says in which way.
    fn look(&self, kept: &Kept, state: &mut State) {
        let before = state.hold;
        state.next_look = kept.clock.monotonic() + RESERVE_RETRY;
        state.hold = kept.hold();
        if state.hold == Hold::File {
            self.metrics.held_bytes.set(i64::try_from(kept.bytes).unwrap_or(i64::MAX));
        }
        if before != state.hold {
            tracing::info!(file = %kept.path.display(), bytes = kept.bytes, hold = ?state.hold, "the reserve of the disk");
        }
    }
}

impl Kept {
    fn available(&self) -> Option<u64> {
        let space = self.disk.space();
        space.ok().flatten().map(|DiskSpace { available_bytes, .. }| available_bytes)
    }

    fn hold(&self) -> Hold {
        let dir = self.path.parent().unwrap_or(&self.path);
        // One that an earlier process has left already has its space.
        let is_there = self.fs.list(dir).is_ok_and(|names| names.iter().any(|n| n == filenames::RESERVE));
        let is_short = self.available().is_some_and(|available| available < self.bytes.saturating_mul(2));
        if is_short && !is_there {
            return Hold::Nothing;
        }
        match self.fs.preallocate(&self.path, self.bytes) {
            Ok(()) => Hold::File,
            Err(e) if is_full(&e) => {
                self.fs.remove(&self.path).ok();
                Hold::Nothing
            }
            Err(e) if e.kind() == ErrorKind::Unsupported => {
                self.fs.remove(&self.path).ok();
                Hold::Threshold
            }
            Err(_) => Hold::Unwritable,
        }
    }
}

fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::StorageFull | ErrorKind::QuotaExceeded)
}

/// What is counted of a reserve.
#[derive(Debug, Clone)]
pub struct ReserveMetrics {
    held_bytes: IntGauge,
    released: IntCounter,
    refused: IntCounter,
}

impl Default for ReserveMetrics {
    fn default() -> Self {
        let counter =
            |name: &str, help: &str| IntCounter::new(name, help).expect("the name is one of a metric");
        Self {
            held_bytes: IntGauge::new(
                "bellwether_disk_reserve_bytes",
                "Bytes of the disk that are kept from the write-ahead log; 0 while the disk is full.",
            )
            .expect("the name is one of a metric"),
            released: counter(
                "bellwether_disk_reserve_released_total",
                "Times that the reserve was given to sealing, because the disk was full.",
            ),
            refused: counter(
                "bellwether_disk_appends_refused_total",
                "Groups of appends that were refused because the disk is full (limit reserve_bytes).",
            ),
        }
    }
}

impl ReserveMetrics {
    /// Shows them.
    pub fn register(&self, registry: &Registry) -> Result<()> {
        let all: [Box<dyn prometheus::core::Collector>; 3] = [
            Box::new(self.held_bytes.clone()),
            Box::new(self.released.clone()),
            Box::new(self.refused.clone()),
        ];
        for collector in all {
            registry
                .register(collector)
                .map_err(|e| Error::internal(format!("cannot register metrics of the reserve: {e}")))?;
        }
        Ok(())
    }

    /// Groups of appends that were refused.
    pub fn refused_total(&self) -> u64 {
        self.refused.get()
    }
}
