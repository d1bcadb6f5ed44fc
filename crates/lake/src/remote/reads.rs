//! Reading segments in blocks that stay in memory for a while.
//!
//! A request to an object store costs tens of milliseconds however little it asks for, and a selection asks for many small
//! ranges that lie close together. So whole blocks are read, neighbours in one request, and kept; segments never change.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use futures::future::{BoxFuture, Shared, WeakShared};
use futures::{FutureExt, StreamExt, TryStreamExt, stream};
use object_store::path::Path;
use object_store::{Error, ObjectStore, ObjectStoreExt, Result};
use parking_lot::Mutex;

use super::metrics::RemoteMetrics;
use crate::limits::{REMOTE_BLOCK_BYTES, REMOTE_BLOCKS_PER_REQUEST, REMOTE_CACHE_BYTES, REMOTE_READS};

/// A block: its object and its number within it.
type Key = (Path, u64);

type Request = BoxFuture<'static, std::result::Result<Vec<Bytes>, Arc<Error>>>;

/// Consecutive blocks that one request reads; whoever needs one of them waits for the same request.
struct Run {
    first: u64,
    blocks: Shared<Request>,
}

/// The cache.
#[derive(Debug)]
pub(super) struct Blocks {
    store: Arc<dyn ObjectStore>,
    state: Arc<Mutex<State>>,
    metrics: RemoteMetrics,
}

#[derive(Default)]
struct State {
    kept: HashMap<Key, Kept>,
    bytes: u64,
    uses: u64,
    /// The first block of the request that brings a block, and the request, which ends when nobody waits for it.
    under_way: HashMap<Key, (u64, WeakShared<Request>)>,
}

struct Kept {
    bytes: Bytes,
    used: u64,
}

impl std::fmt::Debug for State {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("State")
            .field("kept", &self.kept.len())
            .field("bytes", &self.bytes)
            .finish_non_exhaustive()
    }
}

impl Blocks {
    pub(super) fn new(store: Arc<dyn ObjectStore>, metrics: RemoteMetrics) -> Self {
        Self { store, state: Arc::default(), metrics }
    }

    /// The bytes of ranges of an object.
    pub(super) async fn read(&self, path: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        let mut wanted: Vec<u64> = ranges.iter().flat_map(blocks_of).collect();
        wanted.sort_unstable();
        wanted.dedup();
        let (mut blocks, runs) = self.plan(path, &wanted);
        let read = stream::iter(runs)
            .map(|run| async move { run.blocks.await.map(|blocks| (run.first, blocks)) })
            .buffered(REMOTE_READS)
            .try_collect::<Vec<_>>()
            .await;
        for (first, found) in read.map_err(|e| shared(path, e))? {
            blocks.extend((first..).zip(found));
        }
        ranges.iter().map(|range| cut(path, range, &blocks)).collect()
    }

    /// What is in memory, and the requests that bring the rest.
    fn plan(&self, path: &Path, wanted: &[u64]) -> (HashMap<u64, Bytes>, Vec<Run>) {
        // Outlives the lock: the last to let go of a request takes the lock to take it off the list.
        let mut runs: Vec<Run> = Vec::new();
        let mut found: HashMap<u64, Bytes> = HashMap::new();
        let mut state = self.state.lock();
        let mut missing: Vec<Range<u64>> = Vec::new();
        for block in wanted {
            let key = (path.clone(), *block);
            if let Some(bytes) = state.get(&key) {
                found.insert(*block, bytes);
            } else if let Some(run) = state.join(&key) {
                runs.push(run);
            } else {
                match missing.last_mut() {
                    Some(run) if run.end == *block && run.end - run.start < REMOTE_BLOCKS_PER_REQUEST => {
                        run.end += 1;
                    }
                    _ => missing.push(*block..*block + 1),
                }
            }
        }
        self.metrics.cache_hits.inc_by(found.len() as u64);
        for run in missing {
            self.metrics.cache_misses.inc_by(run.end - run.start);
            let started =
                Run { first: run.start, blocks: self.request(path.clone(), run.clone()).boxed().shared() };
            for block in run {
                if let Some(request) = started.blocks.downgrade() {
                    state.under_way.insert((path.clone(), block), (started.first, request));
                }
            }
            runs.push(started);
        }
        drop(state);
        runs.sort_by_key(|run| run.first);
        runs.dedup_by_key(|run| run.first);
        (found, runs)
    }

