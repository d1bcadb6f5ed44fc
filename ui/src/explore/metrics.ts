// Owns what there is to query: metric names joined with what their targets say about them, and the search in both.

import { useQuery } from '@tanstack/react-query';
import { useMemo } from 'react';
import { labelValues, metadata, type MetricMetadata } from '../api/metadata';

export interface Metric {
  name: string;
  meta: MetricMetadata | undefined;
}

const KEEP_MS = 60_000;

/** Metadata is kept by family; the series of histograms, summaries and OpenMetrics counters have suffixes. */
export function joinMetadata(names: string[], meta: Record<string, MetricMetadata[]>): Metric[] {
  return names.map((name) => {
    const family = meta[name] ?? meta[name.replace(/_(bucket|sum|count|total|created|info)$/, '')];
    return { name, meta: family?.[0] };
  });
}

/** Every word in the name or the help; matches in the name come first, and there those at its start. */
export function searchMetrics(metrics: Metric[], text: string): Metric[] {
  const words = text.toLowerCase().split(/\s+/).filter((word) => word !== '');
  if (words.length === 0) return metrics;
  const scored = metrics.flatMap((metric) => {
    const name = metric.name.toLowerCase();
    const help = (metric.meta?.help ?? '').toLowerCase();
    if (!words.every((word) => name.includes(word) || help.includes(word))) return [];
    const inName = words.every((word) => name.includes(word));
    return [{ metric, rank: name.startsWith(words[0]!) ? 0 : inName ? 1 : 2 }];
  });
  return scored.sort((a, b) => a.rank - b.rank).map((s) => s.metric);
}

export function useMetrics(enabled = true) {
  const names = useQuery({ queryKey: ['metric names'], queryFn: ({ signal }) => labelValues('__name__', undefined, signal), staleTime: KEEP_MS, enabled });
  const meta = useQuery({ queryKey: ['metadata'], queryFn: ({ signal }) => metadata(signal), staleTime: KEEP_MS, enabled });
  const joined = useMemo(() => (names.data ? joinMetadata(names.data.data, meta.data?.data ?? {}) : undefined), [names.data, meta.data]);
  return { metrics: joined, error: names.error };
}
