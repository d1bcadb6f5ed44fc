// Owns the table of one group of rules.

import { Button } from '@mantine/core';
import { useState } from 'react';
import type { RuleGroup } from '../api/rules';
import { formatSeconds } from '../design/units';
import { agoText } from '../time/format';
import { useNow } from '../time/useTimeRange';
import classes from './Alerts.module.css';
import { RuleRow } from './RuleRow';
import { isNever } from './time';

/** A group can hold thousands of rules; a screen of rows is laid out at once. */
const ROWS_AT_FIRST = 100;

export function GroupTable({ group }: { group: RuleGroup }) {
  const [limit, setLimit] = useState(ROWS_AT_FIRST);
  const nowMs = useNow();
  const last = isNever(group.lastEvaluation)
    ? 'not evaluated yet'
    : `evaluated ${agoText(Date.parse(group.lastEvaluation), nowMs)} in ${formatSeconds(group.evaluationTime)}`;
  return (
    <section className={classes.group} aria-label={`Group ${group.name}`} data-group={group.name}>
      <h2>
        {group.name}
        <span className={classes.about} title={group.file}>every {formatSeconds(group.interval)}, {last}</span>
      </h2>
      <div className={classes.tableBox}>
        <table className={classes.table}>
          <thead>
            <tr><th>State</th><th>Rule</th><th>Alerts</th><th>Last evaluation</th><th>Took</th></tr>
          </thead>
          <tbody>
            {group.rules.slice(0, limit).map((rule, i) => <RuleRow key={`${rule.name} ${i}`} rule={rule} />)}
          </tbody>
        </table>
      </div>
      {group.rules.length > limit && <Button mt={8} onClick={() => setLimit(group.rules.length)}>Show all {group.rules.length}</Button>}
    </section>
  );
}
