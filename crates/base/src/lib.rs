//! The vocabulary that every other crate speaks: labels, matchers, samples, time, units and error kinds.
//!
//! Owns no I/O, no async and no HTTP; what needs a clock takes a [`Clock`].

mod batch;
mod buckets;
mod duration;
mod error;
mod exemplar;
mod histogram;
mod label;
mod limits;
mod matcher;
mod metadata;
mod sample;
mod time;

pub use batch::{BatchSeries, WriteBatch};
pub use buckets::{Bucket, BucketColumns, Buckets, NO_TIME};
pub use duration::{format_duration, parse_duration};
pub use error::{Error, ErrorKind, Result, nearest};
pub use exemplar::{EXEMPLAR_LABEL_CHARS, Exemplar, SeriesExemplar};
pub use histogram::{
    CUSTOM_BUCKETS_SCHEMA, CounterResetHint, EXPONENTIAL_SCHEMAS, Histogram, SeriesHistogram, Span,
};
pub use label::{
    LabelIter, Labels, LabelsBuilder, METRIC_NAME, cmp_packed, is_legacy_label_name, is_legacy_metric_name,
};
pub use matcher::{MatchOp, Matcher, Regexes, compile_anchored};
pub use metadata::{Metadata, MetricType};
pub use sample::{STALE_NAN, Sample, SeriesSample, format_float, is_stale};
pub use time::{Clock, ManualClock, TimeRange};
