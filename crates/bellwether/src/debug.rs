//! `bellwether debug`: what a server says about itself, in one archive for somebody who is to find out what is wrong.

use std::io::{Read as _, Write};
use std::path::{Path, PathBuf};

use base::{Clock, Error, Result};
use clap::{Args, Subcommand};
use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;

use crate::clock::SystemClock;
use crate::query::client::Client;
use crate::report::{FAILURE, Report};

/// Bytes of a profile after decompression.
const MAX_PROFILE_BYTES: u64 = 256 << 20;

/// Options of `bellwether debug`.
#[derive(Debug, Clone, Args)]
#[command(after_help = "Example: bellwether debug all http://127.0.0.1:9090")]
pub struct Debug {
    /// The archive to write.
    #[arg(long, value_name = "FILE", default_value = "debug.tar.gz", global = true)]
    pub output: PathBuf,

    /// What to fetch.
    #[command(subcommand)]
    pub what: What,
}

/// What can be fetched.
#[derive(Debug, Clone, Subcommand)]
pub enum What {
    /// Metrics, profiles, and what the server says about its configuration, targets, rules and stored data.
    All(Server),
    /// The server's metrics.
    Metrics(Server),
    /// Profiles of the server, where it has any: processor time over 30 seconds, memory, locks.
    Pprof(Server),
}

/// The server that is asked.
#[derive(Debug, Clone, Args)]
pub struct Server {
    /// URL of the server.
    #[arg(value_name = "SERVER")]
    pub server: String,
}

const METRICS: &[(&str, &str)] = &[("/metrics", "metrics.txt")];

const PROFILES: &[(&str, &str)] = &[
    ("/debug/pprof/profile?seconds=30", "cpu.pb"),
    ("/debug/pprof/block", "block.pb"),
    ("/debug/pprof/goroutine", "goroutine.pb"),
    ("/debug/pprof/heap", "heap.pb"),
    ("/debug/pprof/mutex", "mutex.pb"),
    ("/debug/pprof/threadcreate", "threadcreate.pb"),
    ("/debug/pprof/trace?seconds=30", "trace.pb"),
];

const STATUS: &[(&str, &str)] = &[
    ("/api/v1/status/buildinfo", "buildinfo.json"),
    ("/api/v1/status/config", "config.json"),
    ("/api/v1/status/flags", "flags.json"),
    ("/api/v1/status/runtimeinfo", "runtimeinfo.json"),
    ("/api/v1/status/tsdb", "tsdb.json"),
    ("/api/v1/targets?state=active", "targets.json"),
    ("/api/v1/rules", "rules.json"),
];

/// Fetches and writes the archive.
pub fn run(options: &Debug) -> Result<Report> {
    let (server, groups): (&Server, &[&[(&str, &str)]]) = match &options.what {
        What::All(server) => (server, &[METRICS, STATUS, PROFILES]),
        What::Metrics(server) => (server, &[METRICS]),
        What::Pprof(server) => (server, &[PROFILES]),
    };
    let client = Client::new(&server.server, None, &[])?;
    let url = server.server.trim_end_matches('/');
    let mut report = Report::default();
    let mut archive = Archive::new(SystemClock::new().now_ms() / 1000);
    for (path, name) in groups.iter().copied().flatten() {
        report.out(format_args!("collecting: {url}{path}"));
        let answer = client.get(path)?;
        if answer.status != 200 {
            report.err(format_args!(
                "cannot collect {url}{path}: server returned HTTP status {}",
                answer.status
            ));
            continue;
        }
        let body = if path.starts_with("/debug/pprof/") { decompressed(answer.body)? } else { answer.body };
        archive.add(name, &body);
    }
    if archive.files == 0 {
        report.code = FAILURE;
        return Ok(report);
    }
    archive.write(&options.output)?;
    report.out(format_args!(
        "Compiling debug information complete, all files written in {:?}.",
        options.output.display().to_string()
    ));
    Ok(report)
}

/// A profile as it is, gzip taken off.
fn decompressed(body: Vec<u8>) -> Result<Vec<u8>> {
    if !body.starts_with(&[0x1f, 0x8b]) {
        return Ok(body);
    }
    let mut out = Vec::new();
    GzDecoder::new(&body[..])
        .take(MAX_PROFILE_BYTES)
        .read_to_end(&mut out)
        .map_err(|e| Error::invalid(format!("cannot read a profile: {e}")))?;
    Ok(out)
}

/// A tar archive in the making, in POSIX' ustar format.
struct Archive {
    bytes: Vec<u8>,
    modified_s: i64,
    files: usize,
}

const BLOCK: usize = 512;

impl Archive {
    fn new(modified_s: i64) -> Self {
        Self { bytes: Vec::new(), modified_s, files: 0 }
    }

    /// Adds a file; names are shorter than a header's 100 bytes.
    fn add(&mut self, name: &str, content: &[u8]) {
        let mut header = [0_u8; BLOCK];
        let mut put = |at: usize, text: &str| header[at..at + text.len()].copy_from_slice(text.as_bytes());
        put(0, name);
        put(100, "0000644\0");
        put(108, "0000000\0");
        put(116, "0000000\0");
        put(124, &format!("{:011o}\0", content.len()));
        put(136, &format!("{:011o}\0", self.modified_s.max(0)));
        put(148, "        ");
        put(156, "0");
        put(257, "ustar\x0000");
        let sum: u32 = header.iter().map(|b| u32::from(*b)).sum();
        header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        self.bytes.extend_from_slice(&header);
        self.bytes.extend_from_slice(content);
        self.bytes.resize(self.bytes.len().next_multiple_of(BLOCK), 0);
        self.files += 1;
    }

    fn write(mut self, path: &Path) -> Result<()> {
        self.bytes.resize(self.bytes.len() + 2 * BLOCK, 0);
        let failed = |e: std::io::Error| Error::unavailable(format!("cannot write {}: {e}", path.display()));
        let mut out = GzEncoder::new(std::fs::File::create(path).map_err(failed)?, Compression::default());
        out.write_all(&self.bytes).map_err(failed)?;
        out.finish().map_err(failed)?.sync_all().map_err(failed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_archive_is_one_that_tar_reads() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("a.tar.gz");
        let mut archive = Archive::new(1_000_000);
        archive.add("metrics.txt", b"up 1\n");
        archive.add("large.bin", &[7; 1000]);
        archive.write(&file).unwrap();
        let run = |args: &[&str]| {
            let out = std::process::Command::new("tar").args(args).arg(&file).output().unwrap();
            assert!(out.status.success(), "{out:?}");
            String::from_utf8(out.stdout).unwrap()
        };
        assert_eq!(run(&["--list", "--gzip", "--file"]), "metrics.txt\nlarge.bin\n");
        assert_eq!(run(&["--extract", "--gzip", "--to-stdout", "metrics.txt", "--file"]), "up 1\n");
    }
}
