//! `info(v, {…})`: adds the labels of info series to the series of a vector.
//!
//! The info series are selected by the matchers of the second argument alone and filtered here by the instances and
//! jobs of the first, so that what a query reads is known before it is evaluated.

use std::collections::BTreeMap;

use base::{Error, Labels, LabelsBuilder, METRIC_NAME, MatchOp, Matcher, Result};
use rustc_hash::{FxHashMap, FxHashSet};

use super::windows::SameTimes;
use crate::Expr;
use crate::ast::ExprKind;
use crate::eval::column::{Column, Frame, is_present, merge_same_labels, show_labels};
use crate::eval::evaluator::Evaluator;
use crate::eval::plan::{InfoSource, Node};
use crate::eval::select::{self, Want};
use crate::eval::tally::Tally;

/// The labels by which a series and its info series know each other.
const IDENTIFYING: [&str; 2] = ["instance", "job"];

/// The info metric that is meant if none is named.
const TARGET_INFO: &str = "target_info";

/// The matchers of the info series, those of the name completed.
pub(crate) fn selected_matchers(second: Option<&Expr>) -> Vec<Matcher> {
    let mut matchers = match second.map(|e| &e.unwrap_parens().kind) {
        Some(ExprKind::Vector(s)) => s.matchers.clone(),
        _ => Vec::new(),
    };
    let on_name = || matchers.iter().filter(|m| m.name() == METRIC_NAME);
    if on_name().next().is_none() {
        matchers.push(Matcher::equal(METRIC_NAME, TARGET_INFO));
    } else if !on_name().any(|m| matches!(m.op(), MatchOp::Equal | MatchOp::Regex)) {
        let any = Matcher::new(METRIC_NAME, MatchOp::Regex, ".+_info").expect("the expression is valid");
        matchers.push(any);
    }
    matchers
}

/// An info series, and the time of the sample that each step sees.
struct Info {
    labels: Labels,
    times: Vec<f64>,
}

/// Evaluates `info`.
pub(crate) fn enrich(
    ev: &mut Evaluator<'_>,
    node: &Node<'_>,
    arg: &Node<'_>,
    source: &InfoSource,
) -> Result<Frame> {
    let base = ev.frame(arg)?;
    ev.release_all(&base);
    let matchers = &source.matchers;
    // Matchers added for the name are no condition on data labels.
    let data: Vec<&Matcher> = matchers.iter().filter(|m| m.name() != METRIC_NAME).collect();
    let names: Vec<&Matcher> = matchers.iter().filter(|m| m.name() == METRIC_NAME).collect();
    let is_info = |labels: &Labels| names.iter().all(|m| m.matches(labels.metric()));
    let mut known: FxHashSet<(usize, String)> = FxHashSet::default();
    for column in base.iter().filter(|c| !is_info(&c.labels)) {
        for (i, name) in IDENTIFYING.iter().enumerate() {
            if let Some(value) = column.labels.get(name) {
                known.insert((i, value.to_owned()));
            }
        }
    }
    let infos = read(ev, node, source, &known)?;
    let mut by_signature: FxHashMap<Labels, Vec<&Info>> = FxHashMap::default();
    let mut metrics: Vec<&str> = infos.iter().map(|i| i.labels.metric()).collect();
    metrics.sort_unstable();
    metrics.dedup();
    for info in &infos {
        by_signature.entry(signature(&info.labels, info.labels.metric())).or_default().push(info);
    }
    let mut out = Frame::new();
    for column in base {
        ev.check_interrupt()?;
        if is_info(&column.labels) {
            out.push(column);
            continue;
        }
        let candidates: Vec<&[&Info]> = metrics
            .iter()
            .filter_map(|m| by_signature.get(&signature(&column.labels, m)))
            .map(Vec::as_slice)
            .collect();
        enrich_column(&column, &candidates, &data, &mut out)?;
    }
    merge_same_labels(out)
}

fn read(
    ev: &mut Evaluator<'_>,
    node: &Node<'_>,
    source: &InfoSource,
    known: &FxHashSet<(usize, String)>,
) -> Result<Vec<Info>> {
    let (mut infos, mut same) = (Vec::new(), SameTimes::default());
    let mut held = 0;
    let identified = [0, 1].map(|i| known.iter().any(|(k, _)| *k == i));
    ev.read(node, source.selection, &mut |ev, labels, columns| {
        // Each identifying label that any base series has must be one of those that are wanted.
        let wanted = !known.is_empty()
            && IDENTIFYING.iter().enumerate().all(|(i, name)| {
                !identified[i] || known.contains(&(i, labels.get_or_empty(name).to_owned()))
            });
        if wanted {
            let picked = select::pick(columns, &source.window, node.steps, Want::Value, &mut same);
            if picked.histograms.iter().any(Option::is_some) {
                let series = show_labels(&labels);
                return Err(Error::invalid(format!(
                    "this should be an info metric, with float samples: {series}"
                )));
            }
            let times = select::pick(columns, &source.window, node.steps, Want::Time, &mut same).values;
            let column = Column::floats(labels, false, times);
            let tally = Tally::of_column(&column, column.count_present() as u64, ev.tally.counts_steps());
            ev.tally.add(&tally);
            ev.hold_samples(tally.used)?;
            held += tally.used;
            infos.push(Info { labels: column.labels, times: column.values });
        }
        Ok(())
    })?;
    ev.release_samples(held);
    Ok(infos)
}

