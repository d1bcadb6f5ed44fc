//! Leaves and what they tell, as bytes: JSON, so that a plan can be read by people.

use std::ops::Deref;
use std::sync::Arc;

use base::{Error, MatchOp, Matcher, Result, TimeRange};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{Filter, Grouping, Leaf, Operation, Settings, Told};
use crate::ast::{AggregateOp, BinaryOp, Span};
use crate::eval::plan::Window;
use crate::eval::steps::Steps;
use crate::limits::{MAX_LEAF_BYTES, MAX_LEAF_FILTERS, MAX_LEAF_STEPS, MAX_TOLD_BYTES, TOLD_STEP_BYTES};
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
pub(super) const GROUPING: [AggregateOp; 8] = [
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

impl Serialize for BinaryOp {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(self.as_str())
    }
}

/// The operators that a leaf may filter with.
const FILTERING: [BinaryOp; 6] =
    [BinaryOp::Eq, BinaryOp::Ne, BinaryOp::Lt, BinaryOp::Le, BinaryOp::Gt, BinaryOp::Ge];

impl<'de> Deserialize<'de> for BinaryOp {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let name = String::deserialize(from)?;
        let op = FILTERING.into_iter().find(|op| op.as_str() == name);
        op.ok_or_else(|| serde::de::Error::custom(format!("{name:?} does not filter values")))
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
    filters: Vec<Filter>,
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
            filters: self.filters.clone(),
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
        let Wire { window, steps, span, operation, statistics_only, settings, filters, grouping, .. } = wire;
        if steps.count > MAX_LEAF_STEPS {
            let limit = format_args!("it has more than {MAX_LEAF_STEPS} steps (limit max_leaf_steps)");
            return Err(refuse(&limit));
        }
        if !steps.is_possible() {
            return Err(refuse(&"its steps are not those of a query"));
        }
        if let Operation::Range { function, numbers, mode } = &operation
            && (!crate::functions::rollup::is_rollup(*function)
                || !mode.is_for(*function)
                || numbers.len() + 1 != function.arg_types().len()
                || numbers.iter().any(|n| n.len() != steps.count))
        {
            return Err(refuse(&"its function's arguments are not those that the function takes"));
        }
        if filters.len() > MAX_LEAF_FILTERS || filters.iter().any(|f| f.numbers.len() != steps.count) {
            return Err(refuse(&"its filters are not those of a query"));
        }
        let range = TimeRange::new(wire.range.0, wire.range.1);
        let selection = Selection { matchers, range, usages: wire.usages };
        Ok(Self { selection, window, steps, span, operation, statistics_only, settings, filters, grouping })
    }
}

impl Told {
    /// What was told, as bytes.
    pub fn to_bytes(&self) -> Result<Vec<u8>> {
        serde_json::to_vec(self).map_err(|e| Error::internal(format!("cannot write what a leaf tells: {e}")))
    }

    /// What was told of a leaf of so many steps, from bytes that [`Told::to_bytes`] gave.
    pub fn from_bytes(bytes: &[u8], steps: usize) -> Result<Self> {
        let refuse =
            |why: &dyn std::fmt::Display| Error::internal(format!("cannot read what a leaf tells: {why}"));
        if bytes.len() > MAX_TOLD_BYTES.saturating_add(steps.saturating_mul(TOLD_STEP_BYTES)) {
            return Err(refuse(&format_args!("it has {} bytes (limit max_told_bytes)", bytes.len())));
        }
        let told: Self = serde_json::from_slice(bytes).map_err(|e| refuse(&e))?;
        match told.oddity(steps) {
            None => Ok(told),
            Some(why) => Err(refuse(&why)),
        }
    }
}

#[cfg(test)]
mod tests {
    use base::{Histogram, Labels};
    use proptest::prelude::*;

