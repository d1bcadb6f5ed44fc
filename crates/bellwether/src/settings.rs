//! What the command line and the configuration file say together.
//!
//! Decides which of the two counts, and what of a new file takes effect at once. Changes nothing itself.

use std::path::PathBuf;
use std::time::Duration;

use ingest::LabelLimits;
use lake::{MemoryBudget, Pool};
use tsdb::rollup::RollupOptions;
use tsdb::{Retention, SeriesLimits, Tunable};

use crate::cli::Serve;
use crate::config::Checked;

/// Where data lies if nobody says.
const DEFAULT_PATH: &str = "./data";

/// Longest time that samples are kept, which stands for "for ever": a hundred years, as in Prometheus.
const FOR_EVER: Duration = Duration::from_secs(100 * 365 * 86_400);

/// The settings of the stores.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    /// A folder or the address of a bucket. The command line comes before the file.
    pub(crate) path: String,
    /// The folder of the write-ahead logs, if the data lies in a bucket. Likewise.
    pub(crate) wal_path: Option<PathBuf>,
    /// Memory for the head, caches and queries. The command line comes before the file.
    pub(crate) memory_bytes: u64,
    /// What is kept. `storage.tsdb.retention` of the file comes before the command line, as in Prometheus.
    pub(crate) retention: Retention,
    /// Which rollups are made, and how long they are kept.
    pub(crate) rollups: Vec<RollupOptions>,
    /// How late a sample may come, and how many series there may be.
    pub(crate) tunable: Tunable,
    /// Exemplars that are kept in memory; with none, none are taken.
    pub(crate) max_exemplars: usize,
    /// Limits on labels that are pushed.
    pub(crate) labels: LabelLimits,
}

impl Settings {
    /// Puts both together. `default_memory_bytes` is what this machine allows.
    pub(crate) fn new(options: &Serve, checked: &Checked, default_memory_bytes: u64) -> Self {
        let (storage, limits) = (&checked.storage, &checked.limits);
        let path = options.storage_path.clone().or_else(|| storage.path.clone());
        Self {
            path: path.unwrap_or_else(|| DEFAULT_PATH.into()),
            wal_path: options.storage_wal_path.clone().or_else(|| storage.wal_path.clone()),
            memory_bytes: options.limits_memory.or(limits.memory_bytes).unwrap_or(default_memory_bytes),
            retention: retention(options, checked),
            rollups: storage.rollups.clone(),
            tunable: Tunable {
                out_of_order: storage.out_of_order_window,
                series: SeriesLimits {
                    per_tenant: limits.series_per_tenant.map(|n| n as usize),
                    per_metric: limits.series_per_metric.map(|n| n as usize),
                    per_target: limits.series_per_target.map(|n| n as usize),
                    head_bytes: None,
                },
            },
            max_exemplars: storage.max_exemplars,
            labels: limits.labels,
        }
    }

    /// The tunable settings of a store whose head has a share of the memory.
    pub(crate) fn tunable_within(&self, memory: &MemoryBudget) -> Tunable {
        let head_bytes = Some(memory.pool_limit_bytes(Pool::Head));
        let Tunable { out_of_order, series } = self.tunable;
        Tunable { out_of_order, series: SeriesLimits { head_bytes, ..series } }
    }

    /// The keys whose change takes effect only when the program starts.
    pub(crate) fn needs_restart(&self, before: &Self) -> Vec<&'static str> {
        let changed = [
            ("storage.path", self.path != before.path),
            ("storage.wal_path", self.wal_path != before.wal_path),
            ("limits.memory", self.memory_bytes != before.memory_bytes),
            ("storage.rollups", self.rollups != before.rollups),
        ];
        changed.into_iter().filter(|(_, changed)| *changed).map(|(key, _)| key).collect()
    }

    /// The retention as Prometheus shows it: `15d`, `15d or 50GiB`.
    pub(crate) fn retention_text(&self) -> String {
        let r = &self.retention;
        let age = (r.age < FOR_EVER).then(|| base::format_duration(r.age));
        let size = r.size_bytes.map(size_text);
        let percentage = r.disk_percentage.map(|p| format!("{p}%"));
        [age, size, percentage].into_iter().flatten().collect::<Vec<_>>().join(" or ")
    }
}

