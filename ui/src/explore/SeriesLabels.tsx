// Owns writing a label set as PromQL does, with the names dimmed.

import type { Labels } from '../api/query';
import classes from './Explore.module.css';

export function SeriesLabels({ labels }: { labels: Labels | undefined }) {
  if (!labels) return <span className="dim">scalar</span>;
  const rest = Object.entries(labels).filter(([name]) => name !== '__name__');
  return (
    <span className={classes.labels}>
      <b>{labels.__name__}</b>
      {'{'}
      {rest.map(([name, value], i) => (
        <span key={name}>
          <i>{name}</i>={JSON.stringify(value)}{i < rest.length - 1 && ', '}
        </span>
      ))}
      {'}'}
    </span>
  );
}
