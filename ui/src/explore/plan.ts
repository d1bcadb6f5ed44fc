// Owns the order in which the parts of a plan are shown, and what is said of each besides its numbers.

import type { PlanNode } from '../api/explain';
import { formatSeconds, formatValue } from '../design/units';

export interface PlanRow {
  node: PlanNode;
  depth: number;
  /** Its own time as a part of all of the query's, 0 to 1. */
  share: number;
  gathered: string;
}

/** Every part behind the one that uses it. */
export function planRows(plan: PlanNode): PlanRow[] {
  const rows: PlanRow[] = [];
  const visit = (node: PlanNode, depth: number) => {
    rows.push({ node, depth, share: plan.totalSeconds > 0 ? Math.min(1, node.ownSeconds / plan.totalSeconds) : 0, gathered: gathered(node) });
    node.inputs.forEach((input) => visit(input, depth + 1));
  };
  visit(plan, 0);
  return rows;
}

function gathered({ gathered: found }: PlanNode): string {
  if (!found) return '';
  const parts = [`${formatValue(found.bytes, 'bytes')} in ${formatSeconds(found.seconds)}`];
  if (found.rollups) parts.push(`rollups of ${found.rollups.resolution}`);
  return parts.join(', ');
}
