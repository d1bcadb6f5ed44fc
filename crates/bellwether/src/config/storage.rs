//! The sections `storage` and, checked without effect yet, `tracing` and `runtime`.

use std::path::{Path, PathBuf};
use std::time::Duration;

use base::Matcher;
use tsdb::rollup::RollupOptions;

use super::grammar::{Key, Map, Section, Shape, no_rules};
use super::http_client;
use super::raw::Outcome;

/// The section `storage`: Prometheus' keys, and our own for what it has none for.
pub(super) static STORAGE: Section = Section {
    name: "storage",
    keys: &[&[
        Key::new("tsdb", Shape::Section(&TSDB)),
        Key::new("exemplars", Shape::Section(&EXEMPLARS)),
        Key::new("path", Shape::Text),
        Key::new("wal_path", Shape::Text),
        Key::new("retention", Shape::Sections(&RETENTION_BY_MATCHER, None)),
        Key::new("rollups", Shape::Section(&ROLLUPS)),
    ]],
    check: no_rules,
};

static TSDB: Section = Section {
    name: "storage.tsdb",
    keys: &[&[
        Key::new("out_of_order_time_window", Shape::Duration),
        Key::new("stale_series_compaction_threshold", Shape::Float)
            .without_effect("series leave the head with their last window, stale or not"),
        Key::new("chunk_encoding", Shape::Section(&CHUNK_ENCODING))
            .without_effect("chunks have an encoding of their own"),
        Key::new("retention", Shape::Section(&RETENTION)),
    ]],
    check: no_rules,
};

static RETENTION_BY_MATCHER: Section = Section {
    name: "storage.retention",
    keys: &[&[Key::new("match", Shape::Text), Key::new("age", Shape::Duration)]],
    check: |map| {
        map.require(
            map.filled("match"),
            "match",
            "storage.retention needs match, a selector such as {env=\"dev\"}",
        )?;
        map.require(
            !map.duration("age")?.is_zero(),
            "age",
            "storage.retention needs age, a duration such as 3d",
        )
    },
};

static ROLLUPS: Section = Section {
    name: "storage.rollups",
    keys: &[&[Key::new("5m", Shape::Duration), Key::new("1h", Shape::Duration)]],
    check: |map| {
        let none = map.has("5m") && map.duration("5m")?.is_zero();
        let hours = !map.has("1h") || !map.duration("1h")?.is_zero();
        map.require(
            !(none && hours),
            "5m",
            "storage.rollups needs buckets of 5m to make those of 1h, so that both are 0 or 5m is not",
        )
    },
};

/// How samples are stored. What is not given here is as the command line says.
#[derive(Debug, Clone)]
pub struct Storage {
    /// Where the data lies: a folder or the address of a bucket.
    pub path: Option<String>,
    /// The folder of the write-ahead logs.
    pub wal_path: Option<PathBuf>,
    /// How much later than the newest sample of its series a sample may come.
    pub out_of_order_window: Duration,
    /// `exemplars.max_exemplars`: how many are kept in memory; with none, none are taken.
    pub max_exemplars: usize,
    /// `tsdb.retention`.
    pub retention: Option<TsdbRetention>,
    /// Ages of their own for the series that satisfy all matchers of an entry.
    pub retention_by_matcher: Vec<(Vec<Matcher>, Duration)>,
    /// Which rollups are made, and how long they are kept.
    pub rollups: Vec<RollupOptions>,
}

/// How many exemplars are kept in memory unless the file says otherwise, as in Prometheus.
const DEFAULT_MAX_EXEMPLARS: usize = 100_000;

impl Default for Storage {
    fn default() -> Self {
        Self {
            path: None,
            wal_path: None,
            out_of_order_window: Duration::ZERO,
            max_exemplars: DEFAULT_MAX_EXEMPLARS,
            retention: None,
            retention_by_matcher: Vec::new(),
            rollups: Vec::new(),
        }
    }
}

/// `storage.tsdb.retention`; zero means no bound.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TsdbRetention {
    /// How long samples are kept.
    pub age: Duration,
    /// Bytes that they may take.
    pub size_bytes: u64,
    /// The same in percent of the disk; where it is given the bytes do not count.
    pub disk_percentage: f64,
}

