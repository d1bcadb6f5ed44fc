// Owns the table of one scrape pool.

import { Button } from '@mantine/core';
import { useState } from 'react';
import { countHealth, type Pool } from './filter';
import { TargetRow } from './TargetRow';
import classes from './Targets.module.css';

/** Pools of service discovery can hold thousands; a screen of rows is laid out at once. */
const ROWS_AT_FIRST = 100;

export function PoolTable({ pool }: { pool: Pool }) {
  const [limit, setLimit] = useState(ROWS_AT_FIRST);
  const counts = countHealth(pool.targets);
  const sick = counts.down > 0 ? 'down' : counts.unknown > 0 ? 'unknown' : 'up';
  return (
    <section className={classes.pool} aria-label={`Pool ${pool.name}`} data-pool={pool.name}>
      <h2>
        {pool.name}
        <span className={classes.count} data-health={sick}>{counts.up} of {pool.targets.length} up</span>
      </h2>
      <div className={classes.tableBox}>
        <table className={classes.table}>
          <thead>
            <tr><th>Health</th><th>Endpoint</th><th>Labels</th><th>Last scrape</th><th>Took</th></tr>
          </thead>
          <tbody>
            {pool.targets.slice(0, limit).map((target, i) => <TargetRow key={`${target.scrapeUrl} ${i}`} target={target} />)}
          </tbody>
        </table>
      </div>
      {pool.targets.length > limit && <Button mt={8} onClick={() => setLimit(pool.targets.length)}>Show all {pool.targets.length}</Button>}
    </section>
  );
}
