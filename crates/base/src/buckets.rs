//! Buckets: what is kept of a series' samples once they are rolled up.

use crate::TimeRange;

/// Stands for a time that there is none of.
pub const NO_TIME: i64 = i64::MIN;

/// The samples of one bucket in a few numbers. Staleness markers are no samples.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Bucket {
    /// The bucket's end, which belongs to it; its beginning does not.
    pub end_ms: i64,
    /// Samples; zero if the bucket has nothing but the end of its series.
    pub count: u32,
    /// Their sum.
    pub sum: f64,
    /// The least of them; NaN only if all are.
    pub min: f64,
    /// The greatest of them; NaN only if all are.
    pub max: f64,
    /// The first value.
    pub first: f64,
    /// The last value.
    pub last: f64,
    /// The sum of the values after which the series fell: what its increase as a counter is above `last - first`.
    pub resets: f64,
    /// When the first sample was.
    pub first_ms: i64,
    /// When the last sample was.
    pub last_ms: i64,
    /// When a staleness marker ended the series, if nothing came after that in the bucket; else [`NO_TIME`].
    pub stale_ms: i64,
}

/// Buckets of one series in order of time, column by column. A column that nobody asked for is empty.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Buckets {
    /// [`Bucket::end_ms`], strictly ascending.
    pub ends_ms: Vec<i64>,
    /// [`Bucket::count`]
    pub count: Vec<u32>,
    /// [`Bucket::sum`]
    pub sum: Vec<f64>,
    /// [`Bucket::min`]
    pub min: Vec<f64>,
    /// [`Bucket::max`]
    pub max: Vec<f64>,
    /// [`Bucket::first`]
    pub first: Vec<f64>,
    /// [`Bucket::last`]
    pub last: Vec<f64>,
    /// [`Bucket::resets`]
    pub resets: Vec<f64>,
    /// [`Bucket::first_ms`]
    pub first_ms: Vec<i64>,
    /// [`Bucket::last_ms`]
    pub last_ms: Vec<i64>,
    /// [`Bucket::stale_ms`]
    pub stale_ms: Vec<i64>,
}

/// Which columns of buckets are wanted; ends and numbers of samples always are.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct BucketColumns {
    /// Sums.
    pub sum: bool,
    /// Least and greatest values.
    pub extremes: bool,
    /// First values.
    pub first: bool,
    /// Last values with their times, and the ends of series.
    pub last: bool,
    /// What counters lost by resets.
    pub resets: bool,
    /// Times of first and last samples.
    pub times: bool,
}

impl BucketColumns {
    /// All.
    pub const ALL: Self =
        Self { sum: true, extremes: true, first: true, last: true, resets: true, times: true };

    /// Those of either.
    pub fn union(self, other: Self) -> Self {
        Self {
            sum: self.sum || other.sum,
            extremes: self.extremes || other.extremes,
            first: self.first || other.first,
            last: self.last || other.last,
            resets: self.resets || other.resets,
            times: self.times || other.times,
        }
    }
}

/// Evaluates a body for each column.
macro_rules! each_column {
    ($buckets:expr, $column:ident, $body:expr) => {{
        let Buckets { ends_ms, count, sum, min, max, first, last, resets, first_ms, last_ms, stale_ms } =
            $buckets;
        each_column!(@ $column, $body; ends_ms count sum min max first last resets first_ms last_ms stale_ms);
    }};
    (@ $column:ident, $body:expr; $($name:ident)*) => {
        $({ let $column = $name; $body; })*
    };
}

impl Buckets {
    /// Number of buckets.
    pub fn len(&self) -> usize {
        self.ends_ms.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.ends_ms.is_empty()
    }

    /// Removes all buckets and keeps the memory.
    pub fn clear(&mut self) {
        each_column!(self, column, column.clear());
    }

    /// Appends a bucket, which is later than those before.
    pub fn push(&mut self, b: Bucket) {
        self.ends_ms.push(b.end_ms);
        self.count.push(b.count);
        self.sum.push(b.sum);
        self.min.push(b.min);
        self.max.push(b.max);
        self.first.push(b.first);
        self.last.push(b.last);
        self.resets.push(b.resets);
        self.first_ms.push(b.first_ms);
        self.last_ms.push(b.last_ms);
        self.stale_ms.push(b.stale_ms);
    }

    /// The bucket at a position. Columns that were not asked for read as zero.
    pub fn get(&self, at: usize) -> Bucket {
        let value = |column: &[f64]| column.get(at).copied().unwrap_or(0.0);
        let time = |column: &[i64]| column.get(at).copied().unwrap_or(NO_TIME);
        Bucket {
            end_ms: self.ends_ms[at],
            count: self.count.get(at).copied().unwrap_or(0),
            sum: value(&self.sum),
            min: value(&self.min),
            max: value(&self.max),
            first: value(&self.first),
            last: value(&self.last),
            resets: value(&self.resets),
            first_ms: time(&self.first_ms),
            last_ms: time(&self.last_ms),
            stale_ms: time(&self.stale_ms),
        }
    }

    /// Keeps the buckets whose end is in a range, both ends of it included.
    pub fn crop(&mut self, ends: TimeRange) {
        let from = self.ends_ms.partition_point(|t| *t < ends.start_ms);
        let to = self.ends_ms.partition_point(|t| *t <= ends.end_ms).max(from);
        each_column!(self, column, {
            column.truncate(to);
            column.drain(..from.min(column.len()));
        });
    }
}

impl Buckets {
    /// Keeps the buckets whose end satisfies a condition.
    pub fn retain(&mut self, keep: impl Fn(i64) -> bool) {
        let kept: Vec<bool> = self.ends_ms.iter().map(|end_ms| keep(*end_ms)).collect();
        each_column!(self, column, {
            let mut kept = kept.iter();
            column.retain(|_| kept.next().copied().unwrap_or(false));
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_stay_together() {
        let bucket = |end_ms| Bucket {
            end_ms,
            count: 1,
            sum: end_ms as f64,
            min: 0.0,
            max: 1.0,
            first: 2.0,
            last: 3.0,
            resets: 4.0,
            first_ms: end_ms - 1,
            last_ms: end_ms,
            stale_ms: NO_TIME,
        };
        let mut buckets = Buckets::default();
        (1..=5).for_each(|end| buckets.push(bucket(end * 10)));
        // One that was not asked for.
        buckets.min.clear();
        buckets.crop(TimeRange::new(20, 39));
        assert_eq!((buckets.len(), buckets.get(0), buckets.get(1)), (2, bucket(20), bucket(30)));
        buckets.retain(|end_ms| end_ms != 20);
        assert_eq!((buckets.len(), buckets.get(0)), (1, bucket(30)));
        buckets.crop(TimeRange::new(31, 29));
        assert!(buckets.is_empty() && buckets.stale_ms.is_empty());
    }
}
