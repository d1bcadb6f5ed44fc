//! What is stored and not to be seen: samples beyond retention, and samples that were deleted.
//!
//! Reading filters by it; sealing and compaction leave out what it hides. Owns no rules of its own: [`Retention`] and [`Tombstone`]
//! have them.

use std::sync::Arc;

use base::{Buckets, Labels, TimeRange};

use crate::retention::Retention;
use crate::store::millis;
use crate::tombstones::Tombstone;

/// What is hidden at a moment.
#[derive(Debug, Clone, Default)]
pub(crate) struct Visibility {
    tombstones: Vec<Arc<Tombstone>>,
    /// Retention with rules for some series, and the time for which it is asked. Age alone takes whole segments and hides nothing.
    retention: Option<(Arc<Retention>, i64)>,
    /// Whether samples are asked for to make rollups of them.
    for_rollups: bool,
}

impl Visibility {
    pub(crate) fn new(tombstones: &[Arc<Tombstone>], retention: &Arc<Retention>, now_ms: i64) -> Self {
        let by_series = !retention.by_matcher.is_empty();
        let retention = by_series.then(|| (retention.clone(), now_ms));
        Self { tombstones: tombstones.to_vec(), retention, for_rollups: false }
    }

    /// Only what concerns a range.
    pub(crate) fn within(mut self, range: TimeRange) -> Self {
        self.tombstones.retain(|t| t.range().overlaps(range));
        self
    }

    /// What one deletion hides.
    pub(crate) fn of_deletion(tombstone: &Arc<Tombstone>) -> Self {
        Self { tombstones: vec![tombstone.clone()], retention: None, for_rollups: false }
    }

    /// The deletions.
    pub(crate) fn tombstones(&self) -> &[Arc<Tombstone>] {
        &self.tombstones
    }

    /// Leaves deletions out.
    pub(crate) fn forget(&mut self, which: impl Fn(&Tombstone) -> bool) {
        self.tombstones.retain(|t| !which(t));
    }

    /// Whether nothing is hidden of any series.
    pub(crate) fn is_clear(&self) -> bool {
        self.tombstones.is_empty() && self.retention.is_none()
    }

    /// What is hidden of a series' rollups: they outlive the samples, unless the series has an age of its own that is shorter.
    pub(crate) fn of_rollups(&self, labels: &Labels) -> Hidden {
        let deleted = self.tombstones.iter().filter(|t| t.concerns(labels)).map(|t| t.range());
        let due = self.retention.as_ref().map(|(retention, now_ms)| {
            let general_ms = now_ms.saturating_sub(millis(retention.age));
            (retention.cutoff_ms(labels, *now_ms), general_ms)
        });
        let due = due.filter(|(own_ms, general_ms)| own_ms > general_ms);
        Hidden::new(deleted.chain(due.map(|(own_ms, _)| TimeRange::new(i64::MIN, own_ms - 1))).collect())
    }

    /// What is hidden of samples that rollups are made of: samples beyond their age go into them as long as they are there.
    pub(crate) fn for_rollups(self) -> Self {
        Self { for_rollups: true, ..self }
    }

    /// What is hidden of a series.
    pub(crate) fn of(&self, labels: &Labels) -> Hidden {
        if self.for_rollups {
            return self.of_rollups(labels);
        }
        let mut ranges: Vec<TimeRange> =
            self.tombstones.iter().filter(|t| t.concerns(labels)).map(|t| t.range()).collect();
        if let Some((retention, now_ms)) = &self.retention {
            let cutoff_ms = retention.cutoff_ms(labels, *now_ms);
            ranges.push(TimeRange::new(i64::MIN, cutoff_ms.saturating_sub(1)));
        }
        Hidden::new(ranges)
    }
}

/// Times of one series that are hidden: ranges that are disjoint and in order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Hidden(Vec<TimeRange>);

impl Hidden {
    fn new(mut ranges: Vec<TimeRange>) -> Self {
        ranges.retain(|r| r.start_ms <= r.end_ms);
        ranges.sort_unstable_by_key(|r| r.start_ms);
        let mut joined: Vec<TimeRange> = Vec::with_capacity(ranges.len());
        for range in ranges {
            match joined.last_mut() {
                Some(last) if range.start_ms <= last.end_ms.saturating_add(1) => {
                    last.end_ms = last.end_ms.max(range.end_ms);
                }
                _ => joined.push(range),
            }
        }
        Self(joined)
    }

