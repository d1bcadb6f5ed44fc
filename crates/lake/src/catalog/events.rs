//! The table `events`.

use std::sync::LazyLock;

use arrow::datatypes::TimeUnit;

use super::column::{Column, Lists, attributes, int, long, text};
use super::{CatalogTable, dropped, types};
use crate::table::TimeColumns;

static LISTS: LazyLock<Lists> = LazyLock::new(|| Lists::of(TABLE.columns()));

pub(super) static TABLE: CatalogTable = CatalogTable {
    name: "events",
    about: "Something that happened once, or for a while: a deployment, a change of an alert's state, a note of a person.",
    columns: COLUMNS,
    has_origin: true,
    sort: &["event_name", "service_name", "time_unix_nano"],
    time: TimeColumns { first: "time_unix_nano", last: "end_time_unix_nano", unit: TimeUnit::Nanosecond },
    lists: &LISTS,
};

const COLUMNS: &[Column] = &[
    text("event_name", "What kind of event: `deployment`, `alert.state`, `annotation`.")
        .required()
        .dictionary(),
    text("service_name", "The resource's `service.name`; empty if it concerns none.")
        .required()
        .dictionary()
        .statistics(),
    long("time_unix_nano", "When it happened or began.").required(),
    long("end_time_unix_nano", "When it ended; null if it took no time, or has not ended."),
    long("observed_time_unix_nano", "When it became known."),
    text("event_id", "What it is about, the same in all events of one alert or deployment.").bloom(),
    text("source", "Who says so: a rule, a pipeline, a person.").dictionary(),
    int("severity_number", "1 to 24, as in OTLP.").dictionary().statistics(),
    text("severity_text", "The severity as its source calls it.").dictionary(),
    text("body", "A sentence for people; JSON if it has structure."),
    text("body_type", "The letter of the body's type; null if it is text.").dictionary(),
    text("trace_id", "32 hexadecimal digits, lower case.").bloom(),
    text("span_id", "16 hexadecimal digits, lower case."),
    attributes(
        "attributes",
        "Attributes of the event: labels and states of an alert, version of a deployment.",
    ),
    types("attribute_types"),
    dropped("dropped_attributes_count"),
];
