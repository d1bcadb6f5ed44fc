//! The table `stacks`.

use std::sync::LazyLock;

use arrow::datatypes::TimeUnit;

use super::CatalogTable;
use super::column::{Column, Kind, Lists, long, text};
use crate::table::TimeColumns;

static LISTS: LazyLock<Lists> = LazyLock::new(|| Lists::of(TABLE.columns()));

pub(super) static TABLE: CatalogTable = CatalogTable {
    name: "stacks",
    about: "One stack of a service on a date. It may be there more than once.",
    columns: COLUMNS,
    has_origin: false,
    sort: &["service_name", "stack_id", "time_unix_nano"],
    time: TimeColumns { first: "time_unix_nano", last: "time_unix_nano", unit: TimeUnit::Nanosecond },
    lists: &LISTS,
};

const COLUMNS: &[Column] = &[
    text("service_name", "The service that has it.").required().dictionary(),
    long("stack_id", "A hash of the frames that no other stack of the tenant has.").required().statistics(),
    long("time_unix_nano", "A time on the date on which profiles name it.").required(),
    Column::new("frames", Kind::List(FRAMES), "The frames, from the innermost call outwards.")
        .required()
        .dictionary(),
];

const FRAMES: &[Column] = &[
    text("function_name", "The function, as people read it."),
    text("system_name", "The function, as the linker knows it."),
    text("filename", "The source file."),
    long("start_line", "The line on which the function begins."),
    long("line", "The line."),
    long("column", "The column of the line."),
    long("address", "The address of the instruction, as the mapping has it."),
    text("mapping_filename", "The binary."),
    text("build_id", "The build of the binary."),
    text("frame_type", "The attribute `profile.frame.type`: `native`, `kernel`, `jvm`."),
    Column::new("inlined", Kind::Bool, "Whether the compiler put it into the frame that follows."),
];
