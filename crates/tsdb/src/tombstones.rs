//! Deletions: which samples of which series are not to be seen any more, until they are gone from the segments.
//!
//! A tombstone is an object beside the table, so that all who share the table see it; `docs/format/tombstone.md` is the
//! specification. Owns their format and the list of those in force. Does not remove samples: compaction does.

use std::sync::Arc;

use base::{Error, Labels, MatchOp, Matcher, Result, TimeRange};
use lake::Table;
use parking_lot::RwLock;
use serde_json::{Value, json};

use crate::limits::TOMBSTONES;

/// The folder beside the table.
const FOLDER: &str = "_tombstones";

const VERSION: i64 = 1;

/// A deletion.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Tombstone {
    /// The object that it is stored as.
    name: String,
    tenant: String,
    created_ms: i64,
    range: TimeRange,
    matcher_sets: Vec<Vec<Matcher>>,
}

impl Tombstone {
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// When it was made.
    pub(crate) fn created_ms(&self) -> i64 {
        self.created_ms
    }

    /// The times that are deleted.
    pub(crate) fn range(&self) -> TimeRange {
        self.range
    }

    /// The sets of matchers; a series that satisfies all of a set is concerned.
    pub(crate) fn matcher_sets(&self) -> &[Vec<Matcher>] {
        &self.matcher_sets
    }

    /// Whether a series satisfies any of its sets of matchers.
    pub(crate) fn concerns(&self, labels: &Labels) -> bool {
        self.matcher_sets.iter().any(|set| set.iter().all(|m| m.matches_labels(labels)))
    }

    fn to_json(&self) -> Vec<u8> {
        let matcher = |m: &Matcher| json!({"name": m.name(), "op": m.op().as_str(), "value": m.value()});
        let sets: Vec<Vec<Value>> =
            self.matcher_sets.iter().map(|set| set.iter().map(matcher).collect()).collect();
        let content = json!({
            "version": VERSION,
            "tenant": self.tenant,
            "created_ms": self.created_ms,
            "start_ms": self.range.start_ms,
            "end_ms": self.range.end_ms,
            "matchers": sets,
        });
        content.to_string().into_bytes()
    }

    fn from_json(name: &str, content: &[u8]) -> Result<Self> {
        let bad = |what: &str| Error::corrupt(format!("cannot read tombstone {name}: {what}"));
        let content: Value = serde_json::from_slice(content).map_err(|e| bad(&e.to_string()))?;
        if content["version"].as_i64() != Some(VERSION) {
            return Err(bad(&format!(
                "its version is {}, this program reads version {VERSION}",
                content["version"]
            )));
        }
        let number = |key: &str| content[key].as_i64().ok_or_else(|| bad(&format!("{key} is no number")));
        let list = |value: &Value| value.as_array().cloned().ok_or_else(|| bad("matchers are no list"));
        let mut matcher_sets = Vec::new();
        for set in list(&content["matchers"])? {
            let set: Result<Vec<Matcher>> = list(&set)?.iter().map(|m| matcher_of(m, &bad)).collect();
            matcher_sets.push(set?);
        }
        if matcher_sets.is_empty() || matcher_sets.iter().any(Vec::is_empty) {
            return Err(bad("it has no matchers"));
        }
        Ok(Self {
            name: name.to_owned(),
            tenant: content["tenant"].as_str().ok_or_else(|| bad("tenant is no text"))?.to_owned(),
            created_ms: number("created_ms")?,
            range: TimeRange::new(number("start_ms")?, number("end_ms")?),
            matcher_sets,
        })
    }
}

fn matcher_of(value: &Value, bad: &impl Fn(&str) -> Error) -> Result<Matcher> {
    let text = |key: &str| value[key].as_str().ok_or_else(|| bad(&format!("a matcher's {key} is no text")));
    let ops = [MatchOp::Equal, MatchOp::NotEqual, MatchOp::Regex, MatchOp::NotRegex];
    let written = text("op")?;
    let op =
        ops.into_iter().find(|op| op.as_str() == written).ok_or_else(|| bad("a matcher has no operator"))?;
    Matcher::new(text("name")?, op, text("value")?)
}

/// The tombstones of one tenant that are in force.
#[derive(Default)]
pub(crate) struct Tombstones {
    tenant: String,
    list: RwLock<Arc<[Arc<Tombstone>]>>,
    /// Held by who changes the list, so that it says what the store holds.
    changing: tokio::sync::Mutex<()>,
}

