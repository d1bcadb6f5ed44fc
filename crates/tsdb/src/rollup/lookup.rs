//! Which series there were when samples are gone: of those the rollups know.

use arrow::array::{Array, BinaryArray, Int64Array};
use base::{Labels, Matcher, Result, TimeRange};
use futures::StreamExt;

use crate::store::MetricStore;
use crate::table::{LABELS, T_MAX, T_MIN, column};

impl MetricStore {
    /// Calls `visit` at least once for every series that satisfies all matchers and has buckets in the part of a range whose samples
    /// are gone.
    pub(crate) async fn visit_rolled_up(
        &self,
        matchers: &[Matcher],
        range: TimeRange,
        visit: &mut (dyn FnMut(&Labels) + Send),
    ) -> Result<()> {
        let now_ms = self.clock.now_ms();
        let coverage = self.coverage(now_ms);
        let range =
            TimeRange::new(range.start_ms, range.end_ms.min(coverage.samples_from_ms.saturating_sub(1)));
        if range.start_ms > range.end_ms {
            return Ok(());
        }
        let visibility = self.visibility(now_ms);
        for kept in &self.rollups.kept {
            let scan = crate::table::scan(matchers, range, vec![LABELS, T_MIN, T_MAX]);
            for segment in self.of_tenant(&kept.table.view()).iter().filter(|s| s.time().overlaps(range)) {
                let unheeded = kept.unheeded(segment, &visibility).await?;
                let mut batches = kept.table.scan(segment, &scan).await?;
                while let Some(batch) = batches.next().await {
                    let batch = batch?;
                    let labels: &BinaryArray = column(&batch, LABELS)?;
                    let (t_min, t_max): (&Int64Array, &Int64Array) =
                        (column(&batch, T_MIN)?, column(&batch, T_MAX)?);
                    for row in 0..labels.len() {
                        let series = Labels::from_packed(labels.value(row))?;
                        let seen = TimeRange::new(
                            t_min.value(row).max(range.start_ms),
                            t_max.value(row).min(range.end_ms),
                        );
                        if !unheeded.of_rollups(&series).covers(seen) {
                            visit(&series);
                        }
                    }
                }
            }
        }
        Ok(())
    }
}
