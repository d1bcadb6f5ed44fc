// Owns the shapes and calls of PromQL evaluation: /api/v1/query, /api/v1/query_range, /api/v1/series.

import * as c from './check';
import { ask, type Answer } from './client';

export type Labels = Record<string, string>;
/** Seconds since the epoch, and the value as the server wrote it ("NaN" and "+Inf" included). */
export type Sample = [number, string];

const labels = c.record(c.string);
const sample: c.Check<Sample> = c.pair(c.number, c.string);

const histogramBody = c.object({ count: c.string, sum: c.string });
const histogram = c.pair(c.number, histogramBody);
const noHistogram = null as c.Checked<typeof histogram> | null;
const noSample = null as Sample | null;

const vectorElement = c.object({
  metric: labels,
  value: c.optional<Sample | null>(sample, noSample),
  histogram: c.optional<c.Checked<typeof histogram> | null>(histogram, noHistogram),
});
const matrixElement = c.object({
  metric: labels,
  values: c.optional(c.uniformArray(sample), []),
  histograms: c.optional(c.uniformArray(histogram), []),
});

export type VectorElement = c.Checked<typeof vectorElement>;
export type MatrixElement = c.Checked<typeof matrixElement>;
export type Result =
  | { resultType: 'vector'; result: VectorElement[] }
  | { resultType: 'matrix'; result: MatrixElement[] }
  | { resultType: 'scalar' | 'string'; result: Sample };

const resultType = c.object({ resultType: c.oneOf('vector', 'matrix', 'scalar', 'string') });

const result: c.Check<Result> = (value, path) => {
  const kind = resultType(value, path).resultType;
  const inner = (value as { result: unknown }).result;
  switch (kind) {
    case 'vector':
      return { resultType: kind, result: c.array(vectorElement)(inner, `${path}.result`) };
    case 'matrix':
      return { resultType: kind, result: c.array(matrixElement)(inner, `${path}.result`) };
    default:
      return { resultType: kind, result: sample(inner, `${path}.result`) };
  }
};

const matrix: c.Check<MatrixElement[]> = (value, path) => {
  const kind = resultType(value, path).resultType;
  if (kind !== 'matrix') throw new c.ShapeError(`expected a matrix at ${path}, got a ${kind}`);
  return c.array(matrixElement)((value as { result: unknown }).result, `${path}.result`);
};

export interface Grid {
  startSec: number;
  endSec: number;
  stepSec: number;
}

export function queryInstant(query: string, timeSec: number, signal?: AbortSignal): Promise<Answer<Result>> {
  return ask('/api/v1/query', { query, time: timeSec }, result, signal);
}

export function queryRange(query: string, grid: Grid, signal?: AbortSignal): Promise<Answer<MatrixElement[]>> {
  const params = { query, start: grid.startSec, end: grid.endSec, step: grid.stepSec };
  return ask('/api/v1/query_range', params, matrix, signal);
}

export function findSeries(match: string, startSec: number, endSec: number, signal?: AbortSignal): Promise<Answer<Labels[]>> {
  return ask('/api/v1/series', { 'match[]': match, start: startSec, end: endSec, limit: 1 }, c.array(labels), signal);
}
