//! `bellwether lake compact`.

use base::{Clock, Result};
use lake::catalog;
use lake::compact::{Compacted, MergeRows, Merger, Policy, Step};
use serde_json::{Value, json};
use tsdb::METRICS_TABLE;

use super::Session;
use super::text::{bytes, plural};
use crate::clock::SystemClock;

/// Merges segments until there is nothing left to merge.
pub(super) async fn run(session: &Session) -> Result<bool> {
    let now_ms = SystemClock::new().now_ms();
    // Whose segments these are does not matter to who was asked for it; what is kept, and how long, the server knows.
    let policy = Policy { force: true, ..Policy::default() };
    let mut done = Vec::new();
    for table in session.tables().await? {
        let name = table.spec().name;
        // Rollups have a segment for each span, which is made anew rather than merged.
        let Some(merger) = merger(name) else { continue };
        let progress = session.progress();
        let mut tell = |step: &Step<'_>| {
            progress.tell(|| {
                let (segments, size) = (plural(step.segments as u64, "segment"), bytes(step.size_bytes));
                format!("{name}: merging {segments} of {} {}, {size}", step.tenant, step.date)
            });
        };
        // Boxed, for it holds whole batches.
        let compacted = Box::pin(table.compact_all(&policy, now_ms, merger, &mut tell)).await;
        progress.clear();
        done.push((name, compacted?));
    }
    session.write(
        || done.iter().map(|(name, c)| as_text(name, c)).collect(),
        || {
            let tables: Vec<Value> = done.iter().map(|(name, c)| as_json(name, c)).collect();
            json!({ "place": session.place, "tables": tables })
        },
    )?;
    Ok(true)
}

fn merger(table: &str) -> Option<&'static dyn Merger> {
    if table == METRICS_TABLE {
        return Some(&tsdb::at_rest::MergeChunks);
    }
    catalog::ALL.iter().any(|t| t.name() == table).then_some(&MergeRows as &dyn Merger)
}

fn as_text(name: &str, c: &Compacted) -> String {
    if c.merges == 0 && c.conflicts == 0 {
        return format!("{name}: nothing to merge\n");
    }
    let mut out = format!(
        "{name}: {} became {}, {} became {}\n",
        plural(c.segments_before, "segment"),
        c.segments_after,
        bytes(c.bytes_before),
        bytes(c.bytes_after),
    );
    if c.conflicts > 0 {
        out.push_str(&format!("{name}: {} gave way to another writer\n", plural(c.conflicts, "merge")));
    }
    out
}

fn as_json(name: &str, c: &Compacted) -> Value {
    json!({
        "table": name, "merges": c.merges, "conflicts": c.conflicts,
        "segmentsBefore": c.segments_before, "segmentsAfter": c.segments_after,
        "bytesBefore": c.bytes_before, "bytesAfter": c.bytes_after,
    })
}
