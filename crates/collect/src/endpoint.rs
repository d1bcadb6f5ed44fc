//! Endpoints that this program sends to, such as Alertmanagers, found by discovery and relabelled.
//!
//! Owns their labels and the URLs these make. Does not send.

use std::sync::Arc;

use base::{Error, Labels, LabelsBuilder, Result};
use futures::future::join_all;
use parking_lot::Mutex;
use tokio::sync::mpsc;

use crate::config::{FileSdConfig, HttpSdConfig, Scheme, TargetGroup};
use crate::discovery::{Kinds, LastLists, Sources, providers};
use crate::limits::FIRST_LIST_WAIT;
use crate::relabel::{self, Rule};
use crate::target::ADDRESS_LABEL;

const SCHEME_LABEL: &str = "__scheme__";
const PATH_LABEL: &str = "__alerts_path__";

/// Which endpoints there are.
#[derive(Debug, Clone, PartialEq)]
pub struct EndpointConfig {
    /// Scheme of those whose labels do not say another.
    pub scheme: Scheme,
    /// Path of the URL, likewise.
    pub path: String,
    /// Endpoints that the configuration names.
    pub static_configs: Vec<TargetGroup>,
    /// Files that name endpoints.
    pub file_sd_configs: Vec<FileSdConfig>,
    /// Servers that name endpoints.
    pub http_sd_configs: Vec<HttpSdConfig>,
    /// Rules for their labels.
    pub relabel_configs: Vec<Rule>,
}

/// The URLs of endpoints.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Endpoints {
    /// Those to send to, each once.
    pub active: Vec<String>,
    /// Those that relabelling dropped.
    pub dropped: Vec<String>,
}

/// Where endpoints come from.
#[derive(Debug, Clone, PartialEq)]
enum Source {
    Named(Vec<TargetGroup>),
    File(FileSdConfig),
    Server(Box<HttpSdConfig>),
}

impl EndpointConfig {
    /// In the order of their providers.
    fn sources(&self) -> Vec<Source> {
        let named = Some(&self.static_configs).filter(|named| !named.is_empty());
        let named = named.map(|groups| Source::Named(groups.clone()));
        let files = self.file_sd_configs.iter().cloned().map(Source::File);
        named
            .into_iter()
            .chain(files)
            .chain(self.http_sd_configs.iter().cloned().map(Box::new).map(Source::Server))
            .collect()
    }
}

/// The last lists of the sources of all endpoints: who follows one anew, as after a change of the configuration, begins with its list.
#[derive(Clone, Default)]
pub struct LastFound(Arc<Mutex<Lists>>);

type Lists = Vec<(Source, Vec<TargetGroup>)>;

impl LastFound {
    /// Forgets sources that none of these configurations has.
    pub fn keep<'a>(&self, configs: impl IntoIterator<Item = &'a EndpointConfig>) {
        let kept: Vec<Source> = configs.into_iter().flat_map(EndpointConfig::sources).collect();
        self.0.lock().retain(|(source, _)| kept.contains(source));
    }

    /// What is known of endpoints before any source was asked again: those that the configuration names itself, and the last lists.
    pub fn known(&self, config: &EndpointConfig) -> Endpoints {
        let lists: Vec<_> = config.sources().iter().filter_map(|source| self.of(source)).collect();
        endpoints(config, lists.iter().flatten())
    }

    fn of(&self, source: &Source) -> Option<Vec<TargetGroup>> {
        match source {
            Source::Named(groups) => Some(groups.clone()),
            _ => self.0.lock().iter().find(|(s, _)| s == source).map(|(_, list)| list.clone()),
        }
    }

    fn note(&self, source: &Source, list: &[TargetGroup]) {
        let mut all = self.0.lock();
        all.retain(|(s, _)| s != source);
        if !matches!(source, Source::Named(_)) {
            all.push((source.clone(), list.to_vec()));
        }
    }

    /// The lists of servers, by their addresses.
    fn of_servers(&self, config: &EndpointConfig) -> LastLists {
        let list = |c: &HttpSdConfig| Some((c.url.clone(), self.of(&Source::Server(Box::new(c.clone())))?));
        Arc::new(Mutex::new(config.http_sd_configs.iter().filter_map(list).collect()))
    }
}

/// The endpoints of what discovery found. A group with a wrong address is left out with a warning.
pub fn endpoints<'a>(
    config: &EndpointConfig,
    groups: impl IntoIterator<Item = &'a TargetGroup>,
) -> Endpoints {
    let mut out = Endpoints::default();
    for group in groups {
        match of_group(config, group) {
            Ok(found) => {
                for url in found.active {
                    if !out.active.contains(&url) {
                        out.active.push(url);
                    }
                }
                out.dropped.extend(found.dropped);
            }
            Err(error) => tracing::error!(group = group.source, %error, "cannot use discovered endpoints"),
        }
    }
    out
}

