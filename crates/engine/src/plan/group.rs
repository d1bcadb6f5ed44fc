//! Bringing series together, as far as that can be done without the other blocks.

use std::fmt;
use std::sync::Arc;

use base::Clock;
use datafusion_common::Result as PlanResult;
use datafusion_common::tree_node::TreeNodeRecursion;
use datafusion_execution::{SendableRecordBatchStream, TaskContext};
use datafusion_physical_expr::PhysicalExpr;
use datafusion_physical_plan::stream::RecordBatchStreamAdapter;
use datafusion_physical_plan::{DisplayAs, DisplayFormatType, ExecutionPlan, PlanProperties};
use futures::TryStreamExt;
use promql::leaf::Leaf;

use super::batch::{from_batch, schema, to_batch};
use super::{failed, one_child};

/// Turns each batch of series into one of groups, which are brought together with those of other batches by the query.
pub(crate) struct GroupExec {
    pub(crate) leaf: Arc<Leaf>,
    input: Arc<dyn ExecutionPlan>,
    clock: Option<Arc<dyn Clock>>,
}

impl GroupExec {
    pub(crate) fn new(leaf: Arc<Leaf>, input: Arc<dyn ExecutionPlan>, clock: Option<Arc<dyn Clock>>) -> Self {
        Self { leaf, input, clock }
    }
}

impl ExecutionPlan for GroupExec {
    fn name(&self) -> &'static str {
        "GroupExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        self.input.properties()
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![&self.input]
    }

    fn maintains_input_order(&self) -> Vec<bool> {
        vec![true]
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
        Ok(Arc::new(Self {
            input: one_child(&children)?,
            leaf: Arc::clone(&self.leaf),
            clock: self.clock.clone(),
        }))
    }

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> PlanResult<SendableRecordBatchStream> {
        let (leaf, clock) = (Arc::clone(&self.leaf), self.clock.clone());
        let batches = self.input.execute(partition, context)?.and_then(move |batch| {
            let grouped = from_batch(&batch, leaf.steps())
                .and_then(|block| to_batch(leaf.group(block, clock.as_deref())));
            std::future::ready(grouped.map_err(failed))
        });
        Ok(Box::pin(RecordBatchStreamAdapter::new(schema(), batches)))
    }
}

impl DisplayAs for GroupExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "GroupExec: {}", self.leaf.grouping().unwrap_or_default())
    }
}

impl fmt::Debug for GroupExec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.fmt_as(DisplayFormatType::Default, f)
    }
}
