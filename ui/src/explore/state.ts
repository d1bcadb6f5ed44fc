// Owns the state of Explore as the address holds it: queries, one tab per query, the step.

import { formatDuration, parseDuration } from '../time/range';
import type { UrlSearch } from '../app/search';

export const TABS = ['graph', 'table', 'plan'] as const;
export type Tab = (typeof TABS)[number];

export interface ExploreQuery {
  expr: string;
  tab: Tab;
}

export type Step = { kind: 'auto' } | { kind: 'fixed'; sec: number };

export const STEP_CHOICES = ['auto', '1s', '5s', '15s', '30s', '1m', '5m', '15m', '1h', '6h', '1d'] as const;

/** One tab per query, separated by commas; queries beyond the list show their graph. */
export function parseTabs(text: string | undefined): { tabs: Tab[]; problem?: string } {
  if (text === undefined) return { tabs: [] };
  const words = text.split(',');
  const wrong = words.find((word) => !TABS.includes(word as Tab));
  if (wrong === undefined) return { tabs: words as Tab[] };
  return { tabs: [], problem: `there is no tab “${wrong}”: choose ${TABS.slice(0, -1).join(', ')} or ${TABS.at(-1)}` };
}

export function parseStep(text: string | undefined): { step: Step; problem?: string } {
  if (text === undefined || text === 'auto') return { step: { kind: 'auto' } };
  const ms = parseDuration(text);
  if (ms !== undefined && ms >= 1_000) return { step: { kind: 'fixed', sec: Math.round(ms / 1_000) } };
  return { step: { kind: 'auto' }, problem: `cannot use “${text}” as a step: write a duration of a second or more, such as 15s` };
}

export function formatStep(step: Step): string | undefined {
  return step.kind === 'auto' ? undefined : formatDuration(step.sec * 1_000);
}

/** At least one query, so that there is always an editor. */
export function readQueries(search: UrlSearch): ExploreQuery[] {
  const { tabs } = parseTabs(search.tab);
  const exprs = search.q && search.q.length > 0 ? search.q : [''];
  return exprs.map((expr, i) => ({ expr, tab: tabs[i] ?? 'graph' }));
}

export function writeQueries(queries: ExploreQuery[]): Pick<UrlSearch, 'q' | 'tab'> {
  const plain = queries.every((query) => query.tab === 'graph');
  return { q: queries.map((query) => query.expr), tab: plain ? undefined : queries.map((query) => query.tab).join(',') };
}
