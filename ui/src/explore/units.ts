// Owns the guess of a unit for a graph in Explore: only what the metric's own name says.

import type { FrameSeries } from '../chart/frame';
import type { Unit } from '../design/units';

export function guessUnit(series: readonly FrameSeries[]): Unit {
  const names = series.map((s) => s.labels.__name__ ?? '');
  if (names.length === 0) return 'number';
  if (names.every((name) => name.endsWith('_bytes'))) return 'bytes';
  if (names.every((name) => /_(duration|latency|offset|interval)_seconds$/.test(name))) return 'seconds';
  return 'number';
}
