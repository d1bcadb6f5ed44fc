// Owns the shape and the call of /api/v1/explain: what each part of a query gave and took.

import * as c from './check';
import { ask, type Answer } from './client';
import type { Grid } from './query';

const read = c.object({ series: c.number, samples: c.number, seconds: c.number });
const rollups = c.object({ resolution: c.string, series: c.number });
const gathered = c.object({ series: c.number, rollups: c.optional<c.Checked<typeof rollups> | null>(rollups, null), bytes: c.number, seconds: c.number });

export interface PlanNode {
  operator: string;
  steps: number;
  series: number;
  points: number;
  totalSeconds: number;
  ownSeconds: number;
  read: c.Checked<typeof read> | null;
  gathered: c.Checked<typeof gathered> | null;
  inputs: PlanNode[];
}

const node: c.Check<PlanNode> = (value, path) => ({
  ...c.object({
    operator: c.string,
    steps: c.number,
    series: c.number,
    points: c.number,
    totalSeconds: c.number,
    ownSeconds: c.number,
    read: c.optional<c.Checked<typeof read> | null>(read, null),
    gathered: c.optional<c.Checked<typeof gathered> | null>(gathered, null),
  })(value, path),
  inputs: c.array(node)((value as { inputs?: unknown }).inputs, `${path}.inputs`),
});

const explained = c.object({
  plan: node,
  timings: c.object({ queueSeconds: c.number, gatherSeconds: c.number, evaluateSeconds: c.number, totalSeconds: c.number }),
  result: c.object({ series: c.number, points: c.number, samples: c.number, peakSamples: c.number }),
});

export type Explained = c.Checked<typeof explained>;

export function explainRange(query: string, grid: Grid, signal?: AbortSignal): Promise<Answer<Explained>> {
  return ask('/api/v1/explain', { query, start: grid.startSec, end: grid.endSec, step: grid.stepSec }, explained, signal);
}
