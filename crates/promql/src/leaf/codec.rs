//! Leaves and what they tell, as bytes: JSON, so that a plan can be read by people.

use std::ops::Deref;
use std::sync::Arc;

use base::{Error, MatchOp, Matcher, Result, TimeRange};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{Grouping, Leaf, Operation, Settings, Told};
use crate::ast::{AggregateOp, Span};
use crate::eval::plan::Window;
use crate::eval::steps::Steps;
use crate::limits::{DEFAULT_MAX_SAMPLES, MAX_LEAF_BYTES};
use crate::usage::Usage;
use crate::{Function, Selection};

/// A number per step. JSON has neither NaN nor infinities, so the numbers go as their bits.
#[derive(Debug, Clone)]
pub(crate) struct Numbers(pub(crate) Vec<f64>);

impl Deref for Numbers {
    type Target = [f64];

    fn deref(&self) -> &[f64] {
        &self.0
    }
}

impl PartialEq for Numbers {
    fn eq(&self, other: &Self) -> bool {
        self.iter().map(|v| v.to_bits()).eq(other.iter().map(|v| v.to_bits()))
    }
}

impl Serialize for Numbers {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_seq(self.iter().map(|v| v.to_bits()))
    }
}

impl<'de> Deserialize<'de> for Numbers {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let bits = Vec::<u64>::deserialize(from)?;
        Ok(Self(bits.into_iter().map(f64::from_bits).collect()))
    }
}

impl Serialize for Function {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(self.name())
    }
}

impl<'de> Deserialize<'de> for Function {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let name = String::deserialize(from)?;
        Self::by_name(&name).ok_or_else(|| serde::de::Error::custom(format!("there is no function {name:?}")))
    }
}

impl Serialize for AggregateOp {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(self.as_str())
    }
}

/// The operators that a leaf may group with.
const GROUPING: [AggregateOp; 8] = [
    AggregateOp::Sum,
    AggregateOp::Avg,
    AggregateOp::Count,
    AggregateOp::Min,
    AggregateOp::Max,
    AggregateOp::Group,
    AggregateOp::Stddev,
    AggregateOp::Stdvar,
];

impl<'de> Deserialize<'de> for AggregateOp {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let name = String::deserialize(from)?;
        let op = GROUPING.into_iter().find(|op| op.as_str() == name);
        op.ok_or_else(|| serde::de::Error::custom(format!("{name:?} does not group series in parts")))
    }
}

/// Names of labels.
pub(super) mod names {
    use super::*;

    pub(in super::super) fn serialize<S: Serializer>(names: &[Arc<str>], to: S) -> Result<S::Ok, S::Error> {
        to.collect_seq(names.iter().map(|name| &**name))
    }

    pub(in super::super) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Vec<Arc<str>>, D::Error> {
        Ok(Vec::<String>::deserialize(from)?.into_iter().map(Arc::from).collect())
    }
}

#[derive(Serialize, Deserialize)]
struct Wire {
    matchers: Vec<(String, String, String)>,
    range: (i64, i64),
    usages: Vec<Usage>,
    window: Window,
    steps: Steps,
    span: Span,
    operation: Operation,
    statistics_only: bool,
    settings: Settings,
    grouping: Option<Grouping>,
}

impl Leaf {
    /// The leaf as bytes.
    pub fn to_bytes(&self) -> Result<Vec<u8>> {
        let matcher = |m: &Matcher| (m.name().to_owned(), m.op().as_str().to_owned(), m.value().to_owned());
        let Selection { matchers, range, usages } = &self.selection;
        let wire = Wire {
            matchers: matchers.iter().map(matcher).collect(),
            range: (range.start_ms, range.end_ms),
            usages: usages.clone(),
            window: self.window,
            steps: self.steps,
            span: self.span,
            operation: self.operation.clone(),
            statistics_only: self.statistics_only,
            settings: self.settings,
            grouping: self.grouping.clone(),
        };
        serde_json::to_vec(&wire).map_err(|e| Error::internal(format!("cannot write a leaf: {e}")))
    }

