//! Verifying segments: for each invariant a case in which it does not hold, and nothing else is found.

use std::path::Path;
use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use base::ManualClock;
use lake::testing::{FaultFs, FaultStore, Faults};
use lake::{Lake, RowRules, Table};
use object_store::{ObjectStore, ObjectStoreExt};

use crate::table::spec;

const START_MS: i64 = 1_767_225_600_000;

/// A store, and the table in it as a new process finds it.
struct Site(FaultStore);

impl Site {
    fn new() -> Self {
        Self(FaultStore::new(Faults::none()))
    }

    async fn table(&self) -> Table {
        let store: Arc<dyn ObjectStore> = Arc::new(self.0.clone());
        let (fs, clock) = (Arc::new(FaultFs::new(Faults::none())), Arc::new(ManualClock::new(START_MS)));
        Lake::open(Path::new("/a"), fs, store, clock).unwrap().table(spec()).await.unwrap()
    }

    /// Commits a segment of these keys, whose rows begin at these times and end ten milliseconds later.
    async fn commit(&self, date: &str, keys: &[&str], from: &[i64]) {
        let table = self.table().await;
        let columns: Vec<ArrayRef> = vec![
            Arc::new(StringArray::from(keys.to_vec())),
            Arc::new(Int64Array::from(from.to_vec())),
            Arc::new(Int64Array::from_iter_values(from.iter().map(|t| t + 10))),
            Arc::new(StringArray::from(keys.to_vec())),
        ];
        let batch = RecordBatch::try_new(spec().schema, columns).unwrap();
        let mut writer = table.segment_writer("t", date, 1).unwrap();
        // In two parts, so that order is looked at across batches.
        writer.write(&batch.slice(0, 1)).await.unwrap();
        writer.write(&batch.slice(1, keys.len() - 1)).await.unwrap();
        let new = writer.finish().await.unwrap();
        table.commit_seal(1, &[new]).await.unwrap();
    }

    /// Changes what the log says of the segment.
    async fn edit(&self, from: &str, to: &str) {
        let path = "tables/events/_delta_log/00000000000000000001.json".into();
        let bytes = self.0.get(&path).await.unwrap().bytes().await.unwrap();
        let text = String::from_utf8(bytes.to_vec()).unwrap();
        assert!(text.contains(from), "{from} is not in {text}");
        self.0.put(&path, text.replace(from, to).into()).await.unwrap();
    }

    /// The names of what does not hold, in order, each as often as it is found.
    async fn violations(&self) -> Vec<&'static str> {
        let table = self.table().await;
        let mut names = Vec::new();
        for segment in table.view().segments.iter() {
            let found = table.verify_segment(segment, &RowRules::SORTED).await.unwrap();
            assert_eq!(found.count, found.violations.len() as u64);
            names.extend(found.violations.iter().map(|v| v.invariant.name));
        }
        names
    }
}

async fn sound() -> Site {
    let site = Site::new();
    site.commit("2026-01-01", &["a", "b", "b"], &[START_MS + 7, START_MS, START_MS + 5]).await;
    assert_eq!(site.violations().await, [""; 0]);
    site
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_that_do_not_keep_the_rules_are_found() {
    let site = Site::new();
    site.commit("2026-01-01", &["b", "a", "c"], &[START_MS; 3]).await;
    assert_eq!(site.violations().await, ["segment-sorted"]);
    let site = Site::new();
    site.commit("2026-01-01", &["a", "b", "b"], &[START_MS, START_MS + 1, START_MS]).await;
    assert_eq!(site.violations().await, ["segment-sorted"], "the second sort column decides too");
    let site = Site::new();
    let day = 86_400_000;
    site.commit(
        "2026-01-01",
        &["a", "b", "c", "d"],
        &[START_MS - 1, START_MS, START_MS + day - 1, START_MS + day],
    )
    .await;
    assert_eq!(
        site.violations().await,
        ["segment-date"; 2],
        "the first row and the last, not those at the bounds"
    );
    let site = Site::new();
    let keys: Vec<String> = (0..100).map(|i| format!("{:03}", 100 - i)).collect();
    site.commit("2026-01-01", &keys.iter().map(String::as_str).collect::<Vec<_>>(), &[START_MS; 100]).await;
    let table = site.table().await;
    let found = table.verify_segment(&table.view().segments[0], &RowRules::SORTED).await.unwrap();
    assert_eq!((found.violations.len(), found.count), (lake::limits::VIOLATIONS_PER_OBJECT, 99));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_log_says_wrongly_is_found() {
    for (from, to, want) in [
        (r#"\"numRecords\":3"#, r#"\"numRecords\":4"#, vec!["segment-rows"]),
        (r#"\"from\":1767225600000"#, r#"\"from\":1767225600001"#, vec!["segment-time"]),
        (r#"\"to\":1767225600017"#, r#"\"to\":1767225600016"#, vec!["segment-time"]),
        (r#"\"key\":\"a\""#, r#"\"key\":\"aa\""#, vec!["segment-keys"]),
        (r#""tenant":"t""#, r#""tenant":"u""#, vec!["segment-path"]),
        (r#""bellwether.crc32c":""#, r#""bellwether.crc32c":"1"#, vec![]),
    ] {
        let site = sound().await;
        site.edit(from, to).await;
        let found = site.violations().await;
        match want.is_empty() {
            // Nine digits are no checksum, and none is expected then.
            true => assert!(found.is_empty(), "{from}: {found:?}"),
            false => assert_eq!(found, want, "{from}"),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn files_that_are_not_what_was_written_are_found() {
    let site = sound().await;
    let path = site.table().await.view().segments[0].path().to_owned();
    let object = format!("tables/events/{path}").as_str().into();
    let content = site.0.get(&object).await.unwrap().bytes().await.unwrap().to_vec();
    for at in [0, content.len() / 2, content.len() - 1] {
        let mut damaged = content.clone();
        damaged[at] ^= 1;
        site.0.put(&object, damaged.into()).await.unwrap();
        assert_eq!(site.violations().await, ["segment-checksum"], "byte {at}");
    }
    site.0.put(&object, [&content[..], b"x"].concat().into()).await.unwrap();
    assert_eq!(site.violations().await, ["segment-present"], "a byte too many");
    site.0.delete(&object).await.unwrap();
    assert_eq!(site.violations().await, ["segment-present"]);
    // The log names no checksum, so that the Parquet itself has to tell.
    site.0.put(&object, vec![b'x'; content.len()].into()).await.unwrap();
    site.edit("bellwether.crc32c", "somebody.else").await;
    assert_eq!(site.violations().await, ["segment-parquet"]);
    let mut damaged = content.clone();
    damaged[10] ^= 0xff;
    site.0.put(&object, damaged.into()).await.unwrap();
    assert_eq!(site.violations().await, ["segment-parquet"], "a page");
    site.0.put(&object, content.into()).await.unwrap();
    assert_eq!(site.violations().await, [""; 0]);
}
