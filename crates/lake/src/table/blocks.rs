//! Reading segments by blocks of rows, for who keeps them: a block is the same rows whoever asks, so that what was decoded once
//! answers the next question, too.

use std::iter;
use std::ops::Range;

use arrow::array::RecordBatch;
use arrow::compute::concat_batches;
use base::{Error, Result, TimeRange};
use futures::StreamExt;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::RowSelection;
use parquet::arrow::async_reader::ParquetRecordBatchStreamBuilder;

use super::scan::{read_error, select_rows, wants_group};
use super::{Keys, Scan, Segment, Table};

/// As many rows of a segment as a page has, and the same ones always.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Block {
    group: usize,
    first: usize,
    rows: usize,
}

impl Block {
    /// The row group that it lies in.
    pub fn group(&self) -> usize {
        self.group
    }

    /// Its first row within the group.
    pub fn first(&self) -> usize {
        self.first
    }

    /// How many rows it has.
    pub fn rows(&self) -> usize {
        self.rows
    }
}

impl Table {
    /// The blocks of a segment that may have rows with wanted keys in a range of times, as its statistics say, in order.
    pub async fn blocks(&self, segment: &Segment, keys: &Keys, range: TimeRange) -> Result<Vec<Block>> {
        if !keys.may_be_within(segment.key_bounds()) {
            return Ok(Vec::new());
        }
        let (metadata, _) = self.metadata_of(segment).await?;
        let (schema, parquet) = (metadata.parquet_schema(), metadata.metadata());
        let scan = Scan { keys: keys.clone(), ..Scan::range(Vec::new(), range) };
        let each = self.spec.layout.page_rows;
        let mut blocks = Vec::new();
        for group in 0..parquet.num_row_groups() {
            if !wants_group(&self.spec, schema, parquet.row_group(group), &scan) {
                continue;
            }
            let rows = usize::try_from(parquet.row_group(group).num_rows()).unwrap_or(0);
            let wanted = select_rows(&self.spec, schema, parquet, group, keys);
            let mut next = 0;
            for Range { start, end } in wanted.unwrap_or_else(|| iter::once(0..rows).collect()) {
                for number in (start / each).max(next)..end.div_ceil(each) {
                    let first = number * each;
                    blocks.push(Block { group, first, rows: each.min(rows - first) });
                    next = number + 1;
                }
            }
        }
        Ok(blocks)
    }

    /// Reads columns of blocks of a segment, which are in order: a batch for each of them.
    pub async fn read_blocks(
        &self,
        segment: &Segment,
        columns: &[&'static str],
        blocks: &[Block],
    ) -> Result<Vec<RecordBatch>> {
        if blocks.is_empty() {
            return Ok(Vec::new());
        }
        let (metadata, reader) = self.metadata_of(segment).await?;
        let parquet = metadata.metadata();
        let mut groups: Vec<usize> = blocks.iter().map(|b| b.group).collect();
        groups.dedup();
        let mut ranges: Vec<Range<usize>> = Vec::new();
        let mut before = 0;
        for group in &groups {
            for block in blocks.iter().filter(|b| b.group == *group) {
                ranges.push(before + block.first..before + block.first + block.rows);
            }
            before += usize::try_from(parquet.row_group(*group).num_rows()).unwrap_or(0);
        }
        let selection = RowSelection::from_consecutive_ranges(ranges.into_iter(), before);
        let mask = ProjectionMask::columns(metadata.parquet_schema(), columns.iter().copied());
        let mut batches = ParquetRecordBatchStreamBuilder::new_with_metadata(reader, (*metadata).clone())
            .with_batch_size(self.spec.layout.page_rows)
            .with_row_groups(groups)
            .with_projection(mask)
            .with_row_selection(selection)
            .build()
            .map_err(|e| read_error(segment.path(), &e))?;
        let mut cut = Cut { blocks, parts: Vec::new(), done: Vec::with_capacity(blocks.len()) };
        while let Some(batch) = batches.next().await {
            cut.add(batch.map_err(|e| read_error(segment.path(), &e))?)?;
        }
        match cut.done.len() == blocks.len() {
            true => Ok(cut.done),
            false => Err(Error::corrupt(format!(
                "cannot read segment {}: it has fewer rows than it says",
                segment.path()
            ))),
        }
    }
}

/// Cuts batches, however long they come, at the borders of blocks.
struct Cut<'a> {
    blocks: &'a [Block],
    /// What there is of the block that comes next.
    parts: Vec<RecordBatch>,
    done: Vec<RecordBatch>,
}

impl Cut<'_> {
    fn add(&mut self, mut batch: RecordBatch) -> Result<()> {
        while batch.num_rows() > 0 {
            let have: usize = self.parts.iter().map(RecordBatch::num_rows).sum();
            let Some(block) = self.blocks.get(self.done.len()) else {
                return Err(Error::internal("cannot cut rows into blocks: there are too many"));
            };
            let missing = block.rows - have;
            let taken = missing.min(batch.num_rows());
            self.parts.push(batch.slice(0, taken));
            if taken == missing {
                let schema = batch.schema();
                self.done.push(match self.parts.len() {
                    1 => self.parts.swap_remove(0),
                    _ => concat_batches(&schema, &self.parts)
                        .map_err(|e| Error::internal(format!("cannot join the parts of a block: {e}")))?,
                });
                self.parts.clear();
            }
            batch = batch.slice(taken, batch.num_rows() - taken);
        }
        Ok(())
    }
}
