// Owns the colours of series. The order follows Paul Tol's "vibrant" and "bright" schemes, which stay apart for people with
// red-green or blue-yellow colour blindness; lightness is adapted so that each has ≥ 3:1 contrast on its surface.

export type Scheme = 'light' | 'dark';

const SERIES: Record<Scheme, readonly string[]> = {
  light: ['#0071b2', '#e06a10', '#00877a', '#cc3311', '#8a5fc0', '#218c33', '#d6267f', '#8a7a00', '#2b9fc9', '#6b6f76'],
  dark: ['#4ba3e3', '#f39a4d', '#2cc0a8', '#f0705a', '#b794f0', '#6cc870', '#f06aa8', '#d3c04a', '#7fd3ee', '#a4a9b1'],
};

/** Dashes repeat the palette for the eleventh series and on, so that no two look alike too soon. */
const DASHES: ReadonlyArray<readonly number[]> = [[], [6, 3], [2, 2], [8, 3, 2, 3]];

/** For what is not there, such as free memory: a backdrop rather than a series. */
export const NEUTRAL = -1;
const NEUTRAL_COLORS: Record<Scheme, string> = { light: '#d3d8df', dark: '#363c46' };

export function seriesColor(index: number, scheme: Scheme): string {
  if (index === NEUTRAL) return NEUTRAL_COLORS[scheme];
  const colors = SERIES[scheme];
  return colors[index % colors.length]!;
}

export function seriesDash(index: number): number[] {
  return [...DASHES[Math.floor(Math.max(0, index) / SERIES.light.length) % DASHES.length]!];
}

/** Sequential scale for heat strips, from the surface to full load; even in lightness so that it reads in grey as well. */
const HEAT: Record<Scheme, readonly [number, number, number][]> = {
  light: [[238, 241, 245], [150, 195, 224], [46, 128, 184], [10, 72, 130], [6, 36, 80]],
  dark: [[30, 34, 41], [24, 72, 112], [32, 125, 178], [105, 186, 222], [224, 244, 250]],
};

export function heatColor(fraction: number, scheme: Scheme): string {
  const stops = HEAT[scheme];
  const at = Math.min(1, Math.max(0, fraction)) * (stops.length - 1);
  const low = stops[Math.floor(at)]!;
  const high = stops[Math.ceil(at)]!;
  const part = at - Math.floor(at);
  const mix = low.map((v, i) => Math.round(v + (high[i]! - v) * part));
  return `rgb(${mix.join(',')})`;
}
