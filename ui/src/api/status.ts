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

const remoteWrite = c.object({
  endpoints: c.array(c.object({
    name: c.string,
    url: c.string,
    /** Absent while nothing was sent although there was something to send. */
    behindSeconds: c.optional<number | undefined>(c.number, undefined),
    pending: c.number,
    failed: c.number,
    shards: c.number,
    lastError: c.string,
    lastErrorTime: c.optional(c.string, ''),
  })),
});

export type TsdbStatus = c.Checked<typeof tsdb>;

export function getFacts(what: 'buildinfo' | 'runtimeinfo' | 'flags', signal?: AbortSignal): Promise<Answer<Facts>> {
  return ask(`/api/v1/status/${what}`, {}, facts, signal);
}

export type RemoteWriteEndpoint = c.Checked<typeof remoteWrite>['endpoints'][number];

export function getRemoteWrite(signal?: AbortSignal): Promise<Answer<c.Checked<typeof remoteWrite>>> {
  return ask('/api/v1/status/remote_write', {}, remoteWrite, signal);
}

export function getTsdb(signal?: AbortSignal): Promise<Answer<TsdbStatus>> {
  return ask('/api/v1/status/tsdb', {}, tsdb, signal);
}
