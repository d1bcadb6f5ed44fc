// Owns the shapes and calls that say what exists: label values and metric metadata.

import * as c from './check';
import { ask, type Answer } from './client';

const metricMetadata = c.object({ type: c.string, help: c.string, unit: c.optional(c.string, '') });

export type MetricMetadata = c.Checked<typeof metricMetadata>;

export function labelValues(label: string, match?: string, signal?: AbortSignal): Promise<Answer<string[]>> {
  return ask(`/api/v1/label/${encodeURIComponent(label)}/values`, { 'match[]': match }, c.array(c.string), signal);
}

export function labelNames(match?: string, signal?: AbortSignal): Promise<Answer<string[]>> {
  return ask('/api/v1/labels', { 'match[]': match }, c.array(c.string), signal);
}

/** Metric name → what its targets say about it; targets may disagree, hence a list. */
export function metadata(signal?: AbortSignal): Promise<Answer<Record<string, MetricMetadata[]>>> {
  return ask('/api/v1/metadata', { limit_per_metric: 1 }, c.record(c.array(metricMetadata)), signal);
}
