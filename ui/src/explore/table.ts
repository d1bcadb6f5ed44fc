// Owns the rows of the table: every type of PromQL result as labels and lines of text.

import type { Labels, Result } from '../api/query';
import { instantText } from '../time/format';

export interface Row {
  labels: Labels | undefined;
  lines: string[];
  /** What to sort by; undefined sorts last. */
  value: number | undefined;
}

export type Order = 'server' | 'down' | 'up';

/** Samples of a range vector shown per row; the newest are kept. */
export const MAX_SAMPLES_PER_ROW = 100;

export function tableRows(data: Result): Row[] {
  switch (data.resultType) {
    case 'vector':
      return data.result.map(({ metric, value, histogram }) => ({
        labels: metric,
        lines: value ? [value[1]] : histogram ? [`histogram: count ${histogram[1].count}, sum ${histogram[1].sum}`] : [],
        value: value ? Number(value[1]) : undefined,
      }));
    case 'matrix':
      return data.result.map(({ metric, values }) => {
        const shown = values.slice(-MAX_SAMPLES_PER_ROW).map(([time, text]) => `${text} @ ${instantText(time * 1_000)}`);
        const left = values.length - shown.length;
        return { labels: metric, lines: left > 0 ? [`(${left} earlier samples)`, ...shown] : shown, value: Number(values.at(-1)?.[1]) };
      });
    default:
      return [{ labels: undefined, lines: [data.result[1]], value: Number(data.result[1]) }];
  }
}

export function sortRows(rows: Row[], order: Order): Row[] {
  if (order === 'server') return rows;
  const sign = order === 'up' ? 1 : -1;
  const known = (row: Row) => row.value !== undefined && !Number.isNaN(row.value);
  return rows.toSorted((a, b) => {
    if (!known(a) || !known(b)) return Number(known(b)) - Number(known(a));
    return sign * (a.value! - b.value!);
  });
}
