//! How much a configuration file may ask of the process that reads it.

/// Bytes in one configuration file. Large generated files of real fleets stay below 4 MiB; this leaves room without
/// letting a wrong path (a log, a device) fill the memory.
pub(super) const MAX_FILE_BYTES: u64 = 16 << 20;

/// Nodes that aliases (`*name`) may copy into a document. Ordinary use copies a few hundred; a document that grows
/// exponentially through nested aliases reaches this at once.
pub(super) const MAX_ALIASED_NODES: usize = 100_000;

/// How deep lists and mappings may nest. Prometheus' deepest section is nine levels; everything that walks the tree
/// recurses once a level.
pub(super) const MAX_DEPTH: usize = 64;

/// Files that all patterns of `scrape_config_files` together may match.
pub(super) const MAX_SCRAPE_CONFIG_FILES: usize = 10_000;

/// Files that all patterns of `rule_files` together may match.
pub(super) const MAX_RULE_FILES: usize = 10_000;
