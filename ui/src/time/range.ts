// Owns the meaning of a time range: its text in the address, its resolution to instants, and the moves on it.
// It knows no clock: "now" is always an argument.

export type Bound = { kind: 'relative'; agoMs: number } | { kind: 'absolute'; ms: number };

export interface Range {
  from: Bound;
  to: Bound;
}

export interface Instants {
  startMs: number;
  endMs: number;
}

const UNIT_MS: Record<string, number> = {
  s: 1_000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
  w: 604_800_000,
  y: 31_536_000_000,
};

/** Narrower than this nothing can be seen: a scrape interval is seconds. */
export const MIN_RANGE_MS = 5_000;
/** Wider than this is a mistyped date rather than a question. */
export const MAX_RANGE_MS = 20 * 31_536_000_000;

/** A duration as Prometheus writes it ("1h30m"), in milliseconds; undefined when it is none. */
export function parseDuration(text: string): number | undefined {
  if (!/^(\d+(ms|[smhdwy]))+$/.test(text)) return undefined;
  let total = 0;
  for (const [, count, unit] of text.matchAll(/(\d+)(ms|[smhdwy])/g)) {
    total += Number(count) * (unit === 'ms' ? 1 : UNIT_MS[unit!]!);
  }
  return total;
}

/** The shortest exact writing of whole seconds: 5400000 → "1h30m". */
export function formatDuration(ms: number): string {
  let rest = Math.round(ms / 1_000);
  if (rest <= 0) return `${Math.max(0, Math.round(ms))}ms`;
  let out = '';
  for (const [unit, size] of [['d', 86_400], ['h', 3_600], ['m', 60], ['s', 1]] as const) {
    const count = Math.floor(rest / size);
    if (count > 0) out += `${count}${unit}`;
    rest -= count * size;
  }
  return out;
}

/** "now", "now-15m", milliseconds since the epoch, or an ISO 8601 date. */
export function parseBound(text: string): Bound | undefined {
  const trimmed = text.trim();
  if (trimmed === 'now') return { kind: 'relative', agoMs: 0 };
  if (trimmed.startsWith('now-')) {
    const agoMs = parseDuration(trimmed.slice(4));
    return agoMs === undefined ? undefined : { kind: 'relative', agoMs };
  }
  if (/^\d{11,14}$/.test(trimmed)) return { kind: 'absolute', ms: Number(trimmed) };
  if (!/^\d{4}-\d{2}-\d{2}/.test(trimmed)) return undefined;
  const ms = Date.parse(trimmed.replace(' ', 'T'));
  return Number.isNaN(ms) ? undefined : { kind: 'absolute', ms };
}

export function formatBound(bound: Bound): string {
  if (bound.kind === 'absolute') return String(bound.ms);
  return bound.agoMs === 0 ? 'now' : `now-${formatDuration(bound.agoMs)}`;
}

function at(bound: Bound, nowMs: number): number {
  return bound.kind === 'absolute' ? bound.ms : nowMs - bound.agoMs;
}

export function resolve(range: Range, nowMs: number): Instants {
  return { startMs: at(range.from, nowMs), endMs: at(range.to, nowMs) };
}

/** Whether the range moves with the clock, so that refreshing it makes sense. */
export function isLive(range: Range): boolean {
  return range.to.kind === 'relative';
}

export function absolute(startMs: number, endMs: number): Range {
  const start = Math.round(startMs);
  return { from: { kind: 'absolute', ms: start }, to: { kind: 'absolute', ms: Math.max(Math.round(endMs), start + MIN_RANGE_MS) } };
}

export function lastOf(durationMs: number): Range {
  return { from: { kind: 'relative', agoMs: durationMs }, to: { kind: 'relative', agoMs: 0 } };
}

/** Moves by half of the width, never past now. */
export function shift(range: Range, direction: -1 | 1, nowMs: number): Range {
  const { startMs, endMs } = resolve(range, nowMs);
  const by = Math.min(((endMs - startMs) / 2) * direction, Math.max(0, nowMs - endMs));
  return by === 0 ? range : absolute(startMs + by, endMs + by);
}

/** Twice as wide; a live range stays live, an absolute one grows around its middle, never past now. */
export function zoomOut(range: Range, nowMs: number): Range {
  const { startMs, endMs } = resolve(range, nowMs);
  const width = Math.min((endMs - startMs) * 2, MAX_RANGE_MS);
  if (range.to.kind === 'relative' && range.to.agoMs === 0) return lastOf(width);
  const end = Math.min(endMs + width / 4, Math.max(nowMs, endMs));
  return absolute(end - width, end);
}

export const DEFAULT_RANGE: Range = lastOf(15 * 60_000);

/** The range two texts mean, or why they mean none. Both absent is the default. */
export function parseRange(from: string | undefined, to: string | undefined): { range: Range; problem?: string } {
  if (from === undefined && to === undefined) return { range: DEFAULT_RANGE };
  const fallback = (problem: string) => ({ range: DEFAULT_RANGE, problem });
  const start = parseBound(from ?? 'now-15m');
  const end = parseBound(to ?? 'now');
  if (!start) return fallback(`cannot read the start of the time range: “${from}” is neither “now-15m” nor a date`);
  if (!end) return fallback(`cannot read the end of the time range: “${to}” is neither “now” nor a date`);
  // Mixed bounds cannot be compared without a clock; the coarse wall clock is not needed to reject plain nonsense.
  if (start.kind === end.kind) {
    const width = at(end, 0) - at(start, 0);
    if (width <= 0) return fallback('the time range ends before it starts');
    if (width < MIN_RANGE_MS) return fallback(`the time range is narrower than ${formatDuration(MIN_RANGE_MS)}`);
    if (width > MAX_RANGE_MS) return fallback('the time range is wider than 20 years');
  }
  return { range: { from: start, to: end } };
}
