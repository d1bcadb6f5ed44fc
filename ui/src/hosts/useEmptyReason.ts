// Owns the explanation of an empty panel, asked only when one is empty.

import { useQuery } from '@tanstack/react-query';
import { findSeries } from '../api/query';
import { now } from '../time/clock';
import { resolve } from '../time/range';
import { useTimeRange } from '../time/useTimeRange';
import { fill, type MaybeContext, type PanelSpec } from './panel';

export function useEmptyReason({ needs }: PanelSpec, context: MaybeContext, empty: boolean): string {
  const { range, key } = useTimeRange();
  const match = context ? fill(`${needs.metric}{$host}`, context) : '';
  const { data } = useQuery({
    queryKey: ['series', match, key],
    queryFn: ({ signal }) => {
      const { startMs, endMs } = resolve(range, now());
      return findSeries(match, startMs / 1_000, endMs / 1_000, signal);
    },
    enabled: empty && match !== '',
  });
  if (!data) return '';
  if (data.data.length > 0) return 'The series exist, but the query gives no value in this time range. A rate needs two samples.';
  return `This host sent no ${needs.metric} in this time range: the collector “${needs.collector}” is off, or the kernel has nothing for it.`;
}
