// Owns the table of a query at the end of the global range.

import { Button } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { useEffect, useState } from 'react';
import { queryInstant } from '../api/query';
import { now } from '../time/clock';
import { instantText } from '../time/format';
import { resolve } from '../time/range';
import { LIVE } from '../time/useAutoRefresh';
import { useTimeRange } from '../time/useTimeRange';
import classes from './Explore.module.css';
import { Notes } from './Notes';
import { SeriesLabels } from './SeriesLabels';
import { sortRows, tableRows, type Order } from './table';

/** A page of rows: browsers lay out a few hundred at once without a pause. */
const ROWS_AT_FIRST = 200;
const ORDERS: Record<Order, Order> = { server: 'down', down: 'up', up: 'server' };
const ARROWS: Record<Order, string> = { server: '', down: ' ↓', up: ' ↑' };

interface TabProps {
  expr: string;
  onError: (error: Error | null) => void;
}

export function TableTab({ expr, onError }: TabProps) {
  const [limit, setLimit] = useState(ROWS_AT_FIRST);
  const [order, setOrder] = useState<Order>('server');
  const { range, key } = useTimeRange();
  const { data, error } = useQuery({
    queryKey: ['table', expr, key],
    queryFn: async ({ signal }) => {
      const timeSec = resolve(range, now()).endMs / 1_000;
      const started = performance.now();
      const answer = await queryInstant(expr, timeSec, signal);
      return { ...answer, timeSec, tookMs: performance.now() - started };
    },
    placeholderData: (previous, query) => (query?.meta?.identity === expr ? previous : undefined),
    meta: { ...LIVE, identity: expr },
  });
  useEffect(() => onError(error), [error, onError]);
  const rows = data ? sortRows(tableRows(data.data), order) : [];
  const facts = data && !error ? [`${rows.length} ${rows.length === 1 ? 'row' : 'rows'}`, data.data.resultType, `at ${instantText(data.timeSec * 1_000)}`] : [];
  return (
    <div className={classes.result}>
      <Notes facts={facts} tookMs={error ? undefined : data?.tookMs} warnings={data?.warnings ?? []} infos={data?.infos ?? []} error={error} />
      {rows.length > 0 && (
        <div className={classes.tableBox}>
          <table className={classes.table}>
            <thead>
              <tr>
                <th scope="col">Series</th>
                <th scope="col" aria-sort={order === 'up' ? 'ascending' : order === 'down' ? 'descending' : 'none'}>
                  <button type="button" onClick={() => setOrder(ORDERS[order])}>Value{ARROWS[order]}</button>
                </th>
              </tr>
            </thead>
            <tbody>
              {rows.slice(0, limit).map((row, i) => (
                <tr key={i}>
                  <td><SeriesLabels labels={row.labels} /></td>
                  <td className="mono">{row.lines.map((line, j) => <div key={j}>{line}</div>)}</td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
      {rows.length > limit && <Button mt={8} onClick={() => setLimit(rows.length)}>Show all {rows.length} rows</Button>}
      {data && rows.length === 0 && !error && <p className={classes.hint}>The query is right and finds no series at this instant.</p>}
    </div>
  );
}
