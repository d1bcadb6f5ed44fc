//! What an import did, for people and for programs.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::io::Write as _;
use std::time::Duration;

use base::{Error, Result};

use super::args::ResultFormat;
use crate::lake_commands::text::{bytes, plural};

/// Messages of one kind that the text names; JSON has all.
const SHOWN: usize = 20;

/// What an import did.
#[derive(Debug, Default)]
pub(super) struct Report {
    source: String,
    pub(super) samples: u64,
    pub(super) bytes: u64,
    pub(super) days_imported: u64,
    /// Days of sources that an earlier import had brought.
    pub(super) days_present: u64,
    pub(super) expired_days: BTreeSet<i64>,
    /// What could not be imported.
    pub(super) damaged: Vec<String>,
    /// What somebody should know.
    pub(super) notes: Vec<String>,
    pub(super) seconds: Duration,
}

impl Report {
    pub(super) fn new(source: String) -> Self {
        Self { source, ..Self::default() }
    }

    pub(super) fn source(&self) -> &str {
        &self.source
    }

    /// Whether everything of the source is in the table now.
    pub(super) fn is_complete(&self) -> bool {
        self.damaged.is_empty()
    }

    pub(super) fn write(&self, format: ResultFormat) -> Result<()> {
        let text = match format {
            ResultFormat::Text => self.text(),
            ResultFormat::Json => self.json(),
        };
        std::io::stdout()
            .write_all(text.as_bytes())
            .map_err(|e| Error::unavailable(format!("cannot write the result: {e}")))
    }

    fn text(&self) -> String {
        let mut out = format!(
            "imported {} of {} in {:.1} s, {} in segments\n",
            plural(self.samples, "sample"),
            self.source,
            self.seconds.as_secs_f64(),
            bytes(self.bytes)
        );
        let mut line = |text: String| writeln!(out, "{text}").expect("writing to a string cannot fail");
        if self.days_present > 0 {
            let (days, were) =
                (plural(self.days_present, "day"), if self.days_present == 1 { "was" } else { "were" });
            line(format!("continued an earlier import: {days} of it {were} there already"));
        }
        if let Some(first) = self.expired_days.first() {
            line(format!(
                "left out {} older than the retention, from {} on",
                plural(self.expired_days.len() as u64, "day"),
                date(*first)
            ));
        }
        for (kind, messages) in [("note", &self.notes), ("damaged", &self.damaged)] {
            for message in messages.iter().take(SHOWN) {
                line(format!("{kind}: {message}"));
            }
            if messages.len() > SHOWN {
                line(format!("{kind}: {} more; --format json has all", messages.len() - SHOWN));
            }
        }
        out
    }

    fn json(&self) -> String {
        let json = serde_json::json!({
            "source": self.source,
            "samples": self.samples,
            "segmentBytes": self.bytes,
            "daysImported": self.days_imported,
            "daysPresent": self.days_present,
            "expiredDays": self.expired_days.iter().map(|d| date(*d)).collect::<Vec<_>>(),
            "damaged": self.damaged,
            "notes": self.notes,
            "seconds": self.seconds.as_secs_f64(),
            "complete": self.is_complete(),
        });
        format!("{json}\n")
    }
}

/// A day since 1970 as `yyyy-mm-dd`.
pub(super) fn date(day: i64) -> String {
    tsdb::import::date_of_day(day)
}
