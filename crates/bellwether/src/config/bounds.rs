//! The section `limits`: what the process, its tenants and its targets may take. Prometheus has no such section.

use ingest::LabelLimits;

use super::grammar::{Key, Map, Section, Shape};
use super::raw::Outcome;

/// The section. Label limits have the names that scrape configurations give them, and concern what is pushed.
pub(super) static SECTION: Section = Section {
    name: "limits",
    keys: &[&[
        Key::new("memory", Shape::Size),
        Key::new("series_per_tenant", Shape::Count),
        Key::new("series_per_metric", Shape::Count),
        Key::new("series_per_target", Shape::Count),
        Key::new("label_limit", Shape::Count),
        Key::new("label_name_length_limit", Shape::Count),
        Key::new("label_value_length_limit", Shape::Count),
    ]],
    check: |map| {
        let memory = map.size("memory")?;
        let least = lake::limits::MEMORY_BYTES_LEAST as i64;
        let text = format!("limits.memory must be at least {}MB", least >> 20);
        map.require(memory == 0 || memory >= least, "memory", &text)?;
        for key in ["series_per_tenant", "series_per_metric", "series_per_target"] {
            let text = format!("limits.{key} must be below {}", u32::MAX);
            map.require(map.count(key)? < u64::from(u32::MAX), key, &text)?;
        }
        Ok(())
    },
};

/// What may be taken. `None` means that nothing is said: as the command line has it, or no limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Limits {
    /// Bytes for the head, caches and queries.
    pub memory_bytes: Option<u64>,
    /// Series in memory of one tenant.
    pub series_per_tenant: Option<u32>,
    /// Series in memory of one metric.
    pub series_per_metric: Option<u32>,
    /// Series in memory of one target, that is of one pair of `job` and `instance`.
    pub series_per_target: Option<u32>,
    /// Labels of series that are pushed.
    pub labels: LabelLimits,
}

/// Reads the section; zero means no limit.
pub(super) fn read(map: &Map<'_>) -> Outcome<Limits> {
    let series = |key| Ok(u32::try_from(map.count(key)?).ok().filter(|n| *n > 0));
    let default = LabelLimits::default();
    let labels = |key, default| {
        let n = map.count(key)?;
        Ok(if n == 0 { default } else { usize::try_from(n).unwrap_or(usize::MAX) })
    };
    Ok(Limits {
        memory_bytes: u64::try_from(map.size("memory")?).ok().filter(|n| *n > 0),
        series_per_tenant: series("series_per_tenant")?,
        series_per_metric: series("series_per_metric")?,
        series_per_target: series("series_per_target")?,
        labels: LabelLimits {
            labels: labels("label_limit", default.labels)?,
            name_bytes: labels("label_name_length_limit", default.name_bytes)?,
            value_bytes: labels("label_value_length_limit", default.value_bytes)?,
        },
    })
}
