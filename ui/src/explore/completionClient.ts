// Owns what the editor's completion asks of the server, through our own API layer and with a short memory.

import type { PrometheusClient } from '@prometheus-io/codemirror-promql';
import { labelNames, labelValues, metadata } from '../api/metadata';

const KEEP_MS = 60_000;
const MAX_KEPT = 100;

const kept = new Map<string, { untilMs: number; value: Promise<unknown> }>();

/** A completion that cannot be loaded offers nothing; the query itself will say what is wrong. */
function remembered<T>(key: string, load: () => Promise<T>, nothing: T): Promise<T> {
  const known = kept.get(key);
  if (known && known.untilMs > Date.now()) return known.value as Promise<T>;
  const value = load().catch(() => {
    kept.delete(key);
    return nothing;
  });
  if (kept.size >= MAX_KEPT) kept.clear();
  kept.set(key, { untilMs: Date.now() + KEEP_MS, value });
  return value;
}

function selector(metric?: string, matchers?: Array<{ name: string; toString: () => string }>, except?: string): string | undefined {
  const inside = (matchers ?? []).filter((m) => m.name !== except).map((m) => m.toString());
  if (!metric && inside.length === 0) return undefined;
  return `${metric ?? ''}{${inside.join(',')}}`;
}

export const completionClient: PrometheusClient = {
  labelNames: (metric) => {
    const match = selector(metric);
    return remembered(`labels ${match}`, async () => (await labelNames(match)).data, []);
  },
  labelValues: (label, metric, matchers) => {
    const match = selector(metric, matchers as never, label);
    return remembered(`values ${label} ${match}`, async () => (await labelValues(label, match)).data, []);
  },
  metricMetadata: () => remembered('metadata', async () => (await metadata()).data, {}),
  metricNames: () => remembered('names', async () => (await labelValues('__name__')).data, []),
  // Names and values of labels suffice; whole series would be thousands for a busy metric.
  series: () => Promise.resolve([]),
  flags: () => Promise.resolve({}),
};
