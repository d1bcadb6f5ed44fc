//! Blocks of a leaf as record batches: a row per series or group, and one more for what there is to tell.

use std::sync::{Arc, LazyLock};

use arrow::array::{
    Array, ArrayRef, AsArray, BinaryBuilder, BooleanArray, Float64Array, LargeBinaryArray, LargeListArray,
};
use arrow::buffer::{NullBuffer, OffsetBuffer, ScalarBuffer};
use arrow::datatypes::{DataType, Field, Float64Type, Schema, SchemaRef};
use arrow::record_batch::RecordBatch;
use base::{Error, Histogram, Labels, Result};
use promql::leaf::{Block, Partial, Told};
use tsdb::chunk::histogram;

/// The columns of every leaf.
static SCHEMA: LazyLock<SchemaRef> = LazyLock::new(|| {
    let numbers = DataType::LargeList(item());
    Arc::new(Schema::new(vec![
        // The series or group, packed; null in the row that tells.
        Field::new("labels", DataType::Binary, true),
        Field::new("drop_name", DataType::Boolean, false),
        Field::new("is_group", DataType::Boolean, false),
        // A number per step; where there is none, the bits of a staleness marker.
        Field::new("value", numbers.clone(), true),
        // What groups need besides.
        Field::new("extra", numbers.clone(), true),
        Field::new("count", numbers.clone(), true),
        Field::new("mean", numbers, true),
        // A block of them may have more bytes than 32 bits count.
        Field::new("histograms", DataType::LargeBinary, true),
        Field::new("told", DataType::Binary, true),
    ]))
});

fn item() -> Arc<Field> {
    static ITEM: LazyLock<Arc<Field>> =
        LazyLock::new(|| Arc::new(Field::new("item", DataType::Float64, false)));
    Arc::clone(&ITEM)
}

/// The columns of every leaf.
pub(crate) fn schema() -> SchemaRef {
    Arc::clone(&SCHEMA)
}

/// A block as a batch.
pub(crate) fn to_batch(block: Block) -> Result<RecordBatch> {
    let (rows, steps) = (block.rows(), block.steps);
    let told = block.told.to_bytes()?;
    let mut labels = BinaryBuilder::with_capacity(rows + 1, rows * 128);
    block.labels.iter().for_each(|l| labels.append_value(l.as_packed()));
    labels.append_null();
    let is_group = block.partial.is_some();
    let Partial { extra, count, mean } = block.partial.unwrap_or_default();
    let mut drop_names = block.drop_names;
    drop_names.push(false);
    let histograms = match block.histograms.is_empty() {
        true => LargeBinaryArray::new_null(rows + 1),
        false => {
            let packed = block.histograms.iter().map(|row| pack(row)).chain([None]);
            LargeBinaryArray::from_iter(packed)
        }
    };
    let mut last = BinaryBuilder::with_capacity(rows + 1, told.len());
    (0..rows).for_each(|_| last.append_null());
    last.append_value(told);
    let columns: Vec<ArrayRef> = vec![
        Arc::new(labels.finish()),
        Arc::new(BooleanArray::from(drop_names)),
        Arc::new(BooleanArray::from(vec![is_group; rows + 1])),
        Arc::new(lists(block.values, rows, steps)),
        Arc::new(lists(extra, rows, steps)),
        Arc::new(lists(count, rows, steps)),
        Arc::new(lists(mean, rows, steps)),
        Arc::new(histograms),
        Arc::new(last.finish()),
    ];
    RecordBatch::try_new(schema(), columns)
        .map_err(|e| Error::internal(format!("cannot write a block of a leaf: {e}")))
}

/// Numbers of so many rows, or of none, and a row without.
fn lists(numbers: Vec<f64>, rows: usize, steps: usize) -> LargeListArray {
    let with = if numbers.is_empty() { 0 } else { rows };
    let lengths = (0..=rows).map(|row| if row < with { steps } else { 0 });
    let nulls = NullBuffer::from_iter((0..=rows).map(|row| row < with));
    let values = Arc::new(Float64Array::new(ScalarBuffer::from(numbers), None));
    LargeListArray::new(item(), OffsetBuffer::from_lengths(lengths), values, Some(nulls))
}

/// A batch as the block that it was.
pub(crate) fn from_batch(batch: &RecordBatch, steps: usize) -> Result<Block> {
    let odd = || Error::internal("cannot read a block of a leaf: its columns are not those of a leaf");
    let is_ours = Arc::ptr_eq(batch.schema_ref(), &SCHEMA) || batch.schema_ref().fields() == SCHEMA.fields();
    if !is_ours || batch.num_rows() == 0 {
        return Err(odd());
    }
    let rows = batch.num_rows() - 1;
    let told = batch.column(8).as_binary::<i32>();
    if told.is_null(rows) {
        return Err(odd());
    }
    let told = Told::from_bytes(told.value(rows), steps)?;
    let packed = batch.column(0).as_binary::<i32>();
    let labels = (0..rows).map(|row| Labels::from_packed(packed.value(row))).collect::<Result<_>>()?;
    let numbers = |column: usize| {
        let lists = batch.column(column).as_list::<i64>();
        let values = lists.values().as_primitive::<Float64Type>().values().clone();
        values.into_inner().into_vec::<f64>().unwrap_or_else(|shared| shared.typed_data::<f64>().to_vec())
    };
    let is_group = rows > 0 && batch.column(2).as_boolean().value(0);
    let histograms = batch.column(7).as_binary::<i64>();
    let histograms =
        match histograms.null_count() > rows {
            true => Vec::new(),
            false => (0..rows)
                .map(|row| {
                    if histograms.is_null(row) {
                        Ok(Vec::new())
                    } else {
                        unpack(histograms.value(row), steps)
                    }
                })
                .collect::<Result<_>>()?,
        };
    let block = Block {
        steps,
        labels,
        drop_names: batch.column(1).as_boolean().values().iter().take(rows).collect(),
        values: numbers(3),
        histograms,
        partial: is_group.then(|| Partial { extra: numbers(4), count: numbers(5), mean: numbers(6) }),
        told,
    };
    block.check(steps)?;
    Ok(block)
}

