import { describe, expect, it } from 'vitest';
import type { MatrixElement } from '../api/query';
import { gridTimes, legendText, naturalOrder, onGrid, seriesText, stack, summarize, withColors } from './frame';
import { toFrame } from './useRangeFrame';

const grid = { startSec: 100, endSec: 130, stepSec: 10 };

function element(values: Array<[number, string]>, metric: Record<string, string> = {}): MatrixElement {
  return { metric, values, histograms: [] };
}

describe('frame', () => {
  it('puts samples at their grid points and leaves holes', () => {
    expect(gridTimes(grid)).toEqual([100, 110, 120, 130]);
    expect(onGrid(element([[100, '1'], [120, '3.5']]), grid, 4)).toEqual([1, null, 3.5, null]);
  });
  it('draws neither NaN nor infinities, nor samples outside of the grid', () => {
    expect(onGrid(element([[90, '9'], [100, 'NaN'], [110, '+Inf'], [120, '-Inf'], [140, '9']]), grid, 4)).toEqual([null, null, null, null]);
  });
  it('survives float steps', () => {
    const fine = { startSec: 0, endSec: 0.3, stepSec: 0.1 };
    expect(gridTimes(fine)).toHaveLength(4);
  });
  it('summarises what is there', () => {
    expect(summarize([null, 2, -1, 3, null])).toEqual({ last: 3, min: -1, max: 3 });
    expect(summarize([null])).toEqual({ last: null, min: null, max: null });
  });
  it('stacks with holes as zero, and a hole in all as a hole', () => {
    expect(stack([[1, null, null], [2, 2, null]])).toEqual([[1, 0, null], [3, 2, null]]);
  });
  it('merges the series of several queries, mirrored where told', () => {
    const queries = [{ expr: 'a', legend: '{{device}} in' }, { expr: 'b', legend: '{{device}} out', mirror: true }];
    const frame = toFrame(queries, { grid, elements: [[element([[100, '1']], { device: 'eth0' })], [element([[100, '2']], { device: 'eth0' })]] });
    expect(frame.series.map((s) => [s.name, s.mirror, s.color])).toEqual([['eth0 in', false, 0], ['eth0 out', true, 1]]);
  });
  it('orders and colours named series, the rest after them', () => {
    const frame = toFrame([{ expr: 'a', legend: '{{m}}' }], { grid, elements: [['x', 'idle', 'user'].map((m) => element([], { m }))] });
    expect(withColors(frame, { user: 4, idle: 2 }).series.map((s) => [s.name, s.color])).toEqual([['user', 4], ['idle', 2], ['x', 5]]);
  });
});

describe('cores', () => {
  it('stand in the order of their numbers', () => {
    const frame = toFrame([{ expr: 'a', legend: 'core {{cpu}}' }], { grid, elements: [['0', '1', '10', '2'].map((cpu) => element([], { cpu }))] });
    expect(naturalOrder(frame).series.map((s) => s.name)).toEqual(['core 0', 'core 1', 'core 2', 'core 10']);
  });
});

describe('names', () => {
  it('are PromQL without a template', () => {
    expect(seriesText({ __name__: 'up', job: 'a"b' })).toBe('up{job="a\\"b"}');
    expect(seriesText({ __name__: 'up' })).toBe('up');
    expect(seriesText({})).toBe('{}');
  });
  it('fill templates, missing labels with nothing', () => {
    expect(legendText('{{a}}-{{b}}', { a: 'x' })).toBe('x-');
  });
});
