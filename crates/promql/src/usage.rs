//! What a selector's samples are used for, and whether buckets of samples give the same.

use base::BucketColumns;
use serde::{Deserialize, Serialize};

use crate::Function;
use crate::eval::plan::Window;
use crate::eval::steps::Steps;

/// What samples are needed for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Need {
    /// The newest sample at each step.
    Newest,
    /// A function of the samples in a range.
    Function(Function),
    /// The samples themselves.
    Samples,
}

/// How one selector of a query uses the samples that it selects.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    need: Need,
    window: Window,
    steps: Steps,
    /// It is asked when counting began, which buckets do not know.
    starts: bool,
}

impl Usage {
    pub(crate) fn new(need: Need, window: Window, steps: Steps) -> Self {
        Self { need, window, steps, starts: false }
    }

    /// The same with start timestamps in use: those who look at them need samples.
    pub(crate) fn with_starts(self, in_use: bool) -> Self {
        let starts = match self.need {
            // `start_timestamp()` may be what asks for it.
            Need::Newest => in_use,
            Need::Function(function) => in_use && crate::functions::rollup::looks_at_starts(function),
            Need::Samples => false,
        };
        Self { starts, ..self }
    }

    /// What the samples are needed for.
    pub fn need(&self) -> Need {
        self.need
    }

    /// Whether buckets of this length give what the samples would at every step: steps and windows consist of whole buckets, and
    /// buckets know what the function asks. Sums and what is made of them may differ in the last digits, as they are added up in
    /// another order.
    pub fn is_exact(&self, bucket_ms: i64) -> bool {
        let known = match self.need {
            Need::Newest => true,
            Need::Function(function) => parts(function).is_exact(),
            Need::Samples => false,
        };
        known && !self.starts && self.is_aligned(bucket_ms)
    }

    fn is_aligned(&self, bucket_ms: i64) -> bool {
        let (window, steps) = (&self.window, self.steps);
        // Of a selector with both, `timestamp()` forgets the offset.
        let odd = window.at_ms.is_some() && window.offset_ms != 0;
        let plain = window.before_ms == 0 && window.after_ms == 0 && !odd;
        let moves = steps.count > 1 && window.at_ms.is_none();
        plain
            && window.end_ms(steps.start_ms).rem_euclid(bucket_ms) == 0
            && (!moves || steps.step_ms % bucket_ms == 0)
            && (self.need == Need::Newest || window.range_ms % bucket_ms == 0)
    }

    /// The longest bucket that does not show less than the query could.
    pub fn grain_ms(&self) -> i64 {
        match self.need {
            Need::Newest if self.steps.count > 1 => self.steps.step_ms,
            Need::Newest | Need::Function(_) => self.window.range_ms,
            Need::Samples => 0,
        }
    }

    /// How far back of what a step sees ends the step's window begins.
    pub fn reach_ms(&self) -> i64 {
        self.window.range_ms.saturating_add(self.window.before_ms)
    }

    /// The columns of buckets that it takes.
    pub fn columns(&self) -> BucketColumns {
        match self.need {
            Need::Newest => BucketColumns { last: true, ..BucketColumns::default() },
            Need::Function(_) if self.window.before_ms != 0 || self.window.after_ms != 0 => {
                Parts::Ends.columns()
            }
            Need::Function(function) => parts(function).columns(),
            Need::Samples => Parts::Ends.columns(),
        }
    }
}

/// What of buckets answers a function. All but the last three answer it exactly.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Parts {
    /// Numbers of samples.
    Counts,
    Sums,
    /// Sums and numbers of samples.
    Averages,
    Least,
    Greatest,
    First,
    Last,
    FirstTimes,
    LastTimes,
    /// First and last samples, and resets.
    Differences,
    /// Approximately: first and last samples instead of all.
    Ends,
    /// Approximately: an average in the middle of each bucket instead of its samples.
    Means,
    /// Approximately: least and greatest values at the end of each bucket.
    Extremes,
}

impl Parts {
    pub(crate) fn is_exact(self) -> bool {
        !matches!(self, Self::Ends | Self::Means | Self::Extremes)
    }

    fn columns(self) -> BucketColumns {
        let none = BucketColumns::default();
        match self {
            Self::Counts => none,
            Self::Sums | Self::Averages => BucketColumns { sum: true, ..none },
            Self::Least | Self::Greatest => BucketColumns { extremes: true, ..none },
            Self::First => BucketColumns { first: true, ..none },
            Self::Last => BucketColumns { last: true, ..none },
            Self::FirstTimes | Self::LastTimes => BucketColumns { times: true, ..none },
            Self::Differences => BucketColumns { first: true, last: true, resets: true, times: true, ..none },
            Self::Ends => BucketColumns { first: true, last: true, times: true, ..none },
            Self::Means => BucketColumns { sum: true, times: true, ..none },
            Self::Extremes => BucketColumns { extremes: true, times: true, ..none },
        }
    }
}

/// What of buckets answers a range function.
pub(crate) fn parts(function: Function) -> Parts {
    match function {
        Function::CountOverTime | Function::PresentOverTime | Function::AbsentOverTime => Parts::Counts,
        Function::SumOverTime => Parts::Sums,
        Function::AvgOverTime => Parts::Averages,
        Function::MinOverTime => Parts::Least,
        Function::MaxOverTime => Parts::Greatest,
        Function::FirstOverTime => Parts::First,
        Function::LastOverTime => Parts::Last,
        Function::TsOfFirstOverTime => Parts::FirstTimes,
        Function::TsOfLastOverTime => Parts::LastTimes,
        Function::Rate | Function::Increase | Function::Delta => Parts::Differences,
        Function::TsOfMaxOverTime | Function::TsOfMinOverTime => Parts::Extremes,
        Function::Deriv
        | Function::PredictLinear
        | Function::QuantileOverTime
        | Function::StddevOverTime
        | Function::StdvarOverTime
        | Function::MadOverTime
        | Function::DoubleExponentialSmoothing => Parts::Means,
        _ => Parts::Ends,
    }
}
