// Owns the list of search parameters that could not be read. The page runs on defaults meanwhile; the notice says so.

import { parseState } from '../alerts/filter';
import { parseStep, parseTabs } from '../explore/state';
import { parseHealth } from '../targets/filter';
import { parseRange } from '../time/range';
import { parseRefresh } from '../time/refresh';
import type { UrlSearch } from './search';

export interface Problem {
  message: string;
  /** The parameters that removing repairs. */
  keys: Array<keyof UrlSearch>;
}

export function findProblems(path: string, search: UrlSearch): Problem[] {
  const found: Array<[string | undefined, Array<keyof UrlSearch>]> = [
    [parseRange(search.from, search.to).problem, ['from', 'to']],
    [parseRefresh(search.refresh).problem, ['refresh']],
  ];
  if (path === '/explore') {
    found.push([parseStep(search.step).problem, ['step']], [parseTabs(search.tab).problem, ['tab']]);
  }
  if (path === '/alerts') found.push([parseState(search.health).problem, ['health']]);
  if (path === '/targets') found.push([parseHealth(search.health).problem, ['health']]);
  return found.flatMap(([message, keys]) => (message === undefined ? [] : [{ message, keys }]));
}
