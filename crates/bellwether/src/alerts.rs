//! Rules and alerts in the running process: the engine, the network and discovery as the crate `alerting` sees them.

use std::sync::Arc;

use alerting::outside::{AlertPost, Appended, Asker, LastSample, Querier, Relabel, ResultSample, SampleSink};
use alerting::send::{AlertmanagerSet, Alertmanagers, SendOptions};
use alerting::{GroupConfig, Notifier, RuleManager, RuleOptions, Terms};
use async_trait::async_trait;
use base::{Clock, Error, LabelsBuilder, Matcher, Result, TimeRange, WriteBatch};
use collect::config::HttpConfig;
use collect::discovery::{DiscoveryMetrics, Sources};
use collect::endpoint::{self, Endpoints, LastFound};
use collect::http::HttpTransport;
use collect::post::{self, PostRequest};
use collect::relabel::{self, Rule};
use engine::{Engine, QueryFailure, QueryOptions, QueryOrigin, Value};
use parking_lot::Mutex;
use prometheus::Registry;
use tokio::task::JoinHandle;
use tsdb::MetricStore;

use crate::cli::Serve;
use crate::config::{AlertmanagerConfig, Checked};

/// The engine and the store below it, as rules use them.
pub(crate) struct RuleStore {
    pub(crate) engine: Arc<Engine>,
    pub(crate) store: Arc<MetricStore>,
}

#[async_trait]
impl Querier for RuleStore {
    async fn query(&self, asker: Asker<'_>, expr: &str, t_ms: i64) -> Result<Vec<ResultSample>> {
        let origin = QueryOrigin::RuleGroup { name: asker.group.to_owned(), file: asker.file.to_owned() };
        let options = QueryOptions { origin: Some(origin), ..QueryOptions::default() };
        let reply = self.engine.query_instant(expr, t_ms, &options).await;
        let reply = reply.map_err(|e| match e {
            QueryFailure::Rejected(e) | QueryFailure::Execute(e) => e,
        })?;
        match reply.output.value {
            Value::Vector(samples) => Ok(samples
                .into_iter()
                .map(|s| ResultSample { labels: s.labels, value: s.sample.value, histogram: s.histogram })
                .collect()),
            Value::Scalar(s) => Ok(vec![ResultSample::float(base::Labels::empty(), s.value)]),
            _ => Err(Error::invalid("rule result is not a vector or scalar")),
        }
    }

    async fn last_samples(&self, matchers: &[Matcher], range: TimeRange) -> Result<Vec<LastSample>> {
        let selected = self.store.select(matchers, range).await?;
        let (mut times, mut values, mut out) = (Vec::new(), Vec::new(), Vec::new());
        for at in 0..selected.len() {
            selected.decode(at, &mut times, &mut values)?;
            if let (Some(&t_ms), Some(&value)) = (times.last(), values.last()) {
                out.push(LastSample { labels: selected.labels(at).clone(), t_ms, value });
            }
        }
        Ok(out)
    }
}

#[async_trait]
impl SampleSink for RuleStore {
    async fn append(&self, batch: WriteBatch) -> Result<Appended> {
        let outcome = self.engine.append(batch).await?;
        Ok(Appended {
            out_of_order: outcome.out_of_order,
            duplicate: outcome.duplicate,
            too_old: outcome.too_old,
            refused: outcome.limited + outcome.out_of_bounds,
        })
    }
}

struct RelabelRules(Vec<Rule>);

impl Relabel for RelabelRules {
    fn relabel(&self, labels: &mut LabelsBuilder) -> bool {
        relabel::apply(&self.0, labels)
    }
}

fn relabelling(rules: &[Rule]) -> Option<Arc<dyn Relabel>> {
    if rules.is_empty() { None } else { Some(Arc::new(RelabelRules(rules.to_vec()))) }
}

/// Posts with the credentials of one set of Alertmanagers.
struct Post {
    transport: Arc<HttpTransport>,
    http: HttpConfig,
}

#[async_trait]
impl AlertPost for Post {
    async fn post(&self, url: &str, body: Vec<u8>) -> Result<()> {
        let request = PostRequest {
            url: url.to_owned(),
            headers: vec![("content-type".to_owned(), "application/json".to_owned())],
            body: body.into(),
            http: self.http.clone(),
        };
        let answer = post::Post::post(self.transport.as_ref(), request).await?;
        if answer.is_success() {
            return Ok(());
        }
        let (status, text) = (answer.status, answer.text());
        Err(Error::unavailable(format!("bad response status {status}: {text}")))
    }
}

/// Rules, and where their alerts go, as the configuration in force says.
pub(crate) struct Alerts {
    pub(crate) rules: Arc<RuleManager>,
    pub(crate) notifier: Arc<Notifier>,
    pub(crate) transport: Arc<HttpTransport>,
    pub(crate) discovery: DiscoveryMetrics,
    /// Where people reach this server, without a slash at its end.
    pub(crate) external_url: String,
    following: Mutex<Following>,
}

#[derive(Default)]
struct Following {
    sets: Vec<FollowedSet>,
    next_id: u64,
    /// What discovery found last, for sets that change.
    last: LastFound,
}

struct FollowedSet {
    config: AlertmanagerConfig,
    id: u64,
    task: JoinHandle<()>,
}

