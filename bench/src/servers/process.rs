//! One running server: started on a free port with a folder of its own, measured through `/proc`, and stopped by its
//! own process id.

use std::fs::File;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};

use super::client::{Client, eventually};
use super::{CONFIGURATION, Kind, Programs, configuration_file};
use crate::clock::{self, Stopwatch};
use crate::limits::{IDLE_CPU_MS_PER_LOOK, IDLE_LOOKS, IDLE_POLL, PATIENCE, READY_POLL, SETTLE_MAX};

/// A server that runs until it is stopped, killed or dropped.
pub(crate) struct Server {
    pub(crate) kind: Kind,
    pub(crate) client: Client,
    /// Time from the start of the process to the first answer that it is ready.
    pub(crate) ready_after: Duration,
    folder: PathBuf,
    child: Child,
}

/// Resident memory of a process, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Memory {
    pub(crate) current: u64,
    /// The most since the process began.
    pub(crate) peak: u64,
}

impl Server {
    /// Starts on a folder, which is made if need be, and waits until it is ready.
    pub(crate) fn start(programs: &Programs, kind: Kind, folder: &Path) -> Result<Self> {
        std::fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
        std::fs::write(configuration_file(folder), CONFIGURATION).context("cannot write a configuration")?;
        let log = log_file(folder);
        let open = || File::options().create(true).append(true).open(&log);
        let output = open().with_context(|| format!("cannot write {}", log.display()))?;
        let errors = output.try_clone().context("cannot share a log file")?;
        let port = free_port()?;
        let watch = Stopwatch::start();
        let child = kind
            .command(programs.path(kind)?, folder, port)
            .stdin(Stdio::null())
            .stdout(output)
            .stderr(errors)
            .spawn()
            .with_context(|| format!("cannot start {kind}"))?;
        let client = Client::new(kind, port);
        let mut server = Self { kind, client, ready_after: Duration::ZERO, folder: folder.to_owned(), child };
        let ready = eventually(READY_POLL, || {
            if let Some(status) = server.child.try_wait().context("cannot look at a process")? {
                bail!("{kind} ended with {status}: {}", last_lines(&log));
            }
            Ok(server.client.is_ready().then(|| watch.elapsed()))
        })?;
        server.ready_after =
            ready.with_context(|| format!("{kind} does not get ready: {}", last_lines(&log)))?;
        Ok(server)
    }

    /// CPU time of the process since it began, user and system.
    pub(crate) fn cpu(&self) -> Result<Duration> {
        let text = self.proc("stat")?;
        let ticks = cpu_ticks(&text).with_context(|| format!("cannot read the CPU time in {text:?}"))?;
        Ok(Duration::from_millis(ticks * 1000 / rustix::param::clock_ticks_per_second()))
    }

    pub(crate) fn memory(&self) -> Result<Memory> {
        let text = self.proc("status")?;
        memory(&text).with_context(|| format!("cannot read the memory of {}", self.kind))
    }

    fn proc(&self, file: &str) -> Result<String> {
        let path = format!("/proc/{}/{file}", self.child.id());
        std::fs::read_to_string(&path).with_context(|| format!("cannot read {path}"))
    }

    /// Waits until the server has done what it put off, and at least for `at_least`.
    pub(crate) fn settle(&self, at_least: Duration) -> Result<()> {
        let watch = Stopwatch::start();
        let (mut before, mut idle) = (self.cpu()?, 0);
        while watch.elapsed() < SETTLE_MAX && (idle < IDLE_LOOKS || watch.elapsed() < at_least) {
            clock::sleep(IDLE_POLL);
            let after = self.cpu()?;
            let spent = after.saturating_sub(before);
            idle = if spent <= Duration::from_millis(IDLE_CPU_MS_PER_LOOK) { idle + 1 } else { 0 };
            before = after;
        }
        Ok(())
    }

    /// The folder of its data.
    pub(crate) fn data(&self) -> PathBuf {
        self.folder.join("data")
    }

    /// Ends it as a crash does.
    pub(crate) fn kill(mut self) -> Result<()> {
        self.child.kill().context("cannot kill a server")?;
        self.child.wait().context("cannot wait for a server")?;
        Ok(())
    }

    /// Ends it in order.
    pub(crate) fn stop(mut self) -> Result<()> {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).context("cannot stop a server")?;
        let status =
            eventually(IDLE_POLL / 10, || self.child.try_wait().context("cannot wait for a server"))?;
        let status = status.with_context(|| format!("{} does not stop within {PATIENCE:?}", self.kind))?;
        ensure!(
            status.success(),
            "{} stops with {status}: {}",
            self.kind,
            last_lines(&log_file(&self.folder))
        );
        Ok(())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended already, which is as good.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn log_file(folder: &Path) -> PathBuf {
    folder.join("output.log")
}

/// A port that nobody listens on, or did not a moment ago.
fn free_port() -> Result<u16> {
    let listener = TcpListener::bind("127.0.0.1:0").context("cannot find a free port")?;
    Ok(listener.local_addr().context("cannot find a free port")?.port())
}

fn last_lines(log: &Path) -> String {
    let text = std::fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(5)..].join("\n")
}

/// User and system time in `/proc/PID/stat`, whose second field is a name that may hold anything.
fn cpu_ticks(stat: &str) -> Option<u64> {
    let (_, after_name) = stat.rsplit_once(')')?;
    let mut fields = after_name.split_whitespace().skip(11);
    let (user, system): (u64, u64) = (fields.next()?.parse().ok()?, fields.next()?.parse().ok()?);
    Some(user + system)
}

fn memory(status: &str) -> Option<Memory> {
    let field = |name: &str| -> Option<u64> {
        let line = status.lines().find_map(|l| l.strip_prefix(name))?;
        Some(line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()? * 1024)
    };
    Some(Memory { current: field("VmRSS:")?, peak: field("VmHWM:")? })
}

/// Bytes in the files below a folder. Files that go while this looks are not counted.
pub(crate) fn folder_bytes(folder: &Path) -> Result<u64> {
    let mut bytes = 0;
    let entries = std::fs::read_dir(folder).with_context(|| format!("cannot list {}", folder.display()))?;
    for entry in entries.flatten() {
        let Ok(kind) = entry.metadata() else { continue };
        bytes += if kind.is_dir() { folder_bytes(&entry.path())? } else { kind.len() };
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_proc_says() {
        let stat = "42 (a) b) S 1 1 1 0 -1 4194560 100 0 0 0 250 50 0 0 20 0 9 0 1 1 1 1";
        assert_eq!(cpu_ticks(stat), Some(300));
        assert_eq!(cpu_ticks("42"), None);
        let status = "Name:\tx\nVmPeak:\t  9 kB\nVmHWM:\t    2048 kB\nVmRSS:\t    1024 kB\n";
        assert_eq!(memory(status), Some(Memory { current: 1 << 20, peak: 2 << 20 }));
        assert_eq!(memory(""), None);
    }

    #[test]
    fn counts_the_bytes_of_a_folder() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("inner")).unwrap();
        std::fs::write(folder.path().join("a"), [0; 100]).unwrap();
        std::fs::write(folder.path().join("inner/b"), [0; 23]).unwrap();
        assert_eq!(folder_bytes(folder.path()).unwrap(), 123);
    }
}
