// Owns the table of one group of rules.

import type { RuleGroup } from '../api/rules';
import { formatSeconds } from '../design/units';
import { agoText } from '../time/format';
import { useNow } from '../time/useTimeRange';
import classes from './Alerts.module.css';
import { RuleRow } from './RuleRow';
import { isNever } from './time';

export function GroupTable({ group }: { group: RuleGroup }) {
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
            {group.rules.map((rule, i) => <RuleRow key={`${rule.name} ${i}`} rule={rule} />)}
          </tbody>
        </table>
      </div>
    </section>
  );
}