    /// A leaf from bytes that [`Leaf::to_bytes`] gave.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self> {
        let refuse = |why: &dyn std::fmt::Display| Error::invalid(format!("cannot read a leaf: {why}"));
        if bytes.len() > MAX_LEAF_BYTES {
            return Err(refuse(&format_args!(
                "it has more than {MAX_LEAF_BYTES} bytes (limit max_leaf_bytes)"
            )));
        }
        let wire: Wire = serde_json::from_slice(bytes).map_err(|e| refuse(&e))?;
        let mut matchers = Vec::with_capacity(wire.matchers.len());
        for (name, op, value) in wire.matchers {
            let ops = [MatchOp::Equal, MatchOp::NotEqual, MatchOp::Regex, MatchOp::NotRegex];
            let op = ops.into_iter().find(|o| o.as_str() == op);
            let op = op.ok_or_else(|| refuse(&"an operator of a matcher is unknown"))?;
            matchers.push(Matcher::new(name, op, value)?);
        }
        let Wire { window, steps, span, operation, statistics_only, settings, grouping, .. } = wire;
        if steps.step_ms <= 0 || steps.count as u64 > DEFAULT_MAX_SAMPLES {
            return Err(refuse(&"its steps are not those of a query"));
        }
        if let Operation::Range { function, numbers, .. } = &operation
            && (!crate::functions::rollup::is_rollup(*function)
                || numbers.len() + 1 != function.arg_types().len()
                || numbers.iter().any(|n| n.len() != steps.count))
        {
            return Err(refuse(&"its function's arguments are not those that the function takes"));
        }
        let range = TimeRange::new(wire.range.0, wire.range.1);
        let selection = Selection { matchers, range, usages: wire.usages };
        Ok(Self { selection, window, steps, span, operation, statistics_only, settings, grouping })
    }
}

impl Told {
    /// What was told, as bytes.
    pub fn to_bytes(&self) -> Result<Vec<u8>> {
        serde_json::to_vec(self).map_err(|e| Error::internal(format!("cannot write what a leaf tells: {e}")))
    }

    /// What was told, from bytes that [`Told::to_bytes`] gave.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self> {
        serde_json::from_slice(bytes)
            .map_err(|e| Error::internal(format!("cannot read what a leaf tells: {e}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::eval::select::Want;
    use crate::functions::extended::Mode;
    use crate::usage::Need;

    fn leaf(operation: Operation) -> Leaf {
        let window = Window { range_ms: 300_000, offset_ms: -5, at_ms: Some(7), before_ms: 1, after_ms: 2 };
        let steps = Steps { start_ms: 1000, step_ms: 500, count: 2 };
        let matchers =
            vec![Matcher::equal("__name__", "x"), Matcher::new("a", MatchOp::NotRegex, "b|\"c\"").unwrap()];
        let usages = vec![Usage::new(Need::Function(Function::Rate), window, steps)];
        Leaf {
            selection: Selection { matchers, range: TimeRange::new(-3, 9), usages },
            window,
            steps,
            span: Span { start: 3, end: 9 },
            operation,
            statistics_only: true,
            settings: Settings {
                delayed_name_removal: true,
                use_start_timestamps: false,
                type_and_unit_labels: true,
                counts_steps: true,
            },
            grouping: Some(Grouping {
                op: AggregateOp::Stddev,
                names: vec![Arc::from("job")],
                without: true,
            }),
        }
    }

    #[test]
    fn leaves_survive_being_written() {
        let numbers = vec![Numbers(vec![f64::NAN, f64::NEG_INFINITY])];
        for operation in [
            Operation::Newest { want: Want::Start, smoothed: true },
            Operation::Range { function: Function::QuantileOverTime, numbers, mode: Mode::Anchored },
        ] {
            let leaf = leaf(operation);
            assert_eq!(Leaf::from_bytes(&leaf.to_bytes().unwrap()).unwrap(), leaf);
        }
    }

    #[test]
    fn what_is_no_leaf_is_refused() {
        let numbers = |n: usize| vec![Numbers(vec![0.5; n])];
        let mode = Mode::Plain;
        for (function, numbers) in [
            (Function::QuantileOverTime, Vec::new()),
            (Function::QuantileOverTime, numbers(1)),
            (Function::Rate, numbers(2)),
            (Function::Abs, Vec::new()),
        ] {
            let leaf = leaf(Operation::Range { function, numbers, mode });
            let error = Leaf::from_bytes(&leaf.to_bytes().unwrap()).unwrap_err();
            assert!(error.message().contains("arguments"), "{error}");
        }
        let mut odd = leaf(Operation::Newest { want: Want::Value, smoothed: false });
        odd.steps.step_ms = 0;
        assert!(Leaf::from_bytes(&odd.to_bytes().unwrap()).is_err());
        let text = leaf(Operation::Newest { want: Want::Value, smoothed: false }).to_bytes().unwrap();
        let text = String::from_utf8(text).unwrap();
        for (good, bad) in [("!~", "!!"), ("stddev", "topk"), ("b|", "b(")] {
            assert!(Leaf::from_bytes(text.replace(good, bad).as_bytes()).is_err(), "{bad}");
        }
        for cut in 0..text.len() {
            assert!(Leaf::from_bytes(&text.as_bytes()[..cut]).is_err());
        }
        assert!(Leaf::from_bytes(&vec![b' '; MAX_LEAF_BYTES + 1]).is_err());
    }
}
