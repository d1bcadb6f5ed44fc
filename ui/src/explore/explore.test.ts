import { describe, expect, it } from 'vitest';
import { errorPlace } from './errorPosition';
import { MAX_ENTRIES, readHistory, remember, type HistoryStore } from './history';
import { joinMetadata, searchMetrics } from './metrics';
import { planRows } from './plan';
import { MAX_SAMPLES_PER_ROW, sortRows, tableRows } from './table';

describe('the place of an error', () => {
  it('is the word at the position', () => {
    const message = 'invalid parameter "query": 1:5: parse error: unknown function with name "foo"';
    expect(errorPlace('sum(foo(up))', message)).toEqual({ from: 4, to: 7, message: 'unknown function with name "foo"' });
  });
  it('at the end is the last character', () => {
    expect(errorPlace('sum(rate(', '1:10: parse error: unclosed left parenthesis')).toMatchObject({ from: 8, to: 9 });
  });
  it('counts lines, and columns in bytes', () => {
    expect(errorPlace('up +\n  )', '2:3: parse error: unexpected ")"')).toMatchObject({ from: 7, to: 8 });
    expect(errorPlace('{a="é"} )', '1:10: parse error: x')).toMatchObject({ from: 8, to: 9 });
  });
  it('is unknown where the message names none', () => {
    for (const message of ['query timed out', '9:1: parse error: x', '']) expect(errorPlace('up', message)).toBeUndefined();
    expect(errorPlace('', '1:1: parse error: no expression found in input')).toBeUndefined();
  });
});

function store(): HistoryStore & { text: string | null } {
  return {
    text: null,
    getItem() { return this.text; },
    setItem(_, value) { this.text = value; },
  };
}

describe('history', () => {
  it('is newest first, without repeats, bounded', () => {
    const s = store();
    for (let i = 0; i < MAX_ENTRIES + 5; i += 1) remember(s, `q${i}`);
    remember(s, 'q10');
    expect(readHistory(s)).toHaveLength(MAX_ENTRIES);
    expect(readHistory(s).slice(0, 2)).toEqual(['q10', `q${MAX_ENTRIES + 4}`]);
  });
  it('ignores blanks, novels and damage', () => {
    const s = store();
    remember(s, '  ');
    remember(s, 'x'.repeat(5_000));
    expect(readHistory(s)).toEqual([]);
    for (const text of ['{', '{"a":1}', 'null']) expect(readHistory({ ...s, getItem: () => text })).toEqual([]);
  });
  it('does without a store that throws', () => {
    const blocked: HistoryStore = { getItem: () => { throw new Error('denied'); }, setItem: () => { throw new Error('full'); } };
    expect(() => remember(blocked, 'up')).not.toThrow();
  });
});

describe('metrics', () => {
  const meta = { http_seconds: [{ type: 'histogram', help: 'Time to answer', unit: '' }] };
  it('find the metadata of their family', () => {
    const [bucket, other] = joinMetadata(['http_seconds_bucket', 'up'], meta);
    expect(bucket?.meta?.type).toBe('histogram');
    expect(other?.meta).toBeUndefined();
  });
  it('are found by name first, then by help', () => {
    const metrics = joinMetadata(['http_seconds_sum', 'answer_total', 'my_answer'], meta);
    expect(searchMetrics(metrics, 'answer').map((m) => m.name)).toEqual(['answer_total', 'my_answer', 'http_seconds_sum']);
    expect(searchMetrics(metrics, 'answer zzz')).toEqual([]);
  });
});

describe('the table', () => {
  it('has a row for every kind of result', () => {
    expect(tableRows({ resultType: 'scalar', result: [1, '2'] })).toEqual([{ labels: undefined, lines: ['2'], value: 2 }]);
    const histogram: [number, { count: string; sum: string }] = [1, { count: '3', sum: '4' }];
    expect(tableRows({ resultType: 'vector', result: [{ metric: {}, value: null, histogram }] })[0]?.lines).toEqual(['histogram: count 3, sum 4']);
    const values = Array.from({ length: 150 }, (_, i): [number, string] => [i, String(i)]);
    const [row] = tableRows({ resultType: 'matrix', result: [{ metric: {}, values, histograms: [] }] });
    expect(row?.lines).toHaveLength(MAX_SAMPLES_PER_ROW + 1);
    expect(row?.value).toBe(149);
  });
  it('sorts with NaN last either way', () => {
    const rows = ['2', 'NaN', '9'].map((text) => ({ labels: {}, lines: [text], value: Number(text) }));
    expect(sortRows(rows, 'down').map((r) => r.lines[0])).toEqual(['9', '2', 'NaN']);
    expect(sortRows(rows, 'up').map((r) => r.lines[0])).toEqual(['2', '9', 'NaN']);
  });
});

describe('the plan', () => {
  const node = (operator: string, totalSeconds: number, ownSeconds: number) =>
    ({ operator, steps: 1, series: 1, points: 1, totalSeconds, ownSeconds, read: null, gathered: null, inputs: [] });
  it('shows parts behind what uses them, with their share of the time', () => {
    const gathered = { series: 1, rollups: { resolution: '5m', series: 1 }, bytes: 2_048, seconds: 0.001 };
    const selector = { ...node('up', 0.006, 0.006), read: { series: 1, samples: 9, seconds: 0.006 }, gathered };
    const rows = planRows({ ...node('sum', 0.008, 0.002), inputs: [selector] });
    expect(rows.map((r) => [r.node.operator, r.depth, r.share])).toEqual([['sum', 0, 0.25], ['up', 1, 0.75]]);
    expect(rows.map((r) => r.gathered)).toEqual(['', '2 KiB in 1 ms, rollups of 5m']);
  });
});
