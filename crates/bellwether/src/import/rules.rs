//! `bellwether import rules`: what recording rules would have written, had they been there before.
//!
//! Owns which rule is evaluated when, and from whose samples: those of the folder that the results go to, or those of a server that is
//! asked. Rules that read what others of the files write come after them and see it, if they are evaluated on the folder's samples.

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;
use std::time::Duration;

use alerting::rule_file::CheckOptions;
use alerting::{GroupConfig, RuleConfig, batches};
use base::{Clock, Error, Result};
use engine::{Engine, EngineOptions, Grid, QueryFailure, QueryOptions, Series, Value};
use prometheus::Registry;
use tsdb::import::{DAY_MS, Importer, Sorted, Source, Spill};
use tsdb::{MetricStore, StoreOptions};

use super::answer::{Answer, matrix};
use super::args::Rules;
use super::report::Report;
use super::{Session, TENANT};
use crate::clock::SystemClock;
use crate::config::read_rule_file;
use crate::features::Features;
use crate::query::client::{Client, Failure};

/// How long ago the end is unless it is given: what is younger may be in memory of the server that evaluates the rule by now.
const DEFAULT_AGE: Duration = Duration::from_secs(3 * 3600);

/// Steps of one query; servers of Prometheus' API refuse more than 11,000.
const STEPS_PER_QUERY: i64 = 10_000;

/// How long a query on the folder's own samples may take: nobody else waits for it.
const QUERY_TIMEOUT: Duration = Duration::from_secs(3600);

/// A rule with what it needs of its group.
struct Task {
    rule: Arc<RuleConfig>,
    group: Arc<GroupConfig>,
    step_ms: i64,
}

/// Imports the results of all recording rules of the files.
pub(super) async fn import(
    options: &Rules,
    client: Option<&Arc<Client>>,
    features: &Features,
) -> Result<Report> {
    let default_end_ms = || SystemClock::new().now_ms() - DEFAULT_AGE.as_millis() as i64;
    let (start_ms, end_ms) = (options.start, options.end.unwrap_or_else(default_end_ms));
    if start_ms >= end_ms {
        let whose =
            if options.end.is_some() { "" } else { ", which is three hours ago unless --end names another" };
        return Err(Error::invalid(format!(
            "cannot import rules: the start time is not before the end time{whose}"
        )));
    }
    let names: Vec<String> = options.files.iter().map(|f| f.display().to_string()).collect();
    let (tasks, alerts) = tasks(options, features)?;
    let mut session = Session::open(&options.target, names.join(", ")).await?;
    session.check_expired(&names.join(", "), start_ms.div_euclid(DAY_MS))?;
    if alerts > 0 {
        session.report.notes.push(format!("{alerts} alerting rules of the files were left out"));
    }
    let rules: Vec<_> = tasks.iter().map(|t| Arc::clone(&t.rule)).collect();
    let stages = batches(&rules);
    if client.is_some() && stages.len() > 1 {
        let text = "some rules read what others of the files write: of that they saw what the server has";
        session.report.notes.push(text.into());
    }
    for stage in stages {
        let tasks: Vec<&Task> = stage.iter().map(|at| &tasks[*at]).collect();
        Box::pin(session.stage(&tasks, (start_ms, end_ms), options, client, features)).await?;
    }
    Ok(session.finish())
}

/// Who asks the server, if one is to be asked. It has a runtime of its own, which may not end within another.
pub(super) fn client(options: &Rules) -> Result<Option<Arc<Client>>> {
    let client = |url: &String| Client::new(url, options.http_config_file.as_deref(), &[]).map(Arc::new);
    options.url.as_ref().map(client).transpose()
}

