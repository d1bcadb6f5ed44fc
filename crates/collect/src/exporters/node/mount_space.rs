//! Asks mounts for their space without ever hanging on one.
//!
//! `statfs` on a file system whose server is gone blocks in the kernel, and nothing can interrupt it. So the calls are
//! made by a thread of their own. While mounts answer, one thread asks them all. A mount that does not answer in time
//! keeps its thread; it is not asked again before that thread comes back, and the next mount gets a new thread, up to
//! a limit.

use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread;
use std::time::Duration;

use base::Clock;
use parking_lot::Mutex;

use super::host::{Host, Space, error_words};
use super::limits::{MOUNT_DEADLINE_LATE, MOUNTS_DEADLINE, STUCK_MOUNTS};

/// What a mount said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Answer {
    /// Its space.
    Space(Space),
    /// Why there is none, in node_exporter's words.
    Error(String),
}

/// The words of node_exporter for a mount that does not answer.
const TIMEOUT: &str = "mountpoint timeout";

/// Asks for the space of mounts.
pub(super) struct MountSpace {
    host: Arc<dyn Host>,
    clock: Arc<dyn Clock>,
    deadline: Duration,
    worker: Option<Worker>,
    /// The mounts whose threads have not come back. A thread removes its own when it does.
    stuck: Arc<Mutex<HashSet<PathBuf>>>,
}

/// A thread that asks one mount at a time. It ends when the sender is dropped.
struct Worker {
    mounts: SyncSender<PathBuf>,
    answers: Receiver<Answer>,
}

impl MountSpace {
    pub(super) fn new(host: Arc<dyn Host>, clock: Arc<dyn Clock>, deadline: Duration) -> Self {
        Self { host, clock, deadline, worker: None, stuck: Arc::default() }
    }

    /// The answer of each mount, in order. Takes no longer than the deadlines of the limits allow.
    pub(super) fn ask(&mut self, mounts: Vec<PathBuf>) -> Vec<Answer> {
        let started = self.clock.monotonic();
        mounts
            .into_iter()
            .map(|mount| {
                let spent = self.clock.monotonic().saturating_sub(started);
                let left = MOUNTS_DEADLINE.saturating_sub(spent).max(MOUNT_DEADLINE_LATE);
                self.ask_one(mount, self.deadline.min(left))
            })
            .collect()
    }

    fn ask_one(&mut self, mount: PathBuf, deadline: Duration) -> Answer {
        {
            let stuck = self.stuck.lock();
            if stuck.contains(&mount) {
                return Answer::Error(TIMEOUT.to_owned());
            }
            if stuck.len() >= STUCK_MOUNTS {
                return Answer::Error("too many mounts do not answer".to_owned());
            }
        }
        let worker = match self.worker.take().map_or_else(|| self.start_worker(), Ok) {
            Ok(worker) => worker,
            Err(e) => return Answer::Error(format!("cannot start a thread: {}", error_words(&e))),
        };
        if worker.mounts.send(mount.clone()).is_err() {
            return Answer::Error("the thread that asks mounts ended".to_owned());
        }
        match worker.answers.recv_timeout(deadline) {
            Ok(answer) => {
                self.worker = Some(worker);
                answer
            }
            Err(RecvTimeoutError::Disconnected) => {
                Answer::Error("the thread that asks mounts ended".to_owned())
            }
            Err(RecvTimeoutError::Timeout) => {
                // The worker takes this lock before it answers, so the mount cannot stay marked for a thread that
                // has come back: either its answer is here by now, or it will find the mark and remove it.
                let mut stuck = self.stuck.lock();
                if let Ok(answer) = worker.answers.try_recv() {
                    drop(stuck);
                    self.worker = Some(worker);
                    return answer;
                }
                tracing::warn!(mount = %mount.display(), "a mount does not answer");
                stuck.insert(mount);
                Answer::Error(TIMEOUT.to_owned())
            }
        }
    }