    /// Reads consecutive blocks and keeps them.
    fn request(
        &self,
        path: Path,
        run: Range<u64>,
    ) -> impl Future<Output = std::result::Result<Vec<Bytes>, Arc<Error>>> + Send + 'static {
        let (store, state, metrics) = (self.store.clone(), self.state.clone(), self.metrics.clone());
        // Also when all who wait for it are gone and the request with them, the blocks must be asked for anew.
        let mark = UnderWay { state, path: path.clone(), run: run.clone() };
        async move {
            // The object may end before the last block does; then less comes back.
            let bytes =
                store.get_range(&path, run.start * REMOTE_BLOCK_BYTES..run.end * REMOTE_BLOCK_BYTES).await;
            let bytes = super::store::count(&metrics, "get", bytes).map_err(Arc::new)?;
            let size = usize::try_from(REMOTE_BLOCK_BYTES).expect("a block fits into memory");
            // Copied, so that one kept block does not hold on to its neighbours.
            let blocks: Vec<Bytes> = bytes.chunks(size).map(Bytes::copy_from_slice).collect();
            let mut state = mark.state.lock();
            for (block, bytes) in run.zip(&blocks) {
                metrics.cache_evictions.inc_by(state.keep((path.clone(), block), bytes.clone()));
            }
            drop(state);
            drop(mark);
            Ok(blocks)
        }
    }
}

/// A request under way, until it ends or nobody waits for it any more.
struct UnderWay {
    state: Arc<Mutex<State>>,
    path: Path,
    run: Range<u64>,
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        let mut state = self.state.lock();
        for block in self.run.clone() {
            state.under_way.remove(&(self.path.clone(), block));
        }
    }
}

impl State {
    fn get(&mut self, key: &Key) -> Option<Bytes> {
        self.uses += 1;
        let now = self.uses;
        let kept = self.kept.get_mut(key)?;
        kept.used = now;
        Some(kept.bytes.clone())
    }

    /// A request that brings the block already.
    fn join(&self, key: &Key) -> Option<Run> {
        let (first, request) = self.under_way.get(key)?;
        Some(Run { first: *first, blocks: request.upgrade()? })
    }

    /// Keeps a block; returns how many others had to go.
    fn keep(&mut self, key: Key, bytes: Bytes) -> u64 {
        self.uses += 1;
        self.bytes += bytes.len() as u64;
        if let Some(old) = self.kept.insert(key, Kept { bytes, used: self.uses }) {
            self.bytes -= old.bytes.len() as u64;
        }
        let mut gone = 0;
        while self.bytes > REMOTE_CACHE_BYTES {
            let oldest = self.kept.iter().min_by_key(|(_, k)| k.used).map(|(key, _)| key.clone());
            let Some(old) = oldest.and_then(|key| self.kept.remove(&key)) else { break };
            self.bytes -= old.bytes.len() as u64;
            gone += 1;
        }
        gone
    }
}

fn blocks_of(range: &Range<u64>) -> Range<u64> {
    range.start / REMOTE_BLOCK_BYTES..range.end.div_ceil(REMOTE_BLOCK_BYTES)
}

/// Puts a range together from the blocks that it lies in.
fn cut(path: &Path, range: &Range<u64>, blocks: &HashMap<u64, Bytes>) -> Result<Bytes> {
    let mut whole = BytesMut::new();
    let mut at = range.start;
    while at < range.end {
        let (block, offset) = (at / REMOTE_BLOCK_BYTES, at % REMOTE_BLOCK_BYTES);
        let end = range.end.min((block + 1) * REMOTE_BLOCK_BYTES);
        let (from, to) = (position(offset), position(end - block * REMOTE_BLOCK_BYTES));
        let part = blocks.get(&block).filter(|b| b.len() >= to).ok_or_else(|| Error::Generic {
            store: "blocks",
            source: format!("object {path} ends before byte {end}").into(),
        })?;
        if at == range.start && end == range.end {
            return Ok(part.slice(from..to));
        }
        whole.extend_from_slice(&part[from..to]);
        at = end;
    }
    Ok(whole.freeze())
}

