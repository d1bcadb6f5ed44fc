//! Where third-party conformance data lies.

use std::path::PathBuf;

/// The folder or file `path` of the conformance data. Where it is absent this prints that `suite` is skipped, and
/// returns `None`.
pub(crate) fn locate(suite: &str, path: &str) -> Option<PathBuf> {
    let root = std::env::var_os("BELLWETHER_CONFORMANCE").map_or_else(
        || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/conformance")),
        PathBuf::from,
    );
    let found = root.join(path);
    if found.exists() {
        return Some(found);
    }
    println!("SKIPPED {suite}: no conformance data");
    None
}
