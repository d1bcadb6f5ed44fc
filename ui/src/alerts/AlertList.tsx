// Owns the list of the alerts of one rule: labels, what they say, since when.

import { useState } from 'react';
import type { Alert } from '../api/rules';
import { LabelChips } from '../targets/LabelChips';
import { agoText } from '../time/format';
import { useNow } from '../time/useTimeRange';
import classes from './Alerts.module.css';
import { isNever } from './time';

/** A rule can have thousands of alerts, and many rules can be open. */
const SHOWN_AT_FIRST = 20;
const SHOWN_MORE = 200;
/** Annotations that hold addresses, by convention. */
const IS_ADDRESS = /^https?:\/\/\S+$/;

function Annotation({ name, text }: { name: string; text: string }) {
  return (
    <>
      <dt>{name}</dt>
      <dd>{IS_ADDRESS.test(text) ? <a href={text} target="_blank" rel="noreferrer">{text}</a> : text}</dd>
    </>
  );
}

export function AlertList({ alerts }: { alerts: Alert[] }) {
  const nowMs = useNow();
  const [limit, setLimit] = useState(SHOWN_AT_FIRST);
  const hidden = alerts.length - limit;
  return (
    <ul className={classes.alerts}>
      {alerts.slice(0, limit).map((alert) => (
        <li key={JSON.stringify(alert.labels)} data-alert={alert.state}>
          <p className={classes.head}>
            <span className={classes.state} data-state={alert.state}>{alert.state}</span>
            {!isNever(alert.activeAt) && <span title={alert.activeAt}>began {agoText(Date.parse(alert.activeAt), nowMs)}</span>}
            <span className="mono">{Number(alert.value)}</span>
          </p>
          <LabelChips labels={alert.labels} />
          <dl className={classes.annotations}>
            {Object.entries(alert.annotations).map(([name, text]) => <Annotation key={name} name={name} text={text} />)}
          </dl>
        </li>
      ))}
      {hidden > 0 && (
        <li>
          <button type="button" className={classes.more} onClick={() => setLimit(limit + SHOWN_MORE)}>
            Show {Math.min(SHOWN_MORE, hidden)} more of {hidden} alerts
          </button>
        </li>
      )}
    </ul>
  );
}
