//! The sections `remote_write` and `remote_read`. The latter is checked; nothing is read yet.

use std::path::Path;
use std::time::Duration;

use collect::config::{NameValidation, Secret, Source};
use collect::remote_write::{MetadataConfig, QueueConfig, RemoteWriteConfig, WriteMessage};

use super::grammar::{Key, Map, Section, Shape, no_rules};
use super::raw::Outcome;
use super::{cloud, http_client, relabel};

/// One endpoint to write to.
pub(super) static WRITE: Section = Section {
    name: "remote_write",
    keys: &[
        &[
            Key::new("url", Shape::Url),
            Key::new("remote_timeout", Shape::Duration),
            Key::new("headers", Shape::SecretMap),
            Key::new(
                "write_relabel_configs",
                Shape::Sections(
                    &relabel::SECTION,
                    Some("empty or null relabeling rule in remote write config"),
                ),
            ),
            Key::new("name", Shape::Text),
            Key::new("send_exemplars", Shape::Bool),
            Key::new("send_native_histograms", Shape::Bool),
            Key::new("round_robin_dns", Shape::Bool)
                .without_effect_unless("false", "connections go to the first address that answers"),
            Key::new("protobuf_message", Shape::Text),
            Key::new("failed_request_logging", Shape::Bool)
                .without_effect_unless("false", "requests are not logged, only why they failed"),
            Key::new("queue_config", Shape::Section(&QUEUE)),
            Key::new("metadata_config", Shape::Section(&METADATA)),
            Key::new("sigv4", Shape::Section(&cloud::SIGV4)),
            Key::new("azuread", Shape::Section(&cloud::AZUREAD)),
            Key::new("google_iam", Shape::Section(&cloud::GOOGLE_IAM)),
        ],
        http_client::KEYS,
    ],
    check: check_write,
};

/// One endpoint to read from.
pub(super) static READ: Section = Section {
    name: "remote_read",
    keys: &[
        &[
            Key::new("url", Shape::Url),
            Key::new("remote_timeout", Shape::Duration),
            Key::new("chunked_read_limit", Shape::Count),
            Key::new("headers", Shape::SecretMap),
            Key::new("read_recent", Shape::Bool),
            Key::new("name", Shape::Text),
            Key::new("required_matchers", Shape::Labels),
            Key::new("filter_external_labels", Shape::Bool),
        ],
        http_client::KEYS,
    ],
    check: |map| {
        map.require(map.has("url"), "url", "url for remote_read is empty")?;
        check_headers(map)?;
        http_client::check(map)
    },
};

static QUEUE: Section = Section {
    name: "queue_config",
    keys: &[&[
        Key::new("capacity", Shape::Integer),
        Key::new("max_shards", Shape::Integer),
        Key::new("min_shards", Shape::Integer),
        Key::new("max_samples_per_send", Shape::Integer),
        Key::new("batch_send_deadline", Shape::Duration),
        Key::new("min_backoff", Shape::Duration),
        Key::new("max_backoff", Shape::Duration),
        Key::new("retry_on_http_429", Shape::Bool),
        Key::new("sample_age_limit", Shape::Duration),
    ]],
    check: check_queue,
};

static METADATA: Section = Section {
    name: "metadata_config",
    keys: &[&[
        Key::new("send", Shape::Bool),
        Key::new("send_interval", Shape::Duration),
        Key::new("max_samples_per_send", Shape::Integer),
    ]],
    check: no_rules,
};

fn check_headers(map: &Map<'_>) -> Outcome<()> {
    for entry in map.map("headers").entries {
        let name = entry.key.text.to_lowercase();
        map.require(
            name != "authorization",
            "headers",
            "authorization header must be changed via the basic_auth, authorization, oauth2, sigv4, azuread or google_iam parameter",
        )?;
        let reserved = http_client::RESERVED_HEADERS.contains(&name.as_str());
        let text = format!("{} is a reserved header. It must not be changed", entry.key.text);
        map.require(!reserved, "headers", &text)?;
    }
    Ok(())
}

fn check_write(map: &Map<'_>) -> Outcome<()> {
    map.require(map.has("url"), "url", "url for remote_write is empty")?;
    check_headers(map)?;
    let message = map.text_or("protobuf_message", "prometheus.WriteRequest")?;
    if !["prometheus.WriteRequest", "io.prometheus.write.v2.Request"].contains(&message) {
        let text = format!(
            "invalid protobuf_message value: unknown type for remote write protobuf message {message}, supported: prometheus.WriteRequest, io.prometheus.write.v2.Request"
        );
        return map.problem("protobuf_message", text);
    }
    http_client::check(map)?;
    let used: Vec<_> = ["basic_auth", "authorization", "oauth2", "sigv4", "azuread", "google_iam"]
        .into_iter()
        .filter(|k| map.has(k))
        .collect();
    let text = format!(
        "at most one of basic_auth, authorization, oauth2, sigv4, azuread or google_iam must be configured. Currently configured: [{}]",
        used.join(" ")
    );
    map.require(used.len() <= 1, used.last().copied().unwrap_or("url"), &text)
}

