// Owns the look of graphs: our frame and tokens in, uPlot's options and columns out.

import type uPlot from 'uplot';
import { heatColor, seriesColor, seriesDash, type Scheme } from '../design/palette';
import { formatValue, tickSteps, type Unit } from '../design/units';
import { clockText, dateText } from '../time/format';
import { stack, type Frame } from './frame';

export type ChartKind = 'lines' | 'stack' | 'heat';

export interface Look {
  kind: ChartKind;
  unit: Unit;
  scheme: Scheme;
  /** Fixed top of the axis, such as 100 for a share; data above still widen it. */
  max?: number;
  hidden: ReadonlySet<string>;
}

/** What is on the canvas now. Options hold this, not a frame, so that new data need no new plot. */
export interface Drawn {
  frame: Frame;
  look: Look;
}

/** Two frames of one structure can follow each other in the same plot. */
export function structure({ frame, look }: Drawn): string {
  const { kind, unit, scheme, max } = look;
  return JSON.stringify([kind, unit, scheme, max, frame.series.map((s) => [s.name, s.color, s.mirror])]);
}

/** Wide enough for "1023 MiB/s", the same everywhere so that the time axes of all panels line up. */
const AXIS_WIDTH = 62;
const SYNC_KEY = 'bellwether';

function css(name: string): string {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}

/** The columns uPlot draws; legends keep the raw values. */
export function columns({ frame, look }: Drawn): uPlot.AlignedData {
  const shown = frame.series.map((s) => (look.hidden.has(s.name) ? s.values.map(() => null) : s.values));
  const drawn = look.kind === 'stack' ? stack(shown) : shown;
  const signed = drawn.map((values, i) => (frame.series[i]!.mirror ? values.map((v) => (v === null ? null : -v)) : values));
  return [frame.times, ...signed] as uPlot.AlignedData;
}

function timeLabels(_: uPlot, splits: number[], __: number, ___: number, stepSec: number): string[] {
  let day = '';
  return splits.map((split, i) => {
    const date = dateText(split * 1_000);
    const first = date !== day;
    day = date;
    if (stepSec >= 86_400) return date;
    const time = clockText(split * 1_000, stepSec < 60);
    return first && i > 0 ? `${date.slice(5)} ${time}` : time;
  });
}

function axes({ frame, look }: Drawn): uPlot.Axis[] {
  const font = `11px ${css('--font-sans')}`;
  const base = { stroke: css('--axis'), font, ticks: { show: false }, grid: { stroke: css('--grid'), width: 1 } };
  const x: uPlot.Axis = { ...base, size: 24, gap: 6, space: 76, values: timeLabels };
  const common: uPlot.Axis = { ...base, size: AXIS_WIDTH, gap: 6, space: 32 };
  if (look.kind === 'heat') {
    const rows = frame.series.length;
    const every = Math.max(1, Math.ceil(rows / 8));
    const splits = frame.series.map((_, i) => i + 0.5).filter((_, i) => i % every === 0);
    return [x, {
      ...common,
      grid: { show: false },
      splits: () => splits,
      values: (_, ticks) => ticks.map((tick) => frame.series[rows - 1 - Math.floor(tick)]?.name ?? ''),
    }];
  }
  const mirrored = frame.series.some((s) => s.mirror);
  return [x, {
    ...common,
    ...(tickSteps(look.unit) ? { incrs: tickSteps(look.unit) } : {}),
    values: (_, ticks) => ticks.map((tick) => formatValue(mirrored ? Math.abs(tick) : tick, look.unit)),
  }];
}

/** The y range: zero is always in, unless all values are far from it. */
function yRange(look: Look): uPlot.Range.Function {
  return (_, low, high) => {
    if (low === null || high === null || !Number.isFinite(low) || !Number.isFinite(high)) return [0, look.max ?? 1];
    const bottom = low >= 0 ? 0 : low;
    const top = high <= 0 ? 0 : high;
    if (look.max !== undefined && top <= look.max) return [bottom, look.max];
    const room = (top - bottom) * 0.06;
    if (room === 0) return [0, 1];
    return [bottom < 0 ? bottom - room : 0, top > 0 ? top + room : 0];
  };
}

