// Owns the shapes and calls of /api/v1/status/*. Build, runtime and flags are shown as the server gives them, key by key.

import * as c from './check';
import { ask, type Answer } from './client';

export type Facts = Record<string, unknown>;

const facts: c.Check<Facts> = c.record(c.unknown);
const counts = c.optional(c.array(c.object({ name: c.string, value: c.number })), []);

const tsdb = c.object({
  headStats: c.optional<Facts>(facts, {}),
  seriesCountByMetricName: counts,
  labelValueCountByLabelName: counts,
  memoryInBytesByLabelName: counts,
  seriesCountByLabelValuePair: counts,
});

export type TsdbStatus = c.Checked<typeof tsdb>;

export function getFacts(what: 'buildinfo' | 'runtimeinfo' | 'flags', signal?: AbortSignal): Promise<Answer<Facts>> {
  return ask(`/api/v1/status/${what}`, {}, facts, signal);
}

export function getTsdb(signal?: AbortSignal): Promise<Answer<TsdbStatus>> {
  return ask('/api/v1/status/tsdb', {}, tsdb, signal);
}
