// Owns what is said about a result besides the result: statistics, warnings, infos, the error.

import { Icon } from '../design/Icon';
import { formatSeconds } from '../design/units';
import classes from './Explore.module.css';

interface NotesProps {
  facts: string[];
  tookMs: number | undefined;
  warnings: string[];
  infos: string[];
  error: Error | null;
}

export function Notes({ facts, tookMs, warnings, infos, error }: NotesProps) {
  const all = tookMs === undefined ? facts : [...facts, formatSeconds(tookMs / 1_000)];
  return (
    <>
      <p className={classes.facts} role="status">{all.join(' · ') || '\u00a0'}</p>
      {error && <p className={classes.error} role="alert"><Icon name="warning" />{error.message}</p>}
      {warnings.map((text) => <p key={text} className={classes.warning}><Icon name="warning" />{text}</p>)}
      {infos.map((text) => <p key={text} className={classes.info}><Icon name="status" />{text}</p>)}
    </>
  );
}