    use super::*;
    use crate::eval::select::Want;
    use crate::functions::extended::Mode;
    use crate::functions::rollup::is_rollup;
    use crate::leaf::Around;
    use crate::usage::Need;
    use crate::{Columns, Interrupt, SeriesSet};

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
            filters: vec![Filter {
                op: BinaryOp::Le,
                numbers: Numbers(vec![f64::INFINITY, 0.5]),
                vector_left: false,
                span: Span { start: 1, end: 2 },
            }],
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
            Operation::Range { function: Function::QuantileOverTime, numbers, mode: Mode::Plain },
            Operation::Range { function: Function::Resets, numbers: Vec::new(), mode: Mode::Anchored },
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
            (Function::AbsentOverTime, Vec::new()),
        ] {
            let leaf = leaf(Operation::Range { function, numbers, mode });
            let error = Leaf::from_bytes(&leaf.to_bytes().unwrap()).unwrap_err();
            assert!(error.message().contains("arguments"), "{error}");
        }
        let smoothed =
            Operation::Range { function: Function::Resets, numbers: Vec::new(), mode: Mode::Smoothed };
        assert!(Leaf::from_bytes(&leaf(smoothed).to_bytes().unwrap()).is_err());
        for (start_ms, step_ms, count) in
            [(0, 0, 2), (0, -1, 2), (i64::MAX, 1, 2), (0, i64::MAX, 3), (0, 1, MAX_LEAF_STEPS + 1)]
        {
            let mut odd = leaf(Operation::Newest { want: Want::Value, smoothed: false });
            odd.steps = Steps { start_ms, step_ms, count };
            let error = Leaf::from_bytes(&odd.to_bytes().unwrap()).unwrap_err();
            assert!(error.message().contains("steps"), "{error}");
        }
        let mut odd = leaf(Operation::Newest { want: Want::Value, smoothed: false });
        odd.filters[0].numbers.0.pop();
        assert!(Leaf::from_bytes(&odd.to_bytes().unwrap()).is_err());
        odd.filters[0].op = BinaryOp::Add;
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

    /// Two series: floats with starts, and native histograms.
    struct Two;

    impl SeriesSet for Two {
        fn count(&self) -> usize {
            2
        }

        fn samples(&self) -> u64 {
            20
        }

        fn labels(&self, at: usize) -> Labels {
            Labels::from_pairs([("__name__", "x"), ("at", at.to_string().as_str())])
        }

        fn read(&self, at: usize, columns: &mut Columns) -> Result<Labels> {
            columns.clear();
            let times = (0..10).map(|n| n * 100);
            if at == 0 {
                columns.timestamps_ms.extend(times);
                columns.values.extend((0..10).map(|n| f64::from(n % 4)));
                columns.starts_ms.extend((0..10).map(|n| n / 4 * 400));
            } else {
                columns.histograms.timestamps_ms.extend(times);
                let h = |n: u8| Histogram { count: f64::from(n), sum: 1.0, ..Histogram::default() };
                columns.histograms.values.extend((0..10).map(|n| Arc::new(h(n % 4))));
            }
            Ok(self.labels(at))
        }
    }

    struct Never;

    impl Interrupt for Never {
        fn check(&self) -> Result<()> {
            Ok(())
        }
    }

    proptest! {
        #[test]
        fn whatever_leaves_say_is_refused_or_done(
            seed in prop::collection::vec((any::<prop::sample::Index>(), 0usize..9), 1..4),
            function in any::<prop::sample::Index>(),
            mode in 0usize..3,
            smoothed in any::<bool>(),
        ) {
            let functions: Vec<Function> = Function::ALL.iter().copied().filter(|f| is_rollup(*f)).collect();
            let function = functions[function.index(functions.len())];
            let numbers = vec![Numbers(vec![0.5, f64::NAN]); function.arg_types().len() - 1];
            let mode = [Mode::Plain, Mode::Anchored, Mode::Smoothed][mode];
            let range = Operation::Range { function, numbers, mode };
            for operation in [range, Operation::Newest { want: Want::Value, smoothed }] {
                let text = String::from_utf8(leaf(operation).to_bytes().unwrap()).unwrap();
                let places: Vec<_> = text.match_indices(|c: char| c.is_ascii_digit()).map(|(at, _)| at).collect();
                for (at, with) in &seed {
                    let with = [
                        "0", "-1", "1", "3", "1000000", "9223372036854775807", "-9223372036854775808",
                        "18446744073709551615", "1e300",
                    ][*with];
                    let place = places[at.index(places.len())];
                    let (head, tail) = text.split_at(place);
                    let tail = tail.trim_start_matches(|c: char| c.is_ascii_digit());
                    let head = head.trim_end_matches(|c: char| c.is_ascii_digit()).trim_end_matches('-');
                    let odd = format!("{head}{with}{tail}");
                    let Ok(read) = Leaf::from_bytes(odd.as_bytes()) else { continue };
                    if read.steps() > 10_000 {
                        continue;
                    }
                    let around = Around { interrupt: &Never, clock: None };
                    let _ = read.run(&Two, around, &mut |block| {
                        block.check(read.steps()).unwrap();
                        Ok(())
                    });
                }
            }
        }
    }
}