fn position(offset: u64) -> usize {
    usize::try_from(offset).expect("a block fits into memory")
}

/// An error that several readers get.
fn shared(path: &Path, e: Arc<Error>) -> Error {
    let is_gone = matches!(*e, Error::NotFound { .. });
    let source: Box<dyn std::error::Error + Send + Sync> = Box::new(SharedError(e));
    if is_gone {
        return Error::NotFound { path: path.to_string(), source };
    }
    Error::Generic { store: "blocks", source }
}

#[derive(Debug)]
struct SharedError(Arc<Error>);

impl std::fmt::Display for SharedError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.0)
    }
}

impl std::error::Error for SharedError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&*self.0)
    }
}

#[cfg(test)]
mod tests {
    use object_store::memory::InMemory;

    use super::*;

    const PATH: &str = "tables/x/tenant=t/date=2026-01-01/a.parquet";

    async fn filled(bytes: usize) -> (Blocks, Vec<u8>) {
        let store = Arc::new(InMemory::new());
        let content: Vec<u8> = (0..bytes).map(|i| (i % 251) as u8).collect();
        store.put(&Path::from(PATH), content.clone().into()).await.unwrap();
        (Blocks::new(store, RemoteMetrics::new().unwrap()), content)
    }

    #[tokio::test]
    async fn gives_exactly_the_bytes_and_asks_for_each_block_once() {
        let (blocks, content) = filled(5_500_000).await;
        let path = Path::from(PATH);
        let ranges = [0..10, 100..2_500_000, 1_048_570..1_048_580, 5_499_990..5_500_000, 7..7];
        for round in 0..2 {
            let read = blocks.read(&path, &ranges).await.unwrap();
            for (range, bytes) in ranges.iter().zip(&read) {
                let want = &content[range.start as usize..range.end as usize];
                assert!(bytes == want, "round {round}: {range:?}");
            }
        }
        // Blocks 0 to 2 in one request, block 5 in another; the second round has all four.
        assert_eq!(blocks.metrics.requests_total(), 2);
        assert_eq!((blocks.metrics.cache_misses.get(), blocks.metrics.cache_hits.get()), (4, 4));
        let beyond = blocks.read(&path, std::slice::from_ref(&(5_499_990..5_500_001))).await.unwrap_err();
        assert!(beyond.to_string().contains("ends before"), "{beyond}");
    }

    #[tokio::test]
    async fn readers_of_the_same_blocks_share_a_request() {
        let (blocks, _) = filled(3_000_000).await;
        let path = Path::from(PATH);
        let one = blocks.plan(&path, &[0, 1]);
        let two = blocks.plan(&path, &[1, 2]);
        assert_eq!((one.1.len(), two.1.len()), (1, 2), "the second waits for the first and reads one itself");
        assert_eq!(blocks.state.lock().under_way.len(), 3);
        drop((one, two));
        assert!(blocks.state.lock().under_way.is_empty(), "nobody waits any more");
        let gone =
            blocks.read(&Path::from("tables/x/tenant=t/gone.parquet"), &[0..1, 5..6]).await.unwrap_err();
        assert!(matches!(gone, Error::NotFound { .. }), "{gone}");
    }

    #[tokio::test]
    async fn memory_is_bounded() {
        let count = REMOTE_CACHE_BYTES / REMOTE_BLOCK_BYTES + 5;
        let (blocks, _) = filled(position(count * REMOTE_BLOCK_BYTES)).await;
        let path = Path::from(PATH);
        for block in 0..count {
            let first_byte = block * REMOTE_BLOCK_BYTES..block * REMOTE_BLOCK_BYTES + 1;
            blocks.read(&path, std::slice::from_ref(&first_byte)).await.unwrap();
        }
        let state = blocks.state.lock();
        assert_eq!((state.bytes, blocks.metrics.cache_evictions.get()), (REMOTE_CACHE_BYTES, 5));
        assert!(state.under_way.is_empty());
    }
}
