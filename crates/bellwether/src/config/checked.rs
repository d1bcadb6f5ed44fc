//! The configuration as the program uses it: every default applied, nothing optional.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use base::{Error, Labels, Result};
use collect::config::{Scheme, ScrapeConfig, TargetGroup};
use collect::remote_write::RemoteWriteConfig;

use super::alerting::{self, Alerting};
use super::bounds::{self, Limits};
use super::exporters::{self, Exporters};
use super::global::{self, Global};
use super::grammar::{self, Map, Notice};
use super::raw::{self, Node, Outcome, Problem};
use super::storage::{self, Storage};
use super::{limits, otlp, remote, render, root, scrape};

/// Address by which the scrape loop finds the host's collector within the process, and its job.
pub const NODE_SOURCE: &str = "node";

/// Address by which the scrape loop finds the program's own metrics within the process, and their job.
pub const SELF_SOURCE: &str = "bellwether";

/// How often the host is looked at when there is no configuration file.
const DEFAULT_HOST_INTERVAL: Duration = Duration::from_secs(15);

/// A checked configuration.
#[derive(Debug, Clone)]
pub struct Checked {
    /// Defaults for scraping and rules.
    pub global: Global,
    /// What to scrape, built-in collectors left out.
    pub scrape_configs: Vec<ScrapeConfig>,
    /// Those as YAML by name, without secrets.
    pub scrape_config_texts: BTreeMap<String, String>,
    /// Where samples are sent on to.
    pub remote_write: Vec<RemoteWriteConfig>,
    /// Labels that tell this server's series from another's, sent along with whatever leaves it.
    pub external_labels: Labels,
    /// Which built-in collectors run.
    pub exporters: Exporters,
    /// Patterns of rule files.
    pub rule_files: Vec<PathBuf>,
    /// Where alerts are sent.
    pub alerting: Alerting,
    /// Where and how samples are kept.
    pub storage: Storage,
    /// What may be taken.
    pub limits: Limits,
    /// How metrics of OpenTelemetry become metrics of Prometheus.
    pub otlp: ingest::otlp::Settings,
    /// Features that are off unless asked for, by Prometheus' names.
    pub features: Vec<String>,
    /// What the file asks for that is not done.
    pub unsupported: Vec<Notice>,
    /// The file as YAML, with `<secret>` in place of each secret and without comments.
    pub original_text_without_secrets: String,
}

impl Checked {
    /// What runs when there is no configuration file: this host and this program, every 15 seconds.
    pub fn default_host() -> Self {
        Self {
            global: Global {
                scrape_interval: DEFAULT_HOST_INTERVAL,
                ..Global::default()
            },
            scrape_configs: Vec::new(),
            scrape_config_texts: BTreeMap::new(),
            remote_write: Vec::new(),
            external_labels: Labels::empty(),
            exporters: Exporters { node: true, bellwether: true },
            rule_files: Vec::new(),
            alerting: Alerting::default(),
            storage: Storage::default(),
            limits: Limits::default(),
            otlp: ingest::otlp::Settings::default(),
            features: Vec::new(),
            unsupported: Vec::new(),
            original_text_without_secrets:
                "global:\n  scrape_interval: 15s\nexporters:\n  node:\n    enabled: true\n  bellwether:\n    enabled: true\n"
                    .into(),
        }
    }

    /// Every pool to scrape: the configured ones, then the built-in collectors that run. `instance` names this host in
    /// the latter's labels.
    pub fn pools(&self, instance: &str) -> Vec<ScrapeConfig> {
        let mut pools = self.scrape_configs.clone();
        let built_in = [(self.exporters.node, NODE_SOURCE), (self.exporters.bellwether, SELF_SOURCE)];
        for (_, source) in built_in.into_iter().filter(|(runs, _)| *runs) {
            // A pool's name is unique, but a fleet's own job may well be called `node` too.
            let taken = self.scrape_configs.iter().any(|c| c.job_name == source);
            let name = if taken { format!("exporters/{source}") } else { source.to_owned() };
            let labels = Labels::from_pairs([("job", source), ("instance", instance)]);
            let mut pool = ScrapeConfig::new(name);
            pool.scheme = Scheme::InProcess;
            pool.scrape_interval = self.global.scrape_interval;
            pool.scrape_timeout = self.global.scrape_timeout;
            pool.name_validation = self.global.name_validation;
            pool.static_configs = vec![TargetGroup::new("0", [source], labels)];
            pools.push(pool);
        }
        pools
    }
}

