//! Exporting every table: each row is on one day, and files of both formats have all of it.

use std::collections::BTreeMap;

use arrow::array::{Array, RecordBatch};
use arrow::datatypes::DataType;
use arrow::util::display::array_value_to_string;
use base::{MatchOp, Matcher, TimeRange};
use bytes::Bytes;
use futures::TryStreamExt;
use lake::catalog::{ALL, CatalogTable, LOGS, SPANS};
use lake::export::{FileFormat, RowWriter};
use lake::testing::Random;
use lake::{RowOptions, RowStore};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use crate::any_rows::{DAY_MS, START_MS, batch, counted};
use crate::rows::FaultyDisk;

const ROWS: usize = 60;

/// A store with rows that begin on three days: some sealed, some in memory.
async fn store_of(table: &'static CatalogTable) -> (RowStore, Vec<RecordBatch>) {
    let disk = FaultyDisk::new();
    let store = disk.open(table.spec(), RowOptions::default()).await.unwrap();
    let mut random = Random::new(11);
    let mut written = Vec::new();
    for round in 0..2 {
        let rows = batch(store.table().spec(), &mut random, ROWS, START_MS, 3 * DAY_MS);
        store.append("default", &rows).await.unwrap();
        written.push(rows);
        if round == 0 {
            store.seal().await.unwrap();
        }
    }
    (store, written)
}

async fn export(
    store: &RowStore,
    table: &'static CatalogTable,
    matchers: &[Matcher],
    range: TimeRange,
) -> Vec<RecordBatch> {
    store.export(table, "default", matchers, range).unwrap().try_collect().await.unwrap()
}

fn file(format: FileFormat, batches: &[RecordBatch]) -> Vec<u8> {
    let mut writer = RowWriter::new(format, batches[0].schema(), Vec::new()).unwrap();
    batches.iter().for_each(|rows| writer.write(rows).unwrap());
    writer.finish().unwrap()
}

/// The fields of each record of a CSV text, as RFC 4180 has it.
fn records(text: &str) -> Vec<Vec<String>> {
    let (mut records, mut record, mut field) = (Vec::new(), Vec::new(), String::new());
    let (mut quoted, mut chars) = (false, text.chars().peekable());
    while let Some(c) = chars.next() {
        match c {
            '"' if quoted && chars.peek() == Some(&'"') => field.push(chars.next().unwrap()),
            '"' => quoted = !quoted,
            ',' if !quoted => record.push(std::mem::take(&mut field)),
            '\n' if !quoted => {
                record.push(std::mem::take(&mut field));
                records.push(std::mem::take(&mut record));
            }
            c => field.push(c),
        }
    }
    assert!(!quoted && field.is_empty() && record.is_empty(), "the text ends within a record");
    records
}

#[tokio::test(flavor = "multi_thread")]
async fn every_row_is_on_one_day_and_in_files_of_each_format() {
    for table in ALL {
        let (store, written) = store_of(table).await;
        let mut by_day = Vec::new();
        for day in store.days(TimeRange::ALL) {
            let of_day = TimeRange::new(day * DAY_MS, (day + 1) * DAY_MS - 1);
            by_day.extend(export(&store, table, &[], of_day).await);
        }
        assert_eq!(counted(&by_day), counted(&written), "{}", table.name());
        let all = export(&store, table, &[], TimeRange::ALL).await;
        assert_eq!(counted(&all), counted(&written), "{}", table.name());

        let parquet = Bytes::from(file(FileFormat::Parquet, &all));
        let reader = ParquetRecordBatchReaderBuilder::try_new(parquet).unwrap().build().unwrap();
        let read: Vec<RecordBatch> = reader.map(Result::unwrap).collect();
        assert_eq!(counted(&read), counted(&all), "{}", table.name());

        let csv = records(std::str::from_utf8(&file(FileFormat::Csv, &all)).unwrap());
        let names: Vec<&str> = table.columns().map(|c| c.name).collect();
        assert!(csv.len() == 1 + 2 * ROWS && csv[0] == names, "{} {:?}", table.name(), csv[0]);
        let rows = all.iter().flat_map(|batch| (0..batch.num_rows()).map(move |row| (batch, row)));
        for (record, (batch, row)) in csv[1..].iter().zip(rows) {
            for (field, column) in record.iter().zip(batch.columns()) {
                let text = array_value_to_string(column, row).unwrap();
                match column.data_type() {
                    DataType::Utf8 => assert_eq!(*field, text),
                    DataType::Float64 if !column.is_null(row) => {
                        assert_eq!(
                            field.parse::<f64>().unwrap().to_string(),
                            text.parse::<f64>().unwrap().to_string()
                        );
                    }
                    t if t.is_nested() && !column.is_null(row) => {
                        let json: serde_json::Value = serde_json::from_str(field).unwrap();
                        assert!(json.is_object() || json.is_array(), "{field}");
                    }
                    _ => assert_eq!(*field, text),
                }
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn matchers_name_columns_and_attributes() {
    let (store, written) = store_of(LOGS).await;
    let mut by_flags: BTreeMap<String, usize> = BTreeMap::new();
    for batch in &written {
        let flags = batch.column_by_name("flags").unwrap();
        for row in 0..batch.num_rows() {
            *by_flags.entry(array_value_to_string(flags, row).unwrap()).or_default() += 1;
        }
    }
    let rows = |batches: &[RecordBatch]| batches.iter().map(RecordBatch::num_rows).sum::<usize>();
    let mut total = 0;
    for (flags, count) in &by_flags {
        // A null is the empty text.
        let equal = export(&store, LOGS, &[Matcher::equal("flags", flags.as_str())], TimeRange::ALL).await;
        assert_eq!(rows(&equal), *count, "{flags}");
        let not = Matcher::new("flags", MatchOp::NotEqual, flags.as_str()).unwrap();
        assert_eq!(rows(&export(&store, LOGS, &[not], TimeRange::ALL).await), 2 * ROWS - count);
        total += count;
    }
    assert_eq!((total, by_flags.contains_key("")), (2 * ROWS, true));
    for unknown in ["nope", "attributes", "attributesx", "__name__"] {
        let refused = store.export(LOGS, "default", &[Matcher::equal(unknown, "x")], TimeRange::ALL);
        let error = refused.err().unwrap();
        assert!(error.message().contains("there are service_name"), "{error}");
    }
    let (spans, _) = store_of(SPANS).await;
    let absent = Matcher::equal("resource_attributes.no such attribute", "");
    assert_eq!(rows(&export(&spans, SPANS, &[absent], TimeRange::ALL).await), 2 * ROWS);
}