    /// Whether nothing is hidden.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether a time is hidden.
    pub(crate) fn contains(&self, t_ms: i64) -> bool {
        let at = self.0.partition_point(|r| r.end_ms < t_ms);
        self.0.get(at).is_some_and(|r| r.start_ms <= t_ms)
    }

    /// Whether all of a range is hidden.
    pub(crate) fn covers(&self, range: TimeRange) -> bool {
        let at = self.0.partition_point(|r| r.end_ms < range.start_ms);
        self.0.get(at).is_some_and(|r| r.start_ms <= range.start_ms && range.end_ms <= r.end_ms)
    }

    /// Whether some of a range is hidden.
    pub(crate) fn meets(&self, range: TimeRange) -> bool {
        let at = self.0.partition_point(|r| r.end_ms < range.start_ms);
        self.0.get(at).is_some_and(|r| r.start_ms <= range.end_ms)
    }

    /// Drops buckets of which some is hidden: nobody knows what is left of them.
    pub(crate) fn drop_buckets(&self, buckets: &mut Buckets, bucket_ms: i64) {
        if !self.is_empty() {
            buckets.retain(|end_ms| !self.meets(TimeRange::new(end_ms - bucket_ms + 1, end_ms)));
        }
    }

    /// Drops what is hidden from two columns of samples.
    pub(crate) fn drop_from<T>(&self, timestamps: &mut Vec<i64>, values: &mut Vec<T>) {
        let (Some(first), Some(last)) = (timestamps.first(), timestamps.last()) else { return };
        if !self.meets(TimeRange::new(*first, *last)) {
            return;
        }
        let mut keep = timestamps.iter().map(|t| !self.contains(*t)).collect::<Vec<bool>>().into_iter();
        values.retain(|_| keep.next().unwrap_or(true));
        timestamps.retain(|t| !self.contains(*t));
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use base::Matcher;

    use super::*;

    #[test]
    fn rollups_outlive_samples_but_not_an_age_of_their_own() {
        let mut retention = Retention::of_age(Duration::from_millis(100));
        for (env, age_ms) in [("dev", 30), ("audit", 500)] {
            retention.by_matcher.push((vec![Matcher::equal("env", env)], Duration::from_millis(age_ms)));
        }
        let visibility = Visibility::new(&[], &Arc::new(retention), 1000);
        for (env, t_ms, of_samples, of_rollups) in [
            ("dev", 969, true, true),
            ("dev", 970, false, false),
            ("prod", 899, true, false),
            ("audit", 499, true, false),
            ("audit", 500, false, false),
        ] {
            let labels = Labels::from_pairs([("env", env)]);
            assert_eq!(visibility.of(&labels).contains(t_ms), of_samples, "{env} {t_ms}");
            assert_eq!(visibility.of_rollups(&labels).contains(t_ms), of_rollups, "{env} {t_ms}");
        }
    }

    #[test]
    fn ranges_join_and_answer() {
        let r = TimeRange::new;
        let hidden = Hidden::new(vec![r(10, 20), r(1, 3), r(21, 25), r(4, 4), r(9, 8), r(40, i64::MAX)]);
        assert_eq!(hidden.0, [r(1, 4), r(10, 25), r(40, i64::MAX)]);
        for t in 0..60 {
            let want = (1..=4).contains(&t) || (10..=25).contains(&t) || t >= 40;
            assert_eq!(hidden.contains(t), want, "{t}");
            for end in t..60 {
                assert_eq!(hidden.covers(r(t, end)), (t..=end).all(|t| hidden.contains(t)), "{t} {end}");
                assert_eq!(hidden.meets(r(t, end)), (t..=end).any(|t| hidden.contains(t)), "{t} {end}");
            }
        }
        let (mut t, mut v) = ((0..60).collect::<Vec<i64>>(), (0..60).collect::<Vec<i64>>());
        hidden.drop_from(&mut t, &mut v);
        assert_eq!(t, (0..60).filter(|t| !hidden.contains(*t)).collect::<Vec<_>>());
        assert_eq!(t, v);
    }
}