fn of_group(config: &EndpointConfig, group: &TargetGroup) -> Result<Endpoints> {
    let mut out = Endpoints::default();
    for target in &group.targets {
        let mut labels = discovered(config, group, target);
        let before = url(&labels);
        if !relabel::apply(&config.relabel_configs, &mut labels) {
            out.dropped.push(before);
            continue;
        }
        let address = labels.get(ADDRESS_LABEL);
        if address.contains('/') {
            return Err(Error::invalid(format!("{address:?} is not a valid hostname")));
        }
        out.active.push(url(&labels));
    }
    Ok(out)
}

fn discovered(config: &EndpointConfig, group: &TargetGroup, target: &Labels) -> LabelsBuilder {
    let mut labels = target.to_builder();
    labels.set(SCHEME_LABEL, config.scheme.as_str()).set(PATH_LABEL, &config.path);
    for (name, value) in &group.labels {
        if target.get(name).is_none() {
            labels.set(name, value);
        }
    }
    labels
}

fn url(labels: &LabelsBuilder) -> String {
    let path = labels.get(PATH_LABEL);
    let slash = if path.starts_with('/') { "" } else { "/" };
    format!("{}://{}{slash}{path}", labels.get(SCHEME_LABEL), labels.get(ADDRESS_LABEL))
}

/// Ends what discovery counts of a set when nobody follows it any more.
struct Counted<'a>(&'a Sources);

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.0.metrics.forget(&self.0.set);
    }
}

