//! The tables of every signal but metrics: columns, order, and what prunes. `docs/format/tables.md` says the same to readers,
//! and why.
//!
//! The catalogue knows columns, not what they mean: who writes a table fills them, who reads it interprets them. Names are those of
//! the OpenTelemetry protocol and of FOCUS. The table `metrics`, whose rows are encoded chunks, is described by the crate that
//! encodes them.

mod charges;
mod column;
mod events;
mod exemplars;
mod logs;
mod profiles;
mod spans;
mod stacks;

pub use column::{AttributesBuilder, Column, Kind, attributes_builder};

use std::sync::LazyLock;

use crate::limits::{ROWS_PER_GROUP, ROWS_PER_PAGE};
use crate::table::{Layout, TableSpec, TimeColumns};
use column::{Lists, attributes, int, text};

/// A table of the catalogue.
pub struct CatalogTable {
    name: &'static str,
    about: &'static str,
    columns: &'static [Column],
    /// Whether the columns of resource and scope follow.
    has_origin: bool,
    sort: &'static [&'static str],
    time: TimeColumns,
    lists: &'static LazyLock<Lists>,
}

/// Cloud charges.
pub static CHARGES: &CatalogTable = &charges::TABLE;
/// Deployments, changes of alerts and whatever else happens once.
pub static EVENTS: &CatalogTable = &events::TABLE;
/// Exemplars of metrics.
pub static EXEMPLARS: &CatalogTable = &exemplars::TABLE;
/// Log records.
pub static LOGS: &CatalogTable = &logs::TABLE;
/// Samples of profiles.
pub static PROFILES: &CatalogTable = &profiles::TABLE;
/// Spans of traces.
pub static SPANS: &CatalogTable = &spans::TABLE;
/// Stacks that samples of profiles name.
pub static STACKS: &CatalogTable = &stacks::TABLE;

/// All tables of the catalogue, by name.
pub static ALL: [&CatalogTable; 7] = [CHARGES, EVENTS, EXEMPLARS, LOGS, PROFILES, SPANS, STACKS];

/// Where telemetry comes from: the OTLP resource and the instrumentation scope.
const ORIGIN: &[Column] = &[
    attributes("resource_attributes", "Attributes of the resource."),
    types("resource_attribute_types"),
    dropped("resource_dropped_attributes_count"),
    text("resource_schema_url", "Schema URL of the resource.").dictionary(),
    text("scope_name", "Name of the instrumentation scope.").dictionary(),
    text("scope_version", "Version of the instrumentation scope.").dictionary(),
    attributes("scope_attributes", "Attributes of the instrumentation scope."),
    types("scope_attribute_types"),
    dropped("scope_dropped_attributes_count"),
    text("scope_schema_url", "Schema URL of what the scope holds.").dictionary(),
];

/// The types of the values in the map that stands before it.
const fn types(name: &'static str) -> Column {
    text(name, "A letter for each entry of the map before it; null if all values are text.").dictionary()
}

const fn dropped(name: &'static str) -> Column {
    int(name, "How many the sender left out.").dictionary()
}

impl CatalogTable {
    /// Its name.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// What a row is.
    pub fn about(&self) -> &'static str {
        self.about
    }

    /// Its columns, in order.
    pub fn columns(&self) -> impl Iterator<Item = &'static Column> + use<> {
        let origin: &[Column] = if self.has_origin { ORIGIN } else { &[] };
        self.columns.iter().chain(origin)
    }

    /// Its description for the lake.
    pub fn spec(&self) -> TableSpec {
        TableSpec {
            name: self.name,
            schema: self.lists.schema.clone(),
            sort: self.sort,
            time: self.time,
            dictionary: &self.lists.dictionary,
            encodings: &self.lists.encodings,
            statistics: &self.lists.statistics,
            bloom: &self.lists.bloom,
            layout: Layout { row_group_rows: ROWS_PER_GROUP, page_rows: ROWS_PER_PAGE },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_description_can_be_kept() {
        for table in ALL {
            table.spec().check().expect("a good description");
            let mut names: Vec<&str> = table.columns().map(|c| c.name).collect();
            assert_eq!(names.len(), table.spec().schema.fields().len());
            names.sort_unstable();
            names.dedup();
            assert_eq!(names.len(), table.columns().count(), "{} names a column twice", table.name);
            assert!(names.iter().all(|n| !["tenant", "date"].contains(n)));
        }
    }
}
