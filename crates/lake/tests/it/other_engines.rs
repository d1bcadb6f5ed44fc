//! Engines that others wrote read the tables where they lie, and see what was appended: delta-rs, DuckDB, Spark.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::{DataType, Decimal128Type, Float64Type, Int32Type, Int64Type};
use base::ManualClock;
use lake::catalog::ALL;
use lake::testing::{Random, python_with, skip};
use lake::{Lake, RowOptions, RowStore, filenames};
use prometheus::Registry;
use serde_json::{Map, Value, json};

use crate::any_rows::{DAY_MS, START_MS, batch};

/// The kind by which the script measures a column.
fn kind(data_type: &DataType) -> &'static str {
    match data_type {
        DataType::Utf8 => "text",
        DataType::Timestamp(..) => "time",
        DataType::Decimal128(..) => "decimal",
        DataType::Map(..) => "map",
        DataType::List(_) => "list",
        _ => "number",
    }
}

/// The measure of a column by the script's definitions, and the digits of it that stand behind the point.
fn measure(column: &dyn Array) -> (i128, u32) {
    let ones: i128 = match column.data_type() {
        DataType::Utf8 => column.as_string::<i32>().iter().flatten().map(|v| v.len() as i128).sum(),
        DataType::Int32 => column.as_primitive::<Int32Type>().iter().flatten().map(i128::from).sum(),
        DataType::Int64 => column.as_primitive::<Int64Type>().iter().flatten().map(i128::from).sum(),
        DataType::Timestamp(..) => {
            let micros = arrow::compute::cast(column, &DataType::Int64).unwrap();
            micros.as_primitive::<Int64Type>().iter().flatten().map(i128::from).sum()
        }
        DataType::Map(..) => {
            let map = column.as_map();
            let bytes: i128 = map.values().as_string::<i32>().iter().flatten().map(|v| v.len() as i128).sum();
            map.keys().len() as i128 + bytes
        }
        DataType::List(_) => column.as_list::<i32>().values().len() as i128,
        DataType::Decimal128(..) => {
            return (column.as_primitive::<Decimal128Type>().iter().flatten().sum(), 18);
        }
        // Eighths, which add up exactly.
        DataType::Float64 => {
            let sum: f64 = column.as_primitive::<Float64Type>().iter().flatten().sum();
            return ((sum * 1000.0) as i128, 3);
        }
        other => unreachable!("no column is of type {other}"),
    };
    (ones, 0)
}

fn decimal(value: i128, digits: u32) -> String {
    let (sign, value) = (if value < 0 { "-" } else { "" }, value.unsigned_abs());
    let unit = 10u128.pow(digits);
    format!("{sign}{}.{:018}", value / unit, value % unit * 10u128.pow(18 - digits))
}

/// What an engine should find of a table.
fn expected(batches: &[RecordBatch]) -> Value {
    let mut found = Map::new();
    found.insert("rows".into(), batches.iter().map(RecordBatch::num_rows).sum::<usize>().into());
    for (i, field) in batches[0].schema().fields().iter().enumerate() {
        let columns = batches.iter().map(|b| b.column(i));
        let values: usize = columns.clone().map(|c| c.len() - c.null_count()).sum();
        let measures: Vec<(i128, u32)> = columns.map(|c| measure(c)).collect();
        let sum = measures.iter().map(|(sum, _)| sum).sum();
        found.insert(field.name().clone(), json!([values, decimal(sum, measures[0].1)]));
    }
    found.into()
}

/// Appends rows of two tenants and three dates to every table, and seals some of them twice. Returns what was appended.
async fn fill(folder: &Path) -> Value {
    let clock = Arc::new(ManualClock::new(START_MS));
    let lake = Arc::new(Lake::open_local(folder, clock).unwrap());
    let mut want = Map::new();
    for table in ALL {
        let (spec, mut random) = (table.spec(), Random::new(21));
        let store = RowStore::open(lake.clone(), spec.clone(), RowOptions::default(), &Registry::new()).await;
        let store = store.unwrap();
        // More rows than a page and, of one tenant and date, several hundred.
        let batches: Vec<_> = (0..6).map(|_| batch(&spec, &mut random, 900, START_MS, 3 * DAY_MS)).collect();
        for (i, batch) in batches.iter().enumerate() {
            store.append(["a", "b"][i % 2], batch).await.unwrap();
            if i == 3 {
                store.seal().await.unwrap();
            }
        }
        store.seal().await.unwrap();
        store.close().await.unwrap();
        want.insert(table.name().into(), expected(&batches));
    }
    want.into()
}

#[tokio::test(flavor = "multi_thread")]
async fn other_engines_read_what_was_appended() {
    const TEST: &str = "other_engines_read_what_was_appended";
    let Some(python) = python_with(TEST, "deltalake, duckdb, pyarrow, pyspark") else { return };
    let dir = tempfile::tempdir().unwrap();
    let want = fill(dir.path()).await;
    let columns = |table: &&lake::catalog::CatalogTable| {
        let schema = table.spec().schema;
        let kinds = schema.fields().iter().map(|f| (f.name().clone(), kind(f.data_type()).into()));
        (table.name().to_owned(), Value::Object(kinds.collect()))
    };
    let tables = Value::Object(ALL.iter().map(columns).collect());
    let tables_file = dir.path().join("tables.json");
    std::fs::write(&tables_file, tables.to_string()).unwrap();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/other_engines.py");
    let output = tokio::task::spawn_blocking(move || {
        let folder = dir.path().join(filenames::TABLES);
        Command::new(python).arg(script).arg(folder).arg(tables_file).output().unwrap()
    });
    let output = output.await.unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    for (engine, why) in report["skipped"].as_object().unwrap() {
        skip(&format!("{TEST} with {engine}"), why.as_str().unwrap());
    }
    let found = report["found"].as_object().unwrap();
    assert!(found.len() >= 2);
    for (engine, tables) in found {
        for (table, columns) in want.as_object().unwrap() {
            for (column, values) in columns.as_object().unwrap() {
                assert_eq!(tables[table][column], *values, "{engine}: {table}.{column}");
            }
        }
    }
}
