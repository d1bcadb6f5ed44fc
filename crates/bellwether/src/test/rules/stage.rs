//! The series of a test: what was loaded so far, and what rules wrote.

use alerting::outside::ResultSample;
use alerting::rehearse::Stage;
use base::{Error, Labels, Result};
use promql::script::{Command, Load, MemorySource, Point, Script};
use promql::{EvalOptions, Interrupt, ParseOptions, Value, VectorSample, evaluate_instant, parse};

use super::duration;
use crate::config::TestGroup;
use crate::features::Features;

/// Series in memory that grow with the time of the test.
pub(super) struct Series {
    load: Load,
    start_ms: i64,
    /// Points of each series that are in `data`.
    loaded: usize,
    pub(super) data: MemorySource,
    options: EvalOptions,
    language: ParseOptions,
}

/// Nobody gives up a test's queries.
struct Never;

impl Interrupt for Never {
    fn check(&self) -> Result<()> {
        Ok(())
    }
}

impl Series {
    /// Reads the series of a group; subqueries without a step use the evaluation interval.
    pub(super) fn new(
        group: &TestGroup,
        evaluation_interval: std::time::Duration,
        features: &Features,
    ) -> Result<Self> {
        let mut text = format!("load {}\n", duration(group.interval));
        for (series, values) in &group.input_series {
            text.push_str(&format!("  {series} {values}\n"));
        }
        let mut commands = Script::parse(&text)?.commands;
        let Some(Command::Load(load)) = commands.pop() else {
            return Err(Error::internal("cannot load the series of a test"));
        };
        let options = EvalOptions {
            default_subquery_step: evaluation_interval,
            delayed_name_removal: features.has("promql-delayed-name-removal"),
            type_and_unit_labels: features.has("type-and-unit-labels"),
            use_start_timestamps: features.has("use-start-timestamps"),
            ..EvalOptions::default()
        };
        let language = features.language();
        let data = MemorySource::default();
        Ok(Self { load, start_ms: group.start_ms, loaded: 0, data, options, language })
    }

    /// All samples up to a time.
    pub(super) fn all(&self, t_ms: i64) -> Result<Vec<promql::Series>> {
        let query = "{__name__=~\".+\"}[100y]";
        let expr = parse(query, &ParseOptions::default()).map_err(|e| Error::invalid(e.to_string()))?;
        match evaluate_instant(&expr, query, t_ms, &self.options, &self.data, &Never)?.value {
            Value::Matrix(series) => Ok(series),
            _ => Err(Error::internal("cannot list the series of a test")),
        }
    }

    /// Adds the points up to a time, which must not go back.
    pub(super) fn load_until(&mut self, t_ms: i64) {
        let step_ms = self.load.step_ms.max(1);
        let count = usize::try_from((t_ms - self.start_ms).div_euclid(step_ms) + 1).unwrap_or(0);
        for (line, _) in &self.load.series {
            let end = count.min(line.points.len());
            for (i, point) in line.points.iter().enumerate().take(end).skip(self.loaded) {
                let at_ms = self.start_ms + step_ms * i as i64;
                match point {
                    Point::Omitted => {}
                    Point::Float(v) => self.data.insert(&line.labels, at_ms, *v),
                    Point::Histogram { histogram, .. } => {
                        self.data.insert_histogram(&line.labels, at_ms, (**histogram).clone());
                    }
                }
            }
        }
        self.loaded = self.loaded.max(count);
    }

    /// The result of an expression, a number as a series without labels.
    pub(super) fn evaluate(&self, query: &str, t_ms: i64) -> Result<Vec<VectorSample>> {
        let expr = parse(query, &self.language).map_err(|e| Error::invalid(e.to_string()))?;
        let output = evaluate_instant(&expr, query, t_ms, &self.options, &self.data, &Never)?;
        match output.value {
            Value::Vector(samples) => Ok(samples),
            Value::Scalar(sample) => {
                Ok(vec![VectorSample { labels: Labels::empty(), sample, histogram: None }])
            }
            _ => Err(Error::invalid("rule result is not a vector or scalar")),
        }
    }
}

impl Stage for Series {
    fn query(&self, expr: &str, t_ms: i64) -> Result<Vec<ResultSample>> {
        let sample = |s: VectorSample| ResultSample {
            labels: s.labels,
            value: s.sample.value,
            histogram: s.histogram,
        };
        Ok(self.evaluate(expr, t_ms)?.into_iter().map(sample).collect())
    }

    fn append(&mut self, sample: &ResultSample, t_ms: i64) {
        match &sample.histogram {
            None => self.data.insert(&sample.labels, t_ms, sample.value),
            Some(h) => self.data.insert_histogram(&sample.labels, t_ms, (**h).clone()),
        }
    }
}
