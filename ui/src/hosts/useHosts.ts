// Owns which hosts there are, which one is chosen, and how often they are scraped.

import { useQuery } from '@tanstack/react-query';
import { useState } from 'react';
import { labelValues } from '../api/metadata';
import { getTargets } from '../api/targets';
import { useUrl } from '../app/useUrl';
import { parseDuration } from '../time/range';

/** When no target says: the default of Prometheus' configuration is 1m, of most real ones 15s. */
const ASSUMED_SCRAPE_SEC = 15;

export interface Hosts {
  names: string[];
  host: string | undefined;
  choose: (host: string) => void;
  scrapeSec: number;
  ready: boolean;
  /** The server answered, and has no host yet. */
  none: boolean;
  error: Error | null;
}

export function useHosts(): Hosts {
  const { search, patch } = useUrl();
  const hosts = useQuery({
    queryKey: ['hosts'],
    queryFn: ({ signal }) => labelValues('instance', 'node_uname_info{job="node"}', signal),
    // Until the first scrape is stored there is no host; look again until there is.
    refetchInterval: (query) => (query.state.data?.data.length ? 60_000 : 1_000),
    retry: false,
  });
  // Asking again clears the error for a moment; on screen it stays until there is an answer.
  const [lastError, setLastError] = useState<Error | null>(null);
  if (hosts.error && hosts.error !== lastError) setLastError(hosts.error);
  const targets = useQuery({ queryKey: ['targets', 'active'], queryFn: ({ signal }) => getTargets('active', signal), staleTime: 60_000 });
  const names = hosts.data?.data ?? [];
  const host = search.host ?? names[0];
  const target = targets.data?.data.activeTargets.find((t) => t.labels.job === 'node' && t.labels.instance === host);
  const scrapeMs = parseDuration(target?.scrapeInterval ?? '');
  return {
    names,
    host,
    choose: (next) => patch({ host: next }),
    scrapeSec: scrapeMs === undefined ? ASSUMED_SCRAPE_SEC : Math.max(1, scrapeMs / 1_000),
    ready: !targets.isPending && host !== undefined,
    none: hosts.isSuccess && host === undefined,
    error: hosts.data ? null : lastError,
  };
}