/// The recording rules of the files, in their order, and how many rules are alerts.
fn tasks(options: &Rules, features: &Features) -> Result<(Vec<Task>, usize)> {
    let check = CheckOptions { parse: features.language(), ..CheckOptions::default() };
    let (mut tasks, mut alerts) = (Vec::new(), 0);
    for file in &options.files {
        let read = read_rule_file(file, &check);
        let read =
            read.map_err(|problems| Error::invalid(format!("cannot load rules: {}", problems.join("\n  "))))?;
        for group in read.groups.into_iter().map(Arc::new) {
            let interval = group.interval.unwrap_or(options.eval_interval);
            let step_ms = i64::try_from(interval.as_millis()).unwrap_or(i64::MAX).max(1);
            for rule in &group.rules {
                match rule.alert() {
                    Some(_) => alerts += 1,
                    None => {
                        let (rule, group) = (Arc::clone(rule), Arc::clone(&group));
                        tasks.push(Task { rule, group, step_ms });
                    }
                }
            }
        }
    }
    Ok((tasks, alerts))
}

impl Session {
    /// Evaluates rules that do not read each other's results, and writes what they give.
    async fn stage(
        &mut self,
        tasks: &[&Task],
        (start_ms, end_ms): (i64, i64),
        options: &Rules,
        client: Option<&Arc<Client>>,
        features: &Features,
    ) -> Result<()> {
        let source = Source::new(TENANT, "rules", identity(tasks, start_ms, end_ms, options).as_bytes());
        let last = self.importer.last_part(&source).await?;
        let is_due = |day: &i64| {
            last.is_none_or(|last| *day > last)
                && !(self.expired == super::Expired::Skip && *day < self.first_day)
        };
        let days: Vec<i64> =
            (start_ms.div_euclid(DAY_MS)..=end_ms.div_euclid(DAY_MS)).filter(is_due).collect();
        let mut spill = self.importer.spill()?;
        match client {
            Some(client) => {
                let asked = Asked::Server(Arc::clone(client));
                self.evaluate(tasks, &days, (start_ms, end_ms), &asked, &mut spill).await?;
            }
            None => {
                let (clock, registry) = (Arc::new(SystemClock::new()), Registry::new());
                let opening = MetricStore::open(
                    Arc::clone(&self.lake),
                    StoreOptions::default(),
                    Arc::clone(&clock) as _,
                    &registry,
                );
                let store = Arc::new(Box::pin(opening).await?);
                let engine_options = EngineOptions { query_timeout: QUERY_TIMEOUT, ..features.engine() };
                let engine = Engine::new(Arc::clone(&store), engine_options, clock, &registry)?;
                let asked = Asked::Folder(Box::new(engine));
                let evaluated = self.evaluate(tasks, &days, (start_ms, end_ms), &asked, &mut spill).await;
                drop(asked);
                store.close().await?;
                // What the store knew that was not sealed may be sealed now.
                self.importer = Importer::open(Arc::clone(&self.lake), TENANT).await?;
                evaluated?;
            }
        }
        let sorted: Sorted = spill.finish()?;
        self.sorted(&source, Arc::new(sorted)).await?
    }

    async fn evaluate(
        &mut self,
        tasks: &[&Task],
        days: &[i64],
        (start_ms, end_ms): (i64, i64),
        asked: &Asked,
        spill: &mut Spill,
    ) -> Result<()> {
        let mut warned = BTreeSet::new();
        for task in tasks {
            let name = &task.rule.name;
            self.progress.phase(&format!("rule {name}"), None);
            for day in days {
                let last_ms = end_ms.min((day + 1) * DAY_MS - 1);
                let mut at_ms = task.group.slot_from(task.step_ms, start_ms.max(day * DAY_MS));
                while at_ms <= last_ms {
                    let steps = ((last_ms - at_ms) / task.step_ms).min(STEPS_PER_QUERY - 1);
                    let grid =
                        Grid { start_ms: at_ms, end_ms: at_ms + steps * task.step_ms, step_ms: task.step_ms };
                    let answer = asked.query(&task.rule.query, grid).await;
                    let answer = answer.map_err(|e| e.context(format!("cannot evaluate rule {name:?}")))?;
                    warned.extend(answer.warnings.into_iter().map(|w| format!("rule {name:?}: {w}")));
                    if answer.histograms_left_out > 0 {
                        self.report.damaged.push(format!(
                            "rule {name:?} gives native histograms, which a server does not tell whole: \
                             import it without --url, into the folder that has the samples"
                        ));
                    }
                    let added = add(&task.rule, &answer.series, spill)
                        .map_err(|e| e.context(format!("cannot import rule {name:?}")))?;
                    self.progress.add(added);
                    at_ms = grid.end_ms + task.step_ms;
                }
            }
        }
        self.report.damaged.dedup();
        self.report.notes.extend(warned);
        Ok(())
    }
}

