// Owns one target: its row, its error, and on demand what was discovered about it.

import { useState } from 'react';
import type { ActiveTarget } from '../api/targets';
import { formatSeconds } from '../design/units';
import { Icon } from '../design/Icon';
import { agoText } from '../time/format';
import { useNow } from '../time/useTimeRange';
import { LabelChips } from './LabelChips';
import classes from './Targets.module.css';

/** Go's zero time: the target was never scraped. */
const NEVER = '0001-01-01';

export function TargetRow({ target }: { target: ActiveTarget }) {
  const [open, setOpen] = useState(false);
  const nowMs = useNow();
  const never = target.lastScrape.startsWith(NEVER);
  const every = target.scrapeInterval === '' ? '' : `every ${target.scrapeInterval}`;
  return (
    <tr data-target={target.scrapeUrl}>
      <td><span className={classes.health} data-health={target.health}>{target.health}</span></td>
      <td className={classes.endpoint}>
        {/* A collector within the server has no address that a browser could open. */}
        {/^https?:/.test(target.scrapeUrl)
          ? <a href={target.scrapeUrl} className="mono" target="_blank" rel="noreferrer">{target.scrapeUrl}</a>
          : <span className="mono">{target.scrapeUrl}</span>}
        {target.lastError !== '' && <p className={classes.error}>{target.lastError}</p>}
      </td>
      <td>
        <LabelChips labels={target.labels} />
        <button type="button" className={classes.more} aria-expanded={open} onClick={() => setOpen(!open)}>
          <Icon name="chevron" size={12} /> discovered labels
        </button>
        {open && <LabelChips labels={target.discoveredLabels} />}
      </td>
      <td title={target.lastScrape}>{never ? 'never' : agoText(Date.parse(target.lastScrape), nowMs)}<br /><span className="dim">{every}</span></td>
      <td>{never ? '–' : formatSeconds(target.lastScrapeDuration)}</td>
    </tr>
  );
}
