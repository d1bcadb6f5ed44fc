// Owns the address: which search parameters exist and how they are written. Values stay plain text here; each is read by
// its owner (time/range, explore/state, …), and problems.ts says what could not be read.

export interface UrlSearch {
  from?: string;
  to?: string;
  refresh?: string;
  host?: string;
  q?: string[];
  tab?: string;
  step?: string;
  filter?: string;
  health?: string;
}

const SINGLE = ['from', 'to', 'refresh', 'host', 'tab', 'step', 'filter', 'health'] as const;

/** Longer addresses fail in proxies; a query this long is a program. */
export const MAX_QUERY_CHARS = 10_000;
export const MAX_QUERIES = 20;

export function parseSearch(text: string): Record<string, unknown> {
  const params = new URLSearchParams(text);
  const out: Record<string, unknown> = {};
  for (const key of new Set(params.keys())) {
    const values = params.getAll(key);
    out[key] = values.length === 1 ? values[0] : values;
  }
  return out;
}

export function stringifySearch(search: Record<string, unknown>): string {
  const params = new URLSearchParams();
  for (const [key, value] of Object.entries(search)) {
    if (value === undefined || value === null) continue;
    for (const item of Array.isArray(value) ? value : [value]) params.append(key, String(item));
  }
  // Colons and slashes are legal in a query string; leaving them bare keeps addresses readable.
  const text = params.toString().replaceAll('%3A', ':').replaceAll('%2F', '/').replaceAll('%2C', ',');
  return text === '' ? '' : `?${text}`;
}

/** Keeps what is known, as text; a parameter given twice counts once, except queries. */
export function validateSearch(raw: Record<string, unknown>): UrlSearch {
  const out: UrlSearch = {};
  for (const key of SINGLE) {
    const value: unknown = Array.isArray(raw[key]) ? raw[key][0] : raw[key];
    if (typeof value === 'string' || typeof value === 'number') out[key] = String(value);
  }
  const q = (Array.isArray(raw.q) ? raw.q : [raw.q]).filter((item): item is string => typeof item === 'string');
  if (q.length > 0) out.q = q.slice(0, MAX_QUERIES).map((expr) => expr.slice(0, MAX_QUERY_CHARS));
  return out;
}

/** What stays when the page changes: the clock is global, the rest belongs to its page. */
export function sharedSearch(search: UrlSearch): UrlSearch {
  const { from, to, refresh } = search;
  return { from, to, refresh };
}

/** Prometheus numbers the panels of its graph page: `g0.expr`, `g0.tab` (1 is the table). */
export function fromGraphLink(text: string): UrlSearch {
  const params = new URLSearchParams(text);
  const q: string[] = [];
  const tabs: string[] = [];
  for (let i = 0; i < MAX_QUERIES && params.has(`g${i}.expr`); i += 1) {
    q.push((params.get(`g${i}.expr`) ?? '').slice(0, MAX_QUERY_CHARS));
    tabs.push(params.get(`g${i}.tab`) === '1' ? 'table' : 'graph');
  }
  return { q, tab: tabs.includes('table') ? tabs.join(',') : undefined };
}
