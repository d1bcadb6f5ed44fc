// Owns the list of targets that relabelling dropped, closed until asked for.

import { useState } from 'react';
import type { DroppedTarget } from '../api/targets';
import { Icon } from '../design/Icon';
import { LabelChips } from './LabelChips';
import classes from './Targets.module.css';

const MAX_SHOWN = 100;

export function DroppedTargets({ targets }: { targets: DroppedTarget[] }) {
  const [open, setOpen] = useState(false);
  return (
    <section className={classes.pool} aria-label="Dropped targets">
      <h2>
        <button type="button" className={classes.more} aria-expanded={open} onClick={() => setOpen(!open)}>
          <Icon name="chevron" size={12} /> {targets.length} dropped by relabelling
        </button>
      </h2>
      {open && (
        <div className={classes.tableBox}>
          <table className={classes.table}>
            <tbody>
              {targets.slice(0, MAX_SHOWN).map((target, i) => (
                <tr key={i}><td><LabelChips labels={target.discoveredLabels} /></td></tr>
              ))}
              {targets.length > MAX_SHOWN && <tr><td className="dim">and {targets.length - MAX_SHOWN} more</td></tr>}
            </tbody>
          </table>
        </div>
      )}
    </section>
  );
}
