// Owns the binding of the global time range to the address, and the moves the top bar and the graphs make on it.

import { useCallback, useMemo, useSyncExternalStore } from 'react';
import { useUrl } from '../app/useUrl';
import { now, subscribe } from './clock';
import { absolute, formatBound, parseRange, shift, zoomOut, type Range } from './range';
import { parseRefresh, type Refresh } from './refresh';

export interface TimeRange {
  range: Range;
  /** Identifies the range in query keys. */
  key: string;
  refresh: Refresh;
  setRange: (range: Range) => void;
  zoomTo: (startMs: number, endMs: number) => void;
  step: (direction: -1 | 1) => void;
  widen: () => void;
  setRefresh: (refresh: Refresh) => void;
}

export function useTimeRange(): TimeRange {
  const { search, patch } = useUrl();
  const { from, to } = search;
  const range = useMemo(() => parseRange(from, to).range, [from, to]);
  const { refresh } = parseRefresh(search.refresh);
  const setRange = useCallback(
    (next: Range) => patch({ from: formatBound(next.from), to: formatBound(next.to) }),
    [patch],
  );
  return {
    range,
    key: `${formatBound(range.from)}/${formatBound(range.to)}`,
    refresh,
    setRange,
    zoomTo: useCallback((startMs: number, endMs: number) => setRange(absolute(startMs, endMs)), [setRange]),
    step: (direction) => setRange(shift(range, direction, now())),
    widen: () => setRange(zoomOut(range, now())),
    setRefresh: useCallback((next: Refresh) => patch({ refresh: next }, true), [patch]),
  };
}

/** The screen's "now"; the component renders again at each tick. */
export function useNow(): number {
  return useSyncExternalStore(subscribe, now);
}
