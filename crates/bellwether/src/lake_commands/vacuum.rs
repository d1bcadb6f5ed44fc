//! `bellwether lake vacuum`.

use base::Result;
use lake::{Garbage, Reason};
use serde_json::{Value, json};

use super::Session;
use super::args::Vacuum;
use super::text::{Grid, Side, bytes, plural};

/// The files of one table that nothing refers to.
struct Swept {
    table: &'static str,
    garbage: Vec<Garbage>,
    /// Those that may be an upload under way.
    young: Vec<(String, u64)>,
}

/// Deletes files that nothing refers to, or says which.
pub(super) async fn run(session: &Session, options: &Vacuum) -> Result<bool> {
    let mut swept = Vec::new();
    for table in session.tables().await? {
        let unreferenced = table.unreferenced().await?;
        let garbage = match options.dry_run {
            true => table.garbage().await?,
            false => table.delete_garbage().await?,
        };
        let is_garbage = |path: &str| garbage.iter().any(|g| g.path == path);
        let young = unreferenced.into_iter().filter(|(path, _)| !is_garbage(path)).collect();
        swept.push(Swept { table: table.spec().name, garbage, young });
    }
    session.write(
        || as_text(&swept, options.dry_run),
        || {
            let tables: Vec<Value> = swept.iter().map(as_json).collect();
            json!({ "place": session.place, "dryRun": options.dry_run, "tables": tables })
        },
    )?;
    Ok(true)
}

fn why(reason: Reason) -> &'static str {
    match reason {
        Reason::Removed => "removed",
        Reason::NotCommitted => "not committed",
        Reason::Abandoned => "abandoned",
        Reason::Unfinished => "unfinished",
    }
}

fn as_text(swept: &[Swept], dry_run: bool) -> String {
    let mut grid =
        Grid::new(&[("table", Side::Left), ("why", Side::Left), ("size", Side::Right), ("path", Side::Left)]);
    let (mut files, mut size) = (0, 0);
    let (mut young_files, mut young_size) = (0, 0);
    for s in swept {
        for g in &s.garbage {
            grid.row([s.table.into(), why(g.reason).into(), bytes(g.size_bytes), g.path.clone()]);
            files += 1;
            size += g.size_bytes;
        }
        young_files += s.young.len() as u64;
        young_size += s.young.iter().map(|(_, size)| size).sum::<u64>();
    }
    let mut out = if files > 0 { format!("{}\n", grid.render("")) } else { String::new() };
    let verb = if dry_run { "would delete" } else { "deleted" };
    out.push_str(&format!("{verb} {} of {}\n", plural(files, "file"), bytes(size)));
    if young_files > 0 {
        out.push_str(&format!(
            "left {} of {} that the log does not name and another writer may be about to commit; they go a week after they were written\n",
            plural(young_files, "file"),
            bytes(young_size)
        ));
    }
    out
}

fn as_json(swept: &Swept) -> Value {
    let garbage = swept
        .garbage
        .iter()
        .map(|g| json!({ "path": g.path, "bytes": g.size_bytes, "reason": why(g.reason) }));
    let young = swept.young.iter().map(|(path, size)| json!({ "path": path, "bytes": size }));
    json!({
        "table": swept.table,
        "files": garbage.collect::<Vec<_>>(),
        "left": young.collect::<Vec<_>>(),
    })
}
