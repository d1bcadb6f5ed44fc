// Owns the key figures above the panels: one line of PromQL each, and how their numbers are written.

import { formatAge, formatValue } from '../design/units';

export interface Figure {
  id: string;
  title: string;
  /** One query per number; places as in panel.ts. */
  exprs: string[];
  text: (values: Array<number | null>) => string;
  note?: (values: Array<number | null>) => string;
  /** Filled part of the bar below, 0–1; no bar without it. */
  share?: (values: Array<number | null>) => number | null;
}

const percent = (value: number | null | undefined) => formatValue(value, 'percent');
const ratio = (part: number | null | undefined, whole: number | null | undefined) =>
  part === null || part === undefined || !whole ? null : part / whole;

export const FIGURES: readonly Figure[] = [
  {
    id: 'uptime',
    title: 'Uptime',
    exprs: ['node_time_seconds{$host} - node_boot_time_seconds{$host}'],
    text: ([seconds]) => (seconds === null || seconds === undefined ? '–' : formatAge(seconds)),
  },
  {
    id: 'cpu',
    title: 'CPU',
    exprs: [
      '100 * (1 - avg(rate(node_cpu_seconds_total{$host,mode="idle"}[$window])))',
      'count(node_cpu_seconds_total{$host,mode="idle"})',
    ],
    text: ([busy]) => percent(busy),
    note: ([, cores]) => (cores ? `${cores} ${cores === 1 ? 'core' : 'cores'}` : ''),
    share: ([busy]) => ratio(busy, 100),
  },
  {
    id: 'load',
    title: 'Load per core',
    exprs: ['node_load1{$host} / scalar(count(node_cpu_seconds_total{$host,mode="idle"}))', 'node_load1{$host}'],
    text: ([load]) => formatValue(load, 'number'),
    note: ([, total]) => (total === null || total === undefined ? '' : `${formatValue(total, 'number')} in all`),
    share: ([load]) => load ?? null,
  },
  {
    id: 'memory',
    title: 'Memory used',
    exprs: [
      'node_memory_MemTotal_bytes{$host} - node_memory_MemAvailable_bytes{$host}',
      'node_memory_MemTotal_bytes{$host}',
    ],
    text: ([used]) => formatValue(used, 'bytes'),
    note: ([, total]) => `of ${formatValue(total, 'bytes')}`,
    share: ([used, total]) => ratio(used, total),
  },
  {
    id: 'root',
    title: 'Root filesystem',
    exprs: [
      'node_filesystem_size_bytes{$host,mountpoint="/"} - node_filesystem_free_bytes{$host,mountpoint="/"}',
      'node_filesystem_size_bytes{$host,mountpoint="/"}',
    ],
    text: ([used]) => formatValue(used, 'bytes'),
    note: ([, size]) => `of ${formatValue(size, 'bytes')}`,
    share: ([used, size]) => ratio(used, size),
  },
  {
    id: 'pressure',
    title: 'Pressure',
    exprs: ['cpu', 'io', 'memory'].map((what) => `100 * rate(node_pressure_${what}_waiting_seconds_total{$host}[$window])`),
    text: (values) => {
      const known = values.filter((value) => value !== null);
      return known.length === 0 ? '–' : percent(Math.max(...known));
    },
    note: (values) => {
      const most = values.reduce<number>((at, value, i) => ((value ?? -1) > (values[at] ?? -1) ? i : at), 0);
      return `on ${['cpu', 'io', 'memory'][most]}`;
    },
    share: (values) => Math.max(...values.map((value) => (value ?? 0) / 100)),
  },
];

export type Level = 'ok' | 'warn' | 'bad';

/** Where a share starts to need eyes; the colour of bars only, no alert. */
export function level(share: number): Level {
  if (share >= 0.95) return 'bad';
  return share >= 0.85 ? 'warn' : 'ok';
}
