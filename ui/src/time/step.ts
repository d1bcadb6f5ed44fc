// Owns the choice of resolution: how many seconds lie between two points of a graph.

import type { Grid } from '../api/query';
import type { Instants } from './range';

const NICE_SEC = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1_800, 3_600, 7_200, 10_800, 21_600, 43_200, 86_400];

/** One point about every three pixels: finer steps cost the server and cannot be seen. */
const PIXELS_PER_POINT = 3;
/** Servers refuse more points per series than this (Prometheus: 11,000). */
export const MAX_POINTS = 11_000;

/** The smallest round step that draws `rangeSec` on `widthPx` and is not below `minSec`. */
export function autoStep(rangeSec: number, widthPx: number, minSec: number): number {
  const wanted = Math.max(rangeSec / Math.max(50, widthPx / PIXELS_PER_POINT), minSec);
  const nice = NICE_SEC.find((step) => step >= wanted);
  return nice ?? Math.ceil(wanted / 86_400) * 86_400;
}

/** The grid of a range: both ends lie on multiples of the step, so that refreshed values stay at their places. */
export function alignedGrid({ startMs, endMs }: Instants, stepSec: number): Grid {
  const start = Math.floor(startMs / 1_000 / stepSec) * stepSec;
  const end = Math.floor(endMs / 1_000 / stepSec) * stepSec;
  return { startSec: start, endSec: Math.max(end, start), stepSec };
}

/** The window for rate(): four scrapes, so that one lost scrape leaves no hole, and never less than a step. */
export function rateWindow(stepSec: number, scrapeSec: number): number {
  return Math.max(4 * scrapeSec, stepSec + scrapeSec);
}