/// Reads and checks a configuration file. `env` gives environment variables for external labels.
pub fn load(path: &Path, env: &dyn Fn(&str) -> Option<String>) -> Result<Checked> {
    let what = || format!("cannot load {}", path.display());
    let text = read_file(path).map_err(|e| e.context(what()))?;
    let dir = path.parent().unwrap_or(Path::new(""));
    load_str(&text, dir, env).map_err(|e| e.context(what()))
}

/// Checks a configuration's text. Relative file names in it are relative to `dir`.
pub fn load_str(text: &str, dir: &Path, env: &dyn Fn(&str) -> Option<String>) -> Result<Checked> {
    let document = raw::parse(text).map_err(Problem::into_error)?;
    let mut checked = read(&document, dir, env).map_err(Problem::into_error)?;
    let map = Map::of(&document);
    let patterns = map.texts("scrape_config_files").map_err(Problem::into_error)?;
    if !patterns.is_empty() {
        read_scrape_files(&mut checked, &map, &patterns, dir)?;
    }
    Ok(checked)
}

pub(super) fn read_file(path: &Path) -> Result<String> {
    use std::io::Read as _;
    let failed = |e: std::io::Error| match e.kind() {
        std::io::ErrorKind::NotFound => Error::new(base::ErrorKind::NotFound, "no such file"),
        _ => Error::invalid(e.to_string()),
    };
    let mut bytes = Vec::new();
    let file = std::fs::File::open(path).map_err(failed)?;
    file.take(limits::MAX_FILE_BYTES + 1).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() as u64 > limits::MAX_FILE_BYTES {
        return Err(Error::limit(format!("the file is larger than {} MiB", limits::MAX_FILE_BYTES >> 20)));
    }
    String::from_utf8(bytes).map_err(|e| {
        let line = 1 + e.as_bytes()[..e.utf8_error().valid_up_to()].iter().filter(|b| **b == b'\n').count();
        Error::invalid(format!("line {line}: the file is not UTF-8"))
    })
}

fn read(document: &Node, dir: &Path, env: &dyn Fn(&str) -> Option<String>) -> Outcome<Checked> {
    let mut notices = Vec::new();
    grammar::check(&root::SECTION, document, &mut notices)?;
    let map = Map::of(document);
    let global_map = map.map("global");
    let global = global::read(&global_map, dir)?;
    let external_labels = global::read_external_labels(&global_map, env, &mut notices)?;
    let scrape_configs = read_scrape_configs(&map, &global_map, &global, dir)?;
    let alerting = alerting::read(&map.map("alerting"), global.name_validation, dir)?;
    let rule_files = map.texts("rule_files")?.into_iter().map(|p| dir.join(p)).collect();
    remote::check_rules(&map, global.name_validation)?;
    let remote_write = remote::read_write(&map, global.name_validation, dir)?;
    let otlp = otlp::read(&map.map("otlp"), global.name_validation)?;
    notices.sort_by_key(|n| n.line);
    Ok(Checked {
        external_labels,
        scrape_config_texts: scrape_config_texts(&map, &scrape_configs)?,
        remote_write,
        scrape_configs,
        global,
        rule_files,
        alerting,
        exporters: exporters::read(&map.map("exporters"))?,
        storage: storage::read(&map.map("storage"), dir)?,
        limits: bounds::read(&map.map("limits"))?,
        otlp,
        features: map.texts("enable_features")?.into_iter().map(str::to_owned).collect(),
        unsupported: notices,
        original_text_without_secrets: render::without_secrets(&root::SECTION, document),
    })
}

