// Owns asking for the data of graphs: range queries that follow the clock, and their merging into one frame.

import { useQuery } from '@tanstack/react-query';
import { useMemo } from 'react';
import { queryRange, type Grid, type MatrixElement } from '../api/query';
import { now } from '../time/clock';
import { resolve } from '../time/range';
import { alignedGrid } from '../time/step';
import { LIVE } from '../time/useAutoRefresh';
import { useTimeRange } from '../time/useTimeRange';
import { gridTimes, legendText, onGrid, type Frame, type FrameSeries } from './frame';

export interface FrameQuery {
  expr: string;
  /** Legend with "{{label}}" places; absent: the series as PromQL writes it. */
  legend?: string;
  mirror?: boolean;
}

interface Matrices {
  grid: Grid;
  elements: MatrixElement[][];
  warnings: string[];
  infos: string[];
  tookMs: number;
}

export interface FrameState {
  frame: Frame | undefined;
  answer: Matrices | undefined;
  error: Error | null;
  fetching: boolean;
}

export interface FrameOptions {
  stepSec: number;
  /** What the graph is about: while this stays, the old data stay on screen until the new ones are there. */
  identity: string;
  enabled?: boolean;
}

/** Past this the browser stalls, and no one reads so many lines; the table still has them all. */
export const MAX_DRAWN_SERIES = 250;

export function toFrame(queries: FrameQuery[], { grid, elements }: Pick<Matrices, 'grid' | 'elements'>): Frame {
  const times = gridTimes(grid);
  const series: FrameSeries[] = [];
  elements.forEach((matrix, q) => {
    const query = queries[q];
    for (const element of matrix.slice(0, MAX_DRAWN_SERIES)) {
      series.push({
        name: legendText(query?.legend, element.metric),
        labels: element.metric,
        values: onGrid(element, grid, times.length),
        color: series.length,
        mirror: query?.mirror ?? false,
      });
    }
  });
  return { grid, times, series };
}

async function fetchAll(exprs: string[], grid: Grid, signal: AbortSignal): Promise<Matrices> {
  const started = performance.now();
  const answers = await Promise.all(exprs.map((expr) => queryRange(expr, grid, signal)));
  return {
    grid,
    elements: answers.map((a) => a.data),
    warnings: answers.flatMap((a) => a.warnings),
    infos: answers.flatMap((a) => a.infos),
    tookMs: performance.now() - started,
  };
}

export function useRangeFrame(queries: FrameQuery[], { stepSec, identity, enabled = true }: FrameOptions): FrameState {
  const { range, key } = useTimeRange();
  const exprs = queries.map((query) => query.expr);
  const { data, error, isFetching } = useQuery({
    queryKey: ['range', exprs, key, stepSec],
    queryFn: ({ signal }) => fetchAll(exprs, alignedGrid(resolve(range, now()), stepSec), signal),
    placeholderData: (previous, query) => (query?.meta?.identity === identity ? previous : undefined),
    meta: { ...LIVE, identity },
    enabled: enabled && exprs.every((expr) => expr.trim() !== ''),
  });
  const frame = useMemo(() => (data ? toFrame(queries, data) : undefined), [data, queries]);
  return { frame, answer: data, error, fetching: isFetching };
}
