//! What a start would find of the head: its last checkpoint and the log behind it.

use base::{Error, Result};
use lake::fs::{Fs, LocalFs};
use lake::inspect::{LakeAtRest, LogReport};
use lake::{Findings, ReplayFrom};
use std::sync::Arc;

use super::invariants::{CHECKPOINT, LOG_SERIES};
use crate::checkpoint;
use crate::head::save::Known;
use crate::record::RecordReader;
use crate::table::METRICS_TABLE;

/// Reads what a start would read and says what is wrong. Remembers which series there are, and holds a frame at a time.
pub fn examine_log(lake: &LakeAtRest, sealed_until: i64) -> Result<LogReport> {
    let Some(dir) = lake.wal_dir(METRICS_TABLE).filter(|dir| dir.is_dir()) else {
        return Ok(LogReport::default());
    };
    let fs: Arc<dyn Fs> = Arc::new(LocalFs);
    let mut found = Findings::default();
    let damage = |e: &Error| e.message().to_owned();
    let mut known = Known::default();
    let (manifest, corruptions) = match checkpoint::walk(&fs, &dir, sealed_until, &mut known) {
        Ok((manifest, named, corruptions)) => {
            known.named = named;
            (manifest, corruptions)
        }
        Err(e) => {
            // A start would end here, so that there is no head to replay the log into.
            found.add(&CHECKPOINT, || damage(&e));
            let damaged = vec![("checkpoint".to_owned(), found)];
            return Ok(LogReport { damaged, ..LogReport::default() });
        }
    };
    corruptions.iter().for_each(|e| found.add(&CHECKPOINT, || damage(e)));
    if known.lost() > 0 {
        found.add(&CHECKPOINT, || format!("{} chunks or series have lost their labels", known.lost()));
    }
    let mut reader = RecordReader::new(sealed_until);
    let from = ReplayFrom { sealed_until, sequence: manifest.sequence };
    let mut look = |origin: lake::Origin, payload: &[u8]| reader.look(origin, payload, &known);
    let mut report = lake.examine_log(METRICS_TABLE, from, &mut look)?;
    if found.count > 0 {
        report.damaged.push(("checkpoint".to_owned(), found));
    }
    if reader.orphans > 0 {
        let mut found = Findings::default();
        found.add(&LOG_SERIES, || format!("{} samples have lost their labels", reader.orphans));
        report.damaged.push((String::new(), found));
    }
    Ok(report)
}