    fn start_worker(&self) -> std::io::Result<Worker> {
        let (mounts, asked) = sync_channel::<PathBuf>(1);
        let (answer, answers) = sync_channel(1);
        let (host, stuck) = (Arc::clone(&self.host), Arc::clone(&self.stuck));
        let work = move || {
            while let Ok(mount) = asked.recv() {
                let said = match host.statfs(&mount) {
                    Ok(space) => Answer::Space(space),
                    Err(e) => Answer::Error(error_words(&e)),
                };
                let mut stuck = stuck.lock();
                if stuck.remove(&mount) {
                    tracing::info!(mount = %mount.display(), "a mount answers again");
                }
                // Room for one answer, and never more than one is owed; nobody waits for a late one.
                let _ = answer.try_send(said);
            }
        };
        // A system call needs little stack, and a hung thread keeps its own for long.
        thread::Builder::new().name("node-statfs".into()).stack_size(64 << 10).spawn(work)?;
        Ok(Worker { mounts, answers })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;
    use std::io;
    use std::path::Path;
    use std::sync::Condvar;
    use std::sync::Mutex as StdMutex;

    use base::ManualClock;

    use super::super::host::{Timex, Uname};
    use super::*;

    /// A host whose mounts below `/dead` block until they are let go. Counts the calls of each mount.
    #[derive(Default)]
    struct DeadServer {
        released: StdMutex<bool>,
        wake: Condvar,
        calls: Mutex<HashMap<PathBuf, usize>>,
        blocked: Mutex<usize>,
    }

    impl DeadServer {
        fn release(&self) {
            *self.released.lock().unwrap() = true;
            self.wake.notify_all();
        }
    }

    impl Host for DeadServer {
        fn statfs(&self, mount_point: &Path) -> io::Result<Space> {
            *self.calls.lock().entry(mount_point.to_owned()).or_default() += 1;
            if mount_point.starts_with("/dead") {
                *self.blocked.lock() += 1;
                let mut released = self.released.lock().unwrap();
                while !*released {
                    released = self.wake.wait(released).unwrap();
                }
                *self.blocked.lock() -= 1;
            }
            if mount_point == Path::new("/denied") {
                return Err(io::Error::from_raw_os_error(13));
            }
            Ok(Space { blocks: 7, ..Space::default() })
        }

        fn uname(&self) -> io::Result<Uname> {
            Ok(Uname::default())
        }

        fn timex(&self) -> io::Result<Timex> {
            Ok(Timex::default())
        }

        fn time_zone(&self, _: i64) -> (String, i32) {
            ("UTC".to_owned(), 0)
        }

        fn page_size(&self) -> usize {
            4096
        }
    }

    fn setup() -> (Arc<DeadServer>, MountSpace) {
        let host = Arc::new(DeadServer::default());
        let space = MountSpace::new(host.clone(), Arc::new(ManualClock::new(0)), Duration::from_secs(1));
        (host, space)
    }

    fn paths(names: &[&str]) -> Vec<PathBuf> {
        names.iter().map(PathBuf::from).collect()
    }

    fn good() -> Answer {
        Answer::Space(Space { blocks: 7, ..Space::default() })
    }

    fn timeout() -> Answer {
        Answer::Error(TIMEOUT.to_owned())
    }

    #[test]
    fn a_dead_mount_costs_itself_and_is_not_asked_again_until_it_answers() {
        let (host, mut space) = setup();
        let mounts = paths(&["/", "/dead/a", "/denied", "/data"]);
        let want = vec![good(), timeout(), Answer::Error("permission denied".to_owned()), good()];
        for _ in 0..5 {
            assert_eq!(space.ask(mounts.clone()), want);
        }
        assert_eq!(host.calls.lock()[Path::new("/dead/a")], 1);
        assert_eq!(host.calls.lock()[Path::new("/")], 5);
        assert_eq!(*host.blocked.lock(), 1);

        host.release();
        // The freed thread has to run before the mark is gone.
        for _ in 0..1000 {
            if space.stuck.lock().is_empty() {
                break;
            }
            thread::yield_now();
            let _ = space.ask(paths(&["/"]));
        }
        assert_eq!(space.ask(mounts)[1], good());
    }

    #[test]
    fn hung_threads_are_bounded() {
        let (host, mut space) = setup();
        space.deadline = Duration::from_millis(2);
        let mounts: Vec<PathBuf> = (0..STUCK_MOUNTS + 5).map(|i| format!("/dead/{i}").into()).collect();
        let answers = space.ask(mounts.clone());
        assert!(answers.iter().all(|a| matches!(a, Answer::Error(_))));
        let _ = space.ask(mounts);
        // The last threads may not have come as far as their calls yet.
        while *host.blocked.lock() < STUCK_MOUNTS {
            thread::yield_now();
        }
        assert_eq!(host.calls.lock().len(), STUCK_MOUNTS);
        assert!(host.calls.lock().values().all(|n| *n == 1));
        assert_eq!(space.ask(paths(&["/"]))[0], Answer::Error("too many mounts do not answer".to_owned()));
        host.release();
    }
}
