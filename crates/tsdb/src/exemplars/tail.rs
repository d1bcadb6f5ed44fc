//! Following the log of exemplars, for who passes them on.

use base::{Result, SeriesExemplar};
use lake::{Look, Mark, Position, ReaderHandle, RowTail};

use super::{ExemplarStore, rows};

/// Reads what is appended to a store.
pub struct ExemplarTail {
    rows: RowTail,
    tenant: String,
}

impl ExemplarStore {
    /// Follows the log for somebody who has a name; see [`crate::MetricStore::tail`].
    pub fn tail(&self, name: &str) -> Result<ExemplarTail> {
        Ok(ExemplarTail { rows: self.rows.tail(name)?, tenant: self.tenant.clone() })
    }

    /// Names of those who follow the log, or did and are still expected back.
    pub fn tails(&self) -> Vec<String> {
        self.rows.tails()
    }

    /// Forgets who followed the log: nothing is held for it any more.
    pub fn forget_tail(&self, name: &str) -> Result<()> {
        self.rows.forget_tail(name)
    }
}

impl ExemplarTail {
    /// Tells when there is more, and notes how far all is done.
    pub fn handle(&self) -> ReaderHandle {
        self.rows.handle()
    }

    /// How far was read.
    pub fn position(&self) -> &Position {
        self.rows.position()
    }

    /// Hands over exemplars of about `max_bytes` of the log, a record at a time: with the mark of what is done once they are, and whether
    /// an earlier tail of the same name may have given them. Blocks on files. Those that cannot be read are passed over, with an error in
    /// the log of the program.
    pub fn read(
        &mut self,
        max_bytes: usize,
        sink: &mut dyn FnMut(Vec<SeriesExemplar>, Mark, bool),
    ) -> Result<Look> {
        let tenant = &self.tenant;
        self.rows.read(max_bytes, &mut |found| {
            let decoded = match found.tenant == *tenant {
                true => rows::decode(&found.batch, |_| true),
                false => Ok(Vec::new()),
            };
            let exemplars = decoded.unwrap_or_else(|error| {
                tracing::error!("{error}");
                Vec::new()
            });
            sink(exemplars, found.mark, found.again);
            Ok(())
        })
    }
}
