import { describe, expect, it } from 'vitest';
import { alignedGrid, autoStep, MAX_POINTS, rateWindow } from './step';

describe('step', () => {
  it('is round, and never finer than asked', () => {
    expect(autoStep(900, 540, 5)).toBe(5);
    expect(autoStep(3_600, 540, 5)).toBe(30);
    expect(autoStep(86_400, 900, 15)).toBe(300);
    expect(autoStep(900, 540, 60)).toBe(60);
  });
  it('stays under the points a server accepts, for any range and width', () => {
    for (const rangeSec of [5, 900, 86_400, 90 * 86_400, 20 * 365 * 86_400]) {
      for (const width of [0, 320, 5_000]) expect(rangeSec / autoStep(rangeSec, width, 1)).toBeLessThan(MAX_POINTS);
    }
  });
  it('puts both ends on multiples', () => {
    expect(alignedGrid({ startMs: 1_003_000, endMs: 1_062_999 }, 15)).toEqual({ startSec: 990, endSec: 1_050, stepSec: 15 });
    const tiny = alignedGrid({ startMs: 1_000_000, endMs: 1_001_000 }, 60);
    expect(tiny.endSec).toBeGreaterThanOrEqual(tiny.startSec);
  });
  it('rates over four scrapes or a step', () => {
    expect(rateWindow(5, 5)).toBe(20);
    expect(rateWindow(300, 15)).toBe(315);
  });
});