fn check_queue(map: &Map<'_>) -> Outcome<()> {
    let positive = |key: &str, default| {
        let n = map.integer(key, default)?;
        map.require(n > 0, key, &format!("remote write queue {key} must be positive"))?;
        Ok(n)
    };
    let max = positive("max_shards", 50)?;
    let min = positive("min_shards", 1)?;
    map.require(
        min <= max,
        "min_shards",
        "remote write queue min_shards must not be greater than max_shards",
    )?;
    positive("max_samples_per_send", 2000)?;
    positive("capacity", 10_000)?;
    let backoff =
        |key, default_ms| map.get(key).map_or(Ok(Duration::from_millis(default_ms)), |_| map.duration(key));
    map.require(
        backoff("max_backoff", 5000)? >= backoff("min_backoff", 30)?,
        "max_backoff",
        "remote write queue max_backoff must not be less than min_backoff",
    )
}

/// Reads the endpoints to write to, after they were checked. File names are relative to `dir`.
pub(super) fn read_write(
    root: &Map<'_>,
    validation: NameValidation,
    dir: &Path,
) -> Outcome<Vec<RemoteWriteConfig>> {
    root.maps("remote_write")?.iter().map(|map| read_endpoint(map, validation, dir)).collect()
}

fn read_endpoint(map: &Map<'_>, validation: NameValidation, dir: &Path) -> Outcome<RemoteWriteConfig> {
    let mut config = RemoteWriteConfig::new(map.text("url")?);
    let default = config.http;
    config.http = http_client::read(map, dir)?;
    config.http.follow_redirects = map.flag("follow_redirects", default.follow_redirects)?;
    config.http.enable_http2 = map.flag("enable_http2", default.enable_http2)?;
    if map.has("sigv4") {
        config.http.authorization = cloud::read_sigv4(&map.map("sigv4"))?;
    } else if map.has("azuread") {
        config.http.authorization = cloud::read_azuread(&map.map("azuread"))?;
    } else if map.has("google_iam") {
        config.http.authorization = cloud::read_google_iam(&map.map("google_iam"))?;
    }
    config.http.take_credentials(&mut config.url);
    config.name = map.text("name")?.to_owned();
    config.timeout = duration_or(map, "remote_timeout", config.timeout)?;
    let headers = map.map("headers");
    for entry in headers.entries {
        // Like credentials they are for the endpoint alone, wherever it redirects to.
        let value = Source::Inline(Secret::new(headers.text(&entry.key.text)?));
        config.http.headers.push((entry.key.text.clone(), vec![value]));
    }
    config.write_relabel_configs = relabel::read(map, "write_relabel_configs", validation)?;
    config.send_exemplars = map.flag("send_exemplars", false)?;
    config.send_native_histograms = map.flag("send_native_histograms", false)?;
    if map.text("protobuf_message")? == "io.prometheus.write.v2.Request" {
        config.message = WriteMessage::V2;
    }
    config.queue = read_queue(&map.map("queue_config"))?;
    let (metadata, default) = (map.map("metadata_config"), MetadataConfig::default());
    config.metadata = MetadataConfig {
        send: metadata.flag("send", default.send)?,
        send_interval: duration_or(&metadata, "send_interval", default.send_interval)?,
        max_samples_per_send: positive(&metadata, "max_samples_per_send", default.max_samples_per_send)?,
    };
    metadata.require(
        !config.metadata.send_interval.is_zero(),
        "send_interval",
        "remote write metadata send_interval must be positive",
    )?;
    Ok(config)
}

fn read_queue(map: &Map<'_>) -> Outcome<QueueConfig> {
    let default = QueueConfig::default();
    Ok(QueueConfig {
        capacity: positive(map, "capacity", default.capacity)?,
        max_shards: positive(map, "max_shards", default.max_shards)?,
        min_shards: positive(map, "min_shards", default.min_shards)?,
        max_samples_per_send: positive(map, "max_samples_per_send", default.max_samples_per_send)?,
        batch_send_deadline: duration_or(map, "batch_send_deadline", default.batch_send_deadline)?,
        min_backoff: duration_or(map, "min_backoff", default.min_backoff)?,
        max_backoff: duration_or(map, "max_backoff", default.max_backoff)?,
        retry_on_http_429: map.flag("retry_on_http_429", default.retry_on_http_429)?,
        sample_age_limit: map.duration("sample_age_limit")?,
    })
}

fn duration_or(map: &Map<'_>, key: &str, default: Duration) -> Outcome<Duration> {
    if map.has(key) { map.duration(key) } else { Ok(default) }
}

fn positive(map: &Map<'_>, key: &str, default: usize) -> Outcome<usize> {
    if !map.has(key) {
        return Ok(default);
    }
    match usize::try_from(map.integer(key, 1)?) {
        Ok(n) if n > 0 => Ok(n),
        _ => map.problem(key, format!("remote write {key} must be positive")),
    }
}

/// Finds endpoints of one name and compiles every relabelling rule.
pub(super) fn check_rules(root: &Map<'_>, validation: NameValidation) -> Outcome<()> {
    for (key, what) in [("remote_write", "remote write"), ("remote_read", "remote read")] {
        let mut names = Vec::new();
        for endpoint in root.maps(key)? {
            let name = endpoint.text("name")?;
            let text = format!("found multiple {what} configs with job name {name:?}");
            endpoint.require(name.is_empty() || !names.contains(&name), "name", &text)?;
            names.push(name);
            relabel::read(&endpoint, "write_relabel_configs", validation)?;
        }
    }
    Ok(())
}
