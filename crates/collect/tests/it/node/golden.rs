//! Our own frozen tree, and the exposition that it must give.

use std::fs;
use std::path::Path;

use collect::exporters::node::NodeSettings;

use super::frozen;

/// `BELLWETHER_UPDATE_GOLDEN=1` writes what was collected as what is expected.
#[test]
fn the_frozen_tree_gives_the_golden_exposition() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/node");
    let text = frozen::collect_text(frozen::options(&root, NodeSettings::default()));
    // Where the checkout lies is of no interest.
    let text = text.replace(&*root.to_string_lossy(), "");
    let golden = root.join("exposition.golden");
    if std::env::var_os("BELLWETHER_UPDATE_GOLDEN").is_some() {
        fs::write(&golden, &text).expect("the golden file can be written");
    }
    let want = fs::read_to_string(&golden).expect("the golden file can be read");
    for (n, (got, want)) in text.lines().zip(want.lines()).enumerate() {
        assert_eq!(got, want, "line {} differs", n + 1);
    }
    assert_eq!(text.lines().count(), want.lines().count());
}

/// A file that is cut off or garbled costs its collector at most, and nothing panics.
#[test]
fn damaged_files_harm_only_their_collector() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/node");
    let copy = tempfile::tempdir().expect("a temporary folder");
    super::fixtures::copy_folder(&root, copy.path());
    let whole = failed(&frozen::collect_text(frozen::options(copy.path(), NodeSettings::default())));
    for file in
        ["stat", "meminfo", "net/dev", "net/netstat", "diskstats", "1/mountinfo", "net/udp", "loadavg"]
    {
        let path = copy.path().join("proc").join(file);
        let original = fs::read(&path).expect("a file of the tree");
        let mut garbled = original[..original.len() / 2].to_vec();
        garbled.extend_from_slice(b"\n\xff\xfe : : : \n99999999999999999999999 -\n\0\0\0");
        for damaged in [&b""[..], &garbled, &original[..original.len() / 3]] {
            fs::write(&path, damaged).expect("the file can be damaged");
            let now = failed(&frozen::collect_text(frozen::options(copy.path(), NodeSettings::default())));
            let more: Vec<_> = now.iter().filter(|c| !whole.contains(c)).collect();
            assert!(more.len() <= 1, "{file}: {more:?}");
        }
        fs::write(&path, original).expect("the file can be mended");
    }
}

/// The collectors that failed.
fn failed(text: &str) -> Vec<String> {
    text.lines()
        .filter(|l| l.starts_with("node_scrape_collector_success{") && l.ends_with(" 0"))
        .map(str::to_owned)
        .collect()
}
