//! What a start would find in a table's log.

use std::sync::Arc;

use base::Result;

use super::invariants::{LOG_FRAMES, LOG_RECORDS};
use super::{LakeAtRest, LogFileKind};
use crate::fs::{Fs, LocalFs};
use crate::rows;
use crate::table::{Findings, TableSpec};
use crate::wal::{Origin, ReplayFrom, examine};

/// What was found in a table's log.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LogReport {
    /// Files that a start replays.
    pub files: u64,
    /// Good frames in them.
    pub frames: u64,
    /// Files with bytes behind their last good frame, and how many. A start cuts them off.
    pub torn: Vec<(String, u64)>,
    /// Files that a start removes: a segment or a checkpoint has what they say.
    pub stale: Vec<String>,
    /// Damaged files that an earlier start has set aside.
    pub set_aside: Vec<String>,
    /// Files in which something is wrong; without a name what is wrong with all of them together.
    pub damaged: Vec<(String, Findings)>,
}

impl LakeAtRest {
    /// Looks at the log of a table of the catalogue.
    pub fn examine_rows(&self, spec: &TableSpec, sealed_until: i64) -> Result<LogReport> {
        let from = ReplayFrom { sealed_until, sequence: 0 };
        self.examine_log(spec.name, from, &mut |_, payload| rows::check_record(spec, payload))
    }

    /// Looks at a table's log as a start would replay it, and changes nothing. `sink` takes the records, in the same order; an error
    /// of its is a violation.
    pub fn examine_log(
        &self,
        table: &str,
        from: ReplayFrom,
        sink: &mut dyn FnMut(Origin, &[u8]) -> Result<()>,
    ) -> Result<LogReport> {
        let mut report = LogReport::default();
        let Some(dir) = self.wal_dir(table) else { return Ok(report) };
        let fs: Arc<dyn Fs> = Arc::new(LocalFs);
        // Names sort as files are replayed.
        for file in self.log_files(table)? {
            let LogFileKind::Records { epoch, sequence } = file.kind else {
                if file.kind == LogFileKind::SetAside {
                    report.set_aside.push(file.name);
                }
                continue;
            };
            if epoch <= from.sealed_until || sequence < from.sequence {
                report.stale.push(file.name);
                continue;
            }
            let (mut found, mut number) = (Findings::default(), 0);
            let origin = Origin { epoch, file: sequence };
            let examined = examine(&fs, &dir.join(&file.name), &mut |payload| {
                if let Err(e) = sink(origin, payload) {
                    found.add(&LOG_RECORDS, || format!("frame {number}: {}", e.message()));
                }
                number += 1;
                Ok(())
            })?;
            report.files += 1;
            report.frames += examined.frames;
            examined.damage.into_iter().for_each(|what| found.add(&LOG_FRAMES, || what));
            if examined.torn_bytes > 0 {
                report.torn.push((file.name.clone(), examined.torn_bytes));
            }
            if found.count > 0 {
                report.damaged.push((file.name, found));
            }
        }
        Ok(report)
    }
}
