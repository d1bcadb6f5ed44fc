//! A host that stands still: its answers to system calls are written down here.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use base::ManualClock;
use collect::exporters::node::{Host, NodeCollector, NodeOptions, NodeSettings, Space, Timex, Uname};
use collect::family::encode_text;

/// When the frozen hosts stand still: 2025-11-15T09:46:40.25Z.
pub(super) const NOW_MS: i64 = 1_763_200_000_250;

/// Answers the same to everybody. `/gone` is a mount whose server forgot it.
pub(super) struct FrozenHost;

impl Host for FrozenHost {
    fn statfs(&self, mount_point: &Path) -> io::Result<Space> {
        if mount_point.ends_with("gone") {
            return Err(io::Error::from_raw_os_error(116));
        }
        Ok(Space {
            block_size: 4096,
            blocks: 1_000_000,
            blocks_free: 400_000,
            blocks_available: 350_000,
            files: 250_000,
            files_free: 200_000,
        })
    }

    fn uname(&self) -> io::Result<Uname> {
        Ok(Uname {
            sysname: "Linux".to_owned(),
            release: "6.18.44".to_owned(),
            version: "#1 SMP PREEMPT_DYNAMIC".to_owned(),
            machine: "x86_64".to_owned(),
            nodename: "frozen".to_owned(),
            domainname: "(none)".to_owned(),
        })
    }

    fn timex(&self) -> io::Result<Timex> {
        Ok(Timex {
            state: 0,
            offset: -123_456,
            freq: -1_234_567,
            maxerror: 16_500,
            esterror: 700,
            status: 0x2001,
            constant: 7,
            tick: 10_000,
            tai: 37,
            ..Timex::default()
        })
    }

    fn time_zone(&self, now_ms: i64) -> (String, i32) {
        assert_eq!(now_ms, NOW_MS);
        ("CET".to_owned(), 3600)
    }

    fn page_size(&self) -> usize {
        4096
    }
}

/// Options for a tree with `proc`, `sys` and `udev/data` in it.
pub(super) fn options(root: &Path, settings: NodeSettings) -> NodeOptions {
    let mut options = NodeOptions::new(Arc::new(ManualClock::new(NOW_MS)));
    options.proc_root = root.join("proc");
    options.sys_root = root.join("sys");
    options.rootfs = PathBuf::from(root);
    options.udev_data = root.join("udev/data");
    options.settings = settings;
    options.host = Arc::new(FrozenHost);
    // A frozen tree does not hang, but a busy machine may pause.
    options.deadline = Duration::from_secs(60);
    options.mount_deadline = Duration::from_secs(60);
    options
}

/// The exposition of one collection.
pub(super) fn collect_text(options: NodeOptions) -> String {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
    let collector = NodeCollector::new(options);
    let families = runtime.block_on(collector.collect());
    let mut text = Vec::new();
    encode_text(&families, &mut text);
    String::from_utf8(text).expect("an exposition is UTF-8")
}
