// Owns which targets are shown: by health and by text. Pure, so that it is tested without a browser.

import type { ActiveTarget, Health } from '../api/targets';

export const HEALTH_CHOICES = ['all', 'up', 'down', 'unknown'] as const;
export type HealthChoice = (typeof HEALTH_CHOICES)[number];

export function parseHealth(text: string | undefined): { health: HealthChoice; problem?: string } {
  if (text === undefined) return { health: 'all' };
  const health = HEALTH_CHOICES.find((choice) => choice === text);
  if (health) return { health };
  return { health: 'all', problem: `there is no health “${text}”: choose one of ${HEALTH_CHOICES.join(', ')}` };
}

/** Every word has to occur in the address, a label or the error. */
export function matchesText(target: ActiveTarget, text: string): boolean {
  const words = text.toLowerCase().split(/\s+/).filter((word) => word !== '');
  if (words.length === 0) return true;
  const labels = Object.entries(target.labels).map(([key, value]) => `${key}="${value}"`);
  const hay = [target.scrapeUrl, target.scrapePool, target.lastError, ...labels].join('\n').toLowerCase();
  return words.every((word) => hay.includes(word));
}

export function countHealth(targets: readonly ActiveTarget[]): Record<Health, number> {
  const counts: Record<Health, number> = { up: 0, down: 0, unknown: 0 };
  for (const target of targets) counts[target.health] += 1;
  return counts;
}

export interface Pool {
  name: string;
  targets: ActiveTarget[];
}

/** Pools by name; within a pool the sick ones first, then by address. */
export function groupPools(targets: readonly ActiveTarget[]): Pool[] {
  const rank: Record<Health, number> = { down: 0, unknown: 1, up: 2 };
  const pools = new Map<string, ActiveTarget[]>();
  for (const target of targets) {
    const pool = pools.get(target.scrapePool);
    if (pool) pool.push(target);
    else pools.set(target.scrapePool, [target]);
  }
  return [...pools]
    .map(([name, members]) => ({
      name,
      targets: members.sort((a, b) => rank[a.health] - rank[b.health] || a.scrapeUrl.localeCompare(b.scrapeUrl)),
    }))
    .sort((a, b) => a.name.localeCompare(b.name));
}