function series({ frame, look }: Drawn): uPlot.Series[] {
  const mirrored = frame.series.some((s) => s.mirror);
  return [
    {},
    ...frame.series.map((s): uPlot.Series => {
      if (look.kind === 'heat') return { show: true, paths: () => null, points: { show: false } };
      const color = seriesColor(s.color, look.scheme);
      return {
        label: s.name,
        stroke: color,
        // Edges of a stack would paint a line over the top for every series that is zero.
        width: look.kind === 'stack' ? 0 : 1.5,
        dash: seriesDash(s.color),
        fill: look.kind === 'stack' ? `${color}cc` : mirrored || frame.series.length === 1 ? `${color}26` : undefined,
        // A lone sample between holes is a dot; otherwise points only clutter.
        points: { show: isolated, size: 4, fill: color },
        spanGaps: false,
      };
    }),
  ];
}

function isolated(u: uPlot, index: number): boolean {
  const values = u.data[index] as Array<number | null>;
  return values.filter((v) => v !== null).length <= 2;
}

/** Draws one row of cells per series, first series on top. */
function drawHeat(drawn: Drawn): (u: uPlot) => void {
  return (u) => {
    const { frame, look } = drawn;
    const rows = frame.series.length;
    const half = frame.grid.stepSec / 2;
    u.ctx.save();
    for (let row = 0; row < rows; row += 1) {
      if (look.hidden.has(frame.series[row]!.name)) continue;
      const top = u.valToPos(rows - row, 'y', true);
      const height = Math.max(1, u.valToPos(rows - row - 1, 'y', true) - top - (rows > 32 ? 0 : 1));
      frame.series[row]!.values.forEach((value, i) => {
        if (value === null) return;
        const left = Math.max(u.bbox.left, u.valToPos(frame.times[i]! - half, 'x', true));
        const right = Math.min(u.bbox.left + u.bbox.width, u.valToPos(frame.times[i]! + half, 'x', true));
        u.ctx.fillStyle = heatColor(value / (look.max ?? 100), look.scheme);
        u.ctx.fillRect(Math.floor(left), top, Math.ceil(right - left), height);
      });
    }
    u.ctx.restore();
  };
}

export interface Events {
  onHover: (u: uPlot, index: number | null) => void;
  onSelect: (startMs: number, endMs: number) => void;
}

export function buildOptions(drawn: Drawn, size: { width: number; height: number }, events: Events): uPlot.Options {
  const { frame, look } = drawn;
  const xRange = (): [number, number] => {
    const { startSec, endSec, stepSec } = drawn.frame.grid;
    return [startSec, Math.max(endSec, startSec + stepSec)];
  };
  const bands = look.kind === 'stack' ? frame.series.slice(1).map((_, i): uPlot.Band => ({ series: [i + 2, i + 1] })) : [];
  const rows = frame.series.length;
  return {
    ...size,
    padding: [8, 18, 0, 0],
    legend: { show: false },
    scales: {
      x: { time: true, range: xRange },
      y: { range: look.kind === 'heat' ? () => [0, rows] : yRange(look) },
    },
    axes: axes(drawn),
    series: series(drawn),
    bands,
    cursor: {
      y: false,
      points: { show: look.kind === 'lines', size: 6 },
      drag: { x: true, y: false, setScale: false },
      // Only the crosshair travels between panels; a selection belongs to the panel it is drawn in.
      sync: { key: SYNC_KEY, scales: ['x', null], setSeries: false, filters: { pub: (type) => type !== 'mousedown' && type !== 'mouseup' } },
    },
    hooks: {
      setCursor: [(u) => events.onHover(u, u.cursor.idx ?? null)],
      setSelect: [(u) => {
        const { left, width } = u.select;
        if (width > 4) events.onSelect(u.posToVal(left, 'x') * 1_000, u.posToVal(left + width, 'x') * 1_000);
        u.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
      }],
      ...(look.kind === 'heat' ? { draw: [drawHeat(drawn)] } : {}),
    },
  };
}
