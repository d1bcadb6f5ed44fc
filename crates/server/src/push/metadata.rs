//! What senders say of their metrics, the latest of each. Kept in memory as long as the process runs: senders say it again and again.

use std::collections::HashMap;
use std::sync::Arc;

use base::{Error, Metadata, Result};
use parking_lot::RwLock;
use prometheus::{IntCounter, Registry};

use crate::limits::{PUSHED_METADATA, PUSHED_METADATA_BYTES};

/// Descriptions of metric families by their names.
pub struct PushedMetadata {
    known: RwLock<Known>,
    dropped: IntCounter,
}

#[derive(Default)]
struct Known {
    by_family: HashMap<Arc<str>, Metadata>,
    bytes: usize,
}

impl PushedMetadata {
    /// Knows nothing yet.
    pub fn register(registry: &Registry) -> Result<Self> {
        let dropped = IntCounter::new(
            "bellwether_push_metadata_dropped_total",
            "Descriptions of metrics that were pushed and not kept because there are too many.",
        );
        let registered = dropped.and_then(|c| registry.register(Box::new(c.clone())).map(|()| c));
        let dropped = registered
            .map_err(|e| Error::internal(format!("cannot register metrics of pushed metadata: {e}")))?;
        Ok(Self { known: RwLock::default(), dropped })
    }

    /// Takes in what one request says.
    pub(crate) fn learn(&self, said: Vec<(Box<str>, Metadata)>) {
        // Nearly always nothing is new.
        let new: Vec<_> = {
            let known = self.known.read();
            said.into_iter().filter(|(family, m)| known.by_family.get(&**family) != Some(m)).collect()
        };
        if new.is_empty() {
            return;
        }
        let mut known = self.known.write();
        for (family, metadata) in new {
            let before = known.by_family.get(&*family).map_or(0, |m| size(&family, m));
            let bytes = known.bytes - before + size(&family, &metadata);
            let full = before == 0 && known.by_family.len() >= PUSHED_METADATA;
            if full || bytes > PUSHED_METADATA_BYTES {
                self.dropped.inc();
                continue;
            }
            known.bytes = bytes;
            known.by_family.insert(family.into(), metadata);
        }
    }

    /// Calls `visit` for each family, or for the one named.
    pub(crate) fn visit(&self, named: Option<&str>, mut visit: impl FnMut(&Arc<str>, &Metadata)) {
        let known = self.known.read();
        match named {
            Some(name) => {
                if let Some((family, metadata)) = known.by_family.get_key_value(name) {
                    visit(family, metadata);
                }
            }
            None => known.by_family.iter().for_each(|(family, metadata)| visit(family, metadata)),
        }
    }
}

fn size(family: &str, metadata: &Metadata) -> usize {
    size_of::<(Arc<str>, Metadata)>() + family.len() + metadata.help.len() + metadata.unit.len()
}

#[cfg(test)]
mod tests {
    use base::MetricType;

    use super::*;

    #[test]
    fn the_latest_counts_and_memory_is_bounded() {
        let metadata = PushedMetadata::register(&Registry::new()).unwrap();
        let said =
            |help: &str| Metadata { metric_type: MetricType::Counter, help: help.into(), unit: "".into() };
        metadata.learn(vec![("a".into(), said("first")), ("b".into(), said("other"))]);
        metadata.learn(vec![("a".into(), said("second"))]);
        let mut helps = Vec::new();
        metadata.visit(Some("a"), |_, m| helps.push(m.help.to_string()));
        metadata.visit(Some("c"), |_, _| unreachable!("nobody said anything of it"));
        assert_eq!(helps, ["second"]);
        let large = "x".repeat(PUSHED_METADATA_BYTES);
        metadata.learn(vec![("b".into(), said(&large)), ("c".into(), said("third"))]);
        let mut known = Vec::new();
        metadata.visit(None, |family, m| known.push(format!("{family} {}", m.help)));
        known.sort();
        assert_eq!(known, ["a second", "b other", "c third"]);
        assert_eq!(metadata.dropped.get(), 1);
    }
}
