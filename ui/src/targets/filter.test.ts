import { describe, expect, it } from 'vitest';
import type { ActiveTarget } from '../api/targets';
import { countHealth, groupPools, matchesText } from './filter';

function target(pool: string, url: string, health: ActiveTarget['health'], lastError = ''): ActiveTarget {
  return {
    discoveredLabels: {}, labels: { job: pool, zone: 'eu' }, scrapePool: pool, scrapeUrl: url, lastError,
    lastScrape: '2026-03-14T15:00:00Z', lastScrapeDuration: 0.1, health, scrapeInterval: '15s', scrapeTimeout: '10s',
  };
}

const all = [target('b', 'http://b:1', 'up'), target('a', 'http://a:2', 'up'), target('a', 'http://a:9', 'down', 'connection refused')];

describe('targets', () => {
  it('match every word, in address, labels or error', () => {
    expect(all.filter((t) => matchesText(t, 'REFUSED a:9'))).toHaveLength(1);
    expect(all.filter((t) => matchesText(t, 'zone="eu"'))).toHaveLength(3);
    expect(all.filter((t) => matchesText(t, 'refused b:1'))).toHaveLength(0);
    expect(all.filter((t) => matchesText(t, '  '))).toHaveLength(3);
  });
  it('are counted and grouped, the sick ones first', () => {
    expect(countHealth(all)).toEqual({ up: 2, down: 1, unknown: 0 });
    expect(groupPools(all).map((p) => [p.name, p.targets.map((t) => t.scrapeUrl)])).toEqual([['a', ['http://a:9', 'http://a:2']], ['b', ['http://b:1']]]);
  });
});
