//! Queries that wait or run, and the record of those that ended.
//!
//! Owns neither where records go nor how they are written: whoever wants them gives a [`QueryLog`].

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::{Mutex, RwLock};
use promql::{Grid, QueryStats};

use crate::limits::ACTIVE_QUERY_BYTES;
use crate::query::{QueryFailure, QueryOptions, QueryReply, Timings};
use crate::query_file::QueryFile;
use crate::{Engine, clip};

/// Who asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum QueryOrigin {
    /// A request.
    Http {
        /// The client's address, without the port.
        client_ip: String,
        /// The method.
        method: String,
        /// The path.
        path: String,
    },
    /// A group of rules.
    RuleGroup {
        /// The group.
        name: String,
        /// The file that it stands in.
        file: String,
    },
}

/// A query that waits or runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ActiveQuery {
    /// Its number, counted from the start of the process.
    pub id: u64,
    /// Its text; a very long one is cut.
    pub query: String,
    /// When it came, in milliseconds since the epoch.
    pub since_ms: i64,
    /// For how long it has been waiting or running.
    pub elapsed: Duration,
    /// First step, last step and step in milliseconds; step is zero for a query of one time.
    pub grid: (i64, i64, i64),
    /// Who asked, if that is known.
    pub origin: Option<QueryOrigin>,
}

/// A query that ended.
#[derive(Debug)]
pub struct QueryRecord<'a> {
    /// When it ended, in milliseconds since the epoch.
    pub at_ms: i64,
    /// Its text.
    pub query: &'a str,
    /// First step, last step and step in milliseconds; step is zero for a query of one time.
    pub grid: (i64, i64, i64),
    /// Why it has no result, if it has none.
    pub error: Option<String>,
    /// How long it took; without a result only in total.
    pub timings: Timings,
    /// What it cost; nothing is known of one without a result.
    pub stats: QueryStats,
    /// Who asked, if that is known.
    pub origin: Option<&'a QueryOrigin>,
}

/// Takes the records of queries. Called on the thread of the query, so it may not wait.
pub trait QueryLog: Send + Sync {
    /// Called once for each query whose text could be read, when it has ended.
    fn record(&self, record: &QueryRecord<'_>);
}

/// What is known of queries as they run.
#[derive(Default)]
pub(crate) struct Watch {
    active: Mutex<Active>,
    file: Option<QueryFile>,
    log: RwLock<Option<Arc<dyn QueryLog>>>,
}

#[derive(Default)]
struct Active {
    last_id: u64,
    queries: BTreeMap<u64, Entry>,
}

struct Entry {
    query: String,
    since_ms: i64,
    started: Duration,
    grid: (i64, i64, i64),
    origin: Option<QueryOrigin>,
}

/// A query is listed as long as this lives.
struct Listed<'a> {
    watch: &'a Watch,
    id: u64,
}

impl Drop for Listed<'_> {
    fn drop(&mut self) {
        self.watch.active.lock().queries.remove(&self.id);
        if let Some(file) = &self.watch.file {
            file.remove(self.id);
        }
    }
}

/// A query that is recorded at its end, or when whoever asked has left, which drops this.
struct Recorded<'a> {
    engine: &'a Engine,
    query: &'a str,
    grid: (i64, i64, i64),
    started: Duration,
    options: &'a QueryOptions,
    is_left: bool,
}

impl Recorded<'_> {
    fn end(mut self, result: &Result<QueryReply, QueryFailure>) {
        self.is_left = false;
        match result {
            Ok(reply) => self.record(None, reply.timings, reply.output.stats.clone()),
            Err(QueryFailure::Execute(e)) => self.fail(e.message()),
            Err(QueryFailure::Rejected(_)) => {}
        }
    }

    fn fail(&self, error: &str) {
        let total = self.engine.clock.monotonic().saturating_sub(self.started);
        let timings = Timings { total, ..Timings::default() };
        self.record(Some(error.to_owned()), timings, QueryStats::default());
    }

    fn record(&self, error: Option<String>, timings: Timings, stats: QueryStats) {
        let Some(log) = self.engine.watch.log.read().clone() else { return };
        let (query, grid, origin) = (self.query, self.grid, self.options.origin.as_ref());
        let at_ms = self.engine.clock.now_ms();
        log.record(&QueryRecord { at_ms, query, grid, error, timings, stats, origin });
    }
}

impl Drop for Recorded<'_> {
    fn drop(&mut self) {
        if self.is_left {
            self.fail("query was canceled: the client left");
        }
    }
}

impl Watch {
    /// Keeps the queries under way in a file as well.
    pub(crate) fn set_file(&mut self, file: QueryFile) {
        self.file = Some(file);
    }
}

impl Engine {
    /// The queries that wait or run, in the order in which they came.
    pub fn active_queries(&self) -> Vec<ActiveQuery> {
        let now = self.clock.monotonic();
        let active = self.watch.active.lock();
        let show = |(id, e): (&u64, &Entry)| ActiveQuery {
            id: *id,
            query: e.query.clone(),
            since_ms: e.since_ms,
            elapsed: now.saturating_sub(e.started),
            grid: e.grid,
            origin: e.origin.clone(),
        };
        active.queries.iter().map(show).collect()
    }

    /// Gives the records of queries to a log from now on, or to none.
    pub fn set_query_log(&self, log: Option<Arc<dyn QueryLog>>) {
        *self.watch.log.write() = log;
    }

    /// Runs a query that is listed meanwhile, and recorded at its end.
    pub(crate) async fn watched(
        &self,
        query: &str,
        grid: Grid,
        instant: bool,
        options: &QueryOptions,
    ) -> Result<QueryReply, QueryFailure> {
        let step_ms = if instant { 0 } else { grid.step_ms };
        let shown = (grid.start_ms, grid.end_ms, step_ms);
        let started = self.clock.monotonic();
        let listed = self.list(query, shown, started, options);
        let recorded = Recorded { engine: self, query, grid: shown, started, options, is_left: true };
        let result = Box::pin(self.run(query, grid, instant, options)).await;
        drop(listed);
        recorded.end(&result);
        result
    }

    fn list(
        &self,
        query: &str,
        grid: (i64, i64, i64),
        started: Duration,
        options: &QueryOptions,
    ) -> Listed<'_> {
        let since_ms = self.clock.now_ms();
        let entry = Entry {
            query: clip(query, ACTIVE_QUERY_BYTES).to_owned(),
            since_ms,
            started,
            grid,
            origin: options.origin.clone(),
        };
        let id = {
            let mut active = self.watch.active.lock();
            active.last_id += 1;
            let id = active.last_id;
            active.queries.insert(id, entry);
            id
        };
        if let Some(file) = &self.watch.file {
            file.add(id, query, since_ms);
        }
        Listed { watch: &self.watch, id }
    }
}
