//! `bellwether check`: looks at files, metrics or servers and says what they come to.
//!
//! Owns the wording, which is promtool's where that has one, and the JSON shapes.

pub mod args;
mod config;
mod discovery;
mod lint;
mod metrics;
mod rules;
mod web;

use std::io::Read as _;

use base::{Error, Result};

use crate::features::Features;
use crate::query::client::Client;
use crate::report::{FAILURE, Report};
use args::{Check, Server, What};

/// Bytes of metrics or rules on standard input.
const MAX_INPUT_BYTES: u64 = 1 << 30;

/// Checks what is to be checked. `features` are those of the command line, `env` gives environment variables for external labels.
pub fn run(options: &Check, features: &Features, env: &dyn Fn(&str) -> Option<String>) -> Result<Report> {
    Ok(match &options.what {
        What::Config(o) => config::run(o, features, env),
        What::Rules(o) => rules::run(o, features, &|| {
            let mut text = String::new();
            std::io::stdin().take(MAX_INPUT_BYTES).read_to_string(&mut text).map(|_| text)
        }),
        What::Metrics(o) => {
            let mut body = Vec::new();
            std::io::stdin()
                .take(MAX_INPUT_BYTES)
                .read_to_end(&mut body)
                .map_err(|e| Error::unavailable(format!("cannot read standard input: {e}")))?;
            metrics::run(o, &body)
        }
        What::WebConfig(o) => web::run(&o.files),
        What::ServiceDiscovery(o) => discovery::run(o, env)?,
        What::Healthy(o) => ask(o, "/-/healthy")?,
        What::Ready(o) => ask(o, "/-/ready")?,
    })
}

/// Asks a server about itself.
fn ask(options: &Server, path: &str) -> Result<Report> {
    let client = Client::new(&options.url, options.http_config_file.as_deref(), &[])?;
    let answer = client.get(path)?;
    let mut report = Report::default();
    if answer.status == 200 {
        report.err(format_args!("  SUCCESS:  {}", String::from_utf8_lossy(&answer.body).trim_end()));
    } else {
        report.err(format_args!("check failed: URL={}, status={}", options.url, answer.status));
        report.code = FAILURE;
    }
    Ok(report)
}