/// Calls `found` with the endpoints whenever they change, first as soon as every source has been looked at, or with those of the
/// others where one takes long. Sources of which `last` has a list begin with it. Ends when it is dropped.
pub async fn follow(config: EndpointConfig, sources: Sources, last: LastFound, found: impl Fn(&Endpoints)) {
    let _counted = Counted(&sources);
    let kinds = Kinds {
        named: &config.static_configs,
        of_files: &config.file_sd_configs,
        of_servers: &config.http_sd_configs,
    };
    let providers = providers(&kinds, &sources, &last.of_servers(&config));
    if providers.is_empty() {
        found(&Endpoints::default());
    }
    let known = config.sources();
    let mut groups: Vec<Option<Vec<TargetGroup>>> = known.iter().map(|source| last.of(source)).collect();
    let (updates_in, mut updates) = mpsc::channel(1);
    let forwarding = providers.into_iter().enumerate().map(|(i, mut provider)| {
        let updates = updates_in.clone();
        async move {
            loop {
                let groups = provider.next().await;
                if updates.send((i, groups)).await.is_err() {
                    return;
                }
            }
        }
    });
    let taking = async {
        let over = tokio::time::sleep(FIRST_LIST_WAIT);
        tokio::pin!(over);
        let mut waits = true;
        loop {
            tokio::select! {
                update = updates.recv() => match update {
                    Some((i, list)) => {
                        last.note(&known[i], &list);
                        groups[i] = Some(list);
                    }
                    None => return,
                },
                () = &mut over, if waits => waits = false,
            }
            waits = waits && groups.iter().any(Option::is_none);
            if !waits {
                found(&endpoints(&config, groups.iter().flatten().flatten()));
            }
        }
    };
    // Neither ends by itself: each holds one end of the channel.
    tokio::join!(join_all(forwarding), taking);
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;
    use std::time::Duration;

    use super::*;
    use crate::config::{HttpConfig, NameValidation};
    use crate::relabel::{Action, RuleFields};

    fn config(rules: Vec<Rule>) -> EndpointConfig {
        let labels = Labels::from_pairs([("cluster", "a")]);
        EndpointConfig {
            scheme: Scheme::Http,
            path: "/x/api/v2/alerts".into(),
            static_configs: vec![TargetGroup::new("0", ["h:9093", "h:9094", "h:9093"], labels)],
            file_sd_configs: vec![],
            http_sd_configs: vec![],
            relabel_configs: rules,
        }
    }

    #[test]
    fn urls_are_made_of_labels_after_relabelling() {
        let plain = config(vec![]);
        let found = endpoints(&plain, &plain.static_configs);
        assert_eq!(found.active, ["http://h:9093/x/api/v2/alerts", "http://h:9094/x/api/v2/alerts"]);
        let rule = |f: RuleFields| Rule::new(f, NameValidation::Utf8).unwrap();
        let rules = vec![
            rule(RuleFields {
                source_labels: vec![ADDRESS_LABEL.into()],
                regex: ".*:9094".into(),
                action: Action::Drop,
                ..RuleFields::default()
            }),
            rule(RuleFields {
                target_label: SCHEME_LABEL.into(),
                replacement: "https".into(),
                ..RuleFields::default()
            }),
        ];
        let relabelled = config(rules);
        let found = endpoints(&relabelled, &relabelled.static_configs);
        assert_eq!(found.active, ["https://h:9093/x/api/v2/alerts"]);
        assert_eq!(found.dropped, ["http://h:9094/x/api/v2/alerts"]);
    }

    /// Never answers.
    struct Nobody;

    #[async_trait::async_trait]
    impl crate::scrape::Transport for Nobody {
        async fn fetch(&self, _: &crate::scrape::FetchRequest) -> Result<crate::scrape::FetchedBody> {
            std::future::pending().await
        }
    }

    /// Follows discovery for a while. Returns how many endpoints there were each time, and metrics meanwhile and afterwards.
    async fn followed(config: EndpointConfig, seconds: u64) -> (Vec<usize>, usize, usize) {
        let registry = prometheus::Registry::new();
        let metrics = crate::discovery::DiscoveryMetrics::register(&registry).unwrap();
        let sources = Sources { metrics, transport: Arc::new(Nobody), set: "config-0".into() };
        let seen = Mutex::new(Vec::new());
        let of_set = || {
            let of = |f: &prometheus::proto::MetricFamily| {
                f.get_metric().iter().filter(|m| !m.get_label().is_empty()).count()
            };
            registry.gather().iter().map(of).sum()
        };
        let meanwhile = {
            let following =
                follow(config, sources, LastFound::default(), |e| seen.lock().unwrap().push(e.active.len()));
            tokio::pin!(following);
            let waited = tokio::time::timeout(Duration::from_secs(seconds), following.as_mut()).await;
            assert!(waited.is_err());
            of_set()
        };
        (seen.into_inner().unwrap(), meanwhile, of_set())
    }

    #[tokio::test(start_paused = true)]
    async fn endpoints_follow_discovery() {
        assert_eq!(followed(config(vec![]), 60).await, (vec![2], 0, 0));
    }

    #[tokio::test(start_paused = true)]
    async fn a_source_that_does_not_answer_hides_no_others() {
        let hour = Duration::from_secs(3600);
        let server =
            HttpSdConfig { url: "http://h/".into(), refresh_interval: hour, http: HttpConfig::default() };
        let config = || EndpointConfig { http_sd_configs: vec![server.clone()], ..config(vec![]) };
        assert_eq!(followed(config(), 60).await.0, [2]);
        let (_, meanwhile, afterwards) = followed(config(), 3700).await;
        assert_eq!((meanwhile, afterwards), (2, 0), "series of one that is gone");
    }

    #[tokio::test(start_paused = true)]
    async fn who_follows_a_source_anew_begins_with_its_last_list() {
        let hour = Duration::from_secs(3600);
        let server =
            |url: &str| HttpSdConfig { url: url.into(), refresh_interval: hour, http: HttpConfig::default() };
        let config = |url: &str| EndpointConfig { http_sd_configs: vec![server(url)], ..config(vec![]) };
        let (known, other) = (config("http://h/"), config("http://other/"));
        let last = LastFound::default();
        let urls = |config| last.known(config).active;
        assert_eq!(urls(&known).len(), 2, "what the configuration names is known at once");
        last.note(
            &Source::Server(Box::new(server("http://h/"))),
            &[TargetGroup::new("0", ["of-server:1"], Labels::empty())],
        );
        assert_eq!(urls(&known)[2], "http://of-server:1/x/api/v2/alerts");
        assert_eq!(urls(&other).len(), 2);
        // The server is away, and what it named last stays.
        let metrics = crate::discovery::DiscoveryMetrics::register(&prometheus::Registry::new()).unwrap();
        let sources = Sources { metrics, transport: Arc::new(Nobody), set: "config-0".into() };
        let seen = Mutex::new(Vec::new());
        let found = |e: &Endpoints| seen.lock().unwrap().push(e.active.len());
        let following = follow(known.clone(), sources, last.clone(), found);
        assert!(tokio::time::timeout(hour * 3, following).await.is_err());
        let seen = seen.into_inner().unwrap();
        assert!(!seen.is_empty() && seen.iter().all(|n| *n == 3), "{seen:?}");
        last.keep([&other]);
        assert_eq!(urls(&known).len(), 2, "nobody follows it any more");
    }
}
