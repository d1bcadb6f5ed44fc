// Owns the data of a graph: series on one time grid, made from the server's matrices. It knows nothing of drawing.

import type { Grid, Labels, MatrixElement } from '../api/query';

export interface FrameSeries {
  name: string;
  labels: Labels;
  /** One per grid point; null where the server gave no finite value. */
  values: Array<number | null>;
  /** Which colour of the palette. */
  color: number;
  /** Drawn below the zero line; legends show the value itself. */
  mirror: boolean;
}

export interface Frame {
  grid: Grid;
  times: number[];
  series: FrameSeries[];
}

/** Sorts series into a given order with fixed colours; series not named there follow with the remaining colours. */
export function withColors(frame: Frame, colors: Record<string, number> | undefined): Frame {
  if (!colors) return frame;
  const order = Object.keys(colors);
  const place = (s: FrameSeries) => (order.includes(s.name) ? order.indexOf(s.name) : order.length);
  let free = Math.max(...Object.values(colors)) + 1;
  const series = frame.series
    .toSorted((a, b) => place(a) - place(b))
    .map((s) => ({ ...s, color: colors[s.name] ?? free++ }));
  return { ...frame, series };
}

/** Core 2 before core 10: for series whose names count something. */
export function naturalOrder(frame: Frame): Frame {
  return { ...frame, series: frame.series.toSorted((a, b) => a.name.localeCompare(b.name, 'en', { numeric: true })) };
}

export interface Summary {
  last: number | null;
  min: number | null;
  max: number | null;
}

export function gridTimes(grid: Grid): number[] {
  const count = Math.floor((grid.endSec - grid.startSec) / grid.stepSec + 1e-9) + 1;
  return Array.from({ length: Math.max(1, count) }, (_, i) => grid.startSec + i * grid.stepSec);
}

/** Puts one series on the grid. The server evaluates at exactly these instants, so a rounded index is exact. */
export function onGrid(element: MatrixElement, grid: Grid, count: number): Array<number | null> {
  const values: Array<number | null> = new Array<number | null>(count).fill(null);
  for (const [time, text] of element.values) {
    const index = Math.round((time - grid.startSec) / grid.stepSec);
    const value = Number(text);
    if (index >= 0 && index < count && Number.isFinite(value)) values[index] = value;
  }
  return values;
}

export function summarize(values: ReadonlyArray<number | null>): Summary {
  let last: number | null = null;
  let min: number | null = null;
  let max: number | null = null;
  for (const value of values) {
    if (value === null) continue;
    last = value;
    min = min === null ? value : Math.min(min, value);
    max = max === null ? value : Math.max(max, value);
  }
  return { last, min, max };
}

/** Running sums from the first series up; a hole in one series counts as zero unless all have it. */
export function stack(columns: ReadonlyArray<ReadonlyArray<number | null>>): Array<Array<number | null>> {
  const length = columns[0]?.length ?? 0;
  const sums = new Array<number>(length).fill(0);
  const empty = Array.from({ length }, (_, i) => columns.every((column) => column[i] === null));
  return columns.map((column) =>
    column.map((value, i) => {
      sums[i] = sums[i]! + (value ?? 0);
      return empty[i] ? null : sums[i]!;
    }),
  );
}

/** "name{a="b"}" as PromQL writes it. */
export function seriesText(labels: Labels): string {
  const name = labels.__name__ ?? '';
  const rest = Object.entries(labels)
    .filter(([key]) => key !== '__name__')
    .map(([key, value]) => `${key}=${JSON.stringify(value)}`);
  return rest.length > 0 || name === '' ? `${name}{${rest.join(', ')}}` : name;
}

/** Fills "{{label}}" in a legend; without a template the series is named as PromQL would. */
export function legendText(template: string | undefined, labels: Labels): string {
  if (template === undefined) return seriesText(labels);
  return template.replace(/\{\{(\w+)\}\}/g, (_, label: string) => labels[label] ?? '');
}
