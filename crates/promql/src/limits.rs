//! Bounds on what a query may cost, each with its reason.

use std::time::Duration;

/// How deep the syntax tree of a query may be, counting operators, calls, parentheses and duration arithmetic.
///
/// Parsing, printing and evaluating recurse over the tree, on stacks as small as the 2 MiB of a runtime's worker.
/// Nested calls cost the most: measured with evaluation, 3 KiB a level with optimisation and 14 KiB without. The limit
/// leaves half of the stack, without optimisation a third, to what called. Queries written by hand stay below ten
/// levels; generated ones reach about a hundred, by long chains of `or`.
pub const MAX_QUERY_DEPTH: usize = if cfg!(debug_assertions) { 100 } else { 350 };

/// How old a sample may be and still count as its series' present value, as in Prometheus (`--query.lookback-delta`).
pub const DEFAULT_LOOKBACK: Duration = Duration::from_secs(5 * 60);

/// The step of subqueries that give none; Prometheus uses its global evaluation interval, by default a minute.
pub const DEFAULT_SUBQUERY_STEP: Duration = Duration::from_secs(60);

/// Samples that a query may hold at a time, as in Prometheus (`--query.max-samples`): 800 MB of them at 16 bytes.
pub const DEFAULT_MAX_SAMPLES: u64 = 50_000_000;

/// Columns have a cell for every step, with a sample in it or not. A query may hold so many cells for each sample that
/// it may hold, so that sparse series over many steps are bounded as well.
pub const CELLS_PER_SAMPLE: u64 = 4;

/// Bytes of a sample that is held, and of a cell of a column.
pub const SAMPLE_BYTES: u64 = 16;

/// See [`SAMPLE_BYTES`].
pub const CELL_BYTES: u64 = 8;

/// Change of what an evaluation holds, in bytes, after which it tells: often enough to stop in time, too seldom to cost anything.
pub const TELL_BYTES: u64 = 1 << 20;

/// Samples that a query of a script may hold at a time, as in Prometheus' own runs of scripts: one that forgets to let go is found.
pub const SCRIPT_MAX_SAMPLES: u64 = 10_000;

/// Samples or cells of the series that are computed at a time before they are taken in, 2 MiB of cells: enough that taking over
/// from each other costs threads little, and little enough that memory still follows the result.
pub const BLOCK_CELLS: usize = 1 << 18;

/// Bytes of a block's rows, unless a single one takes more.
pub const BLOCK_BYTES: usize = BLOCK_CELLS * CELL_BYTES as usize;

/// Series that are computed at a time, at most.
pub const BLOCK_SERIES: usize = 4096;

/// Series that are computed at a time, at least, however many samples they have. Their rows have no more than [`BLOCK_CELLS`] cells, but
/// for a single series; a native histogram counts as a cell for each byte that it takes encoded, for decoded it takes some eight.
pub const MIN_BLOCK_SERIES: usize = 16;

/// Bytes of a leaf that comes from elsewhere, at most: numbers of functions at as many steps as a query may have, in their longest form.
pub const MAX_LEAF_BYTES: usize = 16 << 20;

/// Steps of a leaf that comes from elsewhere, at most: 8 MiB a row. Queries of the API have 11,000, subqueries more.
pub const MAX_LEAF_STEPS: usize = 1 << 20;

/// Bytes of what computing a block tells that comes from elsewhere, at most, besides [`TOLD_STEP_BYTES`] for each of its steps: names of
/// 4096 metrics, each of them several thousand bytes long, in an annotation each.
pub const MAX_TOLD_BYTES: usize = 32 << 20;

/// Bytes of what is counted for a step: two numbers in their longest form with their names.
pub const TOLD_STEP_BYTES: usize = 64;

/// Annotations that computing a block tells that comes from elsewhere, at most, besides two for each of its steps, whose arguments may all be odd: as
/// many as there are kinds of them, for each of its series.
pub const MAX_TOLD_ANNOTATIONS: usize = 32 * BLOCK_SERIES;

/// What a number may be at most that computing a block tells and that comes from elsewhere: more samples than any disk holds, and few
/// enough that sums over millions of blocks do not overflow.
pub const MAX_TOLD_NUMBER: u64 = 1 << 40;

/// Filters of a leaf, at most: more comparisons than anybody writes one after the other.
pub const MAX_LEAF_FILTERS: usize = 8;
