// Owns the writing of labels in tables.

import type { Labels } from '../api/query';
import classes from './Targets.module.css';

export function LabelChips({ labels }: { labels: Labels }) {
  return (
    <span className={classes.chips}>
      {Object.entries(labels).map(([name, value]) => (
        <span key={name} className={classes.chip}><i>{name}=</i>{JSON.stringify(value)}</span>
      ))}
    </span>
  );
}
