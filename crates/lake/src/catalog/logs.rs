//! The table `logs`.

use std::sync::LazyLock;

use arrow::datatypes::TimeUnit;

use super::column::{Column, Lists, attributes, int, long, text};
use super::{CatalogTable, dropped, types};
use crate::table::TimeColumns;

static LISTS: LazyLock<Lists> = LazyLock::new(|| Lists::of(TABLE.columns()));

pub(super) static TABLE: CatalogTable = CatalogTable {
    name: "logs",
    about: "One log record.",
    columns: COLUMNS,
    has_origin: true,
    sort: &["service_name", "stream", "time_unix_nano"],
    time: TimeColumns { first: "time_unix_nano", last: "time_unix_nano", unit: TimeUnit::Nanosecond },
    lists: &LISTS,
};

const COLUMNS: &[Column] = &[
    text("service_name", "The resource's `service.name`.").required().dictionary(),
    text(
        "stream",
        "The labels that select the record, as LogQL writes them, by name: `{app=\"x\", env=\"y\"}`.",
    )
    .required()
    .dictionary()
    .statistics(),
    long("time_unix_nano", "When it happened, or was observed if the sender does not know.").required(),
    long("observed_time_unix_nano", "When it was observed."),
    text("trace_id", "32 hexadecimal digits, lower case.").bloom(),
    text("span_id", "16 hexadecimal digits, lower case."),
    int("flags", "W3C trace flags.").dictionary(),
    int("severity_number", "1 to 24, as in OTLP.").dictionary().statistics(),
    text("severity_text", "The severity as its source calls it.").dictionary(),
    text("event_name", "The kind of event that the record is.").dictionary().statistics(),
    text("body", "The message; JSON if it has structure.").lengths_apart(),
    text("body_type", "The letter of the body's type; null if it is text.").dictionary(),
    attributes("attributes", "Attributes of the record, structured metadata among them."),
    types("attribute_types"),
    dropped("dropped_attributes_count"),
];
