//! Following the log of a table of rows: every batch that is appended, once and in order, for who passes them on.

use arrow::array::RecordBatch;
use base::Result;

use super::{RowStore, record};
use crate::table::TableSpec;
use crate::wal::{LogReader, Look, Mark, Position, ReaderHandle};

/// Reads what is appended to a store.
pub struct RowTail {
    reader: LogReader,
    spec: TableSpec,
}

/// Rows that were appended together.
#[derive(Debug)]
pub struct TailedRows {
    /// Whose they are.
    pub tenant: String,
    /// The rows, with the table's columns.
    pub batch: RecordBatch,
    /// How far the log is done once they are.
    pub mark: Mark,
    /// An earlier tail of the same name may have given them.
    pub again: bool,
}

impl RowStore {
    /// Follows the log for somebody who has a name. A new one begins with what is appended from now on; a known one goes on behind
    /// what was [done](ReaderHandle::done), as long as the log is held for it.
    pub fn tail(&self, name: &str) -> Result<RowTail> {
        Ok(RowTail { reader: self.wal.reader(name)?, spec: self.table.spec().clone() })
    }

    /// Names of those who follow the log, or did and are still expected back.
    pub fn tails(&self) -> Vec<String> {
        self.wal.readers()
    }

    /// Forgets who followed the log: nothing is held for it any more.
    pub fn forget_tail(&self, name: &str) -> Result<()> {
        self.wal.forget_reader(name)
    }
}

impl RowTail {
    /// Tells when there is more, and notes how far all is done.
    pub fn handle(&self) -> ReaderHandle {
        self.reader.handle()
    }

    /// How far was read.
    pub fn position(&self) -> &Position {
        self.reader.position()
    }

    /// Hands over rows of about `max_bytes` of the log. Blocks on files. A batch that cannot be read is passed over, with an error in the
    /// log of the program.
    pub fn read(&mut self, max_bytes: usize, sink: &mut dyn FnMut(TailedRows) -> Result<()>) -> Result<Look> {
        let Self { reader, spec } = self;
        reader.read(max_bytes, &mut |found| {
            // Batches stand for themselves: nothing refers to those that are known.
            if found.known {
                return Ok(());
            }
            let read = record::decode(found.payload)
                .and_then(|(tenant, batch)| Ok((tenant, record::adapt(spec, &batch)?)));
            let (tenant, batch) = match read {
                Ok(read) => read,
                Err(error) => {
                    tracing::error!("{error}");
                    (String::new(), RecordBatch::new_empty(spec.schema.clone()))
                }
            };
            sink(TailedRows { tenant, batch, mark: found.mark, again: found.again })
        })
    }
}
