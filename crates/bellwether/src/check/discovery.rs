//! `bellwether check service-discovery`: the targets of a job, before and after relabelling.

use std::sync::Arc;
use std::time::Duration;

use base::{Error, Labels, Result};
use collect::config::{HttpSdConfig, ScrapeConfig, TargetGroup};
use collect::discovery::http_groups;
use collect::http::HttpTransport;
use collect::target::{Populated, discovered_labels, populate};
use serde_json::{Map, Value, json};

use super::args::ServiceDiscovery;
use super::config::read_targets;
use crate::clock::SystemClock;
use crate::config;
use crate::report::{FAILURE, Report};

/// Shows the targets that are written in the configuration and in target files, and those that servers name.
pub(super) fn run(options: &ServiceDiscovery, env: &dyn Fn(&str) -> Option<String>) -> Result<Report> {
    let checked = config::load(&options.file, env)?;
    let mut report = Report::default();
    let Some(config) = checked.scrape_configs.iter().find(|c| c.job_name == options.job) else {
        report.err(format_args!("Job {} not found. Select one of:", options.job));
        checked.scrape_configs.iter().for_each(|c| report.err(format_args!("\t{}", c.job_name)));
        report.code = FAILURE;
        return Ok(report);
    };
    let mut groups = config.static_configs.clone();
    for pattern in config.file_sd_configs.iter().flat_map(|c| &c.files) {
        let paths = glob::glob(&pattern.display().to_string()).into_iter().flatten();
        for path in paths.filter_map(std::result::Result::ok) {
            groups.extend(read_targets(&path)?);
        }
    }
    groups.extend(of_servers(&config.http_sd_configs, options.timeout)?);
    report.out(format_args!("{:#}", Value::Array(targets(config, &groups))));
    Ok(report)
}

/// What servers name now.
fn of_servers(configs: &[HttpSdConfig], most: Duration) -> Result<Vec<TargetGroup>> {
    let mut groups = Vec::new();
    if configs.is_empty() {
        return Ok(groups);
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|e| Error::unavailable(format!("cannot start a runtime: {e}")))?;
    let transport = HttpTransport::new(Arc::new(SystemClock::new()), crate::serve::environment);
    for config in configs {
        let found =
            runtime.block_on(async { tokio::time::timeout(most, http_groups(config, &transport)).await });
        let late = || Error::unavailable(format!("cannot discover targets: it took more than {most:?}"));
        groups.extend(found.map_err(|_| late())??);
    }
    Ok(groups)
}

/// Each target once.
fn targets(config: &ScrapeConfig, groups: &[TargetGroup]) -> Vec<Value> {
    let mut out: Vec<Value> = Vec::new();
    for group in groups {
        for target in &group.targets {
            let discovered = object(&discovered_labels(config, group, target));
            let found = match populate(config, group, target) {
                Ok(Populated::Active(t)) => {
                    json!({ "discoveredLabels": discovered, "labels": object(&t.labels) })
                }
                Ok(Populated::Dropped(_)) => json!({ "discoveredLabels": discovered, "labels": {} }),
                Err(e) => json!({ "discoveredLabels": discovered, "labels": {}, "error": e.message() }),
            };
            if !out.contains(&found) {
                out.push(found);
            }
        }
    }
    out
}

fn object(labels: &Labels) -> Value {
    Value::Object(labels.iter().map(|(n, v)| (n.to_owned(), Value::from(v))).collect::<Map<_, _>>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_that_does_not_answer_ends_in_time() {
        let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("p.yml");
        let url = format!("http://{}", silent.local_addr().unwrap());
        let config = format!("scrape_configs: [{{job_name: a, http_sd_configs: [{{url: '{url}'}}]}}]\n");
        std::fs::write(&file, config).unwrap();
        let options = ServiceDiscovery { file, job: "a".into(), timeout: Duration::from_millis(100) };
        let said = run(&options, &|_| None).unwrap_err().to_string();
        assert!(said.contains("it took more than 100ms"), "{said}");
    }

    #[test]
    fn labels_are_shown_before_and_after_relabelling() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("p.yml");
        let config = "scrape_configs: [{job_name: a, static_configs: [{targets: ['x:1', 'x:1', 'y:2']}], \
                      relabel_configs: [{source_labels: [__address__], regex: 'y.*', action: drop}]}]\n";
        std::fs::write(&file, config).unwrap();
        let timeout = Duration::from_secs(30);
        let of = |job: &str| ServiceDiscovery { file: file.clone(), job: job.into(), timeout };
        let show = |job: &str| run(&of(job), &|_| None).unwrap();
        let found: Value = serde_json::from_str(&show("a").out_text()).unwrap();
        assert_eq!(found.as_array().map(Vec::len), Some(2), "{found}");
        assert_eq!(found[0]["labels"], json!({ "instance": "x:1", "job": "a" }));
        assert_eq!(
            (&found[1]["labels"], &found[1]["discoveredLabels"]["__address__"]),
            (&json!({}), &json!("y:2"))
        );
        let missing = show("b");
        assert_eq!(
            (missing.code, missing.err_text().as_str()),
            (FAILURE, "Job b not found. Select one of:\n\ta\n")
        );
    }
}
