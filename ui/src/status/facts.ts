// Owns the writing of facts whose keys the server chooses: names made readable, instants made local.

import type { Facts } from '../api/status';
import { instantText } from '../time/format';

/** "storageRetention" → "Storage retention"; runs of capitals (GOMAXPROCS) stay. */
export function factName(key: string): string {
  if (key === key.toUpperCase()) return key;
  const words = key.replace(/([a-z0-9])([A-Z])/g, (_, a: string, b: string) => `${a} ${b.toLowerCase()}`);
  return words.charAt(0).toUpperCase() + words.slice(1);
}

function factText(key: string, value: unknown): string {
  // Block boundaries come as milliseconds since the epoch; an empty head has the extremes of int64.
  if (/^(min|max)Time$/.test(key) && typeof value === 'number') {
    return Math.abs(value) < 8.64e15 ? instantText(value) : 'none';
  }
  if (typeof value === 'number') return value.toLocaleString('en');
  if (typeof value === 'boolean') return value ? 'yes' : 'no';
  if (typeof value === 'string') {
    return /^\d{4}-\d{2}-\d{2}T/.test(value) ? instantText(Date.parse(value)) : value;
  }
  return JSON.stringify(value);
}

/** Fields that Prometheus' API has for Go's runtime. They say nothing of a server that is not written in Go. */
const OF_GO = new Set(['GOGC', 'GODEBUG', 'GOMEMLIMIT', 'goVersion']);

export function factRows(facts: Facts): Array<[string, string]> {
  return Object.entries(facts)
    .filter(([key, value]) => value !== '' && !OF_GO.has(key))
    .map(([key, value]) => [factName(key), factText(key, value)]);
}
