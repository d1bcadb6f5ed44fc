//! Faulty file systems and object stores, for the tests of this crate and of those above it.
//!
//! Every operation that changes something is a step. A plan says at which step what goes wrong, for files and objects
//! alike, so that a test can crash a scenario between any two of its steps.

#![expect(
    clippy::disallowed_macros,
    clippy::disallowed_methods,
    reason = "a test starts real programs, waits for them in real time, and says what it skips on standard error"
)]

mod azure_server;
mod fault_fs;
mod fault_store;
mod proxy;
mod python;
mod s3_server;

use std::path::Path;
use std::sync::Arc;
use std::{fs, io};

use parking_lot::Mutex;

pub use azure_server::AzureServer;
pub use fault_fs::FaultFs;
pub use fault_store::FaultStore;
pub use proxy::{Action, Proxy};
pub use python::{python_with, skip, skip_anywhere};
pub use s3_server::S3Server;

use crate::disk::{Disk, DiskSpace};

/// Four tests that put every kind of fault before and after each step of a scenario: `async fn(step: u64, fault: Fault) -> bool`,
/// which says whether the fault has happened, and which is to have some steps at least.
#[macro_export]
macro_rules! sweep_faults {
    ($scenario:path, at_least: $steps:literal steps) => {
        async fn sweep(fault: $crate::testing::Fault) {
            let mut step = 0;
            while ::std::boxed::Box::pin($scenario(step, fault)).await {
                step += 1;
            }
            assert!(step >= $steps, "there are only {step} steps");
        }

        #[tokio::test(flavor = "multi_thread")]
        async fn survives_a_crash_before_each_step() {
            sweep($crate::testing::Fault::Crash { done: false }).await;
        }

        #[tokio::test(flavor = "multi_thread")]
        async fn survives_a_crash_after_each_step() {
            sweep($crate::testing::Fault::Crash { done: true }).await;
        }

        #[tokio::test(flavor = "multi_thread")]
        async fn survives_a_failure_of_each_step() {
            sweep($crate::testing::Fault::Fail { done: false }).await;
        }

        #[tokio::test(flavor = "multi_thread")]
        async fn survives_a_failure_reported_after_each_step() {
            sweep($crate::testing::Fault::Fail { done: true }).await;
        }
    };
}

/// Copies a folder with everything in it, so that a test may change the copy.
pub fn copy_folder(from: &Path, to: &Path) -> io::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        match entry.file_type()?.is_dir() {
            true => copy_folder(&entry.path(), &target)?,
            false => fs::copy(entry.path(), target).map(drop)?,
        }
    }
    Ok(())
}

/// What goes wrong at a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The operation fails, having had its effect or not; the process lives on.
    Fail {
        /// Whether it had its effect.
        done: bool,
    },
    /// The process dies, before or after the effect: this and every later operation fails until [`Faults::revive`].
    Crash {
        /// Whether it had its effect.
        done: bool,
    },
}

/// A plan of faults, and the count of steps.
#[derive(Debug, Default)]
pub struct Faults {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    steps: u64,
    plan: Option<(u64, Fault)>,
    dead: bool,
    full: bool,
    read_only: bool,
    happened: Option<String>,
}

impl Faults {
    /// A plan without faults.
    pub fn none() -> Arc<Self> {
        Arc::default()
    }

    /// Lets `fault` happen at a step, counted from 0 and from the beginning of everything.
    pub fn at(&self, step: u64, fault: Fault) {
        self.state.lock().plan = Some((step, fault));
    }

    /// Steps so far.
    pub fn steps(&self) -> u64 {
        self.state.lock().steps
    }

    /// The operation that the planned fault hit, if it has happened.
    pub fn happened(&self) -> Option<String> {
        self.state.lock().happened.clone()
    }

    /// Whether the process has died.
    pub fn is_dead(&self) -> bool {
        self.state.lock().dead
    }

    /// From here on appends to files write half and then fail, because the disk is full; or no more.
    pub fn set_disk_full(&self, full: bool) {
        self.state.lock().full = full;
    }

    /// From here on nothing of a file system can be changed; or it can again.
    pub fn set_read_only(&self, read_only: bool) {
        self.state.lock().read_only = read_only;
    }

    /// A new process: nothing goes wrong any more.
    pub fn revive(&self) {
        let mut state = self.state.lock();
        (state.dead, state.plan, state.full, state.read_only) = (false, None, false, false);
    }

    /// Runs an operation as a step.
    fn step<T>(&self, what: impl FnOnce() -> String, effect: impl FnOnce() -> T) -> io::Result<T> {
        let mut state = self.state.lock();
        if state.dead {
            return Err(io::Error::other("injected: the process is dead"));
        }
        let step = state.steps;
        state.steps += 1;
        let fault = state.plan.filter(|(at, _)| *at == step).map(|(_, fault)| fault);
        let Some(fault) = fault else { return Ok(effect()) };
        let what = what();
        let error = io::Error::other(format!("injected at step {step}: {what}"));
        state.happened = Some(format!("{fault:?} at step {step}: {what}"));
        let done = match fault {
            Fault::Fail { done } => done,
            Fault::Crash { done } => {
                state.dead = true;
                done
            }
        };
        if done {
            effect();
        }
        Err(error)
    }

    fn check_writable(&self) -> io::Result<()> {
        match self.state.lock().read_only {
            true => Err(io::ErrorKind::ReadOnlyFilesystem.into()),
            false => Ok(()),
        }
    }

    fn is_full(&self) -> bool {
        self.state.lock().full
    }
}

/// A disk whose free space a test sets.
#[derive(Debug)]
pub struct FakeDisk(Mutex<DiskSpace>);

impl FakeDisk {
    /// A disk of a size, with all of it free.
    pub fn new(total_bytes: u64) -> Arc<Self> {
        Arc::new(Self(Mutex::new(DiskSpace { available_bytes: total_bytes, total_bytes })))
    }

    /// Leaves this much free.
    pub fn set_available(&self, available_bytes: u64) {
        self.0.lock().available_bytes = available_bytes;
    }
}

impl Disk for FakeDisk {
    fn space(&self) -> io::Result<Option<DiskSpace>> {
        Ok(Some(*self.0.lock()))
    }
}

/// A small generator of pseudo-random numbers (splitmix64), so that a seed is all that a failure needs to be repeated.
#[derive(Debug, Clone)]
pub struct Random(u64);

impl Random {
    /// A generator that gives the same numbers for the same seed.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// Any number.
    pub fn draw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `bound`, which is above 0.
    pub fn below(&mut self, bound: u64) -> u64 {
        self.draw() % bound
    }
}
