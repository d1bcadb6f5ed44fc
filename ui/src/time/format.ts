// Owns how instants and ranges are written for people: local time, 24 hours, the date only where it is needed.

import { formatDuration, resolve, type Range } from './range';

function pad(n: number): string {
  return String(n).padStart(2, '0');
}

export function dateText(ms: number): string {
  const d = new Date(ms);
  return `${d.getFullYear()}-${pad(d.getMonth() + 1)}-${pad(d.getDate())}`;
}

export function clockText(ms: number, withSeconds: boolean): string {
  const d = new Date(ms);
  return `${pad(d.getHours())}:${pad(d.getMinutes())}${withSeconds ? `:${pad(d.getSeconds())}` : ''}`;
}

export function instantText(ms: number): string {
  return `${dateText(ms)} ${clockText(ms, true)}`;
}

export const PRESETS: ReadonlyArray<{ text: string; name: string; ms: number }> = [
  ['5m', '5 minutes', 300_000],
  ['15m', '15 minutes', 900_000],
  ['30m', '30 minutes', 1_800_000],
  ['1h', '1 hour', 3_600_000],
  ['3h', '3 hours', 10_800_000],
  ['6h', '6 hours', 21_600_000],
  ['12h', '12 hours', 43_200_000],
  ['24h', '24 hours', 86_400_000],
  ['2d', '2 days', 172_800_000],
  ['7d', '7 days', 604_800_000],
  ['30d', '30 days', 2_592_000_000],
  ['90d', '90 days', 7_776_000_000],
].map(([text, name, ms]) => ({ text: text as string, name: name as string, ms: ms as number }));

export function rangeText(range: Range): string {
  const { from, to } = range;
  if (from.kind === 'relative' && to.kind === 'relative' && to.agoMs === 0) {
    const preset = PRESETS.find((p) => p.ms === from.agoMs);
    return `Last ${preset?.name ?? formatDuration(from.agoMs)}`;
  }
  if (from.kind === 'absolute' && to.kind === 'absolute') {
    const { startMs, endMs } = resolve(range, 0);
    const sameDay = dateText(startMs) === dateText(endMs);
    return `${instantText(startMs)} – ${sameDay ? clockText(endMs, true) : instantText(endMs)}`;
  }
  const side = (bound: Range['from']) =>
    bound.kind === 'absolute' ? instantText(bound.ms) : bound.agoMs === 0 ? 'now' : `now − ${formatDuration(bound.agoMs)}`;
  return `${side(from)} – ${side(to)}`;
}

/** "2.3 s ago", "4 min ago"; the future is said as such, because a skewed clock is worth seeing. */
export function agoText(ms: number, nowMs: number): string {
  const seconds = (nowMs - ms) / 1_000;
  if (seconds < -1) return `${formatDuration(-seconds * 1_000)} ahead`;
  if (seconds < 60) return `${Math.max(0, seconds).toFixed(1)} s ago`;
  if (seconds < 3_600) return `${Math.floor(seconds / 60)} min ago`;
  if (seconds < 172_800) return `${Math.floor(seconds / 3_600)} h ago`;
  return `${Math.floor(seconds / 86_400)} d ago`;
}
