// Owns the automatic refresh: one timer for the whole screen, stopped while the tab is hidden or nothing can change.

import { useQueryClient, type QueryClient } from '@tanstack/react-query';
import { useEffect } from 'react';
import { tick } from './clock';
import { isLive } from './range';
import { REFRESH_MS } from './refresh';
import { useTimeRange } from './useTimeRange';

/** Queries marked so follow the clock. */
export const LIVE = { live: true } as const;

const isLiveQuery = { predicate: (query: { meta?: Record<string, unknown> }) => query.meta?.live === true };

/** Moves the clock and asks again; requests under way are left to finish, so that slow ones do end. */
export function refreshNow(client: QueryClient): void {
  tick();
  void client.refetchQueries({ ...isLiveQuery, type: 'active' }, { cancelRefetch: false });
}

export function useAutoRefresh(): void {
  const client = useQueryClient();
  const { range, refresh } = useTimeRange();
  const period = isLive(range) ? REFRESH_MS[refresh] : undefined;
  useEffect(() => {
    if (period === undefined) return;
    let last = Date.now();
    const run = () => {
      // A server slower than the period must not be given a queue of ever more requests.
      if (document.hidden || client.isFetching(isLiveQuery) > 0) return;
      last = Date.now();
      refreshNow(client);
    };
    const timer = setInterval(run, period);
    const onShow = () => {
      if (!document.hidden && Date.now() - last >= period) run();
    };
    document.addEventListener('visibilitychange', onShow);
    return () => {
      clearInterval(timer);
      document.removeEventListener('visibilitychange', onShow);
    };
  }, [client, period]);
}