fn retention(options: &Serve, checked: &Checked) -> Retention {
    let (age, size_bytes, disk_percentage) = match checked.storage.retention {
        Some(r) => (Some(r.age), Some(r.size_bytes), Some(r.disk_percentage)),
        None => match (options.storage_retention, options.storage_retention_size) {
            (None, None) => (Some(Retention::default().age), None, None),
            (age, size) => (age, size, None),
        },
    };
    let disk_percentage = disk_percentage.filter(|p| *p > 0.0);
    Retention {
        age: age.filter(|a| !a.is_zero()).map_or(FOR_EVER, |a| a.min(FOR_EVER)),
        // A share of the disk comes before a number of bytes, as in Prometheus.
        size_bytes: size_bytes.filter(|b| *b > 0 && disk_percentage.is_none()),
        disk_percentage,
        by_matcher: checked.storage.retention_by_matcher.clone(),
    }
}

/// The largest unit that a size is a whole number of.
fn size_text(bytes: u64) -> String {
    let units = ["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    let power = (bytes.trailing_zeros() / 10).min(6) as usize;
    format!("{}{}", bytes >> (10 * power), units[power])
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use clap::Parser;

    use super::*;
    use crate::cli::{Cli, Command};
    use crate::config::load_str;

    fn settings(arguments: &[&str], file: &str) -> Settings {
        let all = ["bellwether", "serve"].iter().chain(arguments);
        let Command::Serve(options) = Cli::try_parse_from(all).unwrap().command else { unreachable!() };
        Settings::new(&options, &load_str(file, Path::new("/etc/bw"), &|_| None).unwrap(), 1 << 30)
    }

    #[test]
    fn the_file_comes_first_for_retention_and_the_command_line_for_the_rest() {
        let s = settings(&[], "");
        assert_eq!(
            (s.path.as_str(), s.memory_bytes, s.retention_text().as_str()),
            ("./data", 1 << 30, "15d")
        );
        let file =
            "storage: {path: lake, wal_path: /wal, tsdb: {retention: {size: 1GB}}}\nlimits: {memory: 512MB}";
        let s = settings(&["--storage.retention=3d"], file);
        assert_eq!((s.path.as_str(), s.wal_path.clone()), ("/etc/bw/lake", Some("/wal".into())));
        assert_eq!((s.memory_bytes, s.retention_text().as_str()), (512 << 20, "1GiB"));
        let s =
            settings(&["--storage.path=d", "--limits.memory=2GB", "--storage.retention.size=1536MB"], file);
        assert_eq!((s.path.as_str(), s.memory_bytes, s.retention_text().as_str()), ("d", 2 << 30, "1GiB"));
        assert_eq!(settings(&["--storage.retention.size=1536MB"], "").retention_text(), "1536MiB");
        let s = settings(&[], "storage: {tsdb: {retention: {time: 4w, size: 1GB, percentage: 80}}}");
        assert_eq!(s.retention_text(), "4w or 80%");
    }

    #[test]
    fn series_have_ages_of_their_own_by_matcher() {
        let s = settings(&[], "storage: {retention: [{match: '{env=\"dev\"}', age: 3d}]}");
        let of = |env| base::Labels::from_pairs([("__name__", "m"), ("env", env)]);
        let day = 86_400_000;
        assert_eq!(s.retention.cutoff_ms(&of("dev"), 100 * day), 97 * day);
        assert_eq!(s.retention.cutoff_ms(&of("prod"), 100 * day), 85 * day);
    }

    #[test]
    fn what_needs_a_restart_is_named() {
        let before = settings(&[], "limits: {memory: 1GB}");
        let after = settings(&[], "limits: {memory: 2GB, series_per_metric: 5}\nstorage: {path: /d}");
        assert_eq!(after.needs_restart(&before), ["storage.path", "limits.memory"]);
        let tunable = after.tunable_within(&MemoryBudget::new(1000));
        let series = tunable.series;
        assert_eq!((series.per_tenant, series.per_metric, series.head_bytes), (None, Some(5), Some(500)));
    }
}
