//! The table `exemplars`.

use std::sync::LazyLock;

use arrow::datatypes::TimeUnit;

use super::column::{Column, Kind, Lists, attributes, long, text};
use super::{CatalogTable, types};
use crate::table::TimeColumns;

static LISTS: LazyLock<Lists> = LazyLock::new(|| Lists::of(TABLE.columns()));

pub(super) static TABLE: CatalogTable = CatalogTable {
    name: "exemplars",
    about: "One exemplar of a series.",
    columns: COLUMNS,
    has_origin: false,
    sort: &["metric", "series_id", "time_unix_nano"],
    time: TimeColumns { first: "time_unix_nano", last: "time_unix_nano", unit: TimeUnit::Nanosecond },
    lists: &LISTS,
};

const COLUMNS: &[Column] = &[
    text("metric", "The name of the metric.").required().dictionary(),
    long("series_id", "The series, as in the table `metrics`.").required().dictionary().statistics(),
    long("time_unix_nano", "When the value was measured.").required(),
    Column::new("value", Kind::Double, "The value.").required(),
    text("trace_id", "32 hexadecimal digits, lower case.").bloom(),
    text("span_id", "16 hexadecimal digits, lower case."),
    attributes("series_labels", "Labels of the series, `__name__` among them."),
    attributes("filtered_attributes", "Labels of the exemplar beside `trace_id` and `span_id`."),
    types("filtered_attribute_types"),
];