impl Tombstones {
    /// Reads those that are stored beside a table.
    pub(crate) async fn open(table: &Table, tenant: &str) -> Result<Self> {
        let tombstones = Self { tenant: tenant.to_owned(), ..Self::default() };
        tombstones.reload(table).await?;
        Ok(tombstones)
    }

    /// Those in force.
    pub(crate) fn list(&self) -> Arc<[Arc<Tombstone>]> {
        self.list.read().clone()
    }

    /// Learns what other processes have deleted and cleaned.
    pub(crate) async fn reload(&self, table: &Table) -> Result<()> {
        let _one = self.changing.lock().await;
        let before = self.list();
        let mut list = Vec::new();
        for name in table.object_names(FOLDER).await? {
            if let Some(known) = before.iter().find(|t| t.name == name) {
                list.push(known.clone());
                continue;
            }
            // One that is gone meanwhile was cleaned.
            let Some(content) = table.get_object(FOLDER, &name).await? else { continue };
            let tombstone = Tombstone::from_json(&name, &content)?;
            if tombstone.tenant == self.tenant {
                list.push(Arc::new(tombstone));
            }
        }
        *self.list.write() = list.into();
        Ok(())
    }

    /// Deletes from now on. Durable when it returns.
    pub(crate) async fn add(
        &self,
        table: &Table,
        matcher_sets: &[Vec<Matcher>],
        range: TimeRange,
        now_ms: i64,
    ) -> Result<()> {
        let _one = self.changing.lock().await;
        let before = self.list();
        if before.len() >= TOMBSTONES {
            return Err(Error::limit(format!(
                "cannot delete series: {TOMBSTONES} deletions are not cleaned yet (limit tombstones); clean them first"
            )));
        }
        let tombstone = Tombstone {
            name: format!("{}.json", table.unique_name()),
            tenant: self.tenant.clone(),
            created_ms: now_ms,
            range,
            matcher_sets: matcher_sets.to_vec(),
        };
        table.put_object(FOLDER, &tombstone.name, tombstone.to_json().into()).await?;
        *self.list.write() = before.iter().cloned().chain([Arc::new(tombstone)]).collect();
        Ok(())
    }

    /// Drops tombstones of which nothing is left to hide.
    pub(crate) async fn remove(&self, table: &Table, names: &[String]) -> Result<()> {
        let _one = self.changing.lock().await;
        for name in names {
            table.delete_object(FOLDER, name).await?;
            let left = self.list().iter().filter(|t| t.name != *name).cloned().collect();
            *self.list.write() = left;
        }
        Ok(())
    }

    /// Stores those in force beside another table too.
    pub(crate) async fn copy_to(&self, target: &Table) -> Result<()> {
        for tombstone in self.list().iter() {
            target.put_object(FOLDER, &tombstone.name, tombstone.to_json().into()).await?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_it_writes_and_refuses_the_rest() {
        let matchers = [MatchOp::Equal, MatchOp::NotEqual, MatchOp::Regex, MatchOp::NotRegex]
            .map(|op| Matcher::new("lä\"bel", op, "a|b\n").unwrap());
        let tombstone = Tombstone {
            name: "x.json".into(),
            tenant: "t".into(),
            created_ms: 7,
            range: TimeRange::new(i64::MIN, i64::MAX),
            matcher_sets: vec![matchers.to_vec(), vec![Matcher::equal("a", "b")]],
        };
        let written = tombstone.to_json();
        assert_eq!(Tombstone::from_json("x.json", &written).unwrap(), tombstone);
        let text = String::from_utf8(written).unwrap();
        for (from, to) in [
            ("\"version\":1", "\"version\":2"),
            ("\"tenant\":\"t\"", "\"tenant\":1"),
            ("\"start_ms\":", "\"start\":"),
            ("\"op\":\"=\"", "\"op\":\"==\""),
            ("a|b", "("),
        ] {
            assert!(text.contains(from), "{from}");
            let error = Tombstone::from_json("x.json", text.replace(from, to).as_bytes()).unwrap_err();
            assert!(error.message().contains("x.json") || to == "(", "{error}");
        }
        for bad in [
            "",
            "{}",
            "[]",
            r#"{"version":1,"tenant":"t","created_ms":1,"start_ms":1,"end_ms":2,"matchers":[]}"#,
        ] {
            assert!(Tombstone::from_json("x.json", bad.as_bytes()).is_err(), "{bad}");
        }
    }
}
