//! Scanning, rolling up and grouping: chunks of series become rows of values, and these parts of groups, a block of series at a time.
//!
//! One operator, as what lies between would cost more than what it computes: decoded samples, and rows that are in no cache any more
//! once a block of them is complete.

use std::fmt;
use std::sync::Arc;

use base::{Clock, Result};
use datafusion_common::tree_node::TreeNodeRecursion;
use datafusion_common::{DataFusionError, Result as PlanResult};
use datafusion_execution::{SendableRecordBatchStream, TaskContext};
use datafusion_physical_expr::PhysicalExpr;
use datafusion_physical_plan::stream::RecordBatchStreamAdapter;
use datafusion_physical_plan::{DisplayAs, DisplayFormatType, ExecutionPlan, PlanProperties};
use futures::{StreamExt, TryStreamExt, stream};
use promql::Interrupt;
use promql::leaf::{Around, Leaf};
use tokio::sync::OnceCell;

use super::batch::{schema, to_batch};
use super::{SeriesFetcher, failed, no_children, properties};
use crate::source::FoundSeries;

/// What carrying out a leaf has around it.
#[derive(Clone)]
pub(crate) struct Surroundings {
    pub(crate) interrupt: Arc<dyn Interrupt>,
    /// By which it is measured, if somebody wants to know.
    pub(crate) clock: Option<Arc<dyn Clock>>,
}

/// The series of a leaf.
#[derive(Clone)]
pub(crate) enum Input {
    /// The query that the leaf is part of has found them.
    Found(Arc<FoundSeries>, Surroundings),
    /// Whoever executes the plan finds them, once for all partitions, with the [`SeriesFetcher`] of its session.
    Wanted(Arc<OnceCell<(Arc<FoundSeries>, Surroundings)>>),
}

/// Computes a leaf: decodes series, evaluates the function of each and brings them together, a batch per block of series. A partition takes each so many-th
/// block, so that blocks come in order if partitions are asked in turn.
pub(crate) struct RollupExec {
    pub(crate) leaf: Arc<Leaf>,
    input: Input,
    properties: Arc<PlanProperties>,
}

impl RollupExec {
    pub(crate) fn new(leaf: Arc<Leaf>, input: Input, partitions: usize) -> Self {
        Self { leaf, input, properties: properties(partitions) }
    }

    pub(crate) fn partitions(&self) -> usize {
        self.properties.partitioning.partition_count()
    }
}

impl Input {
    async fn get(&self, leaf: &Leaf, context: &TaskContext) -> PlanResult<(Arc<FoundSeries>, Surroundings)> {
        match self {
            Self::Found(series, around) => Ok((Arc::clone(series), around.clone())),
            Self::Wanted(cell) => {
                let fetch = || async {
                    let fetcher = context.session_config().get_extension::<SeriesFetcher>();
                    let fetcher = fetcher.ok_or_else(|| {
                        failed(base::Error::internal("cannot execute a leaf: the session has no store"))
                    })?;
                    fetcher.fetch(leaf.selection()).await.map_err(failed)
                };
                cell.get_or_try_init(fetch).await.cloned()
            }
        }
    }
}

impl ExecutionPlan for RollupExec {
    fn name(&self) -> &'static str {
        "RollupExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        Vec::new()
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
        no_children(&children)?;
        Ok(self)
    }

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> PlanResult<SendableRecordBatchStream> {
        let (leaf, input, partitions) = (Arc::clone(&self.leaf), self.input.clone(), self.partitions());
        let batches = async move {
            let (series, around) = input.get(&leaf, &context).await?;
            let blocks = leaf.blocks(&*series);
            let count = blocks.count();
            let compute = move |block: usize| -> Result<_> {
                let around = Around { interrupt: &*around.interrupt, clock: around.clock.as_deref() };
                to_batch(leaf.compute(&*series, blocks.at(block), around)?)
            };
            Ok::<_, DataFusionError>(
                stream::iter((partition..count).step_by(partitions))
                    .map(move |at| compute(at).map_err(failed)),
            )
        };
        let batches = stream::once(batches).try_flatten();
        Ok(Box::pin(RecordBatchStreamAdapter::new(schema(), batches)))
    }
}

impl DisplayAs for RollupExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let matchers: Vec<String> = self.leaf.selection().matchers.iter().map(ToString::to_string).collect();
        write!(f, "RollupExec: {}, {{{}}}, partitions={}", self.leaf, matchers.join(","), self.partitions())
    }
}

impl fmt::Debug for RollupExec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.fmt_as(DisplayFormatType::Default, f)
    }
}