/// Reads the section. A relative path is relative to `dir`.
pub(super) fn read(map: &Map<'_>, dir: &Path) -> Outcome<Storage> {
    let tsdb = map.map("tsdb");
    let retention = tsdb.map("retention");
    let given = tsdb.has("retention");
    let given = given.then_some(TsdbRetention {
        age: retention.duration("time")?,
        size_bytes: u64::try_from(retention.size("size")?).unwrap_or(0),
        disk_percentage: retention.float("percentage")?,
    });
    let mut by_matcher = Vec::new();
    for entry in map.maps("retention")? {
        let selector = entry.text("match")?;
        match engine::parse_selector(selector) {
            Ok(matchers) => by_matcher.push((matchers, entry.duration("age")?)),
            Err(e) => return entry.problem("match", format!("match: {e}")),
        }
    }
    let path = map.filled("path").then(|| map.text("path")).transpose()?;
    let wal_path = map.filled("wal_path").then(|| map.text("wal_path")).transpose()?;
    Ok(Storage {
        path: path.map(|p| if p.contains("://") { p.to_owned() } else { dir.join(p).display().to_string() }),
        wal_path: wal_path.map(|p| dir.join(p)),
        out_of_order_window: tsdb.duration("out_of_order_time_window")?,
        max_exemplars: max_exemplars(&map.map("exemplars"))?,
        retention: given,
        retention_by_matcher: by_matcher,
        rollups: rollups(&map.map("rollups"))?,
    })
}

/// A negative number is as none, as in Prometheus.
fn max_exemplars(map: &Map<'_>) -> Outcome<usize> {
    let n = map.integer("max_exemplars", DEFAULT_MAX_EXEMPLARS as i64)?;
    Ok(usize::try_from(n).unwrap_or(0))
}

/// What is not given is as by default, and what is kept for no time is not made.
fn rollups(map: &Map<'_>) -> Outcome<Vec<RollupOptions>> {
    let mut rollups = Vec::new();
    for mut rollup in RollupOptions::defaults() {
        let key = rollup.resolution.as_str();
        if map.has(key) {
            rollup.age = map.duration(key)?;
        }
        if !rollup.age.is_zero() {
            rollups.push(rollup);
        }
    }
    Ok(rollups)
}

static EXEMPLARS: Section = Section {
    name: "storage.exemplars",
    keys: &[&[Key::new("max_exemplars", Shape::Integer)]],
    check: no_rules,
};

static CHUNK_ENCODING: Section = Section {
    name: "storage.tsdb.chunk_encoding",
    keys: &[&[Key::new("floats", Shape::Text)]],
    check: |map| {
        match map.text("floats")? {
        "" | "xor" | "xor2" => Ok(()),
        other => map.problem(
            "floats",
            format!("'storage.tsdb.chunk_encoding.floats' must be 'xor' or 'xor2', or the field must be omitted entirely, got {other:?}"),
        ),
    }
    },
};

static RETENTION: Section = Section {
    name: "storage.tsdb.retention",
    keys: &[&[
        Key::new("time", Shape::Duration),
        Key::new("size", Shape::Size),
        Key::new("percentage", Shape::Float),
    ]],
    check: |map| {
        map.require(
            map.size("size")? >= 0,
            "size",
            "'storage.tsdb.retention.size' must be greater than or equal to 0",
        )?;
        map.require(
            (0.0..=100.0).contains(&map.float("percentage")?),
            "percentage",
            "'storage.tsdb.retention.percentage' must be in the range [0, 100]",
        )
    },
};

/// The section `runtime`.
pub(super) static RUNTIME: Section =
    Section { name: "runtime", keys: &[&[Key::new("gogc", Shape::Integer)]], check: no_rules };

/// The section `tracing`.
pub(super) static TRACING: Section = Section {
    name: "tracing",
    keys: &[&[
        Key::new("client_type", Shape::Text),
        Key::new("endpoint", Shape::Text),
        Key::new("sampling_fraction", Shape::Float),
        Key::new("insecure", Shape::Bool),
        Key::new("tls_config", Shape::Section(&http_client::TLS)),
        Key::new("headers", Shape::SecretMap),
        Key::new("compression", Shape::Text),
        Key::new("timeout", Shape::Duration),
    ]],
    check: check_tracing,
};

fn check_tracing(map: &Map<'_>) -> Outcome<()> {
    let client = map.text_or("client_type", "grpc")?;
    if client != "http" && client != "grpc" {
        let text = format!("expected tracing client type to be to be http or grpc, but got {client}");
        return map.problem("client_type", text);
    }
    for entry in map.map("headers").entries {
        let name = entry.key.text.to_lowercase();
        map.require(
            name != "authorization",
            "headers",
            "custom authorization header configuration is not yet supported",
        )?;
        let reserved = http_client::RESERVED_HEADERS.contains(&name.as_str());
        let text = format!("{} is a reserved header. It must not be changed", entry.key.text);
        map.require(!reserved, "headers", &text)?;
    }
    map.require(map.filled("endpoint"), "endpoint", "tracing endpoint must be set")?;
    match map.text("compression")? {
        "" | "gzip" => Ok(()),
        other => map.problem(
            "compression",
            format!("invalid compression type {other} provided, valid options: gzip"),
        ),
    }
}