/// What tells this import from others: started again with the same, it goes on behind the last day that it finished.
fn identity(tasks: &[&Task], start_ms: i64, end_ms: i64, options: &Rules) -> String {
    let mut out = format!("{start_ms} {end_ms} {}", options.url.as_deref().unwrap_or_default());
    for task in tasks {
        let (rule, group) = (&task.rule, &task.group);
        let labels: Vec<_> = rule.labels.iter().map(|(n, v)| format!("{n:?}={v:?}")).collect();
        out.push_str(&format!(
            "\n{:?} {:?} {} {:?} {} {}",
            group.file,
            group.name,
            task.step_ms,
            rule.name,
            labels.join(","),
            rule.query
        ));
    }
    out
}

/// Adds what a rule makes of a result. Returns the number of samples.
fn add(rule: &RuleConfig, found: &[Series], spill: &mut Spill) -> Result<u64> {
    let (mut seen, mut added) = (HashSet::with_capacity(found.len()), 0);
    for series in found {
        let labels = rule.recorded_labels(&series.labels);
        for sample in &series.samples {
            spill.float(&labels, *sample)?;
        }
        for h in &series.histograms {
            spill.histogram(&labels, h.t_ms, (*h.histogram).clone())?;
        }
        added += (series.samples.len() + series.histograms.len()) as u64;
        if !seen.insert(labels) {
            let text = "vector contains metrics with the same labelset after applying rule labels";
            return Err(Error::invalid(text));
        }
    }
    Ok(added)
}

/// Who is asked for what rules give.
enum Asked {
    Server(Arc<Client>),
    Folder(Box<Engine>),
}

impl Asked {
    async fn query(&self, query: &str, grid: Grid) -> Result<Answer> {
        match self {
            Self::Server(client) => {
                let (client, query) = (Arc::clone(client), query.to_owned());
                let asking = tokio::task::spawn_blocking(move || ask(&client, &query, grid));
                asking.await.map_err(|e| Error::internal(format!("cannot ask the server: {e}")))?
            }
            Self::Folder(engine) => {
                let options = QueryOptions::default();
                let asking = Box::pin(engine.query_range(query, grid, &options));
                let reply = asking.await.map_err(|e| match e {
                    QueryFailure::Rejected(e) | QueryFailure::Execute(e) => e,
                })?;
                match reply.output.value {
                    Value::Matrix(series) => Ok(Answer {
                        series,
                        warnings: reply.output.annotations.warnings,
                        histograms_left_out: 0,
                    }),
                    _ => Err(Error::invalid("rule result is not a vector or scalar")),
                }
            }
        }
    }
}

fn ask(client: &Client, query: &str, grid: Grid) -> Result<Answer> {
    let seconds = |ms: i64| format!("{}", ms as f64 / 1000.0);
    let parameters = [
        ("query", query.to_owned()),
        ("start", seconds(grid.start_ms)),
        ("end", seconds(grid.end_ms)),
        ("step", seconds(grid.step_ms)),
    ];
    let (data, warnings) = client.api("/api/v1/query_range", &parameters, true).map_err(|e| match e {
        Failure::Refused { kind, text } => Error::invalid(format!("the server says {kind}: {text}")),
        Failure::NoAnswer(e) => e,
    })?;
    let mut answer = matrix(&data)?;
    answer.warnings = warnings;
    Ok(answer)
}
