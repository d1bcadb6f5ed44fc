import { describe, expect, it } from 'vitest';
import { seriesColor, seriesDash } from './palette';
import { formatAge, formatValue, tickSteps, type Unit } from './units';

describe('values', () => {
  it.each<[number | null, Unit, string]>([
    [0, 'bytes', '0 B'],
    [1_023, 'bytes', '1023 B'],
    [1_048_575, 'bytes', '1 MiB'],
    [25_280_000_000, 'bytes', '23.5 GiB'],
    [-2_048, 'bytes/s', '-2 KiB/s'],
    [73.94, 'percent', '73.9 %'],
    [0.01, 'percent', '0.01 %'],
    [0.000_1, 'percent', '0 %'],
    [0.0123, 'seconds', '12.3 ms'],
    [0.000_000_4, 'seconds', '400 ns'],
    [7_300, 'seconds', '2.03 h'],
    [12_345, 'ops/s', '12.3 k/s'],
    [0.425, 'number', '0.425'],
    [9_999, 'number', '9999'],
    [1_234_567, 'number', '1.23 M'],
    [null, 'bytes', '–'],
    [Number.NaN, 'number', 'NaN'],
    [Number.POSITIVE_INFINITY, 'number', '+Inf'],
  ])('%s as %s is %s', (value, unit, text) => {
    expect(formatValue(value, unit)).toBe(text);
  });
  it('writes ages in two units', () => {
    expect(formatAge(59)).toBe('59 s');
    expect(formatAge(2_760)).toBe('46 min');
    expect(formatAge(3 * 86_400 + 4 * 3_600)).toBe('3 d 4 h');
  });
  it('ticks bytes in powers of two', () => {
    expect(tickSteps('bytes')?.every((step) => Number.isInteger(Math.log2(step)))).toBe(true);
    expect(tickSteps('percent')).toBeUndefined();
  });
});

function luminance(hex: string): number {
  const [r, g, b] = [1, 3, 5].map((i) => Number.parseInt(hex.slice(i, i + 2), 16) / 255).map((v) => (v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4));
  return 0.2126 * r! + 0.7152 * g! + 0.0722 * b!;
}

describe('palette', () => {
  it.each([['light', '#ffffff'], ['dark', '#171a1f']] as const)('has a contrast of 3:1 on the %s surface', (scheme, surface) => {
    for (let i = 0; i < 10; i += 1) {
      const [high, low] = [luminance(seriesColor(i, scheme)), luminance(surface)].sort((a, b) => b - a);
      expect((high! + 0.05) / (low! + 0.05), seriesColor(i, scheme)).toBeGreaterThanOrEqual(3);
    }
  });
  it('tells the eleventh series from the first by its dash', () => {
    expect(seriesColor(10, 'light')).toBe(seriesColor(0, 'light'));
    expect(seriesDash(10)).not.toEqual(seriesDash(0));
  });
});
