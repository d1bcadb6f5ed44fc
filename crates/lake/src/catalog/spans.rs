//! The table `spans`.

use std::sync::LazyLock;

use arrow::datatypes::TimeUnit;

use super::column::{Column, Kind, Lists, attributes, int, long, text};
use super::{CatalogTable, dropped, types};
use crate::table::TimeColumns;

static LISTS: LazyLock<Lists> = LazyLock::new(|| Lists::of(TABLE.columns()));

pub(super) static TABLE: CatalogTable = CatalogTable {
    name: "spans",
    about: "One span of a trace.",
    columns: COLUMNS,
    has_origin: true,
    sort: &["service_name", "name", "start_time_unix_nano"],
    time: TimeColumns {
        first: "start_time_unix_nano",
        last: "end_time_unix_nano",
        unit: TimeUnit::Nanosecond,
    },
    lists: &LISTS,
};

const COLUMNS: &[Column] = &[
    text("service_name", "The resource's `service.name`.").required().dictionary(),
    text("name", "What the span does.").required().dictionary().statistics(),
    long("start_time_unix_nano", "When it began.").required(),
    long("end_time_unix_nano", "When it ended.").required(),
    long("duration_nano", "End less start.").required().statistics(),
    text("trace_id", "32 hexadecimal digits, lower case.").required().bloom(),
    text("span_id", "16 hexadecimal digits, lower case.").required(),
    text("parent_span_id", "The span that it is part of; null for a root."),
    text("trace_state", "W3C trace state.").dictionary(),
    int("flags", "W3C trace flags and what is known of the parent.").dictionary(),
    int("kind", "0 unspecified, 1 internal, 2 server, 3 client, 4 producer, 5 consumer.")
        .required()
        .dictionary()
        .statistics(),
    int("status_code", "0 unset, 1 ok, 2 error.").required().dictionary().statistics(),
    text("status_message", "What went wrong.").dictionary(),
    attributes("attributes", "Attributes of the span."),
    types("attribute_types"),
    dropped("dropped_attributes_count"),
    Column::new("events", Kind::List(EVENTS), "What happened during the span.").required().dictionary(),
    dropped("dropped_events_count"),
    Column::new("links", Kind::List(LINKS), "Spans of other traces that have to do with it.")
        .required()
        .dictionary(),
    dropped("dropped_links_count"),
];

const EVENTS: &[Column] = &[
    long("time_unix_nano", "When it happened.").required(),
    text("name", "What happened.").required(),
    attributes("attributes", "Attributes of the event."),
    types("attribute_types"),
    dropped("dropped_attributes_count"),
];

const LINKS: &[Column] = &[
    text("trace_id", "32 hexadecimal digits, lower case.").required(),
    text("span_id", "16 hexadecimal digits, lower case.").required(),
    text("trace_state", "W3C trace state."),
    int("flags", "W3C trace flags and what is known of the span."),
    attributes("attributes", "Attributes of the link."),
    types("attribute_types"),
    dropped("dropped_attributes_count"),
];
