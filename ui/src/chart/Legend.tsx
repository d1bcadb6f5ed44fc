// Owns the legend: one row per series with last, min and max, toggles, and the value under the crosshair.

import { useImperativeHandle, useMemo, useRef, type Ref } from 'react';
import { heatColor, seriesColor } from '../design/palette';
import { formatValue } from '../design/units';
import { clockText } from '../time/format';
import classes from './Chart.module.css';
import { summarize, type Frame } from './frame';
import type { Look } from './uplotOptions';

export interface LegendHandle {
  /** Shows the values at one grid point in place of the last ones; null goes back. */
  showAt: (index: number | null) => void;
}

interface LegendProps {
  frame: Frame;
  look: Look;
  onToggle: (name: string, only: boolean) => void;
  ref: Ref<LegendHandle>;
}

export function Legend({ frame, look, onToggle, ref }: LegendProps) {
  const head = useRef<HTMLTableCellElement>(null);
  const body = useRef<HTMLTableSectionElement>(null);
  const summaries = useMemo(() => frame.series.map((s) => summarize(s.values)), [frame]);

  useImperativeHandle(ref, () => ({
    // Written past React: this runs for every panel at every move of the mouse.
    showAt: (index) => {
      if (head.current) head.current.textContent = index === null ? 'last' : clockText(frame.times[index]! * 1_000, true);
      body.current?.querySelectorAll('[data-last]').forEach((cell, i) => {
        const value = index === null ? summaries[i]?.last : frame.series[i]?.values[index];
        cell.textContent = formatValue(value, look.unit);
      });
    },
  }), [frame, look.unit, summaries]);

  return (
    <table className={classes.legend}>
      <thead>
        <tr>
          <th scope="col"><span className="visually-hidden">series</span></th>
          <th scope="col" ref={head}>last</th>
          <th scope="col">min</th>
          <th scope="col">max</th>
        </tr>
      </thead>
      <tbody ref={body}>
        {frame.series.map((s, i) => {
          const { last, min, max } = summaries[i]!;
          const off = look.hidden.has(s.name);
          const color = look.kind === 'heat' ? heatColor((last ?? 0) / (look.max ?? 100), look.scheme) : seriesColor(s.color, look.scheme);
          return (
            <tr key={`${i} ${s.name}`} data-off={off || undefined}>
              <td>
                <button
                  type="button"
                  className={classes.series}
                  aria-pressed={!off}
                  title={`${s.name}\nclick hides or shows, Shift-click shows this one alone`}
                  onClick={(event) => onToggle(s.name, event.shiftKey)}
                >
                  <i className={classes.swatch} style={{ background: off ? 'transparent' : color, borderColor: color }} />
                  <span>{s.name}</span>
                </button>
              </td>
              <td data-last="">{formatValue(last, look.unit)}</td>
              <td>{formatValue(min, look.unit)}</td>
              <td>{formatValue(max, look.unit)}</td>
            </tr>
          );
        })}
      </tbody>
    </table>
  );
}
