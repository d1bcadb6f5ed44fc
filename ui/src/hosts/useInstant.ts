// Owns instant queries that follow the clock: evaluated at the end of the global range.

import { useQuery, type UseQueryResult } from '@tanstack/react-query';
import { queryInstant, type VectorElement } from '../api/query';
import { now } from '../time/clock';
import { resolve } from '../time/range';
import { LIVE } from '../time/useAutoRefresh';
import { useTimeRange } from '../time/useTimeRange';

/** The vectors of several queries of one thing, asked together so that they are of one instant; no queries ask nothing. */
export function useInstant(exprs: string[], identity: string): UseQueryResult<VectorElement[][]> {
  const { range, key } = useTimeRange();
  return useQuery({
    queryKey: ['instant', exprs, key],
    queryFn: async ({ signal }) => {
      const timeSec = resolve(range, now()).endMs / 1_000;
      const answers = await Promise.all(exprs.map((expr) => queryInstant(expr, timeSec, signal)));
      return answers.map(({ data }) => (data.resultType === 'vector' ? data.result : []));
    },
    placeholderData: (previous, query) => (query?.meta?.identity === identity ? previous : undefined),
    meta: { ...LIVE, identity },
    enabled: exprs.length > 0,
  });
}

export function numberOf(element: VectorElement | undefined): number | null {
  const value = Number(element?.value?.[1]);
  return Number.isFinite(value) ? value : null;
}
