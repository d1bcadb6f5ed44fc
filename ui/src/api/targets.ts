// Owns the shape and call of /api/v1/targets.

import * as c from './check';
import { ask, type Answer } from './client';

const labels = c.record(c.string);

const activeTarget = c.object({
  discoveredLabels: c.optional(labels, {}),
  labels,
  scrapePool: c.string,
  scrapeUrl: c.string,
  lastError: c.optional(c.string, ''),
  lastScrape: c.string,
  lastScrapeDuration: c.number,
  health: c.oneOf('up', 'down', 'unknown'),
  scrapeInterval: c.optional(c.string, ''),
  scrapeTimeout: c.optional(c.string, ''),
});

const droppedTarget = c.object({ discoveredLabels: labels, scrapePool: c.optional(c.string, '') });

const targets = c.object({
  activeTargets: c.optional(c.array(activeTarget), []),
  droppedTargets: c.optional(c.array(droppedTarget), []),
});

export type ActiveTarget = c.Checked<typeof activeTarget>;
export type DroppedTarget = c.Checked<typeof droppedTarget>;
export type Targets = c.Checked<typeof targets>;
export type Health = ActiveTarget['health'];

export function getTargets(state: 'active' | 'any', signal?: AbortSignal): Promise<Answer<Targets>> {
  return ask('/api/v1/targets', { state }, targets, signal);
}
