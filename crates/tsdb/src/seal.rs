//! Sealing: a finished window of the head becomes a segment, and its log goes.
//!
//! The order is what makes it safe: fence the window, write the segment, commit it, swap it for the head's chunks in one step, delete the
//! log. A crash between any two leaves either the log or the commit, and replay believes the commit.

use base::{Error, Labels, Result};

use crate::chunk::head;
use crate::head::HeadChunk;
use crate::limits::{SEAL_BATCH_ROWS, SEGMENT_CHUNK_SAMPLES};
use crate::store::MetricStore;
use crate::table::RowBuilder;

const DAY_MS: i64 = 86_400_000;

impl MetricStore {
    /// Seals the windows that end at `end_ms`.
    pub(crate) async fn seal(&self, end_ms: i64) -> Result<()> {
        let started = self.clock.monotonic();
        let result = self.try_seal(end_ms).await;
        let took = self.clock.monotonic().saturating_sub(started);
        self.metrics.compaction_seconds.observe(took.as_secs_f64());
        match &result {
            Ok(()) => self.metrics.compactions.inc(),
            Err(_) => self.metrics.compactions_failed.inc(),
        }
        result.map_err(|e| e.context(format!("cannot seal the window that ends at {end_ms} ms")))
    }

    async fn try_seal(&self, end_ms: i64) -> Result<()> {
        {
            let mut state = self.state.write();
            state.min_valid_ms = state.min_valid_ms.max(end_ms);
        }
        // What was admitted to the window before has to be in the head, or refused, before the window is read.
        self.wal.barrier().await?;
        let mut view = self.table.refresh().await?;
        // An earlier attempt may have been committed without learning it.
        if view.sealed_until < end_ms {
            let segment = self.write_segment(end_ms).await?;
            view = self.table.commit_seal(end_ms, &segment).await?;
        }
        self.install(view);
        if let Err(error) = self.wal.delete_up_to(end_ms).await {
            // Only space is lost: the files are older than what the log of the table says, and go with the next seal or start.
            tracing::warn!("{error}");
        }
        Ok(())
    }

    async fn write_segment(&self, end_ms: i64) -> Result<Vec<lake::NewSegment>> {
        let mut series = self.state.read().head.chunks_until(end_ms).into_iter();
        if series.len() == 0 {
            return Ok(Vec::new());
        }
        let date = date(end_ms - self.block_ms);
        let mut writer = self.table.segment_writer(&self.options.tenant, &date, end_ms)?;
        loop {
            let some: Vec<_> = series.by_ref().take(SEAL_BATCH_ROWS).collect();
            if some.is_empty() {
                break;
            }
            let batch = tokio::task::spawn_blocking(move || encode(&some))
                .await
                .map_err(|e| Error::internal(format!("cannot encode a segment: {e}")))??;
            writer.write(&batch).await?;
        }
        Ok(vec![writer.finish().await?])
    }
}

fn encode(series: &[(Labels, Vec<HeadChunk>)]) -> Result<arrow::array::RecordBatch> {
    let mut rows = RowBuilder::new();
    let (mut timestamps, mut values) = (Vec::new(), Vec::new());
    for (labels, chunks) in series {
        timestamps.clear();
        values.clear();
        for chunk in chunks {
            head::decode(chunk.bytes(), chunk.count(), &mut timestamps, &mut values)?;
        }
        for (t, v) in timestamps.chunks(SEGMENT_CHUNK_SAMPLES).zip(values.chunks(SEGMENT_CHUNK_SAMPLES)) {
            rows.push(labels, t, v);
        }
    }
    rows.finish()
}

/// The UTC date of a time, as the partition column writes it.
pub(crate) fn date(t_ms: i64) -> String {
    // Days to civil date, after Howard Hinnant's algorithms for the proleptic Gregorian calendar.
    let days = t_ms.div_euclid(DAY_MS) + 719_468;
    let era = days.div_euclid(146_097);
    let day_of_era = days.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    format!("{year:04}-{month:02}-{day:02}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_those_of_the_calendar() {
        for (t_ms, want) in [
            (0, "1970-01-01"),
            (951_782_400_000, "2000-02-29"),
            (1_709_251_199_999, "2024-02-29"),
            (1_709_251_200_000, "2024-03-01"),
            (4_102_444_800_000, "2100-01-01"),
        ] {
            assert_eq!(date(t_ms), want);
        }
    }
}
