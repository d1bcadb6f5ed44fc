import { describe, expect, it } from 'vitest';
import { absolute, formatBound, formatDuration, lastOf, parseBound, parseDuration, parseRange, resolve, shift, zoomOut } from './range';
import { rangeText } from './format';

const NOW = Date.UTC(2026, 2, 14, 15, 0, 0);
const MIN = 60_000;

describe('durations', () => {
  it.each([['15m', 15 * MIN], ['1h30m', 90 * MIN], ['250ms', 250], ['2w', 14 * 86_400_000]])('reads %s', (text, ms) => {
    expect(parseDuration(text)).toBe(ms);
  });
  it.each(['', '15', 'm', '-5m', '1.5h', '15m ', '1h x'])('refuses “%s”', (text) => {
    expect(parseDuration(text)).toBeUndefined();
  });
  it('writes what it reads', () => {
    for (const text of ['5s', '1h30m', '2d3h', '90d']) expect(formatDuration(parseDuration(text)!)).toBe(text);
  });
});

describe('bounds', () => {
  it('reads relative and absolute ones', () => {
    expect(parseBound('now')).toEqual({ kind: 'relative', agoMs: 0 });
    expect(parseBound('now-6h')).toEqual({ kind: 'relative', agoMs: 360 * MIN });
    expect(parseBound(String(NOW))).toEqual({ kind: 'absolute', ms: NOW });
    expect(parseBound('2026-03-14T15:00:00Z')).toEqual({ kind: 'absolute', ms: NOW });
  });
  it.each(['', 'yesterday', 'now-', 'now-5', 'now+5m', '12', '2026-99-99', '99999999999999999'])('refuses “%s”', (text) => {
    expect(parseBound(text)).toBeUndefined();
  });
  it('survives the address', () => {
    for (const text of ['now', 'now-1h30m', String(NOW)]) expect(formatBound(parseBound(text)!)).toBe(text);
  });
});

describe('ranges', () => {
  it('falls back with a reason', () => {
    for (const [from, to] of [['x', 'now'], ['now-1h', 'x'], ['now', 'now-1h'], [String(NOW), String(NOW)], ['now-3s', 'now'], ['now-99y', 'now']]) {
      const { range, problem } = parseRange(from, to);
      expect(problem).toBeTypeOf('string');
      expect(range).toEqual(lastOf(15 * MIN));
    }
    expect(parseRange(undefined, undefined).problem).toBeUndefined();
  });
  it('moves by half and never past now', () => {
    const back = shift(lastOf(60 * MIN), -1, NOW);
    expect(resolve(back, NOW)).toEqual({ startMs: NOW - 90 * MIN, endMs: NOW - 30 * MIN });
    const forth = shift(shift(back, 1, NOW), 1, NOW);
    expect(resolve(forth, NOW).endMs).toBe(NOW);
  });
  it('zooms out: a live range stays live, an absolute one keeps its middle', () => {
    expect(zoomOut(lastOf(60 * MIN), NOW)).toEqual(lastOf(120 * MIN));
    const wide = resolve(zoomOut(absolute(NOW - 300 * MIN, NOW - 240 * MIN), NOW), NOW);
    expect(wide.endMs - wide.startMs).toBe(120 * MIN);
    expect(wide.endMs).toBe(NOW - 210 * MIN);
  });
  it('has a name', () => {
    expect(rangeText(lastOf(15 * MIN))).toBe('Last 15 minutes');
    expect(rangeText(lastOf(90 * MIN))).toBe('Last 1h30m');
  });
});