impl Drop for FollowedSet {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Alerts {
    pub(crate) fn new(
        options: &Serve,
        external_url: &str,
        store: RuleStore,
        transport: Arc<HttpTransport>,
        discovery: DiscoveryMetrics,
        clock: &Arc<dyn Clock>,
        registry: &Registry,
    ) -> Result<Self> {
        let (store, flags) = (Arc::new(store), &options.rules);
        let send = SendOptions {
            queue_capacity: flags.alertmanager_notification_queue_capacity,
            batch_size: flags.alertmanager_notification_batch_size,
            drain: flags.drains_notifications(),
        };
        let notifier = Arc::new(Notifier::new(send, Arc::clone(clock), registry)?);
        let rules = RuleManager::new(
            Arc::clone(&store) as _,
            store,
            Arc::clone(&notifier),
            Arc::clone(clock),
            RuleOptions {
                for_outage_tolerance: flags.rules_alert_for_outage_tolerance,
                for_grace_period: flags.rules_alert_for_grace_period,
                resend_delay: flags.rules_alert_resend_delay,
                concurrency: flags.rules_max_concurrent_evals.max(1),
            },
            registry,
        )?;
        let (rules, external_url) = (Arc::new(rules), external_url.to_owned());
        let following = Mutex::default();
        Ok(Self { rules, notifier, transport, discovery, external_url, following })
    }

    /// Makes a configuration and its rules the ones in force.
    pub(crate) async fn apply(&self, checked: &Checked, groups: Vec<GroupConfig>) {
        self.apply_alertmanagers(checked);
        let terms = Terms {
            evaluation_interval: checked.global.evaluation_interval,
            query_offset: checked.global.rule_query_offset,
            external_labels: checked.external_labels.clone(),
            external_url: self.external_url.clone(),
        };
        self.rules.apply(groups, terms).await;
    }

    fn apply_alertmanagers(&self, checked: &Checked) {
        let mut following = self.following.lock();
        let mut before = std::mem::take(&mut following.sets);
        let (mut kept, mut added) = (Vec::new(), Vec::new());
        for config in &checked.alerting.alertmanagers {
            // A set that stays as it is keeps its queues and goes on following its discovery.
            match before.iter().position(|s| s.config == *config) {
                Some(at) => kept.push(before.swap_remove(at)),
                None => {
                    added.push((following.next_id, config.clone()));
                    following.next_id += 1;
                }
            }
        }
        drop(before);
        let last = following.last.clone();
        last.keep(checked.alerting.alertmanagers.iter().map(|c| &c.endpoints));
        let all = kept.iter().map(|s| (s.id, &s.config)).chain(added.iter().map(|(id, c)| (*id, c)));
        let sets = all.map(|(id, config)| self.set(id, config, &last)).collect();
        let relabel = relabelling(&checked.alerting.alert_relabel_configs);
        self.notifier.apply(checked.external_labels.clone(), relabel, sets);
        kept.extend(added.into_iter().map(|(id, config)| self.follow(id, config, last.clone())));
        following.sets = kept;
    }

    fn set(&self, id: u64, config: &AlertmanagerConfig, last: &LastFound) -> AlertmanagerSet {
        let Endpoints { active, dropped } = last.known(&config.endpoints);
        let post = Post { transport: Arc::clone(&self.transport), http: config.http.clone() };
        AlertmanagerSet {
            id,
            timeout: config.timeout,
            relabel: relabelling(&config.alert_relabel_configs),
            post: Arc::new(post),
            known: Alertmanagers { active, dropped },
        }
    }

    fn follow(&self, id: u64, config: AlertmanagerConfig, last: LastFound) -> FollowedSet {
        let notifier = Arc::clone(&self.notifier);
        let sources = Sources {
            metrics: self.discovery.clone(),
            transport: Arc::clone(&self.transport) as _,
            set: format!("config-{id}"),
        };
        let endpoints = config.endpoints.clone();
        let task = tokio::spawn(async move {
            let found = |found: &Endpoints| {
                let (active, dropped) = (found.active.clone(), found.dropped.clone());
                notifier.set_targets(id, &Alertmanagers { active, dropped });
            };
            endpoint::follow(endpoints, sources, last, found).await;
        });
        FollowedSet { config, id, task }
    }

    /// Stops evaluating, then sends what waits.
    pub(crate) async fn stop(&self) {
        self.rules.stop().await;
        self.following.lock().sets.clear();
        self.notifier.stop().await;
    }
}

/// The external URL: as it was given, or this host and port; without a slash at its end.
pub(crate) fn external_url(given: Option<&str>, hostname: &str, port: u16) -> Result<String> {
    let Some(given) = given.filter(|g| !g.is_empty()) else {
        return Ok(format!("http://{hostname}:{port}"));
    };
    let bad = |cause: &str| Error::invalid(format!("cannot use the external URL {given:?}: {cause}"));
    if given.starts_with(['"', '\'']) || given.ends_with(['"', '\'']) {
        return Err(bad("it must not begin or end with quotes"));
    }
    if !(given.starts_with("http://") || given.starts_with("https://")) {
        return Err(bad("write it as http://host:port/path"));
    }
    Ok(given.trim_end_matches('/').to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_external_url_is_that_of_the_host_unless_given() {
        assert_eq!(external_url(None, "h", 9090).unwrap(), "http://h:9090");
        assert_eq!(external_url(Some("https://x/p/"), "h", 1).unwrap(), "https://x/p");
        assert!(external_url(Some("x/p"), "h", 1).is_err());
        assert!(external_url(Some("\"http://x\""), "h", 1).is_err());
    }
}
