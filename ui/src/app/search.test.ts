import { describe, expect, it } from 'vitest';
import { readQueries, writeQueries, parseStep } from '../explore/state';
import { findProblems } from './problems';
import { fromGraphLink, MAX_QUERIES, parseSearch, sharedSearch, stringifySearch, validateSearch } from './search';

describe('the address', () => {
  it('comes back as it was written', () => {
    const search = { from: 'now-1h', to: 'now', q: ['up{job="a&b"}', 'rate(x[5m]) > 0'], tab: 'graph,table' };
    expect(validateSearch(parseSearch(stringifySearch(search)))).toEqual(search);
  });
  it('stays readable', () => {
    expect(stringifySearch({ from: 'now-1h', to: undefined, tab: 'graph,table' })).toBe('?from=now-1h&tab=graph,table');
  });
  it('keeps numbers as text and drops the unknown', () => {
    expect(validateSearch(parseSearch('from=1773500000000&x=1&q=up'))).toEqual({ from: '1773500000000', q: ['up'] });
  });
  it('bounds the number of queries', () => {
    const many = Array.from({ length: 50 }, (_, i) => `q=${i}`).join('&');
    expect(validateSearch(parseSearch(many)).q).toHaveLength(MAX_QUERIES);
  });
  it('takes the links of alerts', () => {
    expect(fromGraphLink('?g0.expr=up+%3D%3D+0&g0.tab=1')).toEqual({ q: ['up == 0'], tab: 'table' });
    expect(fromGraphLink('?g0.expr=a&g0.tab=0&g1.expr=b')).toEqual({ q: ['a', 'b'], tab: undefined });
  });
  it('carries only the clock to another page', () => {
    expect(sharedSearch({ from: 'a', refresh: 'off', host: 'h', q: ['up'] })).toEqual({ from: 'a', to: undefined, refresh: 'off' });
  });
});

describe('problems', () => {
  it('are none for a plain address', () => {
    for (const path of ['/hosts', '/explore', '/alerts', '/targets']) expect(findProblems(path, {})).toEqual([]);
  });
  it('name what cannot be read, on the page it belongs to', () => {
    const search = { from: 'foo', refresh: '9s', step: '0', tab: 'pie', health: 'ill' };
    expect(findProblems('/hosts', search).flatMap((p) => p.keys)).toEqual(['from', 'to', 'refresh']);
    expect(findProblems('/explore', search).flatMap((p) => p.keys)).toEqual(['from', 'to', 'refresh', 'step', 'tab']);
    expect(findProblems('/alerts', search).flatMap((p) => p.keys)).toEqual(['from', 'to', 'refresh', 'health']);
    expect(findProblems('/targets', search).flatMap((p) => p.keys)).toEqual(['from', 'to', 'refresh', 'health']);
  });
});

describe('the state of Explore', () => {
  it('has at least one query, each with its tab', () => {
    expect(readQueries({})).toEqual([{ expr: '', tab: 'graph' }]);
    expect(readQueries({ q: ['a', 'b'], tab: 'table' })).toEqual([{ expr: 'a', tab: 'table' }, { expr: 'b', tab: 'graph' }]);
  });
  it('comes back as it was written', () => {
    const queries = [{ expr: 'a', tab: 'graph' as const }, { expr: '', tab: 'table' as const }];
    expect(readQueries(writeQueries(queries))).toEqual(queries);
    expect(writeQueries([{ expr: 'a', tab: 'graph' }])).toEqual({ q: ['a'], tab: undefined });
  });
  it('reads steps of a second or more', () => {
    expect(parseStep('90s').step).toEqual({ kind: 'fixed', sec: 90 });
    for (const text of ['10ms', '-1s', '5', 'x']) expect(parseStep(text).problem).toBeTypeOf('string');
  });
});
