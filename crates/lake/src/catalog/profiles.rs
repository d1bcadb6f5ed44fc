//! The table `profiles`.

use std::sync::LazyLock;

use arrow::datatypes::TimeUnit;

use super::column::{Column, Lists, attributes, long, text};
use super::{CatalogTable, types};
use crate::table::TimeColumns;

static LISTS: LazyLock<Lists> = LazyLock::new(|| Lists::of(TABLE.columns()));

pub(super) static TABLE: CatalogTable = CatalogTable {
    name: "profiles",
    about: "One value of one stack in one profile. Profiles merge by adding `value` by `stack_id`.",
    columns: COLUMNS,
    has_origin: true,
    sort: &["service_name", "profile_type", "time_unix_nano", "stack_id"],
    time: TimeColumns { first: "time_unix_nano", last: "time_unix_nano", unit: TimeUnit::Nanosecond },
    lists: &LISTS,
};

const COLUMNS: &[Column] = &[
    text("service_name", "The resource's `service.name`.").required().dictionary(),
    text(
        "profile_type",
        "What is measured, as Pyroscope names it: `process_cpu:cpu:nanoseconds:cpu:nanoseconds`.",
    )
    .required()
    .dictionary()
    .statistics(),
    long("time_unix_nano", "When the profile began, or the sample was taken if the sender knows.").required(),
    long("duration_nano", "How long the profile took.").dictionary(),
    long("stack_id", "The stack, in the table `stacks` under the same tenant, date and service.")
        .required()
        .dictionary(),
    long("value", "How much, in `sample_unit`.").required(),
    text("sample_type", "What is counted: `cpu`, `alloc_space`.").required().dictionary(),
    text("sample_unit", "In what: `nanoseconds`, `bytes`, `count`.").required().dictionary(),
    text("period_type", "Between what samples are taken.").dictionary(),
    text("period_unit", "The unit of `period`.").dictionary(),
    long("period", "How far samples are apart.").dictionary(),
    text("profile_id", "Which profile it belongs to: 32 hexadecimal digits, lower case.")
        .dictionary()
        .bloom(),
    text("trace_id", "32 hexadecimal digits, lower case.").dictionary().bloom(),
    text("span_id", "16 hexadecimal digits, lower case.").dictionary().bloom(),
    attributes("attributes", "Attributes of profile and sample: labels, threads."),
    types("attribute_types"),
];
