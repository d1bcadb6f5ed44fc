// Owns one rule: its row, its error, and its alerts on demand; those of a rule that fires are open at first.

import { Link } from '@tanstack/react-router';
import { useState } from 'react';
import type { Rule } from '../api/rules';
import { Icon } from '../design/Icon';
import { formatSeconds } from '../design/units';
import { LabelChips } from '../targets/LabelChips';
import { agoText } from '../time/format';
import { useNow } from '../time/useTimeRange';
import { AlertList } from './AlertList';
import classes from './Alerts.module.css';
import { isNever } from './time';

/** What the badges of a rule say: one that fails may fire all the same. */
function badges(rule: Rule): string[] {
  const state = rule.type === 'recording' ? 'recording' : rule.state;
  if (rule.health !== 'err') return [state];
  return state === 'firing' || state === 'pending' ? [state, 'failing'] : ['failing'];
}

function terms(rule: Rule): string {
  const hold = rule.duration > 0 ? ` for ${formatSeconds(rule.duration)}` : '';
  return rule.keepFiringFor > 0 ? `${hold}, kept firing for ${formatSeconds(rule.keepFiringFor)}` : hold;
}

export function RuleRow({ rule }: { rule: Rule }) {
  const [open, setOpen] = useState(rule.state === 'firing');
  const nowMs = useNow();
  const never = isNever(rule.lastEvaluation);
  return (
    <tr data-rule={rule.name}>
      <td>{badges(rule).map((badge) => <span key={badge} className={classes.state} data-state={badge}>{badge}</span>)}</td>
      <td className={classes.rule}>
        <b>{rule.name}</b>
        <Link to="/explore" search={(previous) => ({ from: previous.from, to: previous.to, q: [rule.query] })} className="mono" aria-label={`Open ${rule.name} in Explore`}>
          {rule.query}
        </Link>
        <span className="dim">{terms(rule)}</span>
        {Object.keys(rule.labels).length > 0 && <LabelChips labels={rule.labels} />}
        {rule.lastError !== '' && <p className={classes.error}>{rule.lastError}</p>}
        {open && rule.alerts.length > 0 && <AlertList alerts={rule.alerts} />}
      </td>
      <td>
        {rule.alerts.length > 0 && (
          <button type="button" className={classes.more} aria-expanded={open} onClick={() => setOpen(!open)}>
            <Icon name="chevron" size={12} /> {rule.alerts.length} {rule.alerts.length === 1 ? 'alert' : 'alerts'}
          </button>
        )}
      </td>
      <td title={rule.lastEvaluation}>{never ? 'never' : agoText(Date.parse(rule.lastEvaluation), nowMs)}</td>
      <td>{never ? '–' : formatSeconds(rule.evaluationTime)}</td>
    </tr>
  );
}