/// The histograms of a row: how many, the steps that have one, and the histograms as in a chunk.
fn pack(row: &[Option<Arc<Histogram>>]) -> Option<Vec<u8>> {
    let count = u32::try_from(row.iter().flatten().count()).ok().filter(|n| *n > 0)?;
    let mut out = count.to_le_bytes().to_vec();
    for (step, _) in row.iter().enumerate().filter(|(_, h)| h.is_some()) {
        out.extend(u32::try_from(step).unwrap_or(u32::MAX).to_le_bytes());
    }
    for h in row.iter().flatten() {
        let bytes = histogram::encode([&**h]);
        out.extend(u32::try_from(bytes.len()).unwrap_or(u32::MAX).to_le_bytes());
        out.extend(bytes);
    }
    Some(out)
}

fn unpack(mut bytes: &[u8], steps: usize) -> Result<Vec<Option<Arc<Histogram>>>> {
    let number = |bytes: &mut &[u8]| -> Result<usize> {
        let (head, tail) = bytes.split_first_chunk::<4>().ok_or_else(cut_off)?;
        *bytes = tail;
        Ok(u32::from_le_bytes(*head) as usize)
    };
    let count = number(&mut bytes)?;
    if count > steps {
        return Err(cut_off());
    }
    let at = (0..count).map(|_| number(&mut bytes)).collect::<Result<Vec<_>>>()?;
    let mut out = vec![None; steps];
    let mut decoded = Vec::with_capacity(1);
    for step in at {
        let length = number(&mut bytes)?;
        let (one, rest) = bytes.split_at_checked(length).ok_or_else(cut_off)?;
        bytes = rest;
        decoded.clear();
        histogram::decode(one, 1, &mut decoded)?;
        let place = out.get_mut(step).ok_or_else(cut_off)?;
        *place = decoded.pop().map(Arc::new);
    }
    Ok(out)
}

fn cut_off() -> Error {
    Error::internal("cannot read histograms of a leaf: they are cut off")
}

#[cfg(test)]
mod tests {
    use base::{CounterResetHint, STALE_NAN};

    use super::*;

    fn block() -> Block {
        let labels = |job: &str| Labels::from_pairs([("__name__", "x"), ("job", job)]);
        Block {
            steps: 2,
            labels: vec![labels("a"), labels("b")],
            drop_names: vec![true, false],
            values: vec![1.0, f64::from_bits(STALE_NAN), f64::NAN, -0.0],
            ..Block::default()
        }
    }

    fn bits(values: &[f64]) -> Vec<u64> {
        values.iter().map(|v| v.to_bits()).collect()
    }

    #[test]
    fn blocks_survive_being_batches() {
        let histogram = Histogram {
            count: 3.0,
            sum: 1.5,
            is_float: true,
            counter_reset_hint: CounterResetHint::Gauge,
            ..Histogram::default()
        };
        let histograms = vec![Vec::new(), vec![None, Some(Arc::new(histogram))]];
        let partial = Partial { extra: vec![0.5; 4], count: Vec::new(), mean: vec![f64::INFINITY; 4] };
        for block in [
            block(),
            Block { histograms, ..block() },
            Block { partial: Some(partial), ..block() },
            Block { steps: 2, ..Block::default() },
        ] {
            let want = format!("{block:?}");
            let values = bits(&block.values);
            let read = from_batch(&to_batch(block).unwrap(), 2).unwrap();
            assert_eq!((format!("{read:?}"), bits(&read.values)), (want, values));
        }
    }

    #[test]
    fn what_is_no_block_is_refused() {
        let batch = to_batch(block()).unwrap();
        assert!(from_batch(&batch, 3).is_err(), "another number of steps");
        assert!(from_batch(&batch.slice(0, 2), 2).is_err(), "nothing is told");
        assert!(from_batch(&batch.slice(0, 0), 2).is_err(), "no row");
        assert!(from_batch(&batch.project(&[0, 1]).unwrap(), 2).is_err(), "columns are missing");
        let packed = pack(&[None, Some(Arc::new(Histogram::default()))]).unwrap();
        for cut in 0..packed.len() {
            assert!(unpack(&packed[..cut], 2).is_err(), "cut at {cut}");
        }
        assert!(unpack(&packed, 1).is_err(), "a step that there is not");
    }
}
