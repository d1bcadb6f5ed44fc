//! What collectors ask the kernel by system calls rather than by files.
//!
//! A seam for tests: a frozen tree comes with a frozen [`Host`].

use std::io;
use std::path::Path;

/// The system calls of collectors. Called from several threads; any of them may block for ever on a sick host.
pub trait Host: Send + Sync {
    /// Space and inodes of the file system that `mount_point` lies on.
    fn statfs(&self, mount_point: &Path) -> io::Result<Space>;

    /// What `uname` says.
    fn uname(&self) -> io::Result<Uname>;

    /// The state of the kernel's clock discipline.
    fn timex(&self) -> io::Result<Timex>;

    /// Abbreviation and offset in seconds of the local time zone at a time.
    fn time_zone(&self, now_ms: i64) -> (String, i32);

    /// Size of a page of memory, in bytes.
    fn page_size(&self) -> usize;
}

/// Space and inodes of a file system.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Space {
    /// Bytes in one block.
    pub block_size: u64,
    /// Blocks in all.
    pub blocks: u64,
    /// Free blocks.
    pub blocks_free: u64,
    /// Free blocks that unprivileged users may have.
    pub blocks_available: u64,
    /// Inodes in all.
    pub files: u64,
    /// Free inodes.
    pub files_free: u64,
}

/// The answer of `uname`.
#[derive(Debug, Clone, Default)]
pub struct Uname {
    /// Operating system.
    pub sysname: String,
    /// Release of the kernel.
    pub release: String,
    /// Version of the kernel.
    pub version: String,
    /// Hardware.
    pub machine: String,
    /// Name of the host.
    pub nodename: String,
    /// NIS domain.
    pub domainname: String,
}

/// The answer of `adjtimex`, in the kernel's units.
#[derive(Debug, Clone, Copy, Default)]
#[allow(missing_docs, reason = "the fields are those of adjtimex(2)")]
pub struct Timex {
    /// The returned state; 5 means that the clock is not synchronised.
    pub state: i32,
    pub offset: i64,
    pub freq: i64,
    pub maxerror: i64,
    pub esterror: i64,
    pub status: i32,
    pub constant: i64,
    pub tick: i64,
    pub ppsfreq: i64,
    pub jitter: i64,
    pub shift: i32,
    pub stabil: i64,
    pub jitcnt: i64,
    pub calcnt: i64,
    pub errcnt: i64,
    pub stbcnt: i64,
    pub tai: i32,
}

/// The host that this process runs on.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemHost;

impl Host for SystemHost {
    fn statfs(&self, mount_point: &Path) -> io::Result<Space> {
        let s = rustix::fs::statfs(mount_point)?;
        Ok(Space {
            block_size: u64::try_from(s.f_bsize).unwrap_or(0),
            blocks: s.f_blocks,
            blocks_free: s.f_bfree,
            blocks_available: s.f_bavail,
            files: s.f_files,
            files_free: s.f_ffree,
        })
    }

    fn uname(&self) -> io::Result<Uname> {
        let u = rustix::system::uname();
        let text = |s: &std::ffi::CStr| s.to_string_lossy().into_owned();
        Ok(Uname {
            sysname: text(u.sysname()),
            release: text(u.release()),
            version: text(u.version()),
            machine: text(u.machine()),
            nodename: text(u.nodename()),
            domainname: text(u.domainname()),
        })
    }

    #[allow(unsafe_code, reason = "no maintained safe binding of adjtimex gives all of its fields")]
    fn timex(&self) -> io::Result<Timex> {
        // SAFETY: `timex` is a plain C structure of integers, for which all zeroes is a value; mode 0 only reads.
        let mut t: libc::timex = unsafe { std::mem::zeroed() };
        // SAFETY: the pointer is to a live, exclusively borrowed structure of the type that the call expects.
        let state = unsafe { libc::adjtimex(&raw mut t) };
        if state < 0 {
            return Err(io::Error::last_os_error());
        }
        Ok(Timex {
            state,
            offset: t.offset,
            freq: t.freq,
            maxerror: t.maxerror,
            esterror: t.esterror,
            status: t.status,
            constant: t.constant,
            tick: t.tick,
            ppsfreq: t.ppsfreq,
            jitter: t.jitter,
            shift: t.shift,
            stabil: t.stabil,
            jitcnt: t.jitcnt,
            calcnt: t.calcnt,
            errcnt: t.errcnt,
            stbcnt: t.stbcnt,
            tai: t.tai,
        })
    }

    fn time_zone(&self, now_ms: i64) -> (String, i32) {
        let now = jiff::Timestamp::from_millisecond(now_ms).unwrap_or_default();
        let zone = jiff::tz::TimeZone::system();
        let info = zone.to_offset_info(now);
        (info.abbreviation().to_owned(), info.offset().seconds())
    }

    fn page_size(&self) -> usize {
        rustix::param::page_size()
    }
}

/// The words of an error of the kernel as Go says them, which label values of node_exporter have: lower case, no number.
pub(super) fn error_words(error: &io::Error) -> String {
    // Go calls this one by its old name.
    if error.raw_os_error() == Some(libc::ESTALE) {
        return "stale NFS file handle".to_owned();
    }
    let text = error.to_string();
    let words = text.split(" (os error").next().unwrap_or_default();
    let mut chars = words.chars();
    match chars.next() {
        Some(first) if !chars.as_str().starts_with(char::is_uppercase) => {
            first.to_lowercase().chain(chars).collect()
        }
        _ => words.to_owned(),
    }
}
