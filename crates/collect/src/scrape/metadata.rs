//! What a target says of its metrics: type, help and unit.

use std::collections::HashMap;
use std::sync::Arc;

use base::{Metadata, MetricType};
use parking_lot::Mutex;

use crate::exposition::Escaped;
use crate::limits::{METADATA_FAMILIES_MAX, METADATA_HELP_BYTES_MAX, METADATA_IDLE_SCRAPES};

/// Metadata of one target, by metric family. Written by its loop, read by the API.
#[derive(Debug, Default)]
pub(super) struct MetadataCache {
    families: Mutex<HashMap<Arc<str>, Family>>,
}

#[derive(Debug)]
struct Family {
    metadata: Metadata,
    round: u64,
}

impl MetadataCache {
    /// Notes a type.
    pub(super) fn set_type(&self, metric: Escaped<'_>, metric_type: MetricType, round: u64) {
        self.update(metric, round, |m| m.metric_type = metric_type);
    }

    /// Notes a help text.
    pub(super) fn set_help(&self, metric: Escaped<'_>, text: Escaped<'_>, round: u64) {
        self.update(metric, round, |m| set_text(&mut m.help, text));
    }

    /// Notes a unit.
    pub(super) fn set_unit(&self, metric: Escaped<'_>, unit: Escaped<'_>, round: u64) {
        self.update(metric, round, |m| set_text(&mut m.unit, unit));
    }

    fn update(&self, metric: Escaped<'_>, round: u64, change: impl FnOnce(&mut Metadata)) {
        let mut families = self.families.lock();
        let unescaped;
        let name = match std::str::from_utf8(metric.raw()) {
            Ok(raw) if !raw.contains('\\') => raw,
            _ => {
                unescaped = metric.to_text();
                &unescaped
            }
        };
        if let Some(family) = families.get_mut(name) {
            family.round = round;
            change(&mut family.metadata);
        } else if families.len() < METADATA_FAMILIES_MAX {
            let mut metadata = Metadata::default();
            change(&mut metadata);
            families.insert(name.into(), Family { metadata, round });
        }
    }

    /// Forgets families that were not exposed for a while.
    pub(super) fn finish(&self, round: u64) {
        self.families.lock().retain(|_, f| round - f.round <= METADATA_IDLE_SCRAPES);
    }

    /// All families, in order of their names.
    pub(super) fn list(&self) -> Vec<(Arc<str>, Metadata)> {
        let families = self.families.lock();
        let mut out: Vec<_> = families.iter().map(|(n, f)| (n.clone(), f.metadata.clone())).collect();
        drop(families);
        out.sort_by(|a, b| a.0.cmp(&b.0));
        out
    }
}

/// Writes the text unless it is there already: it nearly always is, and then nothing is allocated.
fn set_text(place: &mut Arc<str>, text: Escaped<'_>) {
    let raw = text.raw();
    if raw.len() <= METADATA_HELP_BYTES_MAX && !raw.contains(&b'\\') && place.as_bytes() == raw {
        return;
    }
    let mut unescaped = text.to_text();
    let mut end = unescaped.len().min(METADATA_HELP_BYTES_MAX);
    while !unescaped.is_char_boundary(end) {
        end -= 1;
    }
    unescaped.truncate(end);
    if **place != *unescaped {
        *place = unescaped.into();
    }
}