/// Each scrape configuration of a document as YAML.
fn scrape_config_texts(map: &Map<'_>, configs: &[ScrapeConfig]) -> Outcome<BTreeMap<String, String>> {
    let text = |node: &Node| render::without_secrets(&scrape::SECTION, node);
    let nodes = map.nodes("scrape_configs")?;
    Ok(configs.iter().zip(nodes).map(|(config, node)| (config.job_name.clone(), text(node))).collect())
}

fn read_scrape_configs(
    map: &Map<'_>,
    global_map: &Map<'_>,
    global: &Global,
    dir: &Path,
) -> Outcome<Vec<ScrapeConfig>> {
    let mut configs: Vec<ScrapeConfig> = Vec::new();
    for entry in map.maps("scrape_configs")? {
        let config = scrape::read(&entry, global_map, global, dir)?;
        if configs.iter().any(|c| c.job_name == config.job_name) {
            let text = format!("found multiple scrape configs with job name {:?}", config.job_name);
            return entry.problem("job_name", text);
        }
        configs.push(config);
    }
    Ok(configs)
}

/// Adds what the files of `scrape_config_files` hold. Their notices stand at the line that names the files.
fn read_scrape_files(checked: &mut Checked, map: &Map<'_>, patterns: &[&str], dir: &Path) -> Result<()> {
    const KEY: &str = "scrape_config_files";
    let global_map = map.map("global");
    let mut found_in = vec![String::from("main config file"); checked.scrape_configs.len()];
    let patterns: Vec<PathBuf> = patterns.iter().map(|p| dir.join(p)).collect();
    for path in matching_files(&patterns, "scrape config files", limits::MAX_SCRAPE_CONFIG_FILES)? {
        let shown = path.display().to_string();
        let failed = |e: Error| e.context(format!("{shown:?}"));
        let text = read_file(&path).map_err(failed)?;
        let from_problem = |p: Problem| failed(p.into_error());
        let document = raw::parse(&text).map_err(from_problem)?;
        let mut notices = Vec::new();
        grammar::check(&root::SCRAPE_FILE, &document, &mut notices).map_err(from_problem)?;
        let dir = path.parent().unwrap_or(dir);
        let configs = read_scrape_configs(&Map::of(&document), &global_map, &checked.global, dir)
            .map_err(from_problem)?;
        let texts = scrape_config_texts(&Map::of(&document), &configs).map_err(from_problem)?;
        checked.scrape_config_texts.extend(texts);
        for config in configs {
            if let Some(i) = checked.scrape_configs.iter().position(|c| c.job_name == config.job_name) {
                return Err(failed(Error::invalid(format!(
                    "found multiple scrape configs with job name {:?}, first found in {}",
                    config.job_name, found_in[i]
                ))));
            }
            checked.scrape_configs.push(config);
            found_in.push(format!("{shown:?}"));
        }
        let line = map.line_of(KEY);
        checked.unsupported.extend(notices.into_iter().map(|n| Notice {
            line,
            key: KEY.into(),
            text: format!("{shown}: line {}: {}: {}", n.line, n.key, n.text),
        }));
    }
    Ok(())
}

/// The files that patterns match, in the order of the patterns. `what` they hold is for messages.
pub(super) fn matching_files(patterns: &[PathBuf], what: &str, max: usize) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for pattern in patterns {
        let full = pattern.to_string_lossy();
        let bad = |cause: String| Error::invalid(format!("error retrieving {what} for {full:?}: {cause}"));
        for path in glob::glob(&full).map_err(|e| bad(e.to_string()))? {
            files.push(path.map_err(|e| bad(e.to_string()))?);
            if files.len() > max {
                return Err(Error::limit(format!("the patterns of {what} match more than {max} files")));
            }
        }
    }
    Ok(files)
}
