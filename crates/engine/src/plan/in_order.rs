//! Several threads, one order: partitions run at the same time, and their batches are handed on in turn.

use std::fmt;
use std::sync::Arc;

use arrow::record_batch::RecordBatch;
use datafusion_common::Result as PlanResult;
use datafusion_common::tree_node::TreeNodeRecursion;
use datafusion_execution::{SendableRecordBatchStream, TaskContext};
use datafusion_physical_expr::PhysicalExpr;
use datafusion_physical_plan::stream::RecordBatchStreamAdapter;
use datafusion_physical_plan::{DisplayAs, DisplayFormatType, ExecutionPlan, PlanProperties};
use futures::{StreamExt, stream};
use tokio::runtime::Handle;
use tokio::sync::mpsc::{Receiver, channel};
use tokio::task::JoinHandle;

use super::batch::schema;
use super::{failed, one_child, properties};
use crate::limits::PARTITION_BATCHES;

/// Runs each partition of its input on a thread of its own and hands on one batch of each after the other, so that what came in turn
/// comes in turn again.
pub(crate) struct InOrderExec {
    input: Arc<dyn ExecutionPlan>,
    properties: Arc<PlanProperties>,
}

impl InOrderExec {
    pub(crate) fn new(input: Arc<dyn ExecutionPlan>) -> Self {
        Self { input, properties: properties(1) }
    }
}

/// A partition that runs.
struct Running {
    batches: Receiver<PlanResult<RecordBatch>>,
    /// `None` once it has ended.
    thread: Option<JoinHandle<()>>,
}

impl Running {
    fn start(mut from: SendableRecordBatchStream) -> Self {
        let (to, batches) = channel(PARTITION_BATCHES);
        let runtime = Handle::current();
        let work = move || {
            runtime.block_on(async {
                while let Some(batch) = from.next().await {
                    // Whoever no longer listens does not want the rest.
                    if to.send(batch).await.is_err() {
                        return;
                    }
                }
            });
        };
        Self { batches, thread: Some(tokio::task::spawn_blocking(work)) }
    }

    async fn next(&mut self) -> Option<PlanResult<RecordBatch>> {
        if let Some(batch) = self.batches.recv().await {
            return Some(batch);
        }
        // An end that is none would look like one.
        let ended = self.thread.take()?.await;
        ended
            .err()
            .map(|e| Err(failed(base::Error::internal(format!("cannot compute a part of the query: {e}")))))
    }
}

impl ExecutionPlan for InOrderExec {
    fn name(&self) -> &'static str {
        "InOrderExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![&self.input]
    }

    fn benefits_from_input_partitioning(&self) -> Vec<bool> {
        vec![false]
    }

    fn apply_expressions(
        &self,
        _: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> PlanResult<TreeNodeRecursion>,
    ) -> PlanResult<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn with_new_children(
        self: Arc<Self>,
        children: Vec<Arc<dyn ExecutionPlan>>,
    ) -> PlanResult<Arc<dyn ExecutionPlan>> {
        Ok(Arc::new(Self::new(one_child(&children)?)))
    }

    fn execute(&self, _: usize, context: Arc<TaskContext>) -> PlanResult<SendableRecordBatchStream> {
        let partitions = self.input.properties().partitioning.partition_count();
        let inputs = (0..partitions).map(|p| self.input.execute(p, Arc::clone(&context)));
        let running = inputs.map(|input| input.map(Running::start)).collect::<PlanResult<Vec<_>>>()?;
        let batches = stream::unfold((running, 0, 0), |(mut running, mut at, mut ended)| async move {
            // The first that ends is the last that had a batch, but for faults, which the others tell.
            while ended < running.len() {
                let place = at % running.len();
                at += 1;
                match running[place].next().await {
                    Some(batch) => return Some((batch, (running, at, 0))),
                    None => ended += 1,
                }
            }
            None
        });
        Ok(Box::pin(RecordBatchStreamAdapter::new(schema(), batches)))
    }
}

impl DisplayAs for InOrderExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("InOrderExec")
    }
}

impl fmt::Debug for InOrderExec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.fmt_as(DisplayFormatType::Default, f)
    }
}
