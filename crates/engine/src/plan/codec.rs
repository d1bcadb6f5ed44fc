//! Plans of leaves as bytes: what DataFusion's own codec does not know of them.

use std::sync::Arc;

use datafusion_common::{DataFusionError, Result as PlanResult};
use datafusion_execution::TaskContext;
use datafusion_physical_plan::ExecutionPlan;
use datafusion_proto::physical_plan::{PhysicalExtensionCodec, PhysicalProtoConverterExtension};
use promql::leaf::Leaf;
use tokio::sync::OnceCell;

use super::in_order::InOrderExec;
use super::rollup::{Input, RollupExec};
use super::{failed, no_children, one_child};
use crate::limits::MAX_PARTITIONS;

/// Writes and reads the operators of leaves. The series of a plan that was read are found by whoever executes it, with the
/// [`super::SeriesFetcher`] of its session.
#[derive(Debug, Clone, Copy, Default)]
pub struct LeafCodec;

const IN_ORDER: u8 = 1;
const ROLLUP: u8 = 2;

impl PhysicalExtensionCodec for LeafCodec {
    fn try_decode(
        &self,
        buf: &[u8],
        inputs: &[Arc<dyn ExecutionPlan>],
        _: &TaskContext,
        _: &dyn PhysicalProtoConverterExtension,
    ) -> PlanResult<Arc<dyn ExecutionPlan>> {
        let leaf = |bytes| Leaf::from_bytes(bytes).map(Arc::new).map_err(failed);
        match buf {
            [IN_ORDER] => Ok(Arc::new(InOrderExec::new(one_child(inputs)?))),
            [ROLLUP, a, b, bytes @ ..] => {
                no_children(inputs)?;
                let partitions = usize::from(u16::from_le_bytes([*a, *b]));
                if !(1..=MAX_PARTITIONS).contains(&partitions) {
                    return Err(odd(&format!("it has {partitions} partitions")));
                }
                let input = Input::Wanted(Arc::new(OnceCell::new()));
                Ok(Arc::new(RollupExec::new(leaf(bytes)?, input, partitions)))
            }
            _ => Err(odd("its operator is unknown")),
        }
    }

    fn try_encode(
        &self,
        node: Arc<dyn ExecutionPlan>,
        buf: &mut Vec<u8>,
        _: &dyn PhysicalProtoConverterExtension,
    ) -> PlanResult<()> {
        if node.is::<InOrderExec>() {
            buf.push(IN_ORDER);
        } else if let Some(rollup) = node.downcast_ref::<RollupExec>() {
            let partitions =
                u16::try_from(rollup.partitions()).map_err(|_| odd("it has too many partitions"))?;
            buf.push(ROLLUP);
            buf.extend(partitions.to_le_bytes());
            buf.extend(rollup.leaf.to_bytes().map_err(failed)?);
        } else {
            return Err(odd(&format!("{} is no part of a leaf", node.name())));
        }
        Ok(())
    }
}

fn odd(why: &str) -> DataFusionError {
    failed(base::Error::invalid(format!("cannot read the plan of a leaf: {why}")))
}
