//! `docs/format/tables.md` says what the catalogue says.

use std::fmt::Write;
use std::path::{Path, PathBuf};

use arrow::datatypes::TimeUnit;
use lake::catalog::{ALL, CatalogTable, Column, Kind};

/// Stands before the part of the page that is made from the code.
const MARK: &str = "<!-- From here on made from crates/lake/src/catalog by `BELLWETHER_WRITE_FIXTURE=1 cargo test -p lake`. -->\n";

fn type_of(kind: &Kind) -> String {
    match kind {
        Kind::Text => "string".into(),
        Kind::Int => "int32".into(),
        Kind::Long => "int64".into(),
        Kind::Double => "double".into(),
        Kind::Decimal => "decimal(38, 18)".into(),
        Kind::Timestamp => "timestamp, µs, UTC".into(),
        Kind::Bool => "boolean".into(),
        Kind::Attributes => "map(string, string)".into(),
        Kind::List(_) => "list(struct)".into(),
    }
}

fn row(page: &mut String, prefix: &str, column: &Column) {
    let mut notes = Vec::new();
    if column.nullable {
        notes.push("may be null");
    }
    if column.has_statistics() {
        notes.push("statistics");
    }
    if column.has_bloom() {
        notes.push("bloom filter");
    }
    let about = column.about.replace('|', "\\|");
    writeln!(
        page,
        "| `{prefix}{}` | {} | {} | {about} |",
        column.name,
        type_of(&column.kind),
        notes.join(", ")
    )
    .unwrap();
    if let Kind::List(inner) = column.kind {
        for inner in inner {
            row(page, &format!("{prefix}{}.", column.name), inner);
        }
    }
}

fn section(table: &CatalogTable) -> String {
    let spec = table.spec();
    let mut page = format!(
        "\n## `{}`\n\n{} Rows are sorted by `{}`; ",
        table.name(),
        table.about(),
        spec.sort.join("`, `")
    );
    let unit = match spec.time.unit {
        TimeUnit::Nanosecond => "nanoseconds since 1970",
        _ => "timestamps",
    };
    match (spec.time.first, spec.time.last) {
        (first, last) if first == last => write!(page, "their time is `{first}`, in {unit}.").unwrap(),
        (first, last) => write!(page, "their time goes from `{first}` to `{last}`, in {unit}.").unwrap(),
    }
    page.push_str("\n\n| column | type | | |\n|---|---|---|---|\n");
    for column in table.columns() {
        row(&mut page, "", column);
    }
    page
}

#[test]
fn the_page_about_tables_says_what_the_code_says() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/format/tables.md");
    let page = std::fs::read_to_string(&path).unwrap();
    let (text, sections) = page.split_once(MARK).unwrap();
    let want: String = ALL.iter().map(|t| section(t)).collect();
    if std::env::var_os("BELLWETHER_WRITE_FIXTURE").is_some() {
        std::fs::write(&path, format!("{text}{MARK}{want}")).unwrap();
    } else {
        assert_eq!(sections, want);
    }
}

/// The columns of `charges` against FOCUS' own list, if the folder of other projects' data has it.
#[test]
fn charges_have_the_columns_of_focus() {
    let default = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/conformance");
    let conformance = std::env::var_os("BELLWETHER_CONFORMANCE").map_or_else(default, PathBuf::from);
    let list = conformance.join("../cost-data/focus/focus_columns_1.0-1.4.yaml");
    if !list.is_file() {
        lake::testing::skip_anywhere("charges_have_the_columns_of_focus", "no conformance data");
        return;
    }
    let list = std::fs::read_to_string(list).unwrap();
    let mut want = Vec::new();
    for item in list.split("- display_name:").skip(1) {
        let field = |name: &str| {
            let line = item.lines().find_map(|l| l.trim().strip_prefix(name)?.strip_prefix(": "));
            line.unwrap_or_default().trim_matches('\'').to_owned()
        };
        if field("removed_version") == "1.4" {
            continue;
        }
        let kind = match field("data_type").as_str() {
            "Decimal" => "decimal(38, 18)",
            "Date/Time" => "timestamp, µs, UTC",
            "String" | "JSON" => "string",
            other => panic!("FOCUS has a type {other:?}"),
        };
        let required = field("feature_level") == "Mandatory" && field("allows_nulls") == "False";
        want.push((field("column_id"), kind.to_owned(), !required));
    }
    want.sort();
    assert!(want.len() > 60);
    let ours = lake::catalog::CHARGES.columns().filter(|c| !c.name.starts_with("x_"));
    let ours: Vec<_> = ours.map(|c| (c.name.to_owned(), type_of(&c.kind), c.nullable)).collect();
    assert_eq!(ours, want);
}