/// What a series has in common with its info series of a metric.
fn signature(labels: &Labels, metric: &str) -> Labels {
    let mut b = LabelsBuilder::default();
    b.set(METRIC_NAME, metric);
    for name in IDENTIFYING {
        b.set(name, labels.get_or_empty(name));
    }
    b.build()
}

/// The series with the labels of the info series that each step sees; a column for each set of them.
fn enrich_column(column: &Column, candidates: &[&[&Info]], data: &[&Matcher], out: &mut Frame) -> Result<()> {
    let needed = !data.iter().all(|m| m.matches_empty());
    let mut by_choice: Vec<(Vec<Option<usize>>, Option<usize>)> = Vec::new();
    let mut choice = Vec::with_capacity(candidates.len());
    for step in 0..column.values.len() {
        let Some(item) = column.item(step) else { continue };
        choice.clear();
        for group in candidates {
            choice.push(newest(group, step)?);
        }
        let at = match by_choice.iter().find(|(c, _)| *c == choice) {
            Some((_, at)) => *at,
            None => {
                let nothing = choice.iter().all(Option::is_none);
                let at = if nothing && needed {
                    None
                } else {
                    let chosen = candidates.iter().zip(&choice).filter_map(|(g, c)| c.map(|c| g[c]));
                    let labels = with_data_labels(&column.labels, chosen, data)?;
                    out.push(Column::absent(labels, column.drop_name, column.values.len()));
                    Some(out.len() - 1)
                };
                by_choice.push((choice.clone(), at));
                at
            }
        };
        if let Some(at) = at {
            out[at].set(step, item);
        }
    }
    Ok(())
}

/// Of info series with the same signature, that with the newest sample.
fn newest(group: &[&Info], step: usize) -> Result<Option<usize>> {
    let mut best: Option<usize> = None;
    for (i, info) in group.iter().enumerate().filter(|(_, i)| is_present(i.times[step])) {
        let t = info.times[step];
        match best.map(|b| (b, group[b].times[step])) {
            Some((_, existing)) if existing > t => {}
            Some((b, existing)) if existing == t => {
                return Err(Error::invalid(format!(
                    "found duplicate series for info metric: existing {} @ {}, new {} @ {}",
                    show_labels(&group[b].labels),
                    existing as i64,
                    show_labels(&info.labels),
                    t as i64
                )));
            }
            _ => best = Some(i),
        }
    }
    Ok(best)
}

fn with_data_labels<'i>(
    base: &Labels,
    infos: impl Iterator<Item = &'i Info>,
    data: &[&Matcher],
) -> Result<Labels> {
    let mut added: BTreeMap<&str, &str> = BTreeMap::new();
    for info in infos {
        for (name, value) in &info.labels {
            let wanted = data.is_empty() || data.iter().any(|m| m.name() == name);
            if name == METRIC_NAME || !wanted {
                continue;
            }
            if added.get(name).is_some_and(|v| *v != value) {
                return Err(Error::invalid(format!("conflicting label: {name}")));
            }
            if base.get(name).is_none() {
                added.insert(name, value);
            }
        }
    }
    let mut labels = base.to_builder();
    for (name, value) in added {
        labels.set(name, value);
    }
    Ok(labels.build())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_of_the_info_metric_is_completed() {
        let of = |second: Option<&Expr>| {
            selected_matchers(second).iter().map(ToString::to_string).collect::<Vec<_>>()
        };
        assert_eq!(of(None), ["__name__=\"target_info\""]);
    }

    #[test]
    fn of_two_info_series_the_newer_counts() {
        use crate::eval::column::ABSENT;
        let info = |t| Info { labels: Labels::empty(), times: vec![t] };
        let (a, b, gone) = (info(1.0), info(2.0), info(ABSENT));
        assert_eq!(newest(&[&a, &b, &gone], 0), Ok(Some(1)));
        assert_eq!(newest(&[&gone], 0), Ok(None));
        assert!(newest(&[&a, &a], 0).is_err());
    }
}
