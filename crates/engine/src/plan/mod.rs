//! The leaves of queries as physical plans of DataFusion, so that threads, and one day machines, can share the work.
//!
//! A leaf is scanned, rolled up and brought together as far as a block of series allows ([`rollup`]), and taken in in order
//! ([`in_order`]); what is above it works on the reduced vectors and stays in `promql`, as do the kernels. Plans are built as
//! they are: there is nothing for an optimiser to choose. Owns the operators and their written form.

mod batch;
mod codec;
mod in_order;
mod rollup;
#[cfg(test)]
mod tests;

use std::sync::{Arc, LazyLock};

use arrow::record_batch::RecordBatch;
use base::{Error, Result};
use datafusion_common::{DataFusionError, Result as PlanResult};
use datafusion_execution::{SendableRecordBatchStream, TaskContext};
use datafusion_physical_expr::{EquivalenceProperties, Partitioning};
use datafusion_physical_plan::execution_plan::{Boundedness, EmissionType};
use datafusion_physical_plan::{ExecutionPlan, PlanProperties, displayable};
use futures::StreamExt;
use futures::future::BoxFuture;
use promql::Selection;
use promql::leaf::{Block, Leaf};
use tokio::runtime::Handle;

pub use self::codec::LeafCodec;
pub(crate) use self::in_order::InOrderExec;
pub(crate) use self::rollup::{Input, RollupExec, Surroundings};
use crate::source::FoundSeries;

/// Series found for a selection, and what their leaf has around it.
type Fetch = dyn Fn(Selection) -> BoxFuture<'static, Result<(Arc<FoundSeries>, Surroundings)>> + Send + Sync;

/// Finds what a selection of a plan that came as bytes selects. An extension of the session that executes it.
pub(crate) struct SeriesFetcher(pub(crate) Box<Fetch>);

impl SeriesFetcher {
    async fn fetch(&self, selection: &Selection) -> Result<(Arc<FoundSeries>, Surroundings)> {
        (self.0)(selection.clone()).await
    }
}

/// The plan of a leaf, for so many threads.
pub(crate) fn leaf_plan(
    leaf: &Arc<Leaf>,
    series: Arc<FoundSeries>,
    around: Surroundings,
    partitions: usize,
) -> Arc<dyn ExecutionPlan> {
    let input = Input::Found(series, around);
    let rollup = Arc::new(RollupExec::new(Arc::clone(leaf), input, partitions));
    if partitions > 1 { Arc::new(InOrderExec::new(rollup)) } else { rollup }
}

/// Executes the plan of a leaf from a thread that may wait, and hands over its blocks in order.
pub(crate) fn run(
    plan: &dyn ExecutionPlan,
    context: Arc<TaskContext>,
    steps: usize,
    absorb: &mut dyn FnMut(Block) -> Result<()>,
) -> Result<()> {
    let runtime = Handle::current();
    let mut batches = plan.execute(0, context).map_err(cause)?;
    while let Some(batch) = next(&runtime, &mut batches)? {
        absorb(batch::from_batch(&batch, steps)?)?;
    }
    Ok(())
}

/// What is absorbed may run other leaves, so that nothing is waited for meanwhile.
fn next(runtime: &Handle, batches: &mut SendableRecordBatchStream) -> Result<Option<RecordBatch>> {
    runtime.block_on(batches.next()).transpose().map_err(cause)
}

/// A plan as DataFusion shows it.
pub(crate) fn shown(plan: &dyn ExecutionPlan) -> String {
    displayable(plan).indent(false).to_string()
}

/// The surroundings of plans that bring theirs along.
pub(crate) fn task_context() -> Arc<TaskContext> {
    static CONTEXT: LazyLock<Arc<TaskContext>> = LazyLock::new(Arc::default);
    Arc::clone(&CONTEXT)
}

/// An error of ours within a plan.
fn failed(error: Error) -> DataFusionError {
    DataFusionError::External(Box::new(error))
}

/// An error of a plan: ours, if it was one of ours.
fn cause(error: DataFusionError) -> Error {
    match error {
        DataFusionError::External(ours) => match ours.downcast::<Error>() {
            Ok(ours) => *ours,
            Err(other) => Error::internal(format!("cannot execute a plan: {other}")),
        },
        other => Error::internal(format!("cannot execute a plan: {other}")),
    }
}

/// What DataFusion wants to know of an operator with so many partitions.
fn properties(partitions: usize) -> Arc<PlanProperties> {
    Arc::new(PlanProperties::new(
        EquivalenceProperties::new(batch::schema()),
        Partitioning::UnknownPartitioning(partitions),
        EmissionType::Incremental,
        Boundedness::Bounded,
    ))
}

fn one_child(children: &[Arc<dyn ExecutionPlan>]) -> PlanResult<Arc<dyn ExecutionPlan>> {
    match children {
        [child] => Ok(Arc::clone(child)),
        _ => Err(failed(Error::internal(
            "cannot put a plan together: an operator with one input got another number",
        ))),
    }
}

fn no_children(children: &[Arc<dyn ExecutionPlan>]) -> PlanResult<()> {
    match children {
        [] => Ok(()),
        _ => Err(failed(Error::internal("cannot put a plan together: a scan has no inputs"))),
    }
}
